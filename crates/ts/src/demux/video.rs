//! H.264 and HEVC: access units, their times, and the configuration that is found in them.
//!
//! A PES packet is an access unit, or several; without a time and without the look of a
//! beginning it goes on with the last one. The two fields of a picture, where they share a PES
//! packet, stay one sample. Parameter sets stay in the access units, since broadcast encoders
//! change picture parameter sets on the way; only another sequence (or video) parameter set is
//! a change of configuration.

use super::pes::Stamp;
use super::start_code::{UnitBuilder, begins_unit};
use super::{Fault, FaultReason, Media, Output};
use weir_media::in_band::{InBand, NalCoding};
use weir_media::{CodecConfig, Frame, TrackId, TrackKind};

/// Length of a picture in 90 kHz ticks where nothing tells: 30 a second.
const PICTURE_TICKS: i64 = 3_000;

/// Longest step between two pictures from which the next is extrapolated: 1 s.
const PICTURE_TICKS_MAX: i64 = 90_000;

/// A video track.
#[derive(Debug)]
pub(super) struct VideoTrack {
    pub(super) id: TrackId,
    pid: u16,
    coding: NalCoding,
    builder: UnitBuilder,
    sets: InBand,
    /// Time of the open access unit, on the timeline.
    time: Option<Time>,
    /// Step of the decoding time from one picture to the next.
    step: i64,
    random_access: bool,
    /// Access units are seen to go on in the next PES packet, so an end is none.
    spans: bool,
    told: Option<FaultReason>,
}

#[derive(Debug, Clone, Copy)]
struct Time {
    dts: i64,
    pts: i64,
}

impl VideoTrack {
    pub(super) fn new(id: TrackId, pid: u16, coding: NalCoding) -> Self {
        Self {
            id,
            pid,
            coding,
            builder: UnitBuilder::new(coding),
            sets: InBand::new(coding),
            time: None,
            step: PICTURE_TICKS,
            random_access: false,
            spans: false,
            told: None,
        }
    }

    pub(super) fn begin(
        &mut self,
        stamp: Option<Stamp>,
        random_access: bool,
        first: &[u8],
        out: &mut Output<'_>,
    ) {
        if stamp.is_none() && !begins_unit(self.coding, first) {
            self.spans = true;
            return;
        }
        self.finish(out);
        self.random_access = random_access;
        match stamp {
            Some(stamp) => {
                let dts = out.clock.advance(stamp.dts);
                let pts = out.clock.near(stamp.pts);
                let step = self.time.map_or(0, |last| dts.saturating_sub(last.dts));
                if (1..=PICTURE_TICKS_MAX).contains(&step) {
                    self.step = step;
                }
                self.time = Some(Time { dts, pts });
            }
            None => self.extrapolate(),
        }
    }

    pub(super) fn push(&mut self, payload: &[u8], out: &mut Output<'_>) {
        let mut rest = payload;
        while let Some(more) = self.builder.push(rest) {
            rest = more;
            // Before the first unit is given out, its parameter sets tell whether it is one.
            let is_first = self.sets.config().is_none();
            if is_first && self.sets.may_be_fields(self.builder.built()) {
                self.builder.joins_fields = true;
                continue;
            }
            self.emit(out);
            self.extrapolate();
        }
    }

    pub(super) fn end(&mut self, out: &mut Output<'_>) {
        if !self.spans {
            self.finish(out);
        }
    }

    pub(super) fn lose(&mut self) {
        self.builder.lose();
    }

    pub(super) fn finish(&mut self, out: &mut Output<'_>) {
        if self.builder.is_open() {
            self.emit(out);
        }
    }

    /// The next access unit has no time of its own.
    fn extrapolate(&mut self) {
        let step = self.step;
        self.time = self.time.map(|t| Time {
            dts: t.dts.saturating_add(step),
            pts: t.pts.saturating_add(step),
        });
    }

    /// Gives out the access unit that was built.
    fn emit(&mut self, out: &mut Output<'_>) {
        let unit = self.builder.finish();
        if unit.parameter_sets {
            match self.sets.update(&unit.payload) {
                Ok(Some(config)) => {
                    if let CodecConfig::H264(avc) = &config {
                        self.builder.joins_fields = !avc.info.frame_mbs_only;
                    }
                    out.config(self.id, config);
                }
                Ok(None) => {}
                Err(error) => self.fault(FaultReason::Config(error), out),
            }
        }
        let random_access = std::mem::take(&mut self.random_access);
        // Parameter sets or SEI sent on their own are no picture.
        if !unit.slices && !unit.damaged {
            return;
        }
        let (Some(time), Some(_), true) = (self.time, self.sets.config(), unit.slices) else {
            out.stats.dropped_frames += 1;
            return;
        };
        let seen = match self.coding.look(&unit.payload) {
            Ok(seen) => seen,
            Err(error) => {
                out.stats.dropped_frames += 1;
                return self.fault(FaultReason::Frame(error), out);
            }
        };
        // A slice that was begun may have been lost.
        if !seen.slices {
            out.stats.dropped_frames += 1;
            return;
        }
        // What the multiplexer says is an entry is believed if it can be configured from.
        let key = seen.key || random_access && seen.parameter_sets;
        self.told = None;
        out.stats.damaged_frames += u64::from(unit.damaged);
        out.frame(Frame {
            track: self.id,
            kind: TrackKind::Video,
            dts: time.dts,
            pts: time.pts,
            key,
            received_at: out.now,
            payload: unit.payload,
        });
    }

    /// Told once, until a frame is sound again.
    fn fault(&mut self, reason: FaultReason, out: &mut Output<'_>) {
        if self.told.replace(reason) != Some(reason) {
            out.media.push_back(Media::Fault(Fault {
                pid: self.pid,
                reason,
            }));
        }
    }
}
