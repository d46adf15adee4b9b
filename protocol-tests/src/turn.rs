//! Two heavy tests at a time: CI machines have two cores, and a publisher that is starved
//! of CPU is not what a test wants to show.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Tests that run at once.
const HEAVY_MAX: usize = 2;

static RUNNING: Mutex<usize> = Mutex::new(0);
static ENDED: Condvar = Condvar::new();

/// A place among the heavy tests, given back on drop.
#[derive(Debug)]
#[must_use]
pub struct Turn(());

/// Waits for a place.
pub fn heavy() -> Turn {
    let mut running = running();
    while *running >= HEAVY_MAX {
        running = ENDED.wait(running).unwrap_or_else(PoisonError::into_inner);
    }
    *running += 1;
    Turn(())
}

impl Drop for Turn {
    fn drop(&mut self) {
        *running() -= 1;
        ENDED.notify_one();
    }
}

fn running() -> MutexGuard<'static, usize> {
    // A number is consistent whatever a panicking test did.
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}
