//! H.264: `AVCDecoderConfigurationRecord` (ISO/IEC 14496-15 §5.3.3.1), the sequence
//! parameter set (ITU-T H.264 §7.3.2.1), and NAL units with length prefixes.
//!
//! Not covered: slice headers, SVC and MVC.

mod access_unit;
mod sps;

pub use crate::nal::{Nals, annex_b_to_lengths, with_four_byte_lengths};
pub(crate) use access_unit::has_recovery_point;
pub use access_unit::{AccessUnit, inspect};
pub use sps::Sps;

use crate::error::Error;
use crate::limits::CONFIG_BYTES_MAX;
use crate::picture::Hdr;
use bytes::{BufMut, Bytes, BytesMut};

/// `nal_unit_type` values, ITU-T H.264 table 7-1.
pub mod nal_type {
    /// Coded slice of an IDR picture.
    pub const IDR: u8 = 5;
    /// Supplemental enhancement information.
    pub const SEI: u8 = 6;
    /// Sequence parameter set.
    pub const SPS: u8 = 7;
    /// Picture parameter set.
    pub const PPS: u8 = 8;
    /// Access unit delimiter.
    pub const AUD: u8 = 9;
}

/// Configuration of an H.264 track. The record is normalised to four-byte NAL lengths,
/// as all payloads are; [`AvcConfig::nal_length_size`] tells what the sender uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AvcConfig {
    record: Bytes,
    sps: Vec<Bytes>,
    pps: Vec<Bytes>,
    /// Bytes per NAL length in what the sender sends: 1, 2 or 4.
    pub nal_length_size: u8,
    /// First sequence parameter set, read.
    pub info: Sps,
    /// What is said of colour and light beside the bitstream.
    pub hdr: Hdr,
}

impl AvcConfig {
    /// Reads the content of an `avcC` box or of an RTMP sequence header.
    ///
    /// # Errors
    /// Truncation, a wrong version, no SPS or PPS, or an SPS that cannot be read.
    pub fn parse(record: Bytes) -> Result<Self, Error> {
        if record.len() > CONFIG_BYTES_MAX {
            return Err(Error::ConfigTooLong(record.len()));
        }
        let head = record
            .get(..6)
            .ok_or(Error::Truncated("numOfSequenceParameterSets"))?;
        if head[0] != 1 {
            return Err(Error::AvcVersion(head[0]));
        }
        let length_size = (head[4] & 3) + 1;
        let sps_count = head[5] & 0x1f;
        let mut at = 6;
        let sps = parameter_sets(&record, &mut at, sps_count, "sequenceParameterSet")?;
        let pps_count = *record
            .get(at)
            .ok_or(Error::Truncated("numOfPictureParameterSets"))?;
        at += 1;
        let pps = parameter_sets(&record, &mut at, pps_count, "pictureParameterSet")?;
        if length_size == 3 {
            return Err(Error::SpsField("lengthSizeMinusOne"));
        }
        let info = Sps::parse(sps.first().ok_or(Error::NoSps)?)?;
        if pps.is_empty() {
            return Err(Error::NoPps);
        }
        let mut normal = BytesMut::from(&record[..]);
        normal[4] = 0xff;
        Ok(Self {
            record: normal.freeze(),
            sps,
            pps,
            nal_length_size: length_size,
            info,
            hdr: Hdr::default(),
        })
    }

    /// Builds a configuration from bare parameter sets (without start codes), for senders
    /// that carry them only in the stream.
    ///
    /// # Errors
    /// As [`AvcConfig::parse`].
    pub fn from_parameter_sets(sps: &[&[u8]], pps: &[&[u8]]) -> Result<Self, Error> {
        let first = sps.first().ok_or(Error::NoSps)?;
        let profile = first.get(1..4).ok_or(Error::Truncated("level_idc"))?;
        let info = Sps::parse(first)?;
        let (sps, pps) = (&sps[..sps.len().min(31)], &pps[..pps.len().min(255)]);
        let mut record = BytesMut::with_capacity(64);
        record.put_u8(1);
        record.put_slice(profile);
        record.put_u8(0xff);
        record.put_u8(0xe0 | sps.len() as u8);
        put_parameter_sets(&mut record, sps)?;
        record.put_u8(pps.len() as u8);
        put_parameter_sets(&mut record, pps)?;
        if matches!(info.profile_idc, 100 | 110 | 122 | 144) {
            record.put_slice(&[
                0xfc | info.chroma_format_idc,
                0xf8 | (info.bit_depth_luma - 8),
                0xf8 | (info.bit_depth_chroma - 8),
                0,
            ]);
        }
        Self::parse(record.freeze())
    }

    /// The record, normalised to four-byte lengths.
    #[must_use]
    pub fn record(&self) -> &Bytes {
        &self.record
    }

    /// Sequence parameter sets without start codes; at least one.
    #[must_use]
    pub fn sps(&self) -> &[Bytes] {
        &self.sps
    }

    /// Picture parameter sets without start codes; at least one.
    #[must_use]
    pub fn pps(&self) -> &[Bytes] {
        &self.pps
    }

    /// RFC 6381 codec string, such as `avc1.64001f`.
    #[must_use]
    pub fn codec_string(&self) -> String {
        // SAFETY of the index: `parse` accepted at least six bytes.
        format!(
            "avc1.{:02x}{:02x}{:02x}",
            self.record[1], self.record[2], self.record[3]
        )
    }
}

fn parameter_sets(
    record: &Bytes,
    at: &mut usize,
    count: u8,
    field: &'static str,
) -> Result<Vec<Bytes>, Error> {
    let mut sets = Vec::with_capacity(usize::from(count));
    for _ in 0..count {
        let len = record.get(*at..*at + 2).ok_or(Error::Truncated(field))?;
        let len = usize::from(u16::from_be_bytes([len[0], len[1]]));
        *at += 2;
        if len == 0 || record.len() - *at < len {
            return Err(Error::Truncated(field));
        }
        sets.push(record.slice(*at..*at + len));
        *at += len;
    }
    Ok(sets)
}

fn put_parameter_sets(record: &mut BytesMut, sets: &[&[u8]]) -> Result<(), Error> {
    for set in sets {
        let len = u16::try_from(set.len()).map_err(|_| Error::ConfigTooLong(set.len()))?;
        record.put_u16(len);
        record.put_slice(set);
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// High profile 1280x720 by x264, from an FLV that ffmpeg wrote.
    pub(crate) const SPS_720P: &[u8] = &[
        0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03,
        0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x83, 0x19, 0x60,
    ];
    pub(crate) const PPS_720P: &[u8] = &[0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0];

    #[test]
    fn builds_and_parses_the_same_record() {
        let c = AvcConfig::from_parameter_sets(&[SPS_720P], &[PPS_720P]).unwrap();
        assert_eq!((c.info.width, c.info.height), (1280, 720));
        assert_eq!(c.codec_string(), "avc1.64001f");
        assert_eq!(c.sps()[0], SPS_720P);
        assert_eq!(c.pps()[0], PPS_720P);
        assert_eq!(AvcConfig::parse(c.record().clone()).unwrap(), c);
    }

    #[test]
    fn the_record_is_normalised_to_four_byte_lengths() {
        let c = AvcConfig::from_parameter_sets(&[SPS_720P], &[PPS_720P]).unwrap();
        let mut two = c.record().to_vec();
        two[4] = 0xfd;
        let parsed = AvcConfig::parse(two.into()).unwrap();
        assert_eq!(parsed.nal_length_size, 2);
        assert_eq!(parsed.record(), c.record());
    }

    #[test]
    fn every_truncation_is_an_error() {
        let c = AvcConfig::from_parameter_sets(&[SPS_720P], &[PPS_720P]).unwrap();
        let needed = 6 + 2 + SPS_720P.len() + 1 + 2 + PPS_720P.len();
        for n in 0..needed {
            assert!(AvcConfig::parse(c.record().slice(..n)).is_err(), "{n}");
        }
        assert!(AvcConfig::parse(c.record().slice(..needed)).is_ok());
    }

    #[test]
    fn no_parameter_sets_is_an_error() {
        let none = Bytes::from_static(&[1, 100, 0, 31, 0xff, 0xe0, 0]);
        assert_eq!(AvcConfig::parse(none).unwrap_err(), Error::NoSps);
        assert_eq!(
            AvcConfig::from_parameter_sets(&[SPS_720P], &[]).unwrap_err(),
            Error::NoPps
        );
    }
}
