//! Buffers for what is decrypted or about to be sealed, per thread, so that a connection that
//! waits holds none.

use crate::limits::SEND_STEP_BYTES;
use std::cell::RefCell;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static STEP: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Runs `f` with the thread's buffer, which is empty. It may not be called within `f`. The buffer
/// keeps its size: that of the largest use, a record or a receive with a record's part.
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
