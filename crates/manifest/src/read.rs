//! Reading a playlist, as far as probing a stream needs it (rfc8216bis §4). What is read
//! borrows from the text. Unknown tags and attributes are passed over, as §6.3.1 demands;
//! partial segments and date ranges are among them.

mod attributes;
mod parse;

use crate::error::Error;
use crate::media::PlaylistType;
use std::time::Duration;

/// A playlist of either kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Playlist<'a> {
    /// It lists renditions.
    Multivariant(MultivariantRead<'a>),
    /// It lists segments.
    Media(MediaRead<'a>),
}

/// A multivariant playlist.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MultivariantRead<'a> {
    /// `EXT-X-INDEPENDENT-SEGMENTS`.
    pub independent_segments: bool,
    /// `EXT-X-STREAM-INF` in their order.
    pub variants: Vec<VariantRead<'a>>,
    /// `EXT-X-MEDIA` in their order.
    pub renditions: Vec<RenditionRead<'a>>,
}

/// A variant (§4.4.6.2).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct VariantRead<'a> {
    /// Its media playlist.
    pub uri: &'a str,
    /// Peak bit rate in bit/s.
    pub bandwidth: u64,
    /// Average bit rate in bit/s.
    pub average_bandwidth: Option<u64>,
    /// RFC 6381 strings with commas between them.
    pub codecs: Option<&'a str>,
    /// Width and height in pixels.
    pub resolution: Option<(u32, u32)>,
    /// Highest frame rate in frames per second.
    pub frame_rate: Option<f64>,
    /// Group of its audio renditions.
    pub audio_group: Option<&'a str>,
}

/// A rendition of any type (§4.4.6.1).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RenditionRead<'a> {
    /// `AUDIO`, `VIDEO`, `SUBTITLES` or `CLOSED-CAPTIONS`.
    pub media_type: &'a str,
    /// Group that variants name.
    pub group_id: &'a str,
    /// What a player shows.
    pub name: &'a str,
    /// BCP 47 language tag.
    pub language: Option<&'a str>,
    /// Played unless the viewer chooses.
    pub default: bool,
    /// Its media playlist; none where it is in the variant itself.
    pub uri: Option<&'a str>,
}

/// A media playlist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaRead<'a> {
    /// `EXT-X-VERSION`; 1 where it is absent.
    pub version: u32,
    /// `EXT-X-TARGETDURATION` in seconds.
    pub target_duration: u32,
    /// Number of the first segment.
    pub media_sequence: u64,
    /// Discontinuities before the first segment.
    pub discontinuity_sequence: u64,
    /// `EXT-X-INDEPENDENT-SEGMENTS`.
    pub independent_segments: bool,
    /// `EXT-X-PLAYLIST-TYPE`.
    pub playlist_type: Option<PlaylistType>,
    /// `EXT-X-ENDLIST`.
    pub end: bool,
    /// The segments in their order.
    pub segments: Vec<SegmentRead<'a>>,
}

/// A segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentRead<'a> {
    /// Where it is.
    pub uri: &'a str,
    /// `EXTINF`, cut to nanoseconds.
    pub duration: Duration,
    /// `EXT-X-DISCONTINUITY` in front of it.
    pub discontinuity: bool,
    /// `EXT-X-GAP`: there is no media behind the URI.
    pub gap: bool,
    /// An `EXT-X-KEY` other than `METHOD=NONE` is in force.
    pub encrypted: bool,
    /// Part of the resource that it is; the whole one if none.
    pub byte_range: Option<ByteRange>,
    /// Initialization section in force.
    pub map: Option<MapRead<'a>>,
}

/// An initialization section (§4.4.4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MapRead<'a> {
    /// Where it is.
    pub uri: &'a str,
    /// Part of the resource that it is; the whole one if none.
    pub byte_range: Option<ByteRange>,
}

/// Part of a resource (§4.4.4.2). Its end fits 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRange {
    /// First byte.
    pub offset: u64,
    /// Number of bytes.
    pub len: u64,
}

/// Reads a playlist.
///
/// # Errors
/// [`Error::Read`] with the line and its fault; never another variant.
pub fn parse(bytes: &[u8]) -> Result<Playlist<'_>, Error> {
    parse::parse(bytes)
}
