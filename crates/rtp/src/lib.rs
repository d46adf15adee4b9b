//! RTP (RFC 3550) as contribution uses it: MPEG transport streams and elementary streams over
//! UDP, put in order, repaired by forward error correction, merged from two paths.
//!
//! The crate is pure: datagrams and time go in, packets and frames come out.
//!
//! | looking for | module |
//! |---|---|
//! | the packet's header | [`packet`] |
//! | sequence numbers beyond 16 bits | [`sequence`] |
//! | order, gaps and how long to wait for them | [`reorder`] |
//! | transport streams in RTP (RFC 2250, SMPTE ST 2022-2) | [`ts`] |
//! | rows and columns of parity (SMPTE ST 2022-1) | [`fec`] |
//! | frames of H.264, HEVC, AAC and Opus | [`depacketize`] |
//! | what a session description says of them (RFC 8866) | [`sdp`] |
//!
//! Two paths of one stream (SMPTE ST 2022-7) are merged by giving both to one
//! [`reorder::Reorder`].
#![forbid(unsafe_code)]

pub mod depacketize;
pub mod error;
pub mod fec;
pub mod limits;
pub mod packet;
pub mod reorder;
pub mod sdp;
pub mod sequence;
pub mod ts;

pub use error::Error;
pub use packet::Packet;
