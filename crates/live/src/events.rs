//! What happened to a stream, in words for the metrics and for the operator.

use weir_hub::Event;

/// A fixed word for the metrics, and a sentence for the log.
pub(crate) fn describe(event: &Event) -> (&'static str, String) {
    match event {
        Event::NoKeyframe { seconds } => (
            "no_keyframe",
            format!("no keyframe for {seconds} s; viewers see no video"),
        ),
        Event::ForcedCut { media_sequence } => {
            let why = "no keyframe within the target duration; set a shorter keyframe interval";
            (
                "forced_cut",
                format!("segment {media_sequence} starts without a keyframe: {why}"),
            )
        }
        Event::TimestampStep { track, from, to } => {
            let by = (to - from) as f64 / 90_000.0;
            (
                "timestamp_step",
                format!(
                    "track {}: the publisher's clock stepped by {by:.3} s",
                    track.0
                ),
            )
        }
        Event::ConfigChanged { track, init } => (
            "config_changed",
            format!("track {}: new configuration, number {init}", track.0),
        ),
        Event::LateTrack { track } => (
            "late_track",
            format!("track {} joined late; new viewers get it", track.0),
        ),
        Event::VideoStalled => ("video_stalled", "video stopped, audio goes on".into()),
        Event::AudioGap { milliseconds } => (
            "audio_gap",
            format!("{milliseconds} ms of audio are missing"),
        ),
        Event::ConfigRefused { track } => (
            "config_refused",
            format!("track {}: configuration out of range", track.0),
        ),
        other => ("other", format!("{other:?}")),
    }
}
