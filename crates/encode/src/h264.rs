//! H.264 encoder: openh264, set up for live streams.
//!
//! Constrained Baseline (ISO/IEC 14496-10 §A.2.1.1), one reference picture, one slice per picture,
//! no B-frames, so that output order is presentation order and every player and WebRTC can decode
//! it. One thread: openh264 would otherwise start a pool as wide as the machine. Colours are
//! signalled as BT.709 limited range.
//!
//! Frame skipping is off: every picture that goes in comes out, and time stamps stay regular. The
//! price is that openh264 may exceed the bit rate on content that is hard to code.

use bytes::{Bytes, BytesMut};
use openh264::OpenH264API;
use openh264::Timestamp;
use openh264::encoder::{
    BitRate, Complexity, EncodedBitStream, Encoder as OpenH264, EncoderConfig, FrameRate,
    FrameType, IntraFramePeriod, Profile, QpRange, RateControlMode, SpsPpsStrategy, VuiConfig,
};

use crate::avcc::{
    NAL_AUD, NAL_PPS, NAL_SPS, decoder_configuration_record, put_length_prefixed, strip_start_code,
};
use crate::error::Error;
use crate::limits;
use crate::picture::Picture;

/// What an [`Encoder`] is made for. Ranges are in [`crate::limits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Width in luma samples, even.
    pub width: u32,
    /// Height in luma samples, even.
    pub height: u32,
    /// Frames per second.
    pub fps: u32,
    /// Target bit rate in bit/s.
    pub bitrate_bps: u32,
    /// Frames from one key frame (IDR) to the next.
    pub gop_frames: u32,
}

/// One coded picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessUnit {
    /// NAL units, each with its length in four bytes before it (ISO/IEC 14496-15 §5.3.4.2). SPS,
    /// PPS and access unit delimiters are left out.
    pub payload: Bytes,
    /// Whether this is an IDR picture, at which decoding can start.
    pub key: bool,
}

/// Encodes pictures of one size.
pub struct Encoder {
    config: Config,
    inner: OpenH264,
    parameter_sets: ParameterSets,
    avc_config: Bytes,
    /// Pictures encoded so far.
    pictures: u64,
}

impl Encoder {
    /// Sets up openh264. A black picture is encoded on the way and thrown away, because openh264
    /// shows its SPS and PPS only with a key frame and they are needed before the first one.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] and [`Error::OddDimension`] name the configuration field;
    /// [`Error::H264`] and [`Error::H264NoParameterSets`] come from openh264.
    pub fn new(config: Config) -> Result<Self, Error> {
        config.check()?;
        let parameter_sets = ParameterSets::probe(config)?;
        let avc_config = decoder_configuration_record(&parameter_sets.sps, &parameter_sets.pps)?;
        let inner = open(config)?;
        Ok(Self {
            config,
            inner,
            parameter_sets,
            avc_config,
            pictures: 0,
        })
    }

    /// AVCDecoderConfigurationRecord, the payload of `avcC` (ISO/IEC 14496-15 §5.3.3.1), with
    /// four-byte NAL unit lengths. The same for the whole life of the encoder.
    #[must_use]
    pub fn avc_config(&self) -> Bytes {
        self.avc_config.clone()
    }

    /// Encodes the next picture. Takes some milliseconds; there is no delay, the access unit is
    /// that of this picture.
    ///
    /// # Errors
    ///
    /// [`Error::PictureSize`] for a picture of another size; the other variants about H.264 when
    /// openh264 fails, after which the encoder should be given up.
    pub fn encode(&mut self, picture: &Picture) -> Result<AccessUnit, Error> {
        self.config.check_size(picture)?;
        let millis = self.pictures.saturating_mul(1000) / u64::from(self.config.fps);
        // openh264 takes a signed number; a stream does not get that old.
        let millis = Timestamp::from_millis(millis.min(i64::MAX.unsigned_abs()));
        let coded = self.inner.encode_at(picture, millis)?;
        self.pictures = self.pictures.saturating_add(1);
        let key = coded.frame_type() == FrameType::IDR;
        let mut payload = BytesMut::with_capacity(coded_len(&coded));
        for_each_nal(&coded, |kind, nal| match kind {
            NAL_SPS if nal == self.parameter_sets.sps => Ok(()),
            NAL_PPS if nal == self.parameter_sets.pps => Ok(()),
            NAL_SPS | NAL_PPS => Err(Error::H264ParameterSetsChanged),
            NAL_AUD => Ok(()),
            _ => put_length_prefixed(&mut payload, nal),
        })?;
        if payload.is_empty() {
            return Err(Error::H264NoPicture);
        }
        Ok(AccessUnit {
            payload: payload.freeze(),
            key,
        })
    }
}

impl Config {
    fn check(&self) -> Result<(), Error> {
        limits::check("width", self.width, limits::WIDTH)?;
        limits::check("height", self.height, limits::HEIGHT)?;
        limits::check("fps", self.fps, limits::FPS)?;
        limits::check(
            "video_bitrate_bps",
            self.bitrate_bps,
            limits::VIDEO_BITRATE_BPS,
        )?;
        limits::check("gop_frames", self.gop_frames, limits::GOP_FRAMES)?;
        for (field, value) in [("width", self.width), ("height", self.height)] {
            if !value.is_multiple_of(2) {
                return Err(Error::OddDimension { field, value });
            }
        }
        Ok(())
    }

    fn check_size(&self, picture: &Picture) -> Result<(), Error> {
        let (width, height) = picture.size();
        // Sizes that do not fit 32 bits differ from the configured ones in any case.
        let to_u32 = |size| u32::try_from(size).unwrap_or(u32::MAX);
        let given = (to_u32(width), to_u32(height));
        let expected = (self.width, self.height);
        if given == expected {
            Ok(())
        } else {
            Err(Error::PictureSize { expected, given })
        }
    }
}

struct ParameterSets {
    sps: Vec<u8>,
    pps: Vec<u8>,
}

impl ParameterSets {
    /// Reads SPS and PPS off a key frame of an encoder that is then dropped. The real one starts
    /// afresh, so that its first picture is a key frame and its rate control is unspoilt.
    fn probe(config: Config) -> Result<Self, Error> {
        let to_usize = |size| usize::try_from(size).unwrap_or(usize::MAX);
        let picture = Picture::new(to_usize(config.width), to_usize(config.height));
        let mut encoder = open(config)?;
        let coded = encoder.encode(&picture)?;
        let (mut sps, mut pps) = (None, None);
        for_each_nal(&coded, |kind, nal| {
            match kind {
                NAL_SPS => sps = Some(nal.to_vec()),
                NAL_PPS => pps = Some(nal.to_vec()),
                _ => {}
            }
            Ok(())
        })?;
        let (Some(sps), Some(pps)) = (sps, pps) else {
            return Err(Error::H264NoParameterSets);
        };
        Ok(Self { sps, pps })
    }
}

fn open(config: Config) -> Result<OpenH264, Error> {
    // `fps` is at most 60 and exact as a float.
    #[allow(clippy::cast_precision_loss)]
    let fps = config.fps as f32;
    let settings = EncoderConfig::new()
        .profile(Profile::Baseline)
        .complexity(Complexity::Low)
        .num_threads(1)
        .max_frame_rate(FrameRate::from_hz(fps))
        .rate_control_mode(RateControlMode::Bitrate)
        .bitrate(BitRate::from_bps(config.bitrate_bps))
        .qp(QpRange::new(QP_MIN, QP_MAX))
        .skip_frames(false)
        .intra_frame_period(IntraFramePeriod::from_num_frames(config.gop_frames))
        // A scene change would otherwise bring key frames out of step with the segments.
        .scene_change_detect(false)
        .sps_pps_strategy(SpsPpsStrategy::ConstantId)
        .vui(VuiConfig::bt709());
    let mut encoder = OpenH264::with_api_config(OpenH264API::from_source(), settings)?;
    silence_trace(&mut encoder)?;
    Ok(encoder)
}

/// Keeps openh264 from writing to standard error. The `openh264` crate does so too, but only after
/// the first picture has set the encoder up, with a warning about the frame skipping that is left
/// off on purpose.
#[allow(unsafe_code)]
fn silence_trace(encoder: &mut OpenH264) -> Result<(), Error> {
    let mut level: u32 = WELS_LOG_QUIET;
    // SAFETY: the option pointer is that of a live `uint32_t`, which is what this option reads, and
    // openh264 does not keep it. `CWelsH264SVCEncoder::SetOption` takes this option before the
    // encoder is initialised, and nothing that the `openh264` crate relies on changes: it sets the
    // same option to the same value itself. Its safe interface has no way to do so earlier.
    let status = unsafe {
        encoder
            .raw_api()
            .set_option(ENCODER_OPTION_TRACE_LEVEL, (&raw mut level).cast())
    };
    if status == 0 {
        Ok(())
    } else {
        Err(Error::H264Option { status })
    }
}

/// `ENCODER_OPTION_TRACE_LEVEL` of openh264's `codec_app_def.h`; the `openh264` crate does not hand
/// the constant on.
const ENCODER_OPTION_TRACE_LEVEL: i32 = 25;

/// `WELS_LOG_QUIET` of openh264's `codec_app_def.h`.
const WELS_LOG_QUIET: u32 = 0;

fn for_each_nal(
    coded: &EncodedBitStream<'_>,
    mut visit: impl FnMut(u8, &[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    for layer in (0..coded.num_layers()).filter_map(|index| coded.layer(index)) {
        for nal in (0..layer.nal_count()).filter_map(|index| layer.nal_unit(index)) {
            let (kind, nal) = strip_start_code(nal)?;
            visit(kind, nal)?;
        }
    }
    Ok(())
}

/// Bytes of the coded picture with its start codes, which take as much room as the lengths do.
fn coded_len(coded: &EncodedBitStream<'_>) -> usize {
    usize::try_from(coded.raw_info().iFrameSizeInBytes).unwrap_or_default()
}

/// Smallest quantiser: openh264 does not go below 12 under rate control, where coding is visually
/// lossless.
const QP_MIN: u8 = 12;

/// Largest quantiser: 51, the end of the scale, leaves the rate control its full range.
const QP_MAX: u8 = 51;
