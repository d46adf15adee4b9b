//! Every maximum of this crate. Reading one file holds at most 64 MiB of `moov`, 64 MiB of
//! `moof`, 96 MiB of runs and 40 MiB of sample descriptions; a real hour of video takes less
//! than 4 MiB.

/// Largest `moov` read, in bytes; held as it is while the file is read. Sample tables stay in
/// it and are never expanded. Twelve hours of 60 pictures a second with sound take 40 MiB.
pub const MOOV_BYTES_MAX: u64 = 64 << 20;

/// Largest single `moof` read, in bytes. The largest with [`FRAGMENT_SAMPLES_MAX`] samples of
/// 16 bytes is 1 MiB; encryption boxes may add as much again several times.
pub const MOOF_BYTES_MAX: u64 = 16 << 20;

/// Most bytes of `moof` held for one file, in all. At 16 bytes a sample: four million.
pub const MOOFS_BYTES_MAX: u64 = 64 << 20;

/// Most `trun` boxes with samples in one file: two tracks in chunks of half a second for
/// 72 hours. Each is held in at most 96 bytes: 96 MiB, twice that while the list grows.
pub const RUNS_MAX: usize = 1 << 20;

/// Most top-level boxes looked at in one file: 145 hours of half-second chunks. It bounds
/// the number of reads that a file of empty boxes can ask for; nothing is held per box.
pub const TOP_LEVEL_BOXES_MAX: u32 = 1 << 21;

/// Most tracks in one file.
pub const TRACKS_MAX: usize = 64;

/// Most sample descriptions in one track. A configuration takes up to 10 KiB when read:
/// 40 MiB for [`TRACKS_MAX`] tracks.
pub const SAMPLE_DESCRIPTIONS_MAX: usize = 64;

/// Most samples in one file, over all tracks. They are read from the tables one by one and
/// nothing is held per sample, so this bounds time: walking them all takes about a second.
pub const SAMPLES_MAX: u64 = 16 << 20;

/// Most edits in one track, 24 bytes each. Editing programs write one per cut.
pub const EDITS_MAX: usize = 4096;

/// Deepest nesting of boxes that is followed; deeper ones are refused. The deepest path that
/// this crate reads has nine boxes: `moov/trak/mdia/minf/stbl/stsd/mp4a/wave/esds`.
pub const NESTING_MAX: usize = 12;

/// Most samples in one fragment, written or read back whole.
///
/// A chunk lasts half a second: 60 pictures, or 24 AAC frames. A fragment of a whole
/// ten-second segment at 120 pictures a second has 1,200. Read back they take 16 bytes each:
/// 1 MiB at most.
pub const FRAGMENT_SAMPLES_MAX: usize = 65_536;
