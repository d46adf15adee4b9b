//! A bounded map from which the entry that was used longest ago goes first.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// Values by key, bounded in number and in bytes. A worker's own: no lock.
#[derive(Debug)]
pub(crate) struct Cache<K, V> {
    entries: HashMap<K, Entry<V>, BuildHasherDefault<Mix>>,
    bytes: usize,
    bytes_max: usize,
    count_max: usize,
    clock: u64,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    bytes: usize,
    used: u64,
}

/// A hash of a few instructions. Who makes keys collide gains nothing: a look-up goes over the few
/// entries there are at most.
#[derive(Debug, Default)]
struct Mix(u64);

impl Hasher for Mix {
    fn write(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, word: u64) {
        let mixed = (self.0.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ mixed >> 32;
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    fn finish(&self) -> u64 {
        self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

impl<K: Hash + Eq + Clone, V: Clone> Cache<K, V> {
    pub(crate) fn new(count_max: usize, bytes_max: usize) -> Self {
        Self {
            entries: HashMap::default(),
            bytes: 0,
            bytes_max,
            count_max,
            clock: 0,
        }
    }

    pub(crate) fn get(&mut self, key: &K) -> Option<V> {
        self.clock += 1;
        let entry = self.entries.get_mut(key)?;
        entry.used = self.clock;
        Some(entry.value.clone())
    }

    /// Adds or replaces; makes room by dropping what was used longest ago. The search for
    /// that is linear: it happens once per segment, over at most a few hundred entries.
    pub(crate) fn put(&mut self, key: K, value: V, bytes: usize) {
        self.clock += 1;
        if let Some(old) = self.entries.remove(&key) {
            self.bytes -= old.bytes;
        }
        if bytes > self.bytes_max {
            return;
        }
        while self.bytes + bytes > self.bytes_max || self.entries.len() >= self.count_max {
            let oldest = self
                .entries
                .iter()
                .min_by_key(|(_, e)| e.used)
                .map(|(k, _)| k.clone());
            let Some(dropped) = oldest.and_then(|k| self.entries.remove(&k)) else {
                break;
            };
            self.bytes -= dropped.bytes;
        }
        self.bytes += bytes;
        self.entries.insert(
            key,
            Entry {
                value,
                bytes,
                used: self.clock,
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_hold_and_the_least_used_goes() {
        let mut cache = Cache::new(3, 100);
        cache.put(1, "a", 30);
        cache.put(2, "b", 30);
        cache.put(3, "c", 30);
        assert_eq!(cache.get(&1), Some("a"));
        cache.put(4, "d", 30);
        assert_eq!(cache.get(&2), None, "2 was used longest ago");
        assert_eq!(cache.get(&1), Some("a"));
        cache.put(5, "e", 90);
        assert_eq!((cache.get(&1), cache.get(&5)), (None, Some("e")));
        assert_eq!(cache.bytes, 90);
        cache.put(6, "f", 101);
        assert_eq!(cache.get(&6), None, "never larger than the whole");
        cache.put(5, "g", 10);
        assert_eq!((cache.get(&5), cache.bytes), (Some("g"), 10));
    }
}
