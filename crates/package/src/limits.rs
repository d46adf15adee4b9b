//! Every maximum of this crate. Probing a file holds what [`weir_mp4::limits`] allows for its
//! tables, or one FLV tag of at most 16 MiB, and one sample of [`SAMPLE_BYTES_MAX`]; probing
//! HLS holds two playlists, and of the segments one with its initialisation section, twice
//! while they are joined: 400 MiB at most, a few MiB for real streams.

use std::time::Duration;

/// Bytes of a file that are read at once.
pub const PIECE_BYTES: usize = 64 * 1024;

/// Largest sample whose NAL units are looked at, in bytes; larger ones are counted as
/// malformed. Held once. A lossless 8K picture is about this large.
pub const SAMPLE_BYTES_MAX: u32 = 64 << 20;

/// A step between two timestamps of a track beyond this is a fault. Slide shows step by a
/// second or two; a player stalls on more.
pub const STEP_MAX: Duration = Duration::from_secs(3);

/// Wait for a connection, and for each piece of an answer.
pub const WAIT_MAX: Duration = Duration::from_secs(10);

/// Wait for an answer as a whole, so that a server that sends a byte now and then ends too.
pub const ANSWER_WAIT_MAX: Duration = Duration::from_secs(120);

/// Largest playlist, in bytes: as much as [`weir_manifest`] reads. Up to two are held.
pub const PLAYLIST_BYTES_MAX: usize = weir_manifest::limits::READ_BYTES_MAX;

/// Largest segment or initialisation section, in bytes; one of each is held, twice while they
/// are joined. Ten seconds at 80 Mbit/s.
pub const SEGMENT_BYTES_MAX: usize = 100 << 20;

/// Most redirects that are followed for one resource.
pub const REDIRECTS_MAX: usize = 5;

/// Most interim answers (1xx) read over before the answer to one request.
pub const INTERIM_ANSWERS_MAX: usize = 8;

/// Longest URL, in bytes, as request targets in [`weir_http::limits`].
pub const URL_BYTES_MAX: usize = 8 * 1024;

/// Most media playlists that one multivariant playlist makes the probe load: a ladder of
/// eight rungs for two codecs, with 48 renditions. Each may cost four downloads.
pub const PLAYLISTS_MAX: usize = 64;

/// Most elementary streams that are listed of a transport stream. A program map section in
/// one packet has room for 33.
pub const ELEMENTARY_STREAMS_MAX: usize = 33;

/// How much the durations in a playlist may differ from the media in all, in microseconds.
pub const DURATION_TOLERANCE_US: i64 = 100_000;
