//! Idle streams: parked without a task, with a receive armed and a coarse deadline.

use std::net::Shutdown;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;
use socket2::SockRef;

use crate::driver::Driver;
use crate::limits;
use crate::local::Local;
use crate::net::TcpStream;
use crate::net::send;
use crate::net::state::{BROKEN, End, NONE, READY, SENDING, StreamState, TIMED};
use crate::slab::{Key, Slab};

/// What ended the rest of a parked stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Data is there to be received.
    Data,
    /// The peer closed its side; nothing is unread.
    Eof,
    /// The connection failed; `recv` gives the error.
    Failed,
    /// The deadline passed. If a send was under way, the connection is shut down.
    TimedOut,
}

/// What runs when a parked stream has news.
pub(crate) type Parked = Box<dyn FnOnce(TcpStream, Readiness)>;

impl TcpStream {
    /// Parks the stream without a task: `wake` runs on the runtime, outside of any task, when data,
    /// the end or an error arrives, or `deadline` passed. It should do little: most likely it
    /// spawns.
    ///
    /// The deadline is coarse: it strikes up to [`limits::IDLE_TICK`] late, never early. A parked
    /// stream costs 80 bytes in the runtime's table plus what `wake` captures (a captureless
    /// closure or function costs nothing), and no receive buffer. When the runtime ends, `wake` is
    /// dropped uncalled and the stream closed. A panic in `wake` is counted like a task's.
    pub fn when_readable(
        self,
        deadline: Option<Instant>,
        wake: impl FnOnce(TcpStream, Readiness) + 'static,
    ) {
        self.park(deadline, Box::new(wake));
    }

    /// Sends all of `bufs` and parks the stream meanwhile and after, as
    /// [`TcpStream::when_readable`] does: no task waits for the send. `wake` runs once all is sent
    /// and there is news, or when the send fails or the deadline passes.
    ///
    /// The send has no deadline of its own, so what a slow peer may hold is for the caller to
    /// bound: the buffers live until they are sent.
    pub fn send_and_park(
        self,
        bufs: impl IntoIterator<Item = Bytes>,
        deadline: Option<Instant>,
        wake: impl FnOnce(TcpStream, Readiness) + 'static,
    ) {
        // A stream that cannot send has ended for its peer: `wake` is told so at once.
        send::parked(&self, bufs);
        self.park(deadline, Box::new(wake));
    }

    fn park(self, deadline: Option<Instant>, wake: Parked) {
        let (local, key) = self.into_parts();
        let mut driver = local.driver.borrow_mut();
        let stopped = driver.queue.is_none();
        let Some(stream) = driver.streams.get_mut(key).filter(|_| !stopped) else {
            drop(driver);
            drop(TcpStream::from_parts(local, key));
            return;
        };
        stream.waker = None;
        stream.parked = Some(wake);
        let is_told = stream.has_news() || stream.has(BROKEN);
        if is_told && !stream.has(SENDING) {
            driver.announce(key);
            return;
        }
        if let Some(deadline) = deadline {
            let Driver { wheel, streams, .. } = &mut *driver;
            wheel.insert(streams, key.index, deadline);
        }
        driver.arm_receive(key);
    }
}

impl Driver {
    /// Notes that a parked stream has news, once.
    pub(crate) fn announce(&mut self, key: Key) {
        let Some(stream) = self.streams.get_mut(key) else {
            return;
        };
        if !stream.has(READY) {
            stream.set(READY);
            self.ready.push_back(key);
        }
    }

    /// The send of a parked stream ended.
    pub(crate) fn on_parked_send(&mut self, key: Key, result: i32, len: usize) {
        let Some(stream) = self.streams.get_mut(key) else {
            return;
        };
        stream.clear(SENDING);
        if usize::try_from(result) != Ok(len) {
            // A partial count means that the peer is gone.
            let errno = if result < 0 { -result } else { libc::EPIPE };
            stream.set(BROKEN);
            stream.end = End::Failed(errno);
        }
        if stream.parked.is_none() {
            return;
        }
        if stream.has_news() {
            self.announce(key);
        } else {
            self.arm_receive(key);
        }
    }

    /// Notes the parked streams whose deadline has passed.
    pub(crate) fn expire_parked(&mut self, now: Instant) {
        let mut expired = Vec::new();
        self.wheel.expire(&mut self.streams, now, &mut expired);
        for index in expired {
            if let Some(key) = self.streams.key_at(index) {
                self.announce(key);
            }
        }
    }

    /// Ends the rest of a parked stream; its closure is handed out.
    pub(crate) fn unpark(&mut self, key: Key) -> Option<Parked> {
        let stream = self.streams.get_mut(key)?;
        stream.clear(READY);
        let parked = stream.parked.take();
        if stream.has(TIMED) {
            self.wheel.remove(&mut self.streams, key.index);
        }
        self.leave_starved(key);
        parked
    }

    fn next_ready(&mut self) -> Option<(Key, Parked, Readiness)> {
        while let Some(key) = self.ready.pop_front() {
            let Some(parked) = self.unpark(key) else {
                continue;
            };
            let Some(stream) = self.streams.get(key) else {
                continue;
            };
            let readiness = match stream.end {
                _ if stream.has(SENDING) => {
                    self.give_up_sending(key);
                    Readiness::TimedOut
                }
                _ if stream.has(BROKEN) => Readiness::Failed,
                _ if stream.queued > 0 => Readiness::Data,
                End::Eof => Readiness::Eof,
                End::Failed(_) => Readiness::Failed,
                End::Open => Readiness::TimedOut,
            };
            return Some((key, parked, readiness));
        }
        None
    }

    /// The peer took nothing for too long: the shutdown ends the send that the kernel holds.
    fn give_up_sending(&mut self, key: Key) {
        if let Some(stream) = self.streams.get_mut(key) {
            stream.set(BROKEN);
            stream.end = End::Failed(libc::ETIMEDOUT);
            let _ = SockRef::from(&stream.fd).shutdown(Shutdown::Both);
        }
    }
}

impl Local {
    /// Runs the closures of parked streams with news, up to the cap of a turn.
    pub(crate) fn run_ready(self: &Rc<Self>) {
        let count = self.driver.borrow().ready.len().min(limits::TASKS_PER_TURN);
        for _ in 0..count {
            let next = self.driver.borrow_mut().next_ready();
            let Some((key, parked, readiness)) = next else {
                break;
            };
            let stream = TcpStream::from_parts(self.clone(), key);
            if catch_unwind(AssertUnwindSafe(|| parked(stream, readiness))).is_err() {
                self.executor.borrow_mut().panics += 1;
            }
        }
    }
}

const SLOTS: usize = 512;
const WORDS: usize = SLOTS / 64;

/// A hashed wheel of idle deadlines. Streams are linked into the slot of their tick through the
/// stream table, so a deadline costs no memory of its own. A deadline further than one turn of the
/// wheel (65 s) is looked at once per turn.
pub(crate) struct Wheel {
    epoch: Instant,
    /// The next tick to look at.
    tick: u32,
    heads: Box<[u32; SLOTS]>,
    /// One bit per slot that is not empty.
    occupied: [u64; WORDS],
}

impl Wheel {
    pub(crate) fn new(epoch: Instant) -> Self {
        Self {
            epoch,
            tick: 0,
            heads: Box::new([NONE; SLOTS]),
            occupied: [0; WORDS],
        }
    }

    /// When the next slot that is not empty is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        let tick = self.next_tick()?;
        Some(self.epoch + limits::IDLE_TICK * tick)
    }

    /// The first tick from `self.tick` on whose slot is not empty. At most one turn ahead.
    fn next_tick(&self) -> Option<u32> {
        let start = self.tick as usize % SLOTS;
        let (word, bit) = (start / 64, start % 64);
        // The word of the start is looked at twice: first from the bit on, last up to it.
        for step in 0..=WORDS {
            let index = (word + step) % WORDS;
            let mask = match step {
                0 => u64::MAX << bit,
                WORDS => !(u64::MAX << bit),
                _ => u64::MAX,
            };
            let found = self.occupied[index] & mask;
            if found != 0 {
                let slot = index * 64 + found.trailing_zeros() as usize;
                let ahead = (slot + SLOTS - start) % SLOTS;
                return self.tick.checked_add(ahead as u32);
            }
        }
        None
    }

    fn insert(&mut self, streams: &mut Slab<StreamState>, index: u32, deadline: Instant) {
        let since = deadline.saturating_duration_since(self.epoch).as_millis();
        let tick = since.div_ceil(limits::IDLE_TICK.as_millis());
        let tick = u32::try_from(tick).unwrap_or(u32::MAX).max(self.tick);
        let slot = tick as usize % SLOTS;
        let next = self.heads[slot];
        if let Some(next) = streams.at_mut(next) {
            next.wheel_before = index;
        }
        let Some(stream) = streams.at_mut(index) else {
            return;
        };
        stream.set(TIMED);
        stream.wheel_tick = tick;
        stream.wheel_next = next;
        stream.wheel_before = NONE;
        self.heads[slot] = index;
        self.occupied[slot / 64] |= 1 << (slot % 64);
    }

    fn remove(&mut self, streams: &mut Slab<StreamState>, index: u32) {
        let Some(stream) = streams.at_mut(index) else {
            return;
        };
        stream.clear(TIMED);
        let (before, next) = (stream.wheel_before, stream.wheel_next);
        let slot = stream.wheel_tick as usize % SLOTS;
        if let Some(next) = streams.at_mut(next) {
            next.wheel_before = before;
        }
        match streams.at_mut(before) {
            Some(before) => before.wheel_next = next,
            None => self.heads[slot] = next,
        }
        if self.heads[slot] == NONE {
            self.occupied[slot / 64] &= !(1 << (slot % 64));
        }
    }

    /// Removes what is due and appends its indices to `expired`.
    fn expire(&mut self, streams: &mut Slab<StreamState>, now: Instant, expired: &mut Vec<u32>) {
        let since = now.saturating_duration_since(self.epoch).as_millis();
        let reached = since / limits::IDLE_TICK.as_millis();
        let reached = u32::try_from(reached).unwrap_or(u32::MAX);
        while let Some(tick) = self.next_tick()
            && tick <= reached
        {
            let mut index = self.heads[tick as usize % SLOTS];
            while let Some(stream) = streams.at_mut(index) {
                let (next, due) = (stream.wheel_next, stream.wheel_tick <= reached);
                if due {
                    expired.push(index);
                    self.remove(streams, index);
                }
                index = next;
            }
            self.tick = tick.saturating_add(1);
        }
        self.tick = self.tick.max(reached.saturating_add(1));
    }
}
