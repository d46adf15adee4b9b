//! The access log: lines are written by the worker that served, and reach the disk by a thread.

use crate::counters::Counters;
use crate::limits::{LOG_BATCH_BYTES, LOG_BATCHES_QUEUED_MAX, LOG_FINISH_WAIT, LOG_TICK};
use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
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
    work: SyncSender<Work>,
    reopen: Arc<AtomicBool>,
    /// Until somebody waits for its end.
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

/// What the thread is given.
#[derive(Debug)]
enum Work {
    Lines(Batch),
    /// Nothing comes after it.
    End,
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
        let (work, given) = sync_channel(LOG_BATCHES_QUEUED_MAX);
        let reopen = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&reopen);
        let thread = std::thread::Builder::new()
            .name("access-log".into())
            .spawn(move || write_all(path, file, &given, &asked))?;
        Ok(Self {
            format,
            work,
            reopen,
            thread: Arc::new(Mutex::new(Some(thread))),
        })
    }

    /// Opens the file anew before the next write: after it was renamed, for rotation.
    pub fn reopen(&self) {
        self.reopen.store(true, Ordering::Release);
    }

    /// Waits until all lines that were handed over are written, and ends the thread. For the end of
    /// the program: later lines are dropped. False if that took longer than [`LOG_FINISH_WAIT`].
    #[must_use]
    pub fn finish(&self) -> bool {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(thread) = thread.take() else {
            return true;
        };
        let deadline = Instant::now() + LOG_FINISH_WAIT;
        let mut end = Some(Work::End);
        while !thread.is_finished() {
            if Instant::now() > deadline {
                return false;
            }
            if let Some(work) = end.take()
                && let Err(TrySendError::Full(work)) = self.work.try_send(work)
            {
                end = Some(work);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        thread.join().is_ok()
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

fn write_all(
    path: Option<PathBuf>,
    mut file: Option<File>,
    given: &Receiver<Work>,
    reopen: &AtomicBool,
) {
    while let Ok(Work::Lines(batch)) = given.recv() {
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
            && let Err(e) = self.log.work.try_send(Work::Lines(batch))
            && let TrySendError::Full(Work::Lines(batch))
            | TrySendError::Disconnected(Work::Lines(batch)) = e
        {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_lines_are_written_when_the_thread_has_ended() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("access.log");
        let log = AccessLog::open(&path, LogFormat::Combined).unwrap();
        let counters = Counters::new(1);
        let worker = WorkerLog::new(log.clone(), counters.clone());
        let head = b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n";
        let note = || {
            let client = [192, 0, 2, 1].into();
            let summary = (Status::Ok, 5);
            worker.note(head, "HTTP/1.1", client, false, summary, Instant::now());
        };
        for _ in 0..1000 {
            note();
        }
        worker.flush();
        assert!(log.finish());
        let text = std::fs::read_to_string(&path).unwrap();
        let dropped = counters.log_dropped.get();
        assert_eq!(text.lines().count() as u64 + dropped, 1000);
        note();
        worker.flush();
        assert_eq!(counters.log_dropped.get(), dropped + 1, "nobody takes it");
        assert!(log.finish(), "once more is no fault");
    }
}
