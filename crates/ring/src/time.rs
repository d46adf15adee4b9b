//! Timers. They live in a heap here; the kernel sees one timeout per sleep of the ring.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::limits;
use crate::local::Local;
use crate::op::remember;
use crate::slab::{Key, Slab};

/// The time at the start of this turn of the current runtime: cheap, and the same for all tasks of
/// the turn. A turn is some microseconds, or as long as its slowest task.
///
/// # Panics
/// Outside of [`crate::Runtime::block_on`].
pub fn now() -> Instant {
    Local::current().now.get()
}

/// Waits at least `duration`.
pub fn sleep(duration: Duration) -> Sleep {
    sleep_until(after(Instant::now(), duration))
}

/// Waits until `deadline`; at once when that has passed.
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep {
        deadline,
        registered: None,
    }
}

/// Gives `future` until `duration` after the start of this turn ([`now`]), then drops it.
///
/// The future is polled first, and a timer exists only while it is pending.
///
/// # Errors
/// [`Elapsed`] when the time is over.
///
/// # Panics
/// Outside of [`crate::Runtime::block_on`].
pub async fn timeout<F: Future>(duration: Duration, future: F) -> Result<F::Output, Elapsed> {
    let mut future = pin!(future);
    let mut sleep = sleep_until(after(now(), duration));
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        Pin::new(&mut sleep).poll(cx).map(|()| Err(Elapsed))
    })
    .await
}

/// The time given to [`timeout`] is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed;

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("deadline elapsed")
    }
}

impl std::error::Error for Elapsed {}

/// The future of [`sleep`] and [`sleep_until`].
///
/// # Panics
/// When polled outside of [`crate::Runtime::block_on`].
#[must_use = "futures do nothing unless awaited"]
pub struct Sleep {
    deadline: Instant,
    registered: Option<(Rc<Local>, Key)>,
}

impl Sleep {
    /// When it ends.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let Some((local, key)) = &self.registered {
            let mut timers = local.timers.borrow_mut();
            let Some(timer) = timers.slots.get_mut(*key) else {
                drop(timers);
                self.registered = None;
                return Poll::Ready(());
            };
            let old = remember(&mut timer.waker, cx);
            drop(timers);
            drop(old);
            return Poll::Pending;
        }
        let local = Local::current();
        if self.deadline <= local.now.get() {
            return Poll::Ready(());
        }
        let added = local
            .timers
            .borrow_mut()
            .insert(self.deadline, cx.waker().clone());
        match added {
            Some(key) => self.registered = Some((local, key)),
            // A full table sheds precision, not the task: it asks again next turn.
            None => cx.waker().wake_by_ref(),
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some((local, key)) = self.registered.take() {
            let waker = local.timers.borrow_mut().remove(key);
            drop(waker);
        }
    }
}

/// A deadline that is moved on often: it costs a timer only when one strikes, not each time it is
/// moved. For sends that have to make progress, and peers that have to say something.
#[derive(Default)]
pub struct Alarm {
    sleep: Option<Sleep>,
}

impl Alarm {
    /// Ready once `deadline` has passed. The deadline may differ from call to call; an earlier one
    /// than before costs a new timer.
    ///
    /// # Panics
    /// Outside of [`crate::Runtime::block_on`].
    pub fn poll_at(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        loop {
            if deadline <= now() {
                return Poll::Ready(());
            }
            let sleep = self.sleep.take().filter(|sleep| sleep.deadline <= deadline);
            let sleep = self
                .sleep
                .insert(sleep.unwrap_or_else(|| sleep_until(deadline)));
            if Pin::new(sleep).poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.sleep = None;
        }
    }

    /// Gives `future` until `deadline`, then drops it.
    ///
    /// # Errors
    /// [`Elapsed`] when the time is over.
    ///
    /// # Panics
    /// Outside of [`crate::Runtime::block_on`].
    pub async fn guard<F: Future>(
        &mut self,
        deadline: Instant,
        future: F,
    ) -> Result<F::Output, Elapsed> {
        let mut future = pin!(future);
        poll_fn(|cx| match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Ok(output)),
            Poll::Pending => self.poll_at(cx, deadline).map(|()| Err(Elapsed)),
        })
        .await
    }
}

/// `from + duration`, or far in the future where that overflows.
pub(crate) fn after(from: Instant, duration: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(10 * 365 * 86_400);
    from.checked_add(duration.min(FAR)).unwrap_or(from)
}

struct Timer {
    /// Where the heap has it.
    position: u32,
    waker: Option<Waker>,
}

#[derive(Clone, Copy)]
struct Due {
    deadline: Instant,
    /// Orders timers of the same instant by their registration.
    sequence: u64,
    slot: u32,
}

impl Due {
    fn before(&self, other: &Self) -> bool {
        (self.deadline, self.sequence) < (other.deadline, other.sequence)
    }
}

/// Children per node of the heap: four share a cache line or two, and a cancelled timer (nearly all
/// are) is a late leaf, so most removals move nothing.
const ARITY: usize = 4;

pub(crate) struct Timers {
    heap: Vec<Due>,
    slots: Slab<Timer>,
    sequence: u64,
}

impl Timers {
    pub(crate) const fn new() -> Self {
        Self {
            heap: Vec::new(),
            slots: Slab::new(limits::TIMERS_MAX),
            sequence: 0,
        }
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.heap.first().map(|due| due.deadline)
    }

    pub(crate) fn insert(&mut self, deadline: Instant, waker: Waker) -> Option<Key> {
        let position = self.heap.len();
        let timer = Timer {
            position: position as u32,
            waker: Some(waker),
        };
        let key = self.slots.insert(timer).ok()?;
        self.sequence += 1;
        self.heap.push(Due {
            deadline,
            sequence: self.sequence,
            slot: key.index,
        });
        self.sift_up(position);
        Some(key)
    }

    /// Removes a timer; its waker is handed out to be dropped outside of the borrow.
    pub(crate) fn remove(&mut self, key: Key) -> Option<Waker> {
        let timer = self.slots.remove(key)?;
        self.cut(timer.position as usize);
        timer.waker
    }

    /// The waker of the first timer that is due, which is then gone.
    pub(crate) fn expire(&mut self, now: Instant) -> Option<Waker> {
        while let Some(due) = self.heap.first().copied()
            && due.deadline <= now
        {
            let key = self.slots.key_at(due.slot);
            self.cut(0);
            let timer = key.and_then(|key| self.slots.remove(key));
            if let Some(waker) = timer.and_then(|timer| timer.waker) {
                return Some(waker);
            }
        }
        None
    }

    fn cut(&mut self, position: usize) {
        if position >= self.heap.len() {
            return;
        }
        self.heap.swap_remove(position);
        if position < self.heap.len() {
            self.place(position);
            self.sift_down(position);
            self.sift_up(position);
        }
    }

    fn sift_up(&mut self, mut position: usize) {
        while position > 0 {
            let parent = (position - 1) / ARITY;
            if !self.heap[position].before(&self.heap[parent]) {
                return;
            }
            self.swap(position, parent);
            position = parent;
        }
    }

    fn sift_down(&mut self, mut position: usize) {
        loop {
            let children =
                position * ARITY + 1..(position * ARITY + 1 + ARITY).min(self.heap.len());
            let least = children.reduce(|a, b| {
                if self.heap[b].before(&self.heap[a]) {
                    b
                } else {
                    a
                }
            });
            match least {
                Some(child) if self.heap[child].before(&self.heap[position]) => {
                    self.swap(position, child);
                    position = child;
                }
                _ => return,
            }
        }
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.heap.swap(a, b);
        self.place(a);
        self.place(b);
    }

    fn place(&mut self, position: usize) {
        let slot = self.heap[position].slot;
        if let Some(timer) = self.slots.at_mut(slot) {
            timer.position = position as u32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_expire_in_order_whatever_was_removed() {
        let start = Instant::now();
        let mut timers = Timers::new();
        let mut random = 12345_u64;
        let mut kept = Vec::new();
        for n in 0..1000 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let deadline = start + Duration::from_micros(random >> 54);
            let key = timers.insert(deadline, Waker::noop().clone()).unwrap();
            if n % 3 == 0 {
                kept.push(deadline);
            } else {
                // Removed a little later, from the middle of the heap.
                assert!(timers.remove(key).is_some());
            }
        }
        kept.sort();
        for deadline in kept {
            assert_eq!(timers.next(), Some(deadline));
            assert!(timers.expire(deadline).is_some());
        }
        assert!(timers.heap.is_empty());
        assert_eq!(timers.slots.len(), 0);
    }

    #[test]
    fn an_endless_duration_does_not_overflow() {
        assert!(after(Instant::now(), Duration::MAX) > Instant::now());
    }
}
