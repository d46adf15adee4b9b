//! `AUDIODATA`, §E.4.2.
//!
//! ```text
//! SoundFormat(4) SoundRate(2) SoundSize(1) SoundType(1) | AACPacketType(8) | data
//! ```

/// `SoundFormat` of MP3.
pub const FORMAT_MP3: u8 = 2;

/// `SoundFormat` of AAC.
pub const FORMAT_AAC: u8 = 10;

/// `SoundFormat` of MP3 at 8 kHz.
pub const FORMAT_MP3_8K: u8 = 14;

/// `SoundFormat` that switches to Enhanced RTMP.
pub const FORMAT_ENHANCED: u8 = 9;

/// Bytes before the data of an AAC body.
pub const AAC_HEADER_BYTES: usize = 2;

/// The start of a body, as far as it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// AAC.
    Aac {
        /// The data is an `AudioSpecificConfig`, not a raw data block.
        sequence_header: bool,
    },
    /// MP3; data follows the first byte.
    Mp3,
    /// Another `SoundFormat`.
    Other(u8),
    /// Enhanced RTMP, see [`super::enhanced`].
    Enhanced,
}

impl Codec {
    /// Reads the start of a body. `None` if it is empty, or AAC without a packet type: both
    /// are ways to say silence.
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<Self> {
        match body.first()? >> 4 {
            FORMAT_AAC => Some(Self::Aac {
                sequence_header: *body.get(1)? == 0,
            }),
            FORMAT_MP3 | FORMAT_MP3_8K => Some(Self::Mp3),
            FORMAT_ENHANCED => Some(Self::Enhanced),
            other => Some(Self::Other(other)),
        }
    }
}

/// The two bytes before AAC data. Rate, size and type are 44 kHz, 16 bit and stereo whatever
/// the sound is, as §E.4.2.1 demands.
#[must_use]
pub fn aac_header(sequence_header: bool) -> [u8; AAC_HEADER_BYTES] {
    [0xaf, u8::from(!sequence_header)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes() {
        assert_eq!(Codec::parse(&[]), None);
        assert_eq!(Codec::parse(&[0xaf]), None);
        for sequence_header in [false, true] {
            assert_eq!(
                Codec::parse(&aac_header(sequence_header)),
                Some(Codec::Aac { sequence_header })
            );
        }
        assert_eq!(Codec::parse(&[0x2f, 0]), Some(Codec::Mp3));
        assert_eq!(Codec::parse(&[0xee, 0]), Some(Codec::Mp3));
        assert_eq!(Codec::parse(&[0x6f, 0]), Some(Codec::Other(6)));
        assert_eq!(Codec::parse(b"\x90Opus"), Some(Codec::Enhanced));
    }
}
