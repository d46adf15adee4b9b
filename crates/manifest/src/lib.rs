//! HLS playlists (rfc8216bis): a writer for what weir serves, a reader for what it probes.
//!
//! The writer appends to the caller's `String`, allocates nothing per line, and refuses what
//! would not be a playlist: the text is either right or absent.
//!
//! | looking for | module |
//! |---|---|
//! | the playlist that lists renditions | [`multivariant`] |
//! | the playlist that lists segments | [`media`] |
//! | reading either | [`read`] |
//!
//! Not covered yet: partial segments, delta updates, encryption keys, date ranges; DASH.
#![forbid(unsafe_code)]

pub mod error;
pub mod limits;
pub mod media;
pub mod multivariant;
pub mod read;
mod text;

pub use error::{Error, Fault};
pub use media::{Map, MediaPlaylist, PlaylistType, Segment};
pub use multivariant::{Multivariant, Rendition, Variant};
