//! `mfhd`, ISO/IEC 14496-12 §8.8.5: the number of a fragment.

use crate::error::Error;
use crate::input::BoxBody;

/// Reads `sequence_number`.
pub(crate) fn sequence_number(b: &BoxBody) -> Result<u32, Error> {
    let mut f = b.fields();
    f.version_and_flags()?;
    f.u32("sequence_number")
}
