//! `stsc`, ISO/IEC 14496-12 §8.7.4: how many samples each chunk of the file has.

use super::run_length::be_u32;
use crate::error::Error;
use crate::input::BoxBody;
use bytes::Bytes;
use std::iter::Peekable;
use std::slice::ChunksExact;

/// Bytes of an entry: `first_chunk`, `samples_per_chunk`, `sample_description_index`.
const ENTRY_BYTES: usize = 12;

/// The table.
pub(crate) fn read(b: &BoxBody) -> Result<Bytes, Error> {
    let mut f = b.fields();
    f.version_and_flags()?;
    let entries = f.u32("entry_count")?;
    f.table(entries, ENTRY_BYTES)
}

/// Walks the table chunk by chunk: samples per chunk and sample description index.
#[derive(Debug, Clone)]
pub(crate) struct SamplesPerChunk<'a> {
    entries: Peekable<ChunksExact<'a, u8>>,
    chunk: u32,
    current: (u32, u32),
}

impl<'a> SamplesPerChunk<'a> {
    pub(crate) fn new(table: &'a [u8]) -> Self {
        Self {
            entries: table.chunks_exact(ENTRY_BYTES).peekable(),
            chunk: 0,
            current: (0, 0),
        }
    }

    /// What the next chunk holds; no samples before the first entry's chunk.
    pub(crate) fn next_chunk(&mut self) -> (u32, u32) {
        self.chunk = self.chunk.saturating_add(1);
        while let Some(entry) = self.entries.next_if(|e| be_u32(e, 0) <= self.chunk) {
            self.current = (be_u32(entry, 4), be_u32(entry, 8));
        }
        self.current
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_holds_until_the_next() {
        let table: Vec<u8> = [1u32, 5, 1, 3, 2, 2]
            .iter()
            .flat_map(|v| v.to_be_bytes())
            .collect();
        let mut chunks = SamplesPerChunk::new(&table);
        let found: Vec<_> = (0..4).map(|_| chunks.next_chunk()).collect();
        assert_eq!(found, [(5, 1), (5, 1), (2, 2), (2, 2)]);
    }
}
