//! The tables of a ring, and what each completion does to them.

use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::task::Waker;
use std::time::Instant;

use io_uring::{opcode, squeue, types};

use crate::Config;
use crate::buffers::{BufferRing, GROUP};
use crate::error::{Unavailable, stopped, table_full};
use crate::fs::File;
use crate::limits;
use crate::local::Local;
use crate::net::{ListenerState, Received, StreamState, UdpTable, Wheel};
use crate::op::{Gather, InFlight, Keep, Operation, State, Tag, cancel_entry};
use crate::probe;
use crate::queue::{Completion, Queue};
use crate::slab::{Key, Slab};
use crate::stats::Stats;

/// What is left to do after the driver was released: it all may run foreign code.
pub(crate) enum Effect {
    Wake(Waker),
    Release(Operation),
}

pub(crate) struct Driver {
    /// Absent once the runtime ended.
    pub(crate) queue: Option<Queue>,
    pub(crate) buffers: BufferRing,
    pub(crate) ops: Slab<Operation>,
    pub(crate) streams: Slab<StreamState>,
    /// Unread receives of all streams; each stream links its own.
    pub(crate) received: Slab<Received>,
    pub(crate) listeners: Slab<ListenerState>,
    pub(crate) udp: UdpTable,
    /// Streams whose receive waits for a free buffer, longest first; each flagged and here once.
    pub(crate) starved: VecDeque<Key>,
    /// Streams that exceeded their queue this turn.
    pub(crate) over: Vec<Key>,
    /// Parked streams with news; each flagged and here once.
    pub(crate) ready: VecDeque<Key>,
    pub(crate) wheel: Wheel,
    pub(crate) recv_queue_max: u16,
    pub(crate) stats: Stats,
    /// Descriptors for reuse, in the boxes in which operations keep them at a stable address.
    #[expect(clippy::vec_box, reason = "the box is what is reused")]
    gathers: Vec<Box<Gather>>,
    completions: Vec<Completion>,
    event: i32,
}

impl Driver {
    pub(crate) fn new(config: &Config, event: i32) -> Result<Self, Unavailable> {
        let queue = Queue::new(config)?;
        probe::check_operations(queue.ring())?;
        let buffers = {
            let (count, len) = (config.recv_buffers, config.recv_buffer_len);
            BufferRing::new(queue.ring(), GROUP, count, len)?
        };
        let mut driver = Self {
            queue: Some(queue),
            buffers,
            ops: Slab::new(limits::OPS_MAX),
            streams: Slab::new(limits::STREAMS_MAX),
            // Bounded by the streams and their queues, not by this number.
            received: Slab::new(u32::MAX - 1),
            listeners: Slab::new(limits::LISTENERS_MAX),
            udp: UdpTable::new(config.udp_buffers),
            starved: VecDeque::new(),
            over: Vec::new(),
            ready: VecDeque::new(),
            wheel: Wheel::new(Instant::now()),
            recv_queue_max: config.recv_queue_max.max(1),
            stats: Stats::default(),
            gathers: Vec::new(),
            completions: Vec::with_capacity(256),
            event,
        };
        driver.arm_wake();
        Ok(driver)
    }

    /// Queues an entry whose memory, if it names any, is that of a table of this driver.
    ///
    /// # Safety
    /// As [`Queue::push`].
    pub(crate) unsafe fn push(&mut self, entry: squeue::Entry) {
        if let Some(queue) = &mut self.queue {
            // SAFETY: passed on to the caller.
            unsafe { queue.push(entry) };
        }
    }

    /// Asks for the end of the operation named `target`.
    pub(crate) fn push_cancel(&mut self, target: u64, user_data: u64) {
        // SAFETY: the entry names numbers only.
        unsafe { self.push(cancel_entry(target, user_data)) };
    }

    /// A gather descriptor, reused where one is free.
    pub(crate) fn gather(&mut self) -> Box<Gather> {
        self.gathers.pop().unwrap_or_else(Gather::new)
    }

    /// Work that must precede a sleep of the ring.
    pub(crate) fn before_enter(&mut self) {
        self.throttle();
        self.feed_starved();
        self.feed_starved_udp();
    }

    /// Reads and handles all completions.
    pub(crate) fn handle_completions(&mut self, effects: &mut Vec<Effect>) {
        let Some(queue) = &mut self.queue else {
            return;
        };
        let mut completions = std::mem::take(&mut self.completions);
        queue.completions(&mut completions);
        self.stats.completions += completions.len() as u64;
        for completion in completions.drain(..) {
            self.handle(completion, effects);
        }
        self.completions = completions;
    }

    fn handle(&mut self, completion: Completion, effects: &mut Vec<Effect>) {
        let Completion {
            user_data,
            result,
            flags,
        } = completion;
        let (tag, key) = Tag::split(user_data);
        match tag {
            Some(Tag::Operation) => self.on_operation(key, result, effects),
            Some(Tag::Receive) => self.on_receive(key, result, flags, effects),
            Some(Tag::CancelReceive) => self.on_cancel_receive(key, result),
            Some(Tag::Accept) => self.on_accept(key, result, flags, effects),
            Some(Tag::Datagrams) => self.on_datagrams(key, result, flags, effects),
            Some(Tag::CancelDatagrams) => self.on_cancel_datagrams(key, result),
            Some(Tag::Wake) => {
                self.stats.remote_wakes += 1;
                if !io_uring::cqueue::more(flags) && result != -libc::ECANCELED {
                    self.arm_wake();
                }
            }
            Some(Tag::Ignore) | None => {}
        }
    }

    fn on_operation(&mut self, key: Key, result: i32, effects: &mut Vec<Effect>) {
        let Some(operation) = self.ops.get_mut(key) else {
            return;
        };
        let stream = operation.stream;
        match std::mem::replace(&mut operation.state, State::Done(result)) {
            State::InFlight(waker) => effects.extend(waker.map(Effect::Wake)),
            State::Orphan => effects.extend(self.ops.remove(key).map(Effect::Release)),
            State::Parked(len) => {
                self.stats.parked_sends_over += 1;
                effects.extend(self.ops.remove(key).map(Effect::Release));
                if let Some(stream) = stream {
                    self.on_parked_send(stream, result, len);
                }
            }
            State::Sent(socket) => {
                if let Some(Keep::Outgoing(sent)) = self.ops.remove(key).map(|o| o.keep) {
                    self.on_sent(socket, sent, result);
                }
            }
            State::Done(_) => {}
        }
        if let Some(stream) = stream {
            self.on_stream_operation(stream, effects);
        }
    }

    fn arm_wake(&mut self) {
        let none = Key {
            index: 0,
            generation: 0,
        };
        let entry = opcode::PollAdd::new(types::Fd(self.event), libc::POLLIN as u32).multi(true);
        // SAFETY: the entry points to no memory, and the eventfd outlives the ring.
        unsafe { self.push(entry.build().user_data(Tag::Wake.with(none))) };
    }
}

impl Local {
    /// Starts an operation.
    ///
    /// # Errors
    /// When the runtime has stopped or its table is full.
    ///
    /// # Safety
    /// The entry's pointers lead only into heap memory owned by `keep`, which therefore does not
    /// move with it; its descriptor is that of `file` or of `stream`.
    pub(crate) unsafe fn submit(
        self: &Rc<Self>,
        entry: squeue::Entry,
        keep: Keep,
        file: Option<File>,
        stream: Option<Key>,
    ) -> io::Result<InFlight> {
        let mut driver = self.driver.borrow_mut();
        let operation = Operation {
            state: State::InFlight(None),
            keep,
            _file: file,
            stream,
        };
        let refused = if driver.queue.is_none() {
            Err((stopped(), operation))
        } else {
            let full = |operation| (table_full("too many operations in flight"), operation);
            driver.ops.insert(operation).map_err(full)
        };
        match refused {
            Ok(key) => {
                if let Some(state) = stream.and_then(|stream| driver.streams.get_mut(stream)) {
                    state.in_flight += 1;
                }
                // SAFETY: the slab keeps `keep` until the completion; its heap memory is stable.
                unsafe { driver.push(entry.user_data(Tag::Operation.with(key))) };
                Ok(InFlight::new(self.clone(), key))
            }
            Err((error, operation)) => {
                drop(driver);
                drop(operation);
                Err(error)
            }
        }
    }

    /// Starts the send of a stream that is parked: nobody awaits it.
    ///
    /// # Errors
    /// As [`Local::submit`].
    ///
    /// # Safety
    /// As [`Local::submit`].
    pub(crate) unsafe fn submit_parked(
        self: &Rc<Self>,
        entry: squeue::Entry,
        keep: Keep,
        stream: Key,
        len: usize,
    ) -> io::Result<()> {
        // SAFETY: as the caller says.
        let operation = unsafe { self.submit(entry, keep, None, Some(stream)) }?;
        operation.leave(State::Parked(len));
        self.driver.borrow_mut().stats.parked_sends += 1;
        Ok(())
    }

    /// Hands a gather descriptor back for reuse.
    pub(crate) fn recycle(&self, mut gather: Box<Gather>) {
        // Drops the buffers before the driver is borrowed.
        if gather.recycle() {
            let mut driver = self.driver.borrow_mut();
            if driver.gathers.len() < limits::GATHERS_KEPT {
                driver.gathers.push(gather);
            }
        }
    }

    /// Carries out what completions asked for.
    pub(crate) fn apply(&self, effects: &mut Vec<Effect>) {
        for effect in effects.drain(..) {
            match effect {
                Effect::Wake(waker) => waker.wake(),
                Effect::Release(operation) => match operation.keep {
                    Keep::Gather(gather) => self.recycle(gather),
                    keep => drop(keep),
                },
            }
        }
    }
}
