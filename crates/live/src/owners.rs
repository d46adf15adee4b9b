//! Which worker owns which stream.

use crate::limits::STREAMS_PER_WORKER_MAX;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use weir_media::StreamName;

/// The table of owners. Touched when a publish begins and when a stream ends, never per
/// frame; hence a plain lock.
#[derive(Debug)]
pub(crate) struct Owners {
    table: Mutex<Table>,
}

#[derive(Debug)]
struct Table {
    owner: HashMap<StreamName, usize>,
    /// Streams of each worker.
    load: Vec<usize>,
}

impl Owners {
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            table: Mutex::new(Table {
                owner: HashMap::new(),
                load: vec![0; workers.max(1)],
            }),
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // The table is consistent between any two statements below.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The worker that owns `name`; a name without one goes to the worker with the fewest
    /// streams. `None` if that worker is full.
    pub(crate) fn claim(&self, name: &StreamName) -> Option<usize> {
        let mut table = self.table();
        if let Some(&worker) = table.owner.get(name) {
            return Some(worker);
        }
        let (worker, &load) = table
            .load
            .iter()
            .enumerate()
            .min_by_key(|(_, load)| **load)?;
        if load >= STREAMS_PER_WORKER_MAX {
            return None;
        }
        table.load[worker] += 1;
        table.owner.insert(name.clone(), worker);
        Some(worker)
    }

    /// The worker that owns `name`: `worker`, if it had none. `None` if that one is full.
    pub(crate) fn claim_for(&self, name: &StreamName, worker: usize) -> Option<usize> {
        let mut table = self.table();
        if let Some(&owner) = table.owner.get(name) {
            return Some(owner);
        }
        let load = table.load.get_mut(worker)?;
        if *load >= STREAMS_PER_WORKER_MAX {
            return None;
        }
        *load += 1;
        table.owner.insert(name.clone(), worker);
        Some(worker)
    }

    /// The worker that owns `name`, if it has one.
    pub(crate) fn find(&self, name: &StreamName) -> Option<usize> {
        self.table().owner.get(name).copied()
    }

    /// The stream has ended; its name is free again.
    pub(crate) fn release(&self, name: &StreamName) {
        let mut table = self.table();
        if let Some(worker) = table.owner.remove(name) {
            table.load[worker] -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> StreamName {
        StreamName::parse(text).unwrap()
    }

    #[test]
    fn a_name_stays_with_its_worker_and_load_is_balanced() {
        let owners = Owners::new(2);
        let a = owners.claim(&name("a")).unwrap();
        let b = owners.claim(&name("b")).unwrap();
        assert_ne!(a, b);
        assert_eq!(owners.claim(&name("a")), Some(a));
        owners.release(&name("a"));
        owners.release(&name("a"));
        assert_eq!(
            owners.claim(&name("c")),
            Some(a),
            "the freed place is the emptiest"
        );
    }

    #[test]
    fn a_full_house_refuses() {
        let owners = Owners::new(1);
        for i in 0..STREAMS_PER_WORKER_MAX {
            owners.claim(&name(&format!("n{i}"))).unwrap();
        }
        assert_eq!(owners.claim(&name("one-more")), None);
        assert!(owners.claim(&name("n0")).is_some());
    }
}
