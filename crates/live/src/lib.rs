//! Live ingest: publish sessions, and the streams they feed.
//!
//! A connection is accepted by any worker. Once its publish request is authorised, the
//! session (descriptor, machine, unread bytes) moves to the worker that owns the stream's
//! name; there the session's frames go through the stream's hub machine, and what comes out
//! of that goes to the store's writer:
//!
//! ```text
//! socket ─► rtmp::ServerSession ─► Frame ─► hub::Stream ─► chunk, segment ─► store::Writer
//!           session.rs                      stream.rs
//! ```
//!
//! Viewers who get frames as they come read the same frames, muxed once:
//!
//! ```text
//! hub::Stream ─► hub::fanout::Muxer ─► window of each worker ─► Subscription ─► socket
//!                fanout.rs             feed.rs
//! ```
//!
//! [`Live::subscribe`] gives a [`Subscription`]: what a viewer or an output to another server
//! reads. [`Live`] is one worker's part; [`Shared`] is what the workers have in common.
#![forbid(unsafe_code)]

mod admit;
mod budget;
pub mod clock;
mod counters;
mod events;
mod failover;
mod fanout;
mod feed;
mod flv;
mod gather;
pub mod health;
mod lease;
pub mod limits;
mod owners;
mod play;
mod reasons;
mod refusals;
mod remote;
mod secure;
mod session;
mod slate;
pub mod srt;
mod stream;
#[cfg(test)]
mod tests;
mod transport;
mod worker;

// What the tests in `tests/` share is of use to those beside the code.
#[cfg(test)]
extern crate self as weir_live;

pub use counters::{Counters, Viewer};
pub use failover::{Failover, FailoverStatus, Failovers};
pub use feed::Subscription;
pub use flv::FlvViewer;
pub use reasons::{Closed, Happened, PlayRefused, Protocol, Refused, RemoteFailure, ViewerClosed};
pub use remote::{
    Listen, Origin, Output, OutputState, OutputStatus, Remote, Remotes, Source, SrtRemote, Target,
};
pub use slate::Slate;
pub use worker::{Handoff, Live, Shared};
