//! Every maximum of this crate.

/// Longest time between two PCRs, in 90 kHz ticks: 100 ms (ISO/IEC 13818-1 §2.7.2).
pub const PCR_INTERVAL_MAX: i64 = 9_000;

/// Most packets that only carry a PCR after one PES packet: 128 of them cover 12.8 s, more
/// than the longest segment (`design.md` §7), and cost 24 KiB. It keeps a false sample
/// duration from growing the output.
pub const PCR_FILL_MAX: i64 = 128;

/// Longest audio PES packet in tenths of a second, unless one frame alone is longer.
/// Several frames share a PES packet, for a header and stuffing on each frame would cost a
/// fifth of the bytes at 128 kbit/s; 100 ms is as far as audio may then run ahead of video.
pub const AUDIO_PES_TENTHS_MAX: u64 = 1;

/// Most bytes after `PES_packet_length` that it can state (ISO/IEC 13818-1 §2.4.3.7).
pub const PES_LENGTH_MAX: usize = 0xffff;
