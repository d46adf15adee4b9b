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

/// Most PIDs that a demuxer reads: those of programs' maps, and of one program's tracks.
pub const PIDS_MAX: usize = 64;

/// Most programs whose maps are waited for.
pub const PROGRAMS_MAX: usize = 16;

/// Most tracks of a kind.
pub const TRACKS_MAX: usize = 16;

/// Most elementary streams that are read from a program map: a section of 1,024 bytes lists no
/// more than 201.
pub const ELEMENTARY_STREAMS_MAX: usize = 256;

/// Longest section in bytes (ISO/IEC 13818-1 §2.4.4.11): one per PID is held, 256 KiB in all.
pub const SECTION_BYTES_MAX: usize = 4096;

/// Most bytes of an access unit, whether or not its length is told: a picture of level 6.2 at
/// 800 Mbit/s and 24 pictures a second has half as much on average. Each video track holds one,
/// 128 MiB in all at worst; a track of 20 Mbit/s holds the 64 KiB of [`ARENA_BYTES`].
pub const PES_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Most bytes of an audio PES packet: as many as it can state, and a frame that an earlier one
/// began.
pub const AUDIO_PES_BYTES_MAX: usize = 128 * 1024;

/// Most bytes of an audio frame that is not whole in its PES packet: twice what ADTS, LATM and
/// sync frames can state. What states more is a fault.
pub const AUDIO_FRAME_BYTES_MAX: usize = 16 * 1024;

/// How many program maps that change something are taken at once; then one a second, which is
/// what a playlist can follow. Others are as if they had not come: tables are sent again.
pub const PROGRAM_CHANGES_MAX: u32 = 8;

/// Bytes of the allocations that frames are cut from, unless one frame is larger. A frame that
/// is kept keeps all of it, so it is no larger than what a second of a slow stream fills.
pub const ARENA_BYTES: usize = 64 * 1024;

/// Most NAL units of an access unit: as many as [`weir_media::limits`] allows.
pub const NALS_PER_UNIT_MAX: usize = weir_media::limits::NALS_PER_ACCESS_UNIT_MAX;

/// Most streams of a live program: their entries fit a program map of 1,021 bytes.
pub const LIVE_STREAMS_MAX: usize = 32;

/// Longest time between two PCRs of a live stream, in 90 kHz ticks: 40 ms, as ETSI TS 101 154
/// §4.1.7 wants it.
pub const LIVE_PCR_INTERVAL: i64 = 3_600;

/// When tables are due, in 90 kHz ticks: 60 ms. They are looked at with each PCR, so there are
/// at most 100 ms between them.
pub const LIVE_PSI_INTERVAL: i64 = 5_400;

/// A step of the frames' clock that begins a new time base, in 90 kHz ticks: 10 s. Shorter ones
/// are filled with PCRs, 250 packets at most.
pub const JUMP_TICKS: i64 = 900_000;

/// Most bytes that wait for their turn in a stream of constant rate: a second of 128 Mbit/s.
pub const LIVE_QUEUE_BYTES_MAX: usize = 16 * 1024 * 1024;
