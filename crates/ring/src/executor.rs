//! Tasks: spawning, the run queue, polling.

use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::limits;
use crate::local::Local;
use crate::slab::{Key, Slab};
use crate::wake::TaskId;

type Boxed = Pin<Box<dyn Future<Output = ()>>>;

/// Starts a task on the current runtime.
///
/// A task that panics is dropped and counted ([`crate::Stats::panics`]); the others go on. Beyond
/// [`limits::TASKS_MAX`] tasks the new one is dropped unpolled and counted
/// ([`crate::Stats::spawns_refused`]).
///
/// # Panics
/// Outside of [`crate::Runtime::block_on`].
pub fn spawn(future: impl Future<Output = ()> + 'static) -> TaskHandle {
    Local::current().spawn(Box::pin(future))
}

/// A spawned task. Dropping the handle lets the task go on by itself.
pub struct TaskHandle {
    local: Rc<Local>,
    key: Option<Key>,
}

impl TaskHandle {
    /// Drops the task's future at once, or, when the task aborts itself, at its next suspension.
    pub fn abort(&self) {
        let Some(key) = self.key else { return };
        let dropped = self.local.executor.borrow_mut().abort(key);
        drop(dropped);
    }

    /// True when the task ended, was aborted, or was refused.
    pub fn is_finished(&self) -> bool {
        self.key
            .is_none_or(|key| self.local.executor.borrow().tasks.get(key).is_none())
    }
}

struct Task {
    /// Absent while it is polled.
    future: Option<Boxed>,
    queued: bool,
    aborted: bool,
}

pub(crate) struct Executor {
    tasks: Slab<Task>,
    /// Indices of queued tasks: at most one entry per task.
    run: VecDeque<u32>,
    /// Set when the runtime ends: nothing is spawned any more.
    pub(crate) closed: bool,
    pub(crate) spawned: u64,
    pub(crate) refused: u64,
    pub(crate) panics: u64,
}

impl Executor {
    pub(crate) const fn new() -> Self {
        Self {
            tasks: Slab::new(limits::TASKS_MAX),
            run: VecDeque::new(),
            closed: false,
            spawned: 0,
            refused: 0,
            panics: 0,
        }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.run.is_empty()
    }

    pub(crate) fn wake(&mut self, index: u32, generation: Option<u32>) {
        let Some(key) = self.tasks.key_at(index) else {
            return;
        };
        if generation.is_some_and(|generation| generation != key.generation) {
            return;
        }
        let Some(task) = self.tasks.at_mut(index) else {
            return;
        };
        if !task.queued {
            task.queued = true;
            self.run.push_back(index);
        }
    }

    /// Ends a task; its future is handed out to be dropped outside of the borrow.
    fn abort(&mut self, key: Key) -> Option<Boxed> {
        let task = self.tasks.get_mut(key)?;
        if task.future.is_none() {
            task.aborted = true;
            return None;
        }
        self.tasks.remove(key)?.future
    }

    /// The next task to poll, with its future taken out.
    fn next(&mut self) -> Option<(Key, Boxed)> {
        while let Some(index) = self.run.pop_front() {
            let key = self.tasks.key_at(index);
            if let (Some(key), Some(task)) = (key, self.tasks.at_mut(index)) {
                task.queued = false;
                if let Some(future) = task.future.take() {
                    return Some((key, future));
                }
            }
        }
        None
    }

    /// Puts a pending future back, or hands it out when its task was aborted meanwhile.
    fn put_back(&mut self, key: Key, future: Boxed) -> Option<Boxed> {
        match self.tasks.get_mut(key) {
            Some(task) if !task.aborted => {
                task.future = Some(future);
                None
            }
            _ => {
                self.tasks.remove(key);
                Some(future)
            }
        }
    }
}

impl Local {
    pub(crate) fn spawn(self: &Rc<Self>, future: Boxed) -> TaskHandle {
        let mut executor = self.executor.borrow_mut();
        let task = Task {
            future: Some(future),
            queued: false,
            aborted: false,
        };
        let refused = if executor.closed {
            Err(task)
        } else {
            executor.tasks.insert(task)
        };
        let key = match refused {
            Ok(key) => {
                executor.spawned += 1;
                executor.wake(key.index, None);
                Some(key)
            }
            Err(task) => {
                executor.refused += 1;
                drop(executor);
                drop(task);
                None
            }
        };
        TaskHandle {
            local: self.clone(),
            key,
        }
    }

    /// Polls the tasks that are queued now, up to the cap of a turn.
    pub(crate) fn run_tasks(&self) {
        let count = self.executor.borrow().run.len().min(limits::TASKS_PER_TURN);
        for _ in 0..count {
            let next = self.executor.borrow_mut().next();
            let Some((key, future)) = next else { break };
            self.poll_task(key, future);
        }
    }

    fn poll_task(&self, key: Key, mut future: Boxed) {
        let id = TaskId {
            runtime: self.remote.id,
            index: key.index,
            generation: key.generation,
        };
        let waker = id.waker();
        let mut cx = Context::from_waker(&waker);
        // The future is not touched after a panic, save for its drop.
        let result = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut cx)));
        let finished = match result {
            Ok(Poll::Pending) => self.executor.borrow_mut().put_back(key, future),
            Ok(Poll::Ready(())) => {
                self.executor.borrow_mut().tasks.remove(key);
                Some(future)
            }
            Err(_) => {
                let mut executor = self.executor.borrow_mut();
                executor.panics += 1;
                executor.tasks.remove(key);
                Some(future)
            }
        };
        if let Some(future) = finished
            && catch_unwind(AssertUnwindSafe(|| drop(future))).is_err()
        {
            self.executor.borrow_mut().panics += 1;
        }
    }

    /// Drops all tasks and refuses new ones.
    pub(crate) fn drop_tasks(&self) {
        let keys = {
            let mut executor = self.executor.borrow_mut();
            executor.closed = true;
            executor.tasks.keys()
        };
        for key in keys {
            let future = self.executor.borrow_mut().abort(key);
            let _ = catch_unwind(AssertUnwindSafe(|| drop(future)));
        }
    }
}
