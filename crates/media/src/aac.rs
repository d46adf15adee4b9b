//! AAC: `AudioSpecificConfig` (ISO/IEC 14496-3 §1.6.2.1) and the ADTS header
//! (ISO/IEC 13818-7 §6.2). Explicit SBR and PS signalling is read; `GASpecificConfig`
//! beyond the frame length and program configuration elements are not.

use crate::bits::BitReader;
use crate::error::Error;
use crate::limits::CONFIG_BYTES_MAX;
use bytes::Bytes;

/// Samples in an AAC frame when `frameLengthFlag` is 0, at the core sampling rate.
pub const FRAME_SAMPLES: u32 = 1024;

/// Bytes of an ADTS header without CRC.
pub const ADTS_HEADER_BYTES: usize = 7;

/// Sampling frequencies by index, ISO/IEC 14496-3 table 1.18.
const SAMPLE_RATES: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
    7_350,
];

/// What an AAC track is, from its `AudioSpecificConfig`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AacConfig {
    record: Bytes,
    /// Audio object type: 1 Main, 2 LC, 5 HE-AAC (SBR), 29 HE-AAC v2 (PS).
    pub object_type: u8,
    /// Object type of the core layer: equal to `object_type` without SBR.
    pub core_object_type: u8,
    /// Core sampling rate in hertz: the timescale of the track. With SBR the output rate is
    /// usually twice as high.
    pub sample_rate: u32,
    /// Sampling rate after SBR in hertz; equal to `sample_rate` without SBR.
    pub output_sample_rate: u32,
    /// Channels of the core layer by channel configuration 1 to 7; 0 means that they are
    /// described in the stream.
    pub channels: u8,
    /// Samples per frame at the core rate: 1024, or 960.
    pub frame_samples: u32,
}

impl AacConfig {
    /// Reads an `AudioSpecificConfig`. Trailing bytes are kept in the record but not read.
    ///
    /// # Errors
    /// Truncation, an object type that is not AAC, a reserved rate or channel layout.
    pub fn parse(record: Bytes) -> Result<Self, Error> {
        if record.len() > CONFIG_BYTES_MAX {
            return Err(Error::ConfigTooLong(record.len()));
        }
        let mut r = BitReader::new(&record);
        let object_type = object_type(&mut r)?;
        let sample_rate = sample_rate(&mut r)?;
        let channel_configuration = channels(&mut r)?;
        let (mut core, mut output_sample_rate) = (object_type, sample_rate);
        if object_type == 5 || object_type == 29 {
            output_sample_rate = self::sample_rate(&mut r)?;
            core = self::object_type(&mut r)?;
        }
        if !matches!(core, 1..=4 | 17 | 23) {
            return Err(Error::AacObjectType(core));
        }
        let short = r.flag("frameLengthFlag")?;
        Ok(Self {
            object_type,
            core_object_type: core,
            sample_rate,
            output_sample_rate,
            channels: channel_configuration,
            frame_samples: if short { 960 } else { FRAME_SAMPLES },
            record,
        })
    }

    /// The `AudioSpecificConfig` as it came.
    #[must_use]
    pub fn record(&self) -> &Bytes {
        &self.record
    }

    /// RFC 6381 codec string, such as `mp4a.40.2`.
    #[must_use]
    pub fn codec_string(&self) -> String {
        format!("mp4a.40.{}", self.object_type)
    }

    /// ADTS header for a raw data block of `payload_len` bytes. HE-AAC is written as its
    /// core: ADTS signals SBR implicitly.
    ///
    /// Returns `None` if ADTS cannot say it: a frame longer than its 13-bit length field, a
    /// rate without index, a core object type above 4, a channel configuration above 7
    /// (ISO/IEC 13818-7 §6.2.1).
    #[must_use]
    pub fn adts_header(&self, payload_len: usize) -> Option<[u8; ADTS_HEADER_BYTES]> {
        let frame_len = u32::try_from(payload_len).ok()? + ADTS_HEADER_BYTES as u32;
        if frame_len > 0x1fff {
            return None;
        }
        let rate_index = SAMPLE_RATES.iter().position(|&r| r == self.sample_rate)? as u32;
        if !(1..=4).contains(&self.core_object_type) || self.channels > 7 {
            return None;
        }
        let profile = u32::from(self.core_object_type - 1);
        let channels = u32::from(self.channels);
        // syncword of 12 bits, ID 0 (MPEG-4), layer 0, protection_absent 1
        let fixed = 0xfff1u32;
        let mid = profile << 6 | rate_index << 2 | channels >> 2;
        Some([
            (fixed >> 8) as u8,
            fixed as u8,
            mid as u8,
            ((channels & 3) << 6 | frame_len >> 11) as u8,
            (frame_len >> 3) as u8,
            ((frame_len & 7) << 5 | 0x1f) as u8,
            0xfc,
        ])
    }

    /// Configuration of an ADTS stream, from the header at the start of `frame`; with the
    /// header's length (7 or 9) in bytes. For senders that put ADTS into RTMP.
    ///
    /// # Errors
    /// [`Error::Adts`] if the bytes are not an ADTS header of one raw data block.
    pub fn from_adts(frame: &[u8]) -> Result<(Self, usize), Error> {
        let header = AdtsHeader::parse(frame)?;
        if header.frame_bytes != frame.len() {
            return Err(Error::Adts);
        }
        Ok((header.config()?, header.header_bytes))
    }
}

/// The header of an ADTS frame of one raw data block (ISO/IEC 13818-7 §6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdtsHeader {
    /// Its own bytes: 7, or 9 with a CRC.
    pub header_bytes: usize,
    /// Bytes of the frame, header included; not less than the header.
    pub frame_bytes: usize,
    /// The `AudioSpecificConfig` that says the same.
    pub record: [u8; 2],
}

impl AdtsHeader {
    /// Reads the header at the start of `bytes`, which need not hold the whole frame.
    ///
    /// # Errors
    /// [`Error::Adts`] if there is none, or one of several raw data blocks, whose lengths only
    /// a decoder finds.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let h = bytes.get(..ADTS_HEADER_BYTES).ok_or(Error::Adts)?;
        if h[0] != 0xff || h[1] & 0xf6 != 0xf0 || h[6] & 3 != 0 {
            return Err(Error::Adts);
        }
        let frame_bytes =
            usize::from(h[3] & 3) << 11 | usize::from(h[4]) << 3 | usize::from(h[5]) >> 5;
        let header_bytes = if h[1] & 1 == 1 { 7 } else { 9 };
        if frame_bytes < header_bytes {
            return Err(Error::Adts);
        }
        let object_type = (h[2] >> 6) + 1;
        let rate_index = h[2] >> 2 & 0xf;
        let channels = (h[2] & 1) << 2 | h[3] >> 6;
        let record = [
            object_type << 3 | rate_index >> 1,
            rate_index << 7 | channels << 3,
        ];
        Ok(Self {
            header_bytes,
            frame_bytes,
            record,
        })
    }

    /// The configuration that it states.
    ///
    /// # Errors
    /// A reserved rate.
    pub fn config(&self) -> Result<AacConfig, Error> {
        AacConfig::parse(Bytes::copy_from_slice(&self.record))
    }
}

fn object_type(r: &mut BitReader<'_>) -> Result<u8, Error> {
    let short = r.bits(5, "audioObjectType")?;
    let value = if short == 31 {
        32 + r.bits(6, "audioObjectTypeExt")?
    } else {
        short
    };
    Ok(value as u8)
}

fn sample_rate(r: &mut BitReader<'_>) -> Result<u32, Error> {
    let index = r.bits(4, "samplingFrequencyIndex")?;
    let rate = if index == 15 {
        r.bits(24, "samplingFrequency")?
    } else {
        SAMPLE_RATES.get(index as usize).copied().unwrap_or(0)
    };
    if rate == 0 {
        Err(Error::AacSampleRate)
    } else {
        Ok(rate)
    }
}

fn channels(r: &mut BitReader<'_>) -> Result<u8, Error> {
    let c = r.bits(4, "channelConfiguration")? as u8;
    if c > 7 && !matches!(c, 11 | 12 | 14) {
        Err(Error::AacChannels(c))
    } else {
        Ok(c)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lc_48k_stereo() {
        let c = AacConfig::parse(Bytes::from_static(&[0x11, 0x90])).unwrap();
        assert_eq!((c.object_type, c.sample_rate, c.channels), (2, 48_000, 2));
        assert_eq!(c.frame_samples, 1024);
        assert_eq!(c.codec_string(), "mp4a.40.2");
    }

    #[test]
    fn explicit_sbr_reads_both_rates() {
        // object type 5, 24 kHz, stereo, extension 48 kHz, core LC
        let c = AacConfig::parse(Bytes::from_static(&[0x2b, 0x11, 0x88, 0x00])).unwrap();
        assert_eq!((c.object_type, c.core_object_type), (5, 2));
        assert_eq!((c.sample_rate, c.output_sample_rate), (24_000, 48_000));
    }

    #[test]
    fn adts_round_trip() {
        for record in [[0x11, 0x90], [0x12, 0x10], [0x15, 0x88]] {
            let c = AacConfig::parse(Bytes::copy_from_slice(&record)).unwrap();
            let mut frame = c.adts_header(100).unwrap().to_vec();
            frame.resize(107, 0xaa);
            let (back, header) = AacConfig::from_adts(&frame).unwrap();
            assert_eq!(header, 7);
            assert_eq!(
                (back.sample_rate, back.channels),
                (c.sample_rate, c.channels)
            );
            assert_eq!(back.record(), c.record());
        }
    }

    #[test]
    fn refuses_what_is_not_aac() {
        let parse = |b: &[u8]| AacConfig::parse(Bytes::copy_from_slice(b)).unwrap_err();
        assert_eq!(parse(&[]), Error::Truncated("audioObjectType"));
        assert_eq!(parse(&[0x17, 0x90]), Error::Truncated("samplingFrequency"));
        assert_eq!(parse(&[0x16, 0x90]), Error::AacSampleRate);
        assert_eq!(parse(&[0x11, 0xc8]), Error::AacChannels(9));
        assert_eq!(parse(&[0xf8, 0x11, 0x90, 0, 0]), Error::AacObjectType(32));
        assert!(AacConfig::from_adts(&[0xff, 0xf1]).is_err());
    }

    #[test]
    fn adts_has_no_room_for_8k_frames() {
        let c = AacConfig::parse(Bytes::from_static(&[0x11, 0x90])).unwrap();
        assert!(c.adts_header(0x1fff - 7).is_some());
        assert!(c.adts_header(0x1fff - 6).is_none());
    }
}
