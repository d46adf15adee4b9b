//! The error type of the crate.

use std::fmt;

/// Why a picture or a tone could not be encoded.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A configuration value lies outside its range (see [`crate::limits`]).
    OutOfRange {
        /// Name of the configuration field.
        field: &'static str,
        /// The value that was asked for.
        value: u32,
        /// Smallest accepted value.
        min: u32,
        /// Largest accepted value.
        max: u32,
    },
    /// A picture dimension is odd; 4:2:0 chroma needs even ones.
    OddDimension {
        /// Name of the configuration field.
        field: &'static str,
        /// The value that was asked for.
        value: u32,
    },
    /// A picture of another size than the encoder was made for.
    PictureSize {
        /// Width and height in luma samples the encoder was made for.
        expected: (u32, u32),
        /// Width and height in luma samples of the picture.
        given: (u32, u32),
    },
    /// openh264 refused the configuration or the picture.
    H264(openh264::Error),
    /// openh264 refused an option.
    H264Option {
        /// What its `SetOption` returned.
        status: i32,
    },
    /// openh264 gave no coded picture although frame skipping is off.
    H264NoPicture,
    /// The first key frame came without a usable SPS and PPS.
    H264NoParameterSets,
    /// A key frame came with another SPS or PPS than the first one, so that the decoder
    /// configuration already handed out no longer fits.
    H264ParameterSetsChanged,
    /// openh264 gave bytes that are no NAL unit with a start code (ISO/IEC 14496-10 Annex B).
    H264Malformed,
    /// fdk-aac refused the configuration or the samples.
    Aac(fdk_aac::enc::EncoderError),
    /// fdk-aac did not turn one frame of samples into one coded frame.
    AacNoFrame,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfRange {
                field,
                value,
                min,
                max,
            } => {
                write!(f, "{field} is {value}, but must be {min} to {max}")
            }
            Self::OddDimension { field, value } => {
                write!(f, "{field} is {value}, but must be even")
            }
            Self::PictureSize { expected, given } => write!(
                f,
                "picture is {}x{}, but the encoder was made for {}x{}",
                given.0, given.1, expected.0, expected.1
            ),
            Self::H264(error) => write!(f, "openh264: {error}"),
            Self::H264Option { status } => write!(f, "openh264 refused an option: {status}"),
            Self::H264NoPicture => write!(f, "openh264 gave no coded picture"),
            Self::H264NoParameterSets => {
                write!(
                    f,
                    "openh264 gave no usable SPS and PPS with its first key frame"
                )
            }
            Self::H264ParameterSetsChanged => {
                write!(f, "openh264 changed the SPS or PPS while running")
            }
            Self::H264Malformed => write!(f, "openh264 gave a NAL unit without a start code"),
            Self::Aac(error) => write!(f, "fdk-aac: {error}"),
            Self::AacNoFrame => write!(f, "fdk-aac gave no coded frame for a frame of samples"),
        }
    }
}

impl std::error::Error for Error {}

impl From<openh264::Error> for Error {
    fn from(error: openh264::Error) -> Self {
        Self::H264(error)
    }
}

impl From<fdk_aac::enc::EncoderError> for Error {
    fn from(error: fdk_aac::enc::EncoderError) -> Self {
        Self::Aac(error)
    }
}
