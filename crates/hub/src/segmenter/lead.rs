//! The leading track: it decides where segments begin.
//!
//! - Cut at the random access point after which the segment, with one more GOP as long as the
//!   last, would be longer than the target duration. Every audio frame is one.
//! - If none comes in time, cut before the frame with which the segment would exceed the
//!   target duration: for video that segment does not start with a random access point.
//! - The target duration is fixed by the first GOP; up to then 10 s is the bound.
//! - Where the leader is away for longer than that, boundaries in between divide the absence.
//!
//! Video that stops while audio goes on gives up the lead when audio is the target duration
//! ahead of it, but not before the longest pause that is no jump (3 s). It has gaps then, and
//! leads again from its next random access point.

use super::Segmenter;
use crate::limits::{
    AUDIO_GAP_90K_MIN, JOIN_SEGMENT_90K_MIN, QUEUE_BYTES_MAX, QUEUE_FRAMES_MAX, SEGMENT_BYTES_MAX,
    STEP_MAX_90K, STREAM_TIMESCALE, TARGET_SECONDS_MAX,
};
use crate::output::Event;
use crate::places::{AUDIO, VIDEO};
use crate::time::Time;
use crate::track::{Queued, Track};
use weir_media::{CodecConfig, Now, TrackKind};

impl Segmenter {
    /// Places every frame of the leader whose duration is known.
    pub(super) fn pump_leader(&mut self, now: Now) {
        let Some(leader) = self.leader else {
            return;
        };
        if self.open.is_empty() {
            let Some(front) = self.tracks[leader].as_ref().and_then(Track::front) else {
                return;
            };
            self.open_segment(front, false, now);
            self.last_key = Some(front);
        }
        while let Some((frame, duration)) = self.take_measured(leader) {
            self.lead(leader, frame, duration, now);
            self.cut_at_key(leader, now);
        }
    }

    /// The oldest frame with its duration, if the one after it has come.
    fn take_measured(&mut self, leader: usize) -> Option<(Queued, i64)> {
        let track = self.tracks[leader].as_mut()?;
        let next = track.queue.get(1)?.dts;
        let frame = track.pop()?;
        let duration = next.saturating_sub(frame.dts).max(1);
        self.note_gap(leader, duration);
        Some((frame, duration))
    }

    /// Counts a pause in audio.
    pub(super) fn note_gap(&mut self, slot: usize, duration: i64) {
        let Some(track) = &self.tracks[slot] else {
            return;
        };
        let Some(grid) = track.grid().map(i64::from) else {
            return;
        };
        let gap_90k = track.time(duration - grid).to_90k();
        if duration > 2 * grid && gap_90k >= AUDIO_GAP_90K_MIN {
            let milliseconds = track.time(duration - grid).to(1000);
            self.sink.counters.audio_gaps += 1;
            self.sink.event(Event::AudioGap {
                milliseconds: u64::try_from(milliseconds).unwrap_or(0),
            });
        }
    }

    /// Puts a frame of the leader into its segment, before which one may have to be cut.
    fn lead(&mut self, leader: usize, frame: Queued, duration: i64, now: Now) {
        let (Some(back), Some(track)) = (self.open.back().copied(), &self.tracks[leader]) else {
            return;
        };
        let time = track.time(frame.dts);
        let end = track.time(frame.dts.saturating_add(duration));
        // A track that takes the lead may have begun before the boundary, or come long after.
        let begun = track.open.is_some() || time.exceeds(back.start, JOIN_SEGMENT_90K_MIN);
        let too_long = end.exceeds(back.start, self.target_90k())
            || !track.fits(frame.dts, duration, self.counting.target);
        let too_large = track.open.is_some_and(|o| {
            o.bytes.saturating_add(frame.payload.len() as u64) > SEGMENT_BYTES_MAX
        });
        if begun && time.exceeds(back.start, 0) && (too_long || too_large) {
            if too_long {
                self.counting.target.get_or_insert(TARGET_SECONDS_MAX);
            }
            if !frame.key() {
                self.sink.counters.forced_cuts += 1;
                self.sink.event(Event::ForcedCut {
                    media_sequence: self.counting.next,
                });
            }
            self.cut(leader, time, false, now);
        }
        if let (Some(back), Some(track)) = (self.open.back(), &mut self.tracks[leader]) {
            let duration = track.bounded(frame.dts, duration, self.counting.target);
            track.append(frame, duration, back, &mut self.sink);
        }
    }

    /// Cuts before the frame that came last, if it is where a segment should begin.
    fn cut_at_key(&mut self, leader: usize, now: Now) {
        let (Some(back), Some(track)) = (self.open.back().copied(), &self.tracks[leader]) else {
            return;
        };
        let Some(frame) = track.queue.front().filter(|f| f.key()) else {
            return;
        };
        let time = track.time(frame.dts);
        let gop_90k = if track.kind == TrackKind::Video {
            let since = self.last_key.unwrap_or(back.start);
            time.to_90k().saturating_sub(since.to_90k())
        } else {
            track.time(track.typical()).to_90k()
        };
        self.fix_target(gop_90k);
        self.last_key = Some(time);
        let room = self.target_90k().saturating_sub(gop_90k);
        if self.break_due || time.exceeds(back.start, room) {
            let discontinuity = self.break_due;
            self.cut(leader, time, discontinuity, now);
        }
    }

    /// Begins a segment at `time` and closes the leader's part of the one before.
    fn cut(&mut self, leader: usize, time: Time, discontinuity: bool, now: Now) {
        let before = self.open.len();
        self.open_up_to(time, discontinuity, now);
        for _ in before..self.open.len() {
            self.close_track(leader);
        }
    }

    /// Video takes the lead at `time`, where it has a random access point. That begins a
    /// segment, unless one has only just begun. If video has changed since it was last shown,
    /// without a discontinuity in between, that is one. `false` if the time has passed.
    pub(super) fn lead_from(&mut self, time: Time, config: &CodecConfig, now: Now) -> bool {
        let Some(back) = self.open.back().copied() else {
            return false;
        };
        let changed = self.tracks[VIDEO].as_ref().is_some_and(|t| {
            t.config != *config && t.shown_in == Some(self.counting.discontinuity_sequence)
        });
        let breaks = self.break_due || changed;
        let cuts = time.exceeds(back.start, JOIN_SEGMENT_90K_MIN);
        if !cuts && (breaks || back.start.exceeds(time, JOIN_SEGMENT_90K_MIN)) {
            return false;
        }
        self.fix_target(0);
        self.leader = Some(VIDEO);
        self.last_key = Some(time);
        if cuts {
            self.cut(VIDEO, time, breaks, now);
        }
        true
    }

    /// Whether audio has waited for video long enough.
    pub(super) fn leader_is_silent(&self) -> bool {
        let (Some(leader), Some(audio)) = (self.leader, self.track(AUDIO)) else {
            return false;
        };
        let video = self.track(leader).filter(|t| t.kind == TrackKind::Video);
        let Some(video) = video else {
            return false;
        };
        if !audio.active {
            return false;
        }
        if audio.queue.len() > QUEUE_FRAMES_MAX || audio.queue_bytes > QUEUE_BYTES_MAX {
            return true;
        }
        let target = self
            .counting
            .target
            .map(|t| i64::from(t) * i64::from(STREAM_TIMESCALE));
        let patience = target.unwrap_or(self.segment_90k).max(STEP_MAX_90K);
        match (audio.newest(), video.newest()) {
            (Some(heard), Some(seen)) => heard.exceeds(seen, patience),
            _ => false,
        }
    }

    /// Video gives up the lead to audio.
    pub(super) fn park_video(&mut self, now: Now) {
        let Some(leader) = self.leader else {
            return;
        };
        self.lead_last(leader, now);
        if let Some(video) = &mut self.tracks[leader] {
            video.active = false;
            video.stalled = true;
        }
        self.sink.counters.video_stalls += 1;
        self.sink.event(Event::VideoStalled);
        self.pump_followers(now, false);
        self.leader = Some(AUDIO);
        let back = self.open.back().map_or(0, |s| s.number);
        while self.tracks[AUDIO].as_ref().is_some_and(|t| t.number < back) {
            self.close_track(AUDIO);
        }
        if let Some(audio) = &mut self.tracks[AUDIO] {
            audio.joins_at = None;
        }
    }

    /// Places the leader's last frame, whose duration nobody will tell.
    pub(super) fn lead_last(&mut self, leader: usize, now: Now) {
        let last = self.tracks[leader]
            .as_mut()
            .and_then(|t| Some((t.pop()?, t.typical().max(1))));
        if let Some((frame, duration)) = last {
            self.lead(leader, frame, duration, now);
        }
    }
}
