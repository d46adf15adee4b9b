//! Which worker owns which stream.

use crate::limits::STREAMS_PER_WORKER_MAX;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use weir_media::StreamName;

/// The table of owners. Touched when a publish begins and when a stream ends, never per
/// frame; hence a plain lock.
#[derive(Debug)]
pub(crate) struct Owners {
    table: Mutex<Table>,
}

#[derive(Debug)]
struct Table {
    owner: HashMap<StreamName, Owner>,
    /// Streams of each worker.
    load: Vec<usize>,
}

/// A name stays with its worker while its stream is there, and while somebody is on the way to
/// that worker to begin it.
#[derive(Debug)]
struct Owner {
    worker: usize,
    claims: usize,
    live: bool,
}

/// That a name belongs to a worker, for as long as the value lives: somebody is about to begin
/// its stream there. Lost on the way, it frees a name that nobody else has.
#[derive(Debug)]
pub(crate) struct Claim {
    owners: Arc<Owners>,
    name: StreamName,
    worker: usize,
}

impl Claim {
    /// The worker that owns the name.
    pub(crate) fn worker(&self) -> usize {
        self.worker
    }

    /// The name.
    pub(crate) fn name(&self) -> &StreamName {
        &self.name
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.owners.let_go(&self.name, |owner| owner.claims -= 1);
    }
}

impl Owners {
    pub(crate) fn new(workers: usize) -> Arc<Self> {
        Arc::new(Self {
            table: Mutex::new(Table {
                owner: HashMap::new(),
                load: vec![0; workers.max(1)],
            }),
        })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // The table is consistent between any two statements below.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Claims `name` for its owner; a name without one goes to the worker with the fewest
    /// streams. `None` if that worker is full.
    pub(crate) fn claim(self: &Arc<Self>, name: &StreamName) -> Option<Claim> {
        self.claim_or(name, |load| {
            let emptiest = load.iter().enumerate().min_by_key(|(_, load)| **load);
            emptiest.map(|(worker, _)| worker)
        })
    }

    /// Claims `name` for its owner: `worker`, if it had none. `None` if that one is full.
    pub(crate) fn claim_for(self: &Arc<Self>, name: &StreamName, worker: usize) -> Option<Claim> {
        self.claim_or(name, |_| Some(worker))
    }

    fn claim_or(
        self: &Arc<Self>,
        name: &StreamName,
        choose: impl FnOnce(&[usize]) -> Option<usize>,
    ) -> Option<Claim> {
        let mut table = self.table();
        let Table { owner, load } = &mut *table;
        let owner = match owner.entry(name.clone()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let worker = choose(load)?;
                let load = load.get_mut(worker)?;
                if *load >= STREAMS_PER_WORKER_MAX {
                    return None;
                }
                *load += 1;
                new.insert(Owner {
                    worker,
                    claims: 0,
                    live: false,
                })
            }
        };
        owner.claims += 1;
        Some(Claim {
            owners: self.clone(),
            name: name.clone(),
            worker: owner.worker,
        })
    }

    /// The worker that owns `name`, if it has one.
    pub(crate) fn find(&self, name: &StreamName) -> Option<usize> {
        self.table().owner.get(name).map(|owner| owner.worker)
    }

    /// The stream has begun: its name stays with its worker until [`Owners::release`].
    pub(crate) fn settle(&self, name: &StreamName) {
        if let Some(owner) = self.table().owner.get_mut(name) {
            owner.live = true;
        }
    }

    /// The stream has ended; its name is free again, unless somebody is about to begin it anew.
    pub(crate) fn release(&self, name: &StreamName) {
        self.let_go(name, |owner| owner.live = false);
    }

    fn let_go(&self, name: &StreamName, change: impl FnOnce(&mut Owner)) {
        let mut table = self.table();
        let Some(owner) = table.owner.get_mut(name) else {
            return;
        };
        change(owner);
        if owner.claims == 0 && !owner.live {
            let worker = owner.worker;
            table.owner.remove(name);
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

    fn begin(owners: &Arc<Owners>, text: &str) -> usize {
        let claim = owners.claim(&name(text)).unwrap();
        owners.settle(claim.name());
        claim.worker()
    }

    #[test]
    fn a_name_stays_with_its_worker_and_load_is_balanced() {
        let owners = Owners::new(2);
        let a = begin(&owners, "a");
        let b = begin(&owners, "b");
        assert_ne!(a, b);
        assert_eq!(begin(&owners, "a"), a);
        owners.release(&name("a"));
        owners.release(&name("a"));
        let c = begin(&owners, "c");
        assert_eq!(c, a, "the freed place is the emptiest");
    }

    #[test]
    fn a_full_house_refuses() {
        let owners = Owners::new(1);
        for i in 0..STREAMS_PER_WORKER_MAX {
            begin(&owners, &format!("n{i}"));
        }
        assert!(owners.claim(&name("one-more")).is_none());
        assert!(owners.claim(&name("n0")).is_some());
    }

    #[test]
    fn a_claim_that_comes_to_nothing_frees_the_name() {
        let owners = Owners::new(2);
        let camera = name("camera");
        let (one, other) = (owners.claim(&camera), owners.claim(&camera));
        drop(one);
        assert!(owners.find(&camera).is_some(), "the other is on its way");
        owners.settle(&camera);
        drop(other);
        assert!(owners.find(&camera).is_some(), "the stream is there");
        let late = owners.claim_for(&camera, 1).unwrap();
        owners.release(&camera);
        assert_eq!(owners.find(&camera), Some(late.worker()));
        drop(late);
        assert_eq!(owners.find(&camera), None);
        assert_eq!(owners.table().load, [0, 0]);
    }
}
