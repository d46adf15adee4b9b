//! One live stream: frames of its publish sessions go in; CMAF chunks, segments and events
//! come out.
#![forbid(unsafe_code)]

mod config;
mod output;
mod stream;

pub use config::{Announced, Origin, Resume, ResumeTrack, StreamConfig};
pub use output::{Counters, Event, Output};
pub use stream::Stream;
