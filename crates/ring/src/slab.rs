//! A slab with generations, grown in chunks so that growth never moves or doubles what is there.

const CHUNK: usize = 256;
const NONE: u32 = u32::MAX;

/// Generations fit the 24 bits that an operation's user data has for them.
pub(crate) const GENERATION_MASK: u32 = 0x00ff_ffff;

/// Names one occupant of a slab. A later occupant of the same slot has another generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

struct Slot<T> {
    generation: u32,
    /// The next free slot; meaningless while `value` is there.
    next_free: u32,
    value: Option<T>,
}

pub(crate) struct Slab<T> {
    chunks: Vec<Box<[Slot<T>]>>,
    free: u32,
    len: usize,
    max: u32,
}

impl<T> Slab<T> {
    pub(crate) const fn new(max: u32) -> Self {
        Self {
            chunks: Vec::new(),
            free: NONE,
            len: 0,
            max,
        }
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Stores a value, or hands it back when the slab is full.
    pub(crate) fn insert(&mut self, value: T) -> Result<Key, T> {
        if self.len >= self.max as usize {
            return Err(value);
        }
        if self.free == NONE {
            self.grow();
        }
        let index = self.free;
        let slot = &mut self.chunks[index as usize / CHUNK][index as usize % CHUNK];
        self.free = slot.next_free;
        slot.value = Some(value);
        self.len += 1;
        Ok(Key {
            index,
            generation: slot.generation,
        })
    }

    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        let slot = self.slot(key.index)?;
        if slot.generation == key.generation {
            slot.value.as_ref()
        } else {
            None
        }
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let slot = self.slot_mut(key.index)?;
        if slot.generation == key.generation {
            slot.value.as_mut()
        } else {
            None
        }
    }

    /// The occupant of a slot, whatever its generation: for links kept inside the slab's values.
    pub(crate) fn at_mut(&mut self, index: u32) -> Option<&mut T> {
        self.slot_mut(index)?.value.as_mut()
    }

    pub(crate) fn key_at(&self, index: u32) -> Option<Key> {
        let slot = self.slot(index)?;
        slot.value.as_ref().map(|_| Key {
            index,
            generation: slot.generation,
        })
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let free = self.free;
        let slot = self.slot_mut(key.index)?;
        if slot.generation != key.generation {
            return None;
        }
        let value = slot.value.take()?;
        slot.generation = slot.generation.wrapping_add(1) & GENERATION_MASK;
        slot.next_free = free;
        self.free = key.index;
        self.len -= 1;
        Some(value)
    }

    /// Keys of all occupants, for the rare walks over everything.
    pub(crate) fn keys(&self) -> Vec<Key> {
        let slots = (self.chunks.len() * CHUNK) as u32;
        (0..slots).filter_map(|index| self.key_at(index)).collect()
    }

    /// All occupants.
    pub(crate) fn into_values(self) -> impl Iterator<Item = T> {
        self.chunks
            .into_iter()
            .flatten()
            .filter_map(|slot| slot.value)
    }

    fn slot(&self, index: u32) -> Option<&Slot<T>> {
        self.chunks
            .get(index as usize / CHUNK)?
            .get(index as usize % CHUNK)
    }

    fn slot_mut(&mut self, index: u32) -> Option<&mut Slot<T>> {
        self.chunks
            .get_mut(index as usize / CHUNK)?
            .get_mut(index as usize % CHUNK)
    }

    fn grow(&mut self) {
        let base = (self.chunks.len() * CHUNK) as u32;
        let last = base + CHUNK as u32 - 1;
        let slot = |index: u32| Slot {
            generation: 1,
            next_free: if index == last { NONE } else { index + 1 },
            value: None,
        };
        self.chunks.push((base..=last).map(slot).collect());
        self.free = base;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_outlived_by_its_slot_finds_nothing() {
        let mut slab = Slab::new(10);
        let first = slab.insert('a').unwrap();
        assert_eq!(slab.remove(first), Some('a'));
        let second = slab.insert('b').unwrap();
        assert_eq!(second.index, first.index);
        assert_eq!(slab.get(first), None);
        assert_eq!(slab.remove(first), None);
        assert_eq!(slab.get(second), Some(&'b'));
    }

    #[test]
    fn a_full_slab_hands_the_value_back() {
        let mut slab = Slab::new(2);
        slab.insert(1).unwrap();
        let two = slab.insert(2).unwrap();
        assert_eq!(slab.insert(3), Err(3));
        slab.remove(two);
        assert!(slab.insert(3).is_ok());
    }

    #[test]
    fn growth_keeps_all_values() {
        let mut slab = Slab::new(10_000);
        let keys: Vec<_> = (0..1000).map(|n| slab.insert(n).unwrap()).collect();
        assert!(
            keys.iter()
                .enumerate()
                .all(|(n, key)| slab.get(*key) == Some(&n))
        );
        assert_eq!(slab.keys(), keys);
        assert_eq!(slab.len(), 1000);
    }
}
