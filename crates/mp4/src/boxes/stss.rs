//! `stss`, ISO/IEC 14496-12 §8.6.2: which samples are random access points.

use super::run_length::be_u32;
use crate::error::Error;
use crate::input::BoxBody;
use bytes::Bytes;
use std::slice::ChunksExact;

/// The table: `sample_number`, rising, from 1.
pub(crate) fn read(b: &BoxBody) -> Result<Bytes, Error> {
    let mut f = b.fields();
    f.version_and_flags()?;
    let entries = f.u32("entry_count")?;
    f.table(entries, 4)
}

/// Walks the table beside the samples. Without a table all samples are sync samples.
#[derive(Debug, Clone)]
pub(crate) struct SyncSamples<'a> {
    numbers: Option<ChunksExact<'a, u8>>,
    next: u32,
}

impl<'a> SyncSamples<'a> {
    pub(crate) fn new(table: Option<&'a Bytes>) -> Self {
        Self {
            numbers: table.map(|t| t.chunks_exact(4)),
            next: 0,
        }
    }

    /// Whether sample `number` is one. Has to be asked in rising order; numbers that are out
    /// of order are passed over.
    pub(crate) fn contains(&mut self, number: u32) -> bool {
        let Some(numbers) = &mut self.numbers else {
            return true;
        };
        while self.next < number {
            match numbers.next() {
                Some(entry) => self.next = be_u32(entry, 0),
                None => return false,
            }
        }
        self.next == number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_means_all_and_empty_means_none() {
        assert!(SyncSamples::new(None).contains(3));
        assert!(!SyncSamples::new(Some(&Bytes::new())).contains(1));
    }

    #[test]
    fn numbers_are_found_in_order() {
        let table: Vec<u8> = [1u32, 4, 2, 5]
            .iter()
            .flat_map(|v| v.to_be_bytes())
            .collect();
        let table = Bytes::from(table);
        let mut sync = SyncSamples::new(Some(&table));
        let found: Vec<u32> = (1..8).filter(|&n| sync.contains(n)).collect();
        assert_eq!(found, [1, 4, 5]);
    }
}
