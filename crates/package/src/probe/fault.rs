//! What can be wrong inside a stream that can be read.

/// One kind of fault and how often it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What it is.
    pub kind: FaultKind,
    /// How often.
    pub count: u64,
    /// Where it was seen first, and what was there. Free of control characters.
    pub first: String,
}

/// Faults by kind, in the order in which they were first seen. Bounded by the number of
/// kinds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Faults(Vec<Fault>);

/// What is wrong. A player or a recorder stumbles over each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultKind {
    /// A frame is decoded before the one in front of it.
    DtsBack,
    /// A frame is decoded at the same time as the one in front of it.
    DtsRepeated,
    /// A frame comes more than [`crate::limits::STEP_MAX`] after the one in front of it.
    Step,
    /// A frame is presented before it is decoded (FLV; in MP4 this is allowed).
    PtsBeforeDts,
    /// A frame's NAL units or header are malformed.
    MalformedFrame,
    /// The codec configuration cannot be read.
    MalformedConfig,
    /// Frames come without a codec configuration.
    NoConfig,
    /// HEVC under the codec number of H.264, as OBS before 29.1 wrote.
    HevcAsAvc,
    /// A frame is marked as a keyframe, but decoding cannot start there.
    FalseKey,
    /// The track has no frames.
    NoFrames,
    /// The first frame is no keyframe.
    StartsWithoutKey,
    /// A sample does not lie inside the file.
    OutOfFile,
    /// A sample has a size, but no place.
    WithoutChunk,
    /// The samples of the tracks overlap: together they are larger than the file.
    Overlap,
    /// The stream ends in the middle of a unit.
    CutShort,
    /// The stream cannot be read from here on.
    Unreadable,
    /// The metadata cannot be read.
    Metadata,
    /// The file header announces a track that does not come: players wait for it.
    Announced,
    /// A playlist cannot be loaded or read.
    Playlist,
    /// A segment or initialisation section cannot be loaded.
    Segment,
    /// A segment, rounded to seconds, is longer than the target duration (rfc8216bis
    /// §4.4.3.1).
    TargetDuration,
    /// The playlist uses what its `EXT-X-VERSION` does not have (§8).
    Version,
    /// The playlist has no segments.
    NoSegments,
    /// A variant names an audio group that has no rendition (§4.4.6.2).
    AudioGroup,
    /// More media playlists than [`crate::limits::PLAYLISTS_MAX`]; the rest was not loaded.
    TooManyPlaylists,
    /// A segment has more bits per second than `BANDWIDTH` says (§4.4.6.2).
    Bandwidth,
    /// `CODECS` does not name a codec that is in the stream (§4.4.6.2).
    Codecs,
    /// A segment's media is longer or shorter than its `EXTINF`.
    SegmentDuration,
    /// The decoding time does not advance as the playlist's durations say.
    Timeline,
    /// A transport packet does not start with 0x47.
    Sync,
    /// A transport stream segment without program association section.
    NoPat,
    /// A transport stream segment without program map section.
    NoPmt,
}

impl FaultKind {
    /// A short phrase that names it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DtsBack => "decoding time goes back",
            Self::DtsRepeated => "decoding time repeats",
            Self::Step => "decoding time jumps by more than 3 s",
            Self::PtsBeforeDts => "presented before decoded",
            Self::MalformedFrame => "malformed frame",
            Self::MalformedConfig => "malformed codec configuration",
            Self::NoConfig => "no codec configuration",
            Self::HevcAsAvc => "HEVC labelled as H.264",
            Self::FalseKey => "marked as keyframe, but is none",
            Self::NoFrames => "no frames",
            Self::StartsWithoutKey => "does not start with a keyframe",
            Self::OutOfFile => "sample outside of the file",
            Self::WithoutChunk => "sample without a place in the file",
            Self::Overlap => "samples overlap",
            Self::CutShort => "ends in the middle",
            Self::Unreadable => "cannot be read further",
            Self::Metadata => "malformed metadata",
            Self::Announced => "announced, but absent",
            Self::Playlist => "playlist unavailable",
            Self::Segment => "segment unavailable",
            Self::TargetDuration => "segment longer than the target duration",
            Self::Version => "EXT-X-VERSION too low",
            Self::NoSegments => "no segments",
            Self::AudioGroup => "audio group does not exist",
            Self::TooManyPlaylists => "too many playlists, rest not loaded",
            Self::Bandwidth => "bit rate above BANDWIDTH",
            Self::Codecs => "codec not in CODECS",
            Self::SegmentDuration => "media duration differs from EXTINF",
            Self::Timeline => "timeline differs from the playlist",
            Self::Sync => "transport packet without sync byte",
            Self::NoPat => "no program association (PAT)",
            Self::NoPmt => "no program map (PMT)",
        }
    }
}

impl Faults {
    /// The faults, in the order in which they were first seen.
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.0.iter()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How often one kind was seen.
    #[must_use]
    pub fn count(&self, kind: FaultKind) -> u64 {
        self.0
            .iter()
            .find(|f| f.kind == kind)
            .map_or(0, |f| f.count)
    }

    /// How many faults of all kinds were seen.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().fold(0, |n, f| n.saturating_add(f.count))
    }

    /// Counts a fault; `place` is asked for the first of its kind.
    pub(super) fn add(&mut self, kind: FaultKind, place: impl FnOnce() -> String) {
        self.add_many(kind, 1, place);
    }

    /// Counts `count` faults at once; none if it is 0.
    pub(super) fn add_many(&mut self, kind: FaultKind, count: u64, place: impl FnOnce() -> String) {
        if count == 0 {
            return;
        }
        match self.0.iter_mut().find(|f| f.kind == kind) {
            Some(fault) => fault.count = fault.count.saturating_add(count),
            None => self.0.push(Fault {
                kind,
                count,
                first: printable(&place()),
            }),
        }
    }
}

/// Text from a peer, fit for a terminal.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_counted_by_kind_with_their_first_place() {
        let mut faults = Faults::default();
        faults.add(FaultKind::Step, || "a\u{1b}[2J".to_owned());
        faults.add(FaultKind::Step, || "b".to_owned());
        faults.add_many(FaultKind::DtsBack, 0, String::new);
        assert_eq!((faults.count(FaultKind::Step), faults.total()), (2, 2));
        assert_eq!(faults.iter().next().unwrap().first, "a\u{fffd}[2J");
    }
}
