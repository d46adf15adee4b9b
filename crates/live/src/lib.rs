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
//! [`Live`] is one worker's part; [`Shared`] is what the workers have in common.
#![forbid(unsafe_code)]

mod admit;
mod budget;
pub mod clock;
mod counters;
mod events;
pub mod limits;
mod owners;
mod reasons;
mod refusals;
pub mod remote;
mod secure;
mod session;
mod stream;
mod worker;

pub use counters::Counters;
pub use reasons::{Closed, Happened, Refused};
pub use remote::{Remote, Remotes, Source};
pub use worker::{Handoff, Live, Shared};
