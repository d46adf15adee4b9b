//! Snapshots of a broadcast, as all workers read them.

use crate::datum::Datum;
use crate::input::SegmentStart;
use crate::list::SegmentList;
use crate::segment::{Body, Chunk, Segment, SegmentInfo};
use bytes::Bytes;
use std::sync::Arc;
use weir_media::{CodecConfig, TrackId, TrackKind};

/// A broadcast at one moment.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// Rises with each change, so that a waiter can tell news from a stray wake-up.
    pub version: u64,
    /// The list of tracks is complete: playlists may be served.
    pub settled: bool,
    /// `EXT-X-TARGETDURATION` in seconds, once the first segment is listed. Never changes.
    pub target_duration: Option<u32>,
    /// No segment will be added (`EXT-X-ENDLIST`).
    pub ended: bool,
    /// The tracks, in ascending order of their ids.
    pub tracks: Vec<Arc<TrackView>>,
    /// Data with a time, in the order in which they came: of each the newest
    /// [`crate::limits::DATA_MAX`] that are not deleted.
    pub data: Arc<Vec<Arc<Datum>>>,
}

impl View {
    /// The track with an id.
    #[must_use]
    pub fn track(&self, id: TrackId) -> Option<&Arc<TrackView>> {
        self.tracks.iter().find(|t| t.id == id)
    }
}

/// An init section.
#[derive(Debug, Clone)]
pub struct Init {
    /// Its number in the track.
    pub number: u32,
    /// The configuration it describes.
    pub config: Arc<CodecConfig>,
    /// `ftyp` and `moov`. Always in memory.
    pub data: Bytes,
}

/// The segment that is being written.
#[derive(Debug, Clone)]
pub struct OpenSegment {
    /// Its number.
    pub media_sequence: u64,
    /// What else is known of it already.
    pub start: SegmentStart,
    /// Bytes of its chunks so far.
    pub len: u64,
    /// Its chunks so far.
    pub chunks: Arc<Vec<Arc<Chunk>>>,
}

/// Listed segments with consecutive numbers, one init section and no discontinuity between them.
/// The first one is remembered when retention has deleted it, until the whole run is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Number of its first segment.
    pub first: u64,
    /// Decoding time of that segment's first sample, in ticks.
    pub decode_time: u64,
    /// Number of its init section.
    pub init: u32,
    /// Discontinuities before its first sample.
    pub discontinuity_sequence: u64,
    /// Number after its last segment; [`u64::MAX`] while it goes on.
    pub end: u64,
}

/// A track at one moment.
#[derive(Debug, Clone)]
pub struct TrackView {
    /// Its id.
    pub id: TrackId,
    /// Its kind.
    pub kind: TrackKind,
    /// The current configuration.
    pub config: Arc<CodecConfig>,
    /// Ticks per second. Fixed for the track.
    pub timescale: u32,
    /// Largest bit rate of a segment so far, in bits per second (`BANDWIDTH`).
    pub bandwidth_peak: u64,
    /// Mean bit rate so far, in bits per second (`AVERAGE-BANDWIDTH`).
    pub bandwidth_average: u64,
    pub(crate) inits: Arc<Vec<Init>>,
    pub(crate) segments: SegmentList,
    pub(crate) open: Option<OpenSegment>,
    /// Closed, and not listed yet because their append has not completed.
    pub(crate) closing: Arc<[Arc<Segment>]>,
    pub(crate) live_start: u64,
    pub(crate) runs: Arc<Vec<Run>>,
    /// The last segment whose append completed.
    pub(crate) recorded_to: Option<u64>,
    /// Recording stopped early: what follows `recorded_to` will never be in the log.
    pub(crate) is_cut: bool,
}

impl TrackView {
    /// The init sections, oldest first.
    #[must_use]
    pub fn inits(&self) -> &[Init] {
        &self.inits
    }

    /// The init section with a number.
    #[must_use]
    pub fn init(&self, number: u32) -> Option<&Init> {
        self.inits.iter().rev().find(|i| i.number == number)
    }

    /// Number of the oldest segment that can be fetched.
    #[must_use]
    pub fn first_sequence(&self) -> Option<u64> {
        self.segments.first()
    }

    /// The newest closed segment.
    #[must_use]
    pub fn last(&self) -> Option<SegmentInfo> {
        self.segments.last()
    }

    /// A closed segment, whether the live playlist still lists it or not.
    #[must_use]
    pub fn segment(&self, media_sequence: u64) -> Option<Arc<Segment>> {
        self.segments.get(media_sequence).or_else(|| {
            // A low-latency playlist lists these already.
            let mut closing = self.closing.iter();
            let found = closing.find(|s| s.info.media_sequence == media_sequence);
            found.cloned()
        })
    }

    /// Its runs, oldest first.
    #[must_use]
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// The segment that is being written, if it has a chunk.
    #[must_use]
    pub fn open(&self) -> Option<&OpenSegment> {
        self.open.as_ref()
    }

    /// Closed segments that are not listed yet, because their append has not completed: oldest
    /// first, after [`TrackView::last`].
    #[must_use]
    pub fn closing(&self) -> &[Arc<Segment>] {
        &self.closing
    }

    /// A chunk of the open segment or of a recent one: an LL-HLS part.
    #[must_use]
    pub fn chunk(&self, media_sequence: u64, part: u32) -> Option<Arc<Chunk>> {
        let find = |chunks: &[Arc<Chunk>]| {
            let i = chunks.binary_search_by_key(&part, |c| c.part).ok()?;
            chunks.get(i).cloned()
        };
        if let Some(open) = &self.open
            && open.media_sequence == media_sequence
        {
            return find(&open.chunks);
        }
        let closing = self.closing.iter();
        let mut closing = closing.filter(|s| s.info.media_sequence == media_sequence);
        match closing.next() {
            Some(segment) => find(&segment.chunks),
            None => find(&self.segment(media_sequence)?.chunks),
        }
    }

    /// Bytes of the open segment so far.
    #[must_use]
    pub fn open_body(&self) -> Option<Body> {
        self.open.as_ref().map(|o| Body::of_chunks(&o.chunks))
    }

    /// The segments of the live playlist, oldest first, with their chunks. Its first one
    /// gives `EXT-X-MEDIA-SEQUENCE` and `EXT-X-DISCONTINUITY-SEQUENCE`.
    #[must_use]
    pub fn window(&self) -> Vec<Arc<Segment>> {
        self.segments.from(self.live_start)
    }

    /// All recorded segments, oldest first: the playlist of the whole. If recording stopped
    /// early it ends there; later segments were only live.
    pub fn all(&self) -> impl Iterator<Item = SegmentInfo> + '_ {
        let end = self.recorded_to.filter(|_| self.is_cut).unwrap_or(u64::MAX);
        self.segments
            .iter()
            .take_while(move |s| s.media_sequence <= end)
    }
}
