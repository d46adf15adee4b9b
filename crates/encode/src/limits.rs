//! Every maximum and default of the crate, with unit and reason.
//!
//! Worst-case memory of one [`DemoSource`](crate::demo::DemoSource) at 1920x1080: 30 MB, measured
//! as the peak resident size of a process that does nothing else (17 MB at 1280x720). Of that, 3 MB
//! are the picture and 0.1 MB the second of sound; nearly all the rest is openh264's.

use std::ops::RangeInclusive;

use crate::error::Error;

/// Width in luma samples. Below 320 the clock is no longer readable; above 1920 one core does not
/// keep up with 30 frames per second.
pub const WIDTH: RangeInclusive<u32> = 320..=1920;

/// Height in luma samples. Bounds as for [`WIDTH`].
pub const HEIGHT: RangeInclusive<u32> = 180..=1080;

/// Frames per second. 60 is what H.264 level 4.2 allows at 1920x1080.
pub const FPS: RangeInclusive<u32> = 1..=60;

/// Video bit rate in bit/s. The upper end is the Baseline maximum of level 4
/// (ISO/IEC 14496-10 Table A-1).
pub const VIDEO_BITRATE_BPS: RangeInclusive<u32> = 100_000..=20_000_000;

/// Frames from one key frame to the next. 600 is ten seconds at 60 fps: a viewer who joins waits
/// that long for a picture.
pub const GOP_FRAMES: RangeInclusive<u32> = 1..=600;

/// Audio bit rate in bit/s, stereo, AAC-LC at 48 kHz. Below 32 kbit/s fdk-aac refuses; 320 kbit/s
/// fits the 6144 bits per channel and frame of ISO/IEC 14496-3 §4.5.3.
pub const AUDIO_BITRATE_BPS: RangeInclusive<u32> = 32_000..=320_000;

/// Default picture of the demo: 720p, which one core encodes several times faster than real time.
pub const DEMO_WIDTH: u32 = 1280;

/// Default height of the demo picture; see [`DEMO_WIDTH`].
pub const DEMO_HEIGHT: u32 = 720;

/// Default frame rate of the demo in frames per second.
pub const DEMO_FPS: u32 = 30;

/// Default video bit rate of the demo in bit/s.
pub const DEMO_VIDEO_BITRATE_BPS: u32 = 2_500_000;

/// Default audio bit rate of the demo in bit/s.
pub const DEMO_AUDIO_BITRATE_BPS: u32 = 128_000;

/// Default distance of key frames in frames: two seconds, half of weir's default segment.
pub const DEMO_GOP_FRAMES: u32 = 60;

/// Refuses a configuration value outside its range.
pub(crate) fn check(
    field: &'static str,
    value: u32,
    range: RangeInclusive<u32>,
) -> Result<(), Error> {
    if range.contains(&value) {
        return Ok(());
    }
    Err(Error::OutOfRange {
        field,
        value,
        min: *range.start(),
        max: *range.end(),
    })
}
