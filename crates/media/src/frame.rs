//! One coded access unit or audio packet on its way through the server.

use crate::time::Mono;
use bytes::Bytes;

/// What a track carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TrackKind {
    /// Coded pictures.
    Video,
    /// Coded sound.
    Audio,
}

impl TrackKind {
    /// Lower-case word for logs, metrics and file names.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Video => "video",
            Self::Audio => "audio",
        }
    }
}

/// Number of a track within its stream, from 1 as in ISO/IEC 14496-12 §8.3.2. It stays the
/// same over reconnects and configuration changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackId(pub u16);

impl TrackId {
    /// The picture as the publisher sent it.
    pub const SOURCE_VIDEO: Self = Self(1);
    /// The sound as the publisher sent it.
    pub const SOURCE_AUDIO: Self = Self(2);

    /// The source track of a kind that a publisher of several gave the number `n`: odd for
    /// video, even for audio. Number 0 is the one that a publisher of only one sends.
    #[must_use]
    pub fn numbered(kind: TrackKind, n: u8) -> Self {
        Self(Self::source(kind).0 + 2 * u16::from(n))
    }

    /// The source track of a kind.
    #[must_use]
    pub fn source(kind: TrackKind) -> Self {
        match kind {
            TrackKind::Video => Self::SOURCE_VIDEO,
            TrackKind::Audio => Self::SOURCE_AUDIO,
        }
    }
}

/// One coded access unit or audio packet. Cloning shares the payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Track it belongs to.
    pub track: TrackId,
    /// Kind of that track.
    pub kind: TrackKind,
    /// Decoding time in the track's timescale, unwrapped to 64 bits.
    pub dts: i64,
    /// Presentation time in the track's timescale; may be before `dts` by the sender's
    /// fault, which is passed on as a negative composition offset.
    pub pts: i64,
    /// Random access point: an IDR or recovery point for video, true for all audio.
    pub key: bool,
    /// When the last byte of it arrived.
    pub received_at: Mono,
    /// Coded bytes: NAL units with four-byte lengths (H.264), raw data block (AAC).
    pub payload: Bytes,
}
