//! The types that every part of weir shares: frames, tracks, time, and the codec
//! configurations that describe them.
//!
//! The crate is pure: no sockets, files, threads, clock or randomness. It depends on no
//! other crate of the workspace, and everything above depends on it.
//!
//! | looking for | module |
//! |---|---|
//! | what a coded access unit is | [`frame`] |
//! | how time is written down | [`time`] |
//! | H.264: `avcC`, SPS, NAL units | [`avc`] |
//! | AAC: `AudioSpecificConfig`, ADTS | [`aac`] |
//! | the line of a sample table | [`sample`] |
//! | names that may be a path segment | [`name`] |
#![forbid(unsafe_code)]

pub mod aac;
pub mod avc;
mod bits;
pub mod codec;
pub mod error;
pub mod frame;
pub mod limits;
pub mod name;
pub mod sample;
pub mod time;

pub use codec::CodecConfig;
pub use error::Error;
pub use frame::{Frame, TrackId, TrackKind};
pub use name::StreamName;
pub use sample::{Sample, SampleFlags};
pub use time::{Mono, Now, Utc};
