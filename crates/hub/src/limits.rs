//! Every maximum of this crate, with its unit, reason and worst-case memory.
//!
//! Worst case per stream, all payloads shared with the receive buffers: 32 MiB waiting for the
//! tracks to settle, or 16 MiB waiting for video plus two open chunks of 8 MiB and one frame of
//! 16 MiB each: 64 MiB. A 5 Mbit/s stream holds 0.4 MiB.

use std::time::Duration;

/// Ticks per second in which the tracks of a stream are compared.
pub const STREAM_TIMESCALE: u32 = 90_000;

/// Decoding time of the first leading frame of a broadcast, in ticks of 1/90,000 s: 10 s, so
/// that decoding times stay positive, and clock references in MPEG-TS too.
pub const TIME_ORIGIN_90K: i64 = 10 * 90_000;

/// A longer step of a track's decoding time is a jump, not a pause, in ticks of 1/90,000 s:
/// 3 s, as `protocols.md` §18 has it. It also bounds a sample's duration.
pub const STEP_MAX_90K: i64 = 3 * 90_000;

/// Consecutive frames that have to agree on a new timeline before it is joined.
pub const STEP_FRAMES: u32 = 3;

/// Frames on a new timeline after which it is joined although another track, which has gone
/// silent, has not confirmed it: 2.7 s of audio.
pub const STEP_UNCONFIRMED_FRAMES_MAX: u32 = 128;

/// Consecutive frames moved by one tick before the clock counts as broken and frames are
/// placed by their usual duration: time would stand still otherwise.
pub const BUMPS_MAX: u32 = 8;

/// Largest decoding or presentation time accepted, in ticks either side of zero: what a 64-bit
/// float holds exactly, 3,100 years at 90 kHz.
pub const SENT_TIME_MAX: i64 = 1 << 53;

/// Largest composition offset either way, in ticks of 1/90,000 s: 9 s, so that presentation
/// times stay positive with [`TIME_ORIGIN_90K`] and [`AUDIO_LEAD_90K`].
pub const COMPOSITION_MAX_90K: i64 = 9 * 90_000;

/// Audio earlier than the first keyframe by more than this is dropped, in ticks of 1/90,000 s.
pub const AUDIO_LEAD_90K: i64 = 45_000;

/// Longest time that a returning publisher can have been away for the timeline, in
/// microseconds: a day. Longer (a wall clock that was set) counts as this.
pub const ABSENCE_US_MAX: i64 = 86_400_000_000;

/// Largest target duration, in seconds (`design.md` §7.1).
pub const TARGET_SECONDS_MAX: u32 = 10;

/// By how much a segment of a following track, or a gap, may be longer than the target
/// duration, in ticks of 1/90,000 s: 0.45 s is rounded away in EXTINF.
pub const TARGET_ROUNDING_90K: i64 = 40_500;

/// How long a following track may be missing behind a boundary, in the leader's media time or
/// in real time, before its segment is closed without it, in ticks of 1/90,000 s: 1 s.
pub const FOLLOWER_LAG_90K: i64 = 90_000;

/// Shortest pause in audio that is reported, in ticks of 1/90,000 s: 100 ms, from which on
/// browsers notice.
pub const AUDIO_GAP_90K_MIN: i64 = 9_000;

/// Shortest segment that a joining video track may cut off, in ticks of 1/90,000 s: 100 ms.
/// Shorter tails disturb players; video joins the segment that has just begun instead.
pub const JOIN_SEGMENT_90K_MIN: i64 = 9_000;

/// Least time between two reports of a missing keyframe, in seconds.
pub const NO_KEYFRAME_SECONDS: u64 = 20;

/// Frames held while tracks settle: 2 s of 240 pictures and 190 audio frames a second.
pub const PENDING_FRAMES_MAX: usize = 1024;

/// Bytes held while tracks settle: 2 s at 128 Mbit/s, 32 MiB.
pub const PENDING_BYTES_MAX: usize = 32 << 20;

/// Data with a time held until the stream's timeline is known: 256 KiB at the longest, as they
/// are 4 KiB.
pub const DATA_PENDING_MAX: usize = 64;

/// Data with a time that are compared with what comes, 256 KiB at the longest.
pub const DATA_KNOWN: usize = 64;

/// The same bytes for times no further apart than this are one datum that is said again, in
/// ticks of 1/90,000 s: 10 s. Splices are announced several times over some seconds.
pub const DATA_REPEAT_90K: i64 = 10 * 90_000;

/// Data with a time taken in a second. A splice is announced by a few; the log gets as much for
/// each as for a chunk of media.
pub const DATA_PER_SECOND_MAX: u32 = 32;

/// How far from the stream's head a datum may apply either way, in ticks of 1/90,000 s: an hour.
/// What is further off is of another clock.
pub const DATA_AWAY_90K_MAX: i64 = 3600 * 90_000;

/// Tracks of a stream (`design.md` §18): what an encoder sends at once, and the bound of the log.
/// Each further one holds a queue, an open chunk and a frame: 40 MiB at worst.
pub const TRACKS_MAX: usize = 16;

/// Frames of a following track held until the leader has decided on their segment: 10 s of
/// audio at 375 frames a second. When full, the track stops waiting and leads itself.
pub const QUEUE_FRAMES_MAX: usize = 4096;

/// Bytes of the same: 16 MiB.
pub const QUEUE_BYTES_MAX: usize = 16 << 20;

/// Largest coded frame, in bytes: RTMP cannot carry more. Larger ones are dropped.
pub const FRAME_BYTES_MAX: usize = (16 << 20) - 1;

/// Largest AAC frame, in bytes: what ADTS has room for in its 13 bits of length, so that every
/// segment can be seen as MPEG-TS. AAC allows 6,144 bits for each of at most 8 channels.
pub const AAC_FRAME_BYTES_MAX: usize = 0x1fff - 7;

/// Largest frame of another audio codec, in bytes: 256 KiB. FLAC is the largest: 4,608 samples of
/// 24 bits on 8 channels are 108 KiB without compression.
pub const AUDIO_FRAME_BYTES_MAX: usize = 256 << 10;

/// Length of an audio frame of which nobody tells how long it is, in ticks: that of AAC.
pub const GRID_DEFAULT: u32 = 1024;

/// Bytes after which a chunk is closed: 8 MiB, which is 500 ms at 134 Mbit/s.
pub const CHUNK_BYTES_MAX: usize = 8 << 20;

/// Frames after which a chunk is closed, 64 bytes each while it is open: 128 KiB.
pub const CHUNK_FRAMES_MAX: usize = 2048;

/// Bytes of the leading track after which a segment is cut: 256 MiB, more than 10 s at
/// 200 Mbit/s. Nothing of it is held here; it bounds what a viewer has to fetch at once.
pub const SEGMENT_BYTES_MAX: u64 = 256 << 20;

/// Segments that wait for a following track, 72 bytes each. With more the oldest is closed.
pub const SEGMENTS_WAITING_MAX: usize = 64;

/// Lowest sampling rate of audio that is packaged, in hertz: an AAC frame then lasts 256 ms.
pub const AUDIO_RATE_MIN: u32 = 4_000;

/// Highest sampling rate of audio that is packaged, in hertz.
pub const AUDIO_RATE_MAX: u32 = 384_000;

/// Longest time that a frame may be merged with others: more is a delay without a gain.
pub const FANOUT_MERGE_MAX: Duration = Duration::from_secs(1);

/// Longest time that audio waits for the next picture, where frames are merged for less.
pub const FANOUT_AUDIO_WAIT: Duration = Duration::from_millis(100);

/// Longest time between pictures that counts for their rhythm.
pub const FANOUT_INTERVAL_MAX: Duration = Duration::from_secs(1);

/// Audio frames without a picture after which a stream with video is taken for audio alone, until
/// the next random access point: SRS counts the same, 2.5 s.
pub const FANOUT_VIDEO_GONE_FRAMES: u32 = 115;

/// Messages after which a piece is closed, 64 bytes each.
pub const FANOUT_PIECE_MESSAGES_MAX: usize = 256;

/// Bytes after which a piece is closed: 1 MiB, so at most that and one message.
pub const FANOUT_PIECE_BYTES_MAX: usize = 1 << 20;

/// Messages since the last random access point that are kept for new viewers (SRS: 2,500). With
/// more there is no such cache until the next one.
pub const FANOUT_GOP_MESSAGES_MAX: usize = 2500;

/// Bytes of the same, 64 MiB. Payloads are shared with the log's open chunks where those still
/// hold them; each format that is watched has a copy, so a window is at most three times this,
/// and two to three times the GOP as a rule.
pub const FANOUT_GOP_BYTES_MAX: usize = 64 << 20;

/// Media time of the same, in milliseconds: 30 s.
pub const FANOUT_GOP_MS_MAX: i64 = 30_000;

/// Bytes that a viewer may lag before it skips to the last random access point: 8 MiB
/// (`protocols.md` §18). So much is kept for it, while there are viewers.
pub const FANOUT_LAG_BYTES_MAX: u64 = 8 << 20;

/// Media time of the same, in milliseconds: 5 s.
pub const FANOUT_LAG_MS_MAX: i64 = 5_000;

/// How long a viewer may be behind, skips included, before it is closed.
pub const FANOUT_BEHIND_MAX: Duration = Duration::from_secs(15);

/// Bytes given to a viewer at once: what one send keeps in memory, 512 KiB.
pub const FANOUT_BATCH_BYTES_MAX: usize = 512 << 10;

/// Steps of a publisher's clock up to this are not reported, in microseconds, nor is the order of
/// pictures that are further apart.
pub const DOCTOR_STEP_US_MAX: i64 = 3_000_000;
