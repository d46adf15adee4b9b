//! Tables that give one value to a run of samples: `stts` and `ctts`.

use std::slice::ChunksExact;

/// Bytes of an entry: `sample_count` and the value.
pub(crate) const ENTRY_BYTES: usize = 8;

/// Walks a table sample by sample. Entries that hold no sample are passed over.
#[derive(Debug, Clone)]
pub(crate) struct RunLength<'a> {
    entries: ChunksExact<'a, u8>,
    left: u32,
    value: u32,
}

impl<'a> RunLength<'a> {
    pub(crate) fn new(table: &'a [u8]) -> Self {
        Self {
            entries: table.chunks_exact(ENTRY_BYTES),
            left: 0,
            value: 0,
        }
    }
}

impl Iterator for RunLength<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        while self.left == 0 {
            let entry = self.entries.next()?;
            self.left = be_u32(entry, 0);
            self.value = be_u32(entry, 4);
        }
        self.left -= 1;
        Some(self.value)
    }
}

/// The 32-bit number at `at` of a table entry; 0 if the entry is too short, which the table's
/// length was checked against.
pub(crate) fn be_u32(entry: &[u8], at: usize) -> u32 {
    entry
        .get(at..)
        .and_then(|e| e.first_chunk())
        .map_or(0, |e| u32::from_be_bytes(*e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_unrolled_and_empty_ones_passed_over() {
        let table: Vec<u8> = [2u32, 7, 0, 9, 1, 8]
            .iter()
            .flat_map(|v| v.to_be_bytes())
            .collect();
        assert_eq!(RunLength::new(&table).collect::<Vec<_>>(), [7, 7, 8]);
        assert_eq!(RunLength::new(&[]).next(), None);
    }
}
