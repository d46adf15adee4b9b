//! `stsz` and `stz2`, ISO/IEC 14496-12 §8.7.3: how many bytes each sample has.

use super::run_length::be_u32;
use crate::error::Error;
use crate::input::BoxBody;
use bytes::Bytes;

/// Sizes of all samples of a track, as the box holds them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sizes {
    /// Number of samples.
    pub(crate) count: u32,
    /// Size of every sample; 0 if they are in the table.
    constant: u32,
    /// Bits of a table entry: 4, 8, 16 or 32.
    field_size: u8,
    table: Bytes,
}

impl Sizes {
    pub(crate) fn read_stsz(b: &BoxBody) -> Result<Self, Error> {
        let mut f = b.fields();
        f.version_and_flags()?;
        let constant = f.u32("sample_size")?;
        let count = f.u32("sample_count")?;
        let table = f.table(if constant == 0 { count } else { 0 }, 4)?;
        Ok(Self {
            count,
            constant,
            field_size: 32,
            table,
        })
    }

    pub(crate) fn read_stz2(b: &BoxBody) -> Result<Self, Error> {
        let mut f = b.fields();
        f.version_and_flags()?;
        f.skip(3, "reserved")?;
        let field_size = f.u8("field_size")?;
        let count = f.u32("sample_count")?;
        let table = match field_size {
            // Two to a byte; an odd last one is padded.
            4 => f.table(count.div_ceil(2), 1)?,
            8 => f.table(count, 1)?,
            16 => f.table(count, 2)?,
            _ => {
                return Err(Error::Field {
                    at: b.at,
                    field: "field_size",
                    value: u64::from(field_size),
                });
            }
        };
        Ok(Self {
            count,
            constant: 0,
            field_size,
            table,
        })
    }

    /// Size of sample `index`, from 0, in bytes.
    pub(crate) fn size(&self, index: u32) -> Option<u32> {
        if index >= self.count {
            return None;
        }
        if self.constant != 0 {
            return Some(self.constant);
        }
        let i = index as usize;
        let byte = |i: usize| self.table.get(i).copied();
        match self.field_size {
            4 => byte(i / 2).map(|b| u32::from(if i.is_multiple_of(2) { b >> 4 } else { b & 0xf })),
            8 => byte(i).map(u32::from),
            16 => Some(u32::from(byte(i * 2)?) << 8 | u32::from(byte(i * 2 + 1)?)),
            _ => self.table.get(i * 4..i * 4 + 4).map(|e| be_u32(e, 0)),
        }
    }
}
