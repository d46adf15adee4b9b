//! What has come and waits to be delivered, and what is missing.

mod gaps;
mod losses;
mod tsbpd;

use crate::filter::ArqMode;
use crate::limits::{NAK_RANGES_MAX, RING_PACKETS_MIN};
use crate::packet::loss::write_range;
use crate::seq::Seq;
use crate::timing::{DELIVERY_GATHER, NAK_GATHER, NAK_PERIOD_MIN};
use bytes::Bytes;
use gaps::Gaps;
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
    gaps: Gaps,
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
            gaps: Gaps::new(capacity),
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

    /// [`Self::judge`], and goes on after an interruption that was longer than there is room
    /// for: nothing else would ever move on.
    pub(crate) fn admit(&mut self, seq: Seq, now: Mono) -> Arrival {
        let arrival = self.judge(seq);
        match arrival {
            Arrival::Beyond if self.gaps.confirms(seq) && self.slots.is_empty() => {
                self.pass_over(seq);
                Arrival::New
            }
            Arrival::New => {
                let ahead = usize::try_from(seq.since(self.end())).unwrap_or(0);
                if self.gaps.take(ahead, now) {
                    Arrival::New
                } else {
                    Arrival::Beyond
                }
            }
            Arrival::Beyond | Arrival::Belated | Arrival::Duplicate => arrival,
        }
    }

    /// Nothing waits, and what is missing before `seq` is not waited for.
    fn pass_over(&mut self, seq: Seq) {
        let n = u32::try_from(seq.since(self.first)).unwrap_or(0);
        self.first = seq;
        self.heard_end = self.heard_end.later(seq);
        self.to_report.clear();
        self.counts.lost_packets += u64::from(n);
        self.counts.dropped_packets += u64::from(n);
        self.lost_before = self.lost_before.saturating_add(n);
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

    /// Takes a packet that [`Self::admit`] found new.
    pub(crate) fn insert(&mut self, seq: Seq, timestamp: u32, payload: Bytes, now: Mono) {
        let Ok(mut at) = usize::try_from(seq.since(self.first)) else {
            return;
        };
        let known = self.slots.len();
        let newest = at >= known;
        let sent_at = self.tsbpd.sent_at(timestamp, newest, now);
        let late = sent_at + self.tsbpd.latency() <= now;
        if late && known == 0 && at >= RING_PACKETS_MIN {
            // All before it would be given up at once.
            self.pass_over(seq);
            at = 0;
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    const LATENCY: Duration = Duration::from_millis(20);

    fn receiver(capacity: u32) -> Receiver {
        let tsbpd = Tsbpd::new(0, LATENCY, Mono(0));
        Receiver::new(Seq::new(0), capacity, tsbpd, ArqMode::Always)
    }

    fn feed(receiver: &mut Receiver, seq: u32, timestamp: u32, now: Mono) -> Arrival {
        let seq = Seq::new(seq);
        let arrival = receiver.admit(seq, now);
        receiver.heard(seq, arrival);
        if arrival == Arrival::New {
            receiver.insert(seq, timestamp, Bytes::from_static(b"x"), now);
        }
        arrival
    }

    #[test]
    fn what_follows_a_gap_too_long_is_gone_on_with() {
        let mut receiver = receiver(32);
        assert_eq!(feed(&mut receiver, 0, 0, Mono(0)), Arrival::New);
        assert_eq!(feed(&mut receiver, 100, 0, Mono(0)), Arrival::Beyond);
        // What waits is delivered first.
        assert_eq!(feed(&mut receiver, 101, 0, Mono(0)), Arrival::Beyond);
        let now = Mono(1_000_000);
        assert_eq!(receiver.poll(now).map(|m| m.seq), Some(Seq::new(0)));
        // One alone may be damaged.
        assert_eq!(feed(&mut receiver, 1 << 20, 0, now), Arrival::Beyond);
        assert_eq!(feed(&mut receiver, 102, 0, now), Arrival::Beyond);
        assert_eq!(feed(&mut receiver, 103, 1_000_000, now), Arrival::New);
        assert_eq!(receiver.acknowledged(), Seq::new(104));
        let message = receiver.poll(now + LATENCY).unwrap();
        assert_eq!((message.seq, message.lost_before), (Seq::new(103), 102));
        assert_eq!(receiver.counts.dropped_packets, 102);
    }

    #[test]
    fn packets_far_ahead_and_late_take_no_room() {
        let mut receiver = receiver(32_768);
        let mut seq = 0;
        for ms in 0..100 {
            let now = Mono(1_000_000 + ms * 1000);
            seq += 20_000;
            if feed(&mut receiver, seq, 0, now) == Arrival::Beyond {
                seq -= 20_000;
            }
            while receiver.poll(now).is_some() {}
        }
        assert!(receiver.slots.capacity() <= 2 * RING_PACKETS_MIN);
        assert!(seq > 20_000);
        let counts = receiver.counts;
        assert_eq!(
            counts.received_packets + counts.dropped_packets,
            u64::from(seq) + 1
        );
    }

    #[test]
    fn gaps_are_as_long_as_a_fast_stream_makes_them() {
        let mut receiver = receiver(32_768);
        let start = Mono(1_000_000);
        assert_eq!(feed(&mut receiver, 30_000, 1_000_000, start), Arrival::New);
        let now = start + LATENCY;
        assert!(receiver.poll(now).is_some());
        let timestamp = 1_020_000;
        assert_eq!(feed(&mut receiver, 60_000, timestamp, now), Arrival::Beyond);
        assert_eq!(feed(&mut receiver, 30_100, timestamp, now), Arrival::New);
        let later = now + Duration::from_millis(400);
        assert!(receiver.poll(later).is_some());
        assert_eq!(feed(&mut receiver, 60_000, timestamp, later), Arrival::New);
    }
}
