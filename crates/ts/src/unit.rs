//! Which samples make up which PES packet, and how many transport packets that takes. All
//! of it is arithmetic on the sample table, so that it can be known without the payload.
//!
//! - Video: one access unit per PES packet. The access unit starts with a delimiter and, if
//!   it is a key, holds SPS and PPS: what the payload lacks is added.
//! - Audio: consecutive frames of one segment, each with its ADTS header, as many as last
//!   100 ms together and fit a stated PES length; at least one. Each segment starts anew.
//!
//! The first packet of each video PES packet carries a PCR whether or not it is due, so that
//! the count depends on nothing else.

use crate::elementary::VideoFormat;
use crate::limits::{AUDIO_PES_TENTHS_MAX, PES_LENGTH_MAX};
use crate::packet::{PAYLOAD_BYTES, PCR_FIELD_BYTES};
use crate::pes::{HEADER_BYTES_PTS, HEADER_BYTES_PTS_DTS};
use std::ops::Range;
use weir_media::aac::ADTS_HEADER_BYTES;
use weir_media::time::rescale;
use weir_media::{CodecConfig, Sample, SampleFlags, TrackKind};

/// Ticks per second of PTS, DTS and PCR base (ISO/IEC 13818-1 §2.4.2).
const TIMESCALE: u32 = 90_000;

/// Number of transport packets with payload that one segment of this track takes on its
/// PID. The continuity counter of the segment's first packet is the sum of this over all
/// earlier segments of the track, modulo 16.
#[must_use]
pub fn payload_packets(config: &CodecConfig, samples: &[Sample]) -> u64 {
    PesUnits::new(config, 0, samples)
        .map(|unit| unit.packets(config.kind()) as u64)
        .sum()
}

/// One PES packet to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PesUnit {
    /// Samples of the segment in it.
    pub(crate) samples: Range<usize>,
    /// Decoding time of the first, in 90 kHz ticks.
    pub(crate) start: i64,
    /// Decoding time of what follows, in 90 kHz ticks.
    pub(crate) end: i64,
    /// Bytes, header included.
    pub(crate) len: usize,
}

impl PesUnit {
    /// Transport packets with payload that it takes.
    pub(crate) fn packets(&self, kind: TrackKind) -> usize {
        let first = match kind {
            TrackKind::Video => PAYLOAD_BYTES - PCR_FIELD_BYTES,
            TrackKind::Audio => PAYLOAD_BYTES,
        };
        1 + self.len.saturating_sub(first).div_ceil(PAYLOAD_BYTES)
    }
}

/// Walks the PES packets of one segment of a track.
#[derive(Debug, Clone)]
pub(crate) struct PesUnits<'a> {
    config: &'a CodecConfig,
    format: Option<VideoFormat<'a>>,
    samples: &'a [Sample],
    next: usize,
    time: i64,
}

impl<'a> PesUnits<'a> {
    pub(crate) fn new(config: &'a CodecConfig, decode_time: i64, samples: &'a [Sample]) -> Self {
        Self {
            config,
            format: VideoFormat::of(config),
            samples,
            next: 0,
            time: decode_time,
        }
    }

    fn access_unit_len(&self, sample: &Sample) -> usize {
        let header = if has_dts(sample) {
            HEADER_BYTES_PTS_DTS
        } else {
            HEADER_BYTES_PTS
        };
        let added = self.format.map_or(0, |f| f.added_bytes(sample.flags));
        header + added + sample.size as usize
    }

    /// Number of frames at the start of `samples` that share a PES packet, their bytes
    /// with all headers, and their ticks.
    fn group(&self, samples: &[Sample]) -> (usize, usize, u64) {
        let ticks_max = u64::from(self.config.timescale()) * AUDIO_PES_TENTHS_MAX / 10;
        let len_max = PES_LENGTH_MAX + 6;
        let (mut count, mut len, mut ticks) = (0, HEADER_BYTES_PTS, 0);
        for sample in samples {
            let with_len = len + ADTS_HEADER_BYTES + sample.size as usize;
            let with_ticks = ticks + u64::from(sample.duration);
            if count > 0 && (with_len > len_max || with_ticks > ticks_max) {
                break;
            }
            (count, len, ticks) = (count + 1, with_len, with_ticks);
        }
        (count, len, ticks)
    }
}

impl Iterator for PesUnits<'_> {
    type Item = PesUnit;

    fn next(&mut self) -> Option<PesUnit> {
        let rest = self.samples.get(self.next..)?;
        let first = rest.first()?;
        let (count, len, ticks) = match self.config.kind() {
            TrackKind::Video => (1, self.access_unit_len(first), u64::from(first.duration)),
            TrackKind::Audio => self.group(rest),
        };
        let (time, from) = (self.time, self.next);
        self.next += count;
        self.time = time.saturating_add_unsigned(ticks);
        // Absolute ticks are rescaled, so that rounding never adds up.
        let timescale = self.config.timescale();
        Some(PesUnit {
            samples: from..self.next,
            start: rescale(time, timescale, TIMESCALE),
            end: rescale(self.time, timescale, TIMESCALE),
            len,
        })
    }
}

/// Whether the PES header states a DTS. A PTS before the DTS, a sender's fault, is written
/// alone: the picture is shown when it should, and no reader sees a DTS after its PTS.
pub(crate) fn has_dts(sample: &Sample) -> bool {
    sample.composition_offset > 0
}

/// Whether SPS and PPS are to be written in front of this access unit's own NAL units.
pub(crate) fn lacks_parameter_sets(flags: SampleFlags) -> bool {
    flags.contains(SampleFlags::KEY) && !flags.contains(SampleFlags::PARAMETER_SETS)
}
