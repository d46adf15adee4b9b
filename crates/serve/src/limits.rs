//! Every maximum and wait of this crate.

use std::time::Duration;

/// A keep-alive connection without a request is closed after this.
pub const IDLE_WAIT: Duration = Duration::from_secs(30);

/// A request's head must be complete this long after its first byte.
pub const HEAD_WAIT: Duration = Duration::from_secs(10);

/// Bytes of a request body that are read over to keep the connection; a longer body closes
/// it.
pub const DRAIN_BYTES_MAX: u64 = 64 * 1024;

/// Bodies from this length on are sent corked (`TCP_CORK`): their packets leave full. Without it,
/// each acknowledgement that comes in meanwhile makes the kernel send the partial packet at hand,
/// and does so under the socket's lock, from the core that took the acknowledgement, while the
/// worker waits for the lock: a quarter of the worker's time at 2 MB on loopback
/// (docs/performance.md). At 64 KB, two packets, corking costs more than it saves.
pub const CORK_BYTES_MIN: u64 = 128 << 10;

/// Largest piece of an answer's file that is sent by one call, and looked for in the page cache at
/// once.
pub const SEND_PIECE_BYTES: u64 = 2 << 20;

/// Memory that is sent under one deadline, as references. Nobody sees how far the kernel is with it.
pub const SEND_BATCH_BYTES: usize = 256 << 10;

/// How long a peer may take nothing, one batch of memory, or under TLS one step of 64 KiB. A socket
/// tells of room once a third of its buffer is free, some 800 KiB on a fast path: at 10 s for each
/// 64 KiB, 125 s.
pub const SEND_PIECE_WAIT: Duration = Duration::from_secs(125);

/// Longest time that a first request waits for content to come: below the 10 s after which
/// hls.js gives up on a first byte.
pub const HOLD_WAIT: Duration = Duration::from_secs(9);

/// Shortest playlist that is compressed: below it the fields about it cost what it saves.
pub const COMPRESS_BYTES_MIN: usize = 512;

/// Longest playlist that is compressed while its request waits, on the worker, once per version: 10
/// ms at this length. A longer one is by a task.
pub const COMPRESS_AT_ONCE_BYTES_MAX: usize = 512 * 1024;

/// Longest playlist that is compressed at all: a week's has 10 MiB. Half of what a worker keeps of
/// rendered playlists.
pub const COMPRESS_BYTES_MAX: usize = PLAYLIST_BYTES_MAX / 2;

/// Bytes of a long playlist that are compressed before the worker does something else: 2 ms.
pub const COMPRESS_STEP_BYTES: usize = 64 * 1024;

/// Long playlists that one worker compresses at once. Each has an encoder, below 4 MiB, and what it
/// made so far.
pub const COMPRESS_TASKS_MAX: usize = 2;

/// Largest range of a log that is sent from memory. Up to here one gather send is cheaper than
/// the head and sendfile: at 1 KB by half, at 16 KB by a tenth.
pub const SMALL_BYTES_MAX: u64 = 16 * 1024;

/// The same under TLS, where a file is read for each answer in any case: kept in memory it is read
/// once for all.
pub const SMALL_TLS_BYTES_MAX: u64 = 64 * 1024;

/// Small ranges that one worker keeps in memory, in bytes.
pub const SMALL_CACHE_BYTES: usize = 16 << 20;

/// Small ranges that one worker keeps in memory. To make room all of them are looked at: 4 us.
pub const SMALL_CACHE_MAX: usize = 1024;

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

/// How long the end of the program waits for the last of them to be written.
pub const LOG_FINISH_WAIT: Duration = Duration::from_secs(2);

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

/// Requests that one worker holds at once for one address (an IPv4 address, or a /64 of IPv6): a
/// sixteenth of all. A low-latency player holds four (two playlists, two parts), and many viewers
/// may share an address behind carrier-grade NAT. Beyond it the answer is 429.
pub const HELD_PER_ADDRESS_MAX: usize = HELD_MAX / 16;

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

/// Streams that an HTTP/2 peer may have open: the least that RFC 9113 section 6.5.2 recommends. An
/// open stream costs its place in the machine, the request's head, and references to its body:
/// below 4 KiB, unless the head is long. 400 KiB per connection.
pub const H2_STREAMS_MAX: u32 = 100;

/// Bytes of an HTTP/2 header list, each field with 32 bytes on top (RFC 9113 section 6.5.2): as
/// much as a head of HTTP/1.1 may have. One that is incomplete is held, once per connection; the
/// CONTINUATION frames that it may come in are bounded with it.
pub const H2_HEADER_LIST_BYTES_MAX: u32 = 32 * 1024;

/// Window of an HTTP/2 stream, and of a connection, for what peers send: the protocol's default.
/// It is what is read over of a request's body before the stream is reset; nothing of it is kept.
pub const H2_WINDOW_BYTES: u32 = 65_535;

/// Streams reset by the peer before they were looked at, at once: all of them came in one receive.
/// More end the connection (rapid reset, CVE-2023-44487).
pub const H2_PENDING_RESETS_MAX: usize = 20;

/// Streams that are reset because of the peer's faults, or refused because too many are open, in
/// the life of a connection. More end it.
pub const H2_LOCAL_RESETS_MAX: usize = 1024;

/// Streams that the peer may reset, within [`H2_RESETS_TIME`], before they are answered. A player
/// that switches renditions or seeks resets a few. More end the connection.
pub const H2_RESETS_MAX: u32 = 200;

/// The time in which resets are counted.
pub const H2_RESETS_TIME: Duration = Duration::from_secs(60);

/// Bytes that an HTTP/2 connection makes before they are sent: what TLS seals and sends in one
/// step, four whole records. Held, together with a chunk of a body, only while the socket takes
/// it: 128 KiB. A peer that does not read is not listened to, so that nothing else grows.
pub const H2_OUTPUT_BYTES_MAX: usize = 64 * 1024;

/// Bytes of a body that are given to HTTP/2 at once: as many as fit, with the heads of their
/// frames, in [`H2_OUTPUT_BYTES_MAX`].
pub const H2_CHUNK_BYTES: usize =
    H2_OUTPUT_BYTES_MAX - (H2_OUTPUT_BYTES_MAX / H2_FRAME_BYTES_MAX + 1) * H2_FRAME_HEAD_BYTES;

/// Payload of an HTTP/2 frame, as far as the peer has not allowed more (RFC 9113 section 4.2).
pub const H2_FRAME_BYTES_MAX: usize = 16 * 1024;

/// Longest `PRIORITY_UPDATE` that is looked into (RFC 9218 section 7.1). Browsers send below 20
/// bytes. One per stream is kept, and as many for streams to come: 24 bytes each.
pub const H2_UPDATE_BYTES_MAX: usize = 256;

/// The head of an HTTP/2 frame (RFC 9113 section 4.1).
pub const H2_FRAME_HEAD_BYTES: usize = 9;

/// Cold reads of one HTTP/2 connection, each with a buffer of [`H2_CHUNK_BYTES`], which is held
/// until it is sent: 128 KiB. Of all connections [`COLD_READS_MAX`] read at once.
pub const H2_COLD_READS_MAX: usize = 2;

/// Buffers of [`H2_OUTPUT_BYTES_MAX`] that a worker keeps for later: 1 MiB.
pub const H2_BUFFERS_KEPT: usize = 16;

/// How long a viewer of live frames may take nothing at all before it is closed
/// (`protocols.md` §18).
pub const LIVE_STALLED_WAIT: Duration = Duration::from_secs(15);

/// Bytes that a viewer of live frames may send behind its request; they are thrown away.
pub const LIVE_TRAILING_BYTES_MAX: usize = 64 << 10;
