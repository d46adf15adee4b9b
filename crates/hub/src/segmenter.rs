//! Where segments begin and end.
//!
//! One track leads: video, if the session has it. A boundary is a decoding time that the leader
//! decides on; it opens the next segment of the stream. The other track follows: its frames
//! wait until the leader has passed them, so that every boundary before them is known, and it
//! cuts at its first frame at or after each. The two halves are in `lead.rs` and `follow.rs`.

mod follow;
mod lead;

use crate::config::StreamConfig;
use crate::limits::{
    QUEUE_BYTES_MAX, QUEUE_FRAMES_MAX, STREAM_TIMESCALE, TARGET_ROUNDING_90K, TARGET_SECONDS_MAX,
};
use crate::output::Event;
use crate::places::{OTHERS, VIDEO};
use crate::time::Time;
use crate::track::{Queued, Segment, Sink, Track};
use crate::wall_clock::WallClock;
use std::collections::VecDeque;
use std::time::Duration;
use weir_media::time::rescale;
use weir_media::{CodecConfig, Mono, Now, TrackId, TrackKind, Utc};

/// Numbers that go on over sessions and restarts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counting {
    /// Number of the next segment.
    pub next: u64,
    pub discontinuity_sequence: u64,
    pub target: Option<u32>,
    /// A segment was opened in this broadcast: a session that starts now is a return.
    pub begun: bool,
    pub last_utc: Option<Utc>,
}

/// A track and its place in the lists.
pub(crate) type Place = (usize, TrackId);

/// See the module.
#[derive(Debug)]
pub(crate) struct Segmenter {
    /// Wanted segment, in ticks of 1/90,000 s.
    segment_90k: i64,
    part_us: i64,
    /// By place: video, audio, others.
    tracks: Vec<Option<Track>>,
    leader: Option<usize>,
    /// From the oldest segment that a track still has open to the leader's. Empty between
    /// sessions, and before the leader's first frame.
    open: VecDeque<Segment>,
    counting: Counting,
    /// The next segment to open begins with a discontinuity.
    discontinuity_due: bool,
    /// So does the one at the leader's next random access point, which is cut for it.
    break_due: bool,
    /// Random access point of the leader that the last one is measured from.
    last_key: Option<Time>,
    wall: WallClock,
    pub sink: Sink,
}

impl Segmenter {
    pub(crate) fn new(config: StreamConfig, counting: Counting) -> Self {
        let us = |d: Duration| i64::try_from(d.as_micros()).unwrap_or(i64::MAX);
        Self {
            segment_90k: rescale(us(config.segment), 1_000_000, STREAM_TIMESCALE),
            part_us: us(config.part),
            tracks: vec![None, None],
            leader: None,
            open: VecDeque::new(),
            counting,
            discontinuity_due: false,
            break_due: false,
            last_key: None,
            wall: WallClock::after(counting.last_utc),
            sink: Sink::default(),
        }
    }

    /// Puts back a track of a recovered broadcast.
    pub(crate) fn restore(&mut self, place: Place, config: CodecConfig, init: u32, end: i64) {
        let (slot, id) = place;
        let mut track = Track::new(id, config, self.part_us, init, self.counting.next);
        track.end = end;
        track.listed = true;
        track.shown_in = Some(self.counting.discontinuity_sequence);
        *self.track_mut(slot) = Some(track);
    }

    /// A place in the list, which grows to it.
    fn track_mut(&mut self, slot: usize) -> &mut Option<Track> {
        while self.tracks.len() <= slot {
            self.tracks.push(None);
        }
        &mut self.tracks[slot]
    }

    fn track(&self, slot: usize) -> Option<&Track> {
        self.tracks.get(slot)?.as_ref()
    }

    /// Whether frames of a track go into the stream at once.
    pub(crate) fn is_active(&self, slot: usize) -> bool {
        self.track(slot).is_some_and(|t| t.active)
    }

    /// Whether the broadcast has segments, so that the next session is a return.
    pub(crate) fn has_begun(&self) -> bool {
        self.counting.begun
    }

    /// Decoding time after the last sample of the track in a place, in ticks of this
    /// configuration.
    pub(crate) fn end_of(&self, slot: usize, config: &CodecConfig) -> i64 {
        self.track(slot)
            .map_or(0, |t| match t.scale() == config.timescale() {
                true => t.end,
                false => rescale(t.end, t.scale(), config.timescale()).saturating_add(1),
            })
    }

    /// A session starts with these tracks, at least one, in the order of their places: the first
    /// video leads, or the first of all.
    pub(crate) fn begin(&mut self, tracks: Vec<(Place, CodecConfig)>) {
        let is_video = |t: &&(Place, CodecConfig)| t.1.kind() == TrackKind::Video;
        let leader = tracks.iter().find(is_video).or(tracks.first());
        self.leader = leader.map(|((slot, _), _)| *slot);
        self.last_key = None;
        self.break_due = false;
        self.discontinuity_due = self.counting.begun;
        self.wall.restart();
        for track in self.tracks.iter_mut().flatten() {
            track.begin(false);
        }
        for (place, config) in tracks {
            self.configure(place, config).begin(true);
        }
    }

    /// Makes a track that starts in the next segment, or gives one another configuration;
    /// gives out the initialization segment if it is new.
    fn configure(&mut self, (slot, id): Place, config: CodecConfig) -> &mut Track {
        let (part_us, next) = (self.part_us, self.counting.next);
        let known = self.track_mut(slot).is_some();
        let track = self.tracks[slot]
            .get_or_insert_with(|| Track::new(id, config.clone(), part_us, 0, next));
        if !known {
            track.put_init(&mut self.sink);
        } else if track.config != config {
            let init = track.reconfigure(config, part_us);
            track.put_init(&mut self.sink);
            self.sink.counters.config_changes += 1;
            self.sink.event(Event::ConfigChanged {
                track: track.id,
                init,
            });
        }
        track
    }

    /// One frame of an active track. The queue of a track beyond the first two is full when the
    /// leader is away for long: then its newest frames are dropped.
    pub(crate) fn push(&mut self, slot: usize, frame: Queued, now: Now) {
        let is_leader = self.leader == Some(slot);
        if let Some(track) = &mut self.tracks[slot] {
            let full = track.queue.len() > QUEUE_FRAMES_MAX || track.queue_bytes > QUEUE_BYTES_MAX;
            if full && !is_leader && slot >= OTHERS {
                self.sink.dropped(1);
            } else {
                track.push(frame);
            }
        }
        self.pump(now);
    }

    /// First frame of a track that was not there when the session started, or of video after
    /// it stopped. `false` if it cannot join here: the frame is to be dropped.
    pub(crate) fn join(
        &mut self,
        place: Place,
        config: &CodecConfig,
        frame: Queued,
        now: Now,
    ) -> bool {
        let slot = place.0;
        self.sink.utc = now.utc;
        let Some(back) = self.open.back().copied() else {
            return false;
        };
        if slot == VIDEO {
            let time = Time {
                ticks: frame.dts,
                scale: config.timescale(),
            };
            if !self.lead_from(time, config, now) {
                return false;
            }
        }
        let number = self.open.back().map_or(back.number, |s| s.number);
        let known = self.track(slot).is_some();
        let track = self.configure(place, config.clone());
        if !known {
            track.number = number;
        }
        if slot != VIDEO {
            track.joins_at = Some(number.saturating_add(1));
        }
        let (id, returned) = (track.id, track.stalled);
        track.active = true;
        track.stalled = false;
        track.push(frame);
        if !returned {
            self.sink.counters.late_tracks += 1;
            self.sink.event(Event::LateTrack { track: id });
        }
        self.pump(now);
        true
    }

    /// Moves everything on that can be decided.
    pub(crate) fn pump(&mut self, now: Now) {
        self.sink.utc = now.utc;
        self.pump_leader(now);
        self.pump_followers(now, false);
        if self.leader_is_silent() {
            self.park_video(now);
            self.pump_leader(now);
            self.pump_followers(now, false);
        }
    }

    /// The next random access point of the leader begins a segment with a discontinuity.
    pub(crate) fn break_at_key(&mut self) {
        self.break_due = true;
    }

    /// The session is over: gives out all frames and closes the open segment in every track.
    pub(crate) fn end(&mut self, now: Now) {
        self.sink.utc = now.utc;
        self.pump_leader(now);
        if let Some(leader) = self.leader {
            self.lead_last(leader, now);
        }
        self.pump_followers(now, true);
        self.close_all();
        self.leader = None;
        for track in self.tracks.iter_mut().flatten() {
            // Frames of a track that never got to its place.
            self.sink.counters.dropped += track.queue.len() as u64;
            track.queue.clear();
            track.queue_bytes = 0;
            track.active = false;
        }
    }

    /// Closes all segments in all tracks; the last ends where its longest track does.
    fn close_all(&mut self) {
        let Some(back) = self.open.back().copied() else {
            return;
        };
        let ends = self.tracks.iter().flatten().filter(|t| t.open.is_some());
        let end = ends
            .map(|t| t.time(t.end))
            .max_by(|a, b| a.order(*b))
            .unwrap_or(back.start);
        let target = self.target_up_to(end);
        for slot in 0..self.tracks.len() {
            while let Some(segment) = self.segment_of(slot) {
                let end = self.boundary_after(segment.number).unwrap_or(end);
                if let Some(track) = &mut self.tracks[slot] {
                    track.close_segment(&segment, end, target, &mut self.sink);
                }
            }
        }
        self.open.clear();
    }

    /// The wall-clock time of a place in the stream; `None` before the session has a segment.
    pub(crate) fn date(&self, time_90k: i64) -> Option<Utc> {
        self.wall.at(time_90k)
    }

    /// When [`Segmenter::pump`] has something to do without a frame.
    pub(crate) fn deadline(&self) -> Option<Mono> {
        let waiting = |slot: usize| {
            let track = self.track(slot)?;
            let segment = self.segment_of(slot)?;
            let next = self.segment_numbered(segment.number.saturating_add(1))?;
            (track.active && Some(slot) != self.leader).then(|| next.opened + follow::LAG)
        };
        (0..self.tracks.len()).filter_map(waiting).min()
    }

    /// Opens a segment at `start`, decided now. A track that has nothing before it gets a gap,
    /// which may not be longer than the target duration either: an absence that is longer is
    /// divided, at most a few times, since no track gets far ahead of the other.
    fn open_up_to(&mut self, start: Time, discontinuity: bool, now: Now) {
        self.target_up_to(start);
        while let Some(back) = self.open.back().copied()
            && start.exceeds(back.start, self.target_90k() + TARGET_ROUNDING_90K)
        {
            let step = self.target_90k() / i64::from(STREAM_TIMESCALE);
            let between = Time {
                ticks: back.start.ticks + step * i64::from(back.start.scale),
                ..back.start
            };
            self.open_segment(between, false, now);
        }
        self.open_segment(start, discontinuity, now);
    }

    /// Opens a segment at `start`.
    fn open_segment(&mut self, start: Time, discontinuity: bool, now: Now) {
        let discontinuity = discontinuity || self.discontinuity_due;
        self.discontinuity_due = false;
        if discontinuity {
            self.break_due = false;
            self.counting.discontinuity_sequence =
                self.counting.discontinuity_sequence.saturating_add(1);
            self.sink.counters.discontinuities += 1;
        }
        self.counting.begun = true;
        self.open.push_back(Segment {
            number: self.counting.next,
            start,
            discontinuity,
            discontinuity_sequence: self.counting.discontinuity_sequence,
            opened: now.mono,
            utc: self.wall.stamp(start.to_90k(), now.utc),
        });
        self.counting.next = self.counting.next.saturating_add(1);
    }

    fn segment_numbered(&self, number: u64) -> Option<Segment> {
        let first = self.open.front()?.number;
        let at = usize::try_from(number.checked_sub(first)?).ok()?;
        self.open.get(at).copied()
    }

    /// The segment that a track is in.
    fn segment_of(&self, slot: usize) -> Option<Segment> {
        self.segment_numbered(self.track(slot)?.number)
    }

    /// Where a segment ends, once that is decided.
    fn boundary_after(&self, number: u64) -> Option<Time> {
        self.segment_numbered(number.saturating_add(1))
            .map(|s| s.start)
    }

    /// Closes a track's part of the segment it is in, if its end is decided.
    fn close_track(&mut self, slot: usize) {
        let Some(segment) = self.segment_of(slot) else {
            return;
        };
        let Some(end) = self.boundary_after(segment.number) else {
            return;
        };
        let target = self.target_up_to(end);
        if let Some(track) = &mut self.tracks[slot] {
            track.close_segment(&segment, end, target, &mut self.sink);
        }
        let oldest = self.tracks.iter().flatten().map(|t| t.number).min();
        while self.open.len() > 1 && self.open.front().map(|s| s.number) < oldest {
            self.open.pop_front();
        }
    }

    /// The target duration in seconds, which the end of the first segment fixes if the first
    /// GOP did not.
    fn target_up_to(&mut self, end: Time) -> u32 {
        let start = self.open.front().map_or(end, |s| s.start);
        self.fix_target(end.to_90k().saturating_sub(start.to_90k()))
    }

    /// The target duration in seconds. The first call fixes it: the wanted segment or
    /// `longest_90k`, whichever is longer, rounded up; more if a track already has more in its
    /// open segment than is rounded away.
    fn fix_target(&mut self, longest_90k: i64) -> u32 {
        let wanted = self.segment_90k.max(longest_90k).max(1);
        let tracks = self.tracks.iter().flatten();
        let open = tracks.map(Track::rounded_seconds).max().unwrap_or(0);
        *self.counting.target.get_or_insert_with(|| {
            let seconds = wanted.saturating_add(i64::from(STREAM_TIMESCALE) - 1)
                / i64::from(STREAM_TIMESCALE);
            u32::try_from(seconds.max(open))
                .unwrap_or(TARGET_SECONDS_MAX)
                .min(TARGET_SECONDS_MAX)
        })
    }

    /// The target duration in ticks of 1/90,000 s; the largest there is while it is open.
    fn target_90k(&self) -> i64 {
        i64::from(self.counting.target.unwrap_or(TARGET_SECONDS_MAX)) * i64::from(STREAM_TIMESCALE)
    }
}
