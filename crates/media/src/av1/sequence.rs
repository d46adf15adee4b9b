//! Sequence header OBU, AV1 specification §5.5.

use crate::bits::BitReader;
use crate::error::Error;
use crate::picture::Colour;

/// What a sequence header says of its pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SequenceHeader {
    /// `seq_profile`: 0 Main, 1 High, 2 Professional.
    pub profile: u8,
    /// `seq_level_idx` of the first operating point: 4 × (major − 2) + minor; 31 is none.
    pub level_idx: u8,
    /// `seq_tier` of the first operating point: high.
    pub tier: bool,
    /// 8, 10 or 12.
    pub bit_depth: u8,
    /// There is no chroma.
    pub monochrome: bool,
    /// `subsampling_x` and `subsampling_y`.
    pub subsampling: (bool, bool),
    /// `chroma_sample_position`: 0 unknown, 1 vertical, 2 co-located.
    pub chroma_sample_position: u8,
    /// Largest width in luma samples.
    pub width: u32,
    /// Largest height in luma samples.
    pub height: u32,
    /// Pictures per second as numerator and denominator, if all last equally long.
    pub frame_rate: Option<(u32, u32)>,
    /// Colour description, if there is one.
    pub colour: Option<Colour>,
    /// Frame headers are cut down to those of a still picture.
    pub reduced_still_picture_header: bool,
}

impl SequenceHeader {
    /// Reads the content of a sequence header OBU.
    ///
    /// # Errors
    /// Truncation, or a field out of range.
    pub fn parse(data: &[u8]) -> Result<Self, Error> {
        let mut r = BitReader::new(data);
        let profile = r.bits(3, "seq_profile")? as u8;
        if profile > 2 {
            return Err(Error::Field("seq_profile"));
        }
        r.flag("still_picture")?;
        let reduced = r.flag("reduced_still_picture_header")?;
        let points = OperatingPoints::parse(&mut r, reduced)?;
        let width_bits = r.bits(4, "frame_width_bits_minus_1")? as u8 + 1;
        let height_bits = r.bits(4, "frame_height_bits_minus_1")? as u8 + 1;
        let width = r.bits(width_bits, "max_frame_width_minus_1")? + 1;
        let height = r.bits(height_bits, "max_frame_height_minus_1")? + 1;
        skip_tools(&mut r, reduced)?;
        let mut header = Self {
            profile,
            level_idx: points.level_idx,
            tier: points.tier,
            bit_depth: 8,
            monochrome: false,
            subsampling: (true, true),
            chroma_sample_position: 0,
            width,
            height,
            frame_rate: points.frame_rate,
            colour: None,
            reduced_still_picture_header: reduced,
        };
        header.read_colour(&mut r)?;
        Ok(header)
    }

    /// `color_config`, §5.5.2.
    fn read_colour(&mut self, r: &mut BitReader<'_>) -> Result<(), Error> {
        let high = r.flag("high_bitdepth")?;
        self.bit_depth = match high {
            true if self.profile == 2 && r.flag("twelve_bit")? => 12,
            true => 10,
            false => 8,
        };
        self.monochrome = self.profile != 1 && r.flag("mono_chrome")?;
        let code_points = match r.flag("color_description_present_flag")? {
            true => Some((
                r.bits(8, "color_primaries")? as u8,
                r.bits(8, "transfer_characteristics")? as u8,
                r.bits(8, "matrix_coefficients")? as u8,
            )),
            false => None,
        };
        // BT.709 primaries, sRGB transfer, identity matrix: RGB in full range and 4:4:4.
        if code_points == Some((1, 13, 0)) && !self.monochrome {
            self.subsampling = (false, false);
            self.colour = colour(code_points, true);
            return Ok(());
        }
        self.colour = colour(code_points, r.flag("color_range")?);
        self.subsampling = match self.profile {
            _ if self.monochrome => (true, true),
            0 => (true, true),
            1 => (false, false),
            _ if self.bit_depth == 12 => {
                let x = r.flag("subsampling_x")?;
                (x, x && r.flag("subsampling_y")?)
            }
            _ => (true, false),
        };
        if self.subsampling == (true, true) && !self.monochrome {
            self.chroma_sample_position = r.bits(2, "chroma_sample_position")? as u8;
        }
        Ok(())
    }
}

fn colour(code_points: Option<(u8, u8, u8)>, full_range: bool) -> Option<Colour> {
    let (primaries, transfer, matrix) = code_points?;
    Some(Colour {
        primaries,
        transfer,
        matrix,
        full_range,
    })
}

/// What is kept of the timing and the operating points.
struct OperatingPoints {
    level_idx: u8,
    tier: bool,
    frame_rate: Option<(u32, u32)>,
}

impl OperatingPoints {
    fn parse(r: &mut BitReader<'_>, reduced: bool) -> Result<Self, Error> {
        let mut points = Self {
            level_idx: 0,
            tier: false,
            frame_rate: None,
        };
        if reduced {
            points.level_idx = r.bits(5, "seq_level_idx")? as u8;
            return Ok(points);
        }
        let mut delay_bits = None;
        if r.flag("timing_info_present_flag")? {
            points.frame_rate = timing(r)?;
            if r.flag("decoder_model_info_present_flag")? {
                let bits = r.bits(5, "buffer_delay_length_minus_1")? as u8 + 1;
                r.bits(32, "num_units_in_decoding_tick")?;
                r.bits(10, "buffer_removal_time_length_minus_1")?; // and of the frame's time
                delay_bits = Some(bits);
            }
        }
        let delays = r.flag("initial_display_delay_present_flag")?;
        for i in 0..=r.bits(5, "operating_points_cnt_minus_1")? {
            r.bits(12, "operating_point_idc")?;
            let level_idx = r.bits(5, "seq_level_idx")? as u8;
            let tier = level_idx > 7 && r.flag("seq_tier")?;
            if i == 0 {
                (points.level_idx, points.tier) = (level_idx, tier);
            }
            if let Some(bits) = delay_bits
                && r.flag("decoder_model_present_for_this_op")?
            {
                r.bits(bits, "decoder_buffer_delay")?;
                r.bits(bits, "encoder_buffer_delay")?;
                r.flag("low_delay_mode_flag")?;
            }
            if delays && r.flag("initial_display_delay_present_for_this_op")? {
                r.bits(4, "initial_display_delay_minus_1")?;
            }
        }
        Ok(points)
    }
}

/// `timing_info`, §5.5.3.
fn timing(r: &mut BitReader<'_>) -> Result<Option<(u32, u32)>, Error> {
    let units = r.bits(32, "num_units_in_display_tick")?;
    let scale = r.bits(32, "time_scale")?;
    if !r.flag("equal_picture_interval")? {
        return Ok(None);
    }
    let ticks = r.uvlc("num_ticks_per_picture_minus_1")?.checked_add(1);
    let units = ticks.and_then(|t| units.checked_mul(t));
    Ok(units.filter(|u| *u != 0 && scale != 0).map(|u| (scale, u)))
}

/// From `frame_id_numbers_present_flag` to `enable_restoration`.
fn skip_tools(r: &mut BitReader<'_>, reduced: bool) -> Result<(), Error> {
    if !reduced && r.flag("frame_id_numbers_present_flag")? {
        r.bits(7, "delta_frame_id_length_minus_2")?; // and additional_frame_id_length_minus_1
    }
    r.bits(3, "use_128x128_superblock")?; // and enable_filter_intra, enable_intra_edge_filter
    if !reduced {
        r.bits(4, "enable_interintra_compound")?; // to enable_dual_filter
        let order_hint = r.flag("enable_order_hint")?;
        if order_hint {
            r.bits(2, "enable_jnt_comp")?; // and enable_ref_frame_mvs
        }
        let chosen = r.flag("seq_choose_screen_content_tools")?;
        if chosen || r.flag("seq_force_screen_content_tools")? {
            let chosen = r.flag("seq_choose_integer_mv")?;
            if !chosen {
                r.flag("seq_force_integer_mv")?;
            }
        }
        if order_hint {
            r.bits(3, "order_hint_bits_minus_1")?;
        }
    }
    r.bits(3, "enable_superres")?; // and enable_cdef, enable_restoration
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::av1::tests::config;

    #[test]
    fn truncations_are_errors() {
        let config = config();
        let data = &config.config_obus()[2..];
        assert_eq!(SequenceHeader::parse(data), Ok(config.info));
        // The last byte is film grain and trailing bits.
        for n in 0..data.len() - 2 {
            assert!(SequenceHeader::parse(&data[..n]).is_err(), "{n}");
        }
        assert_eq!(
            SequenceHeader::parse(&[0xff; 16]),
            Err(Error::Field("seq_profile"))
        );
    }
}
