//! From the publisher's clock to the stream's.
//!
//! One offset, kept in ticks of 1/90,000 s, is added to every track of a session, so that
//! audio and video stay apart as they were sent. Video keeps every tick; audio stays on its
//! grid of whole frames while it is within 1 ms of what was sent.
//!
//! A publisher's clock can do anything. A time at or before the last is moved one tick behind
//! it; if that goes on, or a time is more than [`STEP_MAX_90K`] away, the frame is placed one
//! usual duration after the last, and a candidate for a new timeline is noted. When
//! [`STEP_FRAMES`] consecutive frames agree on it, it is joined:
//!
//! - by all tracks, if the others step too or are silent: a discontinuity;
//! - by this track alone, if the others go on as before: its time goes on, at the others'
//!   offset if that fits again.

use crate::limits::{
    BUMPS_MAX, STEP_FRAMES, STEP_MAX_90K, STEP_UNCONFIRMED_FRAMES_MAX, STREAM_TIMESCALE,
};
use crate::output::Counters;
use crate::places::{AUDIO, OTHERS, VIDEO};
use std::time::Duration;
use weir_media::Mono;
use weir_media::time::rescale;

/// After this long without a frame a track no longer has a say in where the timeline goes.
const SILENT: Duration = Duration::from_secs(3);

/// Where a frame goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Placed {
    /// Decoding time in the stream, in ticks of the track.
    pub dts: i64,
    /// It is what was sent, give or take a tick.
    pub as_sent: bool,
    /// A new timeline was joined with this frame.
    pub joined: Option<Joined>,
}

/// How a new timeline was joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Joined {
    /// Time that was expected, in the publisher's clock, ticks of 1/90,000 s.
    pub from_90k: i64,
    /// Time that came.
    pub to_90k: i64,
    /// What follows from it.
    pub kind: JoinedKind,
}

/// What follows from a new timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JoinedKind {
    /// Only this track moved: nothing.
    Track,
    /// All tracks moved and the stream's time goes on without a pause: a discontinuity at the
    /// next random access point.
    Stream,
    /// So much time has passed that the stream has to start again: the frame was not placed.
    Restart,
}

/// One track's clock.
#[derive(Debug, Clone)]
struct Clock {
    scale: u32,
    /// Frame duration on the grid; none for video.
    grid: Option<i64>,
    offset_90k: i64,
    /// The same in ticks of the track.
    offset: i64,
    /// No frame is placed before this.
    floor: i64,
    previous: Option<i64>,
    /// Usual duration of a frame, from 1 ms to the largest step.
    nominal: i64,
    bumps: u32,
    seen: Mono,
}

impl Clock {
    fn set_offset(&mut self, offset_90k: i64) {
        self.offset_90k = offset_90k;
        self.offset = rescale(offset_90k, STREAM_TIMESCALE, self.scale);
    }

    fn to_90k(&self, ticks: i64) -> i64 {
        rescale(ticks, self.scale, STREAM_TIMESCALE)
    }

    /// The last frame was this long: the next belongs behind it.
    fn set_grid(&mut self, samples: Option<u32>) {
        if let (Some(grid), Some(samples)) = (&mut self.grid, samples) {
            *grid = i64::from(samples);
            self.nominal = *grid;
        }
    }

    /// Where a frame goes that cannot go where it wants.
    fn next_place(&self, head_90k: i64) -> i64 {
        let head = || rescale(head_90k, STREAM_TIMESCALE, self.scale);
        self.previous
            .map_or_else(head, |p| p + self.nominal)
            .max(self.floor)
    }

    /// Places a frame that is believed.
    fn accept(&mut self, wanted: i64, counters: &mut Counters) -> i64 {
        let dts = match (self.previous, self.grid) {
            (None, _) => wanted.max(self.floor),
            (Some(p), Some(grid))
                if i128::from((wanted - (p + grid)).abs()) * 1000 <= i128::from(self.scale) =>
            {
                p + grid
            }
            (Some(p), _) if wanted > p => wanted,
            (Some(p), _) => {
                self.bumps += 1;
                counters.bumps += 1;
                self.previous = Some(p + 1);
                return p + 1;
            }
        };
        if let (Some(p), None) = (self.previous, self.grid) {
            let step = rescale(STEP_MAX_90K, STREAM_TIMESCALE, self.scale);
            self.nominal = (dts - p).clamp(i64::from(self.scale / 1000).max(1), step);
        }
        self.bumps = 0;
        self.previous = Some(dts);
        dts
    }
}

/// Frames that point to a new timeline.
#[derive(Debug, Clone, Default)]
struct Candidate {
    last_90k: [Option<i64>; 2],
    agree: [u32; 2],
    normal: [u32; 2],
}

impl Candidate {
    fn agrees(&self, track: usize, sent_90k: i64) -> bool {
        match (self.last_90k[track], self.last_90k[1 - track]) {
            (Some(last), _) => (1..=STEP_MAX_90K).contains(&(sent_90k - last)),
            (None, Some(other)) => (sent_90k - other).abs() <= STEP_MAX_90K,
            (None, None) => true,
        }
    }

    fn note(&mut self, track: usize, sent_90k: i64) {
        if !self.agrees(track, sent_90k) {
            *self = Self::default();
        }
        self.last_90k[track] = Some(sent_90k);
        self.agree[track] += 1;
        self.normal[track] = 0;
    }
}

/// The clocks of one session. See the module.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    offset_90k: i64,
    /// Where the stream's time is when the first frame comes.
    start_90k: i64,
    clocks: [Option<Clock>; 2],
    /// Of the tracks beyond the first two, which follow those.
    others: Vec<Option<Clock>>,
    candidate: Candidate,
    /// Newest time that was placed as sent, and when.
    good: Option<(i64, Mono)>,
}

impl Timeline {
    /// A timeline that starts at `start_90k` with what is sent as `sent_90k`, both in ticks of
    /// 1/90,000 s.
    pub(crate) fn new(start_90k: i64, sent_90k: i64) -> Self {
        Self {
            offset_90k: start_90k.saturating_sub(sent_90k),
            start_90k,
            ..Self::default()
        }
    }

    /// The same offsets for a session that goes on at `start_90k`, as if no frame had been
    /// seen.
    pub(crate) fn restarted(&self, start_90k: i64) -> Self {
        let mut fresh = Self {
            offset_90k: self.offset_90k,
            start_90k,
            ..Self::default()
        };
        let unseen = |clock: &Option<Clock>| {
            let mut clock = clock.clone()?;
            clock.previous = None;
            clock.bumps = 0;
            Some(clock)
        };
        fresh.clocks = [unseen(&self.clocks[0]), unseen(&self.clocks[1])];
        fresh.others = self.others.iter().map(unseen).collect();
        fresh
    }

    /// Where a time sent on a track would be in the stream, in ticks of 1/90,000 s.
    pub(crate) fn project(&self, track: usize, sent_90k: i64) -> i64 {
        let clock = self.clock(track);
        sent_90k.saturating_add(clock.map_or(self.offset_90k, |c| c.offset_90k))
    }

    /// Adds a track, or changes what is known of it. `grid` is the duration of an audio
    /// frame; nothing is placed before `floor`, in ticks of the track.
    pub(crate) fn set_track(&mut self, track: usize, scale: u32, grid: Option<u32>, floor: i64) {
        let offset_90k = self.clock(track).map_or(self.offset_90k, |c| c.offset_90k);
        let grid = grid.map(i64::from);
        let mut clock = Clock {
            scale,
            grid,
            offset_90k,
            offset: 0,
            floor,
            previous: None,
            nominal: grid.unwrap_or(i64::from(scale / 30).max(1)),
            bumps: 0,
            seen: Mono(0),
        };
        clock.set_offset(offset_90k);
        match track.checked_sub(OTHERS) {
            None => self.clocks[track] = Some(clock),
            Some(at) => {
                if self.others.len() <= at {
                    self.others.resize(at + 1, None);
                }
                self.others[at] = Some(clock);
            }
        }
    }

    fn clock(&self, track: usize) -> Option<&Clock> {
        match track.checked_sub(OTHERS) {
            None => self.clocks[track].as_ref(),
            Some(at) => self.others.get(at)?.as_ref(),
        }
    }

    /// Places a frame of a track beyond the first two, at the offset of the first of its kind.
    /// What is far from where the stream is gets no place: which timeline is meant is decided
    /// by the first tracks, if there are any.
    fn place_other(
        &mut self,
        at: usize,
        (sent, samples): (i64, Option<u32>),
        now: Mono,
        counters: &mut Counters,
    ) -> Option<Placed> {
        let heads = (0..OTHERS + self.others.len()).filter_map(|t| self.head_90k(t));
        let head = heads.max().unwrap_or(self.start_90k);
        let clock = self.others.get_mut(at)?.as_mut()?;
        let slot = if clock.grid.is_some() { AUDIO } else { VIDEO };
        let mut offset = [slot, 1 - slot]
            .into_iter()
            .filter_map(|s| self.clocks[s].as_ref());
        let offset = offset.next().map(|c| c.offset_90k);
        if offset.is_some_and(|o| o != clock.offset_90k) {
            clock.set_offset(offset.unwrap_or_default());
        }
        let sent_90k = clock.to_90k(sent);
        let away = sent_90k
            .saturating_add(clock.offset_90k)
            .saturating_sub(head);
        if away.saturating_abs() > STEP_MAX_90K {
            counters.repaired += 1;
            if offset.is_some() {
                return None;
            }
            let next = clock.to_90k(clock.next_place(head));
            clock.set_offset(next.saturating_sub(sent_90k));
        }
        clock.seen = now;
        let dts = clock.accept(sent.saturating_add(clock.offset), counters);
        clock.set_grid(samples);
        Some(Placed {
            dts,
            as_sent: true,
            joined: None,
        })
    }

    /// Finds the place of a frame sent as `sent`, in ticks of its track, of `samples` if it is
    /// audio and says so; `None` if the track is not known.
    pub(crate) fn place(
        &mut self,
        track: usize,
        sent: i64,
        samples: Option<u32>,
        now: Mono,
        counters: &mut Counters,
    ) -> Option<Placed> {
        if let Some(at) = track.checked_sub(OTHERS) {
            return self.place_other(at, (sent, samples), now, counters);
        }
        let clock = self.clocks[track].as_ref()?;
        let wanted = sent.saturating_add(clock.offset);
        let believed = self.believes(track, wanted);
        let clock = self.clocks[track].as_mut()?;
        clock.seen = now;
        if !believed {
            return self.suspect(track, (sent, samples), now, counters);
        }
        let dts = clock.accept(wanted, counters);
        clock.set_grid(samples);
        let dts_90k = clock.to_90k(dts);
        if self.candidate.agree[track] > 0 {
            // A lone stray: its neighbours are where they belong.
            self.candidate = Candidate::default();
        } else {
            self.candidate.normal[track] = self.candidate.normal[track].saturating_add(1);
        }
        self.good = Some((self.good.map_or(dts_90k, |g| g.0.max(dts_90k)), now));
        Some(Placed {
            dts,
            as_sent: true,
            joined: None,
        })
    }

    /// Whether a time can be what the publisher means.
    fn believes(&self, track: usize, wanted: i64) -> bool {
        let Some(clock) = &self.clocks[track] else {
            return false;
        };
        let other = self.head_90k(1 - track);
        let head = other.unwrap_or(self.start_90k);
        let away = clock.to_90k(wanted).saturating_sub(head);
        let near = away.saturating_abs() <= STEP_MAX_90K;
        let Some(previous) = clock.previous else {
            return near;
        };
        let delta = wanted.saturating_sub(previous);
        if delta <= 0 && clock.bumps >= BUMPS_MAX {
            return false;
        }
        let step = rescale(STEP_MAX_90K, STREAM_TIMESCALE, clock.scale);
        // A track that paused while another went on has not jumped.
        (-step..=step).contains(&delta) || (delta > 0 && near && other.is_some())
    }

    fn head_90k(&self, track: usize) -> Option<i64> {
        let clock = self.clock(track)?;
        clock.previous.map(|p| clock.to_90k(p))
    }

    /// Places a frame that is not believed, and joins its timeline when enough others agree.
    fn suspect(
        &mut self,
        track: usize,
        (sent, samples): (i64, Option<u32>),
        now: Mono,
        counters: &mut Counters,
    ) -> Option<Placed> {
        let head = self.head_90k(1 - track).unwrap_or(self.start_90k);
        let clock = self.clocks[track].as_mut()?;
        let sent_90k = clock.to_90k(sent);
        let dts = clock.next_place(head);
        let from_90k = clock.to_90k(dts).saturating_sub(clock.offset_90k);
        clock.previous = Some(dts);
        clock.set_grid(samples);
        counters.repaired += 1;
        self.candidate.note(track, sent_90k);
        let kind = self.verdict(track, now)?;
        let Some(kind) = kind else {
            return Some(Placed {
                dts,
                as_sent: false,
                joined: None,
            });
        };
        counters.timestamp_steps += 1;
        self.candidate = Candidate::default();
        let (dts, kind) = match kind {
            JoinedKind::Track => (self.join_track(track, sent_90k, dts)?, kind),
            _ => self.join_stream(track, sent_90k, dts, now)?,
        };
        let joined = Joined {
            from_90k,
            to_90k: sent_90k,
            kind,
        };
        Some(Placed {
            dts,
            as_sent: kind == JoinedKind::Stream,
            joined: Some(joined),
        })
    }

    /// Whether enough frames agree, and on what. The outer `None` is an unknown track.
    fn verdict(&self, track: usize, now: Mono) -> Option<Option<JoinedKind>> {
        let candidate = &self.candidate;
        let other = 1 - track;
        if candidate.agree[0] + candidate.agree[1] < STEP_FRAMES {
            return Some(None);
        }
        let other_lives = self.clocks[other]
            .as_ref()
            .is_some_and(|c| c.previous.is_some() && now.since(c.seen) < SILENT);
        if !other_lives
            || candidate.agree[other] > 0
            || candidate.agree[track] >= STEP_UNCONFIRMED_FRAMES_MAX
        {
            return Some(Some(JoinedKind::Stream));
        }
        let alone = candidate.normal[other] >= STEP_FRAMES && candidate.agree[track] >= STEP_FRAMES;
        Some(alone.then_some(JoinedKind::Track))
    }

    /// One track joins: at the other's offset if that fits, else so that its time goes on.
    fn join_track(&mut self, track: usize, sent_90k: i64, dts: i64) -> Option<i64> {
        let other_offset = self.clocks[1 - track].as_ref().map(|c| c.offset_90k);
        let clock = self.clocks[track].as_mut()?;
        let here_90k = clock.to_90k(dts);
        let fits = other_offset.filter(|&o| {
            o != clock.offset_90k && (sent_90k.saturating_add(o) - here_90k).abs() <= STEP_MAX_90K
        });
        clock.set_offset(fits.unwrap_or(here_90k.saturating_sub(sent_90k)));
        clock.bumps = 0;
        Some(dts)
    }

    /// All tracks join; time goes on by the wall-clock gap.
    fn join_stream(
        &mut self,
        track: usize,
        sent_90k: i64,
        dts: i64,
        now: Mono,
    ) -> Option<(i64, JoinedKind)> {
        let clock = self.clocks[track].as_ref()?;
        let here_90k = clock.to_90k(dts);
        let by_wall_clock = self.good.map_or(here_90k, |(head, seen)| {
            let gap = i64::try_from(now.since(seen).as_micros()).unwrap_or(i64::MAX);
            head.saturating_add(rescale(gap, 1_000_000, STREAM_TIMESCALE))
        });
        if by_wall_clock.saturating_sub(here_90k) > STEP_MAX_90K {
            return Some((dts, JoinedKind::Restart));
        }
        let place_90k = by_wall_clock.max(here_90k);
        self.offset_90k = place_90k.saturating_sub(sent_90k);
        let scale = clock.scale;
        for clock in self.clocks.iter_mut().flatten() {
            clock.set_offset(self.offset_90k);
            clock.bumps = 0;
        }
        let dts = rescale(place_90k, STREAM_TIMESCALE, scale).max(dts);
        self.clocks[track].as_mut()?.previous = Some(dts);
        Some((dts, JoinedKind::Stream))
    }
}
