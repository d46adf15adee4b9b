//! Every maximum and wait of this crate.

use std::time::Duration;

/// A keep-alive connection without a request is closed after this.
pub const IDLE_WAIT: Duration = Duration::from_secs(30);

/// A request's head must be complete this long after its first byte.
pub const HEAD_WAIT: Duration = Duration::from_secs(10);

/// Bytes of a request body that are read over to keep the connection; a longer body closes
/// it.
pub const DRAIN_BYTES_MAX: u64 = 64 * 1024;

/// Largest piece of an answer that is sent under one deadline. A piece is a memory gather or
/// a sendfile call; memory pieces are references, so this costs nothing.
pub const SEND_PIECE_BYTES: u64 = 512 * 1024;

/// Time to send one piece: 10 s for each 64 KiB (`protocols.md` §18).
pub const SEND_PIECE_WAIT: Duration = Duration::from_secs(80);

/// Longest time that a first request waits for content to come: below the 10 s after which
/// hls.js gives up on a first byte.
pub const HOLD_WAIT: Duration = Duration::from_secs(9);

/// Ranges of logs that are known to be in the page cache: 24 bytes each, 96 KiB per worker.
pub const HOT_ENTRIES: usize = 4096;

/// How long a range is taken to be there. A page that was just used is not the next to go.
pub const HOT_WAIT: Duration = Duration::from_secs(1);

/// Bytes that one cold read brings into the page cache.
pub const COLD_READ_BYTES: u64 = 256 * 1024;

/// Cold reads of one worker at once, each with a buffer of [`COLD_READ_BYTES`] (2 MiB in all) and
/// a kernel thread. Fewer than the ring has threads, so that appends find one.
pub const COLD_READS_MAX: usize = 8;

/// Largest body of an answer that leaves without a task: its memory is held until the peer takes
/// it or the connection's idle time is over.
pub const QUICK_BYTES_MAX: u64 = 64 * 1024;

/// A TLS handshake, and a PROXY header before it, must be complete this long after the connection
/// was accepted.
pub const HANDSHAKE_WAIT: Duration = Duration::from_secs(10);

/// Bytes of access-log lines that a worker gathers before it hands them on.
pub const LOG_BATCH_BYTES: usize = 32 * 1024;

/// Longest time that it gathers them.
pub const LOG_TICK: Duration = Duration::from_secs(1);

/// Batches that wait for the disk: 2 MiB for all workers together. What comes when they are full
/// is dropped and counted: a log must not stop delivery.
pub const LOG_BATCHES_QUEUED_MAX: usize = 64;

/// Addresses whose request rate one worker remembers, below 100 bytes each.
pub const RATE_ADDRESSES_MAX: usize = 65_536;

/// Answers' heads share buffers of so many bytes, which live as long as one of the answers: what
/// a slow reader may hold of them.
pub const HEAD_ARENA_BYTES: usize = 4096;

/// Bodies up to so many bytes are copied behind their heads. A copy of 1 KB costs 30 ns, a second
/// buffer in a send 80.
pub const INLINE_BYTES_MAX: usize = 2048;

/// Different statuses that are counted; weir answers with fewer.
pub const STATUS_MAX: usize = 32;

/// Streams whose delivery one worker counts apart, about 200 bytes each. Past it those that
/// nobody watches begin anew.
pub const STREAMS_COUNTED_MAX: usize = 4096;

/// Requests that one worker holds at once. Each costs its connection and a task, below
/// 4 KiB; beyond it the answer is an immediate 404 that tells clients to come back.
pub const HELD_MAX: usize = 16_384;

/// Muxed TS segments that one worker keeps, in bytes.
pub const TS_CACHE_BYTES: usize = 32 << 20;

/// TS segments that one worker muxes at once. Each holds its inputs and its output, about
/// twice the segment: 6 MB each at 12 Mbit/s and 4 s.
pub const TS_MUXING_MAX: usize = 4;

/// Longest segment that is muxed to TS, in bytes of its tracks together.
pub const TS_SEGMENT_BYTES_MAX: u64 = 64 << 20;

/// Rendered playlists that one worker keeps. A live playlist is below 4 KiB; a week's whole
/// one 10 MiB.
pub const PLAYLISTS_MAX: usize = 1024;

/// Bytes of rendered playlists that one worker keeps.
pub const PLAYLIST_BYTES_MAX: usize = 32 << 20;

/// How long a drain waits for answers that are under way.
pub const DRAIN_WAIT: Duration = Duration::from_secs(5);

/// How often it looks.
pub const DRAIN_TICK: Duration = Duration::from_millis(20);

/// How long a connection that is closed is read from, so that the last answer arrives.
pub const LINGER_WAIT: Duration = Duration::from_secs(2);

/// Bytes that are read meanwhile and thrown away.
pub const LINGER_BYTES_MAX: usize = 8 << 20;
