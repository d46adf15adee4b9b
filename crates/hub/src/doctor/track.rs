//! What is measured of one track.

use crate::limits::DOCTOR_STEP_US_MAX;
use weir_media::{Frame, Mono};

/// A frame may come this much later than its time says before the step counts as one of the
/// clock, in microseconds: a pause of the publisher is no jump.
const LATE_US: u64 = 1_000_000;

/// A track as it comes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Track {
    /// Ticks per second; 0 until it is known.
    pub(super) timescale: u32,
    pub(super) first_seen: Option<Mono>,
    /// Decoding time of the newest frame, and when it came.
    pub(super) newest_us: Option<i64>,
    pub(super) newest_at: Option<Mono>,
    /// In the open window: frames, their bytes, and how far their times went, without jumps.
    pub(super) frames: u32,
    bytes: u64,
    pub(super) span_us: i64,
    /// The last time that stepped ahead, and by how many microseconds.
    pub(super) jumped: Option<(Mono, i64)>,
    /// The last time that went back.
    pub(super) went_back: Option<(Mono, i64)>,
}

impl Track {
    /// Ticks in microseconds.
    pub(super) fn micros(&self, ticks: i64) -> i64 {
        weir_media::time::rescale(ticks, self.timescale, 1_000_000)
    }

    /// Takes a frame; gives how far it went, in microseconds, 0 for a jump.
    pub(super) fn take(&mut self, frame: &Frame, now: Mono) -> i64 {
        let time = self.micros(frame.dts);
        self.first_seen.get_or_insert(now);
        let waited = self.newest_at.map_or(0, |at| now.since(at).as_micros());
        let step = self
            .newest_us
            .map_or(0, |before| time.saturating_sub(before));
        self.newest_us = Some(time);
        self.newest_at = Some(now);
        self.frames = self.frames.saturating_add(1);
        self.bytes = self.bytes.saturating_add(frame.payload.len() as u64);
        if step < 0 {
            self.went_back = Some((now, step));
            return 0;
        }
        let late = u128::from(step.unsigned_abs()) > waited + u128::from(LATE_US);
        if step > DOCTOR_STEP_US_MAX && late {
            self.jumped = Some((now, step));
            return 0;
        }
        self.span_us = self.span_us.saturating_add(step);
        step
    }

    /// Bits per second of media time in the open window.
    pub(super) fn bitrate(&self) -> Option<f64> {
        let seconds = self.seconds()?;
        Some(self.bytes as f64 * 8.0 / seconds)
    }

    /// Frames per second of media time in the open window.
    pub(super) fn rate(&self) -> Option<f64> {
        let seconds = self.seconds()?;
        Some(f64::from(self.frames) / seconds)
    }

    /// Seconds of media in the open window; `None` where they are too few to divide by.
    fn seconds(&self) -> Option<f64> {
        (self.span_us >= 1_000_000).then(|| self.span_us as f64 / 1e6)
    }

    pub(super) fn open_window(&mut self) {
        self.frames = 0;
        self.bytes = 0;
        self.span_us = 0;
    }
}
