//! Every maximum of this crate.

use std::time::Duration;

/// Longest packet in bytes: a datagram of an Ethernet with jumbo frames. Longer ones are not
/// sent by anybody, and refused.
pub const PACKET_BYTES_MAX: usize = 9_000;

/// How far a sequence number may be ahead of what is expected, and behind; beyond, the sender
/// began anew (RFC 3550 appendix A.1, `MAX_DROPOUT`). It is also how many packets may wait for
/// an earlier one: 4 MB of ordinary datagrams, 27 MB of the longest, or 300 ms at 100 Mbit/s.
pub const SEQUENCE_AHEAD_MAX: u64 = 3_000;

/// Longest wait for a missing packet.
pub const REORDER_WAIT_MAX: Duration = Duration::from_secs(10);

/// Packets in a row that make a jump, or another source, believed (RFC 3550 appendix A.1,
/// `MIN_SEQUENTIAL`).
pub const SEQUENCE_PROOF: u8 = 2;

/// Most packets of a matrix, L × D (SMPTE ST 2022-1 §8).
pub const FEC_MATRIX_PACKETS_MAX: usize = 100;

/// Most columns and most rows.
pub const FEC_SIDE_MAX: usize = 20;

/// Media packets kept for recovery: two matrices, and one more for columns that begin one
/// after the other. At 1,316 bytes that is 386 KiB.
pub const FEC_MEDIA_MAX: usize = 3 * FEC_MATRIX_PACKETS_MAX;

/// FEC packets kept, all of which miss a packet: of a matrix of 100 no more than 40 end.
pub const FEC_PACKETS_MAX: usize = 128;

/// How far the first packet of a FEC packet may be from the newest media packet, beyond which
/// it belongs to another run of the sender.
pub const FEC_DISTANCE_MAX: u64 = 2 * FEC_MEDIA_MAX as u64;

/// Longest session description in bytes.
pub const SDP_BYTES_MAX: usize = 64 * 1024;

/// Most media of a session description.
pub const SDP_MEDIA_MAX: usize = 16;

/// Longest access unit, in bytes; each track holds one.
pub const UNIT_BYTES_MAX: usize = 8 * 1024 * 1024;
