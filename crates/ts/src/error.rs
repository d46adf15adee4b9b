//! What can keep a segment from being muxed.

use std::fmt;
use weir_media::TrackKind;

/// Why a segment cannot be a transport stream. Sample numbers count from 0 in the segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// No track was given, or two of the same kind; of a live stream: none, too many, or one
    /// that is not carried.
    Tracks,
    /// The track's codec has no mapping into a transport stream here.
    Codec,
    /// The sample table and the payload have different numbers of samples.
    SampleCount {
        /// Kind of the track.
        kind: TrackKind,
        /// Samples in the table.
        table: usize,
        /// Samples in the payload.
        payload: usize,
    },
    /// A payload is not as long as its sample table says.
    SampleSize {
        /// Kind of the track.
        kind: TrackKind,
        /// Number of the sample.
        sample: usize,
        /// Bytes by the table.
        table: usize,
        /// Bytes in the payload.
        payload: usize,
    },
    /// The NAL units of a video sample cannot be walked.
    Nal {
        /// Number of the sample.
        sample: usize,
        /// What is wrong with it, at which offset.
        error: weir_media::Error,
    },
    /// A frame of a live stream contradicts its configuration.
    Frame(weir_media::Error),
    /// An AAC frame does not fit the 13-bit `aac_frame_length` of ADTS, header included
    /// (ISO/IEC 13818-7 §6.2.1).
    AdtsFrameTooLong {
        /// Number of the sample.
        sample: usize,
        /// Its bytes, without the header.
        size: usize,
    },
    /// ADTS has no code for this property of the AAC track: the object type (only 1 to 4),
    /// the sampling rate (only the 13 of the table), the channel configuration (only 0 to
    /// 7) or the frame length (only 1024).
    AdtsConfig(&'static str),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tracks => f.write_str("no track, too many, or one that is not carried"),
            Self::Codec => f.write_str("codec cannot be carried in a transport stream"),
            Self::SampleCount {
                kind,
                table,
                payload,
            } => write!(
                f,
                "{} has {table} samples in its table and {payload} payloads",
                kind.as_str()
            ),
            Self::SampleSize {
                kind,
                sample,
                table,
                payload,
            } => write!(
                f,
                "{} sample {sample} has {payload} bytes, {table} by its table",
                kind.as_str()
            ),
            Self::Nal { sample, error } => write!(f, "video sample {sample}: {error}"),
            Self::Frame(error) => write!(f, "frame: {error}"),
            Self::AdtsFrameTooLong { sample, size } => {
                write!(
                    f,
                    "audio sample {sample} of {size} bytes is too long for ADTS"
                )
            }
            Self::AdtsConfig(what) => write!(f, "ADTS cannot carry this AAC {what}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Nal { error, .. } | Self::Frame(error) => Some(error),
            _ => None,
        }
    }
}
