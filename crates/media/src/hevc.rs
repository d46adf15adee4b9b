//! HEVC: `HEVCDecoderConfigurationRecord` (ISO/IEC 14496-15 §8.3.3.1), the sequence parameter
//! set (ITU-T H.265 §7.3.2.2) and access units.
//!
//! Not covered: slice headers, layers other than the base layer.

mod access_unit;
mod sps;

pub use access_unit::{AccessUnit, inspect};
pub use sps::Sps;

use crate::error::Error;
use crate::limits::{CONFIG_BYTES_MAX, HEVC_PARAMETER_SETS_MAX};
use crate::picture::Hdr;
use bytes::{BufMut, Bytes, BytesMut};

/// `nal_unit_type` values, ITU-T H.265 table 7-1.
pub mod nal_type {
    /// First type of an intra random access point.
    pub const IRAP_FIRST: u8 = 16;
    /// Last type of an intra random access point that is in use.
    pub const IRAP_LAST: u8 = 21;
    /// Video parameter set.
    pub const VPS: u8 = 32;
    /// Sequence parameter set.
    pub const SPS: u8 = 33;
    /// Picture parameter set.
    pub const PPS: u8 = 34;
    /// Access unit delimiter.
    pub const AUD: u8 = 35;
    /// Supplemental enhancement information before the picture.
    pub const PREFIX_SEI: u8 = 39;
}

/// `nal_unit_type` of a NAL unit; `None` without a header, or for a layer other than the base
/// layer.
#[must_use]
pub fn base_layer_type(nal: &[u8]) -> Option<u8> {
    let (first, second) = (nal.first()?, nal.get(1)?);
    let layer = (first & 1) << 5 | second >> 3;
    (layer == 0).then_some(first >> 1 & 0x3f)
}

/// Bytes of the record before its arrays.
const HEAD_BYTES: usize = 23;

/// Configuration of an HEVC track. The record is normalised to four-byte NAL lengths, as all
/// payloads are, and to complete arrays, as the sample entry `hvc1` wants them;
/// [`HevcConfig::nal_length_size`] tells what the sender uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HevcConfig {
    record: Bytes,
    sets: [Vec<Bytes>; 3],
    /// Bytes per NAL length in what the sender sends: 1, 2 or 4.
    pub nal_length_size: u8,
    /// First sequence parameter set, read.
    pub info: Sps,
    /// What is said of colour and light beside the bitstream.
    pub hdr: Hdr,
}

impl HevcConfig {
    /// Reads the content of an `hvcC` box or of an RTMP sequence header.
    ///
    /// # Errors
    /// Truncation, a wrong version, a parameter set that is missing, too many of them, or an
    /// SPS that cannot be read.
    pub fn parse(record: Bytes) -> Result<Self, Error> {
        if record.len() > CONFIG_BYTES_MAX {
            return Err(Error::ConfigTooLong(record.len()));
        }
        let head = record
            .get(..HEAD_BYTES)
            .ok_or(Error::Truncated("numOfArrays"))?;
        // 0 was written before the standard was done, by old ffmpeg among others.
        if head[0] > 1 {
            return Err(Error::Version("hvcC", head[0]));
        }
        let nal_length_size = (head[21] & 3) + 1;
        if nal_length_size == 3 {
            return Err(Error::Field("lengthSizeMinusOne"));
        }
        let arrays = head[22];
        let mut normal = BytesMut::from(&record[..]);
        normal[0] = 1;
        normal[21] |= 3;
        let mut sets = [Vec::new(), Vec::new(), Vec::new()];
        let mut at = HEAD_BYTES;
        for _ in 0..arrays {
            let kind = *record.get(at).ok_or(Error::Truncated("NAL_unit_type"))?;
            let slot = (kind & 0x3f).checked_sub(nal_type::VPS).map(usize::from);
            if slot.is_some_and(|s| s < sets.len()) {
                normal[at] |= 0x80;
            }
            at += 1;
            let count = u16_at(&record, at, "numNalus")?;
            at += 2;
            for _ in 0..count {
                let len = usize::from(u16_at(&record, at, "nalUnitLength")?);
                at += 2;
                if len == 0 || record.len() - at < len {
                    return Err(Error::Truncated("nalUnit"));
                }
                let nal = record.slice(at..at + len);
                at += len;
                if let Some(sets) = slot.and_then(|s| sets.get_mut(s))
                    && base_layer_type(&nal).is_some()
                {
                    if sets.len() == HEVC_PARAMETER_SETS_MAX {
                        return Err(Error::TooManyNals);
                    }
                    sets.push(nal);
                }
            }
        }
        let info = Sps::parse(sets[1].first().ok_or(Error::NoSps)?)?;
        if sets[2].is_empty() {
            return Err(Error::NoPps);
        }
        Ok(Self {
            record: normal.freeze(),
            sets,
            nal_length_size,
            info,
            hdr: Hdr::default(),
        })
    }

    /// Builds a configuration from bare parameter sets (without start codes), for senders that
    /// carry them only in the stream.
    ///
    /// # Errors
    /// As [`HevcConfig::parse`].
    pub fn from_parameter_sets(vps: &[&[u8]], sps: &[&[u8]], pps: &[&[u8]]) -> Result<Self, Error> {
        let info = Sps::parse(sps.first().ok_or(Error::NoSps)?)?;
        let mut record = BytesMut::with_capacity(256);
        record.put_u8(1);
        record.put_slice(&info.general);
        record.put_u16(0xf000); // min_spatial_segmentation_idc: unknown
        record.put_u8(0xfc); // parallelismType: unknown
        record.put_u8(0xfc | info.chroma_format_idc);
        record.put_u8(0xf8 | (info.bit_depth_luma - 8));
        record.put_u8(0xf8 | (info.bit_depth_chroma - 8));
        record.put_u16(0); // avgFrameRate: unknown
        let nested = u8::from(info.temporal_id_nesting);
        record.put_u8(info.temporal_layers << 3 | nested << 2 | 3);
        record.put_u8(3);
        for (kind, sets) in [
            (nal_type::VPS, vps),
            (nal_type::SPS, sps),
            (nal_type::PPS, pps),
        ] {
            let sets = &sets[..sets.len().min(HEVC_PARAMETER_SETS_MAX)];
            record.put_u8(0x80 | kind);
            record.put_u16(sets.len() as u16);
            for set in sets {
                let len = u16::try_from(set.len()).map_err(|_| Error::ConfigTooLong(set.len()))?;
                record.put_u16(len);
                record.put_slice(set);
            }
        }
        Self::parse(record.freeze())
    }

    /// The record, normalised.
    #[must_use]
    pub fn record(&self) -> &Bytes {
        &self.record
    }

    /// Video parameter sets without start codes; some senders leave them out.
    #[must_use]
    pub fn vps(&self) -> &[Bytes] {
        &self.sets[0]
    }

    /// Sequence parameter sets without start codes; at least one.
    #[must_use]
    pub fn sps(&self) -> &[Bytes] {
        &self.sets[1]
    }

    /// Picture parameter sets without start codes; at least one.
    #[must_use]
    pub fn pps(&self) -> &[Bytes] {
        &self.sets[2]
    }

    /// RFC 6381 codec string, such as `hvc1.1.6.L93.90` (ISO/IEC 14496-15 annex E.3).
    #[must_use]
    pub fn codec_string(&self) -> String {
        // `parse` accepted at least 23 bytes.
        let general = &self.record[1..13];
        let space = ["", "A", "B", "C"][usize::from(general[0] >> 6)];
        let tier = if general[0] & 0x20 == 0 { 'L' } else { 'H' };
        let compatibility =
            u32::from_be_bytes([general[1], general[2], general[3], general[4]]).reverse_bits();
        let mut text = format!(
            "hvc1.{space}{}.{compatibility:X}.{tier}{}",
            general[0] & 0x1f,
            general[11]
        );
        let constraints = &general[5..11];
        let used = constraints
            .iter()
            .rposition(|b| *b != 0)
            .map_or(0, |i| i + 1);
        for byte in &constraints[..used] {
            text.push_str(&format!(".{byte:X}"));
        }
        text
    }
}

/// Whether a record is an `HEVCDecoderConfigurationRecord`: its reserved bits are ones, and its
/// first array holds an HEVC parameter set. For senders that label HEVC as something else.
#[must_use]
pub fn is_record(record: &[u8]) -> bool {
    const RESERVED: [(usize, u8); 5] = [(13, 0xf0), (15, 0xfc), (16, 0xfc), (17, 0xf8), (18, 0xf8)];
    let reserved = RESERVED
        .iter()
        .all(|(at, ones)| record.get(*at).is_some_and(|b| b & ones == *ones));
    let vps_to_sei = record
        .get(HEAD_BYTES)
        .is_some_and(|b| matches!(b & 0x3f, 32..=34 | 39 | 40));
    record.first() == Some(&1) && reserved && vps_to_sei
}

fn u16_at(record: &[u8], at: usize, field: &'static str) -> Result<u16, Error> {
    let bytes = record.get(at..at + 2).ok_or(Error::Truncated(field))?;
    Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::picture::{Colour, VideoRange};

    /// Main profile 320x180 at 30 pictures per second by x265, as ffmpeg 9 sends it.
    pub(crate) const HVCC_180P: &[u8] = &[
        0x01, 0x01, 0x60, 0x00, 0x00, 0x00, 0x90, 0x00, 0x00, 0x00, 0x00, 0x00, 0x3c, 0xf0, 0x00,
        0xfc, 0xfd, 0xf8, 0xf8, 0x00, 0x00, 0x0f, 0x03, 0x20, 0x00, 0x01, 0x00, 0x18, 0x40, 0x01,
        0x0c, 0x01, 0xff, 0xff, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00,
        0x00, 0x03, 0x00, 0x3c, 0x95, 0x90, 0x09, 0x21, 0x00, 0x01, 0x00, 0x2b, 0x42, 0x01, 0x01,
        0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x3c,
        0xa0, 0x0a, 0x08, 0x0c, 0x1f, 0x3e, 0x59, 0x59, 0x12, 0x93, 0x0b, 0xc0, 0x5a, 0x02, 0x00,
        0x00, 0x03, 0x00, 0x02, 0x00, 0x00, 0x03, 0x00, 0x3c, 0x10, 0x22, 0x00, 0x01, 0x00, 0x06,
        0x44, 0x01, 0xc0, 0x73, 0xc1, 0x89,
    ];

    pub(crate) fn config() -> HevcConfig {
        HevcConfig::parse(Bytes::from_static(HVCC_180P)).unwrap()
    }

    #[test]
    fn x265_main_180p30() {
        let c = config();
        assert_eq!((c.info.width, c.info.height), (320, 180));
        assert_eq!(c.info.frame_rate.map(|(n, d)| n / d), Some(30));
        assert_eq!(c.codec_string(), "hvc1.1.6.L60.90");
        assert_eq!((c.vps().len(), c.sps().len(), c.pps().len()), (1, 1, 1));
        assert_eq!(VideoRange::of(c.info.colour), VideoRange::Sdr);
        // Arrays are complete, as hvc1 has them.
        assert_eq!(c.record()[23], 0xa0);
        assert!(is_record(HVCC_180P));
        assert_eq!(HevcConfig::parse(c.record().clone()).unwrap(), c);
    }

    #[test]
    fn builds_the_same_parameter_sets() {
        let c = config();
        let built = HevcConfig::from_parameter_sets(&[&c.vps()[0]], &[&c.sps()[0]], &[&c.pps()[0]])
            .unwrap();
        assert_eq!(built.info, c.info);
        assert_eq!(built.codec_string(), c.codec_string());
        assert_eq!(built.record(), c.record());
    }

    #[test]
    fn codec_strings_of_other_profiles() {
        let text = |general: [u8; 12]| {
            let mut c = config();
            let mut record = c.record.to_vec();
            record[1..13].copy_from_slice(&general);
            c.record = record.into();
            c.codec_string()
        };
        // ISO/IEC 14496-15 annex E.3, its examples.
        assert_eq!(
            text([1, 0x60, 0, 0, 0, 0xb0, 0, 0, 0, 0, 0, 93]),
            "hvc1.1.6.L93.B0"
        );
        assert_eq!(
            text([0x41 | 0x23, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 30]),
            "hvc1.A3.4.H30"
        );
        assert_eq!(
            text([2, 0x20, 0, 0, 0, 0x90, 0, 1, 0, 0, 0, 150]),
            "hvc1.2.4.L150.90.0.1"
        );
    }

    #[test]
    fn every_truncation_is_an_error() {
        for n in 0..HVCC_180P.len() {
            let cut = Bytes::from_static(&HVCC_180P[..n]);
            assert!(HevcConfig::parse(cut).is_err(), "{n}");
        }
    }

    #[test]
    fn lying_sizes_and_counts_are_errors() {
        let with = |at: usize, byte: u8| {
            let mut record = HVCC_180P.to_vec();
            record[at] = byte;
            HevcConfig::parse(record.into())
        };
        assert_eq!(with(0, 2), Err(Error::Version("hvcC", 2)));
        assert_eq!(with(21, 0x0e), Err(Error::Field("lengthSizeMinusOne")));
        assert_eq!(with(22, 0), Err(Error::NoSps));
        assert_eq!(with(22, 2), Err(Error::NoPps));
        assert!(with(22, 255).is_err());
        assert!(with(26, 0xff).is_err(), "a length past the end");
        assert!(with(24, 0xff).is_err(), "a count past the end");
        // Zero length.
        let mut record = HVCC_180P.to_vec();
        record[26..28].copy_from_slice(&[0, 0]);
        assert!(HevcConfig::parse(record.into()).is_err());
    }

    #[test]
    fn colour_is_what_the_vui_says() {
        // Main 10 with bt2020 and PQ by x265: the SPS of a phone's HDR10 recording.
        let c = config();
        assert_eq!(c.info.colour.and_then(Colour::specified), None);
    }
}
