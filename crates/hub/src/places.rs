//! Where a track is in the lists of this crate.

use crate::limits::TRACKS_MAX;
use weir_media::{TrackId, TrackKind};

/// Place of a kind's first track in the lists of this crate: video first, since it leads.
pub(crate) fn index(kind: TrackKind) -> usize {
    match kind {
        TrackKind::Video => VIDEO,
        TrackKind::Audio => AUDIO,
    }
}

/// Place of the first video track.
pub(crate) const VIDEO: usize = 0;
/// Place of the first audio track.
pub(crate) const AUDIO: usize = 1;
/// Place from which on a publisher's other tracks are, in the order in which they came.
pub(crate) const OTHERS: usize = 2;

/// Which of a publisher's tracks has which place. A place is kept for the whole broadcast.
#[derive(Debug, Default)]
pub(crate) struct Places {
    others: Vec<(TrackId, TrackKind)>,
}

impl Places {
    /// The place of a track; `None` if it has none.
    pub(crate) fn find(&self, track: TrackId, kind: TrackKind) -> Option<usize> {
        if track == TrackId::source(kind) {
            return Some(index(kind));
        }
        let at = self.others.iter().position(|o| *o == (track, kind))?;
        Some(OTHERS + at)
    }

    /// The track in a place.
    pub(crate) fn track(&self, slot: usize) -> Option<TrackId> {
        match slot {
            VIDEO => Some(TrackId::SOURCE_VIDEO),
            AUDIO => Some(TrackId::SOURCE_AUDIO),
            other => self.others.get(other - OTHERS).map(|o| o.0),
        }
    }

    /// The same, given if there is room.
    pub(crate) fn find_or_give(&mut self, track: TrackId, kind: TrackKind) -> Option<usize> {
        let known = self.find(track, kind);
        // A number that means a track of the other kind means no other.
        let taken = [TrackId::SOURCE_VIDEO, TrackId::SOURCE_AUDIO].contains(&track)
            || self.others.iter().any(|o| o.0 == track);
        if known.is_some() || taken || self.others.len() + OTHERS >= TRACKS_MAX {
            return known;
        }
        self.others.push((track, kind));
        self.find(track, kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_kept_and_bounded() {
        let mut places = Places::default();
        let (video, audio) = (TrackKind::Video, TrackKind::Audio);
        assert_eq!(places.find(TrackId::SOURCE_AUDIO, audio), Some(AUDIO));
        assert_eq!(places.find(TrackId(3), video), None);
        assert_eq!(places.find_or_give(TrackId(4), audio), Some(2));
        assert_eq!(places.find_or_give(TrackId(3), video), Some(3));
        assert_eq!(places.find_or_give(TrackId(4), audio), Some(2));
        assert_eq!(places.find_or_give(TrackId(3), audio), None, "it is video");
        assert_eq!(places.find_or_give(TrackId::SOURCE_VIDEO, audio), None);
        for id in 10..100 {
            places.find_or_give(TrackId(id), video);
        }
        assert_eq!(places.others.len() + OTHERS, TRACKS_MAX);
        assert_eq!(places.find_or_give(TrackId(3), video), Some(3));
    }
}
