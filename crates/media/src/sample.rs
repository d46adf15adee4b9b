//! The line of a sample table: what a muxer needs to know of a frame without its bytes.

/// Facts about a coded sample that a muxer would otherwise have to look into the payload
/// for. A plain bit set: the bits are part of the log format, so they never change meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct SampleFlags(pub u32);

impl SampleFlags {
    /// Random access point.
    pub const KEY: Self = Self(1);
    /// The first NAL unit is an access unit delimiter (H.264, HEVC).
    pub const DELIMITER: Self = Self(1 << 1);
    /// SPS and PPS are inside the access unit (H.264, HEVC).
    pub const PARAMETER_SETS: Self = Self(1 << 2);

    /// The flags of an access unit.
    #[must_use]
    pub fn of(key: bool, delimiter: bool, parameter_sets: bool) -> Self {
        let mut flags = Self::default();
        for (set, flag) in [
            (key, Self::KEY),
            (delimiter, Self::DELIMITER),
            (parameter_sets, Self::PARAMETER_SETS),
        ] {
            if set {
                flags = flags.with(flag);
            }
        }
        flags
    }

    /// Whether all bits of `other` are set.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets together.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// One sample: size, duration and composition offset in the track's timescale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sample {
    /// Coded size in bytes.
    pub size: u32,
    /// Time to the next sample's decoding time, in ticks.
    pub duration: u32,
    /// Presentation minus decoding time, in ticks; signed (`trun` version 1).
    pub composition_offset: i32,
    /// What the payload holds.
    pub flags: SampleFlags,
}
