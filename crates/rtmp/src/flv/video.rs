//! `VIDEODATA`, §E.4.3.
//!
//! ```text
//! FrameType(4) CodecID(4) | AVCPacketType(8) CompositionTime(SI24) | data
//! ```

use nom::number::complete::{be_i24, be_u8};
use nom::{IResult, Parser};

/// `CodecID` of H.264.
pub const CODEC_AVC: u8 = 7;

/// `CodecID` of HEVC, in no standard: what senders used before Enhanced RTMP. The body is laid
/// out as that of H.264.
pub const CODEC_HEVC: u8 = 12;

/// Bytes before the data of an H.264 body.
pub const AVC_HEADER_BYTES: usize = 5;

/// What stands in the first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// `CodecID`, with the frame type.
    Id {
        /// 1 key, 2 inter, 5 information or command.
        frame_type: u8,
        /// 7 is H.264, 12 HEVC.
        codec: u8,
    },
    /// Top bit set: Enhanced RTMP, see [`super::enhanced`].
    Enhanced,
}

/// Frame type of a command to the player, which holds no picture.
pub const FRAME_TYPE_COMMAND: u8 = 5;

impl Codec {
    /// Reads the start of a body; `None` if it is empty.
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<Self> {
        let first = *body.first()?;
        if first & 0x80 != 0 {
            return Some(Self::Enhanced);
        }
        Some(Self::Id {
            frame_type: first >> 4,
            codec: first & 0xf,
        })
    }
}

/// `AVCPacketType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PacketType {
    /// The data is an `AVCDecoderConfigurationRecord`.
    SequenceHeader,
    /// The data is one or more NAL units.
    Nalu,
    /// The sequence is over; no data.
    EndOfSequence,
    /// A value that is reserved.
    Other(u8),
}

/// The header of an H.264 body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AvcHeader {
    /// What the data is.
    pub packet_type: PacketType,
    /// `CompositionTime`: presentation minus decoding time in milliseconds. Signed, and
    /// negative by some encoders' fault.
    pub composition_time_ms: i32,
}

impl AvcHeader {
    /// Reads the five bytes at the start of a body; `None` if there are fewer.
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<Self> {
        let fields: IResult<_, _> = (be_u8, be_u8, be_i24).parse(body);
        let (_, (_, packet_type, composition_time_ms)) = fields.ok()?;
        let packet_type = match packet_type {
            0 => PacketType::SequenceHeader,
            1 => PacketType::Nalu,
            2 => PacketType::EndOfSequence,
            other => PacketType::Other(other),
        };
        Some(Self {
            packet_type,
            composition_time_ms,
        })
    }

    /// The five bytes, for a keyframe (and every sequence header) or an inter frame. The
    /// composition time is cut to 24 bits.
    #[must_use]
    pub fn encode(self, key: bool) -> [u8; AVC_HEADER_BYTES] {
        let frame_type = if key { 1 } else { 2 };
        let packet_type = match self.packet_type {
            PacketType::SequenceHeader => 0,
            PacketType::Nalu => 1,
            PacketType::EndOfSequence => 2,
            PacketType::Other(other) => other,
        };
        let [_, a, b, c] = self.composition_time_ms.to_be_bytes();
        [frame_type << 4 | CODEC_AVC, packet_type, a, b, c]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn composition_time_is_signed() {
        for ms in [0, 1, 80, -1, -40, 0x7f_ffff, -0x80_0000] {
            let header = AvcHeader {
                packet_type: PacketType::Nalu,
                composition_time_ms: ms,
            };
            assert_eq!(AvcHeader::parse(&header.encode(true)), Some(header));
        }
        assert_eq!(AvcHeader::parse(&[0x17, 1, 0, 0]), None);
    }

    #[test]
    fn the_first_byte() {
        assert_eq!(Codec::parse(&[]), None);
        assert_eq!(
            Codec::parse(&[0x27]),
            Some(Codec::Id {
                frame_type: 2,
                codec: CODEC_AVC
            })
        );
        assert_eq!(Codec::parse(b"\x90hvc1"), Some(Codec::Enhanced));
    }
}
