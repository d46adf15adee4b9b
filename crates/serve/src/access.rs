//! The access log: lines are written by the worker that served, and reach the disk by a thread.

use crate::counters::Counters;
use crate::limits::{LOG_BATCH_BYTES, LOG_BATCHES_QUEUED_MAX, LOG_TICK};
use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use tracing::warn;
use weir_http::log::{Entry, Line};
use weir_http::{Parsed, Status, Version, request};

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// As Apache and nginx write them.
    #[default]
    Combined,
    /// One JSON object per line.
    Json,
}

/// An open access log. Cheap to clone; clones write to the same file.
#[derive(Debug, Clone)]
pub struct AccessLog {
    format: LogFormat,
    lines: SyncSender<Batch>,
    reopen: Arc<AtomicBool>,
}

/// Lines, and how many they are.
#[derive(Debug)]
struct Batch {
    text: String,
    lines: u64,
}

impl AccessLog {
    /// Opens the log at `path`, or standard output for `-`, and starts the thread that writes it.
    ///
    /// # Errors
    /// Those of opening the file for appending, and of starting a thread.
    pub fn open(path: &Path, format: LogFormat) -> io::Result<Self> {
        let path = (path != Path::new("-")).then(|| path.to_owned());
        let file = path.as_deref().map(append).transpose()?;
        let (lines, batches) = sync_channel(LOG_BATCHES_QUEUED_MAX);
        let reopen = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&reopen);
        std::thread::Builder::new()
            .name("access-log".into())
            .spawn(move || write_all(path, file, &batches, &asked))?;
        Ok(Self {
            format,
            lines,
            reopen,
        })
    }

    /// Opens the file anew before the next write: after it was renamed, for rotation.
    pub fn reopen(&self) {
        self.reopen.store(true, Ordering::Release);
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

fn write_all(
    path: Option<PathBuf>,
    mut file: Option<File>,
    batches: &Receiver<Batch>,
    reopen: &AtomicBool,
) {
    while let Ok(batch) = batches.recv() {
        if let Some(path) = &path
            && reopen.swap(false, Ordering::AcqRel)
        {
            match append(path) {
                Ok(new) => file = Some(new),
                Err(e) => warn!("cannot reopen the access log {}: {e}", path.display()),
            }
        }
        let written = match &mut file {
            Some(file) => file.write_all(batch.text.as_bytes()),
            None => io::stdout().write_all(batch.text.as_bytes()),
        };
        if let Err(e) = written {
            warn!("the access log takes no lines: {e}");
        }
    }
}

/// One worker's part: lines that have not been handed to the thread.
pub(crate) struct WorkerLog {
    log: AccessLog,
    pending: RefCell<Batch>,
    counters: Counters,
}

impl WorkerLog {
    pub(crate) fn new(log: AccessLog, counters: Counters) -> Self {
        Self {
            log,
            pending: RefCell::new(Batch::new()),
            counters,
        }
    }

    /// Notes an answer. `head` is the request's, empty if it was not understood. What came over
    /// HTTP/1.1's port may be a request of HTTP/1.0, which its head says.
    pub(crate) fn note(
        &self,
        head: &[u8],
        protocol: &str,
        client: IpAddr,
        tls: bool,
        (status, body_bytes): (Status, u64),
        began: Instant,
    ) {
        let parsed = match request::parse(head) {
            Ok(Parsed::Head { head, .. }) => Some(head),
            _ => None,
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let ms = now.map_or(0, |now| now.as_millis());
        let entry = Entry {
            client,
            time_ms: u64::try_from(ms).unwrap_or(u64::MAX),
            line: parsed.as_ref().map(|request| Line {
                method: request.method.as_str(),
                path: request.path,
                query: request.query,
                protocol: match request.version {
                    Version::Http10 => "HTTP/1.0",
                    Version::Http11 => protocol,
                },
                host: request.host,
            }),
            status: status.code(),
            body_bytes,
            duration_us: u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX),
            referer: parsed.and_then(|request| request.headers.first("referer")),
            user_agent: parsed.and_then(|request| request.headers.first("user-agent")),
            tls,
        };
        let mut pending = self.pending.borrow_mut();
        match self.log.format {
            LogFormat::Combined => entry.write_combined(&mut pending.text),
            LogFormat::Json => entry.write_json(&mut pending.text),
        }
        pending.lines += 1;
        let full = pending.text.len() >= LOG_BATCH_BYTES;
        drop(pending);
        if full {
            self.flush();
        }
    }

    /// Hands the pending lines to the thread; drops and counts them if it is far behind.
    pub(crate) fn flush(&self) {
        let batch = self.pending.replace(Batch::new());
        if batch.lines > 0
            && let Err(e) = self.log.lines.try_send(batch)
        {
            let (std::sync::mpsc::TrySendError::Full(batch)
            | std::sync::mpsc::TrySendError::Disconnected(batch)) = e;
            self.counters.log_dropped.inc_by(batch.lines);
        }
    }

    /// Hands lines to the thread at least once in [`LOG_TICK`].
    pub(crate) async fn flush_forever(&self) {
        loop {
            weir_ring::sleep(LOG_TICK).await;
            self.flush();
        }
    }
}

impl Batch {
    const fn new() -> Self {
        Self {
            text: String::new(),
            lines: 0,
        }
    }
}
