//! What stands inside a PES packet: a byte stream of H.264 or HEVC (annex B of both) or ADTS
//! frames (ISO/IEC 13818-7 §6.2). Every payload byte is copied once, to its final place.
//! Composition offsets of video are 90 kHz ticks already, the timescale of all video.

use crate::clock::pcr_base;
use crate::error::Error;
use crate::packet::{Field, Pcr, PesPackets};
use crate::pes::{Header, STREAM_ID_AUDIO, STREAM_ID_VIDEO};
use crate::psi::{AUDIO_PID, VIDEO_PID};
use crate::unit::{PesUnit, has_dts, lacks_parameter_sets};
use bytes::Bytes;
use weir_media::aac::AacConfig;
use weir_media::nal::Nals;
use weir_media::{CodecConfig, Sample, SampleFlags};

/// Bytes of a start code, and of the NAL length in whose place it stands.
pub(crate) const START_CODE_BYTES: usize = 4;
const START_CODE: [u8; START_CODE_BYTES] = [0, 0, 0, 1];

/// What the access units of a track get that their payload lacks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct VideoFormat<'a> {
    /// An access unit delimiter of any slice type behind a start code (ITU-T H.264 §7.3.2.4,
    /// H.265 §7.3.2.5).
    delimiter: &'static [u8],
    sets: [&'a [Bytes]; 3],
}

impl<'a> VideoFormat<'a> {
    /// That of H.264 and HEVC.
    pub(crate) fn of(config: &'a CodecConfig) -> Option<Self> {
        match config {
            CodecConfig::H264(avc) => Some(Self {
                delimiter: &[0, 0, 0, 1, 9, 0xf0],
                sets: [&[], avc.sps(), avc.pps()],
            }),
            CodecConfig::Hevc(hevc) => Some(Self {
                delimiter: &[0, 0, 0, 1, 0x46, 1, 0x50],
                sets: [hevc.vps(), hevc.sps(), hevc.pps()],
            }),
            _ => None,
        }
    }

    fn sets(&self) -> impl Iterator<Item = &'a Bytes> + use<'a> {
        self.sets.into_iter().flatten()
    }

    /// Bytes that an access unit with these flags gets.
    pub(crate) fn added_bytes(&self, flags: SampleFlags) -> usize {
        let delimiter = match flags.contains(SampleFlags::DELIMITER) {
            true => 0,
            false => self.delimiter.len(),
        };
        let sets = self.sets().map(|set| START_CODE_BYTES + set.len());
        match lacks_parameter_sets(flags) {
            true => delimiter + sets.sum::<usize>(),
            false => delimiter,
        }
    }

    /// Writes an access unit as a byte stream: as many bytes as its payload has, and those that
    /// are added.
    pub(crate) fn put(
        &self,
        flags: SampleFlags,
        payload: &[u8],
        pes: &mut PesPackets<'_>,
    ) -> Result<(), weir_media::Error> {
        let mut nals = Nals::new(payload, START_CODE_BYTES as u8);
        if !flags.contains(SampleFlags::DELIMITER) {
            pes.push(self.delimiter);
        } else if let Some(delimiter) = nals.next() {
            put_nal(pes, delimiter?);
        }
        if lacks_parameter_sets(flags) {
            for set in self.sets() {
                put_nal(pes, set);
            }
        }
        for nal in nals {
            put_nal(pes, nal?);
        }
        Ok(())
    }
}

/// Writes one access unit as a PES packet. `packets` counts the payload packets of the PID.
pub(crate) fn put_access_unit(
    format: &VideoFormat<'_>,
    (unit, sample): (&PesUnit, &Sample),
    payload: &[u8],
    packets: &mut u64,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let pts = unit
        .start
        .saturating_add(i64::from(sample.composition_offset));
    let dts = has_dts(sample).then_some(unit.start);
    let field = Field {
        pcr: Some(Pcr::of_base(pcr_base(unit.start))),
        random_access: sample.flags.contains(SampleFlags::KEY),
        discontinuity: false,
    };
    let mut pes = PesPackets::start(out, VIDEO_PID, packets, unit.len, field);
    pes.push(Header::new(STREAM_ID_VIDEO, unit.len, pts, dts).as_slice());
    let put = format.put(sample.flags, payload, &mut pes);
    put.map_err(|error| Error::Nal {
        sample: unit.samples.start,
        error,
    })
}

/// Writes a NAL unit behind a start code. One without bytes becomes four zero bytes, which
/// a byte stream may have between NAL units, for a start code without a unit is malformed.
fn put_nal(pes: &mut PesPackets<'_>, nal: &[u8]) {
    if nal.is_empty() {
        pes.push(&[0; START_CODE_BYTES]);
    } else {
        pes.push(&START_CODE);
        pes.push(nal);
    }
}

/// Writes AAC frames as one PES packet. `payloads` are those of the unit's samples.
pub(crate) fn put_adts_frames<B: AsRef<[u8]>>(
    aac: &AacConfig,
    unit: &PesUnit,
    payloads: &[B],
    packets: &mut u64,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let mut pes = PesPackets::start(out, AUDIO_PID, packets, unit.len, Field::default());
    pes.push(Header::new(STREAM_ID_AUDIO, unit.len, unit.start, None).as_slice());
    for (sample, payload) in unit.samples.clone().zip(payloads) {
        let payload = payload.as_ref();
        let size = payload.len();
        let too_long = Error::AdtsFrameTooLong { sample, size };
        pes.push(&aac.adts_header(size).ok_or(too_long)?);
        pes.push(payload);
    }
    Ok(())
}
