//! Sequence parameter set, ITU-T H.264 §7.3.2.1.1, as far as the VUI's timing.

use crate::bits::BitReader;
use crate::error::Error;
use crate::limits::PICTURE_SIDE_MAX;
use crate::picture::Colour;
use crate::vui::{aspect_ratio, video_signal_type};

/// What the first SPS of a stream says about its pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sps {
    /// `profile_idc`: 66 Baseline, 77 Main, 100 High, 110 High 10, 122 High 4:2:2, 244 High
    /// 4:4:4 Predictive.
    pub profile_idc: u8,
    /// `level_idc`: ten times the level.
    pub level_idc: u8,
    /// `chroma_format_idc`: 0 monochrome, 1 4:2:0, 2 4:2:2, 3 4:4:4.
    pub chroma_format_idc: u8,
    /// Bits per luma sample, 8 to 14.
    pub bit_depth_luma: u8,
    /// Bits per chroma sample, 8 to 14.
    pub bit_depth_chroma: u8,
    /// Width after cropping, in luma samples.
    pub width: u32,
    /// Height after cropping, in luma samples.
    pub height: u32,
    /// `frame_mbs_only_flag`: no picture is a field or has interlaced macroblocks.
    pub frame_mbs_only: bool,
    /// Sample aspect ratio, if the VUI gives one: width, height.
    pub sample_aspect_ratio: Option<(u16, u16)>,
    /// Frames per second as numerator and denominator, if the VUI has timing. A hint only:
    /// timestamps are the truth.
    pub frame_rate: Option<(u32, u32)>,
    /// Colour description, if the VUI has one.
    pub colour: Option<Colour>,
}

impl Sps {
    /// Reads an SPS NAL unit, header byte included.
    ///
    /// # Errors
    /// Truncation, or a field out of range.
    pub fn parse(nal: &[u8]) -> Result<Self, Error> {
        let payload = nal.get(1..).ok_or(Error::Truncated("profile_idc"))?;
        let mut r = BitReader::rbsp(payload);
        let profile_idc = r.bits(8, "profile_idc")? as u8;
        r.bits(8, "constraint_flags")?;
        let level_idc = r.bits(8, "level_idc")? as u8;
        bounded(r.ue("seq_parameter_set_id")?, 31, "seq_parameter_set_id")?;
        let chroma = Chroma::parse(&mut r, profile_idc)?;
        bounded(r.ue("log2_max_frame_num")?, 12, "log2_max_frame_num")?;
        skip_pic_order(&mut r)?;
        bounded(r.ue("max_num_ref_frames")?, 16, "max_num_ref_frames")?;
        r.flag("gaps_in_frame_num_value_allowed_flag")?;
        let (width, height, frame_mbs_only) = picture_size(&mut r, &chroma)?;
        let mut sps = Self {
            profile_idc,
            level_idc,
            chroma_format_idc: chroma.format_idc,
            bit_depth_luma: chroma.bit_depth_luma,
            bit_depth_chroma: chroma.bit_depth_chroma,
            width,
            height,
            frame_mbs_only,
            sample_aspect_ratio: None,
            frame_rate: None,
            colour: None,
        };
        if r.flag("vui_parameters_present_flag")? {
            // Encoders are known to truncate the VUI. It only holds hints: what cannot be
            // read is left out.
            let _ = sps.read_vui(&mut r);
        }
        Ok(sps)
    }

    /// VUI parameters, ITU-T H.264 §E.1.1, up to `timing_info`.
    fn read_vui(&mut self, r: &mut BitReader<'_>) -> Result<(), Error> {
        self.sample_aspect_ratio = aspect_ratio(r)?;
        if r.flag("overscan_info_present_flag")? {
            r.flag("overscan_appropriate_flag")?;
        }
        if r.flag("video_signal_type_present_flag")? {
            self.colour = video_signal_type(r)?;
        }
        if r.flag("chroma_loc_info_present_flag")? {
            r.ue("chroma_sample_loc_type_top_field")?;
            r.ue("chroma_sample_loc_type_bottom_field")?;
        }
        if r.flag("timing_info_present_flag")? {
            let units = r.bits(32, "num_units_in_tick")?;
            let scale = r.bits(32, "time_scale")?;
            // A frame lasts two ticks (§E.2.1).
            self.frame_rate = units
                .checked_mul(2)
                .filter(|&d| d != 0 && scale != 0)
                .map(|d| (scale, d));
        }
        Ok(())
    }
}

struct Chroma {
    format_idc: u8,
    bit_depth_luma: u8,
    bit_depth_chroma: u8,
    separate_planes: bool,
}

impl Chroma {
    fn parse(r: &mut BitReader<'_>, profile_idc: u8) -> Result<Self, Error> {
        let mut c = Self {
            format_idc: 1,
            bit_depth_luma: 8,
            bit_depth_chroma: 8,
            separate_planes: false,
        };
        if !matches!(
            profile_idc,
            100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135
        ) {
            return Ok(c);
        }
        c.format_idc = bounded(r.ue("chroma_format_idc")?, 3, "chroma_format_idc")? as u8;
        if c.format_idc == 3 {
            c.separate_planes = r.flag("separate_colour_plane_flag")?;
        }
        c.bit_depth_luma = 8 + bounded(r.ue("bit_depth_luma")?, 6, "bit_depth_luma")? as u8;
        c.bit_depth_chroma = 8 + bounded(r.ue("bit_depth_chroma")?, 6, "bit_depth_chroma")? as u8;
        r.flag("qpprime_y_zero_transform_bypass_flag")?;
        if r.flag("seq_scaling_matrix_present_flag")? {
            let lists = if c.format_idc == 3 { 12 } else { 8 };
            for i in 0..lists {
                if r.flag("seq_scaling_list_present_flag")? {
                    skip_scaling_list(r, if i < 6 { 16 } else { 64 })?;
                }
            }
        }
        Ok(c)
    }
}

/// ITU-T H.264 §7.3.2.1.1.1.
fn skip_scaling_list(r: &mut BitReader<'_>, size: u32) -> Result<(), Error> {
    let (mut last, mut next) = (8i32, 8i32);
    for _ in 0..size {
        if next != 0 {
            let delta = r.se("delta_scale")?;
            if !(-128..=127).contains(&delta) {
                return Err(Error::SpsField("delta_scale"));
            }
            next = (last + delta + 256) % 256;
        }
        last = if next == 0 { last } else { next };
    }
    Ok(())
}

fn skip_pic_order(r: &mut BitReader<'_>) -> Result<(), Error> {
    match r.ue("pic_order_cnt_type")? {
        0 => {
            bounded(
                r.ue("log2_max_pic_order_cnt_lsb")?,
                12,
                "log2_max_pic_order_cnt_lsb",
            )?;
        }
        1 => {
            r.flag("delta_pic_order_always_zero_flag")?;
            r.se("offset_for_non_ref_pic")?;
            r.se("offset_for_top_to_bottom_field")?;
            let cycle = r.ue("num_ref_frames_in_pic_order_cnt_cycle")?;
            for _ in 0..bounded(cycle, 255, "num_ref_frames_in_pic_order_cnt_cycle")? {
                r.se("offset_for_ref_frame")?;
            }
        }
        2 => {}
        _ => return Err(Error::SpsField("pic_order_cnt_type")),
    }
    Ok(())
}

/// Width and height after cropping, ITU-T H.264 §7.4.2.1.1 (7-13 to 7-22), and
/// `frame_mbs_only_flag`.
fn picture_size(r: &mut BitReader<'_>, chroma: &Chroma) -> Result<(u32, u32, bool), Error> {
    let mbs_wide = bounded(
        r.ue("pic_width_in_mbs")?,
        PICTURE_SIDE_MAX / 16,
        "pic_width_in_mbs",
    )?;
    let units_high = bounded(
        r.ue("pic_height_in_map_units")?,
        PICTURE_SIDE_MAX / 16,
        "pic_height_in_map_units",
    )?;
    let frame_mbs_only = r.flag("frame_mbs_only_flag")?;
    if !frame_mbs_only {
        r.flag("mb_adaptive_frame_field_flag")?;
    }
    r.flag("direct_8x8_inference_flag")?;
    let fields = if frame_mbs_only { 1 } else { 2 };
    let (mut width, mut height) = ((mbs_wide + 1) * 16, (units_high + 1) * 16 * fields);
    if r.flag("frame_cropping_flag")? {
        let (sub_width, sub_height) = match (chroma.format_idc, chroma.separate_planes) {
            (1, _) => (2, 2),
            (2, _) => (2, 1),
            _ => (1, 1),
        };
        let mut side = |unit: u32, size: &mut u32, field| -> Result<(), Error> {
            let crop = u64::from(r.ue(field)?) + u64::from(r.ue(field)?);
            let crop = crop * u64::from(unit);
            if crop >= u64::from(*size) {
                return Err(Error::SpsField(field));
            }
            *size -= crop as u32;
            Ok(())
        };
        side(sub_width, &mut width, "frame_crop_left_right")?;
        side(sub_height * fields, &mut height, "frame_crop_top_bottom")?;
    }
    Ok((width, height, frame_mbs_only))
}

fn bounded(value: u32, max: u32, field: &'static str) -> Result<u32, Error> {
    if value > max {
        Err(Error::SpsField(field))
    } else {
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::avc::tests::SPS_720P;

    #[test]
    fn x264_high_720p30() {
        let s = Sps::parse(SPS_720P).unwrap();
        assert_eq!((s.profile_idc, s.level_idc), (100, 31));
        assert_eq!((s.width, s.height), (1280, 720));
        assert_eq!(s.frame_rate.map(|(n, d)| n / d), Some(30));
    }

    #[test]
    fn cropped_1080p_is_1080_high() {
        // Main profile 1920x1080 with frame_crop_bottom 4, by x264.
        let sps = [
            0x67, 0x4d, 0x40, 0x28, 0xec, 0xa0, 0x3c, 0x01, 0x13, 0xf2, 0xc2, 0x00, 0x00, 0x03,
            0x00, 0x02, 0x00, 0x00, 0x03, 0x00, 0x79, 0x1e, 0x30, 0x63, 0x2c,
        ];
        let s = Sps::parse(&sps).unwrap();
        assert_eq!((s.width, s.height), (1920, 1080));
    }

    #[test]
    fn truncations_never_panic() {
        for n in 0..SPS_720P.len() {
            let _ = Sps::parse(&SPS_720P[..n]);
        }
        assert!(Sps::parse(&SPS_720P[..8]).is_err());
    }
}
