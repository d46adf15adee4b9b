//! Other programs: started with their output in a file, waited for with a limit, and ended
//! by their process id when a test is over, however it ends.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A program that a test started.
#[derive(Debug)]
pub struct Process {
    child: Child,
    name: String,
    log: PathBuf,
    group: bool,
    _dir: Option<TempDir>,
}

impl Process {
    /// Starts `command`; what it prints goes to a file.
    ///
    /// # Panics
    /// If the program cannot be started.
    pub fn spawn(command: &mut Command) -> Self {
        let dir = TempDir::new().unwrap();
        let mut process = Self::spawn_logging(command, &dir.path().join("log"));
        process._dir = Some(dir);
        process
    }

    /// Starts `command`; what it prints is appended to `log`.
    ///
    /// # Panics
    /// If the program cannot be started.
    pub fn spawn_logging(command: &mut Command, log: &Path) -> Self {
        let out = File::options().create(true).append(true).open(log).unwrap();
        command.stdout(out.try_clone().unwrap()).stderr(out);
        Self::spawn_as_set(command, log)
    }

    /// Starts `command`, whose standard error goes to `log`, and whose standard output goes
    /// where the caller said.
    fn spawn_as_set(command: &mut Command, log: &Path) -> Self {
        command.stdin(Stdio::null());
        let name = command.get_program().to_string_lossy().into_owned();
        let child = command
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start {name}: {e}"));
        Self {
            child,
            name,
            log: log.into(),
            group: false,
            _dir: None,
        }
    }

    /// Starts `command` as the leader of a process group of its own, which ends with it: for
    /// programs that start others.
    ///
    /// # Panics
    /// If the program cannot be started.
    pub fn spawn_group(command: &mut Command) -> Self {
        let mut process = Self::spawn(command.process_group(0));
        process.group = true;
        process
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far.
    pub fn log(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The end of what it has printed, for messages.
    pub fn tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }

    /// Its exit status, if it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits for its end; `None` if it still runs after `limit`.
    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let end = Instant::now() + limit;
        loop {
            if let Some(status) = self.ended() {
                return Some(status);
            }
            if Instant::now() >= end {
                return None;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits for its end, and gives its exit status and what it printed.
    ///
    /// # Panics
    /// If it still runs after `limit`.
    pub fn finish(mut self, limit: Duration) -> (ExitStatus, String) {
        match self.wait(limit) {
            Some(status) => (status, self.log()),
            None => panic!("{} still runs after {limit:?}:\n{}", self.name, self.tail()),
        }
    }

    /// Waits for its end and expects success; gives what it printed.
    ///
    /// # Panics
    /// If it fails, or still runs after `limit`.
    pub fn succeed(self, limit: Duration) -> String {
        let name = self.name.clone();
        let (status, log) = self.finish(limit);
        assert!(status.success(), "{name} ended with {status}:\n{log}");
        log
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends SIGKILL and waits for the end.
    pub fn kill(&mut self) {
        if self.ended().is_none() {
            if self.group {
                self.signal("KILL");
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    /// Sends a signal by its name without `SIG`, through the shell: its `kill` needs no package, and this crate
    /// has no unsafe code.
    pub fn signal(&self, name: &str) {
        let target = if self.group {
            format!("-{}", self.pid())
        } else {
            self.pid().to_string()
        };
        let _ = Command::new("sh")
            .args(["-c", &format!("kill -s {name} -- {target}")])
            .stderr(Stdio::null())
            .status();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.group && self.ended().is_none() {
            // A browser's driver ends the browser when it is asked to end, not when killed.
            self.terminate();
            self.wait(Duration::from_secs(3));
        }
        self.kill();
    }
}

/// Runs a program to its end; what it prints as its result, and what it complains about.
///
/// # Panics
/// If it takes longer than `limit`.
pub fn run_apart(command: &mut Command, limit: Duration) -> (String, String) {
    let dir = TempDir::new().unwrap();
    let (out, log) = (dir.path().join("out"), dir.path().join("log"));
    command
        .stdout(File::create(&out).unwrap())
        .stderr(File::create(&log).unwrap());
    let (_, complaints) = Process::spawn_as_set(command, &log).finish(limit);
    (std::fs::read_to_string(&out).unwrap(), complaints)
}

/// Runs a program to its end; its output if it succeeds.
///
/// # Panics
/// If it fails or takes longer than `limit`.
pub fn run(command: &mut Command, limit: Duration) -> String {
    Process::spawn(command).succeed(limit)
}
