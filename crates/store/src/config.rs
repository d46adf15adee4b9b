//! What the operator decides.

use crate::limits;
use std::path::PathBuf;
use std::time::Duration;

/// How a [`crate::Library`] is run.
#[derive(Debug, Clone)]
pub struct LibraryConfig {
    /// Data directory. Logs go below `streams/` in it.
    pub data: PathBuf,
    /// Media listed in a live playlist, default 60 s. It never lists less than three target
    /// durations (HLS bis §6.2.2).
    pub window: Duration,
    /// Age at which closed files are deleted; `None` keeps them until the disk is full.
    pub keep: Option<Duration>,
    /// Share of the disk, in percent, below which the oldest closed files go. Default 5.
    pub free_disk_percent_min: u8,
    /// Longest time the listing of a closed segment waits for its append, default 150 ms.
    /// After it the segment is listed all the same, and served from memory.
    pub segment_wait: Duration,
    /// Longest time an append may take, default 10 s. After it, or when more waits than
    /// [`limits::QUEUE_BYTES_MAX`], recording of that broadcast stops and the stream goes on.
    pub stall_wait: Duration,
    /// Most bytes of one data file, default 2 GiB. A new file starts at a segment boundary
    /// before it is reached.
    pub file_bytes_max: u64,
    /// Most media time in one file, default 1 h.
    pub file_duration_max: Duration,
}

impl LibraryConfig {
    /// The defaults, in the directory `data`.
    #[must_use]
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self {
            data: data.into(),
            window: Duration::from_secs(60),
            keep: None,
            free_disk_percent_min: 5,
            // The first playlist is due 200 ms after its segment; 50 ms are for all else.
            segment_wait: Duration::from_millis(150),
            stall_wait: Duration::from_secs(10),
            file_bytes_max: limits::FILE_BYTES_MAX,
            file_duration_max: Duration::from_secs(3600),
        }
    }
}
