//! A broadcast as all threads share it, and the name it runs under.

use crate::core::Core;
use crate::error::Error;
use crate::key::{Key, from_hex, random, to_hex};
use crate::limits::WORKERS_MAX;
use crate::view::View;
use arc_swap::{ArcSwap, ArcSwapOption};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use weir_media::{StreamName, Utc};

/// Identifier of a broadcast, and of the video it becomes: 128 random bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BroadcastId(pub [u8; 16]);

impl BroadcastId {
    pub(crate) fn random() -> Result<Self, Error> {
        random().map(Self)
    }

    /// Reads 32 lower-case hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        from_hex(text).map(Self)
    }
}

impl fmt::Display for BroadcastId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(&self.0))
    }
}

/// Where a broadcast is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// A publisher sends.
    Live,
    /// The publisher is gone and may return.
    Grace,
    /// Sealed: nothing will be added.
    Ended,
}

/// One run of a stream.
pub struct Broadcast {
    id: BroadcastId,
    name: StreamName,
    key: Key,
    started: Utc,
    state: AtomicU8,
    recording: AtomicBool,
    view: ArcSwap<View>,
    /// The writer's side. Only the owner and retention take this lock, never a reader.
    core: Mutex<Core>,
}

impl Broadcast {
    pub(crate) fn new(
        id: BroadcastId,
        name: StreamName,
        key: Key,
        started: Utc,
        state: State,
        core: Core,
    ) -> Arc<Self> {
        let view = core.view(state == State::Ended);
        Arc::new(Self {
            id,
            name,
            key,
            started,
            state: AtomicU8::new(state as u8),
            recording: AtomicBool::new(true),
            view: ArcSwap::from_pointee(view),
            core: Mutex::new(core),
        })
    }

    /// Its identifier.
    #[must_use]
    pub fn id(&self) -> BroadcastId {
        self.id
    }

    /// The stream it is of.
    #[must_use]
    pub fn name(&self) -> &StreamName {
        &self.name
    }

    /// The unguessable path segment for its media, 32 hexadecimal digits.
    #[must_use]
    pub fn key(&self) -> String {
        to_hex(&self.key)
    }

    pub(crate) fn key_bytes(&self) -> Key {
        self.key
    }

    /// When it began.
    #[must_use]
    pub fn started(&self) -> Utc {
        self.started
    }

    /// Where it is in its life.
    #[must_use]
    pub fn state(&self) -> State {
        match self.state.load(Ordering::Acquire) {
            0 => State::Live,
            1 => State::Grace,
            _ => State::Ended,
        }
    }

    pub(crate) fn set_state(&self, state: State) {
        self.state.store(state as u8, Ordering::Release);
    }

    /// Whether it is still being recorded. False after an append failed or took too long.
    #[must_use]
    pub fn is_recording(&self) -> bool {
        self.recording.load(Ordering::Acquire)
    }

    /// Stops recording; true if this call did it.
    pub(crate) fn stop_recording(&self) -> bool {
        self.recording.swap(false, Ordering::AcqRel)
    }

    /// The newest snapshot.
    #[must_use]
    pub fn view(&self) -> Arc<View> {
        self.view.load_full()
    }

    pub(crate) fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the state of `core` what readers see.
    pub(crate) fn publish(&self, core: &mut Core) {
        core.version += 1;
        self.view
            .store(Arc::new(core.view(self.state() == State::Ended)));
    }
}

impl fmt::Debug for Broadcast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The key grants access, so it stays out of logs.
        f.debug_struct("Broadcast")
            .field("id", &self.id.to_string())
            .field("name", &self.name)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

/// What a name stands for: its current broadcast and the earlier ones.
pub struct StreamEntry {
    name: StreamName,
    current: ArcSwapOption<Broadcast>,
    broadcasts: ArcSwap<Vec<Arc<Broadcast>>>,
    waiting: AtomicU64,
    /// When a part was last asked for, in microseconds of Unix time.
    parts_wanted: AtomicI64,
}

impl StreamEntry {
    pub(crate) fn new(name: StreamName) -> Arc<Self> {
        Arc::new(Self {
            name,
            current: ArcSwapOption::empty(),
            broadcasts: ArcSwap::default(),
            waiting: AtomicU64::new(0),
            parts_wanted: AtomicI64::new(i64::MIN),
        })
    }

    /// The stream's name.
    #[must_use]
    pub fn name(&self) -> &StreamName {
        &self.name
    }

    /// The broadcast that is live or in grace, else the one that ended last. `None` if
    /// retention has deleted them all.
    #[must_use]
    pub fn current(&self) -> Option<Arc<Broadcast>> {
        self.current.load_full()
    }

    /// All broadcasts, oldest first.
    #[must_use]
    pub fn broadcasts(&self) -> Arc<Vec<Arc<Broadcast>>> {
        self.broadcasts.load_full()
    }

    /// One broadcast of this name.
    #[must_use]
    pub fn broadcast(&self, id: BroadcastId) -> Option<Arc<Broadcast>> {
        self.broadcasts.load().iter().find(|b| b.id == id).cloned()
    }

    /// Asks that `worker` be woken at the next change of the current broadcast.
    ///
    /// A mark holds for one wake-up. Mark first, look at the view after it, and only then
    /// wait: a change in between is then either seen or wakes.
    pub fn wait_mark(&self, worker: usize) {
        if worker < WORKERS_MAX {
            self.waiting.fetch_or(1 << worker, Ordering::SeqCst);
            // Pairs with the one in `take_waiting`: mark before view, view before mark.
            fence(Ordering::SeqCst);
        }
    }

    /// Notes that a viewer plays the stream part by part.
    pub fn want_parts(&self, now: Utc) {
        self.parts_wanted.store(now.0, Ordering::Relaxed);
    }

    /// When a viewer last did. `None` if none ever did.
    #[must_use]
    pub fn parts_wanted(&self) -> Option<Utc> {
        let at = self.parts_wanted.load(Ordering::Relaxed);
        (at != i64::MIN).then_some(Utc(at))
    }

    /// Workers that wait, each once.
    pub(crate) fn take_waiting(&self) -> u64 {
        fence(Ordering::SeqCst);
        if self.waiting.load(Ordering::SeqCst) == 0 {
            return 0;
        }
        self.waiting.swap(0, Ordering::SeqCst)
    }

    /// Adds a broadcast, newest last, and makes it current. Callers hold the registry.
    pub(crate) fn add(&self, broadcast: Arc<Broadcast>) {
        let mut all = Vec::clone(&self.broadcasts.load());
        all.push(Arc::clone(&broadcast));
        self.broadcasts.store(Arc::new(all));
        self.current.store(Some(broadcast));
    }

    /// Forgets a broadcast; true if none is left. Callers hold the registry.
    pub(crate) fn remove(&self, id: BroadcastId) -> bool {
        let mut all = Vec::clone(&self.broadcasts.load());
        all.retain(|b| b.id != id);
        self.current.store(all.last().cloned());
        let empty = all.is_empty();
        self.broadcasts.store(Arc::new(all));
        empty
    }
}

impl fmt::Debug for StreamEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamEntry")
            .field("name", &self.name)
            .field("current", &self.current.load())
            .finish_non_exhaustive()
    }
}
