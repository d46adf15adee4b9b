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
//! | a configuration of any codec | [`codec`] |
//! | H.264: `avcC`, SPS, access units | [`avc`] |
//! | HEVC: `hvcC`, SPS, access units | [`hevc`] |
//! | AV1: `av1C`, sequence header, temporal units | [`av1`] |
//! | VP9: `vpcC`, the header of a key frame | [`vp9`] |
//! | NAL units | [`nal`] |
//! | H.264 and HEVC without a record | [`in_band`] |
//! | size, colour and light of pictures | [`picture`] |
//! | AAC: `AudioSpecificConfig`, ADTS | [`aac`] |
//! | AAC in LATM and LOAS | [`latm`] |
//! | Opus: `OpusHead`, `dOps` | [`opus`] |
//! | FLAC: `STREAMINFO`, `dfLa` | [`flac`] |
//! | AC-3 and Enhanced AC-3: sync frames, `dac3`, `dec3` | [`ac3`] |
//! | MP2 and MP3: the frame header | [`mpeg_audio`], [`mp2`], [`mp3`] |
//! | the line of a sample table | [`sample`] |
//! | data with a time: SCTE-35, ID3 | [`datum`] |
//! | SCTE-35: splice information sections | [`scte35`] |
//! | names that may be a path segment | [`name`] |
#![forbid(unsafe_code)]

pub mod aac;
pub mod ac3;
pub mod av1;
pub mod avc;
mod bits;
pub mod codec;
pub mod datum;
pub mod error;
pub mod flac;
pub mod frame;
pub mod hevc;
pub mod in_band;
pub mod latm;
pub mod limits;
pub mod mp2;
pub mod mp3;
pub mod mpeg_audio;
pub mod nal;
pub mod name;
pub mod opus;
pub mod picture;
pub mod sample;
pub mod scte35;
pub mod time;
pub mod vp9;
mod vui;

pub use codec::CodecConfig;
pub use datum::{Datum, DatumKind};
pub use error::Error;
pub use frame::{Frame, TrackId, TrackKind};
pub use name::StreamName;
pub use sample::{Sample, SampleFlags};
pub use time::{Mono, Now, Utc};
