//! One input, as far as its health goes.

use super::{InputState, Reason, Rules};
use std::time::Duration;
use weir_media::{Frame, Mono, TrackKind};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Input {
    open: bool,
    /// When it was opened or closed last.
    turned: Mono,
    /// When a frame of any track came last.
    heard: Option<Mono>,
    video: Option<Pulse>,
    audio: Option<Pulse>,
    state: Option<InputState>,
    healthy_since: Option<Mono>,
}

/// A track that was there.
#[derive(Debug, Clone, Copy)]
struct Pulse {
    heard: Mono,
    /// Newest time, in ticks of the track, and when it came.
    newest: i64,
    advanced: Mono,
}

impl Input {
    pub(super) fn open(&mut self, now: Mono) {
        *self = Self {
            open: true,
            turned: now,
            ..Self::default()
        };
    }

    pub(super) fn close(&mut self, now: Mono) {
        *self = Self {
            turned: now,
            ..Self::default()
        };
    }

    pub(super) fn frame(&mut self, frame: &Frame, now: Mono) {
        self.heard = Some(now);
        let pulse = match frame.kind {
            TrackKind::Video => &mut self.video,
            TrackKind::Audio => &mut self.audio,
        };
        let pulse = pulse.get_or_insert(Pulse {
            heard: now,
            newest: i64::MIN,
            advanced: now,
        });
        pulse.heard = now;
        // A clock that was set back goes on from there.
        if frame.dts > pulse.newest || frame.dts < pulse.newest.saturating_sub(STEP_BACK) {
            pulse.newest = frame.dts;
            pulse.advanced = now;
        }
    }

    /// Whether it has shown a track of this kind.
    pub(super) fn has(&self, kind: TrackKind) -> bool {
        match kind {
            TrackKind::Video => self.video.is_some(),
            TrackKind::Audio => self.audio.is_some(),
        }
    }

    /// Looks at it with the clock.
    pub(super) fn look(&mut self, rules: &Rules, now: Mono) {
        let state = self.find(rules, now);
        self.state = Some(state);
        match state {
            InputState::Healthy => drop(self.healthy_since.get_or_insert(now)),
            _ => self.healthy_since = None,
        }
    }

    fn find(&self, rules: &Rules, now: Mono) -> InputState {
        if !self.open {
            return InputState::Absent;
        }
        let Some(heard) = self.heard else {
            let is_late = now.since(self.turned) >= rules.loss.max(FIRST_FRAME);
            return match is_late {
                true => InputState::Failed(Reason::Lost),
                false => InputState::Waiting,
            };
        };
        if now.since(heard) >= rules.loss {
            return InputState::Failed(Reason::Lost);
        }
        let tracks = [self.video, self.audio];
        let mut tracks_there = tracks.iter().flatten();
        if tracks_there.all(|t| now.since(t.advanced) >= rules.frozen) {
            return InputState::Failed(Reason::Frozen);
        }
        let is_missing = |track: Option<Pulse>, needed: bool| match track {
            Some(t) => now.since(t.heard.min(t.advanced)) >= rules.missing,
            None => needed && now.since(self.turned) >= rules.missing,
        };
        let needs_more = |track: Option<Pulse>, needed: bool| needed && track.is_none();
        if is_missing(self.video, rules.needs_video) {
            InputState::Failed(Reason::NoVideo)
        } else if is_missing(self.audio, rules.needs_audio) {
            InputState::Failed(Reason::NoAudio)
        } else if needs_more(self.video, rules.needs_video)
            || needs_more(self.audio, rules.needs_audio)
        {
            InputState::Waiting
        } else {
            InputState::Healthy
        }
    }

    pub(super) fn state(&self) -> InputState {
        self.state.unwrap_or(InputState::Absent)
    }

    pub(super) fn is_healthy(&self) -> bool {
        self.state == Some(InputState::Healthy)
    }

    pub(super) fn healthy_since(&self, now: Mono) -> Duration {
        self.healthy_since.map_or(Duration::ZERO, |s| now.since(s))
    }

    /// Whether one that nobody sends is gone for good.
    pub(super) fn is_gone(&self, rules: &Rules, now: Mono) -> Option<Reason> {
        (now.since(self.turned) >= rules.loss).then_some(Reason::Lost)
    }
}

/// Longest wait for the first frame of an input whose connection is there.
const FIRST_FRAME: Duration = Duration::from_secs(5);

/// A step back by more than this is another clock, in ticks of the track: 1 s of 90 kHz.
const STEP_BACK: i64 = 90_000;
