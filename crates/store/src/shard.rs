//! A map that is read without locks and written seldom.

use arc_swap::ArcSwap;
use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;

/// Parts of the map. A write copies one part: with 100,000 entries about 1,600.
const SHARDS: usize = 64;

/// A hash map of snapshots. Writers must be serialised by the caller.
pub(crate) struct Sharded<K, V> {
    hasher: RandomState,
    shards: Vec<ArcSwap<HashMap<K, V>>>,
}

impl<K: Hash + Eq + Clone, V: Clone> Sharded<K, V> {
    pub(crate) fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            shards: (0..SHARDS).map(|_| ArcSwap::default()).collect(),
        }
    }

    fn shard<Q: Hash + ?Sized>(&self, key: &Q) -> &ArcSwap<HashMap<K, V>> {
        &self.shards[self.hasher.hash_one(key) as usize % SHARDS]
    }

    pub(crate) fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.shard(key).load().get(key).cloned()
    }

    pub(crate) fn insert(&self, key: K, value: V) {
        let shard = self.shard(&key);
        let mut map = HashMap::clone(&shard.load());
        map.insert(key, value);
        shard.store(Arc::new(map));
    }

    pub(crate) fn remove<Q>(&self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let shard = self.shard(key);
        let mut map = HashMap::clone(&shard.load());
        map.remove(key);
        shard.store(Arc::new(map));
    }

    /// A snapshot of all values, in no order.
    pub(crate) fn values(&self) -> Vec<V> {
        let mut all = Vec::new();
        for shard in &self.shards {
            all.extend(shard.load().values().cloned());
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_put_in_and_not_what_was_taken_out() {
        let map: Sharded<u32, u32> = Sharded::new();
        for i in 0..500 {
            map.insert(i, i * 2);
        }
        map.remove(&77);
        assert_eq!(map.get(&76), Some(152));
        assert_eq!(map.get(&77), None);
        assert_eq!(map.values().len(), 499);
    }
}
