//! The machine.

use crate::config::{Announced, Origin, Resume, StreamConfig};
use crate::output::{Counters, Output};
use std::collections::VecDeque;
use weir_media::{CodecConfig, Frame, Mono, Now};

/// One live stream over its publish sessions.
#[derive(Debug)]
pub struct Stream {
    outputs: VecDeque<Output>,
    counters: Counters,
}

impl Stream {
    /// A new broadcast.
    #[must_use]
    pub fn new(_config: StreamConfig, _origin: Origin, _now: Now) -> Self {
        Self {
            outputs: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// A broadcast recovered after a restart.
    #[must_use]
    pub fn resume(config: StreamConfig, resume: Resume, now: Now) -> Self {
        let _ = resume;
        Self::new(config, Origin::default(), now)
    }

    /// A publish session starts: the first, a return, or a take-over.
    pub fn handle_publish(&mut self, announced: Announced, now: Now) {
        let _ = (announced, now);
    }

    /// Metadata came after the session started.
    pub fn handle_announced(&mut self, announced: Announced, now: Now) {
        let _ = (announced, now);
    }

    /// The configuration of a source track of this session; a repeated one is no change.
    pub fn handle_config(&mut self, config: CodecConfig, now: Now) {
        let _ = (config, now);
    }

    /// One frame.
    pub fn handle_frame(&mut self, frame: Frame, now: Now) {
        let _ = (frame, now);
    }

    /// The publisher left: the open segment is closed and given out.
    pub fn handle_unpublish(&mut self, now: Now) {
        let _ = now;
    }

    /// The time of [`Stream::poll_timeout`] has come.
    pub fn handle_timeout(&mut self, now: Now) {
        let _ = now;
    }

    /// When [`Stream::handle_timeout`] is to be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Mono> {
        None
    }

    /// Next output; drain after every `handle_…` call.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Counters since the stream was made.
    #[must_use]
    pub fn stats(&self) -> Counters {
        self.counters
    }
}
