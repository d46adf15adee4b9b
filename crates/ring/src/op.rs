//! Operations that complete once, and what they own until they do.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes};
use io_uring::{opcode, squeue};

use crate::fs::File;
use crate::limits;
use crate::local::Local;
use crate::net::Outgoing;
use crate::slab::{GENERATION_MASK, Key};

/// What a completion is about: the top byte of its user data. Below it stand the generation (24
/// bit) and the index (32 bit) of the object, so that a late completion cannot meet a later object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Tag {
    /// A cancellation that nobody follows up.
    Ignore = 0,
    /// A one-shot operation.
    Operation = 1,
    /// The multishot receive of a stream.
    Receive = 2,
    /// The cancellation of a stream's receive.
    CancelReceive = 3,
    /// The multishot accept of a listener.
    Accept = 4,
    /// The poll of the eventfd that other threads write.
    Wake = 5,
    /// The multishot receive of a UDP socket.
    Datagrams = 6,
    /// Its cancellation.
    CancelDatagrams = 7,
}

impl Tag {
    pub(crate) const fn with(self, key: Key) -> u64 {
        ((self as u64) << 56)
            | (((key.generation & GENERATION_MASK) as u64) << 32)
            | key.index as u64
    }

    pub(crate) const fn split(user_data: u64) -> (Option<Self>, Key) {
        let tag = match user_data >> 56 {
            0 => Some(Self::Ignore),
            1 => Some(Self::Operation),
            2 => Some(Self::Receive),
            3 => Some(Self::CancelReceive),
            4 => Some(Self::Accept),
            5 => Some(Self::Wake),
            6 => Some(Self::Datagrams),
            7 => Some(Self::CancelDatagrams),
            _ => None,
        };
        let generation = (user_data >> 32) as u32 & GENERATION_MASK;
        (
            tag,
            Key {
                index: user_data as u32,
                generation,
            },
        )
    }
}

/// Memory that the kernel may use until the completion.
pub(crate) enum Keep {
    Nothing,
    Bytes(Bytes),
    Gather(Box<Gather>),
    Buffer(Vec<u8>),
    #[expect(dead_code, reason = "only owned, never read back")]
    Address(Box<socket2::SockAddr>),
    Outgoing(Box<Outgoing>),
}

/// A gather list: the buffers, and what describes them to the kernel.
pub(crate) struct Gather {
    bufs: Vec<Bytes>,
    iov: Vec<libc::iovec>,
    header: libc::msghdr,
}

impl Gather {
    pub(crate) fn new() -> Box<Self> {
        // SAFETY: `msghdr` is plain data for which all zeroes is the empty message.
        let header = unsafe { std::mem::zeroed() };
        Box::new(Self {
            bufs: Vec::new(),
            iov: Vec::new(),
            header,
        })
    }

    /// Replaces the buffers; empty ones are left out.
    pub(crate) fn fill(&mut self, bufs: impl IntoIterator<Item = Bytes>) {
        self.bufs.clear();
        self.bufs
            .extend(bufs.into_iter().filter(|buf| !buf.is_empty()));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bufs.is_empty()
    }

    /// Bytes in all buffers.
    pub(crate) fn len(&self) -> usize {
        self.bufs.iter().map(Bytes::len).sum()
    }

    /// Empties it for reuse; false when it grew too large to keep.
    pub(crate) fn recycle(&mut self) -> bool {
        self.bufs.clear();
        self.iov.clear();
        self.bufs.capacity() <= limits::IOV_KEPT_MAX && self.iov.capacity() <= limits::IOV_KEPT_MAX
    }

    /// Describes as many of the buffers as one operation takes. True when these are all.
    pub(crate) fn describe(&mut self) -> bool {
        self.iov.clear();
        let mut room = limits::IO_LEN_MAX;
        for buf in self.bufs.iter().take(limits::IOV_MAX) {
            let len = buf.len().min(room);
            room -= len;
            self.iov.push(libc::iovec {
                iov_base: buf.as_ptr().cast_mut().cast(),
                iov_len: len,
            });
            if room == 0 {
                break;
            }
        }
        self.header.msg_iov = self.iov.as_mut_ptr();
        self.header.msg_iovlen = self.iov.len() as _;
        self.bufs.len() == self.iov.len() && room > 0
    }

    /// Removes `sent` bytes from the front.
    pub(crate) fn advance(&mut self, mut sent: usize) {
        let mut whole = 0;
        for buf in &mut self.bufs {
            if sent < buf.len() {
                buf.advance(sent);
                break;
            }
            sent -= buf.len();
            whole += 1;
        }
        self.bufs.drain(..whole);
    }

    pub(crate) fn header(&self) -> *const libc::msghdr {
        &raw const self.header
    }

    pub(crate) fn iov(&self) -> (*const libc::iovec, u32) {
        (self.iov.as_ptr(), self.iov.len() as u32)
    }
}

pub(crate) enum State {
    /// The kernel has it, and a future waits.
    InFlight(Option<Waker>),
    /// The kernel has it; the future was dropped.
    Orphan,
    /// The kernel has it: the send of so many bytes on a parked stream.
    Parked(usize),
    /// The kernel has it: datagrams of this UDP socket.
    Sent(Key),
    /// Complete, not yet read by its future.
    Done(i32),
}

/// An entry of the operation slab.
pub(crate) struct Operation {
    pub(crate) state: State,
    pub(crate) keep: Keep,
    /// Keeps the descriptor open until the operation was submitted and is complete.
    pub(crate) _file: Option<File>,
    /// The stream that counts this operation.
    pub(crate) stream: Option<Key>,
}

/// The future of one operation: its result, and what it owned.
///
/// Dropping it cancels the operation; the slab keeps what it owns until the completion.
pub(crate) struct InFlight {
    local: Rc<Local>,
    key: Key,
    done: bool,
}

impl InFlight {
    pub(crate) fn new(local: Rc<Local>, key: Key) -> Self {
        Self {
            local,
            key,
            done: false,
        }
    }
}

impl InFlight {
    /// Lets the operation go on without its future, in a state that its completion meets. It was
    /// submitted in this turn, so it cannot be complete yet.
    pub(crate) fn leave(mut self, state: State) {
        self.done = true;
        if let Some(operation) = self.local.driver.borrow_mut().ops.get_mut(self.key) {
            operation.state = state;
        }
    }
}

impl Future for InFlight {
    type Output = (i32, Keep);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut driver = self.local.driver.borrow_mut();
        let Some(operation) = driver.ops.get_mut(self.key) else {
            drop(driver);
            self.done = true;
            return Poll::Ready((-libc::ECANCELED, Keep::Nothing));
        };
        match &mut operation.state {
            State::InFlight(waker) => {
                let old = remember(waker, cx);
                drop(driver);
                drop(old);
                Poll::Pending
            }
            State::Done(result) => {
                let result = *result;
                let operation = driver.ops.remove(self.key);
                drop(driver);
                self.done = true;
                let keep = operation.map_or(Keep::Nothing, |operation| operation.keep);
                Poll::Ready((result, keep))
            }
            State::Orphan | State::Parked(_) | State::Sent(_) => Poll::Pending,
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let mut driver = self.local.driver.borrow_mut();
        let Some(operation) = driver.ops.get_mut(self.key) else {
            return;
        };
        let gone = if matches!(operation.state, State::Done(_)) {
            (driver.ops.remove(self.key), None)
        } else {
            let old = std::mem::replace(&mut operation.state, State::Orphan);
            driver.push_cancel(Tag::Operation.with(self.key), Tag::Ignore.with(self.key));
            (None, Some(old))
        };
        // What was owned may run foreign code when dropped, so the driver is released first.
        drop(driver);
        drop(gone);
    }
}

/// Notes the waker of `cx`; hands back the one it replaces, to be dropped once no borrow is held.
pub(crate) fn remember(slot: &mut Option<Waker>, cx: &Context<'_>) -> Option<Waker> {
    match slot {
        Some(waker) if waker.will_wake(cx.waker()) => None,
        _ => slot.replace(cx.waker().clone()),
    }
}

/// A cancellation of the operation named `target`.
pub(crate) fn cancel_entry(target: u64, user_data: u64) -> squeue::Entry {
    opcode::AsyncCancel::new(target)
        .build()
        .user_data(user_data)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(gather: &Gather) -> Vec<u8> {
        gather
            .bufs
            .iter()
            .flat_map(|buf| buf.iter().copied())
            .collect()
    }

    #[test]
    fn a_gather_list_advances_over_buffers() {
        let mut gather = Gather::new();
        gather.fill(["abc".into(), Bytes::new(), "de".into(), "f".into()]);
        assert!(gather.describe());
        assert_eq!(gather.iov().1, 3);
        gather.advance(2);
        assert_eq!(bytes(&gather), b"cdef");
        gather.advance(3);
        assert_eq!(bytes(&gather), b"f");
        gather.advance(1);
        assert!(gather.is_empty());
    }

    #[test]
    fn a_long_gather_list_is_cut_at_iov_max() {
        let mut gather = Gather::new();
        gather.fill((0..limits::IOV_MAX + 1).map(|_| Bytes::from_static(b"x")));
        assert!(!gather.describe());
        assert_eq!(gather.iov().1 as usize, limits::IOV_MAX);
        gather.advance(limits::IOV_MAX);
        assert!(gather.describe());
        assert_eq!(gather.iov().1, 1);
    }

    #[test]
    fn user_data_names_the_object() {
        let key = Key {
            index: 7,
            generation: 0x00ab_cdef,
        };
        assert_eq!(Tag::split(Tag::Accept.with(key)), (Some(Tag::Accept), key));
        assert_eq!(Tag::split(0xff << 56).0, None);
    }
}
