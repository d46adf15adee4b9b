//! MP4 and CMAF: fragments written, files and fragments read (ISO/IEC 14496-12,
//! ISO/IEC 23000-19).
//!
//! The crate is pure: no sockets, files, threads, clock or randomness.
#![forbid(unsafe_code)]

mod boxes;
mod four_cc;
mod fragment;
mod init;
pub mod limits;

pub use four_cc::FourCc;
pub use fragment::fragment_head;
pub use init::init_segment;
