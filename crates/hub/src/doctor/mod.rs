//! What is wrong with a publisher, in words.
//!
//! A [`Doctor`] goes with one publish session. It looks at each frame as it came, before anything
//! is repaired, for about 30 ns and without allocating, and gives a [`Health`] when asked. What it
//! measures over time, it measures in windows of [`WINDOW`] of wall time; a finding stands until a
//! later window is free of it, and one about something that happened for [`REMEMBERED`].

mod advice;
mod report;
mod track;

pub use report::{Fault, Finding, Health, Promise, Severity};

use crate::limits::DOCTOR_STEP_US_MAX;
use std::time::Duration;
use track::Track;
use weir_media::{CodecConfig, Frame, Mono, TrackId, TrackKind};

/// What rates are measured over: long enough for a group of pictures and for the bursts of a
/// network, short enough to be of help while somebody turns a knob.
pub const WINDOW: Duration = Duration::from_secs(10);

/// How long something that happened once is reported.
pub const REMEMBERED: Duration = Duration::from_secs(60);

/// A track that was announced, and a first keyframe, may take this long to come.
const ABSENT_AFTER: Duration = Duration::from_secs(5);

/// Longest distance of keyframes at all: what a segment can last.
const KEYFRAMES_AT_MOST_US: i64 = 10_000_000;

/// Distances between keyframes count as different from here on, in microseconds.
const IRREGULAR_US: i64 = 500_000;

/// Distances that are known before they are called irregular.
const DISTANCES_MIN: u32 = 5;

/// Audio may come this much before or after video of the same time: encoders interleave within
/// half a second.
const SKEW_US: i64 = 1_000_000;

/// Bit rates above this part of what was announced are reported, in percent.
const BITRATE_PERCENT: f64 = 150.0;

/// Frame rates that differ by more than this from what was announced, or measured before, in
/// percent.
const FRAME_RATE_PERCENT: f64 = 10.0;

/// Media must come at least at this speed.
const SPEED_SLOW: f64 = 0.93;

/// And at most at this one, for a whole window.
const SPEED_FAST: f64 = 1.5;

/// Looks at one publish session.
#[derive(Debug, Clone)]
pub struct Doctor {
    segment_us: i64,
    began: Mono,
    promise: Promise,
    video: Track,
    audio: Track,
    /// Where the open window began.
    window: Mono,
    /// What the last whole window gave.
    measured: Measured,
    /// Frame rate of the first whole window.
    first_rate: Option<f64>,
    /// Least and most by which audio came ahead in the open window, in microseconds.
    ahead: Option<(i64, i64)>,
    /// Newest keyframe and what lies between keyframes.
    keys: Keys,
    /// Latest time of a picture on the screen, which one with an earlier time follows.
    shown_us: Option<i64>,
    reordered: u32,
}

#[derive(Debug, Clone, Copy, Default)]
struct Measured {
    video_bitrate: Option<f64>,
    audio_bitrate: Option<f64>,
    frame_rate: Option<f64>,
    speed: Option<f64>,
    ahead: Option<(i64, i64)>,
    /// How much the worst reordered picture was behind, and whether there were any.
    reordered: u32,
}

#[derive(Debug, Clone, Copy, Default)]
struct Keys {
    /// Media time since the last one, if there was one.
    since_us: Option<i64>,
    last_us: Option<i64>,
    /// Shortest and longest of the last distances, by a slow forgetting.
    least_us: i64,
    most_us: i64,
    distances: u32,
}

impl Doctor {
    /// For a session that begins at `now`, of a stream with segments of this length.
    #[must_use]
    pub fn new(segment: Duration, now: Mono) -> Self {
        Self {
            segment_us: i64::try_from(segment.as_micros()).unwrap_or(i64::MAX),
            began: now,
            promise: Promise::default(),
            video: Track::default(),
            audio: Track::default(),
            window: now,
            measured: Measured::default(),
            first_rate: None,
            ahead: None,
            keys: Keys::default(),
            shown_us: None,
            reordered: 0,
        }
    }

    /// What the metadata says.
    pub fn handle_promise(&mut self, promise: Promise) {
        self.promise = promise;
    }

    /// The configuration of a track, before its frames.
    pub fn handle_config(&mut self, track: TrackId, config: &CodecConfig) {
        if track == TrackId::source(config.kind()) {
            self.track(config.kind()).timescale = config.timescale();
        }
    }

    /// A frame, as it came. Further tracks of a kind are taken as healthy as the first.
    pub fn handle_frame(&mut self, frame: &Frame, now: Mono) {
        if frame.track != TrackId::source(frame.kind) {
            return;
        }
        if now.since(self.window) >= WINDOW {
            self.close_window(now);
        }
        let advance_us = self.track(frame.kind).take(frame, now);
        if frame.kind == TrackKind::Video {
            self.handle_picture(frame, advance_us);
        }
    }

    fn handle_picture(&mut self, frame: &Frame, advance_us: i64) {
        let keys = &mut self.keys;
        if let Some(since) = &mut keys.since_us {
            *since = since.saturating_add(advance_us);
        }
        if frame.key {
            if let Some(distance) = keys.since_us.filter(|d| *d > 0) {
                keys.note(distance);
            }
            keys.since_us = Some(0);
        }
        let shown = self.video.micros(frame.pts);
        match self.shown_us {
            // Beyond a step of the clock nothing is known of the order.
            Some(before)
                if shown < before && before.saturating_sub(shown) <= DOCTOR_STEP_US_MAX =>
            {
                self.reordered = self.reordered.saturating_add(1);
            }
            _ => self.shown_us = Some(shown),
        }
        if let Some(audio) = self.audio.newest_us
            && let Some(video) = self.video.newest_us
        {
            let ahead = audio.saturating_sub(video);
            let (least, most) = self.ahead.unwrap_or((ahead, ahead));
            self.ahead = Some((least.min(ahead), most.max(ahead)));
        }
    }

    fn track(&mut self, kind: TrackKind) -> &mut Track {
        match kind {
            TrackKind::Video => &mut self.video,
            TrackKind::Audio => &mut self.audio,
        }
    }

    fn close_window(&mut self, now: Mono) {
        let wall = now.since(self.window).as_secs_f64();
        let lead = if self.video.frames > 0 {
            &self.video
        } else {
            &self.audio
        };
        let frame_rate = self.video.rate();
        self.measured = Measured {
            video_bitrate: self.video.bitrate(),
            audio_bitrate: self.audio.bitrate(),
            frame_rate,
            speed: Some(lead.span_us as f64 / 1e6 / wall),
            ahead: self.ahead.take(),
            reordered: self.reordered,
        };
        self.first_rate = self.first_rate.or(frame_rate);
        self.reordered = 0;
        self.video.open_window();
        self.audio.open_window();
        self.window = now;
    }

    /// What was measured and what is wrong. Closes a window that is over, so that silence shows.
    pub fn health(&mut self, now: Mono) -> Health {
        if now.since(self.window) >= WINDOW {
            self.close_window(now);
        }
        let seconds = |us: i64| us as f64 / 1e6;
        let m = &self.measured;
        Health {
            publishing: true,
            video_bitrate: m.video_bitrate,
            audio_bitrate: m.audio_bitrate,
            frame_rate: m.frame_rate,
            keyframe_distance: self.keys.last_us.map(seconds),
            audio_ahead: m.ahead.map(|(least, most)| seconds(least.midpoint(most))),
            speed: m.speed,
            findings: self.findings(now),
        }
    }

    fn findings(&self, now: Mono) -> Vec<Finding> {
        let each = Fault::ALL.iter().filter_map(|&fault| {
            let (severity, value, unit) = self.examine(fault, now)?;
            Some(Finding {
                fault,
                severity,
                value,
                unit,
            })
        });
        each.collect()
    }

    fn examine(&self, fault: Fault, now: Mono) -> Option<(Severity, f64, &'static str)> {
        let seconds = |us: i64| us as f64 / 1e6;
        match fault {
            Fault::KeyframeDistance => {
                let longest = self.keys.longest_us()?;
                // Half a frame more is the rounding of clocks.
                let severity = match longest {
                    us if us > KEYFRAMES_AT_MOST_US + 50_000 => Severity::Error,
                    us if us > self.segment_us + 50_000 => Severity::Warning,
                    _ => return None,
                };
                Some((severity, seconds(longest), "s"))
            }
            Fault::KeyframesIrregular => {
                let k = &self.keys;
                let spread = k.most_us - k.least_us;
                let irregular = spread > IRREGULAR_US && k.most_us > 2 * k.least_us;
                (irregular && k.distances >= DISTANCES_MIN)
                    .then(|| (Severity::Info, seconds(spread), "s"))
            }
            Fault::NoKeyframe => {
                let since = self.video.first_seen?;
                let missing = now.since(since) > ABSENT_AFTER && self.keys.since_us.is_none();
                missing.then(|| (Severity::Error, now.since(since).as_secs_f64(), "s"))
            }
            Fault::BFrames => {
                let n = self.measured.reordered;
                (n > 0).then(|| (Severity::Info, f64::from(n), "frames"))
            }
            Fault::Bitrate => self.bitrate(),
            Fault::AvSkew => {
                // All of a window is off; a moment is no skew.
                let (least, most) = self.measured.ahead?;
                let skew = if least > 0 { least } else { most.min(0) };
                let severity = match skew.saturating_abs() {
                    us if us > 3 * SKEW_US => Severity::Error,
                    us if us > SKEW_US => Severity::Warning,
                    _ => return None,
                };
                let silent = |track: &Track| track.newest_at.is_none_or(|at| is_old(at, now));
                (!silent(&self.audio)).then(|| (severity, seconds(skew), "s"))
            }
            Fault::TimestampJump => self.happened(now, |track| track.jumped),
            Fault::TimestampBackward => self.happened(now, |track| track.went_back),
            Fault::FrameRate => self.frame_rate(),
            Fault::UploadSlow => {
                let speed = self.measured.speed.filter(|s| *s < SPEED_SLOW)?;
                let bad = if speed < 0.8 {
                    Severity::Error
                } else {
                    Severity::Warning
                };
                Some((bad, speed, "x"))
            }
            Fault::UploadFast => {
                let speed = self.measured.speed.filter(|s| *s > SPEED_FAST)?;
                Some((Severity::Warning, speed, "x"))
            }
            Fault::AudioMissing => self.missing(&self.audio, self.promise.audio, now),
            Fault::VideoMissing => self.missing(&self.video, self.promise.video, now),
        }
    }

    fn bitrate(&self) -> Option<(Severity, f64, &'static str)> {
        let over = |measured: Option<f64>, promised: Option<f64>| {
            let promised = promised.filter(|p| p.is_finite() && *p >= 1000.0)?;
            measured.filter(|m| *m > promised * BITRATE_PERCENT / 100.0)
        };
        let m = &self.measured;
        let found = over(m.video_bitrate, self.promise.video_bitrate)
            .or_else(|| over(m.audio_bitrate, self.promise.audio_bitrate))?;
        Some((Severity::Warning, found, "bit/s"))
    }

    fn frame_rate(&self) -> Option<(Severity, f64, &'static str)> {
        let measured = self.measured.frame_rate?;
        let sensible = |rate: &f64| (1.0..=1000.0).contains(rate);
        let expected = self
            .promise
            .frame_rate
            .filter(sensible)
            .or(self.first_rate)?;
        let off = (measured - expected).abs() > expected * FRAME_RATE_PERCENT / 100.0;
        off.then_some((Severity::Warning, measured, "1/s"))
    }

    fn happened(
        &self,
        now: Mono,
        of: impl Fn(&Track) -> Option<(Mono, i64)>,
    ) -> Option<(Severity, f64, &'static str)> {
        let newest = [of(&self.video), of(&self.audio)].into_iter().flatten();
        let (at, us) = newest.max_by_key(|(at, _)| *at)?;
        let recent = now.since(at) <= REMEMBERED;
        recent.then(|| (Severity::Warning, us as f64 / 1000.0, "ms"))
    }

    fn missing(
        &self,
        track: &Track,
        promised: Option<bool>,
        now: Mono,
    ) -> Option<(Severity, f64, &'static str)> {
        // A track that was there is expected as well as one that was announced.
        if track.newest_at.is_none() && promised != Some(true) {
            return None;
        }
        let since = track.newest_at.unwrap_or(self.began);
        let other_goes_on = [&self.video, &self.audio].iter().any(|t| {
            let newest = t.newest_at;
            newest.is_some_and(|at| now.since(at) < ABSENT_AFTER)
        });
        (other_goes_on && is_old(since, now))
            .then(|| (Severity::Error, now.since(since).as_secs_f64(), "s"))
    }
}

fn is_old(at: Mono, now: Mono) -> bool {
    now.since(at) > ABSENT_AFTER
}

impl Keys {
    fn note(&mut self, distance: i64) {
        self.last_us = Some(distance);
        if self.distances == 0 {
            (self.least_us, self.most_us) = (distance, distance);
        }
        // Both ends come back by an eighth each time, so that what is mended is forgotten.
        let least = self.least_us + (distance - self.least_us) / 8;
        let most = self.most_us + (distance - self.most_us) / 8;
        self.least_us = least.min(distance);
        self.most_us = most.max(distance);
        self.distances = self.distances.saturating_add(1);
    }

    /// The last distance, or the open one once that is longer.
    fn longest_us(&self) -> Option<i64> {
        self.since_us.max(self.last_us)
    }
}

#[cfg(test)]
mod tests;
