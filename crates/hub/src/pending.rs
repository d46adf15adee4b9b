//! Frames held back at the start of a session, until its tracks are known.
//!
//! A track is there once it has a configuration and a frame (a random access point, for
//! video). The session settles when every track is there that may come: announced, or not
//! spoken of. Failing that it settles with what is there after a bounded time of media or of
//! waiting, or when the room is used up.

use crate::config::Announced;
use crate::limits::{AUDIO_LEAD_90K, PENDING_BYTES_MAX, PENDING_FRAMES_MAX};
use crate::places::{AUDIO, VIDEO};
use std::collections::VecDeque;
use std::time::Duration;
use weir_media::{Frame, Mono, Now, SampleFlags, TrackKind};

/// A frame with what is known of it.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub frame: Frame,
    /// Place of its track.
    pub slot: usize,
    pub flags: SampleFlags,
    /// How long an audio frame says it is, in ticks of its track.
    pub samples: Option<u32>,
    pub now: Now,
    /// Decoding time as sent, in ticks of 1/90,000 s.
    pub sent_90k: i64,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    frames: VecDeque<Arrived>,
    bytes: usize,
    /// By place.
    there: Vec<bool>,
    /// Earliest and latest time sent, dropped frames included.
    span_90k: Option<(i64, i64)>,
    since: Option<Mono>,
}

impl Pending {
    /// Takes a frame; `false` if it was dropped, as video before a random access point is.
    pub(crate) fn push(&mut self, arrived: Arrived) -> bool {
        let sent = arrived.sent_90k;
        self.span_90k = Some(
            self.span_90k
                .map_or((sent, sent), |(a, b)| (a.min(sent), b.max(sent))),
        );
        let slot = arrived.slot;
        let is_video = arrived.frame.kind == TrackKind::Video;
        if is_video && !self.is_there(slot) && !arrived.frame.key {
            return false;
        }
        if self.there.len() <= slot {
            self.there.resize(slot + 1, false);
        }
        self.there[slot] = true;
        self.since.get_or_insert(arrived.now.mono);
        self.bytes += arrived.frame.payload.len();
        self.frames.push_back(arrived);
        true
    }

    /// Whether a track is there.
    pub(crate) fn is_there(&self, slot: usize) -> bool {
        self.there.get(slot).is_some_and(|t| *t)
    }

    /// Whether no track is there.
    pub(crate) fn is_empty(&self) -> bool {
        !self.there.contains(&true)
    }

    /// Whether the wait is over. Something has to be there. `others` are the places of further
    /// tracks that have a configuration.
    pub(crate) fn is_settled(
        &self,
        announced: Announced,
        mut others: impl Iterator<Item = usize>,
        wait: Duration,
        now: Mono,
    ) -> bool {
        if self.is_empty() {
            return false;
        }
        let (video, audio) = (self.is_there(VIDEO), self.is_there(AUDIO));
        let all = (video || announced.video == Some(false))
            && (audio || announced.audio == Some(false))
            && others.all(|slot| self.is_there(slot));
        let wait_90k = i64::try_from(wait.as_micros() * 9 / 100).unwrap_or(i64::MAX);
        let span = self.span_90k.map_or(0, |(a, b)| b.saturating_sub(a));
        all || span >= wait_90k
            || self.frames.len() >= PENDING_FRAMES_MAX
            || self.bytes >= PENDING_BYTES_MAX
            || self.deadline(wait).is_some_and(|d| now >= d)
    }

    /// When the wait is over, if no frame ends it before.
    pub(crate) fn deadline(&self, wait: Duration) -> Option<Mono> {
        self.since.map(|since| since + wait)
    }

    /// Forgets the frames of a track whose configuration changed; returns how many.
    pub(crate) fn forget(&mut self, slot: usize) -> usize {
        let before = self.frames.len();
        self.frames.retain(|f| f.slot != slot);
        self.bytes = self.frames.iter().map(|f| f.frame.payload.len()).sum();
        if let Some(there) = self.there.get_mut(slot) {
            *there = false;
        }
        if self.frames.is_empty() {
            self.since = None;
        }
        before - self.frames.len()
    }

    /// Drops audio that is too early for the first keyframe; returns how many frames.
    pub(crate) fn trim_audio(&mut self) -> usize {
        let Some(start) = self.first(VIDEO).map(|f| f.sent_90k) else {
            return 0;
        };
        let before = self.frames.len();
        let is_video = |f: &Arrived| f.frame.kind == TrackKind::Video;
        self.frames
            .retain(|f| is_video(f) || start.saturating_sub(f.sent_90k) <= AUDIO_LEAD_90K);
        before - self.frames.len()
    }

    /// First frame of a track.
    pub(crate) fn first(&self, slot: usize) -> Option<&Arrived> {
        self.frames.iter().find(|f| f.slot == slot)
    }

    /// The frames as they came.
    pub(crate) fn into_frames(self) -> VecDeque<Arrived> {
        self.frames
    }
}
