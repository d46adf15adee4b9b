//! weir and nginx-rtmp as child processes on the server's core.

use crate::process::Process;
use crate::{Options, Result, cores};
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Where Debian puts nginx.
pub const NGINX: &str = "/usr/sbin/nginx";

/// The Debian package of nginx's RTMP module.
pub const RTMP_MODULE: &str = "libnginx-mod-rtmp";

/// Where a server's standard error goes, in its folder.
const LOG: &str = "log";

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The one to measure.
    Weir,
    /// nginx with its RTMP module.
    NginxRtmp,
}

impl Kind {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Weir => "weir",
            Self::NginxRtmp => "nginx-rtmp",
        }
    }
}

/// What a server is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Take streams, and make HLS of them.
    Hls,
    /// Relay SRT. weir makes HLS of it all the same.
    Srt {
        /// What encrypts it.
        passphrase: Option<&'static str>,
    },
    /// Send a stream on. weir makes HLS of it all the same.
    Play {
        /// How long weir merges frames.
        merge: &'static str,
    },
}

/// A server that runs; dropping it ends it and deletes what it wrote.
#[derive(Debug)]
pub struct Server {
    process: Process,
    /// Where to publish.
    pub rtmp: SocketAddr,
    /// Where to watch; nginx-rtmp only writes files.
    pub http: Option<SocketAddr>,
    /// Where SRT is spoken.
    pub srt: Option<SocketAddr>,
    folder: TempDir,
}

impl Server {
    /// Starts a server with one worker on the server's core.
    pub fn start(kind: Kind, options: &Options) -> Result<Self> {
        Self::start_for(kind, options, Purpose::Hls)
    }

    /// The same for this purpose.
    pub fn start_for(kind: Kind, options: &Options, purpose: Purpose) -> Result<Self> {
        let data = options.data()?;
        let folder = TempDir::with_prefix_in("bench-", &data);
        let folder = folder.map_err(|e| format!("cannot write to {}: {e}", data.display()))?;
        // What is started inherits the core; the worker pins itself to it, too.
        cores::pin(cores::server())?;
        let started = match kind {
            Kind::Weir => weir(&options.weir()?, folder, purpose),
            Kind::NginxRtmp => nginx(folder, purpose),
        };
        cores::pin(cores::client())?;
        started
    }

    /// Its processes.
    pub fn pids(&self) -> Vec<u32> {
        self.process.pids()
    }

    /// What it has logged: with its level at warning, what went wrong.
    pub fn complaints(&self) -> Vec<String> {
        let text = self.process.said();
        let is_wrong = |line: &&str| line.contains("ERROR") || line.contains("[error]");
        text.lines().filter(is_wrong).map(str::to_owned).collect()
    }

    /// All that it has logged.
    pub fn said(&self) -> String {
        self.process.said()
    }

    /// Bytes of the files that it has written.
    pub fn written(&self) -> u64 {
        size(self.folder.path())
    }
}

fn weir(program: &Path, folder: TempDir, purpose: Purpose) -> Result<Server> {
    let ready = folder.path().join("ready.json");
    let mut command = Command::new(program);
    command
        .args([
            "serve",
            "--open",
            "--workers",
            "1",
            "--log",
            "warn",
            "--api",
            "off",
        ])
        .args(["--rtmp", "127.0.0.1:0", "--http", "127.0.0.1:0"])
        .arg("--data")
        .arg(folder.path().join("data"))
        .arg("--ready-file")
        .arg(&ready)
        // Not a flag: older versions do not know it.
        .env("WEIR_SRT", "off");
    if let Purpose::Play { merge } = purpose {
        command.args(["--merge", merge]);
    }
    if let Purpose::Srt { passphrase } = purpose {
        command.args(["--srt", "127.0.0.1:0"]);
        if let Some(passphrase) = passphrase {
            command.arg("--config").arg(encrypted(&folder, passphrase)?);
        }
    }
    let mut server = Server {
        process: Process::start(&mut command, folder.path().join(LOG))?,
        rtmp: ([127, 0, 0, 1], 0).into(),
        http: None,
        srt: None,
        folder,
    };
    server.process.wait(|| ready.exists())?;
    let addresses = Addresses::read(&ready)?;
    server.rtmp = addresses
        .of("rtmp")
        .ok_or("the ready file names no rtmp address")?;
    server.http = addresses.of("http");
    server.srt = addresses.of("srt");
    Ok(server)
}

/// A configuration whose stream `show` is encrypted over SRT.
fn encrypted(folder: &TempDir, passphrase: &str) -> Result<PathBuf> {
    let file = folder.path().join("weir.toml");
    let (hash, passphrase) = ("0".repeat(64), passphrase.replace(' ', "_"));
    let text = format!(
        "[[input]]\nname = \"show\"\nkey_hash = \"sha256:{hash}\"\npassphrase = \"{passphrase}\"\n"
    );
    let written = fs::write(&file, text)
        .and_then(|()| fs::set_permissions(&file, fs::Permissions::from_mode(0o600)));
    written.map_err(|e| format!("cannot write a configuration: {e}"))?;
    Ok(file)
}

fn nginx(folder: TempDir, purpose: Purpose) -> Result<Server> {
    let rtmp = free_address()?;
    let configuration = folder.path().join("nginx.conf");
    let hls = folder.path().join("hls");
    let written = fs::create_dir(&hls).and_then(|()| {
        fs::write(
            &configuration,
            nginx_configuration(rtmp, folder.path(), purpose),
        )
    });
    written.map_err(|e| format!("cannot write the configuration of nginx: {e}"))?;
    let mut command = Command::new(NGINX);
    command
        .arg("-c")
        .arg(&configuration)
        .arg("-p")
        .arg(folder.path());
    command.args(["-e", "stderr"]);
    let mut server = Server {
        process: Process::start(&mut command, folder.path().join(LOG))?,
        rtmp,
        http: None,
        srt: None,
        folder,
    };
    server.process.wait(|| TcpStream::connect(rtmp).is_ok())?;
    Ok(server)
}

/// As weir's defaults where both have the setting; logs of each connection are off.
fn nginx_configuration(rtmp: SocketAddr, folder: &Path, purpose: Purpose) -> String {
    let user = nginx_user();
    let folder = folder.display();
    let hls = match purpose {
        Purpose::Hls => "on",
        Purpose::Play { .. } | Purpose::Srt { .. } => "off",
    };
    format!(
        "{user}
load_module /usr/lib/nginx/modules/ngx_rtmp_module.so;
daemon off;
worker_processes 1;
worker_rlimit_nofile 8192;
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections 4096; }}
rtmp {{
    access_log off;
    server {{
        listen {rtmp};
        application live {{
            live on;
            hls {hls};
            hls_path {folder}/hls;
            hls_fragment 4s;
            hls_playlist_length 60s;
        }}
    }}
}}
"
    )
}

/// The addresses of weir's listeners, from its ready file.
#[derive(Debug)]
pub struct Addresses(serde_json::Value);

impl Addresses {
    /// Reads a ready file.
    pub fn read(file: &Path) -> Result<Self> {
        let text = fs::read(file).map_err(|e| format!("no ready file: {e}"))?;
        let json = serde_json::from_slice(&text).map_err(|e| format!("the ready file: {e}"))?;
        Ok(Self(json))
    }

    /// Where `listener` is, if it is on.
    pub fn of(&self, listener: &str) -> Option<SocketAddr> {
        self.0[listener].as_str()?.parse().ok()
    }
}

/// An address for a server that cannot pick one itself.
pub fn free_address() -> Result<SocketAddr> {
    let free = TcpListener::bind(("127.0.0.1", 0)).and_then(|l| l.local_addr());
    free.map_err(|e| format!("no free port: {e}"))
}

/// What nginx has to be told to write as this user.
pub fn nginx_user() -> &'static str {
    if rustix::process::geteuid().is_root() {
        "user root;"
    } else {
        ""
    }
}

fn size(path: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(path) else {
        return 0;
    };
    let sizes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(data) if data.is_dir() => size(&entry.path()),
        Ok(data) => data.len(),
        Err(_) => 0,
    });
    sizes.sum()
}
