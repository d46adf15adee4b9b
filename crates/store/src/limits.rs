//! Every maximum of this crate.

use std::time::Duration;

/// Most bytes of one data file: 2 GiB. Offsets inside a file are kept in 32 bits, so that
/// a segment beyond the live window costs 48 bytes of memory: a week of 4 s segments is
/// 7.3 MB per track.
pub const FILE_BYTES_MAX: u64 = 2 << 30;

/// Hard end of a data file, in bytes, if no segment boundary comes: appends behind it stop
/// the recording. Leaves 2 GiB for the segment that was open when the file became full.
pub const FILE_BYTES_HARD: u64 = u32::MAX as u64;

/// Most bytes of a chunk: 64 MiB. At the 500 ms of a part that is 1 Gbit/s.
pub const CHUNK_BYTES_MAX: usize = 64 << 20;

/// Most samples of a segment. 10 s of 300 pictures per second, or of AAC at 96 kHz (938
/// frames), stay far below; at 16 B each it bounds a sample table to 1 MiB.
pub const SEGMENT_SAMPLES_MAX: usize = 65_536;

/// Most chunks of a segment: 10 s of one-frame chunks at 120 pictures per second. At about
/// 150 B each, 300 KiB.
pub const SEGMENT_CHUNKS_MAX: usize = 2048;

/// Most bytes of a segment: 256 MiB, 10 s at 214 Mbit/s. While it is open and cannot be
/// appended it is held in memory.
pub const SEGMENT_BYTES_MAX: u64 = 256 << 20;

/// Most bytes waiting to be appended, per track: 32 MiB, 5 s at 50 Mbit/s. Beyond it the
/// disk is too slow: recording of the broadcast stops.
pub const QUEUE_BYTES_MAX: usize = 32 << 20;

/// Most appends waiting, per track. A job is about 200 B without its payload.
pub const QUEUE_JOBS_MAX: usize = 1024;

/// Shortest time between two lines of the log about late segments of one broadcast. Two tracks
/// with segments of 2 s have 10 in that time, and no more memory is needed than for a count.
pub const LATE_LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Most payload bytes per broadcast that stay in memory once its recording has stopped:
/// 256 MiB, the default window at 34 Mbit/s. Beyond it the oldest segments fall out of
/// the playlist early.
pub const MEMORY_BYTES_MAX: u64 = 256 << 20;

/// Longest time that ending a broadcast waits for its log to be sealed.
pub const SEAL_WAIT: Duration = Duration::from_secs(5);

/// Most tracks of a broadcast (`protocols.md` §18).
pub const TRACKS_MAX: usize = 16;

/// Most init sections of a track in one broadcast. At about 1 KiB each, 4 MiB. A publisher
/// that changes its configuration more often is refused.
pub const INITS_MAX: usize = 4096;

/// Most data with a time of a broadcast that are in memory: 20 breaks an hour, with their ends,
/// for two days. At [`weir_media::limits::DATUM_BYTES_MAX`] each 8 MiB; as they are in practice
/// 300 KiB.
pub const DATA_MAX: usize = 2048;

/// Most bytes of an init section.
pub const INIT_BYTES_MAX: usize = 256 * 1024;

/// Segments that are moved together from full to compact form once they have left the live
/// window. Up to so many per track keep their chunk list and sample table longer: about
/// 150 KiB of memory for video at 30 pictures per second.
pub const BLOCK_SEGMENTS: usize = 32;

/// Most file handles kept open for readers. Beyond it the one longest unused is closed. A
/// process may open 1,024 files by default; sockets need the rest.
pub const HANDLES_MAX: usize = 256;

/// Most workers that may wait for news: one bit each.
pub const WORKERS_MAX: usize = 64;

/// Most requests waiting for the thread that creates files: one per track, as when all streams
/// of a full machine begin or are sealed together. Each is below 1 KiB.
pub const FILE_REQUESTS_MAX: usize = 16_384;

/// Longest target duration, in seconds (`design.md` §7.1): recovered segments are not made
/// longer where the log does not tell what it was.
pub const TARGET_DURATION_MAX: u32 = 10;

/// Bytes of a data file read at a time when a log is recovered, and so the memory needed;
/// it grows to [`CHUNK_BYTES_MAX`] if one chunk is larger.
pub const RECOVERY_WINDOW_BYTES: usize = 4 << 20;

/// Most bytes of an index read at open. A file holds an hour; at one-frame chunks and 120
/// pictures per second that are 432,000 chunk records, 27 MiB.
pub const INDEX_BYTES_MAX: u64 = 256 << 20;
