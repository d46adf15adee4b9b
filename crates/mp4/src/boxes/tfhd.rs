//! `tfhd`, ISO/IEC 14496-12 §8.8.7: the track of a fragment and its defaults.

use crate::error::Error;
use crate::input::BoxBody;

/// `base-data-offset-present`
pub(crate) const BASE_DATA_OFFSET: u32 = 0x1;
/// `sample-description-index-present`
pub(crate) const SAMPLE_DESCRIPTION_INDEX: u32 = 0x2;
/// `default-sample-duration-present`
pub(crate) const DEFAULT_SAMPLE_DURATION: u32 = 0x8;
/// `default-sample-size-present`
pub(crate) const DEFAULT_SAMPLE_SIZE: u32 = 0x10;
/// `default-sample-flags-present`
pub(crate) const DEFAULT_SAMPLE_FLAGS: u32 = 0x20;
/// `default-base-is-moof`
pub(crate) const DEFAULT_BASE_IS_MOOF: u32 = 0x2_0000;

/// What is read of the header; `None` where the defaults of `trex` hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tfhd {
    pub(crate) track_id: u32,
    pub(crate) base_data_offset: Option<u64>,
    pub(crate) sample_description_index: Option<u32>,
    pub(crate) duration: Option<u32>,
    pub(crate) size: Option<u32>,
    pub(crate) flags: Option<u32>,
    /// Offsets count from the first byte of the `moof`.
    pub(crate) base_is_moof: bool,
}

impl Tfhd {
    pub(crate) fn read(b: &BoxBody) -> Result<Self, Error> {
        let mut f = b.fields();
        let (_, flags) = f.version_and_flags()?;
        let track_id = f.u32("track_ID")?;
        let base_data_offset = if flags & BASE_DATA_OFFSET == 0 {
            None
        } else {
            Some(f.u64("base_data_offset")?)
        };
        let mut optional = |flag, field| {
            if flags & flag == 0 {
                Ok(None)
            } else {
                f.u32(field).map(Some)
            }
        };
        Ok(Self {
            track_id,
            base_data_offset,
            sample_description_index: optional(
                SAMPLE_DESCRIPTION_INDEX,
                "sample_description_index",
            )?,
            duration: optional(DEFAULT_SAMPLE_DURATION, "default_sample_duration")?,
            size: optional(DEFAULT_SAMPLE_SIZE, "default_sample_size")?,
            flags: optional(DEFAULT_SAMPLE_FLAGS, "default_sample_flags")?,
            base_is_moof: flags & DEFAULT_BASE_IS_MOOF != 0,
        })
    }
}
