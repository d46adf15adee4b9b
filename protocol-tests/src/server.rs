//! A running weir.

use crate::eventually;
use crate::http;
use crate::process::Process;
use crate::tools;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// weir, with a data directory that goes with it.
#[derive(Debug)]
pub struct Weir {
    /// The process.
    pub process: Process,
    /// Playback.
    pub http: SocketAddr,
    /// Playback under TLS; port 0 without a certificate.
    pub https: SocketAddr,
    /// Metrics and health.
    pub api: SocketAddr,
    /// Ingest.
    pub rtmp: SocketAddr,
    /// Ingest under TLS; port 0 without a certificate.
    pub rtmps: SocketAddr,
    /// Ingest and play over SRT.
    pub srt: SocketAddr,
    /// Data directory.
    pub data: PathBuf,
    home: Option<TempDir>,
    args: Vec<String>,
}

/// Time from start to the ready file. Debug builds on a busy machine are slow.
const READY_WAIT: Duration = Duration::from_secs(20);

/// Time from SIGTERM to the end.
const STOP_WAIT: Duration = Duration::from_secs(20);

impl Weir {
    /// Starts `weir serve --open` on free ports with more arguments.
    ///
    /// # Panics
    /// If it is not ready in time.
    pub fn start(args: &[&str]) -> Self {
        let mut all = vec!["serve", "--open"];
        all.extend(args);
        Self::start_as(&all)
    }

    /// Starts weir with a subcommand and arguments of the test's choice; data, listeners and
    /// the ready file are added.
    ///
    /// # Panics
    /// If it is not ready in time.
    pub fn start_as(args: &[&str]) -> Self {
        let home = TempDir::new().unwrap();
        let args: Vec<String> = args.iter().map(|a| (*a).to_string()).collect();
        Self::launch(home, args, |weir| weir)
    }

    /// The same with a command that `wrap` made from weir's.
    ///
    /// # Panics
    /// If it is not ready in time.
    pub fn start_wrapped(args: &[&str], wrap: impl FnOnce(Command) -> Command) -> Self {
        let home = TempDir::new().unwrap();
        let mut all = vec!["serve".to_string(), "--open".to_string()];
        all.extend(args.iter().map(|a| (*a).to_string()));
        Self::launch(home, all, wrap)
    }

    fn launch(home: TempDir, args: Vec<String>, wrap: impl FnOnce(Command) -> Command) -> Self {
        let ready = home.path().join("ready.json");
        let _ = std::fs::remove_file(&ready);
        let mut weir = wrap(command(&args, home.path()));
        let mut process = Process::spawn_logging(&mut weir, &home.path().join("log"));
        let json = eventually(READY_WAIT, "weir is ready", || {
            if let Some(status) = process.ended() {
                panic!(
                    "weir ended with {status} before it was ready:\n{}",
                    process.tail()
                );
            }
            std::fs::read(&ready).ok()
        });
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(
            json["pid"],
            process.pid(),
            "the ready file names the process"
        );
        let addr = |key: &str| match json[key].as_str() {
            Some(text) => text.parse().unwrap(),
            None => SocketAddr::from(([0, 0, 0, 0], 0)),
        };
        Self {
            http: addr("http"),
            https: addr("https"),
            api: addr("api"),
            rtmp: addr("rtmp"),
            rtmps: addr("rtmps"),
            srt: addr("srt"),
            data: json["data"].as_str().unwrap().into(),
            process,
            home: Some(home),
            args,
        }
    }

    /// Sends SIGTERM, and expects an orderly end.
    ///
    /// # Panics
    /// If it does not end in time with status 0.
    pub fn stop(mut self) -> Stopped {
        self.process.terminate();
        let status = self.process.wait(STOP_WAIT);
        let tail = self.process.tail();
        let status = status.unwrap_or_else(|| panic!("SIGTERM does not end weir:\n{tail}"));
        assert!(status.success(), "weir ended with {status}:\n{tail}");
        self.into_stopped()
    }

    /// Kills it.
    pub fn kill9(mut self) -> Stopped {
        self.process.kill();
        self.into_stopped()
    }

    fn into_stopped(mut self) -> Stopped {
        let home = self.home.take().expect("only this takes it");
        Stopped {
            home,
            args: std::mem::take(&mut self.args),
        }
    }

    /// Where encoders publish a stream.
    pub fn publish_url(&self, key: &str) -> String {
        format!("rtmp://{}/live/{key}", self.rtmp)
    }

    /// The same under TLS.
    pub fn publish_url_tls(&self, key: &str) -> String {
        format!("rtmps://{}/live/{key}", self.rtmps)
    }

    /// Sends SIGHUP.
    pub fn reload(&self) {
        self.process.signal("HUP");
    }

    /// A playback URL.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.http)
    }

    /// A metric's value, all label sets summed; `None` if it is not there.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let text = http::get(self.api, "/metrics").text();
        let values: Vec<f64> = text
            .lines()
            .filter_map(|line| line.strip_prefix(name))
            .filter(|rest| rest.starts_with([' ', '{']))
            .filter_map(|rest| rest.rsplit(' ').next()?.parse().ok())
            .collect();
        (!values.is_empty()).then(|| values.iter().sum())
    }

    /// The ids of a stream's broadcasts on disk.
    pub fn broadcasts(&self, name: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.data.join("streams").join(name));
        let names = entries
            .into_iter()
            .flatten()
            .flatten()
            .map(|e| e.file_name());
        names.map(|n| n.to_string_lossy().into_owned()).collect()
    }

    /// Resident memory in KiB.
    ///
    /// # Panics
    /// If the process has ended.
    pub fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.pid()));
        let status = status.expect("weir runs");
        let line = status
            .lines()
            .find(|l| l.starts_with("VmRSS:"))
            .expect("it has memory");
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Open sockets. Files are left out: handles of recordings are kept, up to a bound.
    ///
    /// # Panics
    /// If the process has ended.
    pub fn sockets(&self) -> usize {
        let open = std::fs::read_dir(format!("/proc/{}/fd", self.process.pid())).unwrap();
        let links = open.filter_map(|e| std::fs::read_link(e.ok()?.path()).ok());
        links
            .filter(|l| l.to_string_lossy().starts_with("socket:"))
            .count()
    }

    /// Panics if weir has ended or reported a panic of its own.
    pub fn assert_healthy(&mut self) {
        if let Some(status) = self.process.ended() {
            panic!("weir ended with {status}:\n{}", self.process.tail());
        }
        let log = self.process.log();
        assert!(
            !log.contains("panicked at"),
            "a thread of weir panicked:\n{log}"
        );
        let answer = http::get(self.api, "/healthz");
        assert_eq!(answer.status, 200, "/healthz: {}", answer.text());
    }
}

impl Drop for Weir {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the end of weir's log:\n{}", self.process.tail());
        }
    }
}

/// A weir that ended; its data is kept.
#[derive(Debug)]
pub struct Stopped {
    home: TempDir,
    args: Vec<String>,
}

impl Stopped {
    /// Starts it again with the same arguments on the same data.
    ///
    /// # Panics
    /// If it is not ready in time.
    pub fn start(self) -> Weir {
        Weir::launch(self.home, self.args, |weir| weir)
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    /// All that it logged, over its runs.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.home.path().join("log")).unwrap_or_default()
    }
}

/// `weir ARGS` on free loopback ports, with data and ready file below `home`. What the test
/// already says is not said twice.
pub fn command(args: &[String], home: &Path) -> Command {
    let mut weir = bare();
    weir.args(args);
    let mut default = |flag: &str, value: PathBuf| {
        if !args.iter().any(|a| a == flag) {
            weir.arg(flag).arg(value);
        }
    };
    for listener in ["--http", "--https", "--rtmp", "--rtmps", "--srt", "--api"] {
        default(listener, "127.0.0.1:0".into());
    }
    default("--data", home.join("data"));
    default("--ready-file", home.join("ready.json"));
    weir
}

/// `weir` without arguments, and without settings from the environment of the tests.
pub fn bare() -> Command {
    let mut weir = Command::new(tools::weir());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("WEIR_") {
            weir.env_remove(name);
        }
    }
    weir.env("NO_COLOR", "1");
    weir
}

/// `outer ARGUMENTS… weir …`: weir started through another program that ends up as it, with
/// the same environment.
pub fn through(mut outer: Command, weir: &Command) -> Command {
    outer.arg(weir.get_program()).args(weir.get_args());
    for (name, value) in weir.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    outer
}
