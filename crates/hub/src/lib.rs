//! One live stream: frames of its publish sessions go in; CMAF chunks, segments and events
//! come out. The worker hands those to the store, and playlists are views of them.
//!
//! How a frame gets from the publisher to a segment:
//!
//! 1. [`Stream::handle_frame`] checks it against its configuration (`stream.rs`).
//! 2. At the start of a session it waits until the set of tracks is known (`pending.rs`).
//! 3. It gets its time in the stream (`timeline.rs`).
//! 4. Its track waits for the next frame, which tells its duration, and audio for video
//!    (`track.rs`).
//! 5. The leading track decides where a segment begins (`segmenter/lead.rs`), the other
//!    follows (`segmenter/follow.rs`).
//! 6. Whole frames make a chunk, chunks a segment (`track.rs`, [`Output`]).
//!
//! Viewers who get frames as they come, over RTMP or FLV, are served from step 3 on: see
//! [`fanout`].
//!
//! A return of the publisher, a take-over, a changed configuration and a pause longer than a
//! frame can last are all the same to the stream: the segment ends in every track, the tracks
//! settle again, and the next segment begins with one discontinuity.
//!
//! The crate is pure: no sockets, files, threads, clock or randomness. What a stream can hold
//! is in [`limits`].
#![forbid(unsafe_code)]

mod config;
mod data;
pub mod doctor;
pub mod failover;
pub mod fanout;
pub mod limits;
mod output;
mod pending;
mod places;
mod segmenter;
mod session;
mod stream;
mod time;
mod timeline;
mod track;
mod wall_clock;

pub use config::{Announced, Origin, Resume, ResumeTrack, StreamConfig};
pub use output::{Counters, Event, Output};
pub use stream::Stream;
