//! Every maximum of this crate.

/// Longest stream name, in bytes (`design.md` §6). A name is held once per stream.
pub const NAME_BYTES_MAX: usize = 128;

/// Longest codec configuration record accepted, in bytes.
///
/// `avcC` may carry 31 SPS and 255 PPS of up to 64 KiB each; real ones stay below 1 KiB.
/// 64 KiB leaves room for parameter sets with long VUI and is held once per track.
pub const CONFIG_BYTES_MAX: usize = 64 * 1024;

/// Most NAL units looked at in one access unit.
///
/// A level 6.2 picture has at most 600 slices (ITU-T H.264 table A-6); with SEI and
/// delimiters 1,024 is never reached by an encoder. It bounds the walk, which allocates
/// nothing.
pub const NALS_PER_ACCESS_UNIT_MAX: usize = 1024;

/// Most parameter sets of one type in an `hvcC`: 16 VPS, 16 SPS and 64 PPS have different
/// numbers (ITU-T H.265 §7.4.3); each costs 32 bytes beside the record.
pub const HEVC_PARAMETER_SETS_MAX: usize = 64;

/// Most open bitstream units looked at in one temporal unit of AV1. An encoder sends a few per
/// tile group and layer.
pub const OBUS_PER_TEMPORAL_UNIT_MAX: usize = 1024;

/// Largest picture side accepted, in luma samples: level 6.2 of H.264 and HEVC allows 16,888,
/// that of AV1 16,384.
pub const PICTURE_SIDE_MAX: u32 = 16_888;

/// Longest splice information section, in bytes: `section_length` has 12 bits, of which the
/// standard allows 4,093 (SCTE 35 §9.6.1). Real ones stay below 256.
pub const SCTE35_SECTION_BYTES_MAX: usize = 4096;

/// Most segmentation descriptors read of one section. Real ones have at most a handful; each is
/// 24 bytes in memory.
pub const SCTE35_DESCRIPTORS_MAX: usize = 32;

/// Longest datum, in bytes: a whole splice information section, or a small ID3 tag.
pub const DATUM_BYTES_MAX: usize = 4096;

/// Most parameter sets of one kind that a configuration is made of from a bitstream: an `avcC`
/// counts 31 SPS. They are held twice, within the 64 KiB of a record.
pub const IN_BAND_SETS_MAX: usize = 31;
