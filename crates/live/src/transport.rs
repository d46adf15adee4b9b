//! A transport stream on its way into a stream: what its program has, whoever brought it.

use crate::remote::Failure;
use std::fmt;
use tracing::{debug, info};
use weir_media::{CodecConfig, Datum, Frame, Mono, TrackId, TrackKind};
use weir_rtmp::Metadata;
use weir_ts::demux::{Demuxer, Media, Program};

/// Why a publisher is sent away whose tracks are never the same.
pub(crate) const CONFIG_RATE: &str = "its codec configuration changes all the time";

/// What takes the media of a transport stream.
pub(crate) trait Sink {
    /// What the publisher says of its stream.
    fn describe(&mut self, metadata: Metadata);
    /// A track's configuration, new or changed.
    fn config(&mut self, track: TrackId, config: CodecConfig) -> Result<(), Failure>;
    /// A frame.
    fn frame(&mut self, frame: Frame) -> Result<(), Failure>;
    /// Data with a time.
    fn datum(&mut self, datum: Datum);
    /// Something was malformed; an error if that is enough.
    fn fault(&mut self, fault: &dyn fmt::Display) -> Result<(), Failure>;
}

/// One transport stream.
pub(crate) struct Transport {
    demuxer: Demuxer,
}

impl Transport {
    /// One of which the program of this number is wanted, or the first.
    pub(crate) fn new(program: Option<u16>) -> Self {
        Self {
            demuxer: Demuxer::new(program),
        }
    }

    /// Takes bytes, cut anyhow, and hands on what comes of them.
    pub(crate) fn handle(
        &mut self,
        data: &[u8],
        now: Mono,
        to: &mut impl Sink,
    ) -> Result<(), Failure> {
        self.demuxer.handle_data(data, now);
        self.drain(to)
    }

    /// No more comes for now: hands on what was held, as the last picture.
    pub(crate) fn end(&mut self, now: Mono, to: &mut impl Sink) -> Result<(), Failure> {
        self.demuxer.handle_end(now);
        self.drain(to)
    }

    fn drain(&mut self, to: &mut impl Sink) -> Result<(), Failure> {
        while let Some(media) = self.demuxer.poll_media() {
            match media {
                Media::Program(program) => {
                    info!(program = program.number, "program of a transport stream");
                    to.describe(metadata(&program));
                }
                Media::Config { track, config } => to.config(track, config)?,
                Media::Frame(frame) => to.frame(frame)?,
                Media::Datum(datum) => to.datum(datum),
                Media::Fault(fault) => to.fault(&fault)?,
                // The stream's timeline follows frames, and sees for itself where they jump.
                Media::Discontinuity => debug!("a new time base begins"),
                _ => {}
            }
        }
        Ok(())
    }
}

/// A program map is all that a transport stream says of itself.
fn metadata(program: &Program) -> Metadata {
    Metadata {
        has_video: Some(program.has(TrackKind::Video)),
        has_audio: Some(program.has(TrackKind::Audio)),
        ..Metadata::default()
    }
}
