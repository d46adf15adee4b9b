//! Packets in the order of their sequence numbers, waiting a bounded time for what is missing.
//!
//! Two paths of one stream (SMPTE ST 2022-7) are merged by giving the packets of both to
//! [`Reorder::handle_packet`]: what comes first is used, and the wait is the skew that is
//! bridged.

use crate::limits::{REORDER_WAIT_MAX, SEQUENCE_AHEAD_MAX, SEQUENCE_PROOF};
use crate::packet::Packet;
use std::collections::VecDeque;
use std::time::Duration;
use weir_media::Mono;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Packets given in.
    pub received: u64,
    /// Packets given out.
    pub delivered: u64,
    /// Packets that came before an earlier one.
    pub reordered: u64,
    /// Packets that were there already.
    pub duplicates: u64,
    /// Packets that came again, or after their place was given up.
    pub late: u64,
    /// Sequence numbers that never came in time.
    pub lost: u64,
    /// New runs of the sender, by a jump or another SSRC.
    pub restarts: u64,
    /// Packets dropped because they fit nowhere.
    pub stray: u64,
}

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is used.
    Used,
    /// It is there already, or too late.
    Useless,
    /// It fits nowhere; the next may prove that the sender began anew.
    Stray,
}

/// A sender's packets on their way into order.
#[derive(Debug)]
pub struct Reorder {
    wait: Duration,
    source: Option<Source>,
    /// From the expected packet on; the first is missing, or there are none.
    held: VecDeque<Option<(Packet, Mono)>>,
    ready: VecDeque<Packet>,
    /// What may become the source, of each of two paths: SSRC, the next number, how many.
    candidates: [Option<(u32, u16, u8)>; 2],
    /// The run before, and when it ended: a second path may still send it.
    previous: Option<(Source, Mono)>,
    stats: Stats,
}

#[derive(Debug, Clone, Copy)]
struct Source {
    ssrc: u32,
    /// Sequence number expected next.
    next: u16,
}

impl Reorder {
    /// Waits for missing packets as long as this, at most [`REORDER_WAIT_MAX`].
    #[must_use]
    pub fn new(wait: Duration) -> Self {
        Self {
            wait: wait.min(REORDER_WAIT_MAX),
            source: None,
            held: VecDeque::new(),
            ready: VecDeque::new(),
            candidates: [None; 2],
            previous: None,
            stats: Stats::default(),
        }
    }

    /// Waits that long from now on, at most [`REORDER_WAIT_MAX`].
    pub fn set_wait(&mut self, wait: Duration) {
        self.wait = wait.min(REORDER_WAIT_MAX);
    }

    /// Takes a packet that arrived at `now`.
    pub fn handle_packet(&mut self, packet: Packet, now: Mono) -> Taken {
        self.stats.received += 1;
        let Some(source) = self.source.filter(|s| s.ssrc == packet.ssrc) else {
            return self.stranger(packet, now);
        };
        let ahead = i64::from(packet.sequence.wrapping_sub(source.next).cast_signed());
        if ahead.unsigned_abs() > SEQUENCE_AHEAD_MAX {
            return self.stranger(packet, now);
        }
        let Ok(at) = usize::try_from(ahead) else {
            self.stats.late += 1;
            return Taken::Useless;
        };
        self.candidates = [None; 2];
        if self.held.len() <= at {
            self.held.resize_with(at + 1, || None);
        } else {
            self.stats.reordered += 1;
        }
        match self.held.get_mut(at) {
            Some(place @ None) => *place = Some((packet, now)),
            _ => {
                self.stats.reordered -= 1;
                self.stats.duplicates += 1;
                return Taken::Useless;
            }
        }
        self.release();
        Taken::Used
    }

    /// Time passes: what was waited for long enough is given up.
    pub fn handle_timeout(&mut self, now: Mono) {
        while self.poll_timeout().is_some_and(|due| due <= now) {
            self.skip();
        }
    }

    /// When [`Reorder::handle_timeout`] is due: a missing packet is given up then.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Mono> {
        let (_, since) = self.held.iter().flatten().next()?;
        Some(*since + self.wait)
    }

    /// The next packet in order.
    pub fn poll_packet(&mut self) -> Option<Packet> {
        let packet = self.ready.pop_front()?;
        self.stats.delivered += 1;
        Some(packet)
    }

    /// What was counted.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// A packet of another source, or far from what is expected: the first of a new run, once
    /// enough of them come in a row.
    fn stranger(&mut self, packet: Packet, now: Mono) -> Taken {
        let near = |s: &Source| {
            let ahead = packet.sequence.wrapping_sub(s.next).cast_signed();
            s.ssrc == packet.ssrc && u64::from(ahead.unsigned_abs()) <= SEQUENCE_AHEAD_MAX
        };
        if let Some((previous, ended)) = &self.previous
            && near(previous)
            && now.since(*ended) <= self.wait
        {
            self.stats.late += 1;
            return Taken::Useless;
        }
        let run = match self.source {
            None => SEQUENCE_PROOF,
            Some(_) => self.run(&packet),
        };
        if run < SEQUENCE_PROOF {
            self.stats.stray += 1;
            return Taken::Stray;
        }
        self.stats.restarts += u64::from(self.source.is_some());
        self.candidates = [None; 2];
        // What waits belongs to the run that is over.
        while !self.held.is_empty() {
            self.skip();
        }
        self.previous = self.source.map(|s| (s, now));
        self.source = Some(Source {
            ssrc: packet.ssrc,
            next: packet.sequence,
        });
        self.held.push_back(Some((packet, now)));
        self.release();
        Taken::Used
    }

    /// How many packets of a new run came in a row on one path, with this one.
    fn run(&mut self, packet: &Packet) -> u8 {
        let next = packet.sequence.wrapping_add(1);
        for candidate in self.candidates.iter_mut().flatten() {
            if candidate.0 == packet.ssrc && candidate.1 == next {
                // The other path's.
                return candidate.2;
            }
            if candidate.0 == packet.ssrc && candidate.1 == packet.sequence {
                candidate.1 = next;
                candidate.2 += 1;
                return candidate.2;
            }
        }
        self.candidates = [Some((packet.ssrc, next, 1)), self.candidates[0]];
        1
    }

    /// Gives up what is missing in front of the first packet held.
    fn skip(&mut self) {
        while let Some(None) = self.held.front() {
            self.held.pop_front();
            self.stats.lost += 1;
            self.advance();
        }
        self.release();
    }

    /// Gives out what is in order.
    fn release(&mut self) {
        while let Some(Some(_)) = self.held.front() {
            if let Some(Some((packet, _))) = self.held.pop_front() {
                self.ready.push_back(packet);
                self.advance();
            }
        }
    }

    fn advance(&mut self) {
        if let Some(source) = &mut self.source {
            source.next = source.next.wrapping_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::tests::packet;

    const WAIT: Duration = Duration::from_millis(50);

    fn given(reorder: &mut Reorder, numbers: &[u16], ms: u64) -> Vec<u16> {
        for number in numbers {
            reorder.handle_packet(packet(*number, &[1]), Mono(ms * 1000));
        }
        reorder.handle_timeout(Mono(ms * 1000));
        std::iter::from_fn(|| reorder.poll_packet().map(|p| p.sequence)).collect()
    }

    #[test]
    fn order_is_made_over_the_wrap() {
        let mut r = Reorder::new(WAIT);
        assert_eq!(
            given(&mut r, &[65_534, 0, 65_535, 65_535, 2], 0),
            [65_534, 65_535, 0]
        );
        assert_eq!(r.poll_timeout(), Some(Mono(50_000)));
        assert_eq!(given(&mut r, &[3, 1], 49), [1, 2, 3]);
        assert_eq!(r.poll_timeout(), None);
        let stats = r.stats();
        assert_eq!((stats.received, stats.delivered), (7, 6));
        assert_eq!((stats.reordered, stats.duplicates, stats.late), (2, 0, 1));
    }

    #[test]
    fn what_is_missing_is_given_up_in_time() {
        let mut r = Reorder::new(WAIT);
        assert_eq!(given(&mut r, &[10, 13], 0), [10]);
        assert_eq!(given(&mut r, &[15], 20), []);
        assert_eq!(given(&mut r, &[], 50), [13]);
        assert_eq!(given(&mut r, &[11], 60), []);
        assert_eq!(given(&mut r, &[], 70), [15]);
        assert_eq!((r.stats().lost, r.stats().late), (3, 1));
    }

    #[test]
    fn a_lone_stray_changes_nothing_and_two_in_a_row_do() {
        let mut r = Reorder::new(WAIT);
        assert_eq!(
            given(&mut r, &[10, 20_000, 11, 20_001, 12], 0),
            [10, 11, 12]
        );
        assert_eq!(r.stats().stray, 2);
        assert_eq!(given(&mut r, &[14, 30_000, 30_001], 0), [14, 30_001]);
        assert_eq!(r.stats().restarts, 1);
        for sequence in [5, 6] {
            let mut other = packet(sequence, &[1]);
            other.ssrc = 9;
            r.handle_packet(other, Mono(0));
        }
        assert_eq!(given(&mut r, &[], 0), [6]);
    }

    #[test]
    fn two_paths_become_one() {
        let mut r = Reorder::new(WAIT);
        let mut out = Vec::new();
        for n in 0..2000u16 {
            let now = Mono(u64::from(n) * 1000);
            // Each path loses packets, the second is 20 behind.
            if n % 7 != 3 {
                r.handle_packet(packet(n, &[1]), now);
            }
            if n >= 20 && (n - 20) % 11 != 5 {
                r.handle_packet(packet(n - 20, &[1]), now);
            }
            r.handle_timeout(now);
            out.extend(std::iter::from_fn(|| r.poll_packet().map(|p| p.sequence)));
        }
        let lost = |n: &u16| n % 7 == 3 && n % 11 == 5;
        let expected: Vec<u16> = (0..1940).filter(|n| !lost(n)).collect();
        assert_eq!(out[..expected.len()], expected);
    }

    #[test]
    fn a_new_run_on_two_paths_is_found_once() {
        for skew in [0, 1, 5, 20] {
            let mut r = Reorder::new(WAIT);
            let mut out = Vec::new();
            let run = |n: u64| {
                let mut packet = packet((if n < 100 { n } else { n + 20_000 }) as u16, &[1]);
                packet.ssrc = u32::from(n >= 100);
                packet
            };
            for n in 0..300 {
                let now = Mono(n * 1000);
                r.handle_packet(run(n), now);
                if n >= skew {
                    r.handle_packet(run(n - skew), now);
                }
                r.handle_timeout(now);
                out.extend(std::iter::from_fn(|| r.poll_packet().map(|p| p.sequence)));
            }
            assert_eq!(r.stats().restarts, 1, "{skew}");
            let before = out.iter().filter(|n| **n < 100).count();
            assert!(before == 100 && out.len() >= 298, "{skew}: {}", out.len());
            assert_eq!(out.last(), Some(&20_299));
        }
    }

    #[test]
    fn what_is_held_is_bounded() {
        let mut r = Reorder::new(REORDER_WAIT_MAX);
        r.handle_packet(packet(0, &[1]), Mono(0));
        for n in 2..60_000u16 {
            r.handle_packet(packet(n, &[1]), Mono(0));
            assert!(r.held.len() as u64 <= SEQUENCE_AHEAD_MAX + 1);
            r.ready.clear();
        }
    }
}
