//! The writer's side of a broadcast: state that the owner changes and snapshots come from.
//! It does no input or output.

mod track;

pub(crate) use track::{CurrentFile, Track};

use crate::config::LibraryConfig;
use crate::datum::DataLog;
use crate::limits::MEMORY_BYTES_MAX;
use crate::view::View;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use weir_media::{Mono, TrackId, Utc};

/// What is known of a broadcast beyond its identity.
#[derive(Debug)]
pub(crate) struct Core {
    /// Version of the last snapshot.
    pub(crate) version: u64,
    pub(crate) settled: bool,
    pub(crate) target_duration: Option<u32>,
    pub(crate) tracks: Vec<Track>,
    /// Number of the newest file set. All tracks change files at the same segment, so that
    /// deleting a set shortens all of them alike.
    pub(crate) file_number: u32,
    /// First segment of that set.
    pub(crate) file_start: u64,
    /// First segment of the next set, once a file is nearly full.
    pub(crate) rotate_at: Option<u64>,
    /// When the media of each file set ends.
    pub(crate) sets: BTreeMap<u32, Utc>,
    /// No [`crate::Writer`] and none of its tasks exists: the broadcast may be resumed.
    pub(crate) parked: bool,
    /// Number of the next segment if no track has one yet.
    pub(crate) media_sequence: u64,
    /// Discontinuities before that segment.
    pub(crate) discontinuity_sequence: u64,
    /// When it was sealed in this run.
    pub(crate) ended_at: Option<Mono>,
    pub(crate) window: Duration,
    pub(crate) data: DataLog,
}

impl Core {
    pub(crate) fn new(
        config: &LibraryConfig,
        media_sequence: u64,
        discontinuity_sequence: u64,
    ) -> Self {
        Self {
            version: 0,
            settled: false,
            target_duration: None,
            tracks: Vec::new(),
            file_number: 1,
            file_start: media_sequence,
            rotate_at: None,
            sets: BTreeMap::new(),
            parked: false,
            media_sequence,
            discontinuity_sequence,
            ended_at: None,
            window: config.window,
            data: DataLog::default(),
        }
    }

    pub(crate) fn view(&self, ended: bool) -> View {
        View {
            version: self.version,
            settled: self.settled,
            target_duration: self.target_duration,
            ended,
            tracks: self.tracks.iter().map(|t| Arc::clone(&t.view)).collect(),
            data: self.data.all(),
        }
    }

    pub(crate) fn track(&mut self, id: TrackId) -> Option<&mut Track> {
        self.tracks.iter_mut().find(|t| t.view.id == id)
    }

    /// The number after the highest of any track, and the discontinuities up to there.
    pub(crate) fn next_sequence(&self) -> (u64, u64) {
        let mut next = (self.media_sequence, self.discontinuity_sequence);
        for track in &self.tracks {
            if let Some(last) = track.last_sequence {
                next.0 = next.0.max(last.saturating_add(1));
            }
            next.1 = next.1.max(track.discontinuity_sequence);
        }
        next
    }

    /// Number of the file set that a segment belongs to. Starts the next one if it is due.
    pub(crate) fn file_for(&mut self, media_sequence: u64) -> u32 {
        if let Some(at) = self.rotate_at
            && media_sequence >= at
        {
            self.file_number = self.file_number.saturating_add(1);
            self.file_start = at;
            self.rotate_at = None;
        }
        if media_sequence >= self.file_start {
            self.file_number
        } else {
            self.file_number.saturating_sub(1).max(1)
        }
    }

    /// Notes that the media of a file set goes on to `end`.
    pub(crate) fn extend_set(&mut self, number: u32, end: Utc) {
        let set = self.sets.entry(number).or_insert(end);
        *set = end.max(*set);
    }

    /// Lists closed segments of a track, in order, up to the first whose append has not
    /// completed; all of them if `force` is set.
    pub(crate) fn list_closed(&mut self, id: TrackId, force: bool, recording: bool) -> Listed {
        let (window, target) = (self.window, self.target_duration);
        let mut listed = Listed::default();
        let Some(track) = self.track(id) else {
            return listed;
        };
        while let Some(closing) = track.closing.front() {
            if !closing.appended && !force {
                break;
            }
            if let Some(closing) = track.closing.pop_front() {
                listed.segments += 1;
                listed.unstored += u64::from(!closing.appended);
                track.list(closing, target, window);
            }
        }
        if listed.segments > 0 && !recording {
            self.drop_unstored();
        }
        listed
    }

    /// Keeps what was never stored within its bounds: two windows (what a playlist lists,
    /// and what the playlist before it listed) and [`MEMORY_BYTES_MAX`].
    fn drop_unstored(&mut self) {
        let share = MEMORY_BYTES_MAX / self.tracks.len().max(1) as u64;
        for track in &mut self.tracks {
            track.drop_unstored(share);
        }
    }
}

/// What [`Core::list_closed`] did.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Listed {
    pub(crate) segments: u64,
    pub(crate) unstored: u64,
}
