//! What the doctor says, and what it is told.

use super::advice;
use std::fmt;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Viewers do not suffer; it could be better.
    Info,
    /// Some viewers notice, or latency grows.
    Warning,
    /// Viewers see it.
    Error,
}

impl Severity {
    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// What can be wrong. The words are labels of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Keyframes are further apart than a segment.
    KeyframeDistance,
    /// Keyframes come now sooner, now later.
    KeyframesIrregular,
    /// Video without any keyframe.
    NoKeyframe,
    /// Pictures are presented in another order than they are sent.
    BFrames,
    /// More bits than the metadata announced.
    Bitrate,
    /// Audio and video of the same time come far apart.
    AvSkew,
    /// Times that jump ahead.
    TimestampJump,
    /// Times that go back.
    TimestampBackward,
    /// Fewer or more pictures a second than announced, or than before.
    FrameRate,
    /// Media comes slower than it plays.
    UploadSlow,
    /// Media comes much faster than it plays.
    UploadFast,
    /// Audio was announced and does not come.
    AudioMissing,
    /// Video was announced and does not come.
    VideoMissing,
}

impl Fault {
    /// All of them, in the order of their discriminants.
    pub const ALL: [Self; 13] = [
        Self::KeyframeDistance,
        Self::KeyframesIrregular,
        Self::NoKeyframe,
        Self::BFrames,
        Self::Bitrate,
        Self::AvSkew,
        Self::TimestampJump,
        Self::TimestampBackward,
        Self::FrameRate,
        Self::UploadSlow,
        Self::UploadFast,
        Self::AudioMissing,
        Self::VideoMissing,
    ];

    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::KeyframeDistance => "keyframe_distance",
            Self::KeyframesIrregular => "keyframes_irregular",
            Self::NoKeyframe => "no_keyframe",
            Self::BFrames => "b_frames",
            Self::Bitrate => "bitrate",
            Self::AvSkew => "av_skew",
            Self::TimestampJump => "timestamp_jump",
            Self::TimestampBackward => "timestamp_backward",
            Self::FrameRate => "frame_rate",
            Self::UploadSlow => "upload_slow",
            Self::UploadFast => "upload_fast",
            Self::AudioMissing => "audio_missing",
            Self::VideoMissing => "video_missing",
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// What.
    pub fault: Fault,
    /// How bad.
    pub severity: Severity,
    /// What was measured, in `unit`.
    pub value: f64,
    /// Of `value`: `s`, `ms`, `bit/s`, `1/s`, `x` (times real time) or `frames`.
    pub unit: &'static str,
}

impl Finding {
    /// What it means and what to do.
    #[must_use]
    pub const fn advice(&self) -> &'static str {
        advice::of(self.fault)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.fault.as_str();
        write!(
            f,
            "{name} {:.3} {}: {}",
            self.value,
            self.unit,
            self.advice()
        )
    }
}

/// What a publisher's metadata promises. What is missing or makes no sense is not compared.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Promise {
    /// Whether there will be video.
    pub video: Option<bool>,
    /// Whether there will be audio.
    pub audio: Option<bool>,
    /// Bits per second of video.
    pub video_bitrate: Option<f64>,
    /// Bits per second of audio.
    pub audio_bitrate: Option<f64>,
    /// Pictures per second.
    pub frame_rate: Option<f64>,
}

/// What was measured over the last whole window, and what is wrong.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Health {
    /// Whether somebody publishes now.
    pub publishing: bool,
    /// Bits per second of video, of media time.
    pub video_bitrate: Option<f64>,
    /// Bits per second of audio.
    pub audio_bitrate: Option<f64>,
    /// Pictures per second of media time.
    pub frame_rate: Option<f64>,
    /// Seconds between the last two keyframes.
    pub keyframe_distance: Option<f64>,
    /// By how many seconds audio comes before video of the same time; behind is negative.
    pub audio_ahead: Option<f64>,
    /// Media time per wall time.
    pub speed: Option<f64>,
    /// What is wrong, in the order of [`Fault::ALL`].
    pub findings: Vec<Finding>,
}
