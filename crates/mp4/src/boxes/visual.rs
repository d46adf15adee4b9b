//! `VisualSampleEntry`, ISO/IEC 14496-12 §12.1.3, with `avcC` (ISO/IEC 14496-15 §5.4.2.1)
//! where the samples are H.264.

use super::sinf;
use crate::error::Error;
use crate::input::BoxBody;
use crate::track::{Description, Details};
use weir_media::CodecConfig;
use weir_media::avc::AvcConfig;

pub(crate) fn read(b: &BoxBody) -> Result<Description, Error> {
    let mut f = b.fields();
    f.skip(24, "pre_defined")?;
    let details = Details::Video {
        width: f.u16("width")?,
        height: f.u16("height")?,
    };
    f.skip(50, "depth")?;
    let mut description = Description {
        format: b.four_cc,
        protection: None,
        config: None,
        details,
    };
    if !matches!(&b.four_cc.0, b"avc1" | b"avc3" | b"encv") {
        return Ok(description);
    }
    for child in f.children() {
        let child = child?;
        match &child.four_cc.0 {
            b"avcC" => {
                let config = AvcConfig::parse(child.fields().rest());
                description.config = Some(config.map(CodecConfig::H264));
            }
            b"sinf" => sinf::read(&child, &mut description)?,
            _ => {}
        }
    }
    Ok(description)
}
