//! `ctts`, ISO/IEC 14496-12 §8.6.1.3: how much later than it is decoded a sample is shown.

use super::run_length::ENTRY_BYTES;
use crate::error::Error;
use crate::input::BoxBody;
use bytes::Bytes;

/// The table: `sample_count`, `sample_offset`.
///
/// Offsets are signed in version 1. QuickTime writes negative ones in version 0 too, and an
/// offset of more than 2^31 makes no sense: both are read as signed.
pub(crate) fn read(b: &BoxBody) -> Result<Bytes, Error> {
    let mut f = b.fields();
    f.version_and_flags()?;
    let entries = f.u32("entry_count")?;
    f.table(entries, ENTRY_BYTES)
}
