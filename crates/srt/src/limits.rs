//! Every maximum of this crate, with unit, reason and worst-case memory.
//!
//! One connection holds at most [`RECEIVE_PACKETS_MAX`] packets to be delivered and
//! [`SEND_PACKETS_MAX`] to be sent or sent again, each of [`PAYLOAD_BYTES_MAX`] and about 70
//! bytes of bookkeeping, in rings that begin at [`RING_PACKETS_MIN`] and double when needed.
//! A listener holds nothing per peer.

use std::time::Duration;

/// Longest payload of a data packet, in bytes: an Ethernet frame less IPv4, UDP and SRT
/// headers. MPEG-TS uses 1316.
pub const PAYLOAD_BYTES_MAX: usize = 1456;

/// Largest IP packet that is offered and expected, in bytes.
pub const MTU_BYTES: u32 = 1500;

/// Longest stream id, in bytes (§3.2.1.3).
pub const STREAM_ID_BYTES_MAX: usize = 512;

/// Longest text of the congestion and filter extensions, in bytes. The longest filter that
/// says something is about 60.
pub const CONFIG_STRING_BYTES_MAX: usize = 512;

/// Longest key material message, in bytes: fixed part, salt, two wrapped keys of 32.
pub const KEY_MATERIAL_BYTES_MAX: usize = 16 + 16 + 64 + 8;

/// Packets between the next to be delivered and the newest, at most: 46 MiB, or 0.38 s at
/// 1 Gbit/s, 38 s at 10 Mbit/s. A packet further ahead is dropped, but
/// see [`RESUME_PACKETS_MAX`].
pub const RECEIVE_PACKETS_MAX: u32 = 32_768;

/// Places made for missing packets in each millisecond, beyond one full window: a stream of
/// 1 Gbit/s has so many packets. What skips more is beyond.
pub const GAP_PACKETS_PER_MS: u32 = 100;

/// Two packets beyond the window that are at most so many packets apart show that the peer
/// went on while nothing came, by more than the window.
pub const RESUME_PACKETS_MAX: i32 = 64;

/// Packets given to be sent and not acknowledged, at most: 46 MiB.
pub const SEND_PACKETS_MAX: u32 = 32_768;

/// First size of either ring, in packets: 20 KiB.
pub const RING_PACKETS_MIN: usize = 256;

/// Ranges of lost packets, 32 bytes each, beyond which none is divided for what is said about a
/// part of it: what is to be asked for is asked for whole, what is given up is waited for
/// until it is late. What comes divides them further, into half as many as the window has
/// packets: 0.5 MiB.
pub const LOSS_RANGES_MAX: usize = 1024;

/// Ranges that one NAK names at most: two words each in one packet.
pub const NAK_RANGES_MAX: usize = PAYLOAD_BYTES_MAX / 8;

/// Packets that loss reports make us look at in each millisecond, beyond one full window: a
/// report of 24 bytes can name a whole window, again and again.
pub const REPORTED_PACKETS_PER_MS: u32 = 1000;

/// Packets that may be sent again for each that is sent first: enough where four of five are
/// lost.
pub const REPEATS_PER_PACKET: u32 = 4;

/// Packets that may be sent again on top of [`REPEATS_PER_PACKET`], after what was sent
/// without losses: 11 MiB, the outage of 85 ms at 1 Gbit/s, after which each new packet earns
/// more.
pub const REPEATS_SAVED_MAX: u32 = 8192;

/// Control packets that wait to be sent at most, about 90 bytes each. More are answers to a
/// peer that asks faster than we are let to send, and are dropped.
pub const CONTROL_PACKETS_MAX: usize = 64;

/// Full acknowledgements whose ACKACK is still expected, 16 bytes each. At one each 10 ms,
/// round trips up to 0.64 s are measured.
pub const ACKS_IN_FLIGHT_MAX: usize = 64;

/// Least and most latency that is accepted, whoever asks for it. Below, nothing can be sent
/// again in time; above, memory is held for too long.
pub const LATENCY_MIN: Duration = Duration::from_millis(20);
/// See [`LATENCY_MIN`].
pub const LATENCY_MAX: Duration = Duration::from_secs(30);

/// A packet whose time is further ahead than this plus the latency is played as if it had been
/// sent now: its clock has jumped.
pub const TIMESTAMP_AHEAD_MAX: Duration = Duration::from_secs(10);

/// Length of a passphrase, in bytes, as libsrt has it.
pub const PASSPHRASE_BYTES: std::ops::RangeInclusive<usize> = 10..=79;

/// Packets under one key at most: half the sequence numbers, so that no counter is used twice.
pub const PACKETS_PER_KEY_MAX: u32 = 1 << 30;

/// Columns of a packet filter: their index has 8 bits, of which one value means a row.
pub const FEC_COLUMNS_MAX: u8 = 127;
/// Rows of a packet filter.
pub const FEC_ROWS_MAX: u8 = 127;
/// Packets in a matrix of a packet filter at most. A receiver keeps three times its rows and
/// columns, one payload each: 1.1 MiB for the worst, 127 by 8.
pub const FEC_MATRIX_MAX: usize = 1024;
