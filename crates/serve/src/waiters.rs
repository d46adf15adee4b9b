//! Requests that wait until a stream has content.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use weir_media::StreamName;
use weir_ring::Notify;

use crate::limits::HELD_MAX;

/// The waiting requests of one worker, by stream.
#[derive(Default)]
pub(crate) struct Waiters {
    by_stream: RefCell<HashMap<StreamName, Rc<Notify>>>,
    held: Cell<usize>,
}

impl Waiters {
    /// The place where a request waits; `None` if too many wait already. The place counts
    /// while it is kept.
    pub(crate) fn place(self: &Rc<Self>, name: &StreamName) -> Option<Place> {
        if self.held.get() >= HELD_MAX {
            return None;
        }
        self.held.set(self.held.get() + 1);
        let mut by_stream = self.by_stream.borrow_mut();
        let notify = by_stream.entry(name.clone()).or_default().clone();
        Some(Place {
            waiters: self.clone(),
            name: name.clone(),
            notify,
        })
    }

    /// Wakes all that wait for a stream.
    pub(crate) fn wake(&self, name: &StreamName) {
        if let Some(notify) = self.by_stream.borrow().get(name) {
            notify.notify_all();
        }
    }
}

/// One waiting request.
pub(crate) struct Place {
    waiters: Rc<Waiters>,
    name: StreamName,
    notify: Rc<Notify>,
}

impl Place {
    /// Waits for the next news of the stream.
    pub(crate) async fn news(&self) {
        self.notify.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.waiters.held.set(self.waiters.held.get() - 1);
        // Two references are the table's and this one: nobody else waits.
        if Rc::strong_count(&self.notify) == 2 {
            self.waiters.by_stream.borrow_mut().remove(&self.name);
        }
    }
}
