//! The extended headers of Enhanced RTMP v2, "ExAudioTagHeader" and "ExVideoTagHeader", which
//! have one layout.
//!
//! ```text
//! video: 1(1) frame type(3) packet type(4)      audio: SoundFormat 9(4) packet type(4)
//! { ModEx: size(8 | 16) data, ModEx type(4) packet type(4) }*
//! one track:    FourCC body
//! multitrack:   kind(4) packet type(4) [FourCC] { [FourCC] track id(8) [size(24)] body }*
//! ```

use bytes::{Buf, Bytes};
use weir_media::TrackKind;

/// `ModEx`, in both kinds.
const MOD_EX: u8 = 7;
/// `ModEx` type of a nanosecond offset.
const TIMESTAMP_OFFSET_NANO: u8 = 0;
/// Largest nanosecond offset.
const NANOSECONDS_MAX: u32 = 999_999;
/// `ModEx` data of this many bytes or more has a length of 16 bits.
const LONG_MOD_EX_BYTES: usize = 256;
/// Frame type of a command to the player.
const FRAME_TYPE_COMMAND: u8 = 5;

/// What a part of a message is. The numbers of audio and video differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PacketType {
    /// A configuration record.
    SequenceStart,
    /// A frame; of a codec with NAL units, behind a composition time.
    CodedFrames,
    /// The sequence is over; no data.
    SequenceEnd,
    /// A frame whose composition time is 0 (video).
    CodedFramesX,
    /// A name and properties in AMF0, such as `colorInfo` (video).
    Metadata,
    /// A configuration as MPEG-TS has it (video).
    Mpeg2TsSequenceStart,
    /// Which speaker a channel is for (audio).
    MultichannelConfig,
    /// A value that the specification does not define.
    Other(u8),
}

impl PacketType {
    fn parse(kind: TrackKind, value: u8) -> Self {
        match (kind, value) {
            (_, 0) => Self::SequenceStart,
            (_, 1) => Self::CodedFrames,
            (_, 2) => Self::SequenceEnd,
            (TrackKind::Video, 3) => Self::CodedFramesX,
            (TrackKind::Video, 4) => Self::Metadata,
            (TrackKind::Video, 5) => Self::Mpeg2TsSequenceStart,
            (TrackKind::Audio, 4) => Self::MultichannelConfig,
            (_, other) => Self::Other(other),
        }
    }

    fn to_wire(self) -> u8 {
        match self {
            Self::SequenceStart => 0,
            Self::CodedFrames => 1,
            Self::SequenceEnd => 2,
            Self::CodedFramesX => 3,
            Self::Metadata | Self::MultichannelConfig => 4,
            Self::Mpeg2TsSequenceStart => 5,
            Self::Other(other) => other,
        }
    }
}

/// One track's part of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Track number; 0 outside multitrack messages.
    pub track: u8,
    /// What it is.
    pub packet_type: PacketType,
    /// Its codec.
    pub four_cc: [u8; 4],
    /// What follows the header: composition time, if any, and data.
    pub data: Bytes,
}

/// The head of a message; its parts come by [`Enhanced::next_part`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enhanced {
    /// Presentation time beyond the message's timestamp, in nanoseconds, 0 to 999,999.
    pub nanoseconds: u32,
    packet_type: PacketType,
    /// `None` in multitrack messages with a codec for each track.
    four_cc: Option<[u8; 4]>,
    /// A multitrack message, with a size for each track or not.
    multitrack: Option<Sizes>,
    rest: Bytes,
    is_done: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sizes {
    /// One track: the part reaches to the end.
    Whole,
    /// Each part has a size.
    Each,
}

/// The field before which a message ends.
pub type Truncated = &'static str;

impl Enhanced {
    /// Reads the head of a body whose first byte says that it is extended. `None` if it holds
    /// no media, as a command to the player does.
    ///
    /// # Errors
    /// The message ends inside its head, or a packet type is nested that may not be.
    pub fn parse(kind: TrackKind, mut body: Bytes) -> Result<Option<Self>, Truncated> {
        let first = body.try_get_u8().map_err(|_| "packet type")?;
        let mut nanoseconds = 0;
        let mut wire = first & 0xf;
        while wire == MOD_EX {
            wire = mod_ex(&mut body, &mut nanoseconds)?;
        }
        let is_multitrack = wire == multitrack_type(kind);
        let mut packet_type = PacketType::parse(kind, wire);
        let (mut multitrack, mut has_one_codec) = (None, true);
        if is_multitrack {
            let kinds = body.try_get_u8().map_err(|_| "multitrack type")?;
            packet_type = PacketType::parse(kind, kinds & 0xf);
            multitrack = Some(match kinds >> 4 {
                0 => Sizes::Whole,
                1 | 2 => Sizes::Each,
                _ => return Err("known multitrack type"),
            });
            has_one_codec = kinds >> 4 != 2;
        }
        let is_command = kind == TrackKind::Video && first >> 4 & 7 == FRAME_TYPE_COMMAND;
        if is_command && packet_type != PacketType::Metadata {
            return Ok(None);
        }
        let four_cc = match has_one_codec {
            true => Some(four_cc(&mut body)?),
            false => None,
        };
        Ok(Some(Self {
            nanoseconds,
            packet_type,
            four_cc,
            multitrack,
            rest: body,
            is_done: false,
        }))
    }

    /// The next part; `None` when there is none.
    ///
    /// # Errors
    /// The message ends inside the part; there are no more then.
    pub fn next_part(&mut self) -> Option<Result<Part, Truncated>> {
        if self.is_done {
            return None;
        }
        let part = self.read_part();
        self.is_done = part.is_err() || self.rest.is_empty();
        Some(part)
    }

    fn read_part(&mut self) -> Result<Part, Truncated> {
        let rest = &mut self.rest;
        let four_cc = match self.four_cc {
            Some(four_cc) => four_cc,
            None => four_cc(rest)?,
        };
        let mut part = Part {
            track: 0,
            packet_type: self.packet_type,
            four_cc,
            data: Bytes::new(),
        };
        if self.multitrack.is_some() {
            part.track = rest.try_get_u8().map_err(|_| "track id")?;
        }
        let size = match self.multitrack {
            Some(Sizes::Each) => rest.try_get_uint(3).map_err(|_| "track size")? as usize,
            _ => rest.len(),
        };
        if size > rest.len() {
            return Err("end of track");
        }
        part.data = rest.split_to(size);
        Ok(part)
    }
}

/// Reads one `ModEx`; returns the packet type behind it. What is unknown is skipped.
fn mod_ex(body: &mut Bytes, nanoseconds: &mut u32) -> Result<u8, Truncated> {
    let mut size = usize::from(body.try_get_u8().map_err(|_| "ModEx size")?) + 1;
    if size == LONG_MOD_EX_BYTES {
        size = usize::from(body.try_get_u16().map_err(|_| "ModEx size")?) + 1;
    }
    if size > body.len() {
        return Err("end of ModEx");
    }
    let mut data = body.split_to(size);
    let types = body.try_get_u8().map_err(|_| "ModEx type")?;
    if types >> 4 == TIMESTAMP_OFFSET_NANO
        && let Ok(offset) = data.try_get_uint(3)
    {
        *nanoseconds = (offset as u32).min(NANOSECONDS_MAX);
    }
    Ok(types & 0xf)
}

fn four_cc(body: &mut Bytes) -> Result<[u8; 4], Truncated> {
    let code = body.try_get_u32().map_err(|_| "FourCC")?;
    Ok(code.to_be_bytes())
}

/// Bytes of the longest head that [`head`] makes.
pub const HEAD_BYTES_MAX: usize = 7;

/// The head of a message with one part: its bytes, and how many of them count. `first` is the
/// upper half of the first byte; `track` makes it a multitrack message if it is not 0.
#[must_use]
pub fn head(
    kind: TrackKind,
    first: u8,
    packet_type: PacketType,
    four_cc: [u8; 4],
    track: u8,
) -> ([u8; HEAD_BYTES_MAX], usize) {
    let [a, b, c, d] = four_cc;
    let packet = packet_type.to_wire();
    if track == 0 {
        return ([first << 4 | packet, a, b, c, d, 0, 0], 5);
    }
    // One track: kind 0.
    let multitrack = multitrack_type(kind);
    ([first << 4 | multitrack, packet, a, b, c, d, track], 7)
}

fn multitrack_type(kind: TrackKind) -> u8 {
    match kind {
        TrackKind::Video => 6,
        TrackKind::Audio => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(kind: TrackKind, body: &[u8]) -> (u32, Vec<Result<Part, Truncated>>) {
        let mut head = Enhanced::parse(kind, Bytes::copy_from_slice(body))
            .unwrap()
            .unwrap();
        let parts = std::iter::from_fn(|| head.next_part()).collect();
        (head.nanoseconds, parts)
    }

    fn part(track: u8, packet_type: PacketType, four_cc: &[u8; 4], data: &'static [u8]) -> Part {
        Part {
            track,
            packet_type,
            four_cc: *four_cc,
            data: Bytes::from_static(data),
        }
    }

    #[test]
    fn one_track() {
        let (nanoseconds, found) = parts(TrackKind::Video, b"\x91hvc1\0\0\x43data");
        let wanted = part(0, PacketType::CodedFrames, b"hvc1", b"\0\0\x43data");
        assert_eq!((nanoseconds, found), (0, vec![Ok(wanted)]));
        let (_, found) = parts(TrackKind::Audio, b"\x94Opus\x01\x01\0\0\0\x04");
        assert_eq!(
            found[0].as_ref().unwrap().packet_type,
            PacketType::MultichannelConfig
        );
        let (_, found) = parts(TrackKind::Video, b"\xa8av01x");
        assert_eq!(found[0].as_ref().unwrap().packet_type, PacketType::Other(8));
    }

    #[test]
    fn mod_ex_is_read_or_skipped() {
        // A nanosecond offset, then an unknown type with a long size, then a frame.
        let mut body = b"\x97\x02\x01\x00\x00\x07\xff\x01\x00".to_vec();
        body.extend([9; 257]);
        body.extend(b"\x51hvc1\0\0\0x");
        let (nanoseconds, found) = parts(TrackKind::Video, &body);
        assert_eq!(nanoseconds, 0x01_0000);
        let wanted = part(0, PacketType::CodedFrames, b"hvc1", b"\0\0\0x");
        assert_eq!(found, [Ok(wanted)]);
        let (capped, _) = parts(TrackKind::Audio, b"\x97\x02\xff\xff\xff\x01Opusx");
        assert_eq!(capped, 999_999);
    }

    #[test]
    fn three_kinds_of_multitrack() {
        let (_, one) = parts(TrackKind::Video, b"\x96\x01av01\x03data");
        assert_eq!(
            one,
            [Ok(part(3, PacketType::CodedFrames, b"av01", b"data"))]
        );
        let (_, many) = parts(TrackKind::Audio, b"\x95\x11Opus\0\0\0\x02ab\x01\0\0\x01c");
        let wanted = [
            Ok(part(0, PacketType::CodedFrames, b"Opus", b"ab")),
            Ok(part(1, PacketType::CodedFrames, b"Opus", b"c")),
        ];
        assert_eq!(many, wanted);
        let codecs = b"\x96\x20avc1\0\0\0\x01ahvc1\x02\0\0\x01b";
        let (_, many) = parts(TrackKind::Video, codecs);
        let wanted = [
            Ok(part(0, PacketType::SequenceStart, b"avc1", b"a")),
            Ok(part(2, PacketType::SequenceStart, b"hvc1", b"b")),
        ];
        assert_eq!(many, wanted);
    }

    #[test]
    fn a_walk_past_the_end_is_an_error() {
        let (_, found) = parts(TrackKind::Video, b"\x96\x11av01\0\0\0\x01a\x01\0\0\x09b");
        assert!(found[0].is_ok());
        assert_eq!(found[1..], [Err("end of track")]);
        let (_, found) = parts(TrackKind::Video, b"\x96\x11av01\0\0\0\x01a\x01\0");
        assert_eq!(found[1..], [Err("track size")]);
        let whole = b"\x97\x02\x01\x00\x00\x06\x21av01\0\0\0\x01a";
        for n in 1..whole.len() - 1 {
            let cut = Bytes::copy_from_slice(&whole[..n]);
            if let Ok(Some(mut head)) = Enhanced::parse(TrackKind::Video, cut) {
                assert!(head.next_part().unwrap().is_err(), "{n}");
            }
        }
        let long = Bytes::from_static(b"\x97\xff\xff\xffx");
        assert_eq!(Enhanced::parse(TrackKind::Audio, long), Err("end of ModEx"));
        let nested = Bytes::from_static(b"\x96\x30av01");
        assert!(Enhanced::parse(TrackKind::Video, nested).is_err());
    }

    #[test]
    fn commands_hold_no_media_but_metadata_does() {
        let parse = |body: &'static [u8]| {
            Enhanced::parse(TrackKind::Video, Bytes::from_static(body)).unwrap()
        };
        assert_eq!(parse(b"\xd1\x00"), None);
        assert!(parse(b"\xd4hvc1x").is_some());
        assert!(parse(b"\x81hvc1\0\0\0x").is_some(), "frame type 0");
    }

    #[test]
    fn heads_are_read_back() {
        for (track, kind) in [
            (0, TrackKind::Video),
            (3, TrackKind::Video),
            (1, TrackKind::Audio),
        ] {
            let (bytes, len) = head(kind, 9, PacketType::CodedFrames, *b"av01", track);
            let (_, found) = parts(kind, &[&bytes[..len], b"x"].concat());
            assert_eq!(
                found,
                [Ok(part(track, PacketType::CodedFrames, b"av01", b"x"))]
            );
        }
    }
}
