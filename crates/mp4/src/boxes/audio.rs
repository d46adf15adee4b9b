//! `AudioSampleEntry`, ISO/IEC 14496-12 §12.2.3, and QuickTime's sound descriptions of
//! versions 1 and 2 (QuickTime File Format, "Sound Sample Descriptions"), with the
//! configuration that the codec has: `esds` (ISO/IEC 14496-14 §5.6), `dOps`, `dfLa`, `dac3`,
//! `dec3` (ETSI TS 102 366 annex F).

use super::esds::{self, Esds};
use super::{sinf, write_box, write_full_box};
use crate::error::Error;
use crate::input::{BoxBody, Fields};
use crate::track::{Description, Details};
use bytes::{BufMut, BytesMut};
use weir_media::CodecConfig;
use weir_media::aac::AacConfig;
use weir_media::ac3::{Ac3Config, Eac3Config};
use weir_media::flac::FlacConfig;
use weir_media::mp3::Mp3Config;
use weir_media::opus::OpusConfig;

/// Writes the sample entry of an audio track.
pub(crate) fn write(out: &mut BytesMut, config: &CodecConfig) {
    let Some(sound) = config.sound() else {
        return;
    };
    let channels = match config {
        CodecConfig::Aac(aac) => channel_count(aac.channels),
        _ => u16::from(sound.channels),
    };
    let sample_bits = match config {
        CodecConfig::Flac(flac) => u16::from(flac.bits_per_sample),
        _ => 16,
    };
    write_box(out, config.four_cc(), |out| {
        out.put_bytes(0, 6);
        out.put_u16(1); // data_reference_index
        out.put_u64(0);
        out.put_u16(channels);
        out.put_u16(sample_bits); // samplesize
        out.put_u32(0);
        // 16.16 fixed point; a rate that does not fit is left to the configuration.
        out.put_u16(u16::try_from(config.timescale()).unwrap_or(0));
        out.put_u16(0);
        let record = |out: &mut BytesMut| out.put_slice(config.record());
        match config {
            CodecConfig::Aac(_) => esds::write(out, esds::AUDIO_14496_3, config.record()),
            CodecConfig::Mp2(mp2) => esds::write(out, mp2.object_type_indication(), &[]),
            CodecConfig::Mp3(mp3) => esds::write(out, mp3.object_type_indication(), &[]),
            CodecConfig::Opus(_) => write_box(out, *b"dOps", record),
            CodecConfig::Flac(_) => write_full_box(out, *b"dfLa", 0, 0, record),
            CodecConfig::Ac3(_) => write_box(out, *b"dac3", record),
            _ => write_box(out, *b"dec3", record),
        }
    });
}

/// Speakers of a channel configuration, ISO/IEC 14496-3 table 1.19; 0 where the stream
/// itself tells.
fn channel_count(channel_configuration: u8) -> u16 {
    match channel_configuration {
        c @ 1..=6 => u16::from(c),
        7 | 12 | 14 => 8,
        11 => 7,
        _ => 0,
    }
}

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
    let known = [b"mp4a", b"enca", b"Opus", b"fLaC", b"ac-3", b"ec-3"];
    if known.contains(&&b.four_cc.0) {
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
            _ => {
                if let Some(config) = read_config(&child) {
                    description.config = Some(config);
                }
            }
        }
    }
    Ok(())
}

fn read_config(b: &BoxBody) -> Option<Result<CodecConfig, weir_media::Error>> {
    let record = b.fields().rest();
    Some(match &b.four_cc.0 {
        b"dOps" => OpusConfig::parse(record).map(CodecConfig::Opus),
        // Behind version and flags.
        b"dfLa" => FlacConfig::parse(record.get(4..).unwrap_or_default()).map(CodecConfig::Flac),
        b"dac3" => Ac3Config::parse(record).map(CodecConfig::Ac3),
        b"dec3" => Eac3Config::parse(record).map(CodecConfig::Eac3),
        _ => return None,
    })
}

fn read_esds(b: &BoxBody, description: &mut Description) -> Result<(), Error> {
    let esds = Esds::read(b)?;
    let mut mp3 = None;
    if let Details::Audio {
        object_type_indication,
        sample_rate,
        channels,
    } = &mut description.details
    {
        *object_type_indication = Some(esds.object_type_indication);
        // There is no record: its frames tell. Layers 1 and 2 have the same number.
        mp3 = Mp3Config::described(*sample_rate, *channels);
    }
    if esds.is_aac() {
        description.config = esds
            .specific
            .map(|record| AacConfig::parse(record).map(CodecConfig::Aac));
    } else if esds.is_mpeg_audio() {
        description.config = mp3.map(|mp3| Ok(CodecConfig::Mp3(mp3)));
    }
    Ok(())
}
