//! What can be wrong with a datagram or a description.

use std::fmt;

/// Malformed bytes. Each variant is one fault, so that tests and metrics count variants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The bytes end before the named field.
    Truncated(&'static str),
    /// The version is not 2.
    Version(u8),
    /// The padding is longer than what there is, or empty.
    Padding,
    /// A field is outside its range.
    Field(&'static str),
    /// The session description is longer than [`crate::limits::SDP_BYTES_MAX`].
    TooLong(usize),
    /// A parameter set or a configuration cannot be read.
    Media(weir_media::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated(field) => write!(f, "datagram ends before {field}"),
            Self::Version(v) => write!(f, "RTP version {v} is not 2"),
            Self::Padding => f.write_str("RTP padding is longer than the payload"),
            Self::Field(field) => write!(f, "{field} is out of range"),
            Self::TooLong(n) => write!(f, "session description of {n} bytes is too long"),
            Self::Media(e) => write!(f, "{e}"),
        }
    }
}

impl std::error::Error for Error {}
