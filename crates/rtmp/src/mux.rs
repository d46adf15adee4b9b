//! From frames to audio and video messages: the reverse of [`crate::demux`].
//!
//! What FLV has numbers for and every player knows goes by them: H.264, AAC, and MP3 at FLV's
//! rates. The rest, and tracks beyond the first of a kind, go by `FourCC` (Enhanced RTMP v2).

use crate::chunk::{Header, csid, put_absolute};
use crate::demux::colour;
use crate::flv::audio::{FORMAT_MP3, FORMAT_MP3_8K, aac_header};
use crate::flv::enhanced::{self, PacketType};
use crate::flv::video::{self, AvcHeader};
use crate::flv::{TagKind, previous_tag_size, tag_header};
use crate::metadata::Metadata;
use bytes::{BufMut, Bytes, BytesMut};
use weir_media::mp3::Mp3Config;
use weir_media::picture::Hdr;
use weir_media::time::rescale;
use weir_media::{CodecConfig, Frame, TrackId, TrackKind};

/// Bytes of the longest header: an extended one with a composition time.
const HEAD_BYTES_MAX: usize = enhanced::HEAD_BYTES_MAX + 3;

/// A body in two parts: the FLV header and the data, which is shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// What it is.
    pub kind: TagKind,
    /// Milliseconds, modulo 2^32.
    pub timestamp: u32,
    /// The header, in its first [`Body::head_len`] bytes.
    head: [u8; HEAD_BYTES_MAX],
    head_len: usize,
    /// The data.
    pub data: Bytes,
}

impl Body {
    /// The header.
    #[must_use]
    pub fn head(&self) -> &[u8] {
        &self.head[..self.head_len]
    }

    /// Bytes of header and data together.
    #[must_use]
    pub fn len(&self) -> usize {
        self.head_len + self.data.len()
    }

    /// Never true: a body has a header.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Appends the body as an RTMP message that is the same on every connection whose server
    /// announced `chunk_size`; see [`put_absolute`].
    pub fn put_message(&self, stream_id: u32, chunk_size: u32, out: &mut BytesMut) {
        let header = Header {
            csid: match self.kind {
                TagKind::Audio => csid::AUDIO,
                TagKind::Video => csid::VIDEO,
                _ => csid::DATA,
            },
            timestamp: self.timestamp,
            type_id: self.kind.type_id(),
            stream_id,
        };
        put_absolute(header, chunk_size, [self.head(), &self.data], out);
    }

    /// Appends the body as an FLV tag with what follows it. One that is too long for a tag,
    /// 16,777,215 bytes, is not written.
    pub fn put_tag(&self, out: &mut BytesMut) {
        let Some(size) = u32::try_from(self.len()).ok().filter(|n| *n <= 0xff_ffff) else {
            return;
        };
        out.reserve(self.len() + TAG_OVERHEAD_BYTES);
        out.put_slice(&tag_header(self.kind, self.timestamp, size));
        out.put_slice(self.head());
        out.put_slice(&self.data);
        out.put_slice(&previous_tag_size(size));
    }

    fn new(kind: TrackKind, timestamp: u32, header: &[u8], data: Bytes) -> Self {
        let mut head = [0; HEAD_BYTES_MAX];
        let head_len = header.len().min(HEAD_BYTES_MAX);
        head[..head_len].copy_from_slice(&header[..head_len]);
        Self {
            kind: match kind {
                TrackKind::Video => TagKind::Video,
                TrackKind::Audio => TagKind::Audio,
            },
            timestamp,
            head,
            head_len,
            data,
        }
    }

    /// With an extended header. `first` is the upper half of its first byte.
    fn enhanced(
        (track, config): (TrackId, &CodecConfig),
        timestamp: u32,
        (first, packet_type): (u8, PacketType),
        data: Bytes,
    ) -> Self {
        let kind = config.kind();
        let four_cc = match config {
            // No specification names it: no reader takes it for something else.
            CodecConfig::Mp2(_) => *b".mp2",
            CodecConfig::Mp3(_) => *b".mp3",
            other => other.four_cc(),
        };
        let number = number(track);
        let (head, len) = enhanced::head(kind, first, packet_type, four_cc, number);
        Self::new(kind, timestamp, &head[..len], data)
    }

    /// With a composition time behind the header.
    fn with_composition_time(mut self, milliseconds: i32) -> Self {
        let [_, time @ ..] = milliseconds.to_be_bytes();
        self.head[self.head_len..self.head_len + 3].copy_from_slice(&time);
        self.head_len += 3;
        self
    }
}

/// Bytes that an FLV tag adds to its body.
const TAG_OVERHEAD_BYTES: usize = 15;

/// `onMetaData`.
#[must_use]
pub fn metadata(metadata: &Metadata, timestamp: u32) -> Body {
    Body {
        kind: TagKind::Script,
        timestamp,
        head: [0; HEAD_BYTES_MAX],
        head_len: 0,
        data: metadata.to_data().encode(false).freeze(),
    }
}

/// Upper half of the first byte of a key frame, an inter frame and a command, extended.
const KEY: u8 = 0x9;
const INTER: u8 = 0xa;
const COMMAND: u8 = 0xd;
/// That of extended audio.
const AUDIO: u8 = crate::flv::audio::FORMAT_ENHANCED;

/// The number that a publisher gives a track; tracks of ours count as its first.
fn number(track: TrackId) -> u8 {
    u8::try_from(track.0.saturating_sub(1) / 2).unwrap_or(0)
}

/// Whether FLV's own numbers say it.
fn is_plain(track: TrackId, config: &CodecConfig) -> bool {
    number(track) == 0
        && match config {
            CodecConfig::H264(_) | CodecConfig::Aac(_) => true,
            CodecConfig::Mp3(mp3) => mp3_header(mp3).is_some(),
            _ => false,
        }
}

/// The byte before MP3 data, at the rates that FLV has (§E.4.2.1): rate, 16 bit, channels.
fn mp3_header(mp3: &Mp3Config) -> Option<u8> {
    let (format, rate) = match mp3.sample_rate {
        44_100 => (FORMAT_MP3, 3),
        22_050 => (FORMAT_MP3, 2),
        11_025 => (FORMAT_MP3, 1),
        8_000 => (FORMAT_MP3_8K, 0),
        _ => return None,
    };
    Some(format << 4 | rate << 2 | 2 | u8::from(mp3.channels > 1))
}

/// The sequence header of a track; `None` for codecs without one: AC-3, Enhanced AC-3, MP2,
/// MP3.
#[must_use]
pub fn sequence_header(track: TrackId, config: &CodecConfig, timestamp: u32) -> Option<Body> {
    let data = match config {
        CodecConfig::Opus(c) => c.identification_header(),
        // Bare, since ffmpeg 9 cannot read it behind `fLaC`.
        CodecConfig::Flac(c) => c.streaminfo(),
        CodecConfig::Ac3(_) | CodecConfig::Eac3(_) | CodecConfig::Mp2(_) | CodecConfig::Mp3(_) => {
            return None;
        }
        other => other.record().clone(),
    };
    let kind = config.kind();
    if is_plain(track, config) {
        let header = AvcHeader {
            packet_type: video::PacketType::SequenceHeader,
            composition_time_ms: 0,
        };
        return Some(match kind {
            TrackKind::Video => Body::new(kind, timestamp, &header.encode(true), data),
            TrackKind::Audio => Body::new(kind, timestamp, &aac_header(true), data),
        });
    }
    let first = match kind {
        TrackKind::Video => KEY,
        TrackKind::Audio => AUDIO,
    };
    let packet = (first, PacketType::SequenceStart);
    Some(Body::enhanced((track, config), timestamp, packet, data))
}

/// What is to be said of the light of a track behind its sequence header; `None` if nothing is.
#[must_use]
pub fn colour_info(track: TrackId, config: &CodecConfig, timestamp: u32) -> Option<Body> {
    let hdr = config.hdr().filter(|hdr| **hdr != Hdr::default())?;
    let data = colour::encode(hdr).freeze();
    let packet = (COMMAND, PacketType::Metadata);
    Some(Body::enhanced((track, config), timestamp, packet, data))
}

/// The body of a frame of a track with this configuration. Times are rounded to the nearest
/// millisecond, decoding and presentation each for itself, so that errors do not add up.
#[must_use]
pub fn frame(frame: &Frame, config: &CodecConfig) -> Body {
    let timescale = config.timescale();
    let dts_ms = rescale(frame.dts, timescale, 1000);
    // Modulo 2^32, as the wire has it.
    let timestamp = dts_ms as u32;
    let data = frame.payload.clone();
    let plain = is_plain(frame.track, config);
    if config.kind() == TrackKind::Audio {
        return match config {
            CodecConfig::Mp3(mp3) if plain => {
                let header = mp3_header(mp3).unwrap_or(FORMAT_MP3 << 4);
                Body::new(frame.kind, timestamp, &[header], data)
            }
            _ if plain => Body::new(frame.kind, timestamp, &aac_header(false), data),
            _ => {
                let packet = (AUDIO, PacketType::CodedFrames);
                Body::enhanced((frame.track, config), timestamp, packet, data)
            }
        };
    }
    let offset = rescale(frame.pts, timescale, 1000).saturating_sub(dts_ms);
    let composition_time_ms = offset.clamp(-0x80_0000, 0x7f_ffff) as i32;
    if plain {
        let header = AvcHeader {
            packet_type: video::PacketType::Nalu,
            composition_time_ms,
        };
        return Body::new(frame.kind, timestamp, &header.encode(frame.key), data);
    }
    let first = if frame.key { KEY } else { INTER };
    let packet = (first, PacketType::CodedFrames);
    let body = Body::enhanced((frame.track, config), timestamp, packet, data);
    match config {
        CodecConfig::H264(_) | CodecConfig::Hevc(_) => {
            body.with_composition_time(composition_time_ms)
        }
        _ => body,
    }
}
