//! The configuration of a track, whatever its codec.

use crate::aac::AacConfig;
use crate::ac3::{self, Ac3Config, Eac3Config};
use crate::av1::{self, Av1Config};
use crate::avc::{self, AvcConfig};
use crate::error::Error;
use crate::flac::{self, FlacConfig};
use crate::frame::TrackKind;
use crate::hevc::{self, HevcConfig};
use crate::mp2::Mp2Config;
use crate::mp3::Mp3Config;
use crate::opus::{self, OpusConfig};
use crate::picture::{Colour, Hdr, Picture, Sound};
use crate::sample::SampleFlags;
use crate::vp9::{self, Vp9Config};
use bytes::Bytes;

/// Timescale of every video track, in ticks per second.
pub const VIDEO_TIMESCALE: u32 = 90_000;

/// What a track is coded with. Two configurations are equal when their records are equal
/// byte for byte: a repeated sequence header is no change.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CodecConfig {
    /// H.264 / AVC.
    H264(AvcConfig),
    /// H.265 / HEVC.
    Hevc(HevcConfig),
    /// AV1.
    Av1(Av1Config),
    /// VP9.
    Vp9(Vp9Config),
    /// AAC in any profile.
    Aac(AacConfig),
    /// Opus.
    Opus(OpusConfig),
    /// FLAC.
    Flac(FlacConfig),
    /// AC-3.
    Ac3(Ac3Config),
    /// Enhanced AC-3.
    Eac3(Eac3Config),
    /// MPEG audio layer II.
    Mp2(Mp2Config),
    /// MPEG audio layer III.
    Mp3(Mp3Config),
}

impl CodecConfig {
    /// Kind of the track.
    #[must_use]
    pub fn kind(&self) -> TrackKind {
        match self {
            Self::H264(_) | Self::Hevc(_) | Self::Av1(_) | Self::Vp9(_) => TrackKind::Video,
            _ => TrackKind::Audio,
        }
    }

    /// Ticks per second of the track: 90,000 for video, the core sampling rate for audio.
    #[must_use]
    pub fn timescale(&self) -> u32 {
        match self {
            Self::Aac(c) => c.sample_rate,
            _ => self.sound().map_or(VIDEO_TIMESCALE, |s| s.sample_rate),
        }
    }

    /// Name of the sample entry in MP4, which is the `FourCC` of Enhanced RTMP too but for MP3,
    /// and MP2, which has none there.
    #[must_use]
    pub fn four_cc(&self) -> [u8; 4] {
        *match self {
            Self::H264(_) => b"avc1",
            Self::Hevc(_) => b"hvc1",
            Self::Av1(_) => b"av01",
            Self::Vp9(_) => b"vp09",
            Self::Aac(_) | Self::Mp2(_) | Self::Mp3(_) => b"mp4a",
            Self::Opus(_) => b"Opus",
            Self::Flac(_) => b"fLaC",
            Self::Ac3(_) => b"ac-3",
            Self::Eac3(_) => b"ec-3",
        }
    }

    /// RFC 6381 codec string.
    #[must_use]
    pub fn codec_string(&self) -> String {
        match self {
            Self::H264(c) => c.codec_string(),
            Self::Hevc(c) => c.codec_string(),
            Self::Av1(c) => c.codec_string(),
            Self::Vp9(c) => c.codec_string(),
            Self::Aac(c) => c.codec_string(),
            Self::Mp2(c) => c.codec_string(),
            Self::Mp3(c) => c.codec_string(),
            Self::Opus(_) => "Opus".into(),
            Self::Flac(_) => "fLaC".into(),
            Self::Ac3(_) => "ac-3".into(),
            Self::Eac3(_) => "ec-3".into(),
        }
    }

    /// The configuration record as the container carries it: the content of `avcC`, `hvcC`,
    /// `av1C`, `vpcC`, `dOps`, `dfLa` (without version and flags), `dac3` or `dec3`, or an
    /// `AudioSpecificConfig`. MP2 and MP3 have none: there it is a frame header.
    #[must_use]
    pub fn record(&self) -> &Bytes {
        match self {
            Self::H264(c) => c.record(),
            Self::Hevc(c) => c.record(),
            Self::Av1(c) => c.record(),
            Self::Vp9(c) => c.record(),
            Self::Aac(c) => c.record(),
            Self::Opus(c) => c.record(),
            Self::Flac(c) => c.record(),
            Self::Ac3(c) => c.record(),
            Self::Eac3(c) => c.record(),
            Self::Mp2(c) => c.record(),
            Self::Mp3(c) => c.record(),
        }
    }

    /// What it says of its pictures; `None` for audio.
    #[must_use]
    pub fn picture(&self) -> Option<Picture> {
        let (width, height, sample_aspect_ratio, frame_rate, colour) = match self {
            Self::H264(c) => {
                let i = &c.info;
                let ratio = i.sample_aspect_ratio;
                (i.width, i.height, ratio, i.frame_rate, i.colour)
            }
            Self::Hevc(c) => {
                let i = &c.info;
                let ratio = i.sample_aspect_ratio;
                (i.width, i.height, ratio, i.frame_rate, i.colour)
            }
            Self::Av1(c) => {
                let i = &c.info;
                (i.width, i.height, None, i.frame_rate, i.colour)
            }
            Self::Vp9(c) => (c.width, c.height, None, None, Some(c.colour)),
            _ => return None,
        };
        let said = self.hdr().and_then(|h| h.colour);
        Some(Picture {
            width,
            height,
            sample_aspect_ratio,
            frame_rate,
            // Decoders go by the bitstream, where it says something.
            colour: colour.and_then(Colour::specified).or(said),
        })
    }

    /// What it says of its sound; `None` for video.
    #[must_use]
    pub fn sound(&self) -> Option<Sound> {
        let (sample_rate, channels) = match self {
            Self::Aac(c) => (c.output_sample_rate, c.channels),
            Self::Opus(c) => (opus::SAMPLE_RATE, c.channels),
            Self::Flac(c) => (c.sample_rate, c.channels),
            Self::Ac3(c) => (c.sample_rate, c.channels),
            Self::Eac3(c) => (c.sample_rate, c.channels),
            Self::Mp2(c) => (c.sample_rate, c.channels),
            Self::Mp3(c) => (c.sample_rate, c.channels),
            _ => return None,
        };
        Some(Sound {
            sample_rate,
            channels,
        })
    }

    /// Colour and light as said beside the bitstream; `None` for audio.
    #[must_use]
    pub fn hdr(&self) -> Option<&Hdr> {
        match self {
            Self::H264(c) => Some(&c.hdr),
            Self::Hevc(c) => Some(&c.hdr),
            Self::Av1(c) => Some(&c.hdr),
            Self::Vp9(c) => Some(&c.hdr),
            _ => None,
        }
    }

    /// Takes note of colour and light; nothing for audio.
    pub fn set_hdr(&mut self, hdr: Hdr) {
        match self {
            Self::H264(c) => c.hdr = hdr,
            Self::Hevc(c) => c.hdr = hdr,
            Self::Av1(c) => c.hdr = hdr,
            Self::Vp9(c) => c.hdr = hdr,
            _ => {}
        }
    }

    /// Length of every frame in ticks of the track, if all are as long; `None` for video.
    #[must_use]
    pub fn frame_samples(&self) -> Option<u32> {
        match self {
            Self::Aac(c) => Some(c.frame_samples),
            Self::Flac(c) => c.block_samples,
            Self::Ac3(_) | Self::Eac3(_) => Some(ac3::FRAME_SAMPLES),
            Self::Mp2(_) => Some(Mp2Config::FRAME_SAMPLES),
            Self::Mp3(c) => Some(c.frame_samples),
            // Nearly everybody sends 20 ms.
            Self::Opus(_) => Some(960),
            _ => None,
        }
    }

    /// Length of this frame in ticks of the track, as its bytes tell; `None` for video, or if
    /// they do not.
    #[must_use]
    pub fn samples_of(&self, payload: &[u8]) -> Option<u32> {
        match self {
            Self::Opus(_) => opus::packet_samples(payload),
            Self::Flac(_) => flac::frame_samples(payload),
            Self::Eac3(_) => ac3::packet_samples(payload),
            _ => self.frame_samples(),
        }
    }

    /// What a sample table keeps of a frame, whose being a key frame is the caller's decision.
    ///
    /// # Errors
    /// The bytes contradict the configuration, or hold no picture.
    pub fn sample_flags(&self, payload: &[u8], key: bool) -> Result<SampleFlags, Error> {
        let picture = |there: bool| there.then_some(()).ok_or(Error::NoPicture);
        let plain = SampleFlags::of(key, false, false);
        match self {
            Self::H264(_) => {
                let unit = avc::inspect(payload, 4)?;
                picture(unit.slices)?;
                Ok(unit.sample_flags(key))
            }
            Self::Hevc(_) => {
                let unit = hevc::inspect(payload, 4)?;
                picture(unit.slices)?;
                Ok(unit.sample_flags(key))
            }
            Self::Av1(c) => {
                picture(av1::inspect(payload, Some(&c.info))?.frames)?;
                Ok(plain)
            }
            Self::Vp9(_) => {
                vp9::key_frame(payload)?;
                Ok(plain)
            }
            _ => Ok(SampleFlags::KEY),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_codec_is_described() {
        let hevc = CodecConfig::Hevc(hevc::tests::config());
        let av1 = CodecConfig::Av1(av1::tests::config());
        for video in [&hevc, &av1] {
            assert_eq!(video.kind(), TrackKind::Video);
            assert_eq!(video.timescale(), VIDEO_TIMESCALE);
            let picture = video.picture().unwrap();
            assert_eq!((picture.width, picture.height), (320, 180));
            assert_eq!((video.sound(), video.frame_samples()), (None, None));
        }
        let opus = CodecConfig::Opus(OpusConfig::plain(true));
        assert_eq!((opus.kind(), opus.timescale()), (TrackKind::Audio, 48_000));
        assert_eq!(opus.samples_of(&[0xf9]), Some(1920));
        assert_eq!(opus.picture(), None);
    }

    #[test]
    fn colour_beside_the_bitstream_counts_where_that_says_nothing() {
        let mut av1 = CodecConfig::Av1(av1::tests::config());
        let before = av1.clone();
        let colour = Colour {
            primaries: 9,
            transfer: 16,
            matrix: 9,
            full_range: false,
        };
        av1.set_hdr(Hdr {
            colour: Some(colour),
            ..Hdr::default()
        });
        assert_eq!(av1.picture().unwrap().colour, Some(colour));
        assert_ne!(av1, before, "it is a change");
    }

    #[test]
    fn a_payload_may_contradict_its_configuration() {
        let hevc = CodecConfig::Hevc(hevc::tests::config());
        assert!(hevc.sample_flags(&[0, 0, 0, 3, 0x26, 1, 7], true).is_ok());
        assert!(hevc.sample_flags(&[0, 0, 0, 9, 0x26, 1, 7], true).is_err());
        assert_eq!(
            hevc.sample_flags(&[0, 0, 0, 2, 0x46, 1], true),
            Err(Error::NoPicture)
        );
        let av1 = CodecConfig::Av1(av1::tests::config());
        assert_eq!(av1.sample_flags(&[0x12, 0], true), Err(Error::NoPicture));
    }
}
