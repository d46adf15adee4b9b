//! MPEG transport streams (ISO/IEC 13818-1): read ([`demux`]), written as frames come
//! ([`live`]), and as HLS segments ([`mod@mux`]).
//!
//! [`mux_segment`] is a pure function: the same tables and bytes give the same segment, on
//! any worker at any time. Continuity counters run on across segments because the number of
//! packets that a segment takes is arithmetic on its sample table ([`payload_packets`]), so
//! the log's index can keep the running sum and no muxer keeps state.
//!
//! | looking for | module |
//! |---|---|
//! | which sample goes into which PES packet | [`mod@unit`] |
//! | the segment as a whole: order, PCR | [`mux`] |
//! | what is inside a PES packet | `elementary` |
//! | the PES header and its time stamps | `pes` |
//! | the 188-byte packet | `packet` |
//! | when a PCR is written | `clock` |
//! | PAT and PMT | `psi` |
//!
//! Not covered: encryption; in HLS segments, other codecs than H.264 and AAC in ADTS.
#![forbid(unsafe_code)]

mod clock;
pub mod demux;
mod elementary;
pub mod error;
pub mod limits;
pub mod live;
pub mod mux;
mod packet;
mod pes;
mod psi;
pub mod unit;

pub use clock::PCR_DELAY;
pub use error::Error;
pub use mux::{TrackSegment, carries, mux_segment, segment_len};
pub use unit::payload_packets;
