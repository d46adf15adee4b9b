//! Buffers for sealed records, and for what is decrypted or about to be sealed, shared by all
//! connections of a worker, so that one that waits holds none.
//!
//! rustls seals a record into memory of its own and copies it into these. Taking its records as
//! they were made, by cipher suites that put them aside, was measured and gained nothing: the
//! copy stays within the cache, while fresh records of 16 KiB do not.

use crate::limits::{SEALED_BUFFER_BYTES, SEALED_BUFFERS_KEPT, SEND_STEP_BYTES};
use bytes::Bytes;
use std::cell::RefCell;

thread_local! {
    static FREE: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static STEP: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A buffer being filled with sealed records.
pub(crate) struct Sealed {
    data: Box<[u8]>,
    len: usize,
}

impl Sealed {
    /// A buffer of at least `capacity` bytes. Up to [`SEALED_BUFFER_BYTES`] it comes from the
    /// thread's pool, unless so few are wanted that a slow reader should not keep a large one.
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        let pooled = (SMALL_BYTES + 1..=SEALED_BUFFER_BYTES).contains(&capacity);
        let data = if pooled {
            let free = FREE.with_borrow_mut(Vec::pop);
            free.unwrap_or_else(|| vec![0; SEALED_BUFFER_BYTES].into_boxed_slice())
        } else {
            vec![0; capacity].into_boxed_slice()
        };
        Self { data, len: 0 }
    }

    /// The room left.
    pub(crate) fn spare(&mut self) -> &mut [u8] {
        self.data.get_mut(self.len..).unwrap_or_default()
    }

    /// The next `len` bytes of the room are filled.
    pub(crate) fn filled(&mut self, len: usize) {
        self.len = (self.len + len).min(self.data.len());
    }

    /// What was filled, to be sent. The buffer returns to the pool of the thread that drops it.
    pub(crate) fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Sealed {
    fn as_ref(&self) -> &[u8] {
        self.data.get(..self.len).unwrap_or_default()
    }
}

impl Drop for Sealed {
    fn drop(&mut self) {
        if self.data.len() != SEALED_BUFFER_BYTES {
            return;
        }
        let data = std::mem::take(&mut self.data);
        // At the end of a thread the pool may be gone already.
        let _ = FREE.try_with(|free| {
            let mut free = free.borrow_mut();
            if free.len() < SEALED_BUFFERS_KEPT {
                free.push(data);
            }
        });
    }
}

/// Up to this length an answer gets a buffer of its own.
const SMALL_BYTES: usize = 4096;

/// Runs `f` with the thread's scratch buffer, which is empty. It may not be called within `f`. It
/// keeps the size of its largest use: a record, or a receive with a record's part.
pub(crate) fn with_scratch<T>(f: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    SCRATCH.with_borrow_mut(|scratch| {
        scratch.clear();
        f(scratch)
    })
}

/// Runs `f` with [`SEND_STEP_BYTES`] of whatever was there before, to read a file into. It may not
/// be called within `f`.
pub(crate) fn with_step<T>(f: impl FnOnce(&mut [u8]) -> T) -> T {
    STEP.with_borrow_mut(|step| {
        step.resize(SEND_STEP_BYTES, 0);
        f(step)
    })
}
