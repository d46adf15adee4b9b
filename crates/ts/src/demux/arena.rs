//! Memory that frames are cut from.

use crate::limits::ARENA_BYTES;
use bytes::{Bytes, BytesMut};

/// A buffer whose front is cut off as frames. Many frames share one allocation, so none has
/// spare room behind it, and a frame that grows is moved only when an allocation is used up.
#[derive(Debug, Default)]
pub(super) struct Arena {
    pub(super) open: BytesMut,
    /// What the last frames took.
    expected: usize,
}

impl Arena {
    /// Makes room for a frame like the last ones. What is open must be empty.
    pub(super) fn prepare(&mut self) {
        if self.open.capacity() < self.expected.max(1) {
            self.open = BytesMut::with_capacity(ARENA_BYTES.max(2 * self.expected));
        }
    }

    /// Cuts off what is open.
    pub(super) fn take(&mut self) -> Bytes {
        // A key frame makes room for the next, and is forgotten if none comes.
        self.expected = self.open.len().max(self.expected / 8 * 7);
        self.open.split().freeze()
    }
}
