//! The track log: what is delivered, and at the same time the recording.
//!
//! Per track, CMAF chunks are appended to numbered files; every playlist, segment and
//! download is a view of those bytes (`design.md` §1). This crate writes the logs through
//! the ring of the worker that owns a stream, keeps what all workers read as snapshots in
//! memory, recovers logs after a crash, and deletes them when retention says so.
//!
//! | looking for | module |
//! |---|---|
//! | bytes on disk, and how they are read back | [`mod@format`], [`recover`] |
//! | what a request handler reads | [`View`], [`TrackView`], [`Segment`], [`Body`] |
//! | what the owner of a stream calls | [`Writer`] |
//! | opening a data directory, names, keys, retention | [`Library`] |
//! | any maximum | [`limits`] |
//!
//! # Threads
//! A [`Writer`] belongs to one worker. [`Library`], [`StreamEntry`], [`Broadcast`] and
//! [`View`] are shared: readers load a snapshot and take no lock. Creating, opening for
//! recovery and deleting files happens on threads that serve nobody.
#![forbid(unsafe_code)]

mod broadcast;
mod config;
mod core;
mod datum;
pub mod error;
mod file;
pub mod format;
mod input;
mod key;
mod library;
pub mod limits;
mod list;
pub mod recover;
mod retain;
mod segment;
mod shard;
mod stats;
mod view;
mod writer;

pub use broadcast::{Broadcast, BroadcastId, State, StreamEntry};
pub use config::LibraryConfig;
pub use datum::Datum;
pub use error::Error;
pub use file::LogFile;
pub use input::{ChunkInput, DatumInput, GapInput, InitInput, SegmentInput, SegmentStart};
pub use library::Library;
pub use retain::{Deleted, DiskSpace};
pub use segment::{Body, Chunk, Piece, Segment, SegmentInfo};
pub use stats::Stats;
pub use view::{Init, OpenSegment, Run, TrackView, View};
pub use writer::{ResumeInfo, ResumeTrack, Start, Writer};

#[cfg(test)]
extern crate self as weir_store;
#[cfg(test)]
#[path = "../tests/common/mod.rs"]
mod common;
