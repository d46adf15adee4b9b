//! Which of a stream's inputs is shown: a [`Selector`] looks at the frames of all of them and says
//! whose are the stream's.
//!
//! An input fails when nothing comes of it, when its times stand still, or when a track stays away
//! that it had or has to have; each for a time that [`Rules`] set. Then the first healthy input in
//! the order of preference takes over at its next keyframe. When one that is preferred to the
//! shown is healthy again, [`Back`] says whether and when it comes back, at a keyframe too. An
//! input in standby costs a few numbers: none of its frames are kept.

mod input;

use input::Input;
use std::time::Duration;
use weir_media::{Frame, Mono, TrackKind};

/// When inputs fail, and come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// How long nothing may come of an input.
    pub loss: Duration,
    /// How long frames may come whose times do not advance.
    pub frozen: Duration,
    /// How long a track may stay away while another goes on.
    pub missing: Duration,
    /// An input without video has failed.
    pub needs_video: bool,
    /// An input without audio has failed.
    pub needs_audio: bool,
    /// What follows when an input that is preferred to the shown one is healthy.
    pub back: Back,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            loss: Duration::from_secs(1),
            frozen: Duration::from_secs(3),
            missing: Duration::from_secs(5),
            needs_video: false,
            needs_audio: false,
            back: Back::Stable(Duration::from_secs(30)),
        }
    }
}

/// When a preferred input is shown again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Back {
    /// Not before the shown one fails.
    Never,
    /// When it has been healthy for so long without a break.
    Stable(Duration),
    /// At its next keyframe.
    AtOnce,
}

/// Why an input was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The stream begins with it.
    Begin,
    /// Nothing came of the last one.
    Lost,
    /// The last one's times stood still.
    Frozen,
    /// The last one had no video.
    NoVideo,
    /// The last one had no audio.
    NoAudio,
    /// It is preferred to the last one, and healthy again.
    Preferred,
}

impl Reason {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Begin,
        Self::Lost,
        Self::Frozen,
        Self::NoVideo,
        Self::NoAudio,
        Self::Preferred,
    ];

    /// The word in metrics and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Begin => "begin",
            Self::Lost => "lost",
            Self::Frozen => "frozen",
            Self::NoVideo => "no_video",
            Self::NoAudio => "no_audio",
            Self::Preferred => "preferred",
        }
    }
}

/// How an input is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputState {
    /// Nobody sends.
    Absent,
    /// Somebody sends, but no frame came yet.
    Waiting,
    /// All is well.
    Healthy,
    /// It has failed, for this reason.
    Failed(Reason),
}

impl InputState {
    /// The word in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Waiting => "waiting",
            Self::Healthy => "healthy",
            Self::Failed(reason) => reason.as_str(),
        }
    }
}

/// Another input is shown from here on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Switch {
    /// The one shown before.
    pub from: Option<usize>,
    /// The one shown now.
    pub to: usize,
    /// Why.
    pub reason: Reason,
}

/// What becomes of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is not shown.
    Drop,
    /// It is the stream's.
    Show,
    /// It is the stream's first of another input.
    Switch(Switch),
}

/// See the module. Inputs are named by their place, the preferred first.
#[derive(Debug)]
pub struct Selector {
    rules: Rules,
    began: Mono,
    inputs: Vec<Input>,
    shown: Option<usize>,
    /// Who is to be shown from its next keyframe on.
    next: Option<(usize, Reason)>,
}

impl Selector {
    /// For a stream with so many inputs, of which none is there yet.
    #[must_use]
    pub fn new(rules: Rules, inputs: usize, now: Mono) -> Self {
        Self {
            rules,
            began: now,
            inputs: (0..inputs).map(|_| Input::default()).collect(),
            shown: None,
            next: None,
        }
    }

    /// Somebody begins to send an input, or takes it over.
    pub fn handle_open(&mut self, input: usize, now: Mono) {
        if let Some(it) = self.inputs.get_mut(input) {
            it.open(now);
        }
        self.handle_timeout(now);
    }

    /// Nobody sends an input any more.
    pub fn handle_close(&mut self, input: usize, now: Mono) {
        if let Some(it) = self.inputs.get_mut(input) {
            it.close(now);
        }
        self.handle_timeout(now);
    }

    /// A frame of an input, as it came.
    pub fn handle_frame(&mut self, input: usize, frame: &Frame, now: Mono) -> Verdict {
        let Some(it) = self.inputs.get_mut(input) else {
            return Verdict::Drop;
        };
        it.frame(frame, now);
        let can_begin = match frame.kind {
            TrackKind::Video => frame.key,
            TrackKind::Audio => !it.has(TrackKind::Video),
        };
        // What may begin is looked at with what is known now, and not a tick ago.
        if can_begin && self.shown != Some(input) {
            self.handle_timeout(now);
        }
        match self.next {
            Some((next, reason)) if next == input && can_begin => {
                let from = self.shown.replace(input);
                self.next = None;
                Verdict::Switch(Switch {
                    from,
                    to: input,
                    reason,
                })
            }
            _ if self.shown == Some(input) => Verdict::Show,
            _ => Verdict::Drop,
        }
    }

    /// Looks at all inputs. To be called about every 100 ms.
    pub fn handle_timeout(&mut self, now: Mono) {
        for input in &mut self.inputs {
            input.look(&self.rules, now);
        }
        self.next = self.wanted(now);
    }

    /// Who is shown.
    #[must_use]
    pub fn shown(&self) -> Option<usize> {
        self.shown
    }

    /// How an input is; `None` if there is none in this place.
    #[must_use]
    pub fn state(&self, input: usize) -> Option<InputState> {
        self.inputs.get(input).map(Input::state)
    }

    /// Who is to be shown instead.
    fn wanted(&self, now: Mono) -> Option<(usize, Reason)> {
        let healthy = |i: &usize| self.inputs.get(*i).is_some_and(Input::is_healthy);
        let all = 0..self.inputs.len();
        let Some(shown) = self.shown else {
            let first = all.clone().find(healthy)?;
            // The preferred one is given time to come, as it would be if it went.
            let is_late = now.since(self.began) >= self.rules.loss;
            return (first == 0 || is_late).then_some((first, Reason::Begin));
        };
        let failure = match self.inputs.get(shown)?.state() {
            InputState::Healthy | InputState::Waiting => None,
            InputState::Failed(reason) => Some(reason),
            InputState::Absent => self.inputs[shown].is_gone(&self.rules, now),
        };
        if let Some(reason) = failure {
            let other = all.clone().find(|i| *i != shown && healthy(i))?;
            return Some((other, reason));
        }
        let since = |i: &usize| self.inputs[*i].healthy_since(now);
        let preferred = match self.rules.back {
            Back::Never => None,
            Back::AtOnce => (0..shown).find(healthy),
            Back::Stable(time) => (0..shown).find(|i| healthy(i) && since(i) >= time),
        };
        Some((preferred?, Reason::Preferred))
    }
}

#[cfg(test)]
mod tests;
