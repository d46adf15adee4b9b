//! What stands inside a PES packet: an H.264 byte stream (ITU-T H.264 annex B) or ADTS
//! frames (ISO/IEC 13818-7 §6.2). Every payload byte is copied once, to its final place.
//! Composition offsets of video are 90 kHz ticks already, the timescale of all video.

use crate::clock::pcr_base;
use crate::error::Error;
use crate::packet::{Pcr, PesPackets};
use crate::pes::{Header, STREAM_ID_AUDIO, STREAM_ID_VIDEO};
use crate::psi::{AUDIO_PID, VIDEO_PID};
use crate::unit::{DELIMITER, PesUnit, START_CODE_BYTES, has_dts, lacks_parameter_sets};
use weir_media::aac::AacConfig;
use weir_media::avc::{AvcConfig, Nals};
use weir_media::{Sample, SampleFlags};

const START_CODE: [u8; START_CODE_BYTES] = [0, 0, 0, 1];

/// Writes one access unit as a PES packet. `packets` counts the payload packets of the PID.
pub(crate) fn put_access_unit(
    avc: &AvcConfig,
    (unit, sample): (&PesUnit, &Sample),
    payload: &[u8],
    packets: &mut u64,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let pts = unit
        .start
        .saturating_add(i64::from(sample.composition_offset));
    let dts = has_dts(sample).then_some(unit.start);
    let pcr = Pcr {
        base: pcr_base(unit.start),
        random_access: sample.flags.contains(SampleFlags::KEY),
    };
    let mut pes = PesPackets::start(out, VIDEO_PID, packets, unit.len, Some(pcr));
    pes.push(Header::new(STREAM_ID_VIDEO, unit.len, pts, dts).as_slice());
    let mut nals = Nals::new(payload, START_CODE_BYTES as u8);
    if !sample.flags.contains(SampleFlags::DELIMITER) {
        pes.push(&DELIMITER);
    } else if let Some(delimiter) = nals.next() {
        put_nal(&mut pes, delimiter, unit)?;
    }
    if lacks_parameter_sets(sample) {
        for set in avc.sps().iter().chain(avc.pps()) {
            put_nal(&mut pes, Ok(set), unit)?;
        }
    }
    for nal in nals {
        put_nal(&mut pes, nal, unit)?;
    }
    Ok(())
}

/// Writes a NAL unit behind a start code. One without bytes becomes four zero bytes, which
/// a byte stream may have between NAL units, for a start code without a unit is malformed.
fn put_nal(
    pes: &mut PesPackets<'_>,
    nal: Result<&[u8], weir_media::Error>,
    unit: &PesUnit,
) -> Result<(), Error> {
    let nal = nal.map_err(|error| Error::Nal {
        sample: unit.samples.start,
        error,
    })?;
    if nal.is_empty() {
        pes.push(&[0; START_CODE_BYTES]);
    } else {
        pes.push(&START_CODE);
        pes.push(nal);
    }
    Ok(())
}

/// Writes AAC frames as one PES packet. `payloads` are those of the unit's samples.
pub(crate) fn put_adts_frames<B: AsRef<[u8]>>(
    aac: &AacConfig,
    unit: &PesUnit,
    payloads: &[B],
    packets: &mut u64,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let mut pes = PesPackets::start(out, AUDIO_PID, packets, unit.len, None);
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
