//! The video track: H.264.

use super::{Clock, Demuxed, TrackFaultReason};
use crate::flv::video::{
    AVC_HEADER_BYTES, AvcHeader, CODEC_AVC, Codec, FRAME_TYPE_COMMAND, PacketType,
};
use bytes::{Buf, Bytes};
use weir_media::avc::{
    AccessUnit, AvcConfig, Nals, annex_b_to_lengths, inspect, nal_type, with_four_byte_lengths,
};
use weir_media::{CodecConfig, Frame, Mono, TrackId, TrackKind};

/// Ticks of the video timescale in a millisecond.
const TICKS_PER_MS: i64 = 90;

/// What a sender of access units without a sequence header uses.
const LENGTH_SIZE_DEFAULT: u8 = 4;

#[derive(Debug, Default)]
pub(super) struct VideoTrack {
    config: Option<AvcConfig>,
    /// The configuration comes from the access units, for want of a sequence header, and
    /// follows them.
    in_band: bool,
    /// Why the whole track is dropped.
    ended: Option<TrackFaultReason>,
    /// A missing configuration has been told.
    told_no_config: bool,
}

impl VideoTrack {
    pub(super) fn handle(
        &mut self,
        clock: &mut Clock,
        timestamp: u32,
        mut body: Bytes,
        received_at: Mono,
    ) -> Result<Demuxed, TrackFaultReason> {
        match Codec::parse(&body) {
            None
            | Some(Codec::Id {
                frame_type: FRAME_TYPE_COMMAND,
                ..
            }) => return Ok(Demuxed::default()),
            Some(Codec::Id {
                codec: CODEC_AVC, ..
            }) => {}
            Some(Codec::Id { codec, .. }) => return self.end(TrackFaultReason::Codec(codec)),
            Some(Codec::Enhanced(four_cc)) => {
                return self.end(TrackFaultReason::EnhancedCodec(four_cc));
            }
        }
        let Some(header) = AvcHeader::parse(&body) else {
            // The end of a sequence needs no composition time, and one byte is nothing.
            return if body.len() < 2 || body[1] == 2 {
                Ok(Demuxed::default())
            } else {
                Err(TrackFaultReason::Truncated("CompositionTime"))
            };
        };
        body.advance(AVC_HEADER_BYTES);
        match header.packet_type {
            PacketType::SequenceHeader => self.sequence_header(body),
            PacketType::Nalu if body.is_empty() => Ok(Demuxed::default()),
            PacketType::Nalu => {
                if matches!(self.ended, Some(TrackFaultReason::HevcAsAvc)) {
                    return Ok(Demuxed::default());
                }
                let (payload, unit) = self.access_unit(body)?;
                let config = self.in_band_config(&payload, unit)?;
                if self.config.is_none() {
                    return self.no_config();
                }
                if !unit.slices {
                    // Parameter sets or SEI sent on their own are no picture.
                    return Ok(Demuxed {
                        config,
                        frame: None,
                    });
                }
                self.ended = None;
                let dts = clock.unwrap_ms(timestamp).saturating_mul(TICKS_PER_MS);
                let offset = i64::from(header.composition_time_ms) * TICKS_PER_MS;
                Ok(Demuxed {
                    config,
                    frame: Some(Frame {
                        track: TrackId::SOURCE_VIDEO,
                        kind: TrackKind::Video,
                        dts,
                        pts: dts.saturating_add(offset),
                        key: unit.idr || unit.recovery_point,
                        received_at,
                        payload,
                    }),
                })
            }
            PacketType::EndOfSequence | PacketType::Other(_) => Ok(Demuxed::default()),
        }
    }

    /// Drops the track, and says so once for each reason.
    fn end(&mut self, reason: TrackFaultReason) -> Result<Demuxed, TrackFaultReason> {
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

    fn sequence_header(&mut self, record: Bytes) -> Result<Demuxed, TrackFaultReason> {
        let config = match AvcConfig::parse(record.clone()) {
            Ok(config) => config,
            Err(_) if is_hevc_record(&record) => return self.end(TrackFaultReason::HevcAsAvc),
            Err(error) => start_code_config(&record).ok_or(TrackFaultReason::Config(error))?,
        };
        self.ended = None;
        self.in_band = false;
        Ok(Demuxed {
            config: self.set_config(config),
            frame: None,
        })
    }

    /// Keeps a configuration; hands it back if its record is another than before.
    fn set_config(&mut self, config: AvcConfig) -> Option<CodecConfig> {
        let changed = self
            .config
            .as_ref()
            .is_none_or(|c| c.record() != config.record());
        if changed {
            self.config = Some(config.clone());
            Some(CodecConfig::H264(config))
        } else {
            // The length size is not part of the normalised record.
            if let Some(c) = &mut self.config {
                c.nal_length_size = config.nal_length_size;
            }
            None
        }
    }

    /// The access unit with four-byte lengths, and what is in it.
    fn access_unit(&self, body: Bytes) -> Result<(Bytes, AccessUnit), TrackFaultReason> {
        let length_size = self
            .config
            .as_ref()
            .map_or(LENGTH_SIZE_DEFAULT, |c| c.nal_length_size);
        match inspect(&body, length_size) {
            Ok(unit) if length_size == 4 => Ok((body, unit)),
            Ok(unit) => {
                let payload = with_four_byte_lengths(&body, length_size);
                Ok((payload.map_err(TrackFaultReason::Frame)?, unit))
            }
            // Lengths such as 00 00 01 2c look like start codes, so that start codes are
            // believed only where lengths make no sense.
            Err(_) if starts_with_start_code(&body) => annex_b_to_lengths(&body)
                .and_then(|payload| inspect(&payload, 4).map(|unit| (payload, unit)))
                .map_err(TrackFaultReason::Frame),
            Err(error) => Err(TrackFaultReason::Frame(error)),
        }
    }

    /// Takes the configuration from an access unit where no sequence header gave one.
    fn in_band_config(
        &mut self,
        payload: &[u8],
        unit: AccessUnit,
    ) -> Result<Option<CodecConfig>, TrackFaultReason> {
        if !unit.parameter_sets || !(self.in_band || self.config.is_none()) {
            return Ok(None);
        }
        let config = parameter_sets_config(payload).map_err(TrackFaultReason::Config)?;
        self.in_band = true;
        // A sender of start codes is converted to four-byte lengths before it comes here.
        Ok(self.set_config(config))
    }
}

/// Configuration from the parameter sets of an access unit with four-byte lengths.
fn parameter_sets_config(payload: &[u8]) -> Result<AvcConfig, weir_media::Error> {
    let (mut sps, mut pps) = (Vec::new(), Vec::new());
    for nal in Nals::new(payload, 4) {
        let nal = nal?;
        match nal.first().map(|b| b & 0x1f) {
            Some(nal_type::SPS) => sps.push(nal),
            Some(nal_type::PPS) => pps.push(nal),
            _ => {}
        }
    }
    AvcConfig::from_parameter_sets(&sps, &pps)
}

/// Configuration from a sequence header that holds parameter sets behind start codes.
fn start_code_config(record: &[u8]) -> Option<AvcConfig> {
    if !starts_with_start_code(record) {
        return None;
    }
    parameter_sets_config(&annex_b_to_lengths(record).ok()?).ok()
}

fn starts_with_start_code(bytes: &[u8]) -> bool {
    matches!(bytes, [0, 0, 1, ..] | [0, 0, 0, 1, ..])
}

/// Whether a record is an `HEVCDecoderConfigurationRecord` (ISO/IEC 14496-15 §8.3.3.1): its
/// reserved bits are ones, and its first array holds an HEVC parameter set.
fn is_hevc_record(record: &[u8]) -> bool {
    const RESERVED: [(usize, u8); 5] = [(13, 0xf0), (15, 0xfc), (16, 0xfc), (17, 0xf8), (18, 0xf8)];
    let reserved = RESERVED
        .iter()
        .all(|(at, ones)| record.get(*at).is_some_and(|b| b & ones == *ones));
    let vps_to_sei = record
        .get(23)
        .is_some_and(|b| matches!(b & 0x3f, 32..=34 | 39 | 40));
    record.first() == Some(&1) && reserved && vps_to_sei
}
