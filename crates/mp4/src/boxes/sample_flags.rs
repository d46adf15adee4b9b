//! Flags of a sample in a fragment, ISO/IEC 14496-12 §8.8.3.1.

/// `sample_depends_on` 2: a sync sample, decodable on its own.
pub(crate) const SYNC: u32 = 0x0200_0000;
/// `sample_depends_on` 1 and `sample_is_non_sync_sample`.
pub(crate) const NON_SYNC: u32 = IS_NON_SYNC | 0x0100_0000;
/// `sample_is_non_sync_sample`.
pub(crate) const IS_NON_SYNC: u32 = 0x0001_0000;
