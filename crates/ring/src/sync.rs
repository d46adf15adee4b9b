//! Waiting within one thread: permits that bound work in flight, and a broadcast notice.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use crate::op::remember;
use crate::slab::{Key, Slab};

/// A counter of permits, for a component that bounds what it has in flight. Clones share it.
/// Waiters are served in order.
#[derive(Clone)]
pub struct Permits {
    shared: Rc<RefCell<PermitState>>,
}

struct PermitState {
    free: usize,
    /// Waiters without a permit, longest first.
    queue: VecDeque<Key>,
    waiters: Slab<Waiter>,
}

struct Waiter {
    waker: Option<Waker>,
    granted: bool,
}

impl Permits {
    /// Makes `count` permits.
    pub fn new(count: usize) -> Self {
        let waiters = Slab::new(crate::limits::TASKS_MAX);
        let state = PermitState {
            free: count,
            queue: VecDeque::new(),
            waiters,
        };
        Self {
            shared: Rc::new(RefCell::new(state)),
        }
    }

    /// Permits that nobody holds.
    pub fn available(&self) -> usize {
        self.shared.borrow().free
    }

    /// A permit, if one is free and nobody waits.
    pub fn try_acquire(&self) -> Option<Permit> {
        let mut state = self.shared.borrow_mut();
        if state.free == 0 || !state.queue.is_empty() {
            return None;
        }
        state.free -= 1;
        Some(Permit {
            shared: self.shared.clone(),
        })
    }

    /// Waits for a permit. Dropping the future gives up the place in the queue.
    pub fn acquire(&self) -> impl Future<Output = Permit> + use<> {
        Acquire {
            permits: self.clone(),
            waiter: None,
        }
    }
}

/// A permit. Dropping it returns it.
pub struct Permit {
    shared: Rc<RefCell<PermitState>>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        release(&self.shared);
    }
}

/// Hands a permit to the longest waiter, or back to the free ones.
fn release(shared: &RefCell<PermitState>) {
    let mut state = shared.borrow_mut();
    while let Some(key) = state.queue.pop_front() {
        if let Some(waiter) = state.waiters.get_mut(key) {
            waiter.granted = true;
            let waker = waiter.waker.take();
            drop(state);
            if let Some(waker) = waker {
                waker.wake();
            }
            return;
        }
    }
    state.free += 1;
}

struct Acquire {
    permits: Permits,
    waiter: Option<Key>,
}

impl Future for Acquire {
    type Output = Permit;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Permit> {
        let Some(key) = self.waiter else {
            if let Some(permit) = self.permits.try_acquire() {
                return Poll::Ready(permit);
            }
            let waiter = Waiter {
                waker: Some(cx.waker().clone()),
                granted: false,
            };
            let mut state = self.permits.shared.borrow_mut();
            let added = state.waiters.insert(waiter);
            match added {
                Ok(key) => {
                    state.queue.push_back(key);
                    drop(state);
                    self.waiter = Some(key);
                }
                Err(_) => cx.waker().wake_by_ref(),
            }
            return Poll::Pending;
        };
        let mut state = self.permits.shared.borrow_mut();
        let Some(waiter) = state.waiters.get_mut(key) else {
            return Poll::Pending;
        };
        if !waiter.granted {
            let old = remember(&mut waiter.waker, cx);
            drop(state);
            drop(old);
            return Poll::Pending;
        }
        state.waiters.remove(key);
        drop(state);
        self.waiter = None;
        Poll::Ready(Permit {
            shared: self.permits.shared.clone(),
        })
    }
}

impl Drop for Acquire {
    fn drop(&mut self) {
        let Some(key) = self.waiter else { return };
        let mut state = self.permits.shared.borrow_mut();
        let waiter = state.waiters.remove(key);
        let granted = waiter.as_ref().is_some_and(|waiter| waiter.granted);
        if !granted {
            state.queue.retain(|other| *other != key);
        }
        drop(state);
        drop(waiter);
        if granted {
            release(&self.permits.shared);
        }
    }
}

/// Tells all waiting tasks of a thread that something changed. Clones share it.
#[derive(Clone)]
pub struct Notify {
    shared: Rc<RefCell<NotifyState>>,
}

struct NotifyState {
    /// Notices given so far.
    epoch: u64,
    waiters: Slab<Option<Waker>>,
}

impl Default for Notify {
    fn default() -> Self {
        Self::new()
    }
}

impl Notify {
    /// Makes one that nobody waits for.
    pub fn new() -> Self {
        let waiters = Slab::new(crate::limits::TASKS_MAX);
        Self {
            shared: Rc::new(RefCell::new(NotifyState { epoch: 0, waiters })),
        }
    }

    /// Wakes all that called [`Notify::notified`] before. What comes later waits for the next one.
    pub fn notify_all(&self) {
        let mut state = self.shared.borrow_mut();
        state.epoch += 1;
        if state.waiters.len() == 0 {
            return;
        }
        let waiters = std::mem::replace(&mut state.waiters, Slab::new(crate::limits::TASKS_MAX));
        drop(state);
        for waker in waiters.into_values().flatten() {
            waker.wake();
        }
    }

    /// Waits for the next [`Notify::notify_all`] after this call, even if the future is polled only
    /// later: check the condition after calling this and before awaiting it.
    pub fn notified(&self) -> Notified {
        let epoch = self.shared.borrow().epoch;
        Notified {
            notify: self.clone(),
            epoch,
            waiter: None,
        }
    }
}

/// The future of [`Notify::notified`].
#[must_use = "futures do nothing unless awaited"]
pub struct Notified {
    notify: Notify,
    /// The notices given before this one began to wait.
    epoch: u64,
    /// Its place, which is void once the epoch moved.
    waiter: Option<Key>,
}

impl Future for Notified {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let shared = self.notify.shared.clone();
        let mut state = shared.borrow_mut();
        if state.epoch != self.epoch {
            return Poll::Ready(());
        }
        if let Some(waker) = self.waiter.and_then(|key| state.waiters.get_mut(key)) {
            let old = remember(waker, cx);
            drop(state);
            drop(old);
            return Poll::Pending;
        }
        match state.waiters.insert(Some(cx.waker().clone())) {
            Ok(key) => self.waiter = Some(key),
            // A full table sheds efficiency, not the notice.
            Err(_) => cx.waker().wake_by_ref(),
        }
        Poll::Pending
    }
}

impl Drop for Notified {
    fn drop(&mut self) {
        let mut state = self.notify.shared.borrow_mut();
        if state.epoch == self.epoch
            && let Some(key) = self.waiter
        {
            let waiter = state.waiters.remove(key);
            drop(state);
            drop(waiter);
        }
    }
}
