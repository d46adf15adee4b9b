//! `stts`, ISO/IEC 14496-12 §8.6.1.2: how long each sample lasts.

use super::run_length::ENTRY_BYTES;
use crate::error::Error;
use crate::input::BoxBody;
use bytes::Bytes;

/// The table: `sample_count`, `sample_delta`.
pub(crate) fn read(b: &BoxBody) -> Result<Bytes, Error> {
    let mut f = b.fields();
    f.version_and_flags()?;
    let entries = f.u32("entry_count")?;
    f.table(entries, ENTRY_BYTES)
}
