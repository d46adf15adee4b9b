//! One answer from another thread. Knows no runtime: whoever waits is woken by its own waker.

use super::Answer;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

#[derive(Default)]
struct State {
    answer: Option<Answer>,
    waker: Option<Waker>,
}

type Shared = Arc<Mutex<State>>;

/// Where an answer goes. Dropped without one, it is a failure.
pub struct Reply(Shared);

/// The answer, once it is there.
pub(super) struct Waiting(Shared);

/// Both ends.
pub(super) fn waiting() -> (Reply, Waiting) {
    let shared = Shared::default();
    (Reply(shared.clone()), Waiting(shared))
}

/// Nothing runs under the lock that could panic.
fn lock(shared: &Shared) -> MutexGuard<'_, State> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Reply {
    /// Gives the answer.
    pub fn send(self, answer: Answer) {
        lock(&self.0).answer = Some(answer);
    }

    /// Whether somebody still waits for it.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        let waker = {
            let mut state = lock(&self.0);
            let lost = || Answer::Fail("the question to the hook was lost".into());
            state.answer.get_or_insert_with(lost);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reply")
    }
}

impl Future for Waiting {
    type Output = Answer;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answer> {
        let mut state = lock(&self.0);
        match state.answer.take() {
            Some(answer) => Poll::Ready(answer),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}
