//! What a publish session feeds: a stream, or one of the inputs of a stream.

use crate::failover::InputLease;
use crate::stream::StreamLease;
use weir_media::{CodecConfig, Datum, Frame, StreamName, TrackId};
use weir_ring::Notified;
use weir_rtmp::Metadata;

/// The right of one publish session to feed what it was authorised for. It ends when a newer
/// session takes over; feeding then does nothing. Dropped, it is given back.
pub(crate) struct Lease {
    to: To,
    /// Completes when a newer session took its place, whenever that was, or the worker stops.
    pub(crate) evicted: Notified,
}

enum To {
    Stream(StreamLease),
    Input(InputLease),
}

impl Lease {
    pub(crate) fn of_stream((lease, evicted): (StreamLease, Notified)) -> Self {
        let to = To::Stream(lease);
        Self { to, evicted }
    }

    pub(crate) fn of_input((lease, evicted): (InputLease, Notified)) -> Self {
        let to = To::Input(lease);
        Self { to, evicted }
    }

    /// What the publisher says of its stream: for viewers, the hub and the doctor.
    pub(crate) fn describe(&self, metadata: &Metadata) {
        match &self.to {
            To::Stream(stream) => stream.describe(metadata),
            To::Input(input) => input.describe(metadata),
        }
    }

    /// A track's configuration, new or changed. False if that happens too often: the publisher is
    /// to be sent away.
    #[must_use]
    pub(crate) fn config(&mut self, track: TrackId, config: CodecConfig) -> bool {
        match &mut self.to {
            To::Stream(stream) => stream.config(track, config),
            To::Input(input) => input.config(track, config),
        }
    }

    /// A frame.
    pub(crate) fn frame(&self, frame: Frame) {
        match &self.to {
            To::Stream(stream) => stream.frame(frame),
            To::Input(input) => input.frame(frame),
        }
    }

    /// Data with a time.
    pub(crate) fn datum(&self, datum: Datum) {
        match &self.to {
            To::Stream(stream) => stream.datum(datum),
            To::Input(input) => input.datum(datum),
        }
    }

    /// Whether somebody gets the stream's frames, or its parts, as they come.
    pub(crate) fn is_watched(&self) -> bool {
        match &self.to {
            To::Stream(stream) => stream.is_watched(),
            To::Input(input) => input.is_watched(),
        }
    }

    /// The name that is published.
    pub(crate) fn name(&self) -> &StreamName {
        match &self.to {
            To::Stream(stream) => stream.name(),
            To::Input(input) => input.name(),
        }
    }
}
