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
}

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
        self.schedule(self.sent_at + ACK_PERIOD, now);
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
        if next == self.confirmed {
            return None;
        }
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
                available_packets: receiver.available(),
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
        if self.confirmed == self.next && self.packets == 0 {
            self.due = None;
        }
        Some(now.since(ack.sent_at))
    }
}
