//! The data directory: names, keys, broadcasts.

mod files;
mod repair;
mod scan;
mod tail;

use crate::broadcast::{Broadcast, BroadcastId, State, StreamEntry};
use crate::config::LibraryConfig;
use crate::core::Core;
use crate::error::Error;
use crate::file::HandleCache;
use crate::key::{Key, KeyMaker, from_hex};
use crate::limits::WORKERS_MAX;
use crate::shard::Sharded;
use crate::stats::{Counters, Stats, add};
use crate::writer::{OpenRequest, Opened, ResumeInfo, ResumeTrack, Start, Writer};
use files::FileThread;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use weir_media::{Now, StreamName, Utc};

/// Unit in which the discontinuity sequence of a new broadcast follows the clock.
const SECONDS_PER_DAY: u64 = 86_400;

/// Called on the thread of a writer, to tell a worker that a stream has news.
type Wake = Box<dyn Fn(StreamName) + Send + Sync>;

/// All logs below a data directory. It is held by one process at a time.
pub struct Library {
    config: LibraryConfig,
    streams_dir: PathBuf,
    keys: KeyMaker,
    names: Sharded<StreamName, Arc<StreamEntry>>,
    by_key: Sharded<Key, Arc<Broadcast>>,
    /// Held while a name or broadcast is added or removed. Readers do not take it.
    registry: Mutex<()>,
    counters: Arc<Counters>,
    cache: Arc<HandleCache>,
    wakes: Vec<OnceLock<Wake>>,
    files: FileThread,
    lock: Lock,
    /// Something was appended since the last sync.
    unsynced: AtomicBool,
    #[cfg(test)]
    pub(crate) faults: crate::writer::Faults,
}

impl Library {
    /// Opens a data directory, creating what is missing, and recovers all logs in it. Logs
    /// that were not sealed come back in [`State::Grace`].
    ///
    /// It blocks, for about as long as reading all index files takes. What it repairs is on
    /// the disk when it returns.
    ///
    /// # Errors
    /// The directory is in use, or it or a log in it cannot be read or written. A damaged
    /// log is no error: what is whole in it is kept.
    pub fn open(config: LibraryConfig, now: Now) -> Result<Arc<Self>, Error> {
        let streams_dir = config.data.join("streams");
        std::fs::create_dir_all(&streams_dir).map_err(|e| Error::io("create", &streams_dir, e))?;
        let lock = lock(&config.data)?;
        let counters = Arc::new(Counters::default());
        let library = Arc::new(Self {
            streams_dir,
            keys: KeyMaker::new()?,
            names: Sharded::new(),
            by_key: Sharded::new(),
            registry: Mutex::default(),
            cache: HandleCache::new(Arc::clone(&counters)),
            counters,
            wakes: (0..WORKERS_MAX).map(|_| OnceLock::new()).collect(),
            files: FileThread::start()?,
            config,
            lock,
            unsynced: AtomicBool::new(false),
            #[cfg(test)]
            faults: crate::writer::Faults::default(),
        });
        for found in scan::scan(&library, now)? {
            library.add(found);
        }
        Ok(library)
    }

    /// How it was opened.
    #[must_use]
    pub fn config(&self) -> &LibraryConfig {
        &self.config
    }

    /// What a name stands for, if it ever had a broadcast that is still there.
    #[must_use]
    pub fn stream(&self, name: &str) -> Option<Arc<StreamEntry>> {
        self.names.get(name)
    }

    /// What a name stands for, which may be nothing yet: for names that will have a broadcast, so
    /// that one can wait for it. The caller bounds how many there are.
    #[must_use]
    pub fn expect(&self, name: &StreamName) -> Arc<StreamEntry> {
        let registry = self.registry();
        self.entry(&registry, name)
    }

    /// The broadcast with a key, for paths below `/s/{key}/`.
    #[must_use]
    pub fn by_key(&self, key: &str) -> Option<Arc<Broadcast>> {
        self.by_key.get(&from_hex(key)?)
    }

    /// All names, in no order.
    #[must_use]
    pub fn streams(&self) -> Vec<Arc<StreamEntry>> {
        self.names.values()
    }

    /// Names whose broadcast is in grace without a writer: after a restart, those that a
    /// publisher may come back to, and that have to be resumed and sealed if none does.
    #[must_use]
    pub fn unsealed(&self) -> Vec<StreamName> {
        let mut names = Vec::new();
        for entry in self.streams() {
            if let Some(current) = entry.current()
                && current.state() != State::Ended
                && current.core().parked
            {
                names.push(entry.name().clone());
            }
        }
        names
    }

    /// Where the numbers of a new broadcast start: above all that its name ever had, and
    /// not below the time, so that even a lost disk does not rewind: in seconds for
    /// segments, in days for discontinuities.
    #[must_use]
    pub fn next_sequence(&self, name: &StreamName, now: Utc) -> Start {
        let seconds = now.seconds();
        let mut start = Start {
            media_sequence: seconds,
            // Not seconds: hls.js 1.7 keeps an array with one place per discontinuity, and
            // walks it from 0. At 1.8e9 places it hangs; at 2e4 nobody notices.
            discontinuity_sequence: seconds / SECONDS_PER_DAY,
        };
        if let Some(entry) = self.stream(name.as_str()) {
            for broadcast in &*entry.broadcasts() {
                let (next, discontinuities) = broadcast.core().next_sequence();
                let next_discontinuity = discontinuities.saturating_add(1);
                start.media_sequence = start.media_sequence.max(next);
                start.discontinuity_sequence = start.discontinuity_sequence.max(next_discontinuity);
            }
        }
        start
    }

    /// Starts a broadcast. No file is touched before its first chunk.
    ///
    /// # Errors
    /// [`Error::StillOpen`] if the name has a broadcast that is not sealed, or
    /// [`Error::NoRandomness`].
    pub fn begin(
        self: &Arc<Self>,
        name: &StreamName,
        start: Start,
        now: Now,
    ) -> Result<Writer, Error> {
        let id = BroadcastId::random()?;
        let registry = self.registry();
        let current = self.stream(name.as_str()).and_then(|e| e.current());
        if current.is_some_and(|b| b.state() != State::Ended) {
            return Err(Error::StillOpen(name.clone()));
        }
        let core = Core::new(
            &self.config,
            start.media_sequence,
            start.discontinuity_sequence,
        );
        let key = self.keys.key(id);
        let broadcast = Broadcast::new(id, name.clone(), key, now.utc, State::Live, core);
        let entry = self.insert(&registry, Arc::clone(&broadcast));
        drop(registry);
        self.wake(&entry);
        Ok(Writer::new(Arc::clone(self), entry, broadcast))
    }

    /// Goes on with the broadcast of a name that is in grace and has no writer: one that
    /// was recovered, or whose writer was dropped. It is live again.
    ///
    /// A track that is a segment behind the others gets gaps up to them, so that all go on
    /// with the same number.
    ///
    /// `None` if there is none. A broadcast whose recording stopped in an earlier run does
    /// not come back: what viewers saw after that is lost, and with it the numbers.
    ///
    /// Call it on the worker that will own the stream.
    #[must_use]
    pub fn resume(self: &Arc<Self>, name: &StreamName) -> Option<(Writer, ResumeInfo)> {
        let entry = self.stream(name.as_str())?;
        let broadcast = entry.current()?;
        {
            let mut core = broadcast.core();
            if broadcast.state() == State::Ended || !core.parked {
                return None;
            }
            core.parked = false;
        }
        broadcast.set_state(State::Live);
        let mut writer = Writer::new(Arc::clone(self), entry, Arc::clone(&broadcast));
        writer.level();
        let info = resume_info(&broadcast.core());
        Some((writer, info))
    }

    /// Registers how a worker is woken, at most once per worker. `wake` is called on the
    /// thread of a writer, holding its broadcast: it may send a message, and nothing else.
    ///
    /// # Errors
    /// [`Error::Limit`] if `index` is not below [`WORKERS_MAX`].
    pub fn register_worker(
        &self,
        index: usize,
        wake: Box<dyn Fn(StreamName) + Send + Sync>,
    ) -> Result<(), Error> {
        let slot = self.wakes.get(index).ok_or(Error::Limit("workers"))?;
        // A second registration changes nothing.
        let _ = slot.set(wake);
        Ok(())
    }

    /// A segment was appended: the next [`Library::sync`] has something to do.
    pub(crate) fn mark_unsynced(&self) {
        self.unsynced.store(true, Ordering::Release);
    }

    /// Brings all segments that were appended before the call to the disk (syncfs(2): one call
    /// for all streams, and the kernel's own threads do the writing). False if there were
    /// none. It blocks: call it from a thread that serves nobody, about once a second; a power
    /// cut loses what came after the last call.
    ///
    /// # Errors
    /// The disk's. What was listed stays listed.
    pub fn sync(&self) -> Result<bool, Error> {
        if !self.unsynced.swap(false, Ordering::AcqRel) {
            return Ok(false);
        }
        rustix::fs::syncfs(&self.lock.0).map_err(|e| {
            add(&self.counters.append_errors, 1);
            Error::io("sync", &self.config.data, e.into())
        })?;
        add(&self.counters.syncs, 1);
        Ok(true)
    }

    /// Counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.counters.read()
    }

    /// Wakes the workers that wait for an entry, each once.
    pub(crate) fn wake(&self, entry: &StreamEntry) {
        let mut waiting = entry.take_waiting();
        while waiting != 0 {
            let worker = waiting.trailing_zeros() as usize;
            waiting &= waiting - 1;
            if let Some(wake) = self.wakes.get(worker).and_then(OnceLock::get) {
                wake(entry.name().clone());
            }
        }
    }

    pub(crate) fn open_files(
        &self,
        request: OpenRequest,
    ) -> Result<impl Future<Output = Result<Opened, Error>> + use<>, Error> {
        self.files.open(request)
    }

    pub(crate) fn broadcast_dir(&self, name: &StreamName, id: BroadcastId) -> PathBuf {
        self.streams_dir.join(name.as_str()).join(id.to_string())
    }

    pub(crate) fn streams_dir(&self) -> &Path {
        &self.streams_dir
    }

    pub(crate) fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    pub(crate) fn cache(&self) -> &Arc<HandleCache> {
        &self.cache
    }

    pub(crate) fn key_of(&self, id: BroadcastId) -> Key {
        self.keys.key(id)
    }

    fn registry(&self) -> MutexGuard<'_, ()> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, broadcast: Arc<Broadcast>) {
        let registry = self.registry();
        self.insert(&registry, broadcast);
    }

    fn insert(&self, held: &MutexGuard<'_, ()>, broadcast: Arc<Broadcast>) -> Arc<StreamEntry> {
        self.by_key
            .insert(broadcast.key_bytes(), Arc::clone(&broadcast));
        let entry = self.entry(held, broadcast.name());
        entry.add(broadcast);
        entry
    }

    fn entry(&self, _held: &MutexGuard<'_, ()>, name: &StreamName) -> Arc<StreamEntry> {
        self.stream(name.as_str()).unwrap_or_else(|| {
            let entry = StreamEntry::new(name.clone());
            self.names.insert(name.clone(), Arc::clone(&entry));
            entry
        })
    }

    /// Forgets a broadcast whose files are gone.
    pub(crate) fn forget(&self, broadcast: &Broadcast) {
        let _registry = self.registry();
        self.by_key.remove(&broadcast.key_bytes());
        let Some(entry) = self.stream(broadcast.name().as_str()) else {
            return;
        };
        if entry.remove(broadcast.id()) {
            self.names.remove(broadcast.name());
        }
    }
}

impl std::fmt::Debug for Library {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Library")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

fn resume_info(core: &Core) -> ResumeInfo {
    let (media_sequence, discontinuity_sequence) = core.next_sequence();
    let tracks = core.tracks.iter().map(|track| {
        let end = track.end();
        ResumeTrack {
            id: track.view.id,
            kind: track.view.kind,
            config: Arc::clone(&track.view.config),
            init: track.view.inits.last().map_or(0, |i| i.number),
            end_decode_time: end.map_or(0, |(_, ticks)| ticks),
            end_time: end.map(|(utc, _)| utc),
        }
    });
    ResumeInfo {
        media_sequence,
        discontinuity_sequence,
        target_duration: core.target_duration,
        settled: core.settled,
        tracks: tracks.collect(),
    }
}

/// The lock file of a data directory, locked.
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing alone would leave the lock to a child that this process forks meanwhile,
        // which holds the descriptor until it executes its program.
        let _ = self.0.unlock();
    }
}

/// Takes the lock file of a data directory, and writes this process's id into it.
fn lock(data: &Path) -> Result<Lock, Error> {
    let path = data.join("lock");
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let mut file = options
        .open(&path)
        .map_err(|e| Error::io("create", &path, e))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            // Who holds it is good to know, and no more.
            let _ = file.take(32).read_to_string(&mut text);
            return Err(Error::InUse {
                data: data.to_owned(),
                pid: text.trim().parse().ok(),
            });
        }
        Err(TryLockError::Error(e)) => return Err(Error::io("lock", &path, e)),
    }
    let written = file
        .set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{}", std::process::id()));
    match written {
        // A full disk must not keep the server from starting: it has to delete.
        Err(e) if e.kind() != std::io::ErrorKind::StorageFull => Err(Error::io("create", &path, e)),
        _ => Ok(Lock(file)),
    }
}
