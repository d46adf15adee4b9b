//! `VisualSampleEntry`, ISO/IEC 14496-12 §12.1.3, with the configuration that its codec has:
//! `avcC`, `hvcC` (ISO/IEC 14496-15 §5.4.2.1, §8.4.1), `av1C`, `vpcC`.

use super::{colour, sinf, write_box};
use crate::error::Error;
use crate::input::BoxBody;
use crate::track::{Description, Details};
use bytes::{BufMut, BytesMut};
use weir_media::CodecConfig;
use weir_media::av1::Av1Config;
use weir_media::avc::AvcConfig;
use weir_media::hevc::HevcConfig;
use weir_media::picture::Hdr;
use weir_media::vp9::Vp9Config;

/// Writes the sample entry of a video track; `pasp` only if the pixels are not square.
pub(crate) fn write(out: &mut BytesMut, config: &CodecConfig) {
    let Some(picture) = config.picture() else {
        return;
    };
    // `limits::PICTURE_SIDE_MAX` of media and the fields of AV1 and VP9 keep the sides below
    // 65,537; the largest is written as 0.
    let (width, height) = (picture.width as u16, picture.height as u16);
    write_box(out, config.four_cc(), |out| {
        out.put_bytes(0, 6);
        out.put_u16(1); // data_reference_index
        out.put_bytes(0, 16);
        out.put_u16(width);
        out.put_u16(height);
        out.put_u64(0x0048_0000_0048_0000); // 72 dpi
        out.put_u32(0);
        out.put_u16(1); // frame_count per sample
        out.put_bytes(0, 32); // compressorname
        out.put_u16(0x18); // depth: colour without alpha
        out.put_i16(-1);
        let record = match config {
            CodecConfig::H264(_) => *b"avcC",
            CodecConfig::Hevc(_) => *b"hvcC",
            CodecConfig::Av1(_) => *b"av1C",
            _ => *b"vpcC",
        };
        write_box(out, record, |out| out.put_slice(config.record()));
        if let Some((h, v)) = picture.sample_aspect_ratio.filter(|(h, v)| h != v) {
            write_box(out, *b"pasp", |out| {
                out.put_u32(u32::from(h));
                out.put_u32(u32::from(v));
            });
        }
        colour::write(out, config);
    });
}

/// Reads a sample entry.
pub(crate) fn read(b: &BoxBody) -> Result<Description, Error> {
    let mut f = b.fields();
    f.skip(24, "pre_defined")?;
    let (width, height) = (f.u16("width")?, f.u16("height")?);
    f.skip(50, "depth")?;
    let mut description = Description {
        format: b.four_cc,
        protection: None,
        config: None,
        details: Details::Video { width, height },
    };
    let known = [
        b"avc1", b"avc3", b"hvc1", b"hev1", b"av01", b"vp09", b"encv",
    ];
    if !known.contains(&&b.four_cc.0) {
        return Ok(description);
    }
    let mut hdr = Hdr::default();
    for child in f.children() {
        let child = child?;
        let record = || child.fields().rest();
        let config = match &child.four_cc.0 {
            b"avcC" => AvcConfig::parse(record()).map(CodecConfig::H264),
            b"hvcC" => HevcConfig::parse(record()).map(CodecConfig::Hevc),
            // Without its sequence header the configuration is in the samples only.
            b"av1C" => match Av1Config::parse(record()) {
                Err(weir_media::Error::NoSps) => continue,
                config => config.map(CodecConfig::Av1),
            },
            b"vpcC" => {
                let config = Vp9Config::parse(&record(), width.into(), height.into());
                config.map(CodecConfig::Vp9)
            }
            b"sinf" => {
                sinf::read(&child, &mut description)?;
                continue;
            }
            _ => {
                colour::read(&child, &mut hdr)?;
                continue;
            }
        };
        description.config = Some(config);
    }
    if let Some(Ok(config)) = &mut description.config {
        // What the bitstream says need not be said twice.
        if config.picture().and_then(|p| p.colour).is_some() {
            hdr.colour = None;
        }
        config.set_hdr(hdr);
    }
    Ok(description)
}
