//! `stco` and `co64`, ISO/IEC 14496-12 §8.7.5: where in the file each chunk begins.

use super::run_length::be_u32;
use crate::error::Error;
use crate::input::BoxBody;
use bytes::Bytes;

/// Offsets of all chunks of a track, as the box holds them.
#[derive(Debug, Clone, Default)]
pub(crate) struct ChunkOffsets {
    wide: bool,
    table: Bytes,
}

impl ChunkOffsets {
    pub(crate) fn read(b: &BoxBody, wide: bool) -> Result<Self, Error> {
        let mut f = b.fields();
        f.version_and_flags()?;
        let entries = f.u32("entry_count")?;
        let table = f.table(entries, if wide { 8 } else { 4 })?;
        Ok(Self { wide, table })
    }

    /// Offset of chunk `index`, from 0, in bytes from the start of the file.
    pub(crate) fn offset(&self, index: u32) -> Option<u64> {
        let i = index as usize;
        if self.wide {
            let entry = self.table.get(i.checked_mul(8)?..)?.first_chunk()?;
            Some(u64::from_be_bytes(*entry))
        } else {
            let entry = self.table.get(i.checked_mul(4)?..)?;
            (entry.len() >= 4).then(|| u64::from(be_u32(entry, 0)))
        }
    }
}
