//! `tfdt`, ISO/IEC 14496-12 §8.8.12: decoding time of the first sample of a fragment.

use crate::error::Error;
use crate::input::BoxBody;

/// Reads `baseMediaDecodeTime`, in ticks of the track's timescale.
pub(crate) fn base_media_decode_time(b: &BoxBody) -> Result<u64, Error> {
    let mut f = b.fields();
    let (version, _) = f.version_up_to(1)?;
    f.u32_or_u64(version == 1, "baseMediaDecodeTime")
}
