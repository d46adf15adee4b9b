//! What a runtime is built with.

use crate::limits;

/// Settings of a [`crate::Runtime`]. The defaults fit a worker that serves thousands of
/// connections.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Submission queue entries; a power of two. Default [`limits::SQ_ENTRIES`].
    pub sq_entries: u32,
    /// Completion queue entries; a power of two of at least `sq_entries`. Default
    /// [`limits::CQ_ENTRIES`].
    pub cq_entries: u32,
    /// Receive buffers shared by all streams; rounded up to a power of two, at most
    /// [`limits::RECV_BUFFERS_MAX`]. Default [`limits::RECV_BUFFERS`].
    pub recv_buffers: u16,
    /// Length of a receive buffer in bytes, 64 to [`limits::RECV_BUFFER_LEN_MAX`]. Default
    /// [`limits::RECV_BUFFER_LEN`].
    pub recv_buffer_len: u32,
    /// Receives a stream may have queued unread. Default [`limits::RECV_QUEUE_MAX`].
    pub recv_queue_max: u16,
    /// Receive buffers of [`limits::UDP_BUFFER_LEN`] bytes shared by all UDP sockets; rounded up to
    /// a power of two, at most [`limits::RECV_BUFFERS_MAX`]. They are made with the first UDP
    /// socket. Default [`limits::UDP_BUFFERS`].
    pub udp_buffers: u16,
    /// Kernel threads for file work. Default [`limits::IOWQ_BOUNDED`].
    pub iowq_bounded: u32,
    /// Kernel threads for other work. Default [`limits::IOWQ_UNBOUNDED`].
    pub iowq_unbounded: u32,
    /// Pins the calling thread, and the ring's kernel threads, to this processor. Default: no
    /// pinning.
    pub cpu: Option<usize>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            sq_entries: limits::SQ_ENTRIES,
            cq_entries: limits::CQ_ENTRIES,
            recv_buffers: limits::RECV_BUFFERS,
            recv_buffer_len: limits::RECV_BUFFER_LEN,
            recv_queue_max: limits::RECV_QUEUE_MAX,
            udp_buffers: limits::UDP_BUFFERS,
            iowq_bounded: limits::IOWQ_BOUNDED,
            iowq_unbounded: limits::IOWQ_UNBOUNDED,
            cpu: None,
        }
    }
}

impl Config {
    /// The same settings, pinned to processor `cpu`.
    pub fn on_cpu(mut self, cpu: usize) -> Self {
        self.cpu = Some(cpu);
        self
    }
}
