//! Wakers, and how other threads reach a ring.
//!
//! A waker is one packed word: runtime, task, generation. It owns nothing, so cloning and dropping
//! it is free and it may live anywhere for any time; a stale one causes at most a needless poll. On
//! its own thread it goes straight to the run queue. On another it sets the task's bit in the
//! runtime's bitmap, which cannot overflow, and interrupts the ring only if it sleeps.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{RawWaker, RawWakerVTable, Waker};

use crate::error::Unavailable;
use crate::limits;
use crate::local::Local;

/// The index that stands for the future of `block_on`.
pub(crate) const MAIN: u32 = limits::TASKS_MAX;

const INDEX_BITS: u32 = 20;
const RUNTIME_BITS: u32 = 16;
const GENERATION_BITS: u32 = 24;
const _: () = assert!(INDEX_BITS + RUNTIME_BITS + GENERATION_BITS <= usize::BITS);
const _: () = assert!(limits::TASKS_MAX < 1 << INDEX_BITS);
const _: () = assert!(limits::RUNTIMES_MAX <= 1 << RUNTIME_BITS);

/// A task of a runtime, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TaskId {
    pub(crate) runtime: u16,
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

impl TaskId {
    const fn pack(self) -> usize {
        let generation = self.generation as usize & ((1 << GENERATION_BITS) - 1);
        (generation << (INDEX_BITS + RUNTIME_BITS))
            | ((self.runtime as usize) << INDEX_BITS)
            | self.index as usize
    }

    const fn unpack(word: usize) -> Self {
        Self {
            runtime: (word >> INDEX_BITS) as u16,
            index: (word & ((1 << INDEX_BITS) - 1)) as u32,
            generation: (word >> (INDEX_BITS + RUNTIME_BITS)) as u32,
        }
    }

    pub(crate) fn waker(self) -> Waker {
        // SAFETY: the table's functions treat the pointer as a number and own nothing, so all of
        // the contract of a raw waker (thread safety, clone, drop) holds trivially.
        unsafe { Waker::from_raw(raw(std::ptr::without_provenance(self.pack()))) }
    }

    fn wake(self) {
        if !Local::wake_here(self) {
            wake_remote(self);
        }
    }
}

static VTABLE: RawWakerVTable = RawWakerVTable::new(
    raw,
    |word| TaskId::unpack(word.addr()).wake(),
    |word| TaskId::unpack(word.addr()).wake(),
    |_| {},
);

const fn raw(word: *const ()) -> RawWaker {
    RawWaker::new(word, &VTABLE)
}

/// The side of a runtime that other threads see.
pub(crate) struct Remote {
    pub(crate) id: u16,
    /// Polled by the ring. Never read: each write is one edge, which is all that is needed.
    event: OwnedFd,
    /// True from before the ring sleeps until it runs again. Whoever clears it writes the eventfd,
    /// so a batch of wake-ups costs one system call, and none while the ring is awake.
    asleep: AtomicBool,
    /// True when a bit is set in `leaves`.
    pending: AtomicBool,
    /// One bit per word of `leaves`.
    summary: Box<[AtomicU64]>,
    /// One bit per task.
    leaves: Box<[AtomicU64]>,
}

static REGISTRY: RwLock<Vec<Option<Arc<Remote>>>> = RwLock::new(Vec::new());

impl Remote {
    /// Makes and registers the remote side of a new runtime.
    pub(crate) fn register() -> Result<Arc<Self>, Unavailable> {
        // SAFETY: eventfd takes no pointers; the result is checked before it is owned.
        let event = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if event < 0 {
            return Err(Unavailable::from_os("eventfd", io::Error::last_os_error()));
        }
        // SAFETY: the descriptor is fresh and owned by nobody else.
        let event = unsafe { OwnedFd::from_raw_fd(event) };
        let words = |count: u32| (0..count).map(|_| AtomicU64::new(0)).collect();
        let mut registry = REGISTRY.write().unwrap_or_else(PoisonError::into_inner);
        let free = registry
            .iter()
            .position(Option::is_none)
            .unwrap_or(registry.len());
        if free >= limits::RUNTIMES_MAX {
            return Err(Unavailable::TooManyRuntimes);
        }
        let remote = Arc::new(Self {
            id: free as u16,
            event,
            asleep: AtomicBool::new(false),
            pending: AtomicBool::new(false),
            summary: words((MAIN / 64 + 1).div_ceil(64)),
            leaves: words(MAIN / 64 + 1),
        });
        if free == registry.len() {
            registry.push(Some(remote.clone()));
        } else {
            registry[free] = Some(remote.clone());
        }
        Ok(remote)
    }

    /// Frees the runtime's number. Wakers that still name it do nothing, or wake a later runtime in
    /// vain.
    pub(crate) fn unregister(&self) {
        let mut registry = REGISTRY.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = registry.get_mut(usize::from(self.id)) {
            *slot = None;
        }
    }

    pub(crate) fn event(&self) -> RawFd {
        self.event.as_raw_fd()
    }

    /// Announces that the ring is about to sleep; false when it may not, as wake-ups are pending.
    pub(crate) fn fall_asleep(&self) -> bool {
        self.asleep.store(true, Ordering::Relaxed);
        // Orders the store above before the load below, against the mirror image in `wake`: one of
        // the two threads sees the other's store.
        fence(Ordering::SeqCst);
        if self.pending.load(Ordering::Relaxed) {
            self.asleep.store(false, Ordering::Relaxed);
            return false;
        }
        true
    }

    pub(crate) fn awake(&self) {
        self.asleep.store(false, Ordering::Relaxed);
    }

    /// Calls `wake` with the index of every task that other threads woke.
    pub(crate) fn drain(&self, mut wake: impl FnMut(u32)) {
        if !self.pending.load(Ordering::Relaxed) || !self.pending.swap(false, Ordering::Acquire) {
            return;
        }
        for (high, summary) in self.summary.iter().enumerate() {
            for middle in bits(summary.swap(0, Ordering::AcqRel)) {
                let word = high * 64 + middle as usize;
                let Some(leaf) = self.leaves.get(word) else {
                    continue;
                };
                for low in bits(leaf.swap(0, Ordering::AcqRel)) {
                    wake(word as u32 * 64 + low);
                }
            }
        }
    }

    fn wake(&self, index: u32) {
        let word = (index / 64) as usize;
        let (Some(leaf), Some(summary)) = (self.leaves.get(word), self.summary.get(word / 64))
        else {
            return;
        };
        leaf.fetch_or(1 << (index % 64), Ordering::AcqRel);
        summary.fetch_or(1 << (word % 64), Ordering::AcqRel);
        self.pending.store(true, Ordering::Release);
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::Relaxed) && self.asleep.swap(false, Ordering::AcqRel) {
            let one = 1_u64;
            // SAFETY: eight readable bytes. It can only fail when the counter is full, and then the
            // ring has an edge it has not seen yet.
            unsafe { libc::write(self.event(), (&raw const one).cast(), 8) };
        }
    }
}

fn wake_remote(task: TaskId) {
    let registry = REGISTRY.read().unwrap_or_else(PoisonError::into_inner);
    if let Some(Some(remote)) = registry.get(usize::from(task.runtime)) {
        remote.wake(task.index);
    }
}

/// The positions of the bits set in `word`, lowest first.
fn bits(mut word: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let bit = word.trailing_zeros();
        word &= word.wrapping_sub(1);
        (bit < 64).then_some(bit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_survives_packing() {
        let task = TaskId {
            runtime: 1023,
            index: MAIN,
            generation: 0x00ff_fffe,
        };
        assert_eq!(TaskId::unpack(task.pack()), task);
    }

    #[test]
    fn remote_wakes_are_merged_and_drained_once() {
        let remote = Remote::register().unwrap();
        for index in [0, 63, 64, 4096, 4096, MAIN] {
            remote.wake(index);
        }
        assert!(!remote.fall_asleep());
        let mut woken = Vec::new();
        remote.drain(|index| woken.push(index));
        assert_eq!(woken, [0, 63, 64, 4096, MAIN]);
        remote.drain(|_| panic!("drained twice"));
        assert!(remote.fall_asleep());
        remote.unregister();
    }

    #[test]
    fn a_waker_of_a_gone_runtime_does_nothing() {
        let remote = Remote::register().unwrap();
        let waker = TaskId {
            runtime: remote.id,
            index: 3,
            generation: 1,
        }
        .waker();
        remote.unregister();
        drop(remote);
        waker.wake();
    }
}
