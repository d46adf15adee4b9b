//! What tasks beside a connection have for it.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::{Poll, Waker};

/// Where they put it. For one reader.
pub(super) struct Mail<T> {
    items: RefCell<Vec<T>>,
    reader: Cell<Option<Waker>>,
}

impl<T> Mail<T> {
    pub(super) const fn new() -> Self {
        Self {
            items: RefCell::new(Vec::new()),
            reader: Cell::new(None),
        }
    }

    pub(super) fn post(&self, item: T) {
        self.items.borrow_mut().push(item);
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    pub(super) fn take(&self) -> Vec<T> {
        self.items.take()
    }

    /// Waits until there is something to take.
    pub(super) async fn arrived(&self) {
        poll_fn(|cx| {
            if !self.items.borrow().is_empty() {
                return Poll::Ready(());
            }
            self.reader.set(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}
