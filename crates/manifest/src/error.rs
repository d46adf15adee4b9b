//! What can be wrong with a playlist, written or read.

use std::fmt;

/// Why a playlist was not written or not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// A URI is empty, starts with `#`, or holds a character that may not stand in a
    /// playlist or in a quoted string (rfc8216bis §4.1, §4.2).
    Uri,
    /// The value of this attribute holds a quotation mark or a control character, or is
    /// empty (§4.2).
    QuotedString(&'static str),
    /// A frame rate is not a positive number (§4.4.6.2).
    FrameRate,
    /// A variant names an audio group that has no rendition (§4.4.6.2).
    AudioGroup,
    /// Two renditions of one group have the same name, or both are the default (§4.4.6.1.1).
    Rendition,
    /// The timescale of this segment, counted from 0 in the playlist, is 0.
    Timescale {
        /// Index of the segment in the playlist.
        segment: usize,
    },
    /// The duration of this segment, rounded to seconds, exceeds the target duration
    /// (§4.4.3.1).
    TargetDuration {
        /// Index of the segment in the playlist.
        segment: usize,
        /// Its duration in microseconds.
        duration_us: u64,
        /// The target duration in seconds.
        target: u32,
    },
    /// A description has no period (ISO/IEC 23009-1 §5.3.1).
    NoPeriod,
    /// The part target of a low-latency playlist is 0 (§4.4.3.7).
    PartTarget,
    /// A playlist that was read is not one.
    Read {
        /// Line of the fault, from 1.
        line: usize,
        /// What is wrong there.
        fault: Fault,
    },
}

/// What is wrong with a line of a playlist that was read. Tags are named without `#`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// More than [`crate::limits::READ_BYTES_MAX`] bytes.
    TooLong,
    /// More than [`crate::limits::READ_LINES_MAX`] lines.
    TooManyLines,
    /// The text starts with a byte order mark (§4.1).
    ByteOrderMark,
    /// The text is not UTF-8 (§4.1).
    Utf8,
    /// The first line is not `#EXTM3U` (§4.4.1.1).
    Header,
    /// The value of this tag is malformed.
    Tag(&'static str),
    /// The attribute list of this tag is malformed (§4.2).
    AttributeList(&'static str),
    /// This attribute, which its tag must have, is absent.
    MissingAttribute(&'static str),
    /// The value of this attribute is malformed.
    Attribute(&'static str),
    /// Tags of both kinds of playlist stand in one (§4.1).
    Mixed,
    /// A URI that no `EXTINF` or `EXT-X-STREAM-INF` announced.
    UriWithoutTag,
    /// The playlist ends after this tag, which announces a URI.
    TagWithoutUri(&'static str),
    /// A media playlist without this tag, which it must have.
    MissingTag(&'static str),
    /// A byte range without offset that does not continue the segment before it
    /// (§4.4.4.2), or that ends beyond 64 bits.
    ByteRange,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uri => f.write_str("URI cannot stand in a playlist"),
            Self::QuotedString(name) => write!(f, "value of {name} cannot be quoted"),
            Self::FrameRate => f.write_str("frame rate is not a positive number"),
            Self::AudioGroup => f.write_str("variant names an audio group that does not exist"),
            Self::Rendition => f.write_str("renditions of one group share a name or the default"),
            Self::Timescale { segment } => write!(f, "segment {segment} has timescale 0"),
            Self::NoPeriod => f.write_str("no period"),
            Self::PartTarget => f.write_str("part target is 0"),
            Self::TargetDuration {
                segment,
                duration_us,
                target,
            } => write!(
                f,
                "segment {segment} of {duration_us} us exceeds the target duration of {target} s"
            ),
            Self::Read { line, fault } => write!(f, "playlist line {line}: {fault}"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => f.write_str("the playlist is too long"),
            Self::TooManyLines => f.write_str("the playlist has too many lines"),
            Self::ByteOrderMark => f.write_str("a byte order mark"),
            Self::Utf8 => f.write_str("not UTF-8"),
            Self::Header => f.write_str("not #EXTM3U"),
            Self::Tag(tag) => write!(f, "malformed #{tag}"),
            Self::AttributeList(tag) => write!(f, "malformed attribute list of #{tag}"),
            Self::MissingAttribute(name) => write!(f, "no attribute {name}"),
            Self::Attribute(name) => write!(f, "malformed value of {name}"),
            Self::Mixed => f.write_str("tags of multivariant and media playlist in one"),
            Self::UriWithoutTag => f.write_str("URI without #EXTINF or #EXT-X-STREAM-INF"),
            Self::TagWithoutUri(tag) => write!(f, "no URI after #{tag}"),
            Self::MissingTag(tag) => write!(f, "no #{tag}"),
            Self::ByteRange => f.write_str("byte range has no start or no end"),
        }
    }
}

impl std::error::Error for Error {}

impl std::error::Error for Fault {}
