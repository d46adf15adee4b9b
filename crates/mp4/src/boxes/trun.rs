//! `trun`, ISO/IEC 14496-12 §8.8.8: a run of samples of a fragment.

use super::run_length::be_u32;
use super::sample_flags::IS_NON_SYNC;
use crate::error::Error;
use crate::input::BoxBody;
use bytes::Bytes;

/// `data-offset-present`
pub(crate) const DATA_OFFSET: u32 = 0x1;
/// `first-sample-flags-present`
pub(crate) const FIRST_SAMPLE_FLAGS: u32 = 0x4;
/// `sample-duration-present`
pub(crate) const SAMPLE_DURATION: u32 = 0x100;
/// `sample-size-present`
pub(crate) const SAMPLE_SIZE: u32 = 0x200;
/// `sample-flags-present`
pub(crate) const SAMPLE_FLAGS: u32 = 0x400;
/// `sample-composition-time-offsets-present`
pub(crate) const SAMPLE_COMPOSITION_TIME_OFFSETS: u32 = 0x800;

/// A run of samples, as the box holds them.
#[derive(Debug, Clone)]
pub(crate) struct Trun {
    flags: u32,
    pub(crate) sample_count: u32,
    pub(crate) data_offset: Option<i32>,
    first_sample_flags: Option<u32>,
    table: Bytes,
}

/// A sample without its place and time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TrunSample {
    pub(crate) duration: u32,
    pub(crate) size: u32,
    pub(crate) sync: bool,
    /// Signed in version 1. In version 0 some writers put negative offsets too, and none
    /// above 2^31 makes sense: both are read as signed.
    pub(crate) composition_offset: i32,
}

/// What holds for a sample where its run says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct TrunDefaults {
    pub(crate) duration: u32,
    pub(crate) size: u32,
    pub(crate) flags: u32,
}

impl Trun {
    pub(crate) fn read(b: &BoxBody) -> Result<Self, Error> {
        let mut f = b.fields();
        let (_, flags) = f.version_and_flags()?;
        let sample_count = f.u32("sample_count")?;
        let data_offset = if flags & DATA_OFFSET == 0 {
            None
        } else {
            Some(f.i32("data_offset")?)
        };
        let first_sample_flags = if flags & FIRST_SAMPLE_FLAGS == 0 {
            None
        } else {
            Some(f.u32("first_sample_flags")?)
        };
        let table = f.table(sample_count, entry_bytes(flags))?;
        Ok(Self {
            flags,
            sample_count,
            data_offset,
            first_sample_flags,
            table,
        })
    }

    /// Whether the box gives its samples no sizes, durations or offsets of their own.
    pub(crate) fn is_uniform(&self) -> bool {
        entry_bytes(self.flags) == 0
    }

    /// The samples in order.
    pub(crate) fn samples(&self, defaults: TrunDefaults) -> impl Iterator<Item = TrunSample> {
        (0..self.sample_count).filter_map(move |i| self.sample(i, defaults))
    }

    /// Sample `index` of the run, from 0.
    pub(crate) fn sample(&self, index: u32, defaults: TrunDefaults) -> Option<TrunSample> {
        if index >= self.sample_count {
            return None;
        }
        let start = entry_bytes(self.flags).checked_mul(index as usize)?;
        let entry = self.table.get(start..)?;
        let mut at = 0;
        let mut field = |flag, default| {
            if self.flags & flag == 0 {
                return default;
            }
            at += 4;
            be_u32(entry, at - 4)
        };
        let duration = field(SAMPLE_DURATION, defaults.duration);
        let size = field(SAMPLE_SIZE, defaults.size);
        let flags = match self.first_sample_flags {
            Some(first) if index == 0 => {
                // Must not stand beside flags per sample; if it does, it wins.
                field(SAMPLE_FLAGS, 0);
                first
            }
            _ => field(SAMPLE_FLAGS, defaults.flags),
        };
        let composition_offset = field(SAMPLE_COMPOSITION_TIME_OFFSETS, 0) as i32;
        Some(TrunSample {
            duration,
            size,
            sync: flags & IS_NON_SYNC == 0,
            composition_offset,
        })
    }
}

/// Bytes of an entry: the flags from 0x100 to 0x800 each stand for four.
fn entry_bytes(flags: u32) -> usize {
    4 * (flags >> 8 & 0xf).count_ones() as usize
}
