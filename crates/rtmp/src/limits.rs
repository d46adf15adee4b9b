//! Every maximum of this crate, with unit, reason and worst-case memory.
//!
//! One connection holds at most [`PARTIAL_BYTES_MAX`] of incomplete messages, the answers
//! and events of one input, and about 20 KiB of state.

use std::time::Duration;

/// Longest message accepted, in bytes. A 60 Mbit/s keyframe is about 2 MiB; gortmplib
/// accepts the same 10 MiB, the header can declare 16 MiB.
pub const MESSAGE_BYTES_MAX: u32 = 10 * 1024 * 1024;

/// Memory reserved for incomplete messages of one connection, in bytes, over all its chunk
/// streams. One longest message and the interleaved rest fit.
pub const PARTIAL_BYTES_MAX: usize = 16 * 1024 * 1024;

/// First reservation for a message, in bytes, if it declares at least as much. It doubles as
/// bytes arrive: a declared length alone reserves at most this, so that all
/// [`CHUNK_STREAMS_MAX`] chunk streams together get 4 MiB without sending a payload.
pub const FIRST_RESERVE_BYTES: usize = 64 * 1024;

/// Chunk streams of one connection. Encoders use three to six; each costs 80 bytes.
pub const CHUNK_STREAMS_MAX: usize = 64;

/// Largest chunk size, in bytes: no message is longer, so a larger one means this (§5.4.1).
pub const CHUNK_SIZE_MAX: u32 = 0xff_ffff;

/// A peer's chunk size below this, in bytes, is legal but reported: it is the protocol's
/// default, and nobody gains from less.
pub const CHUNK_SIZE_SUSPICIOUS: u32 = 128;

/// How far back a delta may go, in milliseconds, when it is a negative number written as an
/// extended timestamp.
pub const NEGATIVE_DELTA_MS_MAX: u32 = 10_000;

/// Longest command or data message, in bytes, and the most that its decoded strings take.
/// Decoded values cost at most 64 times [`AMF_PROPERTIES_MAX`] bytes on top.
pub const COMMAND_BYTES_MAX: usize = 1024 * 1024;

/// How deep AMF values may nest: bounds the decoder's stack to a few KiB. Commands nest two
/// deep, metadata three.
pub const AMF_DEPTH_MAX: usize = 32;

/// Values in one message, array elements included.
pub const AMF_PROPERTIES_MAX: usize = 4096;

/// Message streams that one connection may have open; encoders use one.
pub const MESSAGE_STREAMS_MAX: usize = 8;

/// Smallest window after which an acknowledgement is sent, in bytes. A peer that asks for
/// less would get an answer to each packet.
pub const ACK_WINDOW_MIN: u32 = 4096;

/// Window that is announced and used until the peer names one, in bytes.
pub const ACK_WINDOW_DEFAULT: u32 = 2_500_000;

/// Chunk size for what we send, in bytes, unless configured: nginx-rtmp and OBS use the same.
pub const CHUNK_SIZE_OUT_DEFAULT: u32 = 4096;

/// Chunk size towards players, in bytes: SRS has announced the same for years. What they get is
/// muxed once for all of them, so it costs nobody anything.
pub const CHUNK_SIZE_PLAY: u32 = 60_000;

/// Payloads from this size on are referenced in the output rather than copied, in bytes.
/// Below it an entry of a gather send costs more than the copy.
pub const REFERENCE_BYTES_MIN: usize = 2048;

/// Time for the whole handshake, from the accepted connection.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Time from the handshake to `publish` or `play`, and from `publish` to the first audio or
/// video message (SRS: 20 s).
pub const FIRST_MEDIA_TIMEOUT: Duration = Duration::from_secs(20);

/// Time without a byte after which a connection is given up. A ping is sent at half of it,
/// so that a silent but living peer stays.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// Tracks of one publisher, as many of each kind. Encoders send up to five renditions; each
/// track holds one configuration of at most 64 KiB.
pub const TRACKS_MAX: usize = 8;

/// Parts of one multitrack message: as many as there are track numbers.
pub const PARTS_MAX: usize = 256;

/// The same for a connection that plays, and takes what it is sent: nothing else need come from
/// it but acknowledgements, and the answer to a ping stands behind all that waits for it.
pub const PLAY_IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Broken frames and metadata accepted in each [`FAULTS_WINDOW`]. A stream that is broken
/// throughout reaches it, one with a glitch does not.
pub const FAULTS_MAX: u32 = 200;

/// Window over which broken frames are counted.
pub const FAULTS_WINDOW: Duration = Duration::from_secs(10);

/// Raw AAC frames dropped while waiting for the missing configuration, before it is made up
/// from the metadata. Real senders put it first, so a few frames prove that it is missing.
pub const AAC_CONFIG_WAIT_FRAMES: u32 = 8;

/// Two timestamps this close, in milliseconds, but for 2^31, are taken as a wrap of a sender
/// that masks its timestamps to 31 bits.
pub const WRAP_31_MARGIN_MS: i64 = 3_600_000;

/// Longest address of a stream on another server, key included, in bytes. Signed ones with a token
/// in the query have a few hundred.
pub const URL_BYTES_MAX: usize = 2048;

/// Texts of a cue point that are tried for a section; real ones have at most a dozen.
pub const CUE_POINT_TEXTS_MAX: usize = 64;
