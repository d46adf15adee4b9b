//! The audio track: AAC.

use super::{Clock, Demuxed, TrackFaultReason};
use crate::flv::audio::{AAC_HEADER_BYTES, Codec};
use crate::limits::AAC_CONFIG_WAIT_FRAMES;
use crate::metadata::Metadata;
use bytes::{Buf, Bytes};
use weir_media::aac::AacConfig;
use weir_media::time::rescale;
use weir_media::{CodecConfig, Frame, Mono, TrackId, TrackKind};

#[derive(Debug, Default)]
pub(super) struct AudioTrack {
    config: Option<AacConfig>,
    /// The configuration comes from ADTS headers, for want of a sequence header, and follows
    /// them.
    in_band: bool,
    /// Why the whole track is dropped.
    ended: Option<TrackFaultReason>,
    /// Raw frames that came without a configuration.
    waited_frames: u32,
    /// Sampling rate and channels by the metadata.
    hint: Option<(u32, u8)>,
}

impl AudioTrack {
    pub(super) fn handle_metadata(&mut self, metadata: &Metadata) {
        if let Some(rate) = metadata.audio_sample_rate {
            // A cast from a float saturates, and a wrong rate has no index.
            let channels = metadata.audio_channels.unwrap_or(2.0) as u8;
            self.hint = Some((rate as u32, channels));
        }
    }

    pub(super) fn handle(
        &mut self,
        clock: &mut Clock,
        timestamp: u32,
        mut body: Bytes,
        received_at: Mono,
    ) -> Result<Demuxed, TrackFaultReason> {
        let sequence_header = match Codec::parse(&body) {
            None => return Ok(Demuxed::default()),
            Some(Codec::Aac { sequence_header }) => sequence_header,
            Some(Codec::Other(format)) => return self.end(TrackFaultReason::Codec(format)),
            Some(Codec::Enhanced(four_cc)) => {
                return self.end(TrackFaultReason::EnhancedCodec(four_cc));
            }
        };
        body.advance(AAC_HEADER_BYTES);
        self.ended = None;
        if body.is_empty() {
            return Ok(Demuxed::default());
        }
        if sequence_header {
            let config = AacConfig::parse(body).map_err(TrackFaultReason::Config)?;
            self.in_band = false;
            return Ok(Demuxed {
                config: self.set_config(config),
                frame: None,
            });
        }
        let mut config = None;
        if let Ok((adts, header_bytes)) = AacConfig::from_adts(&body) {
            // A raw data block never starts with twelve ones: that would be its end.
            body.advance(header_bytes);
            if self.in_band || self.config.is_none() {
                self.in_band = true;
                config = self.set_config(adts);
            }
            if body.is_empty() {
                return Ok(Demuxed {
                    config,
                    frame: None,
                });
            }
        }
        if self.config.is_none() {
            config = self.missing_config()?;
        }
        let Some(rate) = self.config.as_ref().map(|c| c.sample_rate) else {
            return Ok(Demuxed::default());
        };
        let dts = rescale(clock.unwrap_ms(timestamp), 1000, rate);
        Ok(Demuxed {
            config,
            frame: Some(Frame {
                track: TrackId::SOURCE_AUDIO,
                kind: TrackKind::Audio,
                dts,
                pts: dts,
                key: true,
                received_at,
                payload: body,
            }),
        })
    }

    /// Drops the track, and says so once for each kind of reason.
    fn end(&mut self, reason: TrackFaultReason) -> Result<Demuxed, TrackFaultReason> {
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

    /// Keeps a configuration; hands it back if its record is another than before.
    fn set_config(&mut self, config: AacConfig) -> Option<CodecConfig> {
        let same = self
            .config
            .as_ref()
            .is_some_and(|c| c.record() == config.record());
        if same {
            return None;
        }
        self.config = Some(config.clone());
        Some(CodecConfig::Aac(config))
    }

    /// Raw frames without a sequence header: waits for it a little, then makes up AAC-LC at
    /// the rate and channels that the metadata names.
    fn missing_config(&mut self) -> Result<Option<CodecConfig>, TrackFaultReason> {
        self.waited_frames = self.waited_frames.saturating_add(1);
        if self.waited_frames != AAC_CONFIG_WAIT_FRAMES {
            return Ok(None);
        }
        let config = self
            .hint
            .and_then(|(rate, channels)| low_complexity(rate, channels));
        let config = config.ok_or(TrackFaultReason::NoConfig)?;
        Ok(self.set_config(config))
    }
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
