//! Every maximum and default of the ring, with unit, reason and worst-case memory.

use std::time::Duration;

/// Submission queue entries of a ring, by default. 64 bytes each: 64 KiB. A full queue costs one
/// extra system call, so this only has to cover a usual turn.
pub const SQ_ENTRIES: u32 = 1024;

/// Completion queue entries of a ring, by default. 16 bytes each: 128 KiB. Large, because a full
/// completion queue ends every multishot request that meets it.
pub const CQ_ENTRIES: u32 = 8192;

/// Receive buffers of a runtime, by default; a power of two, at most [`RECV_BUFFERS_MAX`]. With
/// [`RECV_BUFFER_LEN`] 16 MiB of address space, of which only pages that were received into count:
/// 4 MiB where all messages are small.
pub const RECV_BUFFERS: u16 = 1024;

/// The kernel's limit on the entries of a provided-buffer ring.
pub const RECV_BUFFERS_MAX: u16 = 32768;

/// Length of one receive buffer in bytes, by default. 16 KiB holds a TLS record or four RTMP
/// chunks of the usual size. A bulk stream takes up to 32 per poll: longer would save it little.
pub const RECV_BUFFER_LEN: u32 = 16 * 1024;

/// Largest accepted [`RECV_BUFFER_LEN`]: with the most buffers, 32 GiB of address space.
pub const RECV_BUFFER_LEN_MAX: u32 = 1 << 20;

/// Bytes added to the stride between receive buffers: five cache lines. At a power-of-two stride
/// the first lines of all buffers share 8 of the 2048 sets of a 2 MiB L2 and evict each other.
pub(crate) const RECV_BUFFER_COLOUR: usize = 5 * 64;

/// Receives a connection may have queued unread, by default, before its receive is cancelled and
/// TCP pushes back. The kernel may add what one poll already delivered (32 more). Unread data
/// leaves the shared buffers for the heap once half of them are taken: at worst 48 x 16 KiB per
/// connection.
pub const RECV_QUEUE_MAX: u16 = 16;

/// The same for a connection that sends, and nobody reads from meanwhile: what it has is enough to
/// go on with.
pub const RECV_QUEUE_SENDING_MAX: u16 = 2;

/// Receive buffers for UDP of a runtime, by default. With [`UDP_BUFFER_LEN`] 17 MiB of address
/// space, of which only pages that were received into count. At 1 Gbit/s of datagrams that the
/// kernel does not join, they are 2.7 ms.
pub const UDP_BUFFERS: u16 = 256;

/// Length of one of these buffers in bytes: the most that the kernel joins (64 KiB, `UDP_GRO`), the
/// longest address and the control message that says where to cut.
pub const UDP_BUFFER_LEN: u32 = 64 * 1024 + 128;

/// Receives that a UDP socket may have queued unread before its receive is cancelled; what follows
/// waits in the socket's buffer in the kernel, which drops what it has no room for.
pub const UDP_QUEUE_MAX: usize = 64;

/// UDP sockets of a runtime. About 200 bytes each.
pub const UDP_SOCKETS_MAX: u32 = 65_536;

/// Bytes that a UDP socket may have on their way to the kernel. They wait only while its send
/// buffer is full; more are dropped.
pub const UDP_SEND_BYTES_MAX: usize = 16 << 20;

/// Datagrams in one batch: `UDP_MAX_SEGMENTS` of kernels before 6.9.
pub const UDP_BATCH_DATAGRAMS_MAX: usize = 64;

/// Bytes in one batch: the longest that an IPv4 datagram could be, as the kernel counts it.
pub const UDP_BATCH_BYTES_MAX: usize = 65_507;

/// Batches kept for reuse in a runtime: 16 MiB if all were full once.
pub(crate) const UDP_BATCHES_KEPT: usize = 256;

/// Tasks alive in a runtime. 40 bytes each beside its future: 40 MiB. Also bounds the wake-up
/// bitmap (128 KiB). More are refused and counted ([`crate::Stats::spawns_refused`]).
pub const TASKS_MAX: u32 = (1 << 20) - 1;

/// Operations in flight in a runtime, receives and accepts not counted. About 100 bytes each.
pub const OPS_MAX: u32 = 1 << 20;

/// Streams of a runtime, parked ones included. 80 bytes each: 80 MiB.
pub const STREAMS_MAX: u32 = 1 << 20;

/// Listeners of a runtime.
pub const LISTENERS_MAX: u32 = 1024;

/// Timers of a runtime. About 56 bytes each: 56 MiB.
pub const TIMERS_MAX: u32 = 1 << 20;

/// Accepted sockets waiting in a listener for `accept`: beyond it the accept is cancelled until
/// they are taken. One poll of the kernel takes its whole backlog at once, so that much may come on
/// top.
pub const ACCEPT_QUEUE_MAX: usize = 256;

/// Pause after the process or the machine ran out of descriptors or memory in accept.
pub const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// Tasks polled between two visits to the kernel. At some 2 us each half a millisecond, which
/// bounds how long a finished receive waits for notice.
pub const TASKS_PER_TURN: usize = 256;

/// Bytes one `sendfile` moves before other tasks get their turn: about 250 us at 8 GB/s.
pub const SENDFILE_PER_POLL: u64 = 2 << 20;

/// Bytes in one send or write operation; longer ones are split. Results are signed 32 bit.
pub const IO_LEN_MAX: usize = 1 << 30;

/// Buffers in one gather operation (`UIO_MAXIOV`); more are split. 16 bytes each.
pub const IOV_MAX: usize = 1024;

/// Gather descriptors kept for reuse in a runtime; each keeps at most [`IOV_KEPT_MAX`] entries.
pub(crate) const GATHERS_KEPT: usize = 256;

/// Entries a kept gather descriptor may have: 48 bytes each, 768 KiB for all kept ones.
pub(crate) const IOV_KEPT_MAX: usize = 64;

/// Bytes of one file read.
pub const READ_MAX: usize = 64 << 20;

/// Granularity of idle deadlines of parked streams. One turn of the wheel is 512 ticks, 65 s.
pub const IDLE_TICK: Duration = Duration::from_millis(128);

/// Runtimes alive in the process.
pub const RUNTIMES_MAX: usize = 1024;

/// Kernel threads doing bounded work (regular files) for one ring, by default.
///
/// Some of them may wait for a slow disk at the same time; the rest appends.
pub const IOWQ_BOUNDED: u32 = 16;

/// Kernel threads doing unbounded work (anything else) for one ring, by default. Sockets never need
/// one: they poll.
pub const IOWQ_UNBOUNDED: u32 = 2;

/// Longest wait of a dropped runtime for operations to end. Sockets end at once; a file operation
/// on a disk that hangs may not, and its memory is then leaked rather than freed under the kernel.
pub const REAP_WAIT: Duration = Duration::from_secs(10);

/// Values a receiver takes in a row before it lets other tasks run.
pub(crate) const CHANNEL_STREAK: u32 = 256;

/// Capacity of a channel.
pub const CHANNEL_CAPACITY_MAX: usize = 1 << 20;

/// Distance between the pages that a residency probe looks at: the default read-ahead window.
pub(crate) const RESIDENCY_STRIDE: u64 = 128 * 1024;
