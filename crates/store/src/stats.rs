//! Counters of the store, for `/metrics`.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters since the start of the program. The names of the metrics are the binary's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Appends completed: data, index and sample tables.
    pub appends: u64,
    /// Bytes appended.
    pub append_bytes: u64,
    /// Appends that failed.
    pub append_errors: u64,
    /// Segments listed.
    pub segments: u64,
    /// Segments listed before their append had completed, because it failed or took too
    /// long.
    pub segments_unstored: u64,
    /// Broadcasts whose recording stopped before their end.
    pub recordings_stopped: u64,
    /// Syncs of the whole data directory, and of files at their end.
    pub syncs: u64,
    /// Files opened for readers.
    pub handle_opens: u64,
    /// Files deleted by retention, three per numbered set.
    pub files_deleted: u64,
    /// Bytes waiting to be appended now.
    pub queue_bytes: u64,
}

/// The counters behind [`Stats`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) appends: AtomicU64,
    pub(crate) append_bytes: AtomicU64,
    pub(crate) append_errors: AtomicU64,
    pub(crate) segments: AtomicU64,
    pub(crate) segments_unstored: AtomicU64,
    pub(crate) recordings_stopped: AtomicU64,
    pub(crate) syncs: AtomicU64,
    pub(crate) handle_opens: AtomicU64,
    pub(crate) files_deleted: AtomicU64,
    pub(crate) queue_bytes: AtomicU64,
}

impl Counters {
    pub(crate) fn read(&self) -> Stats {
        let get = |c: &AtomicU64| c.load(Ordering::Relaxed);
        Stats {
            appends: get(&self.appends),
            append_bytes: get(&self.append_bytes),
            append_errors: get(&self.append_errors),
            segments: get(&self.segments),
            segments_unstored: get(&self.segments_unstored),
            recordings_stopped: get(&self.recordings_stopped),
            syncs: get(&self.syncs),
            handle_opens: get(&self.handle_opens),
            files_deleted: get(&self.files_deleted),
            queue_bytes: get(&self.queue_bytes),
        }
    }
}

/// Adds to a counter.
pub(crate) fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Ordering::Relaxed);
}
