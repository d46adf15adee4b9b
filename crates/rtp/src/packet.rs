//! The packet (RFC 3550 §5.1).
//!
//! ```text
//! V 2 | P 1 | X 1 | CC 4 | M 1 | PT 7 | sequence number 16
//!   | timestamp 32 | SSRC 32 | CSRC 32 × CC | [extension] | payload | [padding]
//! ```

use crate::error::Error;
use crate::limits::PACKET_BYTES_MAX;
use bytes::{BufMut, Bytes, BytesMut};

/// Bytes of a header without CSRCs and extension.
pub const HEADER_BYTES: usize = 12;

const VERSION: u8 = 2;

/// A packet; the payload shares the datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// Payload type, 0 to 127.
    pub payload_type: u8,
    /// The marker, whose meaning is the payload's.
    pub marker: bool,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp in ticks of the payload's clock.
    pub timestamp: u32,
    /// Synchronization source.
    pub ssrc: u32,
    /// The payload, without padding.
    pub payload: Bytes,
}

impl Packet {
    /// Reads a datagram. CSRCs and an extension are passed over.
    ///
    /// # Errors
    /// Truncation, another version, false padding, or a datagram longer than
    /// [`PACKET_BYTES_MAX`].
    pub fn parse(datagram: &Bytes) -> Result<Self, Error> {
        if datagram.len() > PACKET_BYTES_MAX {
            return Err(Error::Field("datagram length"));
        }
        let head: &[u8; HEADER_BYTES] = datagram.first_chunk().ok_or(Error::Truncated("SSRC"))?;
        let [first, second, ..] = *head;
        if first >> 6 != VERSION {
            return Err(Error::Version(first >> 6));
        }
        let mut at = HEADER_BYTES + 4 * usize::from(first & 15);
        if first & 0x10 != 0 {
            let extension = datagram.get(at..).and_then(|b| b.first_chunk::<4>());
            let extension = extension.ok_or(Error::Truncated("extension"))?;
            at += 4 + 4 * usize::from(u16::from_be_bytes([extension[2], extension[3]]));
        }
        let mut end = datagram.len();
        if at > end {
            return Err(Error::Truncated("payload"));
        }
        if first & 0x20 != 0 {
            let padding = usize::from(datagram.last().copied().unwrap_or(0));
            if padding == 0 || padding > end - at {
                return Err(Error::Padding);
            }
            end -= padding;
        }
        Ok(Self {
            payload_type: second & 0x7f,
            marker: second & 0x80 != 0,
            sequence: u16::from_be_bytes([head[2], head[3]]),
            timestamp: u32::from_be_bytes([head[4], head[5], head[6], head[7]]),
            ssrc: u32::from_be_bytes([head[8], head[9], head[10], head[11]]),
            payload: datagram.slice(at..end),
        })
    }

    /// Appends the header; the payload is to follow.
    pub fn put_header(&self, out: &mut BytesMut) {
        out.put_u8(VERSION << 6);
        out.put_u8(u8::from(self.marker) << 7 | self.payload_type & 0x7f);
        out.put_u16(self.sequence);
        out.put_u32(self.timestamp);
        out.put_u32(self.ssrc);
    }

    /// The whole packet, without CSRCs, extension and padding.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(HEADER_BYTES + self.payload.len());
        self.put_header(&mut out);
        out.put_slice(&self.payload);
        out.freeze()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn packet(sequence: u16, payload: &[u8]) -> Packet {
        Packet {
            payload_type: 33,
            marker: false,
            sequence,
            timestamp: u32::from(sequence).wrapping_mul(300),
            ssrc: 0x1234_5678,
            payload: Bytes::copy_from_slice(payload),
        }
    }

    #[test]
    fn writes_what_it_reads() {
        let mut packet = packet(65_535, b"payload");
        packet.marker = true;
        assert_eq!(Packet::parse(&packet.to_bytes()), Ok(packet));
    }

    #[test]
    fn passes_over_what_is_not_payload() {
        let plain = packet(7, b"payload");
        let mut bytes = plain.to_bytes().to_vec();
        bytes[0] |= 0x3f;
        let csrc = [9; 15 * 4];
        let extension = [0xbe, 0xde, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8];
        bytes.splice(12..12, [&csrc[..], &extension].concat());
        bytes.extend([0, 0, 3]);
        assert_eq!(Packet::parse(&bytes.clone().into()), Ok(plain.clone()));
        for n in 0..84 {
            assert!(Packet::parse(&Bytes::copy_from_slice(&bytes[..n])).is_err());
        }
    }

    #[test]
    fn refuses_what_cannot_be() {
        let with = |at: usize, byte: u8| {
            let mut bytes = packet(7, b"").to_bytes().to_vec();
            bytes[at] = byte;
            Packet::parse(&bytes.into())
        };
        assert_eq!(with(0, 0x40), Err(Error::Version(1)));
        assert_eq!(with(0, 0xa0), Err(Error::Padding));
        assert_eq!(with(0, 0x90), Err(Error::Truncated("extension")));
        assert_eq!(with(0, 0x81), Err(Error::Truncated("payload")));
        let long = Bytes::from(vec![0x80; PACKET_BYTES_MAX + 1]);
        assert_eq!(Packet::parse(&long), Err(Error::Field("datagram length")));
    }
}
