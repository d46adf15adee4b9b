//! Opus: the identification header (RFC 7845 §5.1), its box `dOps` (Encapsulation of Opus in
//! ISO Base Media File Format §4.3.2) and the length of a packet (RFC 6716 §3).

use crate::error::Error;
use bytes::{BufMut, Bytes, BytesMut};

/// Decoders give out 48,000 samples a second, whatever went in.
pub const SAMPLE_RATE: u32 = 48_000;

/// Longest packet, in samples: 120 ms (RFC 6716 §3.4).
const PACKET_SAMPLES_MAX: u32 = 5760;

/// Configuration of an Opus track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpusConfig {
    record: Bytes,
    /// Channels that come out, 1 to 255.
    pub channels: u8,
    /// Samples to throw away at the start.
    pub pre_skip: u16,
}

impl OpusConfig {
    /// Reads an identification header, as Enhanced RTMP carries it.
    ///
    /// # Errors
    /// Truncation, another magic, a version that is not compatible, or no channel.
    pub fn from_identification_header(header: &[u8]) -> Result<Self, Error> {
        let rest = header
            .strip_prefix(b"OpusHead")
            .ok_or(Error::Sync("OpusHead"))?;
        let fields = rest
            .get(..11)
            .ok_or(Error::Truncated("channel mapping family"))?;
        if fields[0] >> 4 != 0 {
            return Err(Error::Version("OpusHead", fields[0]));
        }
        let mut record = BytesMut::with_capacity(32);
        record.put_u8(0);
        record.put_u8(fields[1]);
        // Little endian there, big endian in the box.
        record.put_slice(&[fields[3], fields[2]]);
        record.put_slice(&[fields[7], fields[6], fields[5], fields[4]]);
        record.put_slice(&[fields[9], fields[8], fields[10]]);
        if fields[10] != 0 {
            let table = rest
                .get(11..13 + usize::from(fields[1]))
                .ok_or(Error::Truncated("channel mapping table"))?;
            record.put_slice(table);
        }
        Self::parse(record.freeze())
    }

    /// Reads the content of a `dOps` box.
    ///
    /// # Errors
    /// Truncation, another version, or no channel.
    pub fn parse(record: Bytes) -> Result<Self, Error> {
        let fields = record
            .get(..11)
            .ok_or(Error::Truncated("ChannelMappingFamily"))?;
        if fields[0] != 0 {
            return Err(Error::Version("dOps", fields[0]));
        }
        let channels = fields[1];
        if channels == 0 || fields[10] == 0 && channels > 2 {
            return Err(Error::Field("OutputChannelCount"));
        }
        let used = match fields[10] {
            0 => 11,
            _ => 13 + usize::from(channels),
        };
        if record.len() < used {
            return Err(Error::Truncated("ChannelMapping"));
        }
        Ok(Self {
            channels,
            pre_skip: u16::from_be_bytes([fields[2], fields[3]]),
            record: record.slice(..used),
        })
    }

    /// One or two channels, for senders without a header.
    #[must_use]
    pub fn plain(stereo: bool) -> Self {
        let channels = 1 + u8::from(stereo);
        let record = [0, channels, 0, 0, 0, 0, 0xbb, 0x80, 0, 0, 0];
        Self {
            record: Bytes::copy_from_slice(&record),
            channels,
            pre_skip: 0,
        }
    }

    /// One to eight channels in the order of Vorbis (RFC 7845 §5.1.1.2), with as many pairs as
    /// there are, as MPEG transport streams name them by number alone. `None` for other numbers.
    #[must_use]
    pub fn of_channels(channels: u8, pre_skip: u16) -> Option<Self> {
        const LAYOUTS: [(u8, u8, &[u8]); 8] = [
            (1, 0, &[0]),
            (1, 1, &[0, 1]),
            (2, 1, &[0, 2, 1]),
            (2, 2, &[0, 1, 2, 3]),
            (3, 2, &[0, 4, 1, 2, 3]),
            (4, 2, &[0, 4, 1, 2, 3, 5]),
            (4, 3, &[0, 4, 1, 2, 3, 5, 6]),
            (5, 3, &[0, 6, 1, 2, 3, 4, 5, 7]),
        ];
        let layout = LAYOUTS.get(usize::from(channels).checked_sub(1)?)?;
        let (streams, coupled, mapping) = *layout;
        let mut record = BytesMut::with_capacity(21);
        record.put_slice(&[0, channels]);
        record.put_u16(pre_skip);
        record.put_u32(SAMPLE_RATE);
        record.put_u16(0); // output gain
        if channels <= 2 {
            record.put_u8(0);
        } else {
            record.put_slice(&[1, streams, coupled]);
            record.put_slice(mapping);
        }
        Self::parse(record.freeze()).ok()
    }

    /// The content of the `dOps` box.
    #[must_use]
    pub fn record(&self) -> &Bytes {
        &self.record
    }

    /// The identification header that says the same.
    #[must_use]
    pub fn identification_header(&self) -> Bytes {
        let r = &self.record;
        let mut header = BytesMut::from(&b"OpusHead\x01"[..]);
        header.put_slice(&[r[1], r[3], r[2], r[7], r[6], r[5], r[4], r[9], r[8]]);
        header.put_slice(&r[10..]);
        header.freeze()
    }
}

/// Samples at 48 kHz in a packet; `None` if it is none (RFC 6716 §3.1, §3.2).
#[must_use]
pub fn packet_samples(packet: &[u8]) -> Option<u32> {
    let toc = *packet.first()?;
    let frame = match toc >> 3 {
        config @ 0..=11 => [480, 960, 1920, 2880][usize::from(config & 3)],
        config @ 12..=15 => [480, 960][usize::from(config & 1)],
        config => [120, 240, 480, 960][usize::from(config & 3)],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(packet.get(1)? & 0x3f),
    };
    let samples = frame * frames;
    (1..=PACKET_SAMPLES_MAX)
        .contains(&samples)
        .then_some(samples)
}

/// Whether a packet is coded in stereo.
#[must_use]
pub fn is_stereo(packet: &[u8]) -> bool {
    packet.first().is_some_and(|toc| toc & 4 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What ffmpeg 9 sends for mono by libopus.
    const HEAD: &[u8] = b"OpusHead\x01\x01\x38\x01\x80\xbb\0\0\0\0\0";

    #[test]
    fn header_and_box_say_the_same() {
        let c = OpusConfig::from_identification_header(HEAD).unwrap();
        assert_eq!((c.channels, c.pre_skip), (1, 312));
        assert_eq!(&c.record()[..], b"\0\x01\x01\x38\0\0\xbb\x80\0\0\0");
        assert_eq!(OpusConfig::parse(c.record().clone()).unwrap(), c);
        assert_eq!(&c.identification_header()[..], HEAD);
        assert_eq!(OpusConfig::plain(true).channels, 2);
        assert_eq!(OpusConfig::of_channels(1, 312).unwrap(), c);
        assert_eq!(OpusConfig::of_channels(0, 0), None);
        assert_eq!(OpusConfig::of_channels(9, 0), None);
        assert!(OpusConfig::parse(OpusConfig::plain(true).record().clone()).is_ok());
    }

    #[test]
    fn surround_has_a_table() {
        let head = b"OpusHead\x01\x06\x38\x01\x80\xbb\0\0\0\0\x01\x04\x02\0\x04\x01\x02\x03\x05";
        let c = OpusConfig::from_identification_header(head).unwrap();
        assert_eq!(c.channels, 6);
        assert_eq!(OpusConfig::of_channels(6, 312).unwrap(), c);
        assert_eq!(&c.identification_header()[..], head);
        for n in 0..head.len() {
            let cut = OpusConfig::from_identification_header(&head[..n]);
            assert!(cut.is_err(), "{n}");
        }
    }

    #[test]
    fn refuses_what_cannot_be() {
        let with = |at: usize, byte: u8| {
            let mut head = HEAD.to_vec();
            head[at] = byte;
            OpusConfig::from_identification_header(&head)
        };
        assert_eq!(with(8, 0x10), Err(Error::Version("OpusHead", 16)));
        assert_eq!(with(9, 0), Err(Error::Field("OutputChannelCount")));
        assert_eq!(with(9, 3), Err(Error::Field("OutputChannelCount")));
        assert_eq!(with(0, 0), Err(Error::Sync("OpusHead")));
    }

    #[test]
    fn packet_lengths() {
        // 0xf8: CELT, 20 ms, one frame; as ffmpeg sends it.
        assert_eq!(packet_samples(&[0xf8]), Some(960));
        assert_eq!(packet_samples(&[0xf9]), Some(1920));
        assert_eq!(packet_samples(&[0xfb, 3]), Some(2880));
        assert_eq!(packet_samples(&[0x08]), Some(960), "SILK 20 ms");
        assert_eq!(packet_samples(&[0x60]), Some(480), "hybrid 10 ms");
        assert_eq!(packet_samples(&[0xe0]), Some(120), "CELT 2.5 ms");
        assert_eq!(packet_samples(&[0xfb, 0]), None);
        assert_eq!(packet_samples(&[0xfb, 63]), None, "longer than 120 ms");
        assert_eq!(packet_samples(&[]), None);
        assert!(is_stereo(&[0xfc]) && !is_stereo(&[0xf8]));
    }
}
