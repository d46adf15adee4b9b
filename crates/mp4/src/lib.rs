//! MP4, QuickTime and CMAF: fragments written, files and fragments read (ISO/IEC 14496-12,
//! 14496-14, 14496-15 and 23000-19, and the bindings of AV1, VP9, Opus and FLAC; QuickTime File Format where real files need it).
//!
//! The crate is pure: no sockets, files, threads, clock or randomness. Bytes come in and go
//! out; the caller reads and writes.
//!
//! | looking for | item |
//! |---|---|
//! | the initialisation segment of a track | [`init_segment`] |
//! | the configuration out of one | [`init_config`] |
//! | the head of a chunk, before its payload | [`fragment_head`] |
//! | the same, read back out of a log | [`parse_fragment`] |
//! | a file or a URL, read by ranges | [`Reader`] |
//! | a file in memory | [`read`] |
//! | the samples of a track | [`Track::samples`] |
//! | counts, groups of pictures, faults | [`Track::summary`] |
//!
//! What is read of a file:
//!
//! ```text
//! ftyp                          major brand
//! moov
//! ├─ mvhd
//! ├─ trak
//! │  ├─ tkhd
//! │  ├─ edts/elst
//! │  └─ mdia
//! │     ├─ mdhd hdlr
//! │     └─ minf/stbl
//! │        ├─ stsd              avc1 avc3 hvc1 hev1 av01 vp09 encv: avcC hvcC av1C vpcC,
//! │        │                    colr mdcv clli, sinf; mp4a Opus fLaC ac-3 ec-3 enca:
//! │        │                    esds, wave/esds, dOps dfLa dac3 dec3, sinf
//! │        └─ stsz stz2 stsc stco co64 stts ctts stss
//! └─ mvex/trex
//! moof
//! └─ traf
//!    └─ tfhd tfdt trun
//! ```
//!
//! Other boxes are passed over: `sidx` and `mfra` too, since the boxes that they point to are
//! found anyway. Not covered: items and metadata (`meta`, `udta`), sample groups, the
//! parameters of encryption, compressed `moov`.
#![forbid(unsafe_code)]

mod boxes;
mod error;
mod four_cc;
mod fragment;
mod init;
mod input;
pub mod limits;
mod moof;
mod movie;
mod reader;
mod samples;
mod summary;
mod track;

pub use error::{BoxPath, Error, Place};
pub use four_cc::FourCc;
pub use fragment::{Fragment, Parsed, fragment_head, parse_fragment};
pub use init::{init_config, init_segment};
pub use movie::Movie;
pub use reader::{Output, Reader, read};
pub use samples::{FileSample, Samples};
pub use summary::{Faults, Summary};
pub use track::{Description, Details, Edit, Kind, Language, Track};
