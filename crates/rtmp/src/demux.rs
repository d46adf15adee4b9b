//! From audio and video messages to frames.
//!
//! A body is believed less than what is inside it: whether a picture is a keyframe, whether
//! NAL units have lengths or start codes, and whether codec id 7 is H.264 are all looked up.
//! What can be repaired cheaply is; what cannot costs its frame or its track, never the
//! connection.

mod audio;
mod clock;
mod video;

pub use clock::Clock;

use crate::metadata::Metadata;
use audio::AudioTrack;
use bytes::Bytes;
use std::collections::VecDeque;
use std::fmt;
use video::VideoTrack;
use weir_media::{CodecConfig, Frame, Mono, TrackId, TrackKind};

/// What came out of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Media {
    /// The configuration of a track, new or changed. It applies to the frames that follow.
    Config {
        /// The track.
        track: TrackId,
        /// Its configuration.
        config: CodecConfig,
    },
    /// A frame of a track whose configuration was given.
    Frame(Frame),
    /// A track or a frame of it cannot be used.
    Fault(TrackFault),
}

/// What came out of one track's part of a message; often nothing.
#[derive(Debug, Default)]
struct Demuxed {
    config: Option<CodecConfig>,
    frame: Option<Frame>,
}

/// A track, or one frame of it, that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrackFault {
    /// The track.
    pub track: TrackId,
    /// Its kind.
    pub kind: TrackKind,
    /// Why.
    pub reason: TrackFaultReason,
}

/// Why a track or a frame cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrackFaultReason {
    /// `CodecID` or `SoundFormat` is not 7 or 10. The track's frames are dropped.
    Codec(u8),
    /// Enhanced RTMP with this `FourCC` (zero if the packet has none). The track's frames
    /// are dropped.
    EnhancedCodec([u8; 4]),
    /// The sequence header of codec id 7 is an HEVC one, as OBS before 29.1 wrote. The
    /// track's frames are dropped.
    HevcAsAvc,
    /// The sequence header cannot be read; the previous configuration stays.
    Config(weir_media::Error),
    /// Frames come, but no configuration; they are dropped until it does.
    NoConfig,
    /// A frame is malformed, and dropped.
    Frame(weir_media::Error),
    /// A body ends before the named field.
    Truncated(&'static str),
}

impl TrackFaultReason {
    /// Whether it is told once and the whole track is dropped, rather than one frame.
    #[must_use]
    pub fn ends_track(self) -> bool {
        matches!(
            self,
            Self::Codec(_) | Self::EnhancedCodec(_) | Self::HevcAsAvc
        )
    }
}

impl fmt::Display for TrackFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind.as_str();
        match self.reason {
            TrackFaultReason::Codec(id) => write!(f, "{kind} codec id {id} is not supported"),
            TrackFaultReason::EnhancedCodec(four_cc) => {
                write!(
                    f,
                    "{kind} codec {} is not supported",
                    four_cc.escape_ascii()
                )
            }
            TrackFaultReason::HevcAsAvc => write!(f, "{kind} is HEVC labelled as H.264"),
            TrackFaultReason::Config(e) => write!(f, "{kind} sequence header: {e}"),
            TrackFaultReason::NoConfig => write!(f, "{kind} without a sequence header"),
            TrackFaultReason::Frame(e) => write!(f, "{kind} frame: {e}"),
            TrackFaultReason::Truncated(field) => write!(f, "{kind} body ends before {field}"),
        }
    }
}

/// The tracks of one publisher and the clock they share.
///
/// Give it a message, then drain [`Demuxer::poll_media`].
#[derive(Debug, Default)]
pub struct Demuxer {
    media: VecDeque<Media>,
    clock: Clock,
    video: VideoTrack,
    audio: AudioTrack,
}

impl Demuxer {
    /// Nothing known yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes note of what the publisher says of its stream, for repairs.
    pub fn handle_metadata(&mut self, metadata: &Metadata) {
        self.audio.handle_metadata(metadata);
    }

    /// Reads the body of a video message or tag. `timestamp` is in milliseconds modulo 2^32.
    /// An empty body is nothing.
    pub fn handle_video(&mut self, timestamp: u32, body: Bytes, received_at: Mono) {
        let demuxed = self
            .video
            .handle(&mut self.clock, timestamp, body, received_at);
        self.put(TrackKind::Video, demuxed);
    }

    /// Reads the body of an audio message or tag. `timestamp` is in milliseconds modulo
    /// 2^32. An empty body is silence, and nothing.
    pub fn handle_audio(&mut self, timestamp: u32, body: Bytes, received_at: Mono) {
        let demuxed = self
            .audio
            .handle(&mut self.clock, timestamp, body, received_at);
        self.put(TrackKind::Audio, demuxed);
    }

    /// What came out, in order; `None` until another message is given.
    pub fn poll_media(&mut self) -> Option<Media> {
        self.media.pop_front()
    }

    fn put(&mut self, kind: TrackKind, demuxed: Result<Demuxed, TrackFaultReason>) {
        let track = TrackId::source(kind);
        match demuxed {
            Ok(Demuxed { config, frame }) => {
                self.media
                    .extend(config.map(|config| Media::Config { track, config }));
                self.media.extend(frame.map(Media::Frame));
            }
            Err(reason) => self.media.push_back(Media::Fault(TrackFault {
                track,
                kind,
                reason,
            })),
        }
    }
}
