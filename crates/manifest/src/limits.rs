//! Every maximum of this crate.

/// Longest playlist that is read, in bytes: 1 MiB, a day of four-second segments with long
/// URIs. What is read borrows from it and takes at most 20 times as much: 20 MiB, for
/// segments whose lines are as short as can be.
pub const READ_BYTES_MAX: usize = 1024 * 1024;

/// Most lines in a playlist that is read.
pub const READ_LINES_MAX: usize = 100_000;

/// Shortest `EXTINF` that is written, in microseconds. A duration that a player rounds to
/// 0.000 makes some stop, so the shorter ones, which only a last segment can have, are
/// written as this.
pub const EXTINF_US_MIN: u64 = 1_000;
