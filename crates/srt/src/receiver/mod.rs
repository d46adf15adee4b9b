//! What has come and waits to be delivered, and what is missing.

mod losses;
mod tsbpd;

use crate::filter::ArqMode;
use crate::limits::{NAK_RANGES_MAX, RING_PACKETS_MIN};
use crate::packet::loss::write_range;
use crate::seq::Seq;
use crate::timing::{DELIVERY_GATHER, NAK_GATHER, NAK_PERIOD_MIN};
use bytes::Bytes;
use losses::{Interest, Losses};
use std::collections::VecDeque;
use std::time::Duration;
use weir_media::Mono;

pub(crate) use tsbpd::Tsbpd;

/// A payload as it was given to the peer's sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What was sent, whole.
    pub payload: Bytes,
    /// Number of its packet.
    pub seq: Seq,
    /// When it was sent, by our clock: later by the way it took at first, and following the
    /// sender's clock. Delivered at this time plus the latency.
    pub sent_at: Mono,
    /// Packets before it that did not come in time.
    pub lost_before: u32,
}

/// What became of a data packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// It is new.
    New,
    /// It had come before.
    Duplicate,
    /// It comes after its place was given up.
    Belated,
    /// It is too far ahead.
    Beyond,
}

#[derive(Debug)]
struct Slot {
    payload: Bytes,
    sent_at: Mono,
}

/// What happened, in packets and bytes of payload, since the start.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) received_packets: u64,
    pub(crate) received_bytes: u64,
    pub(crate) lost_packets: u64,
    pub(crate) dropped_packets: u64,
    pub(crate) belated_packets: u64,
    pub(crate) duplicate_packets: u64,
    pub(crate) beyond_packets: u64,
}

/// The receiving half of a connection.
#[derive(Debug)]
pub(crate) struct Receiver {
    /// Next packet to be delivered: that of `slots`' front.
    first: Seq,
    slots: VecDeque<Option<Slot>>,
    present: usize,
    buffered_bytes: usize,
    capacity: usize,
    losses: Losses,
    arq: ArqMode,
    /// Ranges to be reported with the next NAK.
    to_report: Vec<(Seq, Seq)>,
    ask_due: Option<Mono>,
    delivered_at: Mono,
    lost_before: u32,
    /// One after the newest packet that came by this path.
    heard_end: Seq,
    pub(crate) tsbpd: Tsbpd,
    pub(crate) counts: Counts,
}

impl Receiver {
    pub(crate) fn new(first: Seq, capacity: u32, tsbpd: Tsbpd, arq: ArqMode) -> Self {
        Self {
            first,
            slots: VecDeque::new(),
            present: 0,
            buffered_bytes: 0,
            capacity: capacity as usize,
            losses: Losses::default(),
            arq,
            to_report: Vec::new(),
            ask_due: None,
            delivered_at: Mono(0),
            lost_before: 0,
            heard_end: first,
            tsbpd,
            counts: Counts::default(),
        }
    }

    /// One after the newest packet that has come.
    pub(crate) fn end(&self) -> Seq {
        self.first.plus(self.slots.len() as u32)
    }

    /// All before this one have come or are given up.
    pub(crate) fn acknowledged(&self) -> Seq {
        let next = self.losses.first_wanted().unwrap_or_else(|| self.end());
        // Not what came by another path: this path's sender may not have sent it.
        next.earlier(self.heard_end)
    }

    /// Packets that there is room for.
    pub(crate) fn available(&self) -> u32 {
        (self.capacity - self.slots.len()) as u32
    }

    /// Packets and bytes that wait to be delivered.
    pub(crate) fn buffered(&self) -> (usize, usize) {
        (self.present, self.buffered_bytes)
    }

    /// Time between the oldest and the newest packet that wait.
    pub(crate) fn buffered_time(&self) -> Duration {
        let times = || self.slots.iter().flatten().map(|slot| slot.sent_at);
        let newest = self.slots.iter().rev().flatten().next();
        match (times().next(), newest) {
            (Some(oldest), Some(newest)) => newest.sent_at.since(oldest),
            _ => Duration::ZERO,
        }
    }

    /// Whether a packet with this number would be kept.
    pub(crate) fn judge(&self, seq: Seq) -> Arrival {
        let Ok(at) = usize::try_from(seq.since(self.first)) else {
            return Arrival::Belated;
        };
        match self.slots.get(at) {
            Some(Some(_)) => Arrival::Duplicate,
            Some(None) => Arrival::New,
            None if at >= self.capacity => Arrival::Beyond,
            None => Arrival::New,
        }
    }

    /// Counts a packet that is not kept.
    pub(crate) fn refuse(&mut self, arrival: Arrival) {
        let counts = &mut self.counts;
        match arrival {
            Arrival::New => {}
            Arrival::Duplicate => counts.duplicate_packets += 1,
            Arrival::Belated => counts.belated_packets += 1,
            Arrival::Beyond => counts.beyond_packets += 1,
        }
    }

    /// Takes a packet that [`Self::judge`] found new.
    pub(crate) fn insert(&mut self, seq: Seq, timestamp: u32, payload: Bytes, now: Mono) {
        let Ok(at) = usize::try_from(seq.since(self.first)) else {
            return;
        };
        let known = self.slots.len();
        let newest = at >= known;
        let sent_at = self.tsbpd.sent_at(timestamp, newest, now);
        self.counts.received_packets += 1;
        self.counts.received_bytes += payload.len() as u64;
        self.present += 1;
        self.buffered_bytes += payload.len();
        let slot = Some(Slot { payload, sent_at });
        if newest {
            if self.slots.capacity() == 0 {
                self.slots.reserve(RING_PACKETS_MIN);
            }
            if at > known {
                self.missing(seq.minus((at - known) as u32), seq.minus(1), now);
                self.slots.resize_with(at, || None);
            }
            self.slots.push_back(slot);
        } else if let Some(place) = self.slots.get_mut(at) {
            *place = slot;
            self.losses.remove(seq);
        }
    }

    fn missing(&mut self, first: Seq, last: Seq, now: Mono) {
        self.counts.lost_packets += last.since(first) as u64 + 1;
        match self.arq {
            ArqMode::Always => {
                self.losses.add(first, last, Interest::Asked(now));
                self.report(first, last);
                let due = now + NAK_GATHER;
                self.ask_due.get_or_insert(due);
            }
            ArqMode::OnRequest | ArqMode::Never => self.losses.add(first, last, Interest::Held),
        }
    }

    fn report(&mut self, first: Seq, last: Seq) {
        // More than a packet's worth is reported when it is due again.
        if self.to_report.len() < NAK_RANGES_MAX {
            self.to_report.push((first, last));
        }
    }

    /// The filter cannot rebuild these, should they be missing.
    pub(crate) fn ask_for(&mut self, first: Seq, last: Seq, now: Mono) {
        let last = last.earlier(self.end().minus(1));
        if self.arq != ArqMode::OnRequest || last.is_before(first) {
            return;
        }
        let reports = &mut self.to_report;
        let mut asked = false;
        self.losses
            .set(first, last, Interest::Asked(now), |first, last| {
                asked = true;
                if reports.len() < NAK_RANGES_MAX {
                    reports.push((first, last));
                }
            });
        if asked {
            self.ask_due.get_or_insert(now + NAK_GATHER);
        }
    }

    /// The sender has given these up. What is not known to be missing yet is not believed: if
    /// it is true, the sender will say it again when asked.
    pub(crate) fn give_up(&mut self, first: Seq, last: Seq) {
        let first = first.later(self.first);
        let last = last.earlier(self.end().minus(1));
        if !last.is_before(first) {
            self.losses.set(first, last, Interest::GivenUp, |_, _| {});
        }
    }

    /// When losses are to be reported.
    pub(crate) fn report_due(&self) -> Option<Mono> {
        if self.to_report.is_empty() {
            self.ask_due
        } else {
            Some(Mono(0))
        }
    }

    /// The content of a NAK, if one is due. `period` is what a loss is not asked for again.
    pub(crate) fn poll_report(&mut self, period: Duration, now: Mono) -> Option<Vec<u8>> {
        if self.ask_due.is_some_and(|due| due <= now) {
            let reports = &mut self.to_report;
            let next = self.losses.ask_again(period, now, |first, last| {
                let room = reports.len() < NAK_RANGES_MAX;
                if room {
                    reports.push((first, last));
                }
                room
            });
            // The period may become shorter before it is over.
            let soon = now + NAK_GATHER..=now + NAK_PERIOD_MIN;
            self.ask_due = next.map(|due| due.clamp(*soon.start(), *soon.end()));
        }
        if self.to_report.is_empty() {
            return None;
        }
        // New losses and old ones: senders want them in order.
        let base = self.first;
        self.to_report
            .sort_unstable_by_key(|(first, _)| first.since(base));
        let mut content = Vec::with_capacity(self.to_report.len() * 8);
        let mut end: Option<Seq> = None;
        for (first, last) in self.to_report.drain(..) {
            // What was only out of order has come since.
            let has_come = first == last
                && usize::try_from(first.since(base))
                    .ok()
                    .and_then(|at| self.slots.get(at))
                    .is_none_or(Option::is_some);
            if has_come {
                continue;
            }
            if end.is_none_or(|end| end.is_before(first)) {
                write_range(&mut content, first, last);
                end = Some(last);
            }
        }
        (!content.is_empty()).then_some(content)
    }

    /// The next message whose time has come. Missing packets before it are given up.
    pub(crate) fn poll(&mut self, now: Mono) -> Option<Message> {
        let seq = self.due_seq(now)?;
        let slot = self.slots.pop_front().flatten()?;
        self.first = seq.plus(1);
        self.present -= 1;
        self.buffered_bytes -= slot.payload.len();
        self.delivered_at = now;
        Some(Message {
            payload: slot.payload,
            seq,
            sent_at: slot.sent_at,
            lost_before: std::mem::take(&mut self.lost_before),
        })
    }

    /// Number of the next message whose time has come.
    pub(crate) fn due_seq(&mut self, now: Mono) -> Option<Seq> {
        let latency = self.tsbpd.latency();
        loop {
            match self.slots.front()? {
                Some(slot) => {
                    return (slot.sent_at + latency <= now).then_some(self.first);
                }
                None => {
                    if !self.skip(now) {
                        return None;
                    }
                }
            }
        }
    }

    /// All before `next` came by another path.
    pub(crate) fn skip_to(&mut self, next: Seq) {
        let Some(n) = usize::try_from(next.since(self.first))
            .ok()
            .filter(|n| *n > 0)
        else {
            return;
        };
        for slot in self.slots.drain(..n.min(self.slots.len())).flatten() {
            self.present -= 1;
            self.buffered_bytes -= slot.payload.len();
        }
        self.first = next;
        self.losses.forget_before(next);
        // A path that is silent for very long does not fall behind by half the numbers.
        let oldest = next.minus(self.capacity as u32);
        self.heard_end = self.heard_end.later(oldest);
    }

    /// A packet with this number has come, wanted or not.
    pub(crate) fn heard(&mut self, seq: Seq, arrival: Arrival) {
        if arrival != Arrival::Beyond {
            self.heard_end = self.heard_end.later(seq.plus(1));
        }
    }

    /// The front is missing: skips what is given up, or what is too late. False if it must be
    /// waited for.
    fn skip(&mut self, now: Mono) -> bool {
        let Some((last, given_up)) = self.losses.run(self.first) else {
            debug_assert!(false, "an empty slot is a loss");
            return false;
        };
        let missing = last.since(self.first) as usize + 1;
        let latency = self.tsbpd.latency();
        let late = match self.slots.get(missing) {
            Some(Some(next)) => next.sent_at + latency <= now,
            _ => false,
        };
        let n = if late { missing } else { given_up as usize };
        if n == 0 {
            return false;
        }
        self.slots.drain(..n);
        self.first = self.first.plus(n as u32);
        self.losses.forget_before(self.first);
        self.counts.dropped_packets += n as u64;
        self.lost_before = self.lost_before.saturating_add(n as u32);
        true
    }

    /// When [`Self::poll`] will have something.
    pub(crate) fn deliver_due(&self) -> Option<Mono> {
        let front = self.slots.front()?;
        let next = match front {
            Some(slot) => slot,
            None => {
                let (last, given_up) = self.losses.run(self.first)?;
                if given_up > 0 {
                    return Some(Mono(0));
                }
                let at = last.since(self.first) as usize + 1;
                self.slots.get(at)?.as_ref()?
            }
        };
        let due = next.sent_at + self.tsbpd.latency();
        Some(due.max(self.delivered_at + DELIVERY_GATHER))
    }
}
