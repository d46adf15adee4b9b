//! What happened to a stream, in words for the metrics and for the operator.

use crate::reasons::Happened;
use weir_hub::Event;

/// A reason for the metrics, and a sentence for the log.
pub(crate) fn describe(event: &Event) -> (Happened, String) {
    match event {
        Event::NoKeyframe { seconds } => (
            Happened::NoKeyframe,
            format!("no keyframe for {seconds} s; viewers see no video"),
        ),
        Event::ForcedCut { media_sequence } => {
            let why = "no keyframe within the target duration; set a shorter keyframe interval";
            (
                Happened::ForcedCut,
                format!("segment {media_sequence} starts without a keyframe: {why}"),
            )
        }
        Event::TimestampStep { track, from, to } => {
            let by = (to - from) as f64 / 90_000.0;
            (
                Happened::TimestampStep,
                format!(
                    "track {}: the publisher's clock stepped by {by:.3} s",
                    track.0
                ),
            )
        }
        Event::ConfigChanged { track, init } => (
            Happened::ConfigChanged,
            format!("track {}: new configuration, number {init}", track.0),
        ),
        Event::LateTrack { track } => (
            Happened::LateTrack,
            format!("track {} joined late; new viewers get it", track.0),
        ),
        Event::VideoStalled => (
            Happened::VideoStalled,
            "video stopped, audio goes on".into(),
        ),
        Event::AudioGap { milliseconds } => (
            Happened::AudioGap,
            format!("{milliseconds} ms of audio are missing"),
        ),
        Event::ConfigRefused { track } => (
            Happened::ConfigRefused,
            format!("track {}: configuration out of range", track.0),
        ),
        other => (Happened::Other, format!("{other:?}")),
    }
}
