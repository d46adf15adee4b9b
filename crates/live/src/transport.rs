//! A transport stream on its way into a stream: what its program has, whoever brought it.

use crate::budget::Budget;
use crate::clock;
use crate::limits::CONFIG_CHANGES_BURST;
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
    /// Number of the program, and what was said of it last.
    said: Option<(u16, Metadata)>,
    programs: Budget,
}

impl Transport {
    /// One of which the program of this number is wanted, or the first.
    pub(crate) fn new(program: Option<u16>) -> Self {
        Self {
            demuxer: Demuxer::new(program),
            said: None,
            programs: Budget::new(CONFIG_CHANGES_BURST, clock::now().mono),
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
                    let said = (program.number, metadata(&program));
                    if self.said.as_ref() == Some(&said) {
                        continue;
                    }
                    if !self.programs.take(clock::now().mono) {
                        to.fault(&"the program changes all the time")?;
                        continue;
                    }
                    info!(program = program.number, "program of a transport stream");
                    to.describe(said.1.clone());
                    self.said = Some(said);
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
