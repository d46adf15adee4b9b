//! What `weir demo` publishes: a moving picture with a clock, and a tone, encoded.
//!
//! [`DemoSource`] is paced by its caller. Frame *n* belongs at `n / fps` seconds and audio frame
//! *m* at `m * 1024 / 48000` seconds of one common time line: stamped so, the flash and the beep
//! fall on the same moment at the viewer, at the start of every second of that line. The delay of
//! the AAC encoder is already taken out.
//!
//! The clock in the picture is whatever time the caller passes, so that the way to the viewer can
//! be read off as the difference to a clock on the wall.

mod clock;
mod font;
mod scene;
mod tone;

pub use scene::Scene;
pub use tone::Tone;

use bytes::Bytes;

use crate::error::Error;
use crate::{aac, h264, limits};

/// What the demo looks and sounds like. Ranges are in [`crate::limits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DemoConfig {
    /// Width in luma samples, even; 1280 by default.
    pub width: u32,
    /// Height in luma samples, even; 720 by default.
    pub height: u32,
    /// Frames per second; 30 by default.
    pub fps: u32,
    /// Video bit rate in bit/s; 2 500 000 by default.
    pub video_bitrate_bps: u32,
    /// Audio bit rate in bit/s; 128 000 by default.
    pub audio_bitrate_bps: u32,
    /// Frames from one key frame to the next; 60 by default.
    pub gop_frames: u32,
}

impl Default for DemoConfig {
    fn default() -> Self {
        Self {
            width: limits::DEMO_WIDTH,
            height: limits::DEMO_HEIGHT,
            fps: limits::DEMO_FPS,
            video_bitrate_bps: limits::DEMO_VIDEO_BITRATE_BPS,
            audio_bitrate_bps: limits::DEMO_AUDIO_BITRATE_BPS,
            gop_frames: limits::DEMO_GOP_FRAMES,
        }
    }
}

/// One coded picture of the demo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoAu {
    /// NAL units with four-byte lengths; no SPS, PPS or access unit delimiter inside.
    pub payload: Bytes,
    /// Whether this is an IDR picture.
    pub key: bool,
    /// Counts from 0; the presentation time is `frame_number / fps` seconds.
    pub frame_number: u64,
}

/// One coded frame of sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioAu {
    /// One `raw_data_block` of AAC-LC (ISO/IEC 14496-3 §4.4.2.1).
    pub payload: Bytes,
    /// Samples per channel it stands for, at 48 kHz: always 1024.
    pub samples: u32,
}

/// Draws, sounds and encodes.
pub struct DemoSource {
    scene: Scene,
    video: h264::Encoder,
    tone: Tone,
    audio: aac::Encoder,
    next_frame_number: u64,
}

impl DemoSource {
    /// Sets up both encoders.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] or [`Error::OddDimension`] for a bad configuration; the variants of
    /// the codecs when one refuses it.
    pub fn new(config: DemoConfig) -> Result<Self, Error> {
        let video = h264::Encoder::new(h264::Config {
            width: config.width,
            height: config.height,
            fps: config.fps,
            bitrate_bps: config.video_bitrate_bps,
            gop_frames: config.gop_frames,
        })?;
        let audio = aac::Encoder::new(config.audio_bitrate_bps)?;
        // The encoder has checked that the sizes are small.
        let to_usize = |size| usize::try_from(size).unwrap_or_default();
        Ok(Self {
            scene: Scene::new(to_usize(config.width), to_usize(config.height), config.fps),
            video,
            tone: Tone::new(to_usize(audio.delay_samples())),
            audio,
            next_frame_number: 0,
        })
    }

    /// The next picture, with the clock showing `utc_us` (microseconds since 1970, UTC). The first
    /// one is a key frame. Takes some milliseconds of one core.
    ///
    /// # Errors
    ///
    /// The variants about H.264 when openh264 fails.
    pub fn next_video(&mut self, utc_us: i64) -> Result<VideoAu, Error> {
        let frame_number = self.next_frame_number;
        let unit = self.video.encode(self.scene.draw(frame_number, utc_us))?;
        self.next_frame_number = frame_number.wrapping_add(1);
        Ok(VideoAu {
            payload: unit.payload,
            key: unit.key,
            frame_number,
        })
    }

    /// AVCDecoderConfigurationRecord, the payload of `avcC` and of the RTMP sequence header
    /// (ISO/IEC 14496-15 §5.3.3.1). Never changes.
    #[must_use]
    pub fn avc_config(&self) -> Bytes {
        self.video.avc_config()
    }

    /// The next 1024 samples of sound.
    ///
    /// # Errors
    ///
    /// The variants about AAC when fdk-aac fails.
    pub fn next_audio(&mut self) -> Result<AudioAu, Error> {
        let mut pcm = aac::SILENCE;
        self.tone.fill(&mut pcm);
        Ok(AudioAu {
            payload: self.audio.encode(&pcm)?,
            samples: aac::FRAME_SAMPLES,
        })
    }

    /// AudioSpecificConfig (ISO/IEC 14496-3 §1.6.2.1). Never changes.
    #[must_use]
    pub fn audio_specific_config(&self) -> Bytes {
        self.audio.audio_specific_config()
    }
}
