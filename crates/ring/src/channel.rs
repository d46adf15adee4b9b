//! A bounded channel from any thread to a task of a ring.
//!
//! Sending never waits. The receiving ring is woken at most once per batch, and costs a system call
//! only when it sleeps.

use std::fmt;
use std::future::{Future, poll_fn};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use crossbeam::queue::ArrayQueue;

use crate::limits;

/// Makes a channel for up to `capacity` values (at least 1, at most
/// [`limits::CHANNEL_CAPACITY_MAX`]), whose memory is taken at once.
pub fn channel<T: Send>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared {
        queue: ArrayQueue::new(capacity.clamp(1, limits::CHANNEL_CAPACITY_MAX)),
        senders: AtomicUsize::new(1),
        closed: AtomicBool::new(false),
        waiting: AtomicBool::new(false),
        waker: Mutex::new(None),
    });
    (
        Sender {
            shared: shared.clone(),
        },
        Receiver { shared, streak: 0 },
    )
}

struct Shared<T> {
    queue: ArrayQueue<T>,
    senders: AtomicUsize,
    /// The receiver is gone.
    closed: AtomicBool,
    /// The receiver waits, and its waker is there. Whoever clears it wakes.
    waiting: AtomicBool,
    /// Locked only by a receiver about to wait and by the one sender that wakes it.
    waker: Mutex<Option<Waker>>,
}

impl<T> Shared<T> {
    fn wake(&self) {
        // Orders the push before the load, against the mirror image in `poll_recv`: either this
        // sees the receiver waiting, or the receiver's second look sees the value.
        fence(Ordering::SeqCst);
        if self.waiting.load(Ordering::Relaxed) && self.waiting.swap(false, Ordering::AcqRel) {
            let waker = self
                .waker
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

/// Why a value was not sent; it is handed back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrySendError<T> {
    /// The channel is full.
    Full(T),
    /// The receiver is gone.
    Closed(T),
}

impl<T> TrySendError<T> {
    /// The value that was not sent.
    pub fn into_inner(self) -> T {
        match self {
            Self::Full(value) | Self::Closed(value) => value,
        }
    }
}

impl<T> fmt::Display for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "channel full",
            Self::Closed(_) => "channel closed",
        })
    }
}

impl<T: fmt::Debug> std::error::Error for TrySendError<T> {}

/// The sending side, for any thread.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

impl<T: Send> Sender<T> {
    /// Sends `value` without waiting.
    ///
    /// # Errors
    /// The value, when the channel is full or the receiver gone.
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        if self.shared.closed.load(Ordering::Acquire) {
            return Err(TrySendError::Closed(value));
        }
        self.shared.queue.push(value).map_err(TrySendError::Full)?;
        self.shared.wake();
        Ok(())
    }

    /// True when the receiver is gone.
    pub fn is_closed(&self) -> bool {
        self.shared.closed.load(Ordering::Acquire)
    }

    /// Values waiting to be received.
    pub fn len(&self) -> usize {
        self.shared.queue.len()
    }

    /// True when none waits.
    pub fn is_empty(&self) -> bool {
        self.shared.queue.is_empty()
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.shared.senders.fetch_add(1, Ordering::Relaxed);
        Self {
            shared: self.shared.clone(),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if self.shared.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.wake();
        }
    }
}

/// The receiving side. It may be sent to the thread whose ring shall receive.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    /// Values taken since the task last waited.
    streak: u32,
}

impl<T: Send> Receiver<T> {
    /// The next value, or `None` once all senders are gone and all values taken. Loses nothing when
    /// dropped. Pauses for other tasks now and then, however full the channel is.
    pub fn recv(&mut self) -> impl Future<Output = Option<T>> + '_ {
        poll_fn(|cx| self.poll_recv(cx))
    }

    /// A value that is there now.
    pub fn try_recv(&mut self) -> Option<T> {
        self.shared.queue.pop()
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        if self.streak >= limits::CHANNEL_STREAK {
            self.streak = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if let Some(value) = self.shared.queue.pop() {
            self.streak += 1;
            return Poll::Ready(Some(value));
        }
        let waker = cx.waker().clone();
        let old = self
            .shared
            .waker
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .replace(waker);
        drop(old);
        self.shared.waiting.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let gone = self.shared.senders.load(Ordering::Acquire) == 0;
        match self.shared.queue.pop() {
            None if !gone => {
                self.streak = 0;
                Poll::Pending
            }
            value => {
                self.shared.waiting.store(false, Ordering::Relaxed);
                Poll::Ready(value)
            }
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Release);
        while self.shared.queue.pop().is_some() {}
    }
}
