//! `colr`, `mdcv` and `clli`, ISO/IEC 14496-12 §12.1.5 to §12.1.7: colour and light.

use super::write_box;
use crate::error::Error;
use crate::input::BoxBody;
use bytes::{BufMut, BytesMut};
use weir_media::CodecConfig;
use weir_media::picture::{Colour, ContentLight, Hdr, MasteringDisplay};

/// Writes what is known of colour and light.
pub(crate) fn write(out: &mut BytesMut, config: &CodecConfig) {
    if let Some(c) = config.picture().and_then(|p| p.colour) {
        write_box(out, *b"colr", |out| {
            out.put_slice(b"nclx");
            for code in [c.primaries, c.transfer, c.matrix] {
                out.put_u16(code.into());
            }
            out.put_u8(u8::from(c.full_range) << 7);
        });
    }
    let Some(hdr) = config.hdr() else {
        return;
    };
    if let Some(m) = hdr.mastering_display {
        write_box(out, *b"mdcv", |out| {
            for (x, y) in m.primaries.into_iter().chain([m.white_point]) {
                out.put_u16(x);
                out.put_u16(y);
            }
            out.put_u32(m.luminance_max);
            out.put_u32(m.luminance_min);
        });
    }
    if let Some(light) = hdr.content_light {
        write_box(out, *b"clli", |out| {
            out.put_u16(light.content_max);
            out.put_u16(light.average_max);
        });
    }
}

/// Reads one of the boxes; others, and colour by profile, say nothing.
pub(crate) fn read(b: &BoxBody, hdr: &mut Hdr) -> Result<(), Error> {
    let mut f = b.fields();
    match &b.four_cc.0 {
        b"colr" => {
            let by = f.four_cc("colour_type")?;
            // `nclc` is QuickTime's, without range.
            if !matches!(&by.0, b"nclx" | b"nclc") {
                return Ok(());
            }
            let mut code = || Ok(u8::try_from(f.u16("colour_primaries")?).unwrap_or(2));
            let (primaries, transfer, matrix) = (code()?, code()?, code()?);
            let full_range = &by.0 == b"nclx" && f.u8("full_range_flag")? & 0x80 != 0;
            hdr.colour = Colour {
                primaries,
                transfer,
                matrix,
                full_range,
            }
            .specified();
        }
        b"mdcv" => {
            let mut places = [(0, 0); 4];
            for place in &mut places {
                *place = (f.u16("display_primaries_x")?, f.u16("display_primaries_y")?);
            }
            let [green, blue, red, white_point] = places;
            hdr.mastering_display = Some(MasteringDisplay {
                primaries: [green, blue, red],
                white_point,
                luminance_max: f.u32("max_display_mastering_luminance")?,
                luminance_min: f.u32("min_display_mastering_luminance")?,
            });
        }
        b"clli" => {
            hdr.content_light = Some(ContentLight {
                content_max: f.u16("max_content_light_level")?,
                average_max: f.u16("max_pic_average_light_level")?,
            });
        }
        _ => {}
    }
    Ok(())
}
