//! A server as a child process.

use crate::Result;
use crate::usage::children;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take to start and to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// A process that runs; dropping it ends it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it. Its standard error goes to the file `log`.
    pub fn start(command: &mut Command, log: PathBuf) -> Result<Self> {
        let file = fs::File::create(&log).map_err(|e| format!("no log file: {e}"))?;
        let child = command.stdin(Stdio::null()).stderr(file).spawn();
        let program = command.get_program().display();
        let child = child.map_err(|e| format!("cannot start {program}: {e}"))?;
        Ok(Self { child, log })
    }

    /// Waits until it is ready.
    pub fn wait(&mut self, mut is_ready: impl FnMut() -> bool) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        while !is_ready() {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("the server ended: {status}; {}", self.said()));
            }
            if Instant::now() > end {
                return Err(format!("the server does not get ready; {}", self.said()));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// It and its children.
    pub fn pids(&self) -> Vec<u32> {
        let mut pids = vec![self.child.id()];
        pids.extend(children(self.child.id()));
        pids
    }

    /// What it has logged.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(pid) = Pid::from_raw(self.child.id() as i32) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let end = Instant::now() + PATIENCE;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > end {
                let _ = self.child.kill();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
