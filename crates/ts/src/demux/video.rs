//! H.264 and HEVC: access units, their times, and the configuration that is found in them.
//!
//! A PES packet is an access unit, or several; without a time and without the look of a
//! beginning it goes on with the last one. The two fields of a picture, where they share a PES
//! packet, stay one sample. Parameter sets stay in the access units, since broadcast encoders
//! change picture parameter sets on the way; only another sequence (or video) parameter set is
//! a change of configuration.

use super::pes::Stamp;
use super::start_code::{Coding, Unit, UnitBuilder};
use super::{Fault, FaultReason, Media, Output};
use crate::limits::PARAMETER_SETS_MAX;
use weir_media::avc::{self, AvcConfig};
use weir_media::hevc::{self, HevcConfig};
use weir_media::nal::Nals;
use weir_media::{CodecConfig, Error, Frame, TrackId, TrackKind};

/// Length of a picture in 90 kHz ticks where nothing tells: 30 a second.
const PICTURE_TICKS: i64 = 3_000;

/// Longest step between two pictures from which the next is extrapolated: 1 s.
const PICTURE_TICKS_MAX: i64 = 90_000;

/// A video track.
#[derive(Debug)]
pub(super) struct VideoTrack {
    pub(super) id: TrackId,
    pid: u16,
    coding: Coding,
    builder: UnitBuilder,
    config: Option<CodecConfig>,
    /// Parameter sets of the configuration by kind: VPS, SPS, PPS.
    sets: [Vec<Vec<u8>>; 3],
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
    pub(super) fn new(id: TrackId, pid: u16, coding: Coding) -> Self {
        Self {
            id,
            pid,
            coding,
            builder: UnitBuilder::new(coding),
            config: None,
            sets: Default::default(),
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
        if stamp.is_none() && !self.coding.begins_unit(first) {
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
            if self.config.is_none() && self.is_field() {
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

    /// Whether what is built may be a field to which another belongs.
    fn is_field(&mut self) -> bool {
        let sps = Nals::new(self.builder.built(), 4)
            .flatten()
            .filter(|nal| self.kind_of_set(nal) == Some(1));
        let sps = sps.last().filter(|_| self.coding == Coding::Avc);
        let read = sps.and_then(|sps| avc::Sps::parse(sps).ok());
        let fields = read.is_some_and(|sps| !sps.frame_mbs_only);
        self.builder.joins_fields = fields;
        fields
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
            match self.configure(&unit) {
                Ok(Some(config)) => out.config(self.id, config),
                Ok(None) => {}
                Err(error) => self.fault(FaultReason::Config(error), out),
            }
        }
        let random_access = std::mem::take(&mut self.random_access);
        // Parameter sets or SEI sent on their own are no picture.
        if !unit.slices && !unit.damaged {
            return;
        }
        let (Some(time), Some(_), true) = (self.time, &self.config, unit.slices) else {
            out.stats.dropped_frames += 1;
            return;
        };
        let key = match self.is_key(&unit, random_access) {
            Ok(key) => key,
            Err(error) => {
                out.stats.dropped_frames += 1;
                return self.fault(FaultReason::Frame(error), out);
            }
        };
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

    /// An IDR picture (for HEVC any intra random access point), a recovery point, or what the
    /// multiplexer says is one, if it can be configured from.
    fn is_key(&self, unit: &Unit, random_access: bool) -> Result<bool, Error> {
        Ok(match self.coding {
            Coding::Avc => {
                let seen = avc::inspect(&unit.payload, 4)?;
                seen.idr || seen.recovery_point || random_access && seen.parameter_sets
            }
            Coding::Hevc => {
                let seen = hevc::inspect(&unit.payload, 4)?;
                seen.random_access || seen.recovery_point
            }
        })
    }

    /// Looks at the parameter sets of an access unit; the configuration, if it is another.
    fn configure(&mut self, unit: &Unit) -> Result<Option<CodecConfig>, Error> {
        let mut found: [Vec<&[u8]>; 3] = Default::default();
        for nal in Nals::new(&unit.payload, 4) {
            let nal = nal?;
            if let Some(sets) = self.kind_of_set(nal).and_then(|kind| found.get_mut(kind))
                && sets.len() < PARAMETER_SETS_MAX
                && !sets.contains(&nal)
            {
                sets.push(nal);
            }
        }
        let is_known = |(set, known): (&&[u8], &Vec<Vec<u8>>)| known.iter().any(|k| k == set);
        let leading = found.iter().zip(&self.sets).take(2);
        let same = leading.flat_map(|(sets, known)| sets.iter().map(move |s| (s, known)));
        if self.config.is_some() && same.into_iter().all(is_known) {
            return Ok(None);
        }
        // What is not sent anew stays.
        for (sets, known) in found.iter().zip(&mut self.sets) {
            if !sets.is_empty() {
                *known = sets.iter().map(|s| s.to_vec()).collect();
            }
        }
        if self.sets[1].is_empty() || self.sets[2].is_empty() {
            return Ok(None);
        }
        let sets = self.sets.each_ref();
        let [vps, sps, pps] = sets.map(|s| s.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let config = match self.coding {
            Coding::Avc => {
                let config = AvcConfig::from_parameter_sets(&sps, &pps)?;
                self.builder.joins_fields = !config.info.frame_mbs_only;
                CodecConfig::H264(config)
            }
            Coding::Hevc => CodecConfig::Hevc(HevcConfig::from_parameter_sets(&vps, &sps, &pps)?),
        };
        if self.config.as_ref() == Some(&config) {
            return Ok(None);
        }
        self.config = Some(config.clone());
        Ok(Some(config))
    }

    /// 0 for a VPS, 1 for an SPS, 2 for a PPS.
    fn kind_of_set(&self, nal: &[u8]) -> Option<usize> {
        match self.coding {
            Coding::Avc => match nal.first()? & 0x1f {
                avc::nal_type::SPS => Some(1),
                avc::nal_type::PPS => Some(2),
                _ => None,
            },
            Coding::Hevc => match hevc::base_layer_type(nal)? {
                hevc::nal_type::VPS => Some(0),
                hevc::nal_type::SPS => Some(1),
                hevc::nal_type::PPS => Some(2),
                _ => None,
            },
        }
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
