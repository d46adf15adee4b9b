//! What a probe found. Times are microseconds on the timeline of the stream itself.

use super::fault::Faults;
use std::time::Duration;

/// What a file or stream holds.
#[derive(Debug, Clone)]
pub struct Report {
    /// How it is packed.
    pub container: Container,
    /// Size in bytes; `None` for HLS.
    pub bytes: Option<u64>,
    /// Length in microseconds: of the longest track of a file, of the longest playlist of
    /// HLS. `None` without frames or segments.
    pub duration_us: Option<u64>,
    /// Tracks of a file; none for HLS.
    pub tracks: Vec<Track>,
    /// Media playlists of HLS, at most [`crate::limits::PLAYLISTS_MAX`]; none for files.
    pub playlists: Vec<Playlist>,
    /// What is wrong with the stream as a whole; tracks and playlists have their own.
    pub faults: Faults,
}

/// How a stream is packed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Container {
    /// FLV.
    Flv,
    /// MP4 or QuickTime.
    Mp4 {
        /// First brand of `ftyp`, if there is one.
        major_brand: Option<String>,
        /// Whether the samples are (also) in fragments.
        fragmented: bool,
    },
    /// HLS.
    Hls {
        /// Whether the address led to a multivariant playlist.
        multivariant: bool,
    },
}

/// What a track carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
    /// Text, timecode, metadata and the like.
    Other,
}

/// What the codec configuration says, or the container where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Details {
    /// Pictures.
    Video {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// Sound.
    Audio {
        /// Sampling rate in hertz, as it is played.
        sample_rate: u32,
        /// Channels; 0 if only the stream itself tells.
        channels: u32,
    },
}

/// One track.
#[derive(Debug, Clone)]
pub struct Track {
    /// Number of the track; in FLV 1 for video and 2 for audio.
    pub id: u32,
    /// What it carries.
    pub kind: Kind,
    /// RFC 6381 codec string where the configuration can be read; else the `FourCC`, or
    /// `FLV codec N`.
    pub codec: String,
    /// Picture size or sound format.
    pub details: Option<Details>,
    /// Scheme of encryption, such as `cenc`.
    pub protection: Option<String>,
    /// How often the configuration changes inside the track.
    pub config_changes: u64,
    /// Frames.
    pub frames: u64,
    /// Random access points.
    pub key_frames: u64,
    /// Whether the first frame is a random access point.
    pub starts_with_key: bool,
    /// Bytes of all frames.
    pub bytes: u64,
    /// First and last decoding time in microseconds.
    pub dts_us: Option<(i64, i64)>,
    /// Earliest and latest presentation time in microseconds.
    pub pts_us: Option<(i64, i64)>,
    /// From the earliest decoding time to the end of the latest frame, in microseconds. The
    /// last frame of FLV counts with the mean of the others.
    pub duration_us: u64,
    /// Groups of pictures; `None` for sound, or without a keyframe.
    pub gop: Option<Gop>,
    /// What is wrong.
    pub faults: Faults,
}

/// Distances from one keyframe to the next. The last group may have been cut short: it
/// counts for the maxima only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Gop {
    /// Fewest frames; `None` with less than two keyframes.
    pub frames_min: Option<u64>,
    /// Most frames.
    pub frames_max: u64,
    /// Shortest, in microseconds.
    pub us_min: Option<u64>,
    /// Longest, in microseconds.
    pub us_max: u64,
}

/// One media playlist of HLS.
#[derive(Debug, Clone)]
pub struct Playlist {
    /// Where it is.
    pub url: String,
    /// What it is to the multivariant playlist.
    pub role: Role,
    /// What it says; `None` if it could not be read.
    pub media: Option<Media>,
    /// The segments that were looked into: the first, and the last if there are two.
    pub segments: Vec<Segment>,
    /// What is wrong.
    pub faults: Faults,
}

/// What a media playlist is to the multivariant playlist.
#[derive(Debug, Clone, PartialEq)]
pub enum Role {
    /// There is no multivariant playlist.
    Single,
    /// `EXT-X-STREAM-INF`.
    Variant {
        /// Peak bit rate in bit/s.
        bandwidth: u64,
        /// RFC 6381 strings with commas between them.
        codecs: Option<String>,
        /// Width and height in pixels.
        resolution: Option<(u32, u32)>,
    },
    /// `EXT-X-MEDIA`.
    Rendition {
        /// `AUDIO`, `VIDEO` or `SUBTITLES`.
        media_type: String,
        /// Group that variants name.
        group_id: String,
        /// What a player shows.
        name: String,
    },
}

/// What a media playlist says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// `EXT-X-VERSION`.
    pub version: u32,
    /// `EXT-X-TARGETDURATION` in seconds.
    pub target_duration: u32,
    /// Number of the first segment.
    pub media_sequence: u64,
    /// Discontinuities before the first segment.
    pub discontinuity_sequence: u64,
    /// Number of segments.
    pub segments: usize,
    /// Sum of the segments' durations.
    pub duration: Duration,
    /// Shortest segment, not counting the last, which may be cut; `None` with less than two.
    pub segment_min: Option<Duration>,
    /// Longest segment; `None` without.
    pub segment_max: Option<Duration>,
    /// Discontinuities between its segments.
    pub discontinuities: usize,
    /// Segments without media.
    pub gaps: usize,
    /// Encrypted segments.
    pub encrypted: usize,
    /// Whether each segment can be decoded by itself, as it or the multivariant playlist
    /// says.
    pub independent: bool,
    /// Whether it is complete (`EXT-X-ENDLIST`).
    pub end: bool,
}

/// One segment that was looked into.
#[derive(Debug, Clone)]
pub struct Segment {
    /// Its media sequence number.
    pub media_sequence: u64,
    /// `EXTINF`.
    pub duration: Duration,
    /// Size in bytes, without the initialisation section.
    pub bytes: u64,
    /// Tracks of CMAF, with the frames of this segment.
    pub tracks: Vec<Track>,
    /// Counts of a transport stream.
    pub transport_stream: Option<TransportStream>,
}

/// What is counted of a transport stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TransportStream {
    /// Packets of 188 bytes.
    pub packets: u64,
    /// Program association sections.
    pub pats: u64,
    /// Program map sections.
    pub pmts: u64,
    /// What the first program map lists, at most
    /// [`crate::limits::ELEMENTARY_STREAMS_MAX`].
    pub streams: Vec<ElementaryStream>,
}

/// One elementary stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ElementaryStream {
    /// Packet identifier.
    pub pid: u16,
    /// `stream_type`: 0x1b is H.264, 0x0f AAC in ADTS.
    pub stream_type: u8,
    /// PES packets that begin in the segment.
    pub pes_packets: u64,
}

impl Report {
    /// Faults of the stream, its tracks, playlists and segments together.
    #[must_use]
    pub fn fault_count(&self) -> u64 {
        let in_segments = self.playlists.iter().flat_map(|p| &p.segments);
        let tracks = self
            .tracks
            .iter()
            .chain(in_segments.flat_map(|s| &s.tracks));
        let of_playlists = self.playlists.iter().map(|p| p.faults.total());
        let all = tracks.map(|t| t.faults.total()).chain(of_playlists);
        all.fold(self.faults.total(), u64::saturating_add)
    }
}
