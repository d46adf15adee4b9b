//! AVCDecoderConfigurationRecord, the payload of `avcC` (ISO/IEC 14496-15 §5.3.3.1), and the split
//! of the encoder's byte stream into NAL units (ISO/IEC 14496-10 Annex B).
//!
//! ```text
//! configurationVersion=1 | AVCProfileIndication | profile_compatibility | AVCLevelIndication
//! 111111 lengthSizeMinusOne=3 | 111 numOfSequenceParameterSets=1
//! sequenceParameterSetLength (16) | SPS | numOfPictureParameterSets=1
//! pictureParameterSetLength (16) | PPS
//! ```
//!
//! The extension that the High profiles append is not written: this crate encodes Baseline.

use bytes::{BufMut, Bytes, BytesMut};

use crate::error::Error;

/// `nal_unit_type` of a sequence parameter set (ISO/IEC 14496-10 Table 7-1).
pub(crate) const NAL_SPS: u8 = 7;
/// `nal_unit_type` of a picture parameter set.
pub(crate) const NAL_PPS: u8 = 8;
/// `nal_unit_type` of an access unit delimiter.
pub(crate) const NAL_AUD: u8 = 9;

/// `profile_idc` of the Baseline profile (ISO/IEC 14496-10 §A.2.1).
const PROFILE_BASELINE: u8 = 66;

/// A NAL unit without its start code, and its `nal_unit_type`.
pub(crate) fn strip_start_code(annex_b: &[u8]) -> Result<(u8, &[u8]), Error> {
    let nal = annex_b
        .strip_prefix(&[0, 0, 0, 1])
        .or_else(|| annex_b.strip_prefix(&[0, 0, 1]))
        .ok_or(Error::H264Malformed)?;
    let header = nal.first().ok_or(Error::H264Malformed)?;
    Ok((header & 0x1f, nal))
}

/// Appends a NAL unit with its length in four bytes, big-endian.
pub(crate) fn put_length_prefixed(out: &mut BytesMut, nal: &[u8]) -> Result<(), Error> {
    let length = u32::try_from(nal.len()).map_err(|_| Error::H264Malformed)?;
    out.put_u32(length);
    out.put_slice(nal);
    Ok(())
}

/// The record for one SPS and one PPS, both without start code.
pub(crate) fn decoder_configuration_record(sps: &[u8], pps: &[u8]) -> Result<Bytes, Error> {
    let &[_, profile, compatibility, level, ..] = sps else {
        return Err(Error::H264NoParameterSets);
    };
    if profile != PROFILE_BASELINE || pps.is_empty() {
        return Err(Error::H264NoParameterSets);
    }
    let mut record = BytesMut::with_capacity(11 + sps.len() + pps.len());
    record.put_slice(&[1, profile, compatibility, level, 0xfc | 3, 0xe0 | 1]);
    put_set(&mut record, sps)?;
    record.put_u8(1);
    put_set(&mut record, pps)?;
    Ok(record.freeze())
}

fn put_set(record: &mut BytesMut, set: &[u8]) -> Result<(), Error> {
    let length = u16::try_from(set.len()).map_err(|_| Error::H264NoParameterSets)?;
    record.put_u16(length);
    record.put_slice(set);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_codes_of_both_lengths_are_removed() {
        assert_eq!(
            strip_start_code(&[0, 0, 0, 1, 0x67, 66]).unwrap(),
            (7, &[0x67, 66][..])
        );
        assert_eq!(
            strip_start_code(&[0, 0, 1, 0x65]).unwrap(),
            (5, &[0x65][..])
        );
        for bad in [&[][..], &[0, 0, 0, 1], &[0, 0, 2, 1], &[0x67, 66]] {
            assert!(
                matches!(strip_start_code(bad), Err(Error::H264Malformed)),
                "{bad:?}"
            );
        }
    }

    #[test]
    fn record_has_the_fields_of_the_standard() {
        let record = decoder_configuration_record(&[0x67, 66, 0xc0, 31, 9], &[0x68, 7]).unwrap();
        let expected = [
            1, 66, 0xc0, 31, 0xff, 0xe1, 0, 5, 0x67, 66, 0xc0, 31, 9, 1, 0, 2, 0x68, 7,
        ];
        assert_eq!(&record[..], expected);
    }

    #[test]
    fn record_refuses_high_profile_and_short_sets() {
        assert!(decoder_configuration_record(&[0x67, 100, 0, 31], &[0x68]).is_err());
        assert!(decoder_configuration_record(&[0x67, 66, 0], &[0x68]).is_err());
        assert!(decoder_configuration_record(&[0x67, 66, 0, 31], &[]).is_err());
    }
}
