//! MP3: the frame header of MPEG audio layer III (ISO/IEC 11172-3 §2.4.2.3, ISO/IEC 13818-3,
//! and MPEG 2.5 as everybody reads it).

use crate::error::Error;
use bytes::Bytes;

/// Configuration of an MP3 track, from a frame header: there is no record of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mp3Config {
    record: Bytes,
    /// Samples per second.
    pub sample_rate: u32,
    /// 1 or 2.
    pub channels: u8,
    /// Samples of a frame: 1152, or 576 at the lower rates of MPEG-2.
    pub frame_samples: u32,
}

impl Mp3Config {
    /// Reads the header at the start of a frame.
    ///
    /// # Errors
    /// Truncation, no sync word, another layer, or a reserved rate.
    pub fn of_frame(frame: &[u8]) -> Result<Self, Error> {
        const RATES: [u32; 3] = [44_100, 48_000, 32_000];
        let h = frame
            .get(..4)
            .ok_or(Error::Truncated("MPEG audio header"))?;
        if h[0] != 0xff || h[1] & 0xe0 != 0xe0 {
            return Err(Error::Sync("MPEG audio"));
        }
        let version = h[1] >> 3 & 3;
        if h[1] >> 1 & 3 != 1 || version == 1 {
            return Err(Error::Field("MPEG audio layer"));
        }
        let rate = RATES.get(usize::from(h[2] >> 2 & 3));
        let rate = *rate.ok_or(Error::Field("MPEG audio sampling_frequency"))?;
        let halvings = match version {
            3 => 0,
            2 => 1,
            _ => 2,
        };
        // What changes from frame to frame is left out.
        let is_mono = h[3] >> 6 == 3;
        let mode = if is_mono { 0xc0 } else { 0 };
        let record = [0xff, h[1] | 1, h[2] & 0x0c, mode];
        Ok(Self {
            record: Bytes::copy_from_slice(&record),
            sample_rate: rate >> halvings,
            channels: if is_mono { 1 } else { 2 },
            frame_samples: if version == 3 { 1152 } else { 576 },
        })
    }

    /// A track of which only rate and channels are known, as files tell; `None` at a rate that
    /// MP3 does not have.
    #[must_use]
    pub fn described(sample_rate: u32, channels: u32) -> Option<Self> {
        let mode = if channels == 1 { 0xc0 } else { 0 };
        let versions = [0xfb, 0xf3, 0xe3].into_iter();
        let headers = versions.flat_map(|v| [0, 4, 8].map(|rate| [0xff, v, rate, mode]));
        let found = headers.filter_map(|h| Self::of_frame(&h).ok());
        found.into_iter().find(|c| c.sample_rate == sample_rate)
    }

    /// A frame header without what changes from frame to frame.
    #[must_use]
    pub fn record(&self) -> &Bytes {
        &self.record
    }

    /// `objectTypeIndication`, ISO/IEC 14496-1 table 5: 0x6b MPEG-1 audio, 0x69 MPEG-2 audio.
    #[must_use]
    pub fn object_type_indication(&self) -> u8 {
        if self.frame_samples == 1152 {
            0x6b
        } else {
            0x69
        }
    }

    /// RFC 6381 codec string: `mp4a.6B` or `mp4a.69`.
    #[must_use]
    pub fn codec_string(&self) -> String {
        format!("mp4a.{:02X}", self.object_type_indication())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_headers() {
        let c = Mp3Config::of_frame(&[0xff, 0xfb, 0x90, 0x64, 0]).unwrap();
        assert_eq!(
            (c.sample_rate, c.channels, c.frame_samples),
            (44_100, 2, 1152)
        );
        assert_eq!(c.codec_string(), "mp4a.6B");
        assert_eq!(Mp3Config::of_frame(c.record()).unwrap(), c);
        // Another bit rate and padding are no change.
        assert_eq!(Mp3Config::of_frame(&[0xff, 0xfb, 0xb2, 0x64]).unwrap(), c);
        assert_eq!(Mp3Config::described(44_100, 2).as_ref(), Some(&c));
        assert_eq!(Mp3Config::described(44_000, 2), None);
        let low = Mp3Config::of_frame(&[0xff, 0xf3, 0x88, 0xc4]).unwrap();
        assert_eq!(
            (low.sample_rate, low.channels, low.frame_samples),
            (16_000, 1, 576)
        );
        assert_eq!(low.codec_string(), "mp4a.69");
        let lowest = Mp3Config::of_frame(&[0xff, 0xe3, 0x88, 0xc4]).unwrap();
        assert_eq!(lowest.sample_rate, 8_000);
    }

    #[test]
    fn refuses_what_is_none() {
        let parse = |h: &[u8]| Mp3Config::of_frame(h).unwrap_err();
        assert_eq!(
            parse(&[0xff, 0xfb, 0x90]),
            Error::Truncated("MPEG audio header")
        );
        assert_eq!(parse(&[0xff, 0x1b, 0x90, 0x64]), Error::Sync("MPEG audio"));
        assert_eq!(
            parse(&[0xff, 0xfd, 0x90, 0x64]),
            Error::Field("MPEG audio layer")
        );
        assert_eq!(
            parse(&[0xff, 0xeb, 0x90, 0x64]),
            Error::Field("MPEG audio layer")
        );
        assert_eq!(
            parse(&[0xff, 0xfb, 0x9c, 0x64]),
            Error::Field("MPEG audio sampling_frequency")
        );
    }
}
