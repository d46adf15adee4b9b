//! From frames to audio and video messages: the reverse of [`crate::demux`].

use crate::flv::TagKind;
use crate::flv::audio::aac_header;
use crate::flv::video::{AvcHeader, PacketType};
use bytes::Bytes;
use weir_media::time::rescale;
use weir_media::{CodecConfig, Frame, TrackId, TrackKind};

/// A body in two parts: the FLV header and the data, which is shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// What it is.
    pub kind: TagKind,
    /// Milliseconds, modulo 2^32.
    pub timestamp: u32,
    /// The header, in its first [`Body::head_len`] bytes.
    head: [u8; 5],
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

    fn video(timestamp: u32, header: AvcHeader, key: bool, data: Bytes) -> Self {
        Self {
            kind: TagKind::Video,
            timestamp,
            head: header.encode(key),
            head_len: 5,
            data,
        }
    }

    fn audio(timestamp: u32, sequence_header: bool, data: Bytes) -> Self {
        let [a, b] = aac_header(sequence_header);
        Self {
            kind: TagKind::Audio,
            timestamp,
            head: [a, b, 0, 0, 0],
            head_len: 2,
            data,
        }
    }
}

/// The sequence header of a track; `None` for what FLV has no number for.
#[must_use]
pub fn sequence_header(track: TrackId, config: &CodecConfig, timestamp: u32) -> Option<Body> {
    if track != TrackId::source(config.kind()) {
        return None;
    }
    match config {
        CodecConfig::H264(avc) => {
            let header = AvcHeader {
                packet_type: PacketType::SequenceHeader,
                composition_time_ms: 0,
            };
            Some(Body::video(timestamp, header, true, avc.record().clone()))
        }
        CodecConfig::Aac(aac) => Some(Body::audio(timestamp, true, aac.record().clone())),
        _ => None,
    }
}

/// The body of a frame of a track with this configuration. Times are rounded to the nearest
/// millisecond, decoding and presentation each for itself, so that errors do not add up.
#[must_use]
pub fn frame(frame: &Frame, config: &CodecConfig) -> Body {
    let timescale = config.timescale();
    let dts_ms = rescale(frame.dts, timescale, 1000);
    // Modulo 2^32, as the wire has it.
    let timestamp = dts_ms as u32;
    match frame.kind {
        TrackKind::Audio => Body::audio(timestamp, false, frame.payload.clone()),
        TrackKind::Video => {
            let offset = rescale(frame.pts, timescale, 1000).saturating_sub(dts_ms);
            let header = AvcHeader {
                packet_type: PacketType::Nalu,
                composition_time_ms: offset.clamp(-0x80_0000, 0x7f_ffff) as i32,
            };
            Body::video(timestamp, header, frame.key, frame.payload.clone())
        }
    }
}
