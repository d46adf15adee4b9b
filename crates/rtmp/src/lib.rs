//! RTMP 1.0 and FLV: wire formats and session machines, without sockets or a clock.
//!
//! Standards: Adobe's "Real Time Messaging Protocol Chunk Stream" 1.0 (section numbers in
//! this crate are its), the AMF0 and AMF3 specifications, and "Adobe Flash Video File Format"
//! 10.1, and "Enhanced RTMP" v2 (2026-01-31-r2). H.264, HEVC, AV1, VP9, AAC, Opus, FLAC, AC-3,
//! Enhanced AC-3 and MP3 are carried; another codec fails its track and leaves the connection.
//! Not covered: the digest handshake, RTMPE, shared objects.
//!
//! Bytes and time go in, bytes, events and a deadline come out: feed
//! [`session::server::ServerSession::handle_input`], then drain `poll_output` until it
//! returns [`session::Output::Timeout`].
//!
//! | looking for | module |
//! |---|---|
//! | the first 3073 bytes | [`handshake`] |
//! | messages cut into chunks | [`chunk`] |
//! | one message | [`message`] |
//! | the values inside commands | [`amf`], [`amf0`], [`amf3`] |
//! | FLV files and tag bodies | [`flv`] |
//! | from tag bodies to frames and back | [`demux`], [`mux`] |
//! | SCTE-35 in cue points | `cue_point` |
//! | who says what when | [`session`] |
//! | a stream's address on another server | [`url`] |
//! | why a connection ended | [`error`] |
//! | any maximum | [`limits`] |
#![forbid(unsafe_code)]

pub mod amf;
pub mod amf0;
pub mod amf3;
pub mod chunk;
mod cue_point;
pub mod demux;
pub mod error;
pub mod flv;
pub mod gather;
pub mod handshake;
pub mod limits;
pub mod message;
pub mod metadata;
pub mod mux;
pub mod session;
pub mod url;

pub use error::{Error, Fault};
pub use metadata::Metadata;
pub use url::Url;
