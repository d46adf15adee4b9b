//! Counters of a runtime.

use crate::local::Local;

/// Counters of one runtime since its start. All only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// `io_uring_enter` calls.
    pub enters: u64,
    /// Completions read.
    pub completions: u64,
    /// Submissions queued.
    pub submissions: u64,
    /// Submissions that met a full queue and waited in the backlog.
    pub submissions_deferred: u64,
    /// Receives that ended because no buffer was free.
    pub recv_starved: u64,
    /// Unread receives copied to the heap to free their buffer.
    pub recv_spilled: u64,
    /// Receives cancelled because a stream's queue of unread data was full.
    pub recv_throttled: u64,
    /// UDP receives that ended because no buffer was free; what came waits in the kernel.
    pub udp_starved: u64,
    /// UDP receives cancelled because a socket's queue of unread data was full.
    pub udp_throttled: u64,
    /// UDP receives that failed, by what the network said of an earlier datagram, or that were
    /// longer than a buffer. They were dropped.
    pub udp_receive_errors: u64,
    /// Batches of datagrams sent.
    pub udp_batches: u64,
    /// Datagrams dropped because the socket took none for too long.
    pub udp_dropped: u64,
    /// Batches that the kernel refused to send.
    pub udp_send_errors: u64,
    /// Batches that the kernel did not segment, and that were sent one by one.
    pub udp_unsegmented: u64,
    /// Sockets accepted.
    pub accepted: u64,
    /// Connections closed at once because [`crate::limits::STREAMS_MAX`] were open.
    pub accepts_refused: u64,
    /// Pauses of an accept for lack of descriptors or memory.
    pub accept_backoffs: u64,
    /// Sends of parked streams begun ([`crate::net::TcpStream::send_and_park`]).
    pub parked_sends: u64,
    /// Of those, how many are over.
    pub parked_sends_over: u64,
    /// Tasks spawned.
    pub spawned: u64,
    /// Tasks refused because [`crate::limits::TASKS_MAX`] were alive.
    pub spawns_refused: u64,
    /// Tasks that panicked; each was dropped and the runtime went on.
    pub panics: u64,
    /// Wake-ups by other threads that had to interrupt a sleeping ring.
    pub remote_wakes: u64,
}

/// The counters of the current runtime.
///
/// # Panics
/// Outside of [`crate::Runtime::block_on`].
pub fn stats() -> Stats {
    Local::current().stats()
}
