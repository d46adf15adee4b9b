//! Data with a time, such as the cues of SCTE-35: part of a broadcast, and of none of its tracks.

use crate::limits::DATA_MAX;
use bytes::Bytes;
use std::sync::Arc;
use weir_media::{DatumKind, Utc};

/// A datum of a broadcast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datum {
    /// Number within the broadcast; rises, and is not used again.
    pub number: u32,
    /// What it is written in.
    pub kind: DatumKind,
    /// When it applies, in the stream's ticks of 1/90,000 s.
    pub time_90k: i64,
    /// The same by the wall clock, on which `EXT-X-PROGRAM-DATE-TIME` is.
    pub utc: Utc,
    /// Its bytes.
    pub payload: Bytes,
}

/// The data of a broadcast, oldest first.
#[derive(Debug, Default)]
pub(crate) struct DataLog {
    all: Arc<Vec<Arc<Datum>>>,
    next: u32,
    /// Those that no file was there for, which then go to the first one.
    pub(crate) unrecorded: Vec<Arc<Datum>>,
}

impl DataLog {
    /// What a log held. Numbers go on above all that were given, and above `floor`: those of
    /// deleted files are not known any more.
    pub(crate) fn recovered(mut found: Vec<Arc<Datum>>, floor: u32) -> Self {
        found.sort_by_key(|d| d.number);
        found.dedup_by_key(|d| d.number);
        let excess = found.len().saturating_sub(DATA_MAX);
        found.drain(..excess);
        let next = found.last().map_or(floor, |d| floor.max(d.number));
        Self {
            all: Arc::new(found),
            next,
            unrecorded: Vec::new(),
        }
    }

    pub(crate) fn all(&self) -> Arc<Vec<Arc<Datum>>> {
        Arc::clone(&self.all)
    }

    /// Adds a datum under the next number. The oldest makes way if there are too many; the log
    /// keeps it.
    pub(crate) fn add(&mut self, datum: Datum) -> Arc<Datum> {
        self.next = self.next.saturating_add(1);
        let datum = Arc::new(Datum {
            number: self.next,
            ..datum
        });
        let all = Arc::make_mut(&mut self.all);
        if all.len() >= DATA_MAX {
            all.remove(0);
        }
        all.push(Arc::clone(&datum));
        datum
    }

    /// Keeps a datum for the first file.
    pub(crate) fn keep_for_file(&mut self, datum: Arc<Datum>) {
        if self.unrecorded.len() < DATA_MAX {
            self.unrecorded.push(datum);
        }
    }

    /// Forgets what applied before `oldest`: the files with it are deleted.
    pub(crate) fn forget_before(&mut self, oldest: Utc) {
        if self.all.iter().any(|d| d.utc < oldest) {
            Arc::make_mut(&mut self.all).retain(|d| d.utc >= oldest);
        }
    }
}
