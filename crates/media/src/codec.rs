//! The configuration of a track, whatever its codec.

use crate::aac::AacConfig;
use crate::avc::AvcConfig;
use crate::frame::TrackKind;
use bytes::Bytes;

/// Timescale of every video track, in ticks per second.
pub const VIDEO_TIMESCALE: u32 = 90_000;

/// What a track is coded with. Two configurations are equal when their records are equal
/// byte for byte: a repeated sequence header is no change.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CodecConfig {
    /// H.264 / AVC.
    H264(AvcConfig),
    /// AAC in any profile.
    Aac(AacConfig),
}

impl CodecConfig {
    /// Kind of the track.
    #[must_use]
    pub fn kind(&self) -> TrackKind {
        match self {
            Self::H264(_) => TrackKind::Video,
            Self::Aac(_) => TrackKind::Audio,
        }
    }

    /// Ticks per second of the track: 90,000 for video, the core sampling rate for audio.
    #[must_use]
    pub fn timescale(&self) -> u32 {
        match self {
            Self::H264(_) => VIDEO_TIMESCALE,
            Self::Aac(c) => c.sample_rate,
        }
    }

    /// RFC 6381 codec string.
    #[must_use]
    pub fn codec_string(&self) -> String {
        match self {
            Self::H264(c) => c.codec_string(),
            Self::Aac(c) => c.codec_string(),
        }
    }

    /// The configuration record as the container carries it: `avcC` content or
    /// `AudioSpecificConfig`.
    #[must_use]
    pub fn record(&self) -> &Bytes {
        match self {
            Self::H264(c) => c.record(),
            Self::Aac(c) => c.record(),
        }
    }
}
