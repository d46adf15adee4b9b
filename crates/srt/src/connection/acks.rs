//! Acknowledgements that we send (§4.8.1).

use crate::connection::rate::Rate;
use crate::limits::ACKS_IN_FLIGHT_MAX;
use crate::packet::Ack;
use crate::packet::control::AckReport;
use crate::receiver::Receiver;
use crate::rtt::Rtt;
use crate::seq::Seq;
use crate::timing::{ACK_PERIOD, LIGHT_ACK_PACKETS};
use std::collections::VecDeque;
use std::time::Duration;
use weir_media::Mono;

/// A full acknowledgement whose ACKACK has not come.
#[derive(Debug, Clone, Copy)]
struct InFlight {
    number: u32,
    next: Seq,
    sent_at: Mono,
    /// It said that there is room.
    open: bool,
}

/// Packets of room that are told at least: a sender that is told of none stops for good.
const AVAILABLE_MIN: u32 = 2;

/// What is to be acknowledged, and what was.
#[derive(Debug)]
pub(super) struct Acks {
    due: Option<Mono>,
    sent_at: Mono,
    number: u32,
    /// Last number sent.
    next: Seq,
    /// Last number that the peer knows us to have.
    confirmed: Seq,
    in_flight: VecDeque<InFlight>,
    /// Packets since the last acknowledgement of either kind.
    packets: u32,
    /// Missing packets were given up since the last full acknowledgement.
    skipped: bool,
    /// The peer was told that there is no room, and has not confirmed that there is again.
    told_closed: bool,
    rate: Rate,
    pub(super) sent: u64,
}

impl Acks {
    pub(super) fn new(first: Seq, now: Mono) -> Self {
        Self {
            due: None,
            sent_at: Mono(0),
            number: 0,
            next: first,
            confirmed: first,
            in_flight: VecDeque::new(),
            packets: 0,
            skipped: false,
            told_closed: false,
            rate: Rate::new(now),
            sent: 0,
        }
    }

    /// A data packet has come.
    pub(super) fn received(&mut self, bytes: usize, now: Mono) {
        self.packets += 1;
        self.rate.add(bytes);
        self.schedule(self.sent_at + ACK_PERIOD, now);
    }

    /// What was waited for is given up: the acknowledgement may go on.
    pub(super) fn skipped(&mut self, now: Mono) {
        self.skipped = true;
        self.schedule(self.sent_at + ACK_PERIOD, now);
    }

    /// Something was delivered, and there is room for `available` packets.
    pub(super) fn freed(&mut self, available: u32, now: Mono) {
        if self.told_closed && available >= AVAILABLE_MIN {
            self.schedule(self.sent_at + ACK_PERIOD, now);
        }
    }

    fn schedule(&mut self, at: Mono, now: Mono) {
        let at = at.max(now);
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    pub(super) fn due(&self) -> Option<Mono> {
        if self.packets >= LIGHT_ACK_PACKETS {
            return Some(Mono(0));
        }
        self.due
    }

    /// The acknowledgement to be sent now, if one is due.
    pub(super) fn poll(&mut self, receiver: &Receiver, rtt: &Rtt, now: Mono) -> Option<Ack> {
        if self.due.is_some_and(|due| due <= now) {
            self.due = None;
            self.packets = 0;
            self.skipped = false;
            return self.full(receiver, rtt, now);
        }
        if self.packets < LIGHT_ACK_PACKETS {
            return None;
        }
        self.packets = 0;
        let next = receiver.acknowledged();
        if !self.next.is_before(next) {
            return None;
        }
        self.next = next;
        self.sent += 1;
        Some(Ack {
            number: 0,
            next,
            report: None,
        })
    }

    fn full(&mut self, receiver: &Receiver, rtt: &Rtt, now: Mono) -> Option<Ack> {
        let next = receiver.acknowledged().later(self.next);
        let open = receiver.available() >= AVAILABLE_MIN;
        let opens = self.told_closed && open;
        if next == self.confirmed && !opens {
            return None;
        }
        self.told_closed |= !open;
        self.next = next;
        self.number = self.number.wrapping_add(1).max(1);
        self.sent_at = now;
        self.sent += 1;
        if self.in_flight.len() >= ACKS_IN_FLIGHT_MAX {
            self.in_flight.pop_front();
        }
        self.in_flight.push_back(InFlight {
            number: self.number,
            next,
            sent_at: now,
            open,
        });
        // Until the peer confirms one, it is repeated.
        self.due = Some(now + rtt.timeout().max(ACK_PERIOD));
        self.rate.update(now);
        Some(Ack {
            number: self.number,
            next,
            report: Some(AckReport {
                rtt_us: rtt.smoothed_us(),
                rtt_variance_us: rtt.variance_us(),
                available_packets: receiver.available().max(AVAILABLE_MIN),
                packets_per_s: self.rate.packets_per_s,
                capacity_packets_per_s: 0,
                bytes_per_s: self.rate.bytes_per_s,
            }),
        })
    }

    /// The peer has received acknowledgement `number`. Returns the round trip.
    pub(super) fn confirm(&mut self, number: u32, now: Mono) -> Option<Duration> {
        let at = self.in_flight.iter().position(|ack| ack.number == number)?;
        let ack = self.in_flight.drain(..=at).next_back()?;
        self.confirmed = ack.next.later(self.confirmed);
        if ack.open && self.in_flight.iter().all(|ack| ack.open) {
            self.told_closed = false;
        }
        let waits = self.packets > 0 || self.skipped || self.told_closed;
        if self.confirmed == self.next && !waits {
            self.due = None;
        }
        Some(now.since(ack.sent_at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::ArqMode;
    use crate::receiver::Tsbpd;
    use bytes::Bytes;

    const CAPACITY: u32 = 32;

    fn receiver() -> Receiver {
        let tsbpd = Tsbpd::new(0, Duration::ZERO, Mono(0));
        Receiver::new(Seq::new(0), CAPACITY, tsbpd, ArqMode::Always)
    }

    fn receive(receiver: &mut Receiver, acks: &mut Acks, seq: u32, now: Mono) {
        receiver.insert(Seq::new(seq), 0, Bytes::from_static(b"x"), now);
        receiver.heard(Seq::new(seq), crate::receiver::Arrival::New);
        acks.received(1, now);
    }

    /// The full acknowledgement that is due by `now`: its number, and the room it tells of.
    fn full(acks: &mut Acks, receiver: &Receiver, now: Mono) -> Option<(u32, u32)> {
        let ack = acks.poll(receiver, &Rtt::default(), now)?;
        Some((ack.number, ack.report?.available_packets))
    }

    #[test]
    fn a_closed_window_is_opened_again() {
        let (mut receiver, mut acks) = (receiver(), Acks::new(Seq::new(0), Mono(0)));
        for seq in 0..CAPACITY {
            receive(&mut receiver, &mut acks, seq, Mono(1000));
        }
        let (number, room) = full(&mut acks, &receiver, Mono(20_000)).unwrap();
        assert_eq!(room, 2);
        acks.confirm(number, Mono(21_000));
        assert_eq!(full(&mut acks, &receiver, Mono(900_000)), None);
        let now = Mono(1_000_000);
        while receiver.poll(now).is_some() {
            acks.freed(receiver.available(), now);
        }
        let (_, room) = full(&mut acks, &receiver, now).unwrap();
        assert_eq!(room, CAPACITY);
        // Nor is it forgotten when that is lost.
        let later = now + Duration::from_secs(1);
        let (number, room) = full(&mut acks, &receiver, later).unwrap();
        assert_eq!(room, CAPACITY);
        acks.confirm(number, later);
        assert_eq!(acks.due(), None);
    }

    /// An earlier acknowledgement's confirmation does not hold up what was given up since.
    #[test]
    fn what_is_given_up_is_acknowledged() {
        let (mut receiver, mut acks) = (receiver(), Acks::new(Seq::new(0), Mono(0)));
        receive(&mut receiver, &mut acks, 0, Mono(1000));
        receive(&mut receiver, &mut acks, 5, Mono(1000));
        let (number, _) = full(&mut acks, &receiver, Mono(20_000)).unwrap();
        receiver.give_up(Seq::new(1), Seq::new(4));
        acks.skipped(Mono(21_000));
        acks.confirm(number, Mono(22_000));
        assert!(full(&mut acks, &receiver, Mono(40_000)).is_some());
        assert_eq!(acks.next, Seq::new(6));
    }
}
