//! Who runs where: the server on one core, the client on another.

use crate::Result;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::sync::OnceLock;

/// The cores that this program was given when it started.
pub fn allowed() -> &'static Vec<usize> {
    static ALLOWED: OnceLock<Vec<usize>> = OnceLock::new();
    ALLOWED.get_or_init(|| match sched_getaffinity(None) {
        Ok(set) => (0..CpuSet::MAX_CPU)
            .filter(|&cpu| set.is_set(cpu))
            .collect(),
        Err(_) => Vec::new(),
    })
}

/// The core that servers run on.
pub fn server() -> usize {
    allowed().first().copied().unwrap_or(0)
}

/// The core that the load comes from; the server's where there is no other.
pub fn client() -> usize {
    allowed().get(1).copied().unwrap_or_else(server)
}

/// Moves this thread, and what it starts from now on, to `cpu`.
pub fn pin(cpu: usize) -> Result<()> {
    // Asked for before the first pin, or it would be lost.
    allowed();
    let mut set = CpuSet::new();
    set.set(cpu);
    sched_setaffinity(None, &set).map_err(|e| format!("cannot move to core {cpu}: {e}"))
}

/// Gives this thread, and what it starts from now on, the two cores that servers and clients
/// run on.
pub fn unpin() -> Result<()> {
    allowed();
    let mut set = CpuSet::new();
    set.set(server());
    set.set(client());
    sched_setaffinity(None, &set).map_err(|e| format!("cannot leave the core: {e}"))
}
