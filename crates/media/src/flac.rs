//! FLAC: `STREAMINFO` (RFC 9639 §8.2), its box `dfLa` (Encapsulation of FLAC in ISO Base Media
//! File Format §3.3.2) and the length of a frame (RFC 9639 §9.1).

use crate::bits::BitReader;
use crate::error::Error;
use crate::limits::CONFIG_BYTES_MAX;
use bytes::{BufMut, Bytes, BytesMut};

/// Bytes of `STREAMINFO`.
const STREAMINFO_BYTES: usize = 34;

/// Configuration of a FLAC track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlacConfig {
    record: Bytes,
    /// Samples per second, 1 to 1,048,575.
    pub sample_rate: u32,
    /// 1 to 8.
    pub channels: u8,
    /// 4 to 32.
    pub bits_per_sample: u8,
    /// Samples of a frame, if all but the last have as many.
    pub block_samples: Option<u32>,
}

impl FlacConfig {
    /// Reads `STREAMINFO`: bare, as ffmpeg sends it, or as a metadata block that may stand
    /// behind `fLaC`, as the specification of Enhanced RTMP says and as `dfLa` holds it. Other
    /// blocks are left out.
    ///
    /// # Errors
    /// Truncation, another first block, or a field out of range.
    pub fn parse(record: &[u8]) -> Result<Self, Error> {
        if record.len() > CONFIG_BYTES_MAX {
            return Err(Error::ConfigTooLong(record.len()));
        }
        let blocks = record.strip_prefix(b"fLaC").unwrap_or(record);
        let info = match blocks {
            info if info.len() == STREAMINFO_BYTES => info,
            [kind, 0, 0, 34, rest @ ..] if kind & 0x7f == 0 => rest,
            _ => return Err(Error::Truncated("STREAMINFO")),
        };
        let info = info
            .get(..STREAMINFO_BYTES)
            .ok_or(Error::Truncated("STREAMINFO"))?;
        let mut r = BitReader::new(info);
        let shortest = r.bits(16, "minimum block size")?;
        let longest = r.bits(16, "maximum block size")?;
        r.bits(24, "minimum frame size")?;
        r.bits(24, "maximum frame size")?;
        let sample_rate = r.bits(20, "sample rate")?;
        let channels = r.bits(3, "channels")? as u8 + 1;
        let bits_per_sample = r.bits(5, "bits per sample")? as u8 + 1;
        if sample_rate == 0 {
            return Err(Error::Field("FLAC sample rate"));
        }
        if shortest < 16 || longest < shortest {
            return Err(Error::Field("FLAC block size"));
        }
        let mut record = BytesMut::with_capacity(4 + STREAMINFO_BYTES);
        record.put_slice(&[0x80, 0, 0, STREAMINFO_BYTES as u8]);
        record.put_slice(info);
        Ok(Self {
            record: record.freeze(),
            sample_rate,
            channels,
            bits_per_sample,
            block_samples: (shortest == longest).then_some(longest),
        })
    }

    /// `STREAMINFO` as the only metadata block: the content of `dfLa` behind version and flags.
    #[must_use]
    pub fn record(&self) -> &Bytes {
        &self.record
    }

    /// `STREAMINFO` without a block header.
    #[must_use]
    pub fn streaminfo(&self) -> Bytes {
        self.record.slice(4..)
    }
}

/// Samples of a frame; `None` if the bytes are none.
#[must_use]
pub fn frame_samples(frame: &[u8]) -> Option<u32> {
    let head = frame.get(..4)?;
    if head[0] != 0xff || head[1] & 0xfe != 0xf8 {
        return None;
    }
    // The coded number is one byte, or as many as its first byte has ones.
    let number = match frame.get(4)?.leading_ones() {
        0 => 1,
        ones @ 2..=7 => ones as usize,
        _ => return None,
    };
    let behind = frame.get(4 + number..)?;
    match head[2] >> 4 {
        0 => None,
        1 => Some(192),
        code @ 2..=5 => Some(144 << code),
        6 => Some(u32::from(*behind.first()?) + 1),
        7 => Some(u32::from(u16::from_be_bytes([*behind.first()?, *behind.get(1)?])) + 1),
        code => Some(1 << code),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What ffmpeg 9 sends for 48 kHz mono.
    const STREAMINFO: &[u8] = &[
        0x12, 0x00, 0x12, 0x00, 0x00, 0x02, 0x9b, 0x00, 0x04, 0xff, 0x0b, 0xb8, 0x00, 0xf0, 0x00,
        0x04, 0x65, 0x00, 0x55, 0x0b, 0x82, 0xb4, 0xd2, 0x4e, 0x66, 0xf3, 0xf4, 0x20, 0x19, 0xdc,
        0x4f, 0x97, 0x8b, 0x68,
    ];

    #[test]
    fn three_ways_to_send_it() {
        let c = FlacConfig::parse(STREAMINFO).unwrap();
        assert_eq!(
            (c.sample_rate, c.channels, c.bits_per_sample),
            (48_000, 1, 16)
        );
        assert_eq!(c.block_samples, Some(4608));
        assert_eq!(FlacConfig::parse(c.record()).unwrap(), c);
        let whole = [b"fLaC", &c.record()[..], b"\x84\0\0\x01x"].concat();
        assert_eq!(FlacConfig::parse(&whole).unwrap(), c);
        assert_eq!(&c.streaminfo()[..], STREAMINFO);
    }

    #[test]
    fn refuses_what_cannot_be() {
        for n in 0..STREAMINFO.len() {
            assert!(FlacConfig::parse(&STREAMINFO[..n]).is_err(), "{n}");
        }
        let mut none = STREAMINFO.to_vec();
        none[10..13].copy_from_slice(&[0, 0, 0]);
        assert_eq!(
            FlacConfig::parse(&none),
            Err(Error::Field("FLAC sample rate"))
        );
        let mut blocks = STREAMINFO.to_vec();
        blocks[0] = 0x13;
        assert_eq!(
            FlacConfig::parse(&blocks),
            Err(Error::Field("FLAC block size"))
        );
    }

    #[test]
    fn frame_lengths() {
        // As ffmpeg 9 sends it.
        assert_eq!(frame_samples(&[0xff, 0xf8, 0x5a, 8, 0, 0x81]), Some(4608));
        assert_eq!(frame_samples(&[0xff, 0xf8, 0xc9, 8, 0, 1]), Some(4096));
        assert_eq!(
            frame_samples(&[0xff, 0xf8, 0x79, 8, 0, 0x12, 0x34]),
            Some(0x1235)
        );
        assert_eq!(
            frame_samples(&[0xff, 0xf8, 0x69, 8, 0xc2, 0x80, 9]),
            Some(10)
        );
        assert_eq!(frame_samples(&[0xff, 0xf8, 0x79, 8, 0, 0x12]), None);
        assert_eq!(frame_samples(&[0xff, 0xf8, 0x09, 8, 0, 1]), None);
        assert_eq!(frame_samples(&[0xff, 0xe0, 0xc9, 8, 0, 1]), None);
        assert_eq!(frame_samples(&[]), None);
    }
}
