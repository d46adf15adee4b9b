//! HLS playlists (rfc8216bis) and DASH descriptions: a writer for what weir serves, a reader of
//! playlists for what it probes.
//!
//! The writer appends to the caller's `String`, allocates nothing per line, and refuses what
//! would not be a playlist: the text is either right or absent.
//!
//! | looking for | module |
//! |---|---|
//! | the playlist that lists renditions | [`multivariant`] |
//! | the playlist that lists segments | [`media`] |
//! | what lasts from one date to another | [`date_range`] |
//! | SCTE-35 as such | [`splice`] |
//! | reading either | [`read`] |
//! | the description of DASH | [`mpd`] |
//!
//! Not covered yet: encryption keys.
#![forbid(unsafe_code)]

pub mod date_range;
pub mod error;
pub mod limits;
pub mod media;
pub mod mpd;
pub mod multivariant;
pub mod read;
pub mod splice;
mod text;

pub use date_range::{DateRange, SpliceAttribute};
pub use error::{Error, Fault};
pub use media::{LowLatency, Map, MediaPlaylist, Part, PlaylistType, RenditionReport, Segment};
pub use mpd::Mpd;
pub use multivariant::{Multivariant, Rendition, Variant};
