//! Deleting: by age, and when the disk is nearly full. Whole numbered file sets go, oldest
//! first, of all tracks at once.

use crate::broadcast::{Broadcast, BroadcastId, State};
use crate::core::Track;
use crate::error::Error;
use crate::file::{Part, path};
use crate::library::Library;
use crate::stats::add;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use weir_media::{Now, StreamName, Utc};

/// Room on the disk that holds the data directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskSpace {
    /// Bytes that can still be written.
    pub free: u64,
    /// Bytes in all.
    pub total: u64,
}

impl DiskSpace {
    fn is_below(&self, percent: u8) -> bool {
        u128::from(self.free) * 100 < u128::from(self.total) * u128::from(percent)
    }
}

/// A file set that was deleted, on all tracks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deleted {
    /// The stream.
    pub name: StreamName,
    /// The broadcast.
    pub broadcast: BroadcastId,
    /// Number of the set.
    pub number: u32,
    /// Wall-clock time at which its media ends.
    pub end: Utc,
    /// Bytes of its files.
    pub bytes: u64,
    /// Nothing is left of the broadcast.
    pub last: bool,
}

struct Candidate {
    end: Utc,
    broadcast: Arc<Broadcast>,
    number: u32,
}

impl Library {
    /// Deletes what is older than [`crate::LibraryConfig::keep`], and the oldest of what is
    /// complete while `disk` has less room than
    /// [`crate::LibraryConfig::free_disk_percent_min`]. Never the file that is written, nor
    /// one of which a live playlist lists a segment.
    ///
    /// Also moves broadcasts that ended a while ago to the compact form in memory. It
    /// blocks: call it from a thread that serves nobody, every few seconds.
    pub fn retain(&self, now: Now, mut disk: DiskSpace) -> Vec<Deleted> {
        let mut candidates = Vec::new();
        for entry in self.streams() {
            for broadcast in &*entry.broadcasts() {
                self.pack_ended(broadcast, now);
                collect(broadcast, &mut candidates);
            }
        }
        candidates.sort_by_key(|c| (c.end, c.number));
        let keep = self.config().keep.map(|keep| {
            let us = i64::try_from(keep.as_micros()).unwrap_or(i64::MAX);
            now.utc.plus_us(us.saturating_neg())
        });
        let percent = self.config().free_disk_percent_min;
        let mut deleted = Vec::new();
        for candidate in candidates {
            let too_old = keep.is_some_and(|keep| candidate.end < keep);
            if !too_old && !disk.is_below(percent) {
                break;
            }
            let gone = self.delete(&candidate);
            disk.free = disk.free.saturating_add(gone.bytes);
            deleted.push(gone);
        }
        deleted
    }

    /// Some time after the end nobody needs parts any more, nor what was never recorded.
    fn pack_ended(&self, broadcast: &Broadcast, now: Now) {
        let mut core = broadcast.core();
        let quiet = self.config().window * 2;
        if core.ended_at.is_none_or(|at| now.mono.since(at) <= quiet) {
            return;
        }
        core.ended_at = None;
        for track in &mut core.tracks {
            track.pack();
        }
        core.tracks.shrink_to_fit();
        broadcast.publish(&mut core);
        let nothing_left = core.sets.is_empty();
        drop(core);
        if nothing_left {
            self.forget(broadcast);
        }
    }

    fn delete(&self, candidate: &Candidate) -> Deleted {
        let Candidate {
            end,
            broadcast,
            number,
        } = candidate;
        let dirs: Vec<Arc<Path>>;
        let last;
        {
            let mut core = broadcast.core();
            core.sets.remove(number);
            for track in &mut core.tracks {
                track.drop_file(*number);
            }
            let oldest = core.tracks.iter().filter_map(Track::start).min();
            if let Some(oldest) = oldest {
                core.data.forget_before(oldest);
            }
            dirs = core.tracks.iter().map(|t| Arc::clone(&t.dir)).collect();
            last = core.sets.is_empty() && broadcast.state() == State::Ended;
            broadcast.publish(&mut core);
        }
        let mut bytes = 0;
        for dir in &dirs {
            bytes += self.unlink_set(dir, *number);
        }
        if last {
            self.forget(broadcast);
            self.remove_dirs(broadcast, &dirs);
        }
        tracing::info!(
            stream = %broadcast.name(), broadcast = %broadcast.id(), number, bytes,
            "deleted by retention"
        );
        Deleted {
            name: broadcast.name().clone(),
            broadcast: broadcast.id(),
            number: *number,
            end: *end,
            bytes,
            last,
        }
    }

    /// Unlinks the files of a set; returns how many bytes they had.
    pub(crate) fn unlink_set(&self, dir: &Path, number: u32) -> u64 {
        let mut bytes = 0;
        // The index goes first: what is left after a crash is data without one, which the
        // next start removes.
        for part in Part::ALL {
            let path = path(dir, number, part);
            let Ok(metadata) = std::fs::symlink_metadata(&path) else {
                continue;
            };
            match std::fs::remove_file(&path) {
                Ok(()) => {
                    bytes += metadata.len();
                    add(&self.counters().files_deleted, 1);
                }
                Err(e) => tracing::warn!(error = %Error::io("delete", &path, e), "retention"),
            }
        }
        bytes
    }

    /// Removes the directories of a broadcast, and of its stream, if they are empty.
    fn remove_dirs(&self, broadcast: &Broadcast, tracks: &[Arc<Path>]) {
        let dir = self.broadcast_dir(broadcast.name(), broadcast.id());
        // A directory with something else in it stays, by rmdir(2).
        for track in tracks {
            let _ = std::fs::remove_dir(track);
        }
        let _ = std::fs::remove_dir(&dir);
        if let Some(stream) = dir.parent() {
            let _ = std::fs::remove_dir(stream);
        }
    }
}

/// The file sets of a broadcast that may go.
fn collect(broadcast: &Arc<Broadcast>, candidates: &mut Vec<Candidate>) {
    let core = broadcast.core();
    let ended = broadcast.state() == State::Ended;
    let mut busy = BTreeSet::new();
    if !ended {
        for track in &core.tracks {
            busy.extend(track.file.as_ref().map(|f| f.log.number()));
            busy.extend(track.window_files());
        }
        busy.insert(core.file_number);
    }
    for (&number, &end) in &core.sets {
        if !busy.contains(&number) {
            candidates.push(Candidate {
                end,
                broadcast: Arc::clone(broadcast),
                number,
            });
        }
    }
}
