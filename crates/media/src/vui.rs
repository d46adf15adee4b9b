//! The parts of video usability information that H.264 and HEVC share (ITU-T H.264 and H.265
//! §E.2.1).

use crate::bits::BitReader;
use crate::error::Error;
use crate::picture::Colour;

/// From `aspect_ratio_info_present_flag` on: the sample aspect ratio, if there is one.
pub(crate) fn aspect_ratio(r: &mut BitReader<'_>) -> Result<Option<(u16, u16)>, Error> {
    if !r.flag("aspect_ratio_info_present_flag")? {
        return Ok(None);
    }
    let idc = r.bits(8, "aspect_ratio_idc")?;
    if idc == 255 {
        let width = r.bits(16, "sar_width")? as u16;
        let height = r.bits(16, "sar_height")? as u16;
        return Ok((width != 0 && height != 0).then_some((width, height)));
    }
    let ratio = SAMPLE_ASPECT_RATIOS.get(idc as usize).copied();
    Ok(ratio.filter(|r| r.0 != 0))
}

/// From `video_format` on: the colour description, if there is one.
pub(crate) fn video_signal_type(r: &mut BitReader<'_>) -> Result<Option<Colour>, Error> {
    r.bits(3, "video_format")?;
    let full_range = r.flag("video_full_range_flag")?;
    if !r.flag("colour_description_present_flag")? {
        return Ok(None);
    }
    Ok(Some(Colour {
        primaries: r.bits(8, "colour_primaries")? as u8,
        transfer: r.bits(8, "transfer_characteristics")? as u8,
        matrix: r.bits(8, "matrix_coeffs")? as u8,
        full_range,
    }))
}

/// ITU-T H.264 and H.265 table E-1.
const SAMPLE_ASPECT_RATIOS: [(u16, u16); 17] = [
    (0, 0),
    (1, 1),
    (12, 11),
    (10, 11),
    (16, 11),
    (40, 33),
    (24, 11),
    (20, 11),
    (32, 11),
    (80, 33),
    (18, 11),
    (15, 11),
    (64, 33),
    (160, 99),
    (4, 3),
    (3, 2),
    (2, 1),
];
