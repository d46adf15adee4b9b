//! What can be wrong with a codec configuration or an access unit.

use std::fmt;

/// Malformed media bytes. Each variant is one fault, so that tests and metrics count
/// variants and not text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The record ended before the named field.
    Truncated(&'static str),
    /// The record is longer than [`crate::limits::CONFIG_BYTES_MAX`].
    ConfigTooLong(usize),
    /// `configurationVersion` of an `avcC` is not 1 (ISO/IEC 14496-15 §5.3.3.1).
    AvcVersion(u8),
    /// The record or the parameter sets hold no SPS.
    NoSps,
    /// The record or the parameter sets hold no PPS.
    NoPps,
    /// A field of the SPS is outside its range (ITU-T H.264 §7.4.2.1.1, H.265 §7.4.3.2).
    SpsField(&'static str),
    /// A NAL unit claims more bytes than its access unit has left.
    NalLength {
        /// Offset of the length field in the access unit, in bytes.
        offset: usize,
        /// Length that was claimed, in bytes.
        claimed: usize,
    },
    /// An access unit has more NAL units than
    /// [`crate::limits::NALS_PER_ACCESS_UNIT_MAX`].
    TooManyNals,
    /// The `AudioSpecificConfig` names an object type that is not AAC.
    AacObjectType(u8),
    /// The `AudioSpecificConfig` has a reserved sampling frequency index, or a rate of 0.
    AacSampleRate,
    /// The `AudioSpecificConfig` has a channel configuration that is reserved.
    AacChannels(u8),
    /// The bytes are not an ADTS frame (ISO/IEC 13818-7 §6.2).
    Adts,
    /// The version of the named record is unknown.
    Version(&'static str, u8),
    /// A field of a configuration or of a frame header is outside its range.
    Field(&'static str),
    /// An open bitstream unit of AV1 claims more bytes than there are.
    ObuSize(u64),
    /// An access unit or temporal unit holds no picture.
    NoPicture,
    /// The bytes do not start with the sync word of the named codec.
    Sync(&'static str),
    /// The text is not a stream name (`design.md` §6).
    Name(&'static str),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated(field) => write!(f, "codec configuration ends before {field}"),
            Self::ConfigTooLong(n) => write!(f, "codec configuration of {n} bytes is too long"),
            Self::AvcVersion(v) => write!(f, "avcC version {v} is not 1"),
            Self::NoSps => f.write_str("no sequence parameter set"),
            Self::NoPps => f.write_str("no picture parameter set"),
            Self::SpsField(field) => write!(f, "SPS field {field} is out of range"),
            Self::NalLength { offset, claimed } => {
                write!(
                    f,
                    "NAL unit at offset {offset} claims {claimed} bytes, past its end"
                )
            }
            Self::TooManyNals => f.write_str("access unit has too many NAL units"),
            Self::AacObjectType(t) => write!(f, "audio object type {t} is not AAC"),
            Self::AacSampleRate => f.write_str("AAC sampling frequency is reserved or zero"),
            Self::AacChannels(c) => write!(f, "AAC channel configuration {c} is reserved"),
            Self::Adts => f.write_str("not an ADTS frame"),
            Self::Version(record, v) => write!(f, "{record} version {v} is unknown"),
            Self::Field(field) => write!(f, "{field} is out of range"),
            Self::ObuSize(n) => write!(f, "AV1 OBU claims {n} bytes, past its end"),
            Self::NoPicture => f.write_str("no picture"),
            Self::Sync(codec) => write!(f, "no {codec} frame"),
            Self::Name(why) => write!(f, "stream name {why}"),
        }
    }
}

impl std::error::Error for Error {}
