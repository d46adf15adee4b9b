//! AV1: `AV1CodecConfigurationRecord` (AV1 Codec ISO Media File Format Binding §2.3), open
//! bitstream units and the sequence header (AV1 Bitstream & Decoding Process Specification §5).
//!
//! Not covered: frame headers beyond their first bits, operating points other than the first.

mod obu;
mod sequence;

pub use obu::{Obu, Obus, obu_type};
pub use sequence::SequenceHeader;

use crate::error::Error;
use crate::limits::CONFIG_BYTES_MAX;
use crate::picture::{Colour, Hdr};
use bytes::{BufMut, Bytes, BytesMut};

/// Bytes of the record before `configOBUs`.
const HEAD_BYTES: usize = 4;

/// Configuration of an AV1 track. The record always holds the sequence header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Av1Config {
    record: Bytes,
    /// The sequence header, read.
    pub info: SequenceHeader,
    /// What is said of colour and light beside the bitstream.
    pub hdr: Hdr,
}

impl Av1Config {
    /// Reads the content of an `av1C` box or of an RTMP sequence header.
    ///
    /// # Errors
    /// Truncation, a wrong version, an OBU that claims too much, or [`Error::NoSps`] if there
    /// is no sequence header: then the first key frame has one, see
    /// [`Av1Config::from_temporal_unit`].
    pub fn parse(record: Bytes) -> Result<Self, Error> {
        if record.len() > CONFIG_BYTES_MAX {
            return Err(Error::ConfigTooLong(record.len()));
        }
        let head = record
            .get(..HEAD_BYTES)
            .ok_or(Error::Truncated("initial_presentation_delay_present"))?;
        if head[0] != 0x81 {
            return Err(Error::Version("av1C", head[0] & 0x7f));
        }
        let info = sequence_header(&record[HEAD_BYTES..])?
            .ok_or(Error::NoSps)?
            .1;
        Ok(Self {
            record,
            info,
            hdr: Hdr::default(),
        })
    }

    /// Builds a configuration from the sequence header of a temporal unit; `None` if it has
    /// none.
    ///
    /// # Errors
    /// An OBU that claims too much, or a sequence header that cannot be read.
    pub fn from_temporal_unit(unit: &[u8]) -> Result<Option<Self>, Error> {
        let Some((obu, info)) = sequence_header(unit)? else {
            return Ok(None);
        };
        let mut record = BytesMut::with_capacity(HEAD_BYTES + obu.len() + 2);
        record.put_u8(0x81);
        record.put_u8(info.profile << 5 | info.level_idx);
        let flag = |set: bool, at: u8| u8::from(set) << at;
        record.put_u8(
            flag(info.tier, 7)
                | flag(info.bit_depth > 8, 6)
                | flag(info.bit_depth == 12, 5)
                | flag(info.monochrome, 4)
                | flag(info.subsampling.0, 3)
                | flag(info.subsampling.1, 2)
                | info.chroma_sample_position,
        );
        record.put_u8(0);
        obu::put(&mut record, obu_type::SEQUENCE_HEADER, obu);
        Self::parse(record.freeze()).map(Some)
    }

    /// The record as it came, or was made.
    #[must_use]
    pub fn record(&self) -> &Bytes {
        &self.record
    }

    /// The OBUs of the record: a sequence header, and perhaps metadata.
    #[must_use]
    pub fn config_obus(&self) -> &[u8] {
        &self.record[HEAD_BYTES..]
    }

    /// Content of the sequence header OBU.
    #[must_use]
    pub fn sequence_header(&self) -> &[u8] {
        // `parse` found one.
        let found = sequence_header(self.config_obus()).ok().flatten();
        found.map_or(&[], |(data, _)| data)
    }

    /// RFC 6381 codec string (AV1 binding §5), such as `av01.0.04M.08`; with the colour where
    /// it is not the one that is meant by default.
    #[must_use]
    pub fn codec_string(&self) -> String {
        let i = &self.info;
        let tier = if i.tier { 'H' } else { 'M' };
        let text = format!(
            "av01.{}.{:02}{tier}.{:02}",
            i.profile, i.level_idx, i.bit_depth
        );
        let colour = i.colour.or(self.hdr.colour);
        let chroma = (i.subsampling.0, i.subsampling.1, i.chroma_sample_position);
        let usual = !i.monochrome && (chroma.0, chroma.1) == (true, true) && chroma.2 == 0;
        let Some(c) = colour.and_then(Colour::specified) else {
            if usual {
                return text;
            }
            return format!("{text}.{}", chroma_text(i));
        };
        format!(
            "{text}.{}.{:02}.{:02}.{:02}.{}",
            chroma_text(i),
            c.primaries,
            c.transfer,
            c.matrix,
            u8::from(c.full_range)
        )
    }
}

/// Monochrome and chroma subsampling, as the codec string has them.
fn chroma_text(i: &SequenceHeader) -> String {
    let position = match i.subsampling {
        (true, true) => i.chroma_sample_position,
        _ => 0,
    };
    format!(
        "{}.{}{}{position}",
        u8::from(i.monochrome),
        u8::from(i.subsampling.0),
        u8::from(i.subsampling.1)
    )
}

/// What a temporal unit holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TemporalUnit {
    /// Its first frame is a key frame that is shown: decoding can begin here, if a sequence
    /// header is known.
    pub key: bool,
    /// A sequence header stands before the first frame.
    pub sequence_header: bool,
    /// It holds a frame, or shows one that was decoded before.
    pub frames: bool,
    /// Bytes of temporal delimiters at its start, which files leave out.
    pub delimiter_bytes: usize,
}

/// Looks at the open bitstream units of a temporal unit. `known` is the sequence header that
/// applies unless the unit brings one.
///
/// # Errors
/// An OBU that claims too much, too many of them, or a sequence header that cannot be read.
pub fn inspect(unit: &[u8], known: Option<&SequenceHeader>) -> Result<TemporalUnit, Error> {
    let mut seen = TemporalUnit::default();
    let mut reduced = known.is_some_and(|k| k.reduced_still_picture_header);
    for obu in Obus::new(unit) {
        let obu = obu?;
        match obu.kind {
            obu_type::TEMPORAL_DELIMITER if !seen.sequence_header && !seen.frames => {
                seen.delimiter_bytes = obu.end;
            }
            obu_type::SEQUENCE_HEADER if !seen.frames => {
                reduced = SequenceHeader::parse(obu.data)?.reduced_still_picture_header;
                seen.sequence_header = true;
            }
            obu_type::FRAME | obu_type::FRAME_HEADER if !seen.frames => {
                seen.frames = true;
                // show_existing_frame 0, frame_type 0 (KEY_FRAME), show_frame 1: §5.9.2.
                let first = *obu.data.first().ok_or(Error::Truncated("frame_type"))?;
                seen.key = reduced || first & 0xf0 == 0x10;
            }
            _ => {}
        }
    }
    Ok(seen)
}

/// The first sequence header among OBUs: its bytes without the header, and what they say.
fn sequence_header(obus: &[u8]) -> Result<Option<(&[u8], SequenceHeader)>, Error> {
    for obu in Obus::new(obus) {
        let obu = obu?;
        if obu.kind == obu_type::SEQUENCE_HEADER {
            return Ok(Some((obu.data, SequenceHeader::parse(obu.data)?)));
        }
    }
    Ok(None)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Main profile 320x180 by SVT-AV1, as ffmpeg 9 sends it.
    pub(crate) const AV1C_180P: &[u8] = &[
        0x81, 0x00, 0x0c, 0x00, 0x0a, 0x0b, 0x00, 0x00, 0x00, 0x04, 0x3c, 0xfe, 0xcc, 0x02, 0xf8,
        0x00, 0x40,
    ];

    pub(crate) fn config() -> Av1Config {
        Av1Config::parse(Bytes::from_static(AV1C_180P)).unwrap()
    }

    #[test]
    fn svt_av1_main_180p() {
        let c = config();
        assert_eq!((c.info.width, c.info.height), (320, 180));
        assert_eq!((c.info.profile, c.info.bit_depth), (0, 8));
        assert_eq!(c.codec_string(), "av01.0.00M.08");
    }

    #[test]
    fn a_record_is_made_from_a_temporal_unit() {
        let mut unit = vec![0x12, 0];
        unit.extend(&AV1C_180P[4..]);
        unit.extend([0x32, 2, 0x10, 0]);
        let made = Av1Config::from_temporal_unit(&unit).unwrap().unwrap();
        assert_eq!(made, config());
        let seen = inspect(&unit, None).unwrap();
        assert!(seen.key && seen.sequence_header && seen.frames);
        assert_eq!(seen.delimiter_bytes, 2);
        assert_eq!(Av1Config::from_temporal_unit(&unit[15..]), Ok(None));
    }

    #[test]
    fn only_a_shown_key_frame_is_one() {
        let key = |first: u8| {
            inspect(&[0x32, 1, first], Some(&config().info))
                .unwrap()
                .key
        };
        assert!(key(0x10));
        assert!(!key(0x00), "not shown");
        assert!(!key(0x30), "an inter frame");
        assert!(!key(0x90), "an existing frame");
        let nothing = inspect(&[0x12, 0], None).unwrap();
        assert!(!nothing.frames && !nothing.key);
    }

    #[test]
    fn truncations_and_lies_are_errors() {
        for n in 0..AV1C_180P.len() {
            let cut = Bytes::from_static(&AV1C_180P[..n]);
            assert!(Av1Config::parse(cut).is_err(), "{n}");
        }
        assert_eq!(
            Av1Config::parse(Bytes::from_static(&[0x81, 0, 0, 0])),
            Err(Error::NoSps)
        );
        assert_eq!(
            Av1Config::parse(Bytes::from_static(&[0x01, 0, 0, 0])),
            Err(Error::Version("av1C", 1))
        );
        assert_eq!(inspect(&[0x32, 200, 1], None), Err(Error::ObuSize(200)));
        assert!(
            inspect(
                &[0x32, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
                None
            )
            .is_err()
        );
        assert_eq!(
            inspect(&[0x32, 0], None),
            Err(Error::Truncated("frame_type"))
        );
    }

    #[test]
    fn hdr_stands_in_the_codec_string() {
        let mut c = config();
        c.info.bit_depth = 10;
        c.info.level_idx = 8;
        c.info.colour = Some(Colour {
            primaries: 9,
            transfer: 16,
            matrix: 9,
            full_range: false,
        });
        c.info.chroma_sample_position = 0;
        assert_eq!(c.codec_string(), "av01.0.08M.10.0.110.09.16.09.0");
    }
}
