//! VP9: `VPCodecConfigurationRecord` (VP Codec ISO Media File Format Binding §3) and the
//! uncompressed header (VP9 Bitstream & Decoding Process Specification §6.2), as far as the
//! frame's size.

use crate::bits::BitReader;
use crate::error::Error;
use crate::picture::{Colour, Hdr};
use bytes::Bytes;

/// Version and flags that stand before the record in a box, and in what ffmpeg sends.
const FULL_BOX: [u8; 4] = [1, 0, 0, 0];

/// Bytes of a record without initialisation data, which VP9 has none of.
const RECORD_BYTES: usize = 8;

/// Configuration of a VP9 track. The record has no picture size: that is a key frame's, so
/// there is no configuration before one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vp9Config {
    record: Bytes,
    /// 0 to 3.
    pub profile: u8,
    /// Ten times the level.
    pub level: u8,
    /// 8, 10 or 12.
    pub bit_depth: u8,
    /// `chromaSubsampling`: 0 4:2:0 vertical, 1 4:2:0 co-located, 2 4:2:2, 3 4:4:4.
    pub chroma_subsampling: u8,
    /// Colour description; code point 2 where it says nothing.
    pub colour: Colour,
    /// Width in luma samples.
    pub width: u32,
    /// Height in luma samples.
    pub height: u32,
    /// What is said of colour and light beside the bitstream.
    pub hdr: Hdr,
}

impl Vp9Config {
    /// Reads the content of a `vpcC` box, with or without version and flags, for pictures of
    /// this size.
    ///
    /// # Errors
    /// Truncation, or a field out of range.
    pub fn parse(record: &[u8], width: u32, height: u32) -> Result<Self, Error> {
        let bare = record.strip_prefix(&FULL_BOX).unwrap_or(record);
        let fields = bare
            .get(..RECORD_BYTES)
            .ok_or(Error::Truncated("codecInitializationDataSize"))?;
        let config = Self {
            record: Bytes::new(),
            profile: fields[0],
            level: fields[1],
            bit_depth: fields[2] >> 4,
            chroma_subsampling: fields[2] >> 1 & 7,
            colour: Colour {
                primaries: fields[3],
                transfer: fields[4],
                matrix: fields[5],
                full_range: fields[2] & 1 == 1,
            },
            width,
            height,
            hdr: Hdr::default(),
        };
        if config.profile > 3 {
            return Err(Error::Field("VP9 profile"));
        }
        if !matches!(config.bit_depth, 8 | 10 | 12) {
            return Err(Error::Field("VP9 bitDepth"));
        }
        if config.chroma_subsampling > 3 {
            return Err(Error::Field("VP9 chromaSubsampling"));
        }
        Ok(config.recorded())
    }

    /// The configuration of the frames from this key frame on. What the frame says is believed
    /// more than `record`, which knows level and colour.
    #[must_use]
    pub fn of_key_frame(key: &KeyFrame, record: Option<&[u8]>) -> Self {
        let record = record.and_then(|r| Self::parse(r, key.width, key.height).ok());
        let mut config = record.unwrap_or(Self {
            record: Bytes::new(),
            profile: key.profile,
            level: 0,
            bit_depth: key.bit_depth,
            chroma_subsampling: key.chroma_subsampling,
            colour: key.colour,
            width: key.width,
            height: key.height,
            hdr: Hdr::default(),
        });
        config.profile = key.profile;
        config.bit_depth = key.bit_depth;
        if config.chroma_subsampling > 1 || key.chroma_subsampling > 1 {
            config.chroma_subsampling = key.chroma_subsampling;
        }
        if config.level == 0 {
            config.level = level(key.width, key.height);
        }
        config.recorded()
    }

    /// With the record that says this.
    fn recorded(mut self) -> Self {
        let c = &self.colour;
        let third = self.bit_depth << 4 | self.chroma_subsampling << 1 | u8::from(c.full_range);
        let record = [
            &FULL_BOX[..],
            &[self.profile, self.level, third],
            &[c.primaries, c.transfer, c.matrix, 0, 0],
        ];
        self.record = record.concat().into();
        self
    }

    /// The record with version and flags, as the box holds it.
    #[must_use]
    pub fn record(&self) -> &Bytes {
        &self.record
    }

    /// RFC 6381 codec string (VP binding §4), such as `vp09.00.30.08`; with the colour where it
    /// is not the one that is meant by default.
    #[must_use]
    pub fn codec_string(&self) -> String {
        let text = format!(
            "vp09.{:02}.{:02}.{:02}",
            self.profile, self.level, self.bit_depth
        );
        let c = self.colour.specified().or(self.hdr.colour);
        if c.is_none() && self.chroma_subsampling <= 1 {
            return text;
        }
        let c = c.unwrap_or(self.colour);
        format!(
            "{text}.{:02}.{:02}.{:02}.{:02}.{:02}",
            self.chroma_subsampling,
            c.primaries,
            c.transfer,
            c.matrix,
            u8::from(c.full_range)
        )
    }
}

/// Lowest level for pictures of this size at up to 60 a second (VP9 levels, "Max Luma Picture
/// Size").
fn level(width: u32, height: u32) -> u8 {
    const LEVELS: [(u64, u8); 9] = [
        (36_864, 10),
        (73_728, 11),
        (122_880, 20),
        (245_760, 21),
        (552_960, 30),
        (983_040, 31),
        (2_228_224, 41),
        (8_912_896, 51),
        (35_651_584, 61),
    ];
    let size = u64::from(width) * u64::from(height);
    let fits = LEVELS.iter().find(|(max, _)| size <= *max);
    fits.map_or(62, |(_, level)| *level)
}

/// What the header of a key frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyFrame {
    /// 0 to 3.
    pub profile: u8,
    /// 8, 10 or 12.
    pub bit_depth: u8,
    /// As in [`Vp9Config::chroma_subsampling`].
    pub chroma_subsampling: u8,
    /// Colour, by the header's few words for it.
    pub colour: Colour,
    /// Width in luma samples.
    pub width: u32,
    /// Height in luma samples.
    pub height: u32,
}

/// Reads the header of a frame, or of the first of a superframe; `None` if it is no key frame.
///
/// # Errors
/// Truncation, or bytes that are no VP9 frame.
pub fn key_frame(frame: &[u8]) -> Result<Option<KeyFrame>, Error> {
    let mut r = BitReader::new(frame);
    if r.bits(2, "frame_marker")? != 2 {
        return Err(Error::Sync("VP9"));
    }
    let low = r.bits(1, "profile_low_bit")? as u8;
    let profile = low | (r.bits(1, "profile_high_bit")? as u8) << 1;
    if profile == 3 && r.flag("reserved_zero")? {
        return Err(Error::Field("VP9 profile"));
    }
    if r.flag("show_existing_frame")? || r.flag("frame_type")? {
        return Ok(None);
    }
    r.bits(2, "show_frame")?; // and error_resilient_mode
    if r.bits(24, "frame_sync_code")? != 0x49_8342 {
        return Err(Error::Sync("VP9"));
    }
    let bit_depth = match profile >= 2 {
        true if r.flag("ten_or_twelve_bit")? => 12,
        true => 10,
        false => 8,
    };
    let space = r.bits(3, "color_space")?;
    let odd = profile & 1 == 1;
    let (full_range, subsampling) = if space == 7 {
        if odd {
            r.flag("reserved_zero")?;
        }
        (true, 3)
    } else {
        let full_range = r.flag("color_range")?;
        let subsampling = match odd {
            true => {
                let both = r.bits(2, "subsampling_x")?;
                r.flag("reserved_zero")?;
                match both {
                    0b11 => 1,
                    0b10 => 2,
                    _ => 3,
                }
            }
            false => 1,
        };
        (full_range, subsampling)
    };
    let width = r.bits(16, "frame_width_minus_1")? + 1;
    let height = r.bits(16, "frame_height_minus_1")? + 1;
    Ok(Some(KeyFrame {
        profile,
        bit_depth,
        chroma_subsampling: subsampling,
        colour: colour(space, full_range),
        width,
        height,
    }))
}

/// `color_space`, §7.2.2, in code points.
fn colour(space: u32, full_range: bool) -> Colour {
    let (primaries, transfer, matrix) = match space {
        1 | 3 => (6, 6, 6),
        2 => (1, 1, 1),
        4 => (7, 7, 7),
        5 => (9, 14, 9),
        7 => (1, 13, 0),
        _ => (2, 2, 2),
    };
    Colour {
        primaries,
        transfer,
        matrix,
        full_range,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What ffmpeg 9 sends for 320x180 by libvpx: version and flags, then the record.
    pub(crate) const VPCC: &[u8] = &[1, 0, 0, 0, 0, 0x0b, 0x82, 2, 2, 2, 0, 0];
    /// The start of a key frame of that stream.
    pub(crate) const KEY: &[u8] = &[
        0x82, 0x49, 0x83, 0x42, 0x00, 0x13, 0xf0, 0x0b, 0x36, 0x06, 0x38,
    ];

    #[test]
    fn libvpx_180p() {
        let key = key_frame(KEY).unwrap().unwrap();
        assert_eq!((key.width, key.height), (320, 180));
        let c = Vp9Config::of_key_frame(&key, Some(VPCC));
        assert_eq!(c.codec_string(), "vp09.00.11.08");
        assert_eq!(&c.record()[..], VPCC);
        assert_eq!(Vp9Config::parse(c.record(), 320, 180).unwrap(), c);
        assert_eq!(Vp9Config::parse(&VPCC[4..], 320, 180).unwrap(), c);
        // Without a record the same is made up.
        let alone = Vp9Config::of_key_frame(&key, None);
        assert_eq!((alone.level, alone.bit_depth), (11, 8));
    }

    #[test]
    fn inter_frames_are_no_key_frames() {
        assert_eq!(key_frame(&[0x86, 0, 0x40, 0x92]), Ok(None));
        assert_eq!(key_frame(&[0x88]), Ok(None), "an existing frame");
        assert_eq!(key_frame(&[0x00, 1]), Err(Error::Sync("VP9")));
        assert_eq!(key_frame(&[0x82, 1, 2, 3, 4]), Err(Error::Sync("VP9")));
        for n in 0..9 {
            assert!(key_frame(&KEY[..n]).is_err(), "{n}");
        }
    }

    #[test]
    fn bad_records_are_errors_and_a_frame_does_without() {
        for n in 0..12 {
            assert!(Vp9Config::parse(&VPCC[..n], 1, 1).is_err(), "{n}");
        }
        let with = |at: usize, byte: u8| {
            let mut record = VPCC.to_vec();
            record[at] = byte;
            Vp9Config::parse(&record, 1, 1)
        };
        assert_eq!(with(4, 4), Err(Error::Field("VP9 profile")));
        assert_eq!(with(6, 0x92), Err(Error::Field("VP9 bitDepth")));
        let key = key_frame(KEY).unwrap().unwrap();
        let c = Vp9Config::of_key_frame(&key, Some(&[0xff; 12]));
        assert_eq!(c, Vp9Config::of_key_frame(&key, None));
    }

    #[test]
    fn hdr_stands_in_the_codec_string() {
        let record = [2, 10, 0xa2, 9, 16, 9, 0, 0];
        let c = Vp9Config::parse(&record, 1920, 1080).unwrap();
        assert_eq!(c.codec_string(), "vp09.02.10.10.01.09.16.09.00");
    }
}
