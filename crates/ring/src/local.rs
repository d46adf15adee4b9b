//! The state of the runtime that belongs to this thread, shared by all its handles.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use crate::driver::Driver;
use crate::executor::Executor;
use crate::stats::Stats;
use crate::time::Timers;
use crate::wake::{MAIN, Remote, TaskId};

thread_local! {
    static CURRENT: RefCell<Option<Rc<Local>>> = const { RefCell::new(None) };
}

/// A runtime as its own thread sees it.
///
/// No borrow of a part is held while foreign code runs: polls, wakers, closures and drops of what
/// callers handed in all happen outside.
pub(crate) struct Local {
    pub(crate) driver: RefCell<Driver>,
    pub(crate) executor: RefCell<Executor>,
    pub(crate) timers: RefCell<Timers>,
    /// The time at the start of this turn.
    pub(crate) now: Cell<Instant>,
    pub(crate) main_woken: Cell<bool>,
    pub(crate) remote: Arc<Remote>,
}

impl Local {
    /// The runtime that runs on this thread.
    ///
    /// # Panics
    /// Outside of `Runtime::block_on`: a fault of the program, never of input.
    pub(crate) fn current() -> Rc<Self> {
        Self::try_current().expect("called outside of weir_ring::Runtime::block_on")
    }

    pub(crate) fn try_current() -> Option<Rc<Self>> {
        CURRENT
            .try_with(|current| current.borrow().clone())
            .ok()
            .flatten()
    }

    /// Makes this the current runtime until the guard is dropped.
    pub(crate) fn enter(self: &Rc<Self>) -> Entered {
        let before = CURRENT.with(|current| current.replace(Some(self.clone())));
        Entered { before }
    }

    /// Wakes a task of this thread's current runtime; false when `task` belongs to another.
    pub(crate) fn wake_here(task: TaskId) -> bool {
        let here = |current: &RefCell<Option<Rc<Self>>>| match &*current.borrow() {
            Some(local) if local.remote.id == task.runtime => {
                local.wake(task.index, Some(task.generation));
                true
            }
            _ => false,
        };
        CURRENT.try_with(here).unwrap_or(false)
    }

    /// Queues a task; without a generation, whichever has that index.
    pub(crate) fn wake(&self, index: u32, generation: Option<u32>) {
        if index == MAIN {
            self.main_woken.set(true);
        } else {
            self.executor.borrow_mut().wake(index, generation);
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        let driver = self.driver.borrow();
        let mut stats = driver.stats;
        if let Some(queue) = &driver.queue {
            stats.enters = queue.enters;
            stats.submissions = queue.submissions;
            stats.submissions_deferred = queue.deferred;
        }
        let executor = self.executor.borrow();
        stats.spawned = executor.spawned;
        stats.spawns_refused = executor.refused;
        stats.panics = executor.panics;
        stats
    }
}

/// Restores the runtime that was current before.
pub(crate) struct Entered {
    before: Option<Rc<Local>>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let before = self.before.take();
        // The runtime left behind is dropped after the borrow ended.
        let left = CURRENT.try_with(|current| current.replace(before));
        drop(left);
    }
}
