//! Finds all broadcasts below `streams/`, and brings back those that were not sealed.

use super::Library;
use super::repair::{Loaded, load_set};
use crate::broadcast::{Broadcast, BroadcastId, State};
use crate::core::{Core, CurrentFile, Track};
use crate::datum::DataLog;
use crate::error::Error;
use crate::file::{Part, path};
use crate::format::record::Seal;
use crate::format::{HEADER_BYTES, Record};
use crate::limits::TRACKS_MAX;
use std::collections::BTreeSet;
use std::fs::read_dir;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use weir_media::{Now, StreamName, TrackId, TrackKind, Utc};

/// All broadcasts, oldest first. All that was repaired is on the disk then, by two syncs of
/// the data directory at most.
pub(super) fn scan(library: &Library, now: Now) -> Result<Vec<Arc<Broadcast>>, Error> {
    let mut found = Vec::new();
    for (name, dir) in entries(library.streams_dir())? {
        let Ok(name) = StreamName::parse(&name) else {
            tracing::warn!(path = %dir.display(), "not a stream's directory");
            continue;
        };
        for (id, dir) in entries(&dir)? {
            let Some(id) = BroadcastId::parse(&id) else {
                tracing::warn!(path = %dir.display(), "not a broadcast's directory");
                continue;
            };
            let broadcast = Found {
                library,
                name: name.clone(),
                id,
                dir,
                now,
            };
            found.extend(broadcast.load()?);
        }
    }
    // A writer appends where a repair ended, so repairs must be on the disk before it: bytes
    // cut off could come back among its own. One call waits for the disk once; a sync per file
    // takes 6 ms for each log, in which no publisher can come back.
    let synced = library.sync();
    if let Err(error) = &synced {
        tracing::error!(%error, "no recovered log will go on");
    }
    found.sort_by_key(|b| (b.name().clone(), b.started(), b.id()));
    for (i, broadcast) in found.iter().enumerate() {
        let newer = found.get(i + 1);
        // Only the newest of a name can go on: an older one whose log is open lost its turn.
        let superseded = newer.is_some_and(|n| n.name() == broadcast.name());
        if superseded || synced.is_err() || broadcast.state() == State::Ended {
            end(broadcast);
            // A seal says that all before it is there.
            if synced.is_ok() {
                seal(library, broadcast, now);
            }
        }
    }
    if let Err(error) = library.sync() {
        // They are sealed in memory; the next start tries again.
        tracing::warn!(%error, "seals may be lost");
    }
    Ok(found)
}

struct Found<'a> {
    library: &'a Library,
    name: StreamName,
    id: BroadcastId,
    dir: PathBuf,
    now: Now,
}

/// The sets of a track, loaded.
struct FoundTrack {
    dir: Arc<Path>,
    sets: Vec<Loaded>,
    /// Highest number in the directory, readable or not.
    number_max: u32,
}

impl Found<'_> {
    fn load(&self) -> Result<Option<Arc<Broadcast>>, Error> {
        let mut tracks = Vec::new();
        for (name, dir) in entries(&self.dir)? {
            match parse_track(&name) {
                Some((id, kind)) if tracks.len() < TRACKS_MAX => {
                    tracks.push(self.load_track(id, kind, dir.into())?);
                }
                _ => tracing::warn!(path = %dir.display(), "not a track's directory"),
            }
        }
        let sets = || tracks.iter().flat_map(|t| &t.sets);
        if sets().all(|s| s.segments.is_empty()) {
            self.remove(&tracks);
            return Ok(None);
        }
        let Some(started) = sets().map(|s| s.header.started).min() else {
            return Ok(None);
        };
        let last_sets = || tracks.iter().filter_map(|t| t.sets.last());
        let ended = last_sets().any(|s| s.is_end() || s.stopped || s.unwritable);
        let core = self.core(&tracks);
        let state = if ended { State::Ended } else { State::Grace };
        let key = self.library.key_of(self.id);
        let name = self.name.clone();
        let broadcast = Broadcast::new(self.id, name, key, started, state, core);
        Ok(Some(broadcast))
    }

    fn load_track(
        &self,
        id: TrackId,
        kind: TrackKind,
        dir: Arc<Path>,
    ) -> Result<FoundTrack, Error> {
        let numbers = self.numbers(&dir)?;
        let mut sets: Vec<Loaded> = Vec::new();
        for &number in &numbers {
            let before = sets.last().and_then(Loaded::end);
            let set = match load_set(self.library, &dir, number, before, self.now) {
                Ok(Some(set)) => set,
                Ok(None) => continue,
                // One bad log must not keep the server from starting. It stays as it is.
                Err(error) => {
                    tracing::error!(%error, "a log file cannot be read");
                    continue;
                }
            };
            let header = &set.header;
            let ours = header.broadcast == self.id.0
                && (header.track, header.kind) == (id, kind)
                && header.file_number == number;
            if ours {
                sets.push(set);
            } else {
                let path = path(&dir, number, Part::Index);
                tracing::warn!(path = %path.display(), "a log file of something else");
            }
        }
        Ok(FoundTrack {
            dir,
            sets,
            number_max: numbers.last().copied().unwrap_or(0),
        })
    }

    /// Numbers of the sets in a directory. Removes what a deletion cut short has left: data
    /// and sample tables without an index.
    fn numbers(&self, dir: &Path) -> Result<BTreeSet<u32>, Error> {
        let (mut indexed, mut others) = (BTreeSet::new(), BTreeSet::new());
        for entry in read_dir(dir).map_err(|e| Error::io("read", dir, e))? {
            let entry = entry.map_err(|e| Error::io("read", dir, e))?;
            let name = entry.file_name();
            let name = name.to_str().unwrap_or_default();
            let Some((digits, extension)) = name.split_once('.') else {
                continue;
            };
            let Ok(number) = digits.parse::<u32>() else {
                continue;
            };
            if digits != format!("{number:06}") {
                continue;
            }
            match extension {
                "index" => indexed.insert(number),
                "cmaf" | "samples" => others.insert(number),
                _ => continue,
            };
        }
        for &number in others.difference(&indexed) {
            self.library.unlink_set(dir, number);
        }
        Ok(indexed)
    }

    fn core(&self, tracks: &[FoundTrack]) -> Core {
        let mut core = Core::new(self.library.config(), 0, 0);
        core.settled = true;
        core.parked = true;
        core.file_number = tracks.iter().map(|t| t.number_max).max().unwrap_or(1);
        let all = || tracks.iter().flat_map(|t| &t.sets);
        core.target_duration = all().map(|s| s.target_duration).find(|t| *t > 0);
        for set in all() {
            if let Some(end) = set.end() {
                core.extend_set(set.header.file_number, end.time);
            }
        }
        let target = core.target_duration;
        for found in tracks {
            core.tracks.extend(self.track(found, target, &core));
        }
        core.tracks.sort_by_key(|t| t.view.id);
        let data = all().flat_map(|s| s.data.iter().map(Arc::clone)).collect();
        let floor = u32::try_from(self.now.utc.seconds()).unwrap_or(u32::MAX);
        core.data = DataLog::recovered(data, floor);
        let newest = || all().filter(|s| s.header.file_number == core.file_number);
        let start = newest().map(|s| s.header.media_sequence).min();
        let readable = |t: &FoundTrack| {
            let last = t.sets.last().map_or(0, |s| s.header.file_number);
            last == t.number_max
        };
        match start {
            Some(start) if tracks.iter().all(readable) => core.file_start = start,
            // A newest file cannot be read. Its number is taken all the same.
            _ => {
                core.file_number = core.file_number.saturating_add(1);
                core.file_start = core.next_sequence().0;
            }
        }
        core
    }

    fn track(&self, found: &FoundTrack, target: Option<u32>, core: &Core) -> Option<Track> {
        let mut inits = found.sets.iter().flat_map(|s| &s.inits);
        let (first, last) = (inits.next()?, found.sets.last()?);
        let header = last.header;
        let dir = Arc::clone(&found.dir);
        let mut track = Track::new(header.track, header.kind, dir, first.clone());
        for init in inits {
            if track.view.init(init.number).is_none() {
                // More than the limit were refused when they were written, too.
                let _ = track.add_init(init.clone());
            }
        }
        track.discontinuity_sequence = found.sets.first()?.header.discontinuity_sequence;
        for set in &found.sets {
            track.add_recovered(&set.segments, target, core.window);
        }
        track.ts_packets = last.ts_packets;
        let first_decode_time = last.segments.first().map(|s| s.info.decode_time);
        let end = found.sets.iter().rev().find_map(Loaded::end);
        track.file = Some(CurrentFile {
            log: Arc::clone(&last.log),
            header,
            data_len: last.data_len,
            samples_len: last.samples_len.max(HEADER_BYTES as u64),
            records: Arc::new(AtomicU64::new(last.records)),
            first_decode_time: first_decode_time
                .or(end.map(|e| e.decode_time))
                .unwrap_or(0),
            fresh: last.segments.is_empty(),
        });
        Some(track)
    }

    /// Removes a broadcast that never had a segment.
    fn remove(&self, tracks: &[FoundTrack]) {
        for track in tracks {
            for set in &track.sets {
                self.library.unlink_set(&track.dir, set.header.file_number);
            }
            // Fails if something else is in it, which then stays.
            let _ = std::fs::remove_dir(&track.dir);
        }
        let _ = std::fs::remove_dir(&self.dir);
        if let Some(stream) = self.dir.parent() {
            let _ = std::fs::remove_dir(stream);
        }
    }
}

/// A broadcast cannot go on.
fn end(broadcast: &Broadcast) {
    let mut core = broadcast.core();
    core.parked = false;
    broadcast.set_state(State::Ended);
    broadcast.publish(&mut core);
}

/// Seals what is not sealed of a broadcast that has ended.
fn seal(library: &Library, broadcast: &Broadcast, now: Now) {
    let core = broadcast.core();
    for track in &core.tracks {
        let Some(file) = &track.file else {
            continue;
        };
        let seal = Record::Seal(Seal {
            utc: now.utc,
            data_len: file.data_len,
            end: true,
        });
        let path = path(&track.dir, file.log.number(), Part::Index);
        match super::repair::seal_if_open(&path, file, seal) {
            Ok(true) => library.mark_unsynced(),
            Ok(false) => {}
            // It is sealed in memory; the next start tries again.
            Err(error) => tracing::warn!(%error, "cannot seal a log"),
        }
    }
}

/// Directories in a directory, by name.
fn entries(dir: &Path) -> Result<Vec<(String, PathBuf)>, Error> {
    let failed = |e| Error::io("read", dir, e);
    let mut found = Vec::new();
    for entry in read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        // A symbolic link is not followed: all that is deleted later lies in here.
        if entry.file_type().map_err(failed)?.is_dir()
            && let Ok(name) = entry.file_name().into_string()
        {
            found.push((name, entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

/// Reads a name such as `1-video`.
fn parse_track(name: &str) -> Option<(TrackId, TrackKind)> {
    let (id, kind) = name.split_once('-')?;
    let kind = match kind {
        "video" => TrackKind::Video,
        "audio" => TrackKind::Audio,
        _ => return None,
    };
    let id = TrackId(id.parse().ok()?);
    // Exactly as it is written: not `01-video`.
    (name == format!("{}-{}", id.0, kind.as_str())).then_some((id, kind))
}

/// The end of a set's media.
#[derive(Debug, Clone, Copy)]
pub(super) struct End {
    pub(super) time: Utc,
    pub(super) decode_time: u64,
    pub(super) info: crate::segment::SegmentInfo,
    pub(super) target_duration: u32,
}
