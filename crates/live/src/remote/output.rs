//! One output of a stream: where it goes, and how it does.

use super::Target;
use super::link::Failure;
use crate::clock;
use crate::reasons::RemoteFailure;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use weir_media::Utc;

/// A server that a stream is pushed to.
#[derive(Debug)]
pub struct Output {
    /// Its name among the outputs of the stream.
    pub name: String,
    /// Where it is.
    pub target: Target,
    /// Whether it is pushed to.
    pub enabled: bool,
    status: Mutex<Status>,
    sent: AtomicU64,
    skips: AtomicU64,
    failures: AtomicU64,
}

/// What an output does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OutputState {
    /// It is switched off.
    Disabled,
    /// The stream is not live.
    Idle,
    /// It is about to be connected.
    Connecting,
    /// It takes the stream.
    Live,
    /// It failed, and is tried again later.
    Waiting,
}

impl OutputState {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Idle => "idle",
            Self::Connecting => "connecting",
            Self::Live => "live",
            Self::Waiting => "waiting",
        }
    }
}

/// How an output does at some moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputStatus {
    /// What it does.
    pub state: OutputState,
    /// Since when.
    pub since: Utc,
    /// What went wrong last, when, and by which reason it is counted.
    pub last_error: Option<(String, Utc, RemoteFailure)>,
    /// Times that it failed.
    pub failures: u64,
    /// Bytes of media sent.
    pub sent: u64,
    /// Times that it lagged and was moved on to a later keyframe.
    pub skips: u64,
}

#[derive(Debug)]
struct Status {
    state: OutputState,
    since: Utc,
    last_error: Option<(String, Utc, RemoteFailure)>,
    /// Number of the newest task that pushes; what earlier ones say is of the past.
    task: u64,
}

impl Output {
    /// An output called `name`.
    #[must_use]
    pub fn new(name: String, target: Target, enabled: bool) -> Self {
        let state = match enabled {
            true => OutputState::Idle,
            false => OutputState::Disabled,
        };
        let status = Status {
            state,
            since: clock::now().utc,
            last_error: None,
            task: 0,
        };
        Self {
            name,
            target,
            enabled,
            status: Mutex::new(status),
            sent: AtomicU64::new(0),
            skips: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        }
    }

    /// How it does now.
    #[must_use]
    pub fn status(&self) -> OutputStatus {
        let status = self.lock();
        OutputStatus {
            state: status.state,
            since: status.since,
            last_error: status.last_error.clone(),
            failures: self.failures.load(Ordering::Relaxed),
            sent: self.sent.load(Ordering::Relaxed),
            skips: self.skips.load(Ordering::Relaxed),
        }
    }

    /// A task begins to push; its number.
    pub(crate) fn begin(&self) -> u64 {
        let mut status = self.lock();
        status.task += 1;
        status.task
    }

    pub(crate) fn set(&self, task: u64, state: OutputState) {
        let mut status = self.lock();
        if status.task == task && status.state != state {
            status.state = state;
            status.since = clock::now().utc;
        }
    }

    pub(crate) fn failed(&self, task: u64, failure: &Failure) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        let mut status = self.lock();
        if status.task == task {
            let now = clock::now().utc;
            status.state = OutputState::Waiting;
            status.since = now;
            status.last_error = Some((failure.to_string(), now, failure.reason()));
        }
    }

    pub(crate) fn sent(&self, bytes: usize, skips: u64) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
        self.skips.fetch_add(skips, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Status> {
        // Nothing that the lock guards can panic midway.
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Remote;
    use weir_rtmp::Url;

    #[test]
    fn only_the_newest_task_tells() {
        let url = Url::parse("rtmp://h/live/k", None).unwrap();
        let target = Target::Rtmp(Remote { url, tls: None });
        let output = Output::new("a".into(), target, true);
        assert_eq!(output.status().state, OutputState::Idle);
        let old = output.begin();
        output.set(old, OutputState::Live);
        let new = output.begin();
        output.set(new, OutputState::Connecting);
        output.set(old, OutputState::Idle);
        output.failed(old, &Failure::Closed);
        let status = output.status();
        assert_eq!(
            (status.state, status.failures),
            (OutputState::Connecting, 1)
        );
        assert_eq!(status.last_error, None);
        output.failed(new, &Failure::Stalled);
        let status = output.status();
        assert_eq!(status.state, OutputState::Waiting);
        assert_eq!(status.last_error.unwrap().2, RemoteFailure::Stalled);
    }
}
