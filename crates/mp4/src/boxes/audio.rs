//! `AudioSampleEntry`, ISO/IEC 14496-12 §12.2.3, and QuickTime's sound descriptions of
//! versions 1 and 2 (QuickTime File Format, "Sound Sample Descriptions"), with `esds` where
//! the samples are MPEG audio.

use super::esds::Esds;
use super::sinf;
use crate::error::Error;
use crate::input::{BoxBody, Fields};
use crate::track::{Description, Details};
use weir_media::CodecConfig;
use weir_media::aac::AacConfig;

/// Reads a sample entry. `stsd_version` tells QuickTime's version 1 (in a `stsd` of version
/// 0) from `AudioSampleEntryV1`, which is no longer than the first.
pub(crate) fn read(b: &BoxBody, stsd_version: u8) -> Result<Description, Error> {
    let mut f = b.fields();
    f.skip(8, "data_reference_index")?;
    let version = f.u16("version")?;
    f.skip(6, "reserved")?;
    let (mut channels, mut sample_rate) = (u32::from(f.u16("channelcount")?), 0);
    f.skip(6, "samplesize")?;
    sample_rate |= f.u32("samplerate")? >> 16;
    match (stsd_version, version) {
        (0, 1) => f.skip(16, "bytesPerSample")?,
        (0, 2) => {
            f.skip(4, "sizeOfStructOnly")?;
            // Rates are whole numbers of hertz; `as` saturates and turns NaN into 0.
            sample_rate = f64::from_bits(f.u64("audioSampleRate")?) as u32;
            channels = f.u32("numAudioChannels")?;
            f.skip(20, "constLPCMFramesPerAudioPacket")?;
        }
        _ => {}
    }
    let mut description = Description {
        format: b.four_cc,
        protection: None,
        config: None,
        details: Details::Audio {
            channels,
            sample_rate,
            object_type_indication: None,
        },
    };
    if matches!(&b.four_cc.0, b"mp4a" | b"enca") {
        read_children(&f, &mut description)?;
    }
    Ok(description)
}

fn read_children(f: &Fields<'_>, description: &mut Description) -> Result<(), Error> {
    for child in f.children() {
        let child = child?;
        match &child.four_cc.0 {
            b"esds" => read_esds(&child, description)?,
            // QuickTime puts `esds` into an extension atom.
            b"wave" => {
                for inner in child.children() {
                    let inner = inner?;
                    if &inner.four_cc.0 == b"esds" {
                        read_esds(&inner, description)?;
                    }
                }
            }
            b"sinf" => sinf::read(&child, description)?,
            _ => {}
        }
    }
    Ok(())
}

fn read_esds(b: &BoxBody, description: &mut Description) -> Result<(), Error> {
    let esds = Esds::read(b)?;
    if let Details::Audio {
        object_type_indication,
        ..
    } = &mut description.details
    {
        *object_type_indication = Some(esds.object_type_indication);
    }
    if esds.is_aac() {
        description.config = esds
            .specific
            .map(|record| AacConfig::parse(record).map(CodecConfig::Aac));
    }
    Ok(())
}
