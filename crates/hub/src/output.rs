//! What a stream gives out.

use bytes::Bytes;
use weir_media::{CodecConfig, DatumKind, Frame, Mono, Sample, TrackId, TrackKind, Utc};

/// One step of the stream, in the order in which it is to be stored and listed.
///
/// For each track: [`Output::Init`] before the first chunk that uses it, the chunks of a
/// segment in order, then its [`Output::Segment`], or one [`Output::Gap`] where the track has
/// nothing. Media sequence numbers of a track are consecutive, and the same number means the
/// same time in every track.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// A track's initialization segment, new or changed.
    Init {
        /// Track it belongs to.
        track: TrackId,
        /// Kind of that track.
        kind: TrackKind,
        /// 0, 1, 2 … per track, over the whole broadcast.
        number: u32,
        /// The configuration it was made from.
        config: CodecConfig,
        /// `ftyp` and `moov`.
        data: Bytes,
    },
    /// One `moof` and `mdat`: the unit of append, the LL-HLS part and the DASH chunk.
    Chunk {
        /// Track it belongs to.
        track: TrackId,
        /// Segment it belongs to.
        media_sequence: u64,
        /// Number within that segment, from 0.
        part: u32,
        /// Number of the initialization segment that it needs.
        init: u32,
        /// `moof` and the header of `mdat`; the payload follows.
        head: Bytes,
        /// Coded samples, as they came: never copied.
        payload: Vec<Bytes>,
        /// The samples' sizes, durations, offsets and flags, one per payload.
        samples: Vec<Sample>,
        /// `baseMediaDecodeTime` in ticks of the track.
        decode_time: i64,
        /// Sum of the samples' durations in ticks of the track; more than 0.
        duration: u64,
        /// It contains a random access point.
        independent: bool,
        /// When the newest of its frames arrived.
        received_at: Mono,
        /// A discontinuity stands before its segment (needed for the part's segment while
        /// that is still open).
        discontinuity: bool,
        /// Discontinuity sequence number of its segment.
        discontinuity_sequence: u64,
        /// Program date-time of its segment's first frame of this track.
        program_date_time: Utc,
    },
    /// A segment of a track is complete: all its chunks were given out.
    Segment {
        /// Track it belongs to.
        track: TrackId,
        /// Its number.
        media_sequence: u64,
        /// Number of the initialization segment that it needs.
        init: u32,
        /// `baseMediaDecodeTime` of its first chunk, in ticks of the track.
        decode_time: i64,
        /// Sum of its samples' durations in ticks of the track; more than 0.
        duration: u64,
        /// It starts with a random access point.
        independent: bool,
        /// A discontinuity stands before it.
        discontinuity: bool,
        /// Discontinuities before it, itself included.
        discontinuity_sequence: u64,
        /// When its first frame was received: the receive clock at the first frame of the
        /// session, advanced by media time; set back where it would be ahead of the receive
        /// clock, catching up by at most 1/200 where it is behind. Rises from segment to
        /// segment.
        program_date_time: Utc,
        /// Target duration of the stream in seconds: the same in every segment.
        target_duration: u32,
    },
    /// A track has nothing in this segment: `EXT-X-GAP`.
    Gap {
        /// Track that is missing.
        track: TrackId,
        /// Number of the segment.
        media_sequence: u64,
        /// Where the segment starts, in ticks of the track.
        decode_time: i64,
        /// How long it lasts in the other tracks, in ticks of this one; more than 0.
        duration: u64,
        /// A discontinuity stands before it.
        discontinuity: bool,
        /// Discontinuities before it, itself included.
        discontinuity_sequence: u64,
        /// When its media would have been received.
        program_date_time: Utc,
        /// Target duration of the stream in seconds.
        target_duration: u32,
    },
    /// The set of tracks of this publish session is known: playlists may be announced. Comes
    /// after the `Init` of each of them, again after each return of a publisher.
    Settled,
    /// A source track goes on, or joins, with this configuration: for viewers who get frames as
    /// they come. Comes before [`Output::Settled`] for each track of the session, and alone when
    /// a track joins late.
    Track(CodecConfig),
    /// A frame, at its place in the stream, in the order of arrival.
    Frame(Frame),
    /// Data with a time, once its place in the stream is known. The time may be ahead of the
    /// media.
    Datum {
        /// What it is written in.
        kind: DatumKind,
        /// When it applies: decoding time of a keyframe shown then, in ticks of 1/90,000 s.
        time_90k: i64,
        /// The same by the wall clock, as program date-times have it.
        utc: Utc,
        /// Its bytes.
        payload: Bytes,
    },
    /// Something an operator wants to know.
    Event(Event),
}

/// What an operator wants to know, each counted as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Video frames come, but no random access point for this long.
    NoKeyframe {
        /// Whole seconds since the last one, or since the first frame.
        seconds: u64,
    },
    /// A segment was cut without a random access point, because the next one did not come
    /// within the target duration.
    ForcedCut {
        /// The segment that starts with an ordinary frame.
        media_sequence: u64,
    },
    /// The publisher's clock stepped, and a track (or all of them) follows its new timeline.
    TimestampStep {
        /// Track on which the step was recognised.
        track: TrackId,
        /// Decoding time that was expected, in the publisher's clock, ticks of 1/90,000 s.
        from: i64,
        /// Decoding time that came.
        to: i64,
    },
    /// A track continues with another configuration.
    ConfigChanged {
        /// The track.
        track: TrackId,
        /// Number of its new initialization segment.
        init: u32,
    },
    /// A track joined after the set of tracks was settled.
    LateTrack {
        /// The track.
        track: TrackId,
    },
    /// Video stopped while audio goes on: audio decides the boundaries, until the next
    /// random access point of video.
    VideoStalled,
    /// Audio was missing for this long, and the frame before the gap was stretched over it.
    AudioGap {
        /// Length of the gap in milliseconds.
        milliseconds: u64,
    },
    /// A configuration was refused, because its sampling rate is out of range.
    ConfigRefused {
        /// The track.
        track: TrackId,
    },
}

/// What a stream counted since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counters {
    /// Frames handed in.
    pub frames: u64,
    /// Frames thrown away, whatever the reason.
    pub dropped: u64,
    /// Of those: access units that contradict their configuration, or are too large.
    pub malformed: u64,
    /// Of those: video before a random access point.
    pub before_keyframe: u64,
    /// Frames that stood still or went back a little and were moved by one tick.
    pub bumps: u64,
    /// Frames with a time that could not be, placed one frame after the last.
    pub repaired: u64,
    /// Composition offsets brought into range.
    pub composition_clamped: u64,
    /// Segments cut without a random access point.
    pub forced_cuts: u64,
    /// Discontinuities listed.
    pub discontinuities: u64,
    /// New timelines joined.
    pub timestamp_steps: u64,
    /// Configurations that replaced another.
    pub config_changes: u64,
    /// Gaps in audio that were bridged.
    pub audio_gaps: u64,
    /// Holes in a track's timeline: a pause longer than a segment may be.
    pub holes: u64,
    /// Tracks that joined late.
    pub late_tracks: u64,
    /// Times that video stopped while audio went on.
    pub video_stalls: u64,
    /// Segments closed, over all tracks.
    pub segments: u64,
    /// Gap entries, over all tracks.
    pub gaps: u64,
    /// Chunks, over all tracks.
    pub chunks: u64,
    /// Data with a time handed in.
    pub data: u64,
    /// Of those: the same as one shortly before.
    pub data_repeated: u64,
    /// Of those: thrown away, whatever the reason.
    pub data_dropped: u64,
    /// Publish sessions.
    pub sessions: u64,
}
