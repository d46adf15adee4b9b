//! A video track: H.264, HEVC, AV1 or VP9.

mod nal;

use super::colour::colour_info;
use super::{Clock, Demuxed, TrackFaultReason};
use crate::flv::enhanced::PacketType;
use bytes::{Bytes, BytesMut};
use nal::{Coding, Unit};
use weir_media::av1::{self, Av1Config};
use weir_media::hevc;
use weir_media::picture::Hdr;
use weir_media::time::rescale;
use weir_media::vp9::{self, Vp9Config};
use weir_media::{CodecConfig, Error, Frame, Mono, TrackId, TrackKind};

/// Ticks of the video timescale in a millisecond.
const TICKS_PER_MS: i64 = 90;

/// What a sender of access units without a sequence header uses.
const LENGTH_SIZE_DEFAULT: u8 = 4;

/// The codec that a packet says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    Nal(Coding),
    Av1,
    Vp9,
}

impl Codec {
    pub(super) fn of(four_cc: [u8; 4]) -> Option<Self> {
        match &four_cc {
            b"avc1" => Some(Self::Nal(Coding::Avc)),
            b"hvc1" => Some(Self::Nal(Coding::Hevc)),
            b"av01" => Some(Self::Av1),
            b"vp09" => Some(Self::Vp9),
            _ => None,
        }
    }
}

/// One track's part of a message, whichever way it was labelled.
#[derive(Debug)]
pub(super) struct Packet {
    pub(super) codec: Codec,
    pub(super) packet_type: PacketType,
    /// It came with a codec id of FLV, and not with a `FourCC`.
    pub(super) is_legacy: bool,
    /// Composition time in milliseconds.
    pub(super) composition_ms: i32,
    pub(super) nanoseconds: u32,
    pub(super) data: Bytes,
}

/// Where a packet stands in time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival {
    /// Milliseconds modulo 2^32.
    pub(super) timestamp: u32,
    pub(super) received_at: Mono,
}

#[derive(Debug)]
pub(super) struct VideoTrack {
    id: TrackId,
    config: Option<CodecConfig>,
    /// Bytes of a NAL length in what is sent.
    length_size: u8,
    /// Said beside the bitstream.
    hdr: Hdr,
    /// A VP9 record that waits for a key frame, which tells the size.
    vp9_record: Bytes,
    /// The configuration comes from the frames, for want of a sequence header, and follows
    /// them.
    in_band: bool,
    /// What is labelled H.264 is HEVC.
    mislabelled: bool,
    /// Why the whole track is dropped.
    ended: Option<TrackFaultReason>,
    /// A missing configuration has been told.
    told_no_config: bool,
}

impl VideoTrack {
    pub(super) fn new(id: TrackId) -> Self {
        Self {
            id,
            config: None,
            length_size: LENGTH_SIZE_DEFAULT,
            hdr: Hdr::default(),
            vp9_record: Bytes::new(),
            in_band: false,
            mislabelled: false,
            ended: None,
            told_no_config: false,
        }
    }

    pub(super) fn handle(
        &mut self,
        clock: &mut Clock,
        arrival: Arrival,
        mut packet: Packet,
    ) -> Result<Demuxed, TrackFaultReason> {
        if self.mislabelled && packet.is_legacy && packet.codec == Codec::Nal(Coding::Avc) {
            packet.codec = Codec::Nal(Coding::Hevc);
        }
        match packet.packet_type {
            PacketType::SequenceStart => self.sequence_start(packet),
            PacketType::CodedFrames | PacketType::CodedFramesX if packet.data.is_empty() => {
                Ok(Demuxed::default())
            }
            PacketType::CodedFrames | PacketType::CodedFramesX => {
                self.frame(clock, arrival, packet)
            }
            PacketType::Metadata => Ok(self.metadata(&packet.data)),
            // The configuration is in the first key frame too.
            PacketType::Mpeg2TsSequenceStart | PacketType::SequenceEnd => Ok(Demuxed::default()),
            PacketType::Other(value) => self.end(TrackFaultReason::PacketType(value)),
            PacketType::MultichannelConfig => Ok(Demuxed::default()),
        }
    }

    /// Drops the track, and says so once for each reason.
    pub(super) fn end(&mut self, reason: TrackFaultReason) -> Result<Demuxed, TrackFaultReason> {
        // A FourCC is missing from some packets of a track, so the kind of reason is
        // compared.
        let told = self
            .ended
            .is_some_and(|e| std::mem::discriminant(&e) == std::mem::discriminant(&reason));
        self.ended = Some(reason);
        if told {
            Ok(Demuxed::default())
        } else {
            Err(reason)
        }
    }

    fn no_config(&mut self) -> Result<Demuxed, TrackFaultReason> {
        if std::mem::replace(&mut self.told_no_config, true) {
            return Ok(Demuxed::default());
        }
        Err(TrackFaultReason::NoConfig)
    }

    /// Its codec, once that is known.
    pub(super) fn four_cc(&self) -> Option<[u8; 4]> {
        self.config.as_ref().map(CodecConfig::four_cc)
    }

    /// Takes the body of a metadata part.
    pub(super) fn metadata(&mut self, body: &[u8]) -> Demuxed {
        let config = colour_info(body).and_then(|hdr| {
            self.hdr = hdr;
            let config = self.config.clone()?;
            self.set_config(config)
        });
        Demuxed {
            config,
            ..Demuxed::default()
        }
    }

    fn sequence_start(&mut self, packet: Packet) -> Result<Demuxed, TrackFaultReason> {
        let record = packet.data;
        // ffmpeg announces a codec like that whose encoder has yet to say more.
        if record.is_empty() && !packet.is_legacy {
            return Ok(Demuxed::default());
        }
        let (config, length_size) = match packet.codec {
            Codec::Nal(coding) => match coding.parse(&record) {
                Ok(parsed) => parsed,
                Err(error) => {
                    let relabelled = self.relabelled(coding, packet.is_legacy, &record);
                    return relabelled.ok_or(TrackFaultReason::Config(error));
                }
            },
            // A record without the sequence header: the first key frame has it.
            Codec::Av1 => match Av1Config::parse(record) {
                Ok(config) => (CodecConfig::Av1(config), self.length_size),
                Err(Error::NoSps) => return Ok(Demuxed::default()),
                Err(error) => return Err(TrackFaultReason::Config(error)),
            },
            Codec::Vp9 => {
                Vp9Config::parse(&record, 1, 1).map_err(TrackFaultReason::Config)?;
                self.vp9_record = record;
                self.ended = None;
                return Ok(Demuxed::default());
            }
        };
        self.ended = None;
        self.in_band = false;
        self.length_size = length_size;
        Ok(Demuxed {
            config: self.set_config(config),
            ..Demuxed::default()
        })
    }

    /// Tries a record that is not what its label says as the other codec with NAL units: OBS
    /// before 29.1 labelled HEVC as H.264. Told once; the track goes on.
    fn relabelled(&mut self, coding: Coding, is_legacy: bool, record: &Bytes) -> Option<Demuxed> {
        let other = coding.other();
        if !is_legacy || other == Coding::Hevc && !hevc::is_record(record) {
            return None;
        }
        let (config, length_size) = other.parse(record).ok()?;
        self.ended = None;
        self.in_band = false;
        self.length_size = length_size;
        let was = std::mem::replace(&mut self.mislabelled, other == Coding::Hevc);
        Some(Demuxed {
            notice: (self.mislabelled && !was).then_some(TrackFaultReason::HevcAsAvc),
            config: self.set_config(config),
            frame: None,
        })
    }

    /// Keeps a configuration; hands it back if it says something else than before.
    fn set_config(&mut self, mut config: CodecConfig) -> Option<CodecConfig> {
        config.set_hdr(self.hdr);
        let said = |c: &CodecConfig| (c.four_cc(), c.record().clone(), c.hdr().copied());
        let same = self.config.as_ref().is_some_and(|known| {
            said(known) == said(&config) && known.picture() == config.picture()
        });
        if same {
            return None;
        }
        self.config = Some(config.clone());
        Some(config)
    }

    fn frame(
        &mut self,
        clock: &mut Clock,
        arrival: Arrival,
        packet: Packet,
    ) -> Result<Demuxed, TrackFaultReason> {
        let picture = match packet.codec {
            Codec::Nal(coding) => self.access_unit(coding, packet.data)?,
            Codec::Av1 => self.temporal_unit(packet.data)?,
            Codec::Vp9 => self.vp9_frame(packet.data)?,
        };
        if !self.is_configured_for(packet.codec) {
            return self.no_config();
        }
        if !picture.is_there {
            // Parameter sets or SEI sent on their own are no picture.
            return Ok(Demuxed {
                config: picture.config,
                ..Demuxed::default()
            });
        }
        self.ended = None;
        let dts = clock
            .unwrap_ms(arrival.timestamp)
            .saturating_mul(TICKS_PER_MS);
        let composition = i64::from(packet.composition_ms) * TICKS_PER_MS;
        let beyond = rescale(packet.nanoseconds.into(), 1_000_000_000, 90_000);
        Ok(Demuxed {
            notice: None,
            config: picture.config,
            frame: Some(Frame {
                track: self.id,
                kind: TrackKind::Video,
                dts,
                pts: dts.saturating_add(composition + beyond),
                key: picture.key,
                received_at: arrival.received_at,
                payload: picture.payload,
            }),
        })
    }

    fn is_configured_for(&self, codec: Codec) -> bool {
        matches!(
            (codec, &self.config),
            (Codec::Nal(Coding::Avc), Some(CodecConfig::H264(_)))
                | (Codec::Nal(Coding::Hevc), Some(CodecConfig::Hevc(_)))
                | (Codec::Av1, Some(CodecConfig::Av1(_)))
                | (Codec::Vp9, Some(CodecConfig::Vp9(_)))
        )
    }

    /// An access unit with four-byte lengths, and what is in it.
    fn access_unit(&mut self, coding: Coding, body: Bytes) -> Result<Picture, TrackFaultReason> {
        let configured = self.is_configured_for(Codec::Nal(coding));
        let length_size = match configured {
            true => self.length_size,
            false => LENGTH_SIZE_DEFAULT,
        };
        let (payload, unit) = coding
            .access_unit(body, length_size)
            .map_err(TrackFaultReason::Frame)?;
        let mut config = None;
        if unit.parameter_sets && (self.in_band || !configured) {
            let found = coding.in_band(&payload).map_err(TrackFaultReason::Config)?;
            // A sender of start codes is converted to four-byte lengths before it comes here.
            self.in_band = true;
            config = self.set_config(found);
        }
        let Unit { slices, key, .. } = unit;
        Ok(Picture {
            config,
            payload,
            key,
            is_there: slices,
        })
    }

    /// A temporal unit without delimiter, whose sequence header is believed.
    fn temporal_unit(&mut self, body: Bytes) -> Result<Picture, TrackFaultReason> {
        let known = match &self.config {
            Some(CodecConfig::Av1(c)) => Some(c),
            _ => None,
        };
        let seen = av1::inspect(&body, known.map(|c| &c.info)).map_err(TrackFaultReason::Frame)?;
        let mut payload = body.slice(seen.delimiter_bytes..);
        let mut config = None;
        if seen.sequence_header {
            let found = Av1Config::from_temporal_unit(&body).map_err(TrackFaultReason::Frame)?;
            let same =
                |f: &Av1Config| known.is_some_and(|k| k.sequence_header() == f.sequence_header());
            if let Some(found) = found.filter(|f| !same(f)) {
                config = self.set_config(CodecConfig::Av1(found));
            }
        } else if let Some(known) = known.filter(|_| seen.key) {
            // A random access point holds its sequence header (AV1 binding §2.5).
            let header = known.config_obus();
            let mut whole = BytesMut::with_capacity(header.len() + payload.len());
            whole.extend_from_slice(header);
            whole.extend_from_slice(&payload);
            payload = whole.freeze();
        }
        Ok(Picture {
            config,
            payload,
            key: seen.key,
            is_there: seen.frames,
        })
    }

    /// A frame or superframe; the size of a key frame is believed.
    fn vp9_frame(&mut self, payload: Bytes) -> Result<Picture, TrackFaultReason> {
        let key = vp9::key_frame(&payload).map_err(TrackFaultReason::Frame)?;
        let config = key.and_then(|key| {
            let record = Some(&self.vp9_record[..]).filter(|r| !r.is_empty());
            self.set_config(CodecConfig::Vp9(Vp9Config::of_key_frame(&key, record)))
        });
        Ok(Picture {
            config,
            payload,
            key: key.is_some(),
            is_there: true,
        })
    }
}

/// What a body holds.
struct Picture {
    config: Option<CodecConfig>,
    payload: Bytes,
    key: bool,
    is_there: bool,
}
