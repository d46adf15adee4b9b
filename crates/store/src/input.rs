//! What the segmenter hands over, as plain values: this crate does not know the hub.

use bytes::Bytes;
use weir_media::{CodecConfig, DatumKind, Sample, TrackId, TrackKind, Utc};

/// A new init section: the first of a track, or a changed configuration.
#[derive(Debug, Clone)]
pub struct InitInput {
    /// The track.
    pub track: TrackId,
    /// Its kind.
    pub kind: TrackKind,
    /// Number of the configuration within the broadcast, unique per track.
    pub number: u32,
    /// The configuration.
    pub config: CodecConfig,
    /// `ftyp` and `moov`, as served.
    pub data: Bytes,
}

/// What is known of a segment from its first chunk on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentStart {
    /// Number of the init section it needs.
    pub init: u32,
    /// A discontinuity lies before it.
    pub discontinuity: bool,
    /// Discontinuities before its first sample, as `EXT-X-DISCONTINUITY-SEQUENCE` counts.
    pub discontinuity_sequence: u64,
    /// Wall-clock time of its first sample.
    pub program_date_time: Utc,
}

/// One chunk: the unit of append.
#[derive(Debug, Clone)]
pub struct ChunkInput {
    /// The track.
    pub track: TrackId,
    /// Segment it belongs to.
    pub media_sequence: u64,
    /// That segment.
    pub start: SegmentStart,
    /// Position in its segment, from 0.
    pub part: u32,
    /// `moof` and the header of `mdat`.
    pub head: Bytes,
    /// Coded samples, in order; never copied.
    pub payload: Vec<Bytes>,
    /// Sample table of the payload.
    pub samples: Vec<Sample>,
    /// Decoding time of the first sample, in ticks (`tfdt`).
    pub decode_time: u64,
    /// Sum of the sample durations, in ticks.
    pub duration: u32,
    /// Starts with a random access point.
    pub independent: bool,
}

/// Data with a time.
#[derive(Debug, Clone)]
pub struct DatumInput {
    /// What it is written in.
    pub kind: DatumKind,
    /// When it applies, in the stream's ticks of 1/90,000 s.
    pub time_90k: i64,
    /// The same by the wall clock.
    pub utc: Utc,
    /// Its bytes.
    pub payload: Bytes,
}

/// A segment has ended: what is known of it only now.
#[derive(Debug, Clone)]
pub struct SegmentInput {
    /// The track.
    pub track: TrackId,
    /// Its number.
    pub media_sequence: u64,
    /// Number of the init section it needs.
    pub init: u32,
    /// Decoding time of its first sample, in ticks.
    pub decode_time: u64,
    /// Duration in ticks.
    pub duration: u32,
    /// Starts with a random access point.
    pub independent: bool,
    /// A discontinuity lies before it.
    pub discontinuity: bool,
    /// Discontinuities before its first sample, as `EXT-X-DISCONTINUITY-SEQUENCE` counts.
    pub discontinuity_sequence: u64,
    /// Wall-clock time of its first sample.
    pub program_date_time: Utc,
    /// `EXT-X-TARGETDURATION` of the broadcast, in seconds; fixed by its first segment.
    pub target_duration: u32,
}

/// A segment without media, so that numbers stay consecutive (`EXT-X-GAP`).
#[derive(Debug, Clone)]
pub struct GapInput {
    /// The track.
    pub track: TrackId,
    /// Its number.
    pub media_sequence: u64,
    /// Number of the init section that is current.
    pub init: u32,
    /// Decoding time at which the gap starts, in ticks.
    pub decode_time: u64,
    /// Duration in ticks.
    pub duration: u32,
    /// A discontinuity lies before it.
    pub discontinuity: bool,
    /// As in [`SegmentInput`].
    pub discontinuity_sequence: u64,
    /// Wall-clock time at which the gap starts.
    pub program_date_time: Utc,
    /// As in [`SegmentInput`].
    pub target_duration: u32,
}
