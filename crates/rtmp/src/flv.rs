//! FLV, "Adobe Flash Video File Format Specification" 10.1, annex E: the file, and the tag
//! bodies, which RTMP audio and video messages are too.
//!
//! ```text
//! file: header(9) PreviousTagSize0(4) { tag header(11) body PreviousTagSize(4) }*
//! ```
//! Not covered: encrypted tags, and the codecs of Flash's first years.

pub mod audio;
pub mod enhanced;
mod reader;
pub mod video;
mod writer;

pub use reader::{Reader, Tag};
pub use writer::{file_header, previous_tag_size, tag_header};

use crate::message::TypeId;

/// Bytes of a tag header, §E.4.1.
pub const TAG_HEADER_BYTES: usize = 11;

/// Bytes of a file header with the first `PreviousTagSize`, §E.2 and §E.3.
pub const FILE_HEADER_BYTES: usize = 13;

/// `TagType`, §E.4.1: the same numbers as RTMP's message types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TagKind {
    /// Audio.
    Audio,
    /// Video.
    Video,
    /// Script data: metadata, AMF0.
    Script,
    /// A type that the standard reserves.
    Other(u8),
}

impl TagKind {
    fn from_wire(value: u8) -> Self {
        match value {
            8 => Self::Audio,
            9 => Self::Video,
            18 => Self::Script,
            other => Self::Other(other),
        }
    }

    /// The message type that carries the same body.
    #[must_use]
    pub fn type_id(self) -> TypeId {
        TypeId(match self {
            Self::Audio => 8,
            Self::Video => 9,
            Self::Script => 18,
            Self::Other(other) => other,
        })
    }
}
