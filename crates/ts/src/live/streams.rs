//! What a live program carries: how each codec is named in the program map, and put into PES
//! packets.

use crate::elementary::VideoFormat;
use crate::error::Error;
use crate::limits::{LIVE_STREAMS_MAX, PES_LENGTH_MAX};
use crate::packet::{Field, PesPackets};
use crate::pes::{
    HEADER_BYTES_PTS, HEADER_BYTES_PTS_DTS, Header, STREAM_ID_AUDIO, STREAM_ID_VIDEO,
};
use crate::psi::{STREAM_TYPE_ADTS, STREAM_TYPE_H264, VIDEO_PID, pmt as map};
use weir_media::{CodecConfig, Frame, TrackId, TrackKind};

/// PID of splice information.
pub(super) const SPLICE_PID: u16 = 0x1e0;
/// PID of ID3 tags.
pub(super) const ID3_PID: u16 = 0x1e1;
/// `stream_id` of `private_stream_1` (ISO/IEC 13818-1 table 2-22).
pub(super) const STREAM_ID_PRIVATE: u8 = 0xbd;

/// Registration of splice information (SCTE 35 §8.1).
const CUEI: [u8; 6] = *b"\x05\x04CUEI";
/// `metadata_pointer_descriptor` and `metadata_descriptor` of ID3 (Apple, Timed Metadata for
/// HTTP Live Streaming §2.3).
const ID3_POINTER: [u8; 17] = *b"\x25\x0f\xff\xffID3 \xffID3 \0\x1f\0\x01";
const ID3_DESCRIPTOR: [u8; 15] = *b"\x26\x0d\xff\xffID3 \xffID3 \0\x0f";

/// An elementary stream of a live program.
#[derive(Debug, Clone, Copy)]
pub struct Stream<'a> {
    /// Track that its frames have, 1 to 127; its PID is 0xff more.
    pub track: TrackId,
    /// Its configuration.
    pub config: &'a CodecConfig,
    /// ISO 639-2 code of its language.
    pub language: Option<[u8; 3]>,
}

/// A stream that is carried.
#[derive(Debug)]
pub(super) struct Carried {
    pub(super) track: TrackId,
    pub(super) pid: u16,
    pub(super) config: CodecConfig,
    stream_type: u8,
    descriptors: Vec<u8>,
    /// Payload packets so far.
    pub(super) packets: u64,
    /// The next frame is the first.
    is_first: bool,
    /// Frames are left out until a key frame.
    pub(super) dropping: bool,
}

/// Whether a live transport stream of ours can carry a codec.
#[must_use]
pub fn carries(config: &CodecConfig) -> bool {
    named(config).is_some()
}

/// `stream_type` and descriptors.
fn named(config: &CodecConfig) -> Option<(u8, Vec<u8>)> {
    Some(match config {
        CodecConfig::H264(_) => (STREAM_TYPE_H264, Vec::new()),
        CodecConfig::Hevc(_) => (0x24, b"\x05\x04HEVC".to_vec()),
        CodecConfig::Aac(_) => (STREAM_TYPE_ADTS, Vec::new()),
        CodecConfig::Mp2(c) if c.object_type_indication() == 0x69 => (0x04, Vec::new()),
        CodecConfig::Mp3(c) if c.object_type_indication() == 0x69 => (0x04, Vec::new()),
        CodecConfig::Mp2(_) | CodecConfig::Mp3(_) => (0x03, Vec::new()),
        CodecConfig::Ac3(_) => (0x81, b"\x05\x04AC-3".to_vec()),
        CodecConfig::Eac3(_) => (0x87, b"\x05\x04EAC3".to_vec()),
        CodecConfig::Opus(c) if c.channels <= 8 => {
            let extension = [0x7f, 2, 0x80, c.channels];
            (0x06, [&b"\x05\x04Opus"[..], &extension].concat())
        }
        _ => return None,
    })
}

/// Streams as they will be carried.
pub(super) fn carried(streams: &[Stream<'_>]) -> Result<Vec<Carried>, Error> {
    let ids = streams.iter().map(|s| s.track);
    let is_once = |id: &TrackId| ids.clone().filter(|other| other == id).count() == 1;
    let in_range = |id: &TrackId| (1..=0x7f).contains(&id.0);
    let many = streams.is_empty() || streams.len() > LIVE_STREAMS_MAX;
    if many || !ids.clone().all(|id| is_once(&id) && in_range(&id)) {
        return Err(Error::Tracks);
    }
    let carried = streams.iter().map(|stream| {
        let (stream_type, mut descriptors) = named(stream.config).ok_or(Error::Codec)?;
        if let CodecConfig::Aac(aac) = stream.config
            && aac.adts_header(0).is_none()
        {
            return Err(Error::AdtsConfig("configuration"));
        }
        if let Some([a, b, c]) = stream.language {
            descriptors.extend([0x0a, 4, a, b, c, 0]);
        }
        Ok(Carried {
            track: stream.track,
            pid: VIDEO_PID + stream.track.0 - 1,
            config: stream.config.clone(),
            stream_type,
            descriptors,
            packets: 0,
            is_first: true,
            dropping: false,
        })
    });
    carried.collect()
}

/// PID of the stream with the PCR.
pub(super) fn pcr_pid(streams: &[Carried]) -> u16 {
    let video = streams.iter().find(|s| s.is_video());
    video.or(streams.first()).map_or(0x1fff, |s| s.pid)
}

/// The program map.
pub(super) fn pmt(
    streams: &[Carried],
    pcr_pid: u16,
    version: u8,
    splices: bool,
    id3: bool,
) -> Vec<u8> {
    let mut info = Vec::new();
    info.extend(splices.then_some(CUEI).into_iter().flatten());
    info.extend(id3.then_some(ID3_POINTER).into_iter().flatten());
    let entries = streams
        .iter()
        .map(|s| (s.stream_type, s.pid, &s.descriptors[..]));
    let splice = splices.then_some((0x86, SPLICE_PID, &[][..]));
    let id3 = id3.then_some((0x15, ID3_PID, &ID3_DESCRIPTOR[..]));
    map(version, pcr_pid, &info, entries.chain(splice).chain(id3))
}

impl Carried {
    pub(super) fn is_video(&self) -> bool {
        self.config.kind() == TrackKind::Video
    }

    /// Appends a frame as a PES packet.
    pub(super) fn put(
        &mut self,
        frame: &Frame,
        (pts, dts): (i64, i64),
        field: Field,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let payload = &frame.payload[..];
        if let Some(format) = VideoFormat::of(&self.config) {
            let flags = self.config.sample_flags(payload, frame.key);
            let flags = flags.map_err(Error::Frame)?;
            // A PTS before the DTS stands alone, see `unit::has_dts`.
            let dts = (pts > dts).then_some(dts);
            let head = match dts {
                Some(_) => HEADER_BYTES_PTS_DTS,
                None => HEADER_BYTES_PTS,
            };
            let len = head + format.added_bytes(flags) + payload.len();
            let mut pes = PesPackets::start(out, self.pid, &mut self.packets, len, field);
            pes.push(Header::new(STREAM_ID_VIDEO, len, pts, dts).as_slice());
            return format.put(flags, payload, &mut pes).map_err(Error::Frame);
        }
        let head = self.head(payload.len())?;
        let len = HEADER_BYTES_PTS + head.len() + payload.len();
        if len > PES_LENGTH_MAX {
            return Err(Error::Frame(weir_media::Error::Field("audio frame length")));
        }
        let stream_id = match self.config {
            CodecConfig::Ac3(_) | CodecConfig::Eac3(_) | CodecConfig::Opus(_) => STREAM_ID_PRIVATE,
            _ => STREAM_ID_AUDIO,
        };
        let mut pes = PesPackets::start(out, self.pid, &mut self.packets, len, field);
        pes.push(Header::new(stream_id, len, pts, None).as_slice());
        pes.push(&head);
        pes.push(payload);
        self.is_first = false;
        Ok(())
    }

    /// What stands in front of an audio frame of this length.
    fn head(&self, len: usize) -> Result<Vec<u8>, Error> {
        match &self.config {
            CodecConfig::Aac(aac) => {
                let too_long = Error::AdtsFrameTooLong {
                    sample: 0,
                    size: len,
                };
                Ok(aac.adts_header(len).ok_or(too_long)?.to_vec())
            }
            CodecConfig::Opus(opus) => {
                // prefix 0x3ff, start_trim_flag; au_size in steps of 255
                let trims = self.is_first && opus.pre_skip > 0;
                let mut head = vec![0x7f, if trims { 0xf0 } else { 0xe0 }];
                head.resize(head.len() + len / 255, 0xff);
                head.push((len % 255) as u8);
                if trims {
                    head.extend((opus.pre_skip & 0x1fff).to_be_bytes());
                }
                Ok(head)
            }
            _ => Ok(Vec::new()),
        }
    }
}
