//! Every maximum of this crate.

/// Most samples in one fragment, written or read back whole.
///
/// A chunk lasts half a second: 60 pictures, or 24 AAC frames. A fragment of a whole
/// ten-second segment at 120 pictures a second has 1,200. Read back they take 16 bytes each:
/// 1 MiB at most.
pub const FRAGMENT_SAMPLES_MAX: usize = 65_536;
