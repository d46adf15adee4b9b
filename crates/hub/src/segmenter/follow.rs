//! The following tracks: they cut where the leader did.
//!
//! A frame is placed when it and its end lie before the leader's position, or its segment's
//! end is known. A track that is missing behind a boundary for 1 s, of the leader's time or
//! of real time, has its segment closed with what it has; what comes later goes into the next.
//! A segment that would be rounded above the target duration, because such frames were added
//! to it or a long pause reaches over its end, is closed a frame earlier.

use super::Segmenter;
use crate::limits::{FOLLOWER_LAG_90K, SEGMENTS_WAITING_MAX};
use crate::time::Time;
use crate::track::{Segment, Track};
use std::time::Duration;
use weir_media::Now;

/// [`FOLLOWER_LAG_90K`] in real time.
pub(super) const LAG: Duration = Duration::from_secs(FOLLOWER_LAG_90K as u64 / 90_000);

/// What to do with a following track next.
enum Step {
    /// Nothing, until more is known.
    Wait,
    /// Close the segment it is in.
    Close,
    /// Place its oldest frame with this duration.
    Place(i64),
    /// Drop its oldest frame: it is before the segment in which the track joins.
    Drop,
    /// Begin a segment at its oldest frame: only at the end of a session.
    Cut(Time),
}

impl Segmenter {
    /// Moves all following tracks on. With `flush` no more frames come.
    pub(super) fn pump_followers(&mut self, now: Now, flush: bool) {
        for slot in 0..self.tracks.len() {
            if Some(slot) == self.leader && !flush {
                continue;
            }
            loop {
                match self.next_step(slot, now, flush) {
                    Step::Wait => break,
                    Step::Close => self.close_track(slot),
                    Step::Place(duration) => self.place(slot, duration),
                    Step::Drop => {
                        if let Some(track) = &mut self.tracks[slot] {
                            track.pop();
                            self.sink.dropped(1);
                        }
                    }
                    Step::Cut(time) => {
                        self.open_up_to(time, false, now);
                        self.close_track(slot);
                    }
                }
            }
        }
    }

    fn place(&mut self, slot: usize, duration: i64) {
        let Some(segment) = self.segment_of(slot) else {
            return;
        };
        self.note_gap(slot, duration);
        let target = self.counting.target;
        if let Some(track) = &mut self.tracks[slot]
            && let Some(frame) = track.pop()
        {
            track.joins_at = None;
            let duration = track.bounded(frame.dts, duration, target);
            track.append(frame, duration, &segment, &mut self.sink);
        }
    }

    fn next_step(&self, slot: usize, now: Now, flush: bool) -> Step {
        let (Some(track), Some(segment)) = (self.track(slot), self.segment_of(slot)) else {
            return Step::Wait;
        };
        let boundary = self.boundary_after(segment.number);
        if let Some(joins_at) = track.joins_at
            && let Some(step) = self.joining(track, joins_at, &segment, boundary)
        {
            return step;
        }
        let Some(boundary) = boundary else {
            return self.before_unknown_end(track, flush);
        };
        match track.front() {
            Some(front) if front.reaches(boundary) => return Step::Close,
            None if flush || !track.active => return Step::Close,
            _ => {}
        }
        if let Some(duration) = measured(track, flush) {
            return match self.fits(track, duration) {
                true => Step::Place(duration),
                false => Step::Close,
            };
        }
        if !self.lags(&segment, boundary, now) {
            return Step::Wait;
        }
        // A frame that is held for its duration goes into the next segment, where that can
        // become known, unless there would be nothing in this one.
        match track.open.is_none() && track.front().is_some() {
            true => Step::Place(track.typical().max(1)),
            false => Step::Close,
        }
    }

    /// The end of the track's segment is not decided: only what ends before the leader's
    /// position is sure to belong into it.
    fn before_unknown_end(&self, track: &Track, flush: bool) -> Step {
        let Some(duration) = measured(track, flush) else {
            return Step::Wait;
        };
        let Some(front) = track.front() else {
            return Step::Wait;
        };
        if flush {
            return match self.fits(track, duration) {
                true => Step::Place(duration),
                false => Step::Cut(front),
            };
        }
        let decided = self
            .leader
            .and_then(|l| self.track(l))
            .and_then(Track::front);
        let end = track.time(front.ticks.saturating_add(duration));
        let sure = decided.is_some_and(|d| d.reaches(end));
        match sure && self.fits(track, duration) {
            true => Step::Place(duration),
            false => Step::Wait,
        }
    }

    /// A late track begins with its first frame in segment `joins_at` or later.
    fn joining(
        &self,
        track: &Track,
        joins_at: u64,
        segment: &Segment,
        boundary: Option<Time>,
    ) -> Option<Step> {
        let front = track.front();
        if segment.number >= joins_at {
            let early = front.is_some_and(|f| !f.reaches(segment.start));
            return early.then_some(Step::Drop);
        }
        let leader = self.leader.and_then(|l| self.track(l));
        let passed = boundary.or_else(|| leader.and_then(Track::front));
        if let (Some(front), Some(passed)) = (front, passed)
            && !front.reaches(passed)
        {
            return Some(Step::Drop);
        }
        Some(match boundary {
            Some(_) => Step::Close,
            None => Step::Wait,
        })
    }

    /// Whether the oldest frame may still go into the segment that the track is in.
    fn fits(&self, track: &Track, duration: i64) -> bool {
        let frame = track.queue.front();
        frame.is_none_or(|f| track.fits(f.dts, duration, self.counting.target))
    }

    fn lags(&self, segment: &Segment, boundary: Time, now: Now) -> bool {
        let by_leader = self
            .leader
            .and_then(|l| self.track(l))
            .and_then(Track::newest)
            .is_some_and(|newest| newest.exceeds(boundary, FOLLOWER_LAG_90K));
        let next = self.segment_numbered(segment.number.saturating_add(1));
        by_leader
            || next.is_some_and(|n| now.mono >= n.opened + LAG)
            || self.open.len() > SEGMENTS_WAITING_MAX
    }
}

/// Duration of the oldest frame, if the next has come, or none will.
fn measured(track: &Track, flush: bool) -> Option<i64> {
    let frame = track.queue.front()?;
    match track.queue.get(1) {
        Some(next) => Some(next.dts.saturating_sub(frame.dts).max(1)),
        None => flush.then(|| track.typical().max(1)),
    }
}
