//! Faults that tests put between a task and the ring.

use std::future::poll_fn;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

/// What happens to appends.
#[derive(Default)]
pub(crate) struct Faults(Mutex<Mode>);

#[derive(Default)]
enum Mode {
    #[default]
    None,
    Hang(Vec<Waker>),
    Fail(i32),
}

impl Faults {
    fn mode(&self) -> MutexGuard<'_, Mode> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends wait until [`Faults::clear`].
    pub(crate) fn hang(&self) {
        *self.mode() = Mode::Hang(Vec::new());
    }

    /// Appends fail with an error number.
    pub(crate) fn fail(&self, errno: i32) {
        *self.mode() = Mode::Fail(errno);
    }

    pub(crate) fn clear(&self) {
        if let Mode::Hang(waiting) = std::mem::take(&mut *self.mode()) {
            waiting.into_iter().for_each(Waker::wake);
        }
    }

    pub(crate) async fn before_write(&self) -> io::Result<()> {
        poll_fn(|cx| match &mut *self.mode() {
            Mode::None => Poll::Ready(Ok(())),
            Mode::Hang(waiting) => {
                waiting.push(cx.waker().clone());
                Poll::Pending
            }
            Mode::Fail(errno) => Poll::Ready(Err(io::Error::from_raw_os_error(*errno))),
        })
        .await
    }
}
