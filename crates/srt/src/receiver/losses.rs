//! Which packets are missing.

use crate::limits::LOSS_RANGES_MAX;
use crate::seq::Seq;
use std::collections::VecDeque;
use std::time::Duration;
use weir_media::Mono;

/// What is done about missing packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Interest {
    /// They were asked for at this time.
    Asked(Mono),
    /// The packet filter may still rebuild them: they are waited for.
    Held,
    /// They will not come: nobody waits for them.
    GivenUp,
}

/// Consecutive missing packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    first: Seq,
    last: Seq,
    interest: Interest,
}

/// Missing packets: ranges in order. At most every second packet of a window is missing alone,
/// and at most [`LOSS_RANGES_MAX`] ranges are divided further.
#[derive(Debug, Default)]
pub(super) struct Losses(VecDeque<Range>);

impl Losses {
    /// First missing packet.
    pub(super) fn first(&self) -> Option<Seq> {
        self.0.front().map(|range| range.first)
    }

    /// First missing packet that is waited for.
    pub(super) fn first_wanted(&self) -> Option<Seq> {
        let wanted = |range: &&Range| range.interest != Interest::GivenUp;
        self.0.iter().find(wanted).map(|range| range.first)
    }

    /// If `seq` is the first missing packet: the last of those that follow without a gap, and
    /// how many of them, from the start, nobody waits for.
    pub(super) fn run(&self, seq: Seq) -> Option<(Seq, u32)> {
        if self.first() != Some(seq) {
            return None;
        }
        let mut last = seq.minus(1);
        let mut given_up = 0;
        let mut counting = true;
        for range in &self.0 {
            if range.first != last.plus(1) {
                break;
            }
            last = range.last;
            counting &= range.interest == Interest::GivenUp;
            if counting {
                given_up = last.since(seq) as u32 + 1;
            }
        }
        Some((last, given_up))
    }

    /// `first` to `last`, all after what is known, are missing.
    pub(super) fn add(&mut self, first: Seq, last: Seq, interest: Interest) {
        self.0.push_back(Range {
            first,
            last,
            interest,
        });
    }

    /// `seq` has come. True if it was missing.
    pub(super) fn remove(&mut self, seq: Seq) -> bool {
        let at = self.0.partition_point(|r| r.last.is_before(seq));
        let Some(range) = self.0.get_mut(at) else {
            return false;
        };
        if seq.is_before(range.first) {
            return false;
        }
        let old = *range;
        match (seq == old.first, seq == old.last) {
            (true, true) => {
                self.0.remove(at);
            }
            (true, false) => range.first = seq.plus(1),
            (false, true) => range.last = seq.minus(1),
            (false, false) => {
                range.last = seq.minus(1);
                self.insert(at + 1, seq.plus(1), old);
            }
        }
        true
    }

    fn insert(&mut self, at: usize, first: Seq, like: Range) {
        self.0.insert(at, Range { first, ..like });
    }

    /// Forgets what is before `seq`. Returns how many packets that were.
    pub(super) fn forget_before(&mut self, seq: Seq) -> u32 {
        let mut packets = 0;
        while let Some(front) = self.0.front_mut() {
            if !front.first.is_before(seq) {
                break;
            }
            let end = front.last.earlier(seq.minus(1));
            packets += end.since(front.first) as u32 + 1;
            if front.last.is_before(seq) {
                self.0.pop_front();
            } else {
                front.first = seq;
            }
        }
        packets
    }

    /// Changes the interest in those of `first` to `last` that are missing, and calls `seen`
    /// with each range that is changed.
    pub(super) fn set(
        &mut self,
        first: Seq,
        last: Seq,
        interest: Interest,
        mut seen: impl FnMut(Seq, Seq),
    ) {
        let mut at = self.0.partition_point(|r| r.last.is_before(first));
        let mut end = at;
        while let Some(range) = self.0.get_mut(end) {
            if last.is_before(range.first) {
                break;
            }
            let old = *range;
            let done = match (old.interest, interest) {
                (Interest::GivenUp, _) | (Interest::Asked(_), Interest::Asked(_)) => true,
                (old, new) => old == new,
            };
            let part = old.first.is_before(first) || last.is_before(old.last);
            let full = self.0.len() >= LOSS_RANGES_MAX;
            if done || (part && full && interest == Interest::GivenUp) {
                end += 1;
                continue;
            }
            if old.first.is_before(first) && !full {
                // The part before stays as it is; the rest is looked at next.
                self.divide(end, first);
                end += 1;
                continue;
            }
            if last.is_before(old.last) && !full {
                self.divide(end, last.plus(1));
            }
            if let Some(range) = self.0.get_mut(end) {
                range.interest = interest;
                seen(range.first, range.last);
            }
            end += 1;
        }
        at = at.saturating_sub(1);
        if interest == Interest::GivenUp {
            self.join(at, end);
        }
    }

    /// Divides the range at `at` so that the second part begins with `seq`.
    fn divide(&mut self, at: usize, seq: Seq) {
        if let Some(range) = self.0.get_mut(at) {
            let old = *range;
            range.last = seq.minus(1);
            self.insert(at + 1, seq, old);
        }
    }

    /// Joins neighbours that are given up, from the one at `at` to the one at `end`.
    fn join(&mut self, mut at: usize, mut end: usize) {
        while at < end {
            let (Some(range), Some(next)) = (self.0.get(at), self.0.get(at + 1)) else {
                break;
            };
            let given_up = [range.interest, next.interest] == [Interest::GivenUp; 2];
            if given_up && next.first == range.last.plus(1) {
                let last = next.last;
                self.0.remove(at + 1);
                if let Some(range) = self.0.get_mut(at) {
                    range.last = last;
                }
                end -= 1;
            } else {
                at += 1;
            }
        }
    }

    /// Calls `ask` with each range that was asked for `period` ago or earlier, until it
    /// returns false. Returns when the next is due.
    pub(super) fn ask_again(
        &mut self,
        period: Duration,
        now: Mono,
        mut ask: impl FnMut(Seq, Seq) -> bool,
    ) -> Option<Mono> {
        let mut next: Option<Mono> = None;
        for range in &mut self.0 {
            let Interest::Asked(asked_at) = range.interest else {
                continue;
            };
            let mut due = asked_at + period;
            if due <= now {
                if !ask(range.first, range.last) {
                    return Some(now);
                }
                range.interest = Interest::Asked(now);
                due = now + period;
            }
            next = Some(next.map_or(due, |next| next.min(due)));
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: Interest = Interest::Asked(Mono(0));

    fn losses(ranges: &[(u32, u32)]) -> Losses {
        let mut losses = Losses::default();
        for &(first, last) in ranges {
            losses.add(Seq::new(first), Seq::new(last), ASKED);
        }
        losses
    }

    fn list(losses: &Losses) -> Vec<(u32, u32, Interest)> {
        let plain = |r: &Range| (r.first.value(), r.last.value(), r.interest);
        losses.0.iter().map(plain).collect()
    }

    #[test]
    fn what_comes_is_cut_out_of_its_range() {
        let mut losses = losses(&[(10, 20), (30, 30)]);
        for (seq, missing) in [(15, true), (15, false), (10, true), (20, true), (25, false)] {
            assert_eq!(losses.remove(Seq::new(seq)), missing);
        }
        assert!(losses.remove(Seq::new(30)));
        assert_eq!(list(&losses), [(11, 14, ASKED), (16, 19, ASKED)]);
        assert_eq!(losses.forget_before(Seq::new(18)), 6);
        assert_eq!(list(&losses), [(18, 19, ASKED)]);
    }

    #[test]
    fn ranges_are_given_up_in_part() {
        let mut given = losses(&[(10, 20), (22, 30)]);
        let mut seen = Vec::new();
        given.set(
            Seq::new(15),
            Seq::new(24),
            Interest::GivenUp,
            |first, last| seen.push((first.value(), last.value())),
        );
        assert_eq!(seen, [(15, 20), (22, 24)]);
        assert_eq!(
            list(&given),
            [
                (10, 14, ASKED),
                (15, 20, Interest::GivenUp),
                (22, 24, Interest::GivenUp),
                (25, 30, ASKED)
            ]
        );
        assert_eq!(given.first_wanted(), Some(Seq::new(10)));
        assert_eq!(given.run(Seq::new(10)), Some((Seq::new(20), 0)));
        given.forget_before(Seq::new(15));
        assert_eq!(given.first_wanted(), Some(Seq::new(25)));
        assert_eq!(given.run(Seq::new(15)), Some((Seq::new(20), 6)));
        assert_eq!(given.run(Seq::new(16)), None);
    }

    #[test]
    fn what_is_given_up_by_and_by_is_one_range() {
        let mut given = losses(&[(0, 30_000)]);
        for seq in 10..20_000 {
            let seq = Seq::new(seq);
            given.set(seq, seq, Interest::GivenUp, |_, _| {});
            assert!(given.0.len() <= 3);
        }
        for seq in (0..10).rev() {
            let seq = Seq::new(seq);
            given.set(seq, seq, Interest::GivenUp, |_, _| {});
        }
        let expected = [(0, 19_999, Interest::GivenUp), (20_000, 30_000, ASKED)];
        assert_eq!(list(&given), expected);
        assert_eq!(given.run(Seq::new(0)), Some((Seq::new(30_000), 20_000)));
    }

    #[test]
    fn ranges_are_not_divided_without_end() {
        let mut given = losses(&[(0, 30_000)]);
        for seq in (1..30_000).step_by(2) {
            let seq = Seq::new(seq);
            given.set(seq, seq, Interest::GivenUp, |_, _| {});
        }
        assert!((1000..=LOSS_RANGES_MAX + 1).contains(&given.0.len()));
        assert_eq!(given.first_wanted(), Some(Seq::new(0)));
        // All of them are still missing.
        assert_eq!(given.forget_before(Seq::new(40_000)), 30_001);
        // What is to be asked for is, and more.
        let mut held = Losses::default();
        held.add(Seq::new(0), Seq::new(30_000), Interest::Held);
        let mut asked = 0;
        for seq in (1..30_000).step_by(2) {
            let seq = Seq::new(seq);
            held.set(seq, seq, ASKED, |first, last| {
                asked += last.since(first) + 1;
            });
        }
        assert!(held.0.len() <= LOSS_RANGES_MAX + 1);
        assert!(asked >= 29_000);
    }

    #[test]
    fn asking_again_waits_for_its_period() {
        let mut losses = losses(&[(1, 2)]);
        let period = Duration::from_micros(100);
        let never = |_, _| -> bool { panic!("not due") };
        assert_eq!(losses.ask_again(period, Mono(99), never), Some(Mono(100)));
        let mut asked = 0;
        let next = losses.ask_again(period, Mono(100), |_, _| {
            asked += 1;
            true
        });
        assert_eq!((asked, next), (1, Some(Mono(200))));
        assert_eq!(
            losses.ask_again(period, Mono(300), |_, _| false),
            Some(Mono(300))
        );
    }
}
