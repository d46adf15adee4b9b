//! Fragments: the head of a chunk (`moof` and the header of `mdat`), written and read back.
//!
//! ```text
//! moof
//! ├─ mfhd                 sequence_number
//! └─ traf
//!    ├─ tfhd              default-base-is-moof; what all samples share
//!    ├─ tfdt              decoding time of the first sample, 64 bits
//!    └─ trun              what differs per sample; signed composition offsets
//! mdat                    header only: the payload follows by reference
//! ```

mod write;

pub use write::fragment_head;

/// Sample flags, ISO/IEC 14496-12 §8.8.3.1.
pub(crate) mod sample_flags {
    /// `sample_depends_on` 2: a sync sample, decodable on its own.
    pub(crate) const SYNC: u32 = 0x0200_0000;
    /// `sample_depends_on` 1 and `sample_is_non_sync_sample`.
    pub(crate) const NON_SYNC: u32 = 0x0101_0000;
    /// `sample_is_non_sync_sample`.
    pub(crate) const IS_NON_SYNC: u32 = 0x0001_0000;
}

/// Flags of `tfhd`, ISO/IEC 14496-12 §8.8.7.1.
pub(crate) mod tfhd_flags {
    pub(crate) const BASE_DATA_OFFSET: u32 = 0x1;
    pub(crate) const SAMPLE_DESCRIPTION_INDEX: u32 = 0x2;
    pub(crate) const DEFAULT_SAMPLE_DURATION: u32 = 0x8;
    pub(crate) const DEFAULT_SAMPLE_SIZE: u32 = 0x10;
    pub(crate) const DEFAULT_SAMPLE_FLAGS: u32 = 0x20;
    pub(crate) const DEFAULT_BASE_IS_MOOF: u32 = 0x2_0000;
}

/// Flags of `trun`, ISO/IEC 14496-12 §8.8.8.1.
pub(crate) mod trun_flags {
    pub(crate) const DATA_OFFSET: u32 = 0x1;
    pub(crate) const FIRST_SAMPLE_FLAGS: u32 = 0x4;
    pub(crate) const SAMPLE_DURATION: u32 = 0x100;
    pub(crate) const SAMPLE_SIZE: u32 = 0x200;
    pub(crate) const SAMPLE_FLAGS: u32 = 0x400;
    pub(crate) const SAMPLE_COMPOSITION_TIME_OFFSETS: u32 = 0x800;
}
