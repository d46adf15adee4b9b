//! Every maximum of this crate.

/// Longest playlist that is read, in bytes: 1 MiB, half a day of four-second segments with
/// 90 bytes each. What is read borrows from it.
pub const READ_BYTES_MAX: usize = 1024 * 1024;

/// Most lines in a playlist that is read. It bounds what is built: at most one rendition per
/// line or one segment per two lines, about 100 bytes each, so 10 MB, or twice that while a
/// table grows.
pub const READ_LINES_MAX: usize = 100_000;

/// Shortest `EXTINF` that is written, in microseconds. A duration that a player rounds to
/// 0.000 makes some stop, so the shorter ones, which only a last segment can have, are
/// written as this.
pub const EXTINF_US_MIN: u64 = 1_000;

/// Sections that become date ranges, the newest: a playlist is made for every segment, and what a
/// hostile publisher sends may not make that long. With one in a minute these are eight hours.
pub const CUES_MAX: usize = 512;

/// Longest section that becomes one, in bytes. They have some 50; a tag has two characters for each.
pub const CUE_BYTES_MAX: usize = 1024;

/// Date ranges of a playlist; the oldest give way. With [`CUE_BYTES_MAX`] at both ends of each they are
/// 2 MiB of text.
pub const SPLICE_RANGES_MAX: usize = 512;

/// `PART-HOLD-BACK` in parts: how far from the live edge a low-latency player stays. The standard
/// says at least two, and should be three (rfc8216bis §4.4.3.8).
pub const HOLD_BACK_PARTS: u64 = 3;

/// `CAN-SKIP-UNTIL` in target durations: what is older may be left out of a delta update. The
/// least that the standard allows (rfc8216bis §4.4.3.8).
pub const SKIP_TARGETS: u64 = 6;
