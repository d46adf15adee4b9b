//! The frame header that the layers of MPEG audio share (ISO/IEC 11172-3 §2.4.1.3,
//! ISO/IEC 13818-3 §2.4.2.3, and MPEG 2.5 as everybody reads it).
//!
//! ```text
//! syncword 11 | version 2 | layer 2 | protection 1 | bitrate 4 | rate 2 | padding 1 | private 1
//!             | mode 2 | mode extension 2 | copyright 1 | original 1 | emphasis 2
//! ```

use crate::error::Error;

/// Bytes of a header.
pub const HEADER_BYTES: usize = 4;

/// Bit rates in kbit/s by `bitrate_index`, from 1: layers I, II and III of MPEG-1, then layer I,
/// and layers II and III, of MPEG-2.
const BIT_RATES: [[u32; 14]; 5] = [
    [
        32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448,
    ],
    [
        32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384,
    ],
    [
        32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320,
    ],
    [
        32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256,
    ],
    [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];

/// What a frame header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// 1, 2 or 3.
    pub layer: u8,
    /// Whether it is MPEG-1, and not MPEG-2 with its lower rates.
    pub is_mpeg1: bool,
    /// Samples per second.
    pub sample_rate: u32,
    /// 1 or 2.
    pub channels: u8,
    /// Samples of the frame.
    pub frame_samples: u32,
    /// Bytes of the frame, its header included.
    pub frame_bytes: usize,
}

impl Header {
    /// Reads the header at the start of a frame.
    ///
    /// # Errors
    /// Truncation, no sync word, a reserved field, or a free-format frame, whose length is not
    /// told.
    pub fn parse(frame: &[u8]) -> Result<Self, Error> {
        const RATES: [u32; 3] = [44_100, 48_000, 32_000];
        let h = frame
            .get(..HEADER_BYTES)
            .ok_or(Error::Truncated("MPEG audio header"))?;
        if h[0] != 0xff || h[1] & 0xe0 != 0xe0 {
            return Err(Error::Sync("MPEG audio"));
        }
        let halvings = match h[1] >> 3 & 3 {
            3 => 0,
            2 => 1,
            0 => 2,
            _ => return Err(Error::Field("MPEG audio version")),
        };
        let is_mpeg1 = halvings == 0;
        let layer = 4 - (h[1] >> 1 & 3);
        let table = match (is_mpeg1, layer) {
            (_, 4) => return Err(Error::Field("MPEG audio layer")),
            (true, layer) => usize::from(layer) - 1,
            (false, 1) => 3,
            (false, _) => 4,
        };
        let index = usize::from(h[2] >> 4).wrapping_sub(1);
        let bit_rate = BIT_RATES[table].get(index);
        let bit_rate = *bit_rate.ok_or(Error::Field("MPEG audio bitrate_index"))? * 1000;
        let rate = RATES.get(usize::from(h[2] >> 2 & 3));
        let rate = *rate.ok_or(Error::Field("MPEG audio sampling_frequency"))? >> halvings;
        let padding = u32::from(h[2] >> 1 & 1);
        let (frame_samples, frame_bytes) = match layer {
            1 => (384, (12 * bit_rate / rate + padding) * 4),
            3 if !is_mpeg1 => (576, 72 * bit_rate / rate + padding),
            _ => (1152, 144 * bit_rate / rate + padding),
        };
        Ok(Self {
            layer,
            is_mpeg1,
            sample_rate: rate,
            channels: if h[3] >> 6 == 3 { 1 } else { 2 },
            frame_samples,
            frame_bytes: frame_bytes as usize,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_headers_of_every_layer() {
        let parse = |h: [u8; 4]| Header::parse(&h).unwrap();
        let three = parse([0xff, 0xfb, 0x90, 0x64]);
        assert_eq!((three.layer, three.frame_samples), (3, 1152));
        assert_eq!((three.sample_rate, three.frame_bytes), (44_100, 417));
        // Layer II, 48 kHz, 192 kbit/s: 24 ms of 24 bytes each.
        let two = parse([0xff, 0xfd, 0xa4, 0x04]);
        assert_eq!((two.layer, two.frame_samples), (2, 1152));
        assert_eq!((two.sample_rate, two.frame_bytes), (48_000, 576));
        let one = parse([0xff, 0xff, 0x14, 0xc4]);
        assert_eq!((one.layer, one.frame_samples, one.channels), (1, 384, 1));
        assert_eq!(one.frame_bytes, 32);
        let low = parse([0xff, 0xf3, 0x88, 0xc4]);
        assert_eq!((low.is_mpeg1, low.sample_rate), (false, 16_000));
        assert_eq!((low.frame_samples, low.frame_bytes), (576, 288));
    }

    #[test]
    fn refuses_what_is_none() {
        let parse = |h: &[u8]| Header::parse(h).unwrap_err();
        assert_eq!(
            parse(&[0xff, 0xfb, 0x90]),
            Error::Truncated("MPEG audio header")
        );
        assert_eq!(parse(&[0xff, 0x1b, 0x90, 0]), Error::Sync("MPEG audio"));
        let field = |name| Error::Field(name);
        assert_eq!(parse(&[0xff, 0xeb, 0x90, 0]), field("MPEG audio version"));
        assert_eq!(parse(&[0xff, 0xf9, 0x90, 0]), field("MPEG audio layer"));
        assert_eq!(
            parse(&[0xff, 0xfb, 0x00, 0]),
            field("MPEG audio bitrate_index")
        );
        assert_eq!(
            parse(&[0xff, 0xfb, 0xf0, 0]),
            field("MPEG audio bitrate_index")
        );
        assert_eq!(
            parse(&[0xff, 0xfb, 0x9c, 0]),
            field("MPEG audio sampling_frequency")
        );
    }
}
