//! `srt-live-transmit`: the relay that weir is measured beside, and publisher and reader of both.

use super::LATENCY_MS;
use super::count::{Count, Counter};
use crate::process::Process;
use crate::{Options, Result};
use std::io::Read;
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use tempfile::TempDir;

/// The program.
pub const SRT_LIVE_TRANSMIT: &str = "/usr/bin/srt-live-transmit";

/// Bytes of a datagram's payload, which it has to be told.
const CHUNK: &str = "-chunk:1316";

/// A relay from one listener to another.
#[derive(Debug)]
pub struct Peer {
    process: Process,
    /// Where is published.
    pub input: SocketAddr,
    /// Where is played.
    pub output: SocketAddr,
    _folder: TempDir,
}

impl Peer {
    /// Starts it on free ports.
    pub fn start(options: &Options, passphrase: Option<&str>) -> Result<Self> {
        let data = options.data()?;
        let folder = TempDir::with_prefix_in("bench-", &data);
        let folder = folder.map_err(|e| format!("cannot write to {}: {e}", data.display()))?;
        let (input, output) = (free_address()?, free_address()?);
        let listener = |at: SocketAddr| uri(at, "listener", "", passphrase);
        let mut command = Command::new(SRT_LIVE_TRANSMIT);
        command.args(["-q", CHUNK, &listener(input), &listener(output)]);
        command.stdout(Stdio::null());
        Ok(Self {
            process: Process::start(&mut command, folder.path().join("log"))?,
            input,
            output,
            _folder: folder,
        })
    }

    /// Its process.
    pub fn pids(&self) -> Vec<u32> {
        self.process.pids()
    }
}

/// The URI of a caller.
pub fn caller(at: SocketAddr, stream_id: &str, passphrase: Option<&str>) -> String {
    uri(at, "caller", &format!("&streamid={stream_id}"), passphrase)
}

fn uri(at: SocketAddr, mode: &str, more: &str, passphrase: Option<&str>) -> String {
    let secret = passphrase.map_or(String::new(), |p| {
        format!("&passphrase={}&pbkeylen=16", p.replace(' ', "_"))
    });
    format!("srt://{at}?mode={mode}&latency={LATENCY_MS}{more}{secret}")
}

fn free_address() -> Result<SocketAddr> {
    let free = UdpSocket::bind("127.0.0.1:0").and_then(|s| s.local_addr());
    free.map_err(|e| format!("no free port: {e}"))
}

/// One that is fed or read by this program; dropping it ends it.
#[derive(Debug)]
pub struct Transmit(Child);

impl Transmit {
    /// From one URI to another.
    pub fn start(from: &str, to: &str) -> Result<Self> {
        let mut command = Command::new(SRT_LIVE_TRANSMIT);
        command.args(["-q", CHUNK, from, to]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let child = command.stderr(Stdio::null()).spawn();
        child
            .map(Self)
            .map_err(|e| format!("cannot start {SRT_LIVE_TRANSMIT}: {e}"))
    }

    /// What it reads from `file://con`.
    pub fn stdin(&mut self) -> Result<ChildStdin> {
        self.0.stdin.take().ok_or_else(|| "no pipe".into())
    }
}

impl Drop for Transmit {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Plays a stream, and counts it.
#[derive(Debug)]
pub struct Reader {
    /// Ended first, so that a read from it ends too.
    transmit: Option<Transmit>,
    got: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Reader {
    /// Plays `uri`.
    pub fn start(uri: &str) -> Result<Self> {
        let mut transmit = Transmit::start(uri, "file://con")?;
        let pipe = transmit.0.stdout.take();
        let mut pipe = pipe.ok_or("no pipe")?;
        let got: Arc<AtomicU64> = Arc::default();
        let counted = got.clone();
        let thread = std::thread::spawn(move || {
            let (mut counter, mut bytes) = (Counter::new(), vec![0; 64 << 10]);
            while let Ok(len @ 1..) = pipe.read(&mut bytes) {
                counted.store(counter.take(&bytes[..len]).video, Ordering::Relaxed);
            }
        });
        Ok(Self {
            transmit: Some(transmit),
            got,
            thread: Some(thread),
        })
    }

    /// What it has got.
    pub fn count(&self) -> Count {
        Count {
            video: self.got.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.transmit = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
