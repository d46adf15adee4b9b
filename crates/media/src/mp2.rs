//! MP2: MPEG audio layer II (ISO/IEC 11172-3, ISO/IEC 13818-3), which broadcast still sends.

use crate::error::Error;
use crate::mpeg_audio::Header;
use bytes::Bytes;

/// Configuration of an MP2 track, from a frame header: there is no record of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mp2Config {
    record: Bytes,
    is_mpeg1: bool,
    /// Samples per second.
    pub sample_rate: u32,
    /// 1 or 2.
    pub channels: u8,
}

impl Mp2Config {
    /// Samples of a frame.
    pub const FRAME_SAMPLES: u32 = 1152;

    /// Reads the header at the start of a frame.
    ///
    /// # Errors
    /// Truncation, no sync word, another layer, or a reserved field.
    pub fn of_frame(frame: &[u8]) -> Result<Self, Error> {
        let header = Header::parse(frame)?;
        if header.layer != 2 {
            return Err(Error::Field("MPEG audio layer"));
        }
        // What changes from frame to frame is left out.
        let mode = if header.channels == 1 { 0xc0 } else { 0 };
        let record = [0xff, frame[1] | 1, frame[2] & 0x0c, mode];
        Ok(Self {
            record: Bytes::copy_from_slice(&record),
            is_mpeg1: header.is_mpeg1,
            sample_rate: header.sample_rate,
            channels: header.channels,
        })
    }

    /// A frame header without what changes from frame to frame.
    #[must_use]
    pub fn record(&self) -> &Bytes {
        &self.record
    }

    /// `objectTypeIndication`, ISO/IEC 14496-1 table 5: 0x6b MPEG-1 audio, 0x69 MPEG-2 audio.
    #[must_use]
    pub fn object_type_indication(&self) -> u8 {
        if self.is_mpeg1 { 0x6b } else { 0x69 }
    }

    /// RFC 6381 codec string, such as `mp4a.40.33`: layer II is audio object type 33 (ISO/IEC
    /// 14496-3 table 1.17), while `mp4a.6B` would be understood as layer III.
    #[must_use]
    pub fn codec_string(&self) -> String {
        "mp4a.40.33".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_headers_of_its_layer_alone() {
        let c = Mp2Config::of_frame(&[0xff, 0xfd, 0xa4, 0x04]).unwrap();
        assert_eq!((c.sample_rate, c.channels), (48_000, 2));
        assert_eq!(c.object_type_indication(), 0x6b);
        // Another bit rate and padding are no change.
        assert_eq!(Mp2Config::of_frame(&[0xff, 0xfc, 0xb6, 0x44]).unwrap(), c);
        let low = Mp2Config::of_frame(&[0xff, 0xf5, 0x84, 0xc4]).unwrap();
        assert_eq!((low.sample_rate, low.channels), (24_000, 1));
        assert_eq!(low.object_type_indication(), 0x69);
        let layer = Error::Field("MPEG audio layer");
        assert_eq!(Mp2Config::of_frame(&[0xff, 0xfb, 0xa4, 0x04]), Err(layer));
    }
}
