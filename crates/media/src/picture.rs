//! What every video codec says of its pictures: size, colour and light.

/// What a configuration says of the pictures it describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Picture {
    /// Width after cropping, in luma samples.
    pub width: u32,
    /// Height after cropping, in luma samples.
    pub height: u32,
    /// Sample aspect ratio, width to height, if the bitstream gives one.
    pub sample_aspect_ratio: Option<(u16, u16)>,
    /// Pictures per second as numerator and denominator, if the bitstream has timing. A hint
    /// only: timestamps are the truth.
    pub frame_rate: Option<(u32, u32)>,
    /// How code values become light.
    pub colour: Option<Colour>,
}

/// Coding-independent code points, ITU-T H.273 §8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Colour {
    /// `ColourPrimaries`: 1 BT.709, 9 BT.2020, 2 not specified.
    pub primaries: u8,
    /// `TransferCharacteristics`: 1 BT.709, 16 PQ (SMPTE ST 2084), 18 HLG (ARIB STD-B67), 2 not
    /// specified.
    pub transfer: u8,
    /// `MatrixCoefficients`: 1 BT.709, 9 BT.2020 non-constant luminance, 2 not specified.
    pub matrix: u8,
    /// `VideoFullRangeFlag`: code values use the whole range.
    pub full_range: bool,
}

impl Colour {
    /// A code point that says nothing.
    pub const UNSPECIFIED: u8 = 2;

    /// These code points, or `None` if none of the three is specified.
    #[must_use]
    pub fn specified(self) -> Option<Self> {
        let unspecified = [self.primaries, self.transfer, self.matrix];
        let any = unspecified.iter().any(|c| *c != Self::UNSPECIFIED);
        any.then_some(self)
    }
}

/// Dynamic range, as HLS names it (rfc8216bis §4.4.6.2, `VIDEO-RANGE`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum VideoRange {
    /// Anything else.
    #[default]
    Sdr,
    /// Hybrid log-gamma.
    Hlg,
    /// Perceptual quantizer.
    Pq,
}

impl VideoRange {
    /// By the transfer characteristics.
    #[must_use]
    pub fn of(colour: Option<Colour>) -> Self {
        match colour.map(|c| c.transfer) {
            Some(16) => Self::Pq,
            Some(18) => Self::Hlg,
            _ => Self::Sdr,
        }
    }
}

/// What a publisher says of the light of its pictures beside the bitstream: the `colorInfo` of
/// Enhanced RTMP, the boxes `colr`, `mdcv` and `clli` of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hdr {
    /// Colour description, for bitstreams that have none.
    pub colour: Option<Colour>,
    /// The display on which the pictures were graded.
    pub mastering_display: Option<MasteringDisplay>,
    /// How bright the pictures get.
    pub content_light: Option<ContentLight>,
}

/// SMPTE ST 2086, in the units of ITU-T H.265 §D.3.28 and of `mdcv`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MasteringDisplay {
    /// x and y of green, blue and red, in steps of 0.00002.
    pub primaries: [(u16, u16); 3],
    /// x and y of the white point, in steps of 0.00002.
    pub white_point: (u16, u16),
    /// Brightest, in steps of 0.0001 cd/m².
    pub luminance_max: u32,
    /// Darkest, in steps of 0.0001 cd/m².
    pub luminance_min: u32,
}

/// CTA-861.3, as `clli` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentLight {
    /// Maximum of a sample, in cd/m².
    pub content_max: u16,
    /// Maximum of a picture's average, in cd/m².
    pub average_max: u16,
}

/// What a configuration says of the sound it describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sound {
    /// Samples per second that come out of the decoder.
    pub sample_rate: u32,
    /// Channels that come out of the decoder; 0 where only the bitstream tells.
    pub channels: u8,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_told_by_the_transfer() {
        let colour = |transfer| Colour {
            primaries: 9,
            transfer,
            matrix: 9,
            full_range: false,
        };
        assert_eq!(VideoRange::of(None), VideoRange::Sdr);
        assert_eq!(VideoRange::of(Some(colour(14))), VideoRange::Sdr);
        assert_eq!(VideoRange::of(Some(colour(16))), VideoRange::Pq);
        assert_eq!(VideoRange::of(Some(colour(18))), VideoRange::Hlg);
    }
}
