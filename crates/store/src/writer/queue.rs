//! Appends of one track that wait for their turn.

use crate::format::Record;
use crate::format::record::Seal;
use crate::limits::{QUEUE_BYTES_MAX, QUEUE_JOBS_MAX};
use crate::segment::Chunk;
use crate::stats::Counters;
use crate::writer::task::OpenRequest;
use bytes::Bytes;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Poll, Waker};

/// One step of a track's task.
pub(super) enum Job {
    /// Go on with other files.
    Open(Box<OpenRequest>),
    /// Append a chunk to the data file.
    Chunk(Arc<Chunk>),
    /// Append an init section, then its records.
    Init {
        offset: u64,
        data: Bytes,
        records: Vec<Record>,
    },
    /// Append records.
    Records(Vec<Record>),
    /// Append a closed segment's sample table and records, list it, and sync.
    Segment {
        media_sequence: u64,
        samples_offset: u64,
        samples: Bytes,
        records: Vec<Record>,
    },
    /// Append the last record of a file, and sync.
    Seal(Seal),
    /// Recording stopped: say so in the log.
    Stopped,
}

impl Job {
    fn bytes(&self) -> usize {
        match self {
            Self::Chunk(chunk) => chunk.len as usize,
            Self::Init { data, .. } => data.len(),
            Self::Segment { samples, .. } => samples.len(),
            Self::Open(_) | Self::Records(_) | Self::Seal(_) | Self::Stopped => 0,
        }
    }
}

/// A queue between the writer and the task, on one thread.
pub(super) struct Queue {
    jobs: RefCell<VecDeque<Job>>,
    bytes: Cell<usize>,
    /// A job was taken and is not finished.
    busy: Cell<bool>,
    closed: Cell<bool>,
    /// The task, while it waits for a job.
    task: RefCell<Option<Waker>>,
    /// Who waits for the queue to be empty.
    flush: RefCell<Option<Waker>>,
    counters: Arc<Counters>,
}

impl Queue {
    pub(super) fn new(counters: Arc<Counters>) -> Rc<Self> {
        Rc::new(Self {
            jobs: RefCell::default(),
            bytes: Cell::new(0),
            busy: Cell::new(false),
            closed: Cell::new(false),
            task: RefCell::default(),
            flush: RefCell::default(),
            counters,
        })
    }

    pub(super) fn push(&self, job: Job) {
        let bytes = job.bytes();
        self.bytes.set(self.bytes.get() + bytes);
        self.counters
            .queue_bytes
            .fetch_add(bytes as u64, Ordering::Relaxed);
        self.jobs.borrow_mut().push_back(job);
        self.wake_task();
    }

    /// More waits than the limits allow. The caller stops recording then, so the queue is
    /// never more than one job over.
    pub(super) fn is_over(&self) -> bool {
        self.bytes.get() > QUEUE_BYTES_MAX || self.jobs.borrow().len() > QUEUE_JOBS_MAX
    }

    /// Forgets what waits.
    pub(super) fn clear(&self) {
        let jobs = std::mem::take(&mut *self.jobs.borrow_mut());
        for job in &jobs {
            self.forget(job);
        }
        self.wake_task();
        if !self.busy.get() {
            self.wake_flush();
        }
    }

    /// No job will come.
    pub(super) fn close(&self) {
        self.closed.set(true);
        self.wake_task();
    }

    /// The next job; `None` after [`Queue::close`], when there is none left. Marks the one
    /// before it finished.
    pub(super) async fn next(&self) -> Option<Job> {
        self.busy.set(false);
        if self.jobs.borrow().is_empty() {
            self.wake_flush();
        }
        poll_fn(|cx| {
            if let Some(job) = self.jobs.borrow_mut().pop_front() {
                self.forget(&job);
                self.busy.set(true);
                return Poll::Ready(Some(job));
            }
            if self.closed.get() {
                return Poll::Ready(None);
            }
            *self.task.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Waits until all jobs are finished. One waiter at a time.
    pub(super) async fn flushed(&self) {
        poll_fn(|cx| {
            if !self.busy.get() && self.jobs.borrow().is_empty() {
                return Poll::Ready(());
            }
            *self.flush.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    fn forget(&self, job: &Job) {
        let bytes = job.bytes();
        self.bytes.set(self.bytes.get().saturating_sub(bytes));
        self.counters
            .queue_bytes
            .fetch_sub(bytes as u64, Ordering::Relaxed);
    }

    fn wake_task(&self) {
        if let Some(waker) = self.task.borrow_mut().take() {
            waker.wake();
        }
    }

    fn wake_flush(&self) {
        if let Some(waker) = self.flush.borrow_mut().take() {
            waker.wake();
        }
    }
}
