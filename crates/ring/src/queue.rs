//! The two queues of a ring: submission with a backlog, completion, and the one system call.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use io_uring::{IoUring, squeue, types};

use crate::Config;
use crate::error::Unavailable;

/// `IORING_ENTER_GETEVENTS`: run deferred task work and deliver completions.
const ENTER_GETEVENTS: u32 = 1;
/// `IORING_ENTER_EXT_ARG` (5.11): the argument is a [`WaitArgument`].
const ENTER_EXT_ARG: u32 = 1 << 3;
/// `IORING_ENTER_REGISTERED_RING` (5.18): the descriptor is an index of registered rings.
const ENTER_REGISTERED_RING: u32 = 1 << 4;
/// `IORING_REGISTER_RING_FDS` and `IORING_UNREGISTER_RING_FDS` (5.18).
const REGISTER_RING_FDS: u32 = 20;
const UNREGISTER_RING_FDS: u32 = 21;

/// `struct io_uring_getevents_arg`.
#[repr(C)]
struct WaitArgument {
    sigmask: u64,
    sigmask_len: u32,
    /// `min_wait_usec` since Linux 6.12: not used.
    reserved: u32,
    /// The address of a [`types::Timespec`], relative.
    timespec: u64,
}

/// `struct io_uring_rsrc_update`.
#[repr(C)]
struct RingUpdate {
    /// In: any slot (all ones), or the slot to free. Out: the slot.
    offset: u32,
    reserved: u32,
    data: u64,
}

/// One completion, copied out of the ring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Completion {
    pub(crate) user_data: u64,
    pub(crate) result: i32,
    pub(crate) flags: u32,
}

/// How long an enter may sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Not at all: other work is waiting.
    Poll,
    /// Until a completion, or at most this long.
    For(Duration),
    /// Until a completion.
    Forever,
}

pub(crate) struct Queue {
    ring: IoUring,
    /// Submissions that met a full queue, oldest first. Bounded by the tables of those who submit.
    backlog: VecDeque<squeue::Entry>,
    /// The ring's slot among the thread's registered rings: saves a descriptor look-up per enter.
    slot: Option<u32>,
    /// Submissions whose last completion has not been read.
    pub(crate) in_flight: usize,
    pub(crate) enters: u64,
    pub(crate) submissions: u64,
    pub(crate) deferred: u64,
}

impl Queue {
    pub(crate) fn new(config: &Config) -> Result<Self, Unavailable> {
        let ring = build(config.sq_entries, config.cq_entries)?;
        let mut workers = [config.iowq_bounded.max(1), config.iowq_unbounded.max(1)];
        ring.submitter()
            .register_iowq_max_workers(&mut workers)
            .map_err(|e| Unavailable::from_os("IORING_REGISTER_IOWQ_MAX_WORKERS", e))?;
        let slot = register_ring(ring.as_raw_fd());
        Ok(Self {
            ring,
            slot,
            backlog: VecDeque::new(),
            in_flight: 0,
            enters: 0,
            submissions: 0,
            deferred: 0,
        })
    }

    pub(crate) fn ring(&self) -> &IoUring {
        &self.ring
    }

    /// Queues a submission. It reaches the kernel with the next enter; a full queue is submitted at
    /// once, and what still does not fit waits in the backlog in order.
    ///
    /// # Safety
    /// Whatever the entry points to stays valid and unmoved until its last completion was read.
    pub(crate) unsafe fn push(&mut self, entry: squeue::Entry) {
        self.in_flight += 1;
        self.submissions += 1;
        if self.backlog.is_empty() {
            // SAFETY: the caller keeps the entry's memory valid until the last completion.
            if unsafe { self.ring.submission().push(&entry) }.is_ok() {
                return;
            }
            // An error leaves the queue full, which the second push meets.
            let _ = self.submit();
            // SAFETY: as above.
            if unsafe { self.ring.submission().push(&entry) }.is_ok() {
                return;
            }
        }
        self.deferred += 1;
        self.backlog.push_back(entry);
    }

    /// Submits, delivers completions, and sleeps as `wait` says.
    ///
    /// # Errors
    /// Only what no retry mends; interruptions and shortages that pass are taken as a plain return.
    pub(crate) fn enter(&mut self, wait: Wait) -> io::Result<()> {
        // A backlog left after a submission means the kernel takes no more before completions are
        // read: then this may not sleep.
        let wait = if self.drain_backlog() {
            wait
        } else {
            Wait::Poll
        };
        self.enters += 1;
        let result = match wait {
            Wait::Poll => self.submit(),
            Wait::Forever => self.call(1, None),
            Wait::For(duration) => self.call(1, Some(duration)),
        };
        match result.as_ref().map_err(io::Error::raw_os_error) {
            Err(Some(libc::EINTR | libc::ETIME | libc::EAGAIN | libc::EBUSY)) => Ok(()),
            _ => result,
        }
    }

    /// Appends all completions that are there to `out`.
    pub(crate) fn completions(&mut self, out: &mut Vec<Completion>) {
        let before = out.len();
        out.extend(self.ring.completion().map(|entry| Completion {
            user_data: entry.user_data(),
            result: entry.result(),
            flags: entry.flags(),
        }));
        let last = |c: &&Completion| !io_uring::cqueue::more(c.flags);
        self.in_flight -= out[before..]
            .iter()
            .filter(last)
            .count()
            .min(self.in_flight);
    }

    fn submit(&mut self) -> io::Result<()> {
        self.call(0, None)
    }

    /// `io_uring_enter`, with all that is queued.
    fn call(&mut self, wanted: u32, timeout: Option<Duration>) -> io::Result<()> {
        let queued = self.ring.submission().len() as u32;
        let (fd, registered) = match self.slot {
            Some(slot) => (slot as i32, ENTER_REGISTERED_RING),
            None => (self.ring.as_raw_fd(), 0),
        };
        let flags = ENTER_GETEVENTS | ENTER_EXT_ARG | registered;
        let timespec = timeout.map(types::Timespec::from);
        let argument = WaitArgument {
            sigmask: 0,
            sigmask_len: 0,
            reserved: 0,
            timespec: timespec
                .as_ref()
                .map_or(0, |timespec| std::ptr::from_ref(timespec) as u64),
        };
        // SAFETY: the argument and the time it points to live until the call returns; the queued
        // entries are valid as whoever pushed them promised.
        let result = unsafe {
            libc::syscall(
                libc::SYS_io_uring_enter,
                fd,
                queued,
                wanted,
                flags,
                &raw const argument,
                size_of::<WaitArgument>(),
            )
        };
        if result < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        }
    }

    /// Moves the backlog into the queue; true when none is left.
    fn drain_backlog(&mut self) -> bool {
        while let Some(entry) = self.backlog.front() {
            // SAFETY: whoever pushed the entry keeps its memory valid until the last completion.
            if unsafe { self.ring.submission().push(entry) }.is_ok() {
                self.backlog.pop_front();
                continue;
            }
            if self.submit().is_err() || self.ring.submission().is_full() {
                return false;
            }
        }
        true
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // The registration holds the ring open until its thread ends.
        if let Some(slot) = self.slot {
            let mut update = RingUpdate {
                offset: slot,
                reserved: 0,
                data: 0,
            };
            ring_update(self.ring.as_raw_fd(), UNREGISTER_RING_FDS, &mut update);
        }
    }
}

/// Registers a ring with its thread. A kernel that refuses, as all slots (16) are taken, costs only
/// speed.
fn register_ring(fd: RawFd) -> Option<u32> {
    let mut update = RingUpdate {
        offset: u32::MAX,
        reserved: 0,
        data: fd as u64,
    };
    ring_update(fd, REGISTER_RING_FDS, &mut update).then_some(update.offset)
}

fn ring_update(fd: RawFd, operation: u32, update: &mut RingUpdate) -> bool {
    // SAFETY: one update is passed, which lives until the call returns.
    let done = unsafe {
        libc::syscall(
            libc::SYS_io_uring_register,
            fd,
            operation,
            std::ptr::from_mut(update),
            1,
        )
    };
    done == 1
}

/// Sets up a ring with weir's flags. `DEFER_TASKRUN` makes Linux 6.1 the floor.
pub(crate) fn build(sq_entries: u32, cq_entries: u32) -> Result<IoUring, Unavailable> {
    IoUring::builder()
        .setup_single_issuer() // 6.0
        .setup_coop_taskrun() // 5.19
        .setup_defer_taskrun() // 6.1
        .setup_submit_all() // 5.18
        .setup_cqsize(cq_entries) // 5.5
        .dontfork()
        .build(sq_entries)
        .map_err(|e| Unavailable::from_os("io_uring_setup", e))
}
