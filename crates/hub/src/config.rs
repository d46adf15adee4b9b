//! What a stream is told when it is made, and what a publisher says of itself.

use std::time::Duration;
use weir_media::{CodecConfig, TrackId, Utc};

/// How a stream is cut. Values out of range are brought into it by [`StreamConfig::bounded`],
/// which [`crate::Stream`] applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamConfig {
    /// Wanted length of a segment, 1 s to 10 s. The target duration is at least this.
    pub segment: Duration,
    /// Longest part (PART-TARGET), 100 ms to 2 s. A frame that lasts longer is a part alone.
    pub part: Duration,
    /// How much media is held back at the start of a publish session for a track that has not
    /// shown yet, up to 5 s of decoding time or of waiting, whichever is over first.
    pub track_wait: Duration,
}

impl Default for StreamConfig {
    fn default() -> Self {
        Self {
            segment: Duration::from_secs(4),
            part: Duration::from_millis(500),
            track_wait: Duration::from_secs(2),
        }
    }
}

impl StreamConfig {
    /// The same with every value inside its documented range.
    #[must_use]
    pub fn bounded(self) -> Self {
        Self {
            segment: self
                .segment
                .clamp(Duration::from_secs(1), Duration::from_secs(10)),
            part: self
                .part
                .clamp(Duration::from_millis(100), Duration::from_secs(2)),
            track_wait: self.track_wait.min(Duration::from_secs(5)),
        }
    }
}

/// Where a new broadcast starts counting. The caller takes max(last + 1, UTC seconds) for
/// both, so that even a lost disk does not rewind a playlist (`design.md` §7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Origin {
    /// Media sequence number of the first segment.
    pub media_sequence: u64,
    /// Discontinuity sequence number of the first segment.
    pub discontinuity_sequence: u64,
}

/// What a publisher said it will send; `None` is "did not say". A hint for how long to wait,
/// never a promise: a track that was not announced joins all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Announced {
    /// Video will come, or will not.
    pub video: Option<bool>,
    /// Audio will come, or will not.
    pub audio: Option<bool>,
}

/// A broadcast recovered after a restart of the program: the next publish session continues
/// it with one discontinuity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resume {
    /// Media sequence number of the next segment.
    pub media_sequence: u64,
    /// Discontinuity sequence number of the last segment; the next one has one more.
    pub discontinuity_sequence: u64,
    /// Target duration in seconds, if a segment was listed: it stays.
    pub target_duration: Option<u32>,
    /// Tracks of the broadcast, source video and source audio at most.
    pub tracks: Vec<ResumeTrack>,
    /// Wall-clock time at which the decoding time was what [`Resume::decode_time_90k`] says:
    /// the timeline goes on by the time that passed since.
    pub utc: Utc,
    /// Newest decoding time that was written, in ticks of 1/90,000 s.
    pub decode_time_90k: i64,
    /// Program date-time of the last listed segment, if there was one: the next is later.
    pub program_date_time: Option<Utc>,
}

/// One track of a recovered broadcast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResumeTrack {
    /// [`TrackId::SOURCE_VIDEO`] or [`TrackId::SOURCE_AUDIO`].
    pub id: TrackId,
    /// Configuration of its newest initialization segment.
    pub config: CodecConfig,
    /// Number of that initialization segment.
    pub init_number: u32,
    /// Decoding time after its last sample, in ticks of the configuration's timescale.
    pub end_time: i64,
}
