//! From audio and video messages to frames.
//!
//! A body is believed less than what is inside it: whether a picture is a keyframe, whether
//! NAL units have lengths or start codes, and whether codec id 7 is H.264 are all looked up.
//! What can be repaired cheaply is; what cannot costs its frame or its track, never the
//! connection. FLV's own codec numbers and the FourCCs of Enhanced RTMP come the same way.

mod audio;
mod clock;
pub(crate) mod colour;
mod video;

pub use clock::Clock;

use crate::flv;
use crate::flv::enhanced::{Enhanced, PacketType, Part};
use crate::flv::video::{AVC_HEADER_BYTES, AvcHeader, CODEC_AVC, CODEC_HEVC, FRAME_TYPE_COMMAND};
use crate::limits::{PARTS_MAX, TRACKS_MAX};
use crate::metadata::Metadata;
use audio::AudioTrack;
use bytes::{Buf, Bytes};
use std::collections::VecDeque;
use std::fmt;
use video::{Arrival, VideoTrack};
use weir_media::{CodecConfig, Datum, DatumKind, Frame, Mono, TrackId, TrackKind};

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
    /// Something odd that was mended.
    notice: Option<TrackFaultReason>,
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
    /// `CodecID` or `SoundFormat` is of no codec that is taken. The track's frames are
    /// dropped.
    Codec(u8),
    /// Enhanced RTMP with this `FourCC`. The track's frames are dropped.
    EnhancedCodec([u8; 4]),
    /// Enhanced RTMP with a packet type that no specification defines. The message is dropped,
    /// and this told once.
    PacketType(u8),
    /// More than [`crate::limits::TRACKS_MAX`] tracks of a kind, or more than
    /// [`crate::limits::PARTS_MAX`] parts in a message. What is too much is dropped.
    TooManyTracks,
    /// The sequence header of codec id 7 is an HEVC one, as OBS before 29.1 wrote. Told once;
    /// the track is taken as HEVC.
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
        matches!(self, Self::Codec(_) | Self::EnhancedCodec(_))
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
            TrackFaultReason::PacketType(value) => {
                write!(f, "{kind} packet type {value} is unknown")
            }
            TrackFaultReason::TooManyTracks => write!(f, "too many {kind} tracks"),
            TrackFaultReason::HevcAsAvc => write!(f, "{kind} is HEVC labelled as H.264"),
            TrackFaultReason::Config(e) => write!(f, "{kind} sequence header: {e}"),
            TrackFaultReason::NoConfig => write!(f, "{kind} without a sequence header"),
            TrackFaultReason::Frame(e) => write!(f, "{kind} frame: {e}"),
            TrackFaultReason::Truncated(field) => write!(f, "{kind} body ends before {field}"),
        }
    }
}

/// Whether frames come out of bodies with this `FourCC`.
#[must_use]
pub fn is_known(kind: TrackKind, four_cc: [u8; 4]) -> bool {
    match kind {
        TrackKind::Video => video::Codec::of(four_cc).is_some(),
        TrackKind::Audio => audio::Codec::of(four_cc).is_some(),
    }
}

/// The tracks of one publisher and the clock they share.
///
/// Give it a message, then drain [`Demuxer::poll_media`].
#[derive(Debug, Default)]
pub struct Demuxer {
    media: VecDeque<Media>,
    clock: Clock,
    /// By number; at most [`TRACKS_MAX`] of each kind.
    video: Vec<(u8, VideoTrack)>,
    audio: Vec<(u8, AudioTrack)>,
    told_tracks: bool,
    /// Sampling rate and channels by the metadata.
    audio_hint: Option<(u32, u8)>,
}

impl Demuxer {
    /// Nothing known yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes note of what the publisher says of its stream, for repairs.
    pub fn handle_metadata(&mut self, metadata: &Metadata) {
        self.audio_hint = audio::hint(metadata).or(self.audio_hint);
    }

    /// Gives a splice information section the time of its message, in milliseconds modulo 2^32.
    pub fn cue(&mut self, timestamp: u32, section: Bytes) -> Datum {
        Datum {
            kind: DatumKind::Scte35,
            time_90k: self.clock.unwrap_ms(timestamp).saturating_mul(90),
            payload: section,
        }
    }

    /// Reads the body of a video message or tag. `timestamp` is in milliseconds modulo 2^32.
    /// An empty body is nothing.
    pub fn handle_video(&mut self, timestamp: u32, mut body: Bytes, received_at: Mono) {
        let arrival = Arrival {
            timestamp,
            received_at,
        };
        let coding = match flv::video::Codec::parse(&body) {
            None => return,
            Some(flv::video::Codec::Enhanced) => {
                return self.enhanced(TrackKind::Video, arrival, body);
            }
            Some(flv::video::Codec::Id {
                frame_type: FRAME_TYPE_COMMAND,
                ..
            }) => return,
            Some(flv::video::Codec::Id { codec, .. }) => match codec {
                CODEC_AVC => *b"avc1",
                CODEC_HEVC => *b"hvc1",
                other => {
                    let reason = TrackFaultReason::Codec(other);
                    return self.with_video(0, |track, _| track.end(reason));
                }
            },
        };
        let Some(header) = AvcHeader::parse(&body) else {
            // The end of a sequence needs no composition time, and one byte is nothing.
            if body.len() >= 2 && body[1] != 2 {
                let reason = TrackFaultReason::Truncated("CompositionTime");
                self.fault(TrackKind::Video, 0, reason);
            }
            return;
        };
        body.advance(AVC_HEADER_BYTES);
        let packet_type = match header.packet_type {
            flv::video::PacketType::SequenceHeader => PacketType::SequenceStart,
            flv::video::PacketType::Nalu => PacketType::CodedFrames,
            flv::video::PacketType::EndOfSequence | flv::video::PacketType::Other(_) => return,
        };
        let Some(codec) = video::Codec::of(coding) else {
            return;
        };
        let packet = video::Packet {
            codec,
            packet_type,
            is_legacy: true,
            composition_ms: header.composition_time_ms,
            nanoseconds: 0,
            data: body,
        };
        self.with_video(0, |track, clock| track.handle(clock, arrival, packet));
    }

    /// Reads the body of an audio message or tag. `timestamp` is in milliseconds modulo
    /// 2^32. An empty body is silence, and nothing.
    pub fn handle_audio(&mut self, timestamp: u32, mut body: Bytes, received_at: Mono) {
        let arrival = Arrival {
            timestamp,
            received_at,
        };
        let (codec, packet_type, header_bytes) = match flv::audio::Codec::parse(&body) {
            None => return,
            Some(flv::audio::Codec::Enhanced) => {
                return self.enhanced(TrackKind::Audio, arrival, body);
            }
            Some(flv::audio::Codec::Other(format)) => {
                let reason = TrackFaultReason::Codec(format);
                return self.with_audio(0, |track, _, _| track.end(reason));
            }
            Some(flv::audio::Codec::Mp3) => (audio::Codec::Mp3, PacketType::CodedFrames, 1),
            Some(flv::audio::Codec::Aac { sequence_header }) => {
                let packet_type = match sequence_header {
                    true => PacketType::SequenceStart,
                    false => PacketType::CodedFrames,
                };
                (audio::Codec::Aac, packet_type, flv::audio::AAC_HEADER_BYTES)
            }
        };
        body.advance(header_bytes);
        let packet = audio::Packet {
            codec,
            packet_type,
            nanoseconds: 0,
            data: body,
        };
        self.with_audio(0, |track, clock, hint| {
            track.handle(clock, arrival, packet, hint)
        });
    }

    /// What came out, in order; `None` until another message is given.
    pub fn poll_media(&mut self) -> Option<Media> {
        self.media.pop_front()
    }

    /// Reads a body with an extended header, and each track's part of it.
    fn enhanced(&mut self, kind: TrackKind, arrival: Arrival, body: Bytes) {
        let mut head = match Enhanced::parse(kind, body) {
            Ok(Some(head)) => head,
            Ok(None) => return,
            Err(field) => return self.fault(kind, 0, TrackFaultReason::Truncated(field)),
        };
        let mut parts = 0;
        while let Some(part) = head.next_part() {
            parts += 1;
            match part {
                Ok(_) if parts > PARTS_MAX => {
                    return self.fault(kind, 0, TrackFaultReason::TooManyTracks);
                }
                Ok(part) => self.part(kind, arrival, head.nanoseconds, part),
                Err(field) => self.fault(kind, 0, TrackFaultReason::Truncated(field)),
            }
        }
    }

    fn part(&mut self, kind: TrackKind, arrival: Arrival, nanoseconds: u32, part: Part) {
        let Part {
            track: number,
            packet_type,
            four_cc,
            mut data,
        } = part;
        let unknown = TrackFaultReason::EnhancedCodec(four_cc);
        if kind == TrackKind::Audio {
            return self.with_audio(number, |track, clock, hint| {
                let Some(codec) = audio::Codec::of(four_cc) else {
                    return track.end(unknown);
                };
                let packet = audio::Packet {
                    codec,
                    packet_type,
                    nanoseconds,
                    data,
                };
                track.handle(clock, arrival, packet, hint)
            });
        }
        if packet_type == PacketType::Metadata && number == 0 {
            return self.colour(four_cc, &data);
        }
        self.with_video(number, |track, clock| {
            let Some(codec) = video::Codec::of(four_cc) else {
                return track.end(unknown);
            };
            let mut composition_ms = 0;
            if packet_type == PacketType::CodedFrames
                && matches!(codec, video::Codec::Nal(_))
                && !data.is_empty()
            {
                let raw = data.try_get_uint(3);
                let raw = raw.map_err(|_| TrackFaultReason::Truncated("compositionTimeOffset"));
                // SI24: the sign is the top bit of three bytes.
                composition_ms = ((raw? as u32) << 8).cast_signed() >> 8;
            }
            let packet = video::Packet {
                codec,
                packet_type,
                is_legacy: false,
                composition_ms,
                nanoseconds,
                data,
            };
            track.handle(clock, arrival, packet)
        });
    }

    /// Takes what is said of the first track's light, or of others': ffmpeg 9 leaves out the
    /// track number there, but not the codec.
    fn colour(&mut self, four_cc: [u8; 4], body: &[u8]) {
        let has_codec = |(_, track): &&(u8, VideoTrack)| track.four_cc() == Some(four_cc);
        let first = self.video.iter().find(|(n, _)| *n == 0);
        let numbers: Vec<u8> = match first.is_none_or(|f| has_codec(&f)) {
            true => vec![0],
            false => self.video.iter().filter(has_codec).map(|t| t.0).collect(),
        };
        for number in numbers {
            self.with_video(number, |track, _| Ok(track.metadata(body)));
        }
    }

    /// Runs `feed` on a video track, which is made if there is room.
    fn with_video(
        &mut self,
        number: u8,
        feed: impl FnOnce(&mut VideoTrack, &mut Clock) -> Result<Demuxed, TrackFaultReason>,
    ) {
        let kind = TrackKind::Video;
        let make = || VideoTrack::new(TrackId::numbered(kind, number));
        let Some(track) = find(&mut self.video, number, make) else {
            return self.too_many(kind, number);
        };
        let demuxed = feed(track, &mut self.clock);
        self.put(kind, number, demuxed);
    }

    /// Runs `feed` on an audio track, which is made if there is room.
    fn with_audio(
        &mut self,
        number: u8,
        feed: impl FnOnce(
            &mut AudioTrack,
            &mut Clock,
            Option<(u32, u8)>,
        ) -> Result<Demuxed, TrackFaultReason>,
    ) {
        let kind = TrackKind::Audio;
        let make = || AudioTrack::new(TrackId::numbered(kind, number));
        let Some(track) = find(&mut self.audio, number, make) else {
            return self.too_many(kind, number);
        };
        let demuxed = feed(track, &mut self.clock, self.audio_hint);
        self.put(kind, number, demuxed);
    }

    fn put(&mut self, kind: TrackKind, number: u8, demuxed: Result<Demuxed, TrackFaultReason>) {
        let track = TrackId::numbered(kind, number);
        match demuxed {
            Ok(demuxed) => {
                if let Some(notice) = demuxed.notice {
                    self.fault(kind, number, notice);
                }
                let config = demuxed.config;
                self.media
                    .extend(config.map(|config| Media::Config { track, config }));
                self.media.extend(demuxed.frame.map(Media::Frame));
            }
            Err(reason) => self.fault(kind, number, reason),
        }
    }

    fn fault(&mut self, kind: TrackKind, number: u8, reason: TrackFaultReason) {
        self.media.push_back(Media::Fault(TrackFault {
            track: TrackId::numbered(kind, number),
            kind,
            reason,
        }));
    }

    /// Told once.
    fn too_many(&mut self, kind: TrackKind, number: u8) {
        if !std::mem::replace(&mut self.told_tracks, true) {
            self.fault(kind, number, TrackFaultReason::TooManyTracks);
        }
    }
}

/// The track with a number, made if there is room for it.
fn find<T>(tracks: &mut Vec<(u8, T)>, number: u8, make: impl FnOnce() -> T) -> Option<&mut T> {
    let at = match tracks.iter().position(|(n, _)| *n == number) {
        Some(at) => at,
        None if tracks.len() < TRACKS_MAX => {
            tracks.push((number, make()));
            tracks.len() - 1
        }
        None => return None,
    };
    tracks.get_mut(at).map(|(_, track)| track)
}
