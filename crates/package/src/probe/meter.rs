//! Counts over the frames of one track, whatever the container.

use super::fault::{FaultKind, Faults};
use super::report::{Gop, Kind, Track};
use crate::limits::STEP_MAX;
use std::fmt;
use weir_media::time::rescale;

const US: u32 = 1_000_000;

/// What is counted of a frame. Times are in ticks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unit {
    pub(super) dts: i64,
    pub(super) pts: i64,
    /// Time to the next frame, where the container tells.
    pub(super) duration: Option<u32>,
    pub(super) bytes: usize,
    pub(super) key: bool,
}

/// Number of a frame in its track, from 0.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place(u64);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "frame {}", self.0)
    }
}

/// Takes the frames of a track one by one.
#[derive(Debug)]
pub(super) struct Meter {
    kind: Kind,
    timescale: u32,
    frames: u64,
    key_frames: u64,
    bytes: u64,
    starts_with_key: bool,
    first_dts: i64,
    last_dts: i64,
    dts_min: i64,
    dts_max: i64,
    pts_min: i64,
    pts_max: i64,
    /// End of the frame with the latest decoding time, where the container tells.
    end: Option<i64>,
    /// Number and decoding time of the last keyframe.
    last_key: Option<(u64, i64)>,
    /// In ticks instead of microseconds.
    gop: Option<Gop>,
    pub(super) faults: Faults,
}

impl Meter {
    pub(super) fn new(kind: Kind, timescale: u32) -> Self {
        Self {
            kind,
            timescale,
            frames: 0,
            key_frames: 0,
            bytes: 0,
            starts_with_key: false,
            first_dts: 0,
            last_dts: 0,
            dts_min: i64::MAX,
            dts_max: i64::MIN,
            pts_min: i64::MAX,
            pts_max: i64::MIN,
            end: None,
            last_key: None,
            gop: None,
            faults: Faults::default(),
        }
    }

    pub(super) fn push(&mut self, unit: Unit) {
        if self.frames == 0 {
            self.first_dts = unit.dts;
            self.starts_with_key = unit.key;
        } else {
            self.compare(unit.dts);
        }
        if unit.key {
            self.key_frames += 1;
            self.close_gop(unit.dts, false);
            self.last_key = Some((self.frames, unit.dts));
        }
        self.frames += 1;
        self.bytes = self.bytes.saturating_add(unit.bytes as u64);
        self.last_dts = unit.dts;
        self.dts_min = self.dts_min.min(unit.dts);
        self.dts_max = self.dts_max.max(unit.dts);
        self.pts_min = self.pts_min.min(unit.pts);
        self.pts_max = self.pts_max.max(unit.pts);
        if let Some(duration) = unit.duration {
            let end = unit.dts.saturating_add(i64::from(duration));
            self.end = self.end.max(Some(end));
        }
    }

    /// Where the next frame is, for people.
    pub(super) fn place(&self) -> Place {
        Place(self.frames)
    }

    fn compare(&mut self, dts: i64) {
        let step = dts.saturating_sub(self.last_dts);
        let step_max = i64::from(self.timescale).saturating_mul(STEP_MAX.as_secs().cast_signed());
        let kind = match step {
            ..0 => FaultKind::DtsBack,
            0 => FaultKind::DtsRepeated,
            s if s > step_max => FaultKind::Step,
            _ => return,
        };
        let (frame, last, timescale) = (self.frames, self.last_dts, self.timescale);
        self.faults.add(kind, || {
            let seconds = |ticks| rescale(ticks, timescale, US) as f64 / f64::from(US);
            let (from, to) = (seconds(last), seconds(dts));
            format!("frame {frame}, from {from:.3} s to {to:.3} s")
        });
    }

    /// Takes a group of pictures in that ends at `dts`.
    fn close_gop(&mut self, dts: i64, last: bool) {
        let Some((frame, from)) = self.last_key else {
            return;
        };
        let frames = self.frames - frame;
        let ticks = u64::try_from(dts.saturating_sub(from)).unwrap_or(0);
        let gop = self.gop.get_or_insert_default();
        gop.frames_max = gop.frames_max.max(frames);
        gop.us_max = gop.us_max.max(ticks);
        if !last {
            gop.frames_min = Some(gop.frames_min.map_or(frames, |min| min.min(frames)));
            gop.us_min = Some(gop.us_min.map_or(ticks, |min| min.min(ticks)));
        }
    }

    fn us(&self, ticks: i64) -> i64 {
        rescale(ticks, self.timescale, US)
    }

    /// Microseconds of a length in ticks.
    fn len_us(&self, ticks: u64) -> u64 {
        let ticks = i64::try_from(ticks).unwrap_or(i64::MAX);
        u64::try_from(self.us(ticks)).unwrap_or(0)
    }

    /// The track as far as its frames tell; the rest is left empty.
    pub(super) fn finish(mut self) -> Track {
        let any = self.frames > 0;
        let span = if any {
            self.dts_max.saturating_sub(self.dts_min)
        } else {
            0
        };
        let mean = span / i64::try_from(self.frames.max(2) - 1).unwrap_or(i64::MAX);
        let end = self.end.unwrap_or(self.dts_max.saturating_add(mean));
        self.close_gop(end, true);
        let gop = self.gop.filter(|_| self.kind == Kind::Video).map(|g| Gop {
            us_min: g.us_min.map(|t| self.len_us(t)),
            us_max: self.len_us(g.us_max),
            ..g
        });
        let duration = if any {
            end.saturating_sub(self.dts_min)
        } else {
            0
        };
        if !any {
            self.faults.add(FaultKind::NoFrames, || "track".to_owned());
        }
        Track {
            id: 0,
            kind: self.kind,
            codec: String::new(),
            details: None,
            protection: None,
            config_changes: 0,
            frames: self.frames,
            key_frames: self.key_frames,
            starts_with_key: self.starts_with_key,
            bytes: self.bytes,
            dts_us: any.then(|| (self.us(self.first_dts), self.us(self.last_dts))),
            pts_us: any.then(|| (self.us(self.pts_min), self.us(self.pts_max))),
            duration_us: self.len_us(u64::try_from(duration).unwrap_or(0)),
            gop,
            faults: self.faults,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metered(frames: &[(i64, bool)]) -> Track {
        let mut meter = Meter::new(Kind::Video, 1000);
        for (dts, key) in frames.iter().copied() {
            meter.push(Unit {
                dts,
                pts: dts,
                duration: None,
                bytes: 10,
                key,
            });
        }
        meter.finish()
    }

    #[test]
    fn groups_of_pictures_and_the_last_frame() {
        let t = metered(&[
            (0, true),
            (40, false),
            (80, false),
            (120, true),
            (160, false),
        ]);
        let gop = t.gop.unwrap();
        assert_eq!((gop.frames_min, gop.frames_max), (Some(3), 3));
        assert_eq!((gop.us_min, gop.us_max), (Some(120_000), 120_000));
        assert_eq!((t.frames, t.key_frames, t.duration_us), (5, 2, 200_000));
        assert_eq!(t.dts_us, Some((0, 160_000)));
        assert!(t.faults.is_empty() && t.starts_with_key);
    }

    #[test]
    fn steps_are_told_apart() {
        let t = metered(&[
            (0, true),
            (0, false),
            (40, false),
            (20, false),
            (3021, false),
        ]);
        let count = |kind| t.faults.count(kind);
        assert_eq!(count(FaultKind::DtsRepeated), 1);
        assert_eq!(count(FaultKind::DtsBack), 1);
        assert_eq!(count(FaultKind::Step), 1);
        assert_eq!(t.faults.total(), 3);
    }

    #[test]
    fn extreme_times_saturate() {
        let t = metered(&[(i64::MIN, true), (i64::MAX, true), (i64::MIN, true)]);
        assert_eq!(t.frames, 3);
        assert!(t.faults.total() > 0);
        let none = metered(&[]);
        assert_eq!(none.faults.count(FaultKind::NoFrames), 1);
        assert_eq!((none.dts_us, none.duration_us), (None, 0));
    }
}
