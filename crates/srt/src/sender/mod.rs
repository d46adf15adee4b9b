//! What is to be sent, and what was sent and may be asked for again.

mod pacing;
mod repeats;

use crate::limits::RING_PACKETS_MIN;
use crate::packet::{LossList, MessageFlags};
use crate::seq::Seq;
use crate::timing::us;
use bytes::Bytes;
pub(crate) use pacing::LOWER_HEADERS_BYTES;
use pacing::Pacer;
use repeats::Repeats;
use std::collections::VecDeque;
use std::time::Duration;
use weir_media::Mono;

pub use pacing::Bandwidth;

/// One packet to be sent.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) seq: Seq,
    pub(crate) message: MessageFlags,
    pub(crate) timestamp: u32,
    pub(crate) payload: Bytes,
}

#[derive(Debug)]
struct Slot {
    payload: Bytes,
    message: MessageFlags,
    timestamp: u32,
    /// It stands in the queue of losses.
    lost: bool,
    queued_at: Mono,
    sent_at: Mono,
}

/// What happened, in packets and bytes of payload, since the start.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) sent_packets: u64,
    pub(crate) sent_bytes: u64,
    pub(crate) retransmitted_packets: u64,
    pub(crate) retransmitted_bytes: u64,
    pub(crate) lost_packets: u64,
    pub(crate) dropped_packets: u64,
    pub(crate) dropped_bytes: u64,
}

/// The sending half of a connection.
#[derive(Debug)]
pub(crate) struct Sender {
    /// Number of the first packet of `slots`: all before it are acknowledged or given up.
    first: Seq,
    slots: VecDeque<Slot>,
    /// How many of `slots` were sent at least once.
    sent: usize,
    /// Numbers whose slot is marked lost, oldest report first. May also hold numbers that are
    /// acknowledged by now.
    losses: VecDeque<Seq>,
    capacity: usize,
    flow_window: u32,
    pacer: Pacer,
    drop_after: Duration,
    /// When the peer's acknowledgement went on, or something was sent into an empty pipe.
    progress_at: Mono,
    probes: u32,
    repeats: Repeats,
    buffered_bytes: usize,
    pub(crate) counts: Counts,
}

impl Sender {
    pub(crate) fn new(
        first: Seq,
        capacity: u32,
        flow_window: u32,
        bandwidth: Bandwidth,
        drop_after: Duration,
        now: Mono,
    ) -> Self {
        Self {
            first,
            slots: VecDeque::new(),
            sent: 0,
            losses: VecDeque::new(),
            capacity: capacity as usize,
            flow_window,
            pacer: Pacer::new(bandwidth, now),
            drop_after,
            progress_at: now,
            probes: 0,
            repeats: Repeats::new(capacity),
            buffered_bytes: 0,
            counts: Counts::default(),
        }
    }

    /// Oldest packet that may be asked for.
    pub(crate) fn first(&self) -> Seq {
        self.first
    }

    /// Number that the next packet given to [`Self::push`] will have.
    pub(crate) fn next_seq(&self) -> Seq {
        self.first.plus(self.slots.len() as u32)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.slots.len() >= self.capacity
    }

    /// Packets sent and neither acknowledged nor given up.
    pub(crate) fn in_flight(&self) -> usize {
        self.sent
    }

    /// Packets and bytes that are kept.
    pub(crate) fn buffered(&self) -> (usize, usize) {
        (self.slots.len(), self.buffered_bytes)
    }

    /// Time between the oldest and the newest packet that is kept.
    pub(crate) fn buffered_time(&self) -> Duration {
        match (self.slots.front(), self.slots.back()) {
            (Some(front), Some(back)) => back.queued_at.since(front.queued_at),
            _ => Duration::ZERO,
        }
    }

    pub(crate) fn bytes_per_s(&self) -> u64 {
        self.pacer.bytes_per_s()
    }

    /// Takes a packet to be sent; the caller has seen that there is room.
    pub(crate) fn push(
        &mut self,
        payload: Bytes,
        message: MessageFlags,
        timestamp: u32,
        now: Mono,
    ) {
        if self.slots.capacity() == 0 {
            self.slots.reserve(RING_PACKETS_MIN);
        }
        self.pacer.input(payload.len(), now);
        self.buffered_bytes += payload.len();
        self.slots.push_back(Slot {
            payload,
            message,
            timestamp,
            lost: false,
            queued_at: now,
            sent_at: now,
        });
    }

    /// The next packet that may be sent now: what was asked for again comes first.
    pub(crate) fn poll(&mut self, now: Mono) -> Option<Outgoing> {
        if !self.pacer.may_send(now) {
            return None;
        }
        let outgoing = self.poll_lost(now).or_else(|| self.poll_new(now))?;
        self.pacer.sent(outgoing.payload.len(), now);
        Some(outgoing)
    }

    /// Something else of so many bytes has left.
    pub(crate) fn pace(&mut self, payload_bytes: usize, now: Mono) {
        self.pacer.sent(payload_bytes, now);
    }

    fn poll_lost(&mut self, now: Mono) -> Option<Outgoing> {
        while let Some(seq) = self.losses.pop_front() {
            let Some(slot) = slot_at(&mut self.slots, self.first, seq) else {
                continue;
            };
            if !slot.lost {
                continue;
            }
            slot.lost = false;
            slot.sent_at = now;
            self.counts.retransmitted_packets += 1;
            self.counts.retransmitted_bytes += slot.payload.len() as u64;
            return Some(Outgoing {
                seq,
                message: slot.message.as_retransmitted(),
                timestamp: slot.timestamp,
                payload: slot.payload.clone(),
            });
        }
        None
    }

    fn poll_new(&mut self, now: Mono) -> Option<Outgoing> {
        if self.sent >= self.flow_window as usize {
            return None;
        }
        let slot = self.slots.get_mut(self.sent)?;
        slot.sent_at = now;
        let outgoing = Outgoing {
            seq: self.first.plus(self.sent as u32),
            message: slot.message,
            timestamp: slot.timestamp,
            payload: slot.payload.clone(),
        };
        if self.sent == 0 {
            self.progress_at = now;
        }
        self.sent += 1;
        self.repeats.earn();
        self.counts.sent_packets += 1;
        self.counts.sent_bytes += outgoing.payload.len() as u64;
        Some(outgoing)
    }

    /// All before `next` has arrived. False if that cannot be.
    pub(crate) fn acknowledge(&mut self, next: Seq, now: Mono) -> bool {
        let n = next.since(self.first);
        if n <= 0 {
            // An old one, overtaken by a newer.
            return n > -(self.capacity as i32);
        }
        if n as usize > self.sent {
            return false;
        }
        self.forget(n as usize);
        self.progress_at = now;
        self.probes = 0;
        true
    }

    /// The peer has room for so many packets.
    pub(crate) fn set_flow_window(&mut self, packets: u32) {
        // A peer that says none would never be sent anything again: libsrt does send then.
        self.flow_window = packets.max(2);
    }

    /// Marks what the peer misses. Returns the numbers, if any, that were asked for and are
    /// not kept any more.
    pub(crate) fn report_lost(
        &mut self,
        list: &LossList,
        patience: Duration,
        now: Mono,
    ) -> Option<(Seq, Seq)> {
        let sent_end = self.first.plus(self.sent as u32);
        let mut gone: Option<(Seq, Seq)> = None;
        // Ranges come in order: what goes back is a lie, and would be walked for nothing.
        let mut walked: Option<Seq> = None;
        for (first, last) in list.ranges() {
            let in_window = first.is_before(sent_end)
                && last.is_before(sent_end)
                && self.first.since(first) <= self.capacity as i32;
            if !in_window || walked.is_some_and(|end| !end.is_before(first)) {
                break;
            }
            walked = Some(last);
            if first.is_before(self.first) {
                let until = last.earlier(self.first.minus(1));
                gone = Some((gone.map_or(first, |(first, _)| first), until));
            }
            if !last.is_before(self.first)
                && !self.mark(first.later(self.first), last, patience, now)
            {
                break;
            }
        }
        gone
    }

    /// Marks what is to be sent again. False if that is more than a report may ask for now:
    /// the rest will be asked for again.
    fn mark(&mut self, first: Seq, last: Seq, patience: Duration, now: Mono) -> bool {
        let start = first.since(self.first) as usize;
        let end = (last.since(self.first) as usize + 1).min(self.sent);
        let end_allowed = start + self.repeats.look_at(end.saturating_sub(start), now);
        for (i, slot) in self.slots.range_mut(start..end_allowed).enumerate() {
            // Sent so recently that this report cannot know of it.
            let fresh = slot.message.retransmitted() && now.since(slot.sent_at) < patience;
            if slot.lost || fresh {
                continue;
            }
            if !self.repeats.spend() {
                return false;
            }
            slot.lost = true;
            // From now on this copy counts as sent again.
            slot.message = slot.message.as_retransmitted();
            self.counts.lost_packets += 1;
            self.losses.push_back(first.plus(i as u32));
        }
        end_allowed >= end
    }

    /// When the oldest packet is given up.
    pub(crate) fn drop_due(&self) -> Option<Mono> {
        Some(self.slots.front()?.queued_at + self.drop_after)
    }

    /// Gives up what comes too late. Returns the numbers that the peer need not wait for.
    pub(crate) fn drop_late(&mut self, now: Mono) -> Option<(Seq, Seq)> {
        let late = |slot: &Slot| slot.queued_at + self.drop_after <= now;
        let n = self.slots.iter().take_while(|slot| late(slot)).count();
        if n == 0 {
            return None;
        }
        let first = self.first;
        let bytes = self.forget(n);
        self.counts.dropped_packets += n as u64;
        self.counts.dropped_bytes += bytes as u64;
        self.progress_at = now;
        Some((first, self.first.minus(1)))
    }

    /// When the newest packet is sent again, because nothing was heard of it: its loss would
    /// never be seen otherwise.
    pub(crate) fn probe_due(&self, timeout: Duration) -> Option<Mono> {
        let wait = timeout * (1 << self.probes.min(5)) + Duration::from_millis(20);
        (self.sent > 0 && self.losses.is_empty()).then_some(self.progress_at + wait)
    }

    /// Marks the newest packet that was sent as lost.
    pub(crate) fn probe(&mut self, now: Mono) {
        self.progress_at = now;
        self.probes += 1;
        let Some(slot) = self.sent.checked_sub(1).and_then(|i| self.slots.get_mut(i)) else {
            return;
        };
        slot.lost = true;
        slot.message = slot.message.as_retransmitted();
        self.losses.push_back(self.first.plus(self.sent as u32 - 1));
    }

    /// When something may be sent that may not be sent now.
    pub(crate) fn send_due(&self) -> Option<Mono> {
        let waiting = !self.losses.is_empty()
            || (self.sent < self.slots.len() && self.sent < self.flow_window as usize);
        waiting.then(|| self.pacer.due())
    }

    /// Drops the first `n` slots; returns their bytes.
    fn forget(&mut self, n: usize) -> usize {
        let mut bytes = 0;
        for slot in self.slots.drain(..n) {
            bytes += slot.payload.len();
        }
        self.first = self.first.plus(n as u32);
        self.sent = self.sent.saturating_sub(n);
        self.buffered_bytes -= bytes;
        let first = self.first;
        while self.losses.front().is_some_and(|seq| seq.is_before(first)) {
            self.losses.pop_front();
        }
        bytes
    }
}

/// The slot of `seq`, if it is kept.
fn slot_at(slots: &mut VecDeque<Slot>, first: Seq, seq: Seq) -> Option<&mut Slot> {
    let at = usize::try_from(seq.since(first)).ok()?;
    slots.get_mut(at)
}

/// How long a packet is kept for a peer with this latency.
pub(crate) fn drop_after(latency: Duration) -> Duration {
    use crate::timing::{SEND_DROP_EXTRA, SEND_DROP_MIN};
    debug_assert!(us(latency) < u64::MAX);
    (latency + SEND_DROP_EXTRA).max(SEND_DROP_MIN)
}
