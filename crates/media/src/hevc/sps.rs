//! Sequence parameter set, ITU-T H.265 §7.3.2.2.1, as far as the VUI's timing.

use crate::bits::BitReader;
use crate::error::Error;
use crate::limits::PICTURE_SIDE_MAX;
use crate::picture::Colour;
use crate::vui::{aspect_ratio, video_signal_type};

/// What the first SPS of a stream says about its pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sps {
    /// `general_profile_space` to `general_level_idc`, as `hvcC` repeats them.
    pub general: [u8; 12],
    /// `sps_max_sub_layers_minus1` plus one.
    pub temporal_layers: u8,
    /// `sps_temporal_id_nesting_flag`.
    pub temporal_id_nesting: bool,
    /// `chroma_format_idc`: 0 monochrome, 1 4:2:0, 2 4:2:2, 3 4:4:4.
    pub chroma_format_idc: u8,
    /// Bits per luma sample, 8 to 16.
    pub bit_depth_luma: u8,
    /// Bits per chroma sample, 8 to 16.
    pub bit_depth_chroma: u8,
    /// Width after cropping, in luma samples.
    pub width: u32,
    /// Height after cropping, in luma samples.
    pub height: u32,
    /// Sample aspect ratio, if the VUI gives one: width, height.
    pub sample_aspect_ratio: Option<(u16, u16)>,
    /// Pictures per second as numerator and denominator, if the VUI has timing. A hint only.
    pub frame_rate: Option<(u32, u32)>,
    /// Colour description, if the VUI has one.
    pub colour: Option<Colour>,
}

impl Sps {
    /// Reads an SPS NAL unit, its header of two bytes included.
    ///
    /// # Errors
    /// Truncation, or a field out of range.
    pub fn parse(nal: &[u8]) -> Result<Self, Error> {
        let payload = nal
            .get(2..)
            .ok_or(Error::Truncated("general_profile_idc"))?;
        let mut r = BitReader::rbsp(payload);
        r.bits(4, "sps_video_parameter_set_id")?;
        let sub_layers = r.bits(3, "sps_max_sub_layers_minus1")?;
        let sub_layers = bounded(sub_layers, 6, "sps_max_sub_layers_minus1")?;
        let temporal_id_nesting = r.flag("sps_temporal_id_nesting_flag")?;
        let mut general = [0; 12];
        for byte in &mut general {
            *byte = r.bits(8, "profile_tier_level")? as u8;
        }
        skip_sub_layers(&mut r, sub_layers)?;
        bounded(
            r.ue("sps_seq_parameter_set_id")?,
            15,
            "sps_seq_parameter_set_id",
        )?;
        let chroma = bounded(r.ue("chroma_format_idc")?, 3, "chroma_format_idc")?;
        let separate_planes = chroma == 3 && r.flag("separate_colour_plane_flag")?;
        let (width, height) = picture_size(&mut r, chroma, separate_planes)?;
        let bit_depth_luma = bounded(r.ue("bit_depth_luma_minus8")?, 8, "bit_depth_luma_minus8")?;
        let bit_depth_chroma = bounded(
            r.ue("bit_depth_chroma_minus8")?,
            8,
            "bit_depth_chroma_minus8",
        )?;
        let mut sps = Self {
            general,
            temporal_layers: sub_layers as u8 + 1,
            temporal_id_nesting,
            chroma_format_idc: chroma as u8,
            bit_depth_luma: bit_depth_luma as u8 + 8,
            bit_depth_chroma: bit_depth_chroma as u8 + 8,
            width,
            height,
            sample_aspect_ratio: None,
            frame_rate: None,
            colour: None,
        };
        // What follows holds only hints for us: what cannot be read is left out.
        let _ = sps.read_rest(&mut r, sub_layers);
        Ok(sps)
    }

    /// From `log2_max_pic_order_cnt_lsb_minus4` to the VUI.
    fn read_rest(&mut self, r: &mut BitReader<'_>, sub_layers: u32) -> Result<(), Error> {
        let field = "log2_max_pic_order_cnt_lsb_minus4";
        let order_bits = bounded(r.ue(field)?, 12, field)? + 4;
        let all = r.flag("sps_sub_layer_ordering_info_present_flag")?;
        for _ in 0..if all { sub_layers + 1 } else { 1 } {
            r.ue("sps_max_dec_pic_buffering_minus1")?;
            r.ue("sps_max_num_reorder_pics")?;
            r.ue("sps_max_latency_increase_plus1")?;
        }
        for field in [
            "log2_min_luma_coding_block_size_minus3",
            "log2_diff_max_min_luma_coding_block_size",
            "log2_min_luma_transform_block_size_minus2",
            "log2_diff_max_min_luma_transform_block_size",
            "max_transform_hierarchy_depth_inter",
            "max_transform_hierarchy_depth_intra",
        ] {
            r.ue(field)?;
        }
        if r.flag("scaling_list_enabled_flag")? && r.flag("sps_scaling_list_data_present_flag")? {
            skip_scaling_lists(r)?;
        }
        r.bits(2, "amp_enabled_flag")?; // and sample_adaptive_offset_enabled_flag
        if r.flag("pcm_enabled_flag")? {
            r.bits(8, "pcm_sample_bit_depth_luma_minus1")?; // and of chroma
            r.ue("log2_min_pcm_luma_coding_block_size_minus3")?;
            r.ue("log2_diff_max_min_pcm_luma_coding_block_size")?;
            r.flag("pcm_loop_filter_disabled_flag")?;
        }
        skip_reference_sets(r)?;
        if r.flag("long_term_ref_pics_present_flag")? {
            let field = "num_long_term_ref_pics_sps";
            for _ in 0..bounded(r.ue(field)?, 32, field)? {
                r.bits(order_bits as u8, "lt_ref_pic_poc_lsb_sps")?;
                r.flag("used_by_curr_pic_lt_sps_flag")?;
            }
        }
        r.bits(2, "sps_temporal_mvp_enabled_flag")?; // and strong_intra_smoothing_enabled_flag
        if r.flag("vui_parameters_present_flag")? {
            self.read_vui(r)?;
        }
        Ok(())
    }

    /// VUI parameters, ITU-T H.265 §E.2.1, up to the timing.
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
        r.bits(3, "neutral_chroma_indication_flag")?; // and field_seq_flag, frame_field_info
        if r.flag("default_display_window_flag")? {
            for _ in 0..4 {
                r.ue("def_disp_win_offset")?;
            }
        }
        if r.flag("vui_timing_info_present_flag")? {
            let units = r.bits(32, "vui_num_units_in_tick")?;
            let scale = r.bits(32, "vui_time_scale")?;
            self.frame_rate = (units != 0 && scale != 0).then_some((scale, units));
        }
        Ok(())
    }
}

/// The sub-layers of `profile_tier_level`, §7.3.3.
fn skip_sub_layers(r: &mut BitReader<'_>, count: u32) -> Result<(), Error> {
    let mut present = Vec::with_capacity(6);
    for _ in 0..count {
        let profile = r.flag("sub_layer_profile_present_flag")?;
        present.push((profile, r.flag("sub_layer_level_present_flag")?));
    }
    if count > 0 {
        for _ in count..8 {
            r.bits(2, "reserved_zero_2bits")?;
        }
    }
    for (profile, level) in present {
        if profile {
            for _ in 0..11 {
                r.bits(8, "sub_layer_profile")?;
            }
        }
        if level {
            r.bits(8, "sub_layer_level_idc")?;
        }
    }
    Ok(())
}

/// Width and height after cropping, §7.4.3.2.1.
fn picture_size(
    r: &mut BitReader<'_>,
    chroma: u32,
    separate_planes: bool,
) -> Result<(u32, u32), Error> {
    let side = |r: &mut BitReader<'_>, field| match r.ue(field)? {
        0 => Err(Error::SpsField(field)),
        side => bounded(side, PICTURE_SIDE_MAX, field),
    };
    let mut width = side(r, "pic_width_in_luma_samples")?;
    let mut height = side(r, "pic_height_in_luma_samples")?;
    if r.flag("conformance_window_flag")? {
        let (unit_x, unit_y) = match (chroma, separate_planes) {
            (1, _) => (2, 2),
            (2, _) => (2, 1),
            _ => (1, 1),
        };
        for (unit, size, field) in [
            (unit_x, &mut width, "conf_win_left_right_offset"),
            (unit_y, &mut height, "conf_win_top_bottom_offset"),
        ] {
            let crop = (u64::from(r.ue(field)?) + u64::from(r.ue(field)?)) * unit;
            if crop >= u64::from(*size) {
                return Err(Error::SpsField(field));
            }
            *size -= crop as u32;
        }
    }
    Ok((width, height))
}

/// `scaling_list_data`, §7.3.4.
fn skip_scaling_lists(r: &mut BitReader<'_>) -> Result<(), Error> {
    for size in 0..4u32 {
        for _ in 0..if size == 3 { 2 } else { 6 } {
            if !r.flag("scaling_list_pred_mode_flag")? {
                r.ue("scaling_list_pred_matrix_id_delta")?;
                continue;
            }
            if size > 1 {
                r.se("scaling_list_dc_coef_minus8")?;
            }
            for _ in 0..64.min(1u32 << (4 + (size << 1))) {
                r.se("scaling_list_delta_coef")?;
            }
        }
    }
    Ok(())
}

/// All `st_ref_pic_set`, §7.3.7. Only how many pictures each has matters for the next.
fn skip_reference_sets(r: &mut BitReader<'_>) -> Result<(), Error> {
    let field = "num_short_term_ref_pic_sets";
    let count = bounded(r.ue(field)?, 64, field)?;
    let mut pictures = 0;
    for set in 0..count {
        if set > 0 && r.flag("inter_ref_pic_set_prediction_flag")? {
            r.flag("delta_rps_sign")?;
            r.ue("abs_delta_rps_minus1")?;
            let mut kept = 0;
            for _ in 0..=pictures {
                if r.flag("used_by_curr_pic_flag")? || r.flag("use_delta_flag")? {
                    kept += 1;
                }
            }
            pictures = bounded(kept, 16, "use_delta_flag")?;
        } else {
            let negative = bounded(r.ue("num_negative_pics")?, 16, "num_negative_pics")?;
            let positive = bounded(r.ue("num_positive_pics")?, 16, "num_positive_pics")?;
            pictures = bounded(negative + positive, 16, "num_positive_pics")?;
            for _ in 0..pictures {
                r.ue("delta_poc_minus1")?;
                r.flag("used_by_curr_pic_flag")?;
            }
        }
    }
    Ok(())
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
    use crate::hevc::tests::config;

    #[test]
    fn truncations_never_panic() {
        let sps = config().sps()[0].clone();
        for n in 0..sps.len() {
            let _ = Sps::parse(&sps[..n]);
        }
        assert!(Sps::parse(&sps[..12]).is_err());
        assert_eq!(Sps::parse(&sps), Ok(config().info));
    }

    #[test]
    fn what_follows_the_size_is_a_hint() {
        // Cut inside the reference picture sets: size and depth stay.
        let sps = config().sps()[0].clone();
        let cut = Sps::parse(&sps[..26]).unwrap();
        assert_eq!((cut.width, cut.height, cut.bit_depth_luma), (320, 180, 8));
        assert_eq!(cut.frame_rate, None);
    }
}
