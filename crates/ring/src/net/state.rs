//! What the ring knows of a stream, and its multishot receive.
//!
//! A stream's receive is armed by the first read and stays armed. What arrives is queued in the
//! shared buffers until it is read. The receive pauses in two cases: the stream's own queue is full
//! (it is cancelled, so that TCP pushes back), or no buffer is free (the stream joins the waiting
//! list).

use std::os::fd::{AsRawFd, OwnedFd};
use std::task::Waker;

use bytes::Bytes;
use io_uring::{cqueue, opcode, types};

use crate::buffers::GROUP;
use crate::driver::{Driver, Effect};
use crate::limits;
use crate::net::idle::Parked;
use crate::op::Tag;
use crate::slab::Key;

/// No link.
pub(crate) const NONE: u32 = u32::MAX;

/// One unread receive.
pub(crate) struct Received {
    next: u32,
    pub(crate) data: ReceivedData,
}

pub(crate) enum ReceivedData {
    /// The first `len` bytes of shared buffer `id`.
    Shared {
        id: u16,
        len: u32,
    },
    Heap(Bytes),
}

/// How receiving ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Open,
    Eof,
    /// The errno.
    Failed(i32),
}

/// The receive is in the kernel.
pub(crate) const ARMED: u16 = 1;
/// Its cancellation was queued.
pub(crate) const CANCELLING: u16 = 1 << 1;
/// The stream is in the waiting list for buffers.
pub(crate) const STARVED: u16 = 1 << 2;
/// A send was abandoned or failed: nothing may follow it.
pub(crate) const BROKEN: u16 = 1 << 3;
/// No handle is left; the descriptor is closed when nothing is in flight.
pub(crate) const CLOSING: u16 = 1 << 4;
/// A detach or close waits for the end of what is in flight.
pub(crate) const LEAVING: u16 = 1 << 5;
/// The stream is in the list of parked streams with news.
pub(crate) const READY: u16 = 1 << 6;
/// The stream is in the idle wheel.
pub(crate) const TIMED: u16 = 1 << 7;
/// A send is under way.
pub(crate) const SENDING: u16 = 1 << 8;

/// An entry of the stream table. All that an idle connection costs, beside its parked closure.
pub(crate) struct StreamState {
    pub(crate) fd: OwnedFd,
    /// The reader, or who waits for the stream's end.
    pub(crate) waker: Option<Waker>,
    pub(crate) parked: Option<Parked>,
    first: u32,
    last: u32,
    pub(crate) queued: u16,
    /// Operations and receives in the kernel.
    pub(crate) in_flight: u16,
    flags: u16,
    pub(crate) end: End,
    /// Links and time of the idle wheel.
    pub(crate) wheel_next: u32,
    pub(crate) wheel_before: u32,
    pub(crate) wheel_tick: u32,
}

impl StreamState {
    pub(crate) fn new(fd: OwnedFd) -> Self {
        Self {
            fd,
            waker: None,
            parked: None,
            first: NONE,
            last: NONE,
            queued: 0,
            in_flight: 0,
            flags: 0,
            end: End::Open,
            wheel_next: NONE,
            wheel_before: NONE,
            wheel_tick: 0,
        }
    }

    pub(crate) fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    pub(crate) fn set(&mut self, flag: u16) {
        self.flags |= flag;
    }

    pub(crate) fn clear(&mut self, flag: u16) {
        self.flags &= !flag;
    }

    /// Whether no more is to be received before something is read. Who sends and does not read
    /// meanwhile may be a while, and its peer may go on: it gets little.
    fn is_full(&self, max: u16) -> bool {
        let is_sending_only = self.has(SENDING) && self.waker.is_none();
        self.queued
            >= match is_sending_only {
                true => max.min(limits::RECV_QUEUE_SENDING_MAX),
                false => max,
            }
    }

    pub(crate) fn has_news(&self) -> bool {
        self.queued > 0 || self.end != End::Open
    }
}

impl Driver {
    /// Arms the receive of a stream that has none.
    pub(crate) fn arm_receive(&mut self, key: Key) {
        let Some(stream) = self.streams.get_mut(key) else {
            return;
        };
        if stream.has(ARMED | STARVED | CLOSING) || stream.end != End::Open {
            return;
        }
        stream.set(ARMED);
        stream.in_flight += 1;
        let fd = types::Fd(stream.fd.as_raw_fd());
        let entry = opcode::RecvMulti::new(fd, GROUP).build();
        // SAFETY: the memory is the buffer ring's, which outlives the ring; the stream keeps the
        // descriptor open while something is in flight.
        unsafe { self.push(entry.user_data(Tag::Receive.with(key))) };
    }

    /// Asks for the end of a stream's receive, if it has one.
    pub(crate) fn cancel_receive(&mut self, key: Key) {
        let Some(stream) = self.streams.get_mut(key) else {
            return;
        };
        if stream.has(ARMED) && !stream.has(CANCELLING) {
            stream.set(CANCELLING);
            self.push_cancel(Tag::Receive.with(key), Tag::CancelReceive.with(key));
        }
    }

    /// The oldest unread receive, out of the queue.
    pub(crate) fn pop_received(&mut self, key: Key) -> Option<ReceivedData> {
        let stream = self.streams.get_mut(key)?;
        let first = self.received.key_at(stream.first)?;
        let received = self.received.remove(first)?;
        stream.first = received.next;
        stream.queued -= 1;
        if stream.queued == 0 {
            stream.last = NONE;
        }
        Some(received.data)
    }

    pub(crate) fn push_received(&mut self, key: Key, data: ReceivedData) {
        let Some(stream) = self.streams.get_mut(key) else {
            return;
        };
        let Ok(received) = self.received.insert(Received { next: NONE, data }) else {
            return;
        };
        match self.received.at_mut(stream.last) {
            Some(last) => last.next = received.index,
            None => stream.first = received.index,
        }
        stream.last = received.index;
        stream.queued = stream.queued.saturating_add(1);
    }

    /// Puts data before all that is unread.
    pub(crate) fn unread(&mut self, key: Key, bytes: Bytes) {
        let Some(stream) = self.streams.get_mut(key) else {
            return;
        };
        let data = ReceivedData::Heap(bytes);
        let next = stream.first;
        let is_first = stream.queued == 0;
        let next = if is_first { NONE } else { next };
        let Ok(received) = self.received.insert(Received { next, data }) else {
            return;
        };
        stream.first = received.index;
        if is_first {
            stream.last = received.index;
        }
        stream.queued = stream.queued.saturating_add(1);
    }

    /// Lets a stream go: its unread data is dropped, its descriptor closed once nothing is in
    /// flight. What was on the heap is handed out to be dropped outside.
    pub(crate) fn begin_close(&mut self, key: Key) -> Vec<Bytes> {
        let mut heap = Vec::new();
        while let Some(data) = self.pop_received(key) {
            match data {
                ReceivedData::Shared { id, .. } => self.buffers.give_back(id),
                ReceivedData::Heap(bytes) => heap.push(bytes),
            }
        }
        self.leave_starved(key);
        self.cancel_receive(key);
        let Some(stream) = self.streams.get_mut(key) else {
            return heap;
        };
        stream.set(CLOSING);
        if stream.in_flight == 0 {
            self.streams.remove(key);
        }
        heap
    }

    /// Takes a stream off the waiting list for buffers.
    pub(crate) fn leave_starved(&mut self, key: Key) {
        if let Some(stream) = self.streams.get_mut(key)
            && stream.has(STARVED)
        {
            stream.clear(STARVED);
            self.starved.retain(|other| *other != key);
        }
    }

    /// A completion of a multishot receive.
    pub(crate) fn on_receive(
        &mut self,
        key: Key,
        result: i32,
        flags: u32,
        effects: &mut Vec<Effect>,
    ) {
        let buffer = cqueue::buffer_select(flags);
        if buffer.is_some() {
            self.buffers.taken();
        }
        let closing = match self.streams.get_mut(key) {
            None => true,
            Some(stream) => {
                if !cqueue::more(flags) {
                    stream.clear(ARMED | CANCELLING);
                    stream.in_flight = stream.in_flight.saturating_sub(1);
                }
                stream.has(CLOSING)
            }
        };
        if closing {
            buffer.into_iter().for_each(|id| self.buffers.give_back(id));
            self.finish_close(key, effects);
            return;
        }
        match (buffer, u32::try_from(result)) {
            (Some(id), Ok(len @ 1..)) => self.queue_received(key, id, len),
            (Some(id), _) => self.buffers.give_back(id),
            (None, _) => {}
        }
        match result {
            1.. => {}
            0 => self.end_receive(key, End::Eof),
            _ if -result == libc::ENOBUFS => self.starve(key),
            // Cancelled by us, or interrupted: the next read arms again.
            _ if matches!(-result, libc::ECANCELED | libc::EINTR | libc::EAGAIN) => {}
            _ => self.end_receive(key, End::Failed(-result)),
        }
        self.tell(key, effects);
    }

    /// The answer to a cancellation of a receive.
    pub(crate) fn on_cancel_receive(&mut self, key: Key, result: i32) {
        let Some(stream) = self.streams.get_mut(key) else {
            return;
        };
        // Not found: it had ended, or was between two states. It is asked again next turn, unless
        // its end arrives in this batch.
        if result < 0 && stream.has(ARMED) && stream.has(CANCELLING) {
            stream.clear(CANCELLING);
            self.over.push(key);
        }
    }

    /// A one-shot operation of a stream ended.
    pub(crate) fn on_stream_operation(&mut self, key: Key, effects: &mut Vec<Effect>) {
        let Some(stream) = self.streams.get_mut(key) else {
            return;
        };
        stream.in_flight = stream.in_flight.saturating_sub(1);
        if stream.has(CLOSING) {
            self.finish_close(key, effects);
        } else if stream.in_flight == 0 && stream.has(LEAVING) {
            effects.extend(stream.waker.take().map(Effect::Wake));
        }
    }

    /// Cancels the receives of streams whose queues are full still.
    pub(crate) fn throttle(&mut self) {
        while let Some(key) = self.over.pop() {
            let Some(stream) = self.streams.get_mut(key) else {
                continue;
            };
            let full = stream.is_full(self.recv_queue_max);
            if full && stream.has(ARMED) && !stream.has(CANCELLING) {
                self.stats.recv_throttled += 1;
            }
            if full || stream.has(CLOSING | LEAVING) {
                self.cancel_receive(key);
            }
        }
    }

    /// Arms the receives that wait for buffers, as many as there are buffers: more would end at
    /// once.
    pub(crate) fn feed_starved(&mut self) {
        let mut free = self.buffers.free();
        while free > 0
            && let Some(key) = self.starved.pop_front()
        {
            if let Some(stream) = self.streams.get_mut(key) {
                stream.clear(STARVED);
                self.arm_receive(key);
                free -= 1;
            }
        }
    }

    fn queue_received(&mut self, key: Key, id: u16, len: u32) {
        let Some(stream) = self.streams.get_mut(key) else {
            return;
        };
        // Nobody reads it now and buffers are short: the data waits on the heap, so that streams
        // that do not read cannot starve those that do. A parked stream reads when its send is
        // over, which is up to its peer.
        let idle = match stream.parked {
            Some(_) => stream.has(SENDING),
            None => stream.waker.is_none(),
        };
        let data = if idle && self.buffers.is_low() {
            self.stats.recv_spilled += 1;
            let copy = self.buffers.copy(id, len);
            self.buffers.give_back(id);
            ReceivedData::Heap(copy)
        } else {
            ReceivedData::Shared { id, len }
        };
        self.push_received(key, data);
        // What was put back, or came with a stream from elsewhere, counts too: it may be more.
        if let Some(stream) = self.streams.get_mut(key)
            && stream.is_full(self.recv_queue_max)
            && !stream.has(CANCELLING)
        {
            self.over.push(key);
        }
    }

    fn end_receive(&mut self, key: Key, end: End) {
        if let Some(stream) = self.streams.get_mut(key)
            && stream.end == End::Open
        {
            stream.end = end;
        }
    }

    /// No buffer was free. A stream that someone waits for joins the waiting list; another is armed
    /// again by its next read.
    fn starve(&mut self, key: Key) {
        self.stats.recv_starved += 1;
        let Some(stream) = self.streams.get_mut(key) else {
            return;
        };
        let wanted = stream.waker.is_some() || stream.parked.is_some();
        if wanted && stream.queued == 0 && !stream.has(STARVED | LEAVING | ARMED) {
            stream.set(STARVED);
            self.starved.push_back(key);
        }
    }

    /// Tells whoever waits for a stream about its news.
    fn tell(&mut self, key: Key, effects: &mut Vec<Effect>) {
        let Some(stream) = self.streams.get_mut(key) else {
            return;
        };
        if stream.parked.is_some() {
            if stream.has(SENDING) {
                // Told when the send is over: what came meanwhile is the next request.
            } else if stream.has_news() {
                self.announce(key);
            } else if !stream.has(ARMED | STARVED) {
                self.arm_receive(key);
            }
        } else if stream.has_news() || !stream.has(ARMED | STARVED) {
            effects.extend(stream.waker.take().map(Effect::Wake));
        }
    }

    /// Closes a stream's descriptor if nothing is in flight any more.
    fn finish_close(&mut self, key: Key, effects: &mut Vec<Effect>) {
        let Some(stream) = self.streams.get_mut(key) else {
            return;
        };
        if stream.has(CLOSING) && stream.in_flight == 0 {
            effects.extend(stream.waker.take().map(Effect::Wake));
            self.streams.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_costs_no_more_than_its_documented_size() {
        assert!(
            size_of::<Option<StreamState>>() <= 80,
            "{}",
            size_of::<Option<StreamState>>()
        );
    }
}
