//! AAC-LC encoder: fdk-aac, 48 kHz stereo, constant bit rate, raw frames without ADTS headers
//! (ISO/IEC 14496-3 §4).

use std::fmt;

use bytes::Bytes;
use fdk_aac::enc::{
    AudioObjectType, BitRate, ChannelMode, Encoder as FdkAac, EncoderParams, Transport,
};

use crate::error::Error;
use crate::limits;

/// Sampling frequency in Hz.
pub const SAMPLE_RATE: u32 = 48_000;

/// Channels: left and right.
pub const CHANNELS: usize = 2;

/// Samples per channel in one frame of AAC-LC (ISO/IEC 14496-3 §4.5.1.1, `frameLengthFlag` 0).
pub const FRAME_SAMPLES: u32 = 1024;

/// One frame of input: left and right alternate.
pub type Pcm = [i16; FRAME_SAMPLES as usize * CHANNELS];

/// A frame of silence.
pub const SILENCE: Pcm = [0; FRAME_SAMPLES as usize * CHANNELS];

/// Encodes 48 kHz stereo frame by frame.
pub struct Encoder {
    inner: FdkAac,
    audio_specific_config: Bytes,
    delay_samples: u32,
    /// Room for the largest frame fdk-aac may write.
    output: Vec<u8>,
}

impl Encoder {
    /// Sets up fdk-aac for `bitrate_bps` bit/s.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] outside [`limits::AUDIO_BITRATE_BPS`]; [`Error::Aac`] when fdk-aac
    /// refuses.
    pub fn new(bitrate_bps: u32) -> Result<Self, Error> {
        limits::check("audio_bitrate_bps", bitrate_bps, limits::AUDIO_BITRATE_BPS)?;
        let inner = FdkAac::new(EncoderParams {
            bit_rate: BitRate::Cbr(bitrate_bps),
            sample_rate: SAMPLE_RATE,
            transport: Transport::Raw,
            channels: ChannelMode::Stereo,
            audio_object_type: AudioObjectType::Mpeg4LowComplexity,
        })?;
        let info = inner.info()?;
        let to_usize = |size| usize::try_from(size).unwrap_or_default();
        let config = info
            .confBuf
            .get(..to_usize(info.confSize))
            .ok_or(Error::AacNoFrame)?;
        Ok(Self {
            audio_specific_config: Bytes::copy_from_slice(config),
            delay_samples: info.nDelay,
            output: vec![0; to_usize(info.maxOutBufBytes)],
            inner,
        })
    }

    /// AudioSpecificConfig (ISO/IEC 14496-3 §1.6.2.1): AAC-LC, 48 kHz, two channels.
    #[must_use]
    pub fn audio_specific_config(&self) -> Bytes {
        self.audio_specific_config.clone()
    }

    /// By how many samples per channel the decoded sound lags behind the input, when the first
    /// frame out is taken to hold the first samples in (encoder look-ahead and the overlap of the
    /// transform).
    #[must_use]
    pub const fn delay_samples(&self) -> u32 {
        self.delay_samples
    }

    /// Encodes one frame.
    ///
    /// # Errors
    ///
    /// [`Error::Aac`] or [`Error::AacNoFrame`] when fdk-aac fails, after which the encoder should
    /// be given up.
    pub fn encode(&mut self, pcm: &Pcm) -> Result<Bytes, Error> {
        let done = self.inner.encode(pcm, &mut self.output)?;
        let frame = self.output.get(..done.output_size).unwrap_or_default();
        if frame.is_empty() || done.input_consumed != pcm.len() {
            return Err(Error::AacNoFrame);
        }
        Ok(Bytes::copy_from_slice(frame))
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder")
            .field("delay_samples", &self.delay_samples)
            .finish_non_exhaustive()
    }
}
