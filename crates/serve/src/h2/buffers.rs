//! Buffers for what a connection is about to send, lent by its worker: a connection that waits
//! holds none.

use crate::limits::{H2_BUFFERS_KEPT, H2_OUTPUT_BYTES_MAX};
use bytes::Bytes;
use std::cell::RefCell;

thread_local! {
    static FREE: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

/// [`H2_OUTPUT_BYTES_MAX`] bytes of memory, of which the first `len` are used.
pub(super) struct Buffer {
    memory: Box<[u8]>,
    len: usize,
}

impl Buffer {
    pub(super) fn new() -> Self {
        let known = FREE.with_borrow_mut(Vec::pop);
        Self {
            memory: known.unwrap_or_else(|| vec![0; H2_OUTPUT_BYTES_MAX].into()),
            len: 0,
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Appends what there is room for; its length.
    pub(super) fn put(&mut self, bytes: &[u8]) -> usize {
        let room = self.memory.get_mut(self.len..).unwrap_or_default();
        let len = room.len().min(bytes.len());
        let (Some(to), Some(from)) = (room.get_mut(..len), bytes.get(..len)) else {
            return 0;
        };
        to.copy_from_slice(from);
        self.len += len;
        len
    }

    /// Has `fill` write up to `len` bytes at the beginning, and say how many it has.
    pub(super) fn fill<E>(
        &mut self,
        len: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<(), E> {
        let len = len.min(self.memory.len());
        let room = self.memory.get_mut(..len).unwrap_or_default();
        self.len = fill(room)?.min(len);
        Ok(())
    }

    /// The used bytes. Their memory goes back when the last reference does.
    pub(super) fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self.memory.get(..self.len).unwrap_or_default()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let memory = std::mem::take(&mut self.memory);
        // The table is gone when its thread ends.
        let _ = FREE.try_with(|free| {
            let mut free = free.borrow_mut();
            if free.len() < H2_BUFFERS_KEPT {
                free.push(memory);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_comes_back_and_is_never_shared() {
        let mut first = Buffer::new();
        assert_eq!(first.put(b"abc"), 3);
        assert_eq!(
            first.put(&vec![1; H2_OUTPUT_BYTES_MAX]),
            H2_OUTPUT_BYTES_MAX - 3
        );
        assert_eq!(first.put(b"x"), 0);
        let bytes = first.into_bytes();
        let kept = bytes.slice(..3);
        let at = bytes.as_ptr();
        drop(bytes);
        assert_ne!(Buffer::new().memory.as_ptr(), at, "a part is still held");
        assert_eq!(kept, b"abc"[..]);
        drop(kept);
        let mut next = Buffer::new();
        assert_eq!((next.memory.as_ptr(), next.len()), (at, 0));
        next.fill::<()>(9, |room| {
            room[0] = b'!';
            Ok(1)
        })
        .unwrap();
        assert_eq!(next.into_bytes(), b"!"[..]);
    }
}
