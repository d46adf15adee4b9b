//! An audio track: AAC, Opus, FLAC, AC-3, Enhanced AC-3 or MP3.

use super::video::Arrival;
use super::{Clock, Demuxed, TrackFaultReason};
use crate::flv::enhanced::PacketType;
use crate::limits::AAC_CONFIG_WAIT_FRAMES;
use crate::metadata::Metadata;
use bytes::{Buf, Bytes};
use weir_media::aac::AacConfig;
use weir_media::ac3::{Ac3Config, Eac3Config};
use weir_media::flac::FlacConfig;
use weir_media::mp3::Mp3Config;
use weir_media::opus::{self, OpusConfig};
use weir_media::time::rescale;
use weir_media::{CodecConfig, Error, Frame, TrackId, TrackKind};

/// The codec that a packet says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    Aac,
    Opus,
    Flac,
    Ac3,
    Eac3,
    Mp3,
}

impl Codec {
    pub(super) fn of(four_cc: [u8; 4]) -> Option<Self> {
        match &four_cc {
            b"mp4a" => Some(Self::Aac),
            b"Opus" => Some(Self::Opus),
            b"fLaC" => Some(Self::Flac),
            b"ac-3" => Some(Self::Ac3),
            b"ec-3" => Some(Self::Eac3),
            b".mp3" => Some(Self::Mp3),
            _ => None,
        }
    }
}

/// One track's part of a message, whichever way it was labelled.
#[derive(Debug)]
pub(super) struct Packet {
    pub(super) codec: Codec,
    pub(super) packet_type: PacketType,
    pub(super) nanoseconds: u32,
    pub(super) data: Bytes,
}

#[derive(Debug)]
pub(super) struct AudioTrack {
    id: TrackId,
    config: Option<CodecConfig>,
    /// The configuration comes from the frames, for want of a sequence header, and follows
    /// them.
    in_band: bool,
    /// Why the whole track is dropped.
    ended: Option<TrackFaultReason>,
    /// Frames that came without a configuration.
    waited_frames: u32,
}

impl AudioTrack {
    pub(super) fn new(id: TrackId) -> Self {
        Self {
            id,
            config: None,
            in_band: false,
            ended: None,
            waited_frames: 0,
        }
    }

    pub(super) fn handle(
        &mut self,
        clock: &mut Clock,
        arrival: Arrival,
        packet: Packet,
        hint: Option<(u32, u8)>,
    ) -> Result<Demuxed, TrackFaultReason> {
        match packet.packet_type {
            PacketType::SequenceStart | PacketType::CodedFrames if packet.data.is_empty() => {
                self.ended = None;
                Ok(Demuxed::default())
            }
            PacketType::SequenceStart => self.sequence_start(packet.codec, packet.data),
            PacketType::CodedFrames => self.frame(clock, arrival, packet, hint),
            // The configuration says how many channels there are.
            PacketType::SequenceEnd | PacketType::MultichannelConfig => Ok(Demuxed::default()),
            PacketType::Other(value) => self.end(TrackFaultReason::PacketType(value)),
            _ => Ok(Demuxed::default()),
        }
    }

    /// Drops the track, and says so once for each kind of reason.
    pub(super) fn end(&mut self, reason: TrackFaultReason) -> Result<Demuxed, TrackFaultReason> {
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

    fn sequence_start(&mut self, codec: Codec, record: Bytes) -> Result<Demuxed, TrackFaultReason> {
        let config = match codec {
            Codec::Aac => AacConfig::parse(record).map(CodecConfig::Aac),
            Codec::Opus => OpusConfig::from_identification_header(&record).map(CodecConfig::Opus),
            Codec::Flac => FlacConfig::parse(&record).map(CodecConfig::Flac),
            // Their frames say it all.
            Codec::Ac3 | Codec::Eac3 | Codec::Mp3 => return Ok(Demuxed::default()),
        };
        let config = config.map_err(TrackFaultReason::Config)?;
        self.ended = None;
        self.in_band = false;
        Ok(Demuxed {
            config: self.set_config(config),
            ..Demuxed::default()
        })
    }

    fn frame(
        &mut self,
        clock: &mut Clock,
        arrival: Arrival,
        packet: Packet,
        hint: Option<(u32, u8)>,
    ) -> Result<Demuxed, TrackFaultReason> {
        let mut payload = packet.data;
        self.ended = None;
        let config = match packet.codec {
            Codec::Aac => self.aac_config(&mut payload, hint)?,
            codec => self.frame_config(codec, &payload)?,
        };
        let Some(known) = self.config.as_ref().filter(|_| !payload.is_empty()) else {
            return Ok(Demuxed {
                config,
                ..Demuxed::default()
            });
        };
        if known.samples_of(&payload).is_none() {
            return Err(TrackFaultReason::Frame(Error::Field("audio frame length")));
        }
        let rate = known.timescale();
        let at = rescale(clock.unwrap_ms(arrival.timestamp), 1000, rate);
        let dts = at.saturating_add(rescale(packet.nanoseconds.into(), 1_000_000_000, rate));
        Ok(Demuxed {
            notice: None,
            config,
            frame: Some(Frame {
                track: self.id,
                kind: TrackKind::Audio,
                dts,
                pts: dts,
                key: true,
                received_at: arrival.received_at,
                payload,
            }),
        })
    }

    /// Keeps a configuration; hands it back if it is another than before.
    fn set_config(&mut self, config: CodecConfig) -> Option<CodecConfig> {
        if self.config.as_ref() == Some(&config) {
            return None;
        }
        self.config = Some(config.clone());
        Some(config)
    }

    /// Configuration of a codec whose frames tell it, or of Opus for want of a header.
    fn frame_config(
        &mut self,
        codec: Codec,
        frame: &[u8],
    ) -> Result<Option<CodecConfig>, TrackFaultReason> {
        let config = match codec {
            Codec::Ac3 => Ac3Config::of_frame(frame).map(CodecConfig::Ac3),
            Codec::Eac3 => Eac3Config::of_packet(frame).map(CodecConfig::Eac3),
            Codec::Mp3 => Mp3Config::of_frame(frame).map(CodecConfig::Mp3),
            Codec::Opus if matches!(self.config, Some(CodecConfig::Opus(_))) => return Ok(None),
            Codec::Opus => Ok(CodecConfig::Opus(OpusConfig::plain(opus::is_stereo(frame)))),
            Codec::Flac if matches!(self.config, Some(CodecConfig::Flac(_))) => return Ok(None),
            Codec::Flac | Codec::Aac => {
                self.config = None;
                return match self.wait() {
                    true => Err(TrackFaultReason::NoConfig),
                    false => Ok(None),
                };
            }
        };
        let config = config.map_err(TrackFaultReason::Frame)?;
        Ok(self.set_config(config))
    }

    /// Counts a frame without configuration; whether to wait is over, once.
    fn wait(&mut self) -> bool {
        self.waited_frames = self.waited_frames.saturating_add(1);
        self.waited_frames == AAC_CONFIG_WAIT_FRAMES
    }

    /// Configuration of AAC from an ADTS header, which is taken off, or for want of any.
    fn aac_config(
        &mut self,
        body: &mut Bytes,
        hint: Option<(u32, u8)>,
    ) -> Result<Option<CodecConfig>, TrackFaultReason> {
        let mut config = None;
        let configured = matches!(self.config, Some(CodecConfig::Aac(_)));
        // A raw data block never starts with twelve ones: that would be its end.
        if let Ok((adts, header_bytes)) = AacConfig::from_adts(body) {
            body.advance(header_bytes);
            if self.in_band || !configured {
                self.in_band = true;
                config = self.set_config(CodecConfig::Aac(adts));
            }
        } else if !configured {
            // Waits for the sequence header a little, then makes up AAC-LC at the rate and
            // channels that the metadata names.
            self.config = None;
            if self.wait() {
                let made = hint.and_then(|(rate, channels)| low_complexity(rate, channels));
                let made = made.ok_or(TrackFaultReason::NoConfig)?;
                config = self.set_config(CodecConfig::Aac(made));
            }
        }
        Ok(config)
    }
}

/// Sampling rate and channels by the metadata.
pub(super) fn hint(metadata: &Metadata) -> Option<(u32, u8)> {
    // A cast from a float saturates, and a wrong rate has no index.
    let channels = metadata.audio_channels.unwrap_or(2.0) as u8;
    Some((metadata.audio_sample_rate? as u32, channels))
}

/// `AudioSpecificConfig` of AAC-LC (ISO/IEC 14496-3 §1.6.2.1).
fn low_complexity(rate: u32, channels: u8) -> Option<AacConfig> {
    const LOW_COMPLEXITY: u8 = 2;
    const RATES: [u32; 13] = [
        96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025,
        8_000, 7_350,
    ];
    let index = RATES.iter().position(|r| *r == rate)? as u8;
    if !(1..=7).contains(&channels) {
        return None;
    }
    let record = [LOW_COMPLEXITY << 3 | index >> 1, index << 7 | channels << 3];
    AacConfig::parse(Bytes::copy_from_slice(&record)).ok()
}
