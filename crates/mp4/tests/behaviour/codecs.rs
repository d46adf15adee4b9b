//! Sample entries of every codec, read by `mp4-atom`, which shares no code with us, and back by
//! our own reader.

use crate::build::{audio, video};
use bytes::Bytes;
use mp4_atom::{Codec, Decode, Ftyp, Moov};
use weir_media::ac3::{Ac3Config, Eac3Config};
use weir_media::av1::Av1Config;
use weir_media::flac::FlacConfig;
use weir_media::hevc::HevcConfig;
use weir_media::mp3::Mp3Config;
use weir_media::opus::OpusConfig;
use weir_media::picture::{Colour, ContentLight, Hdr, MasteringDisplay};
use weir_media::vp9::Vp9Config;
use weir_media::{CodecConfig, TrackId};
use weir_mp4::{init_config, init_segment};

/// Main profile 320x180 by x265.
const HVCC: &[u8] = &[
    0x01, 0x01, 0x60, 0x00, 0x00, 0x00, 0x90, 0x00, 0x00, 0x00, 0x00, 0x00, 0x3c, 0xf0, 0x00, 0xfc,
    0xfd, 0xf8, 0xf8, 0x00, 0x00, 0x0f, 0x03, 0x20, 0x00, 0x01, 0x00, 0x18, 0x40, 0x01, 0x0c, 0x01,
    0xff, 0xff, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00,
    0x3c, 0x95, 0x90, 0x09, 0x21, 0x00, 0x01, 0x00, 0x2b, 0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00,
    0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x3c, 0xa0, 0x0a, 0x08, 0x0c, 0x1f,
    0x3e, 0x59, 0x59, 0x12, 0x93, 0x0b, 0xc0, 0x5a, 0x02, 0x00, 0x00, 0x03, 0x00, 0x02, 0x00, 0x00,
    0x03, 0x00, 0x3c, 0x10, 0x22, 0x00, 0x01, 0x00, 0x06, 0x44, 0x01, 0xc0, 0x73, 0xc1, 0x89,
];
/// Main profile 320x180 by SVT-AV1.
const AV1C: &[u8] = &[
    0x81, 0x00, 0x0c, 0x00, 0x0a, 0x0b, 0x00, 0x00, 0x00, 0x04, 0x3c, 0xfe, 0xcc, 0x02, 0xf8, 0x00,
    0x40,
];
const VPCC: &[u8] = &[1, 0, 0, 0, 0, 0x0b, 0x82, 2, 2, 2, 0, 0];
const STREAMINFO: &[u8] = &[
    0x12, 0x00, 0x12, 0x00, 0x00, 0x02, 0x9b, 0x00, 0x04, 0xff, 0x0b, 0xb8, 0x00, 0xf0, 0x00, 0x04,
    0x65, 0x00, 0x55, 0x0b, 0x82, 0xb4, 0xd2, 0x4e, 0x66, 0xf3, 0xf4, 0x20, 0x19, 0xdc, 0x4f, 0x97,
    0x8b, 0x68,
];

fn hevc() -> CodecConfig {
    CodecConfig::Hevc(HevcConfig::parse(Bytes::from_static(HVCC)).unwrap())
}

fn av1() -> CodecConfig {
    CodecConfig::Av1(Av1Config::parse(Bytes::from_static(AV1C)).unwrap())
}

fn all() -> Vec<CodecConfig> {
    let ac3 = [0x0b, 0x77, 0x12, 0x34, 0x1e, 0x40, 0xe1, 0xdf];
    let mut eac3 = vec![0x0b, 0x77, 0x01, 0x7f, 0x3f, 0x86];
    eac3.resize(768, 0);
    vec![
        video(),
        hevc(),
        av1(),
        CodecConfig::Vp9(Vp9Config::parse(VPCC, 320, 180).unwrap()),
        audio(),
        CodecConfig::Opus(OpusConfig::plain(true)),
        CodecConfig::Flac(FlacConfig::parse(STREAMINFO).unwrap()),
        CodecConfig::Ac3(Ac3Config::of_frame(&ac3).unwrap()),
        CodecConfig::Eac3(Eac3Config::of_packet(&eac3).unwrap()),
        CodecConfig::Mp3(Mp3Config::described(44_100, 2).unwrap()),
        CodecConfig::Mp3(Mp3Config::described(16_000, 1).unwrap()),
    ]
}

fn hdr() -> Hdr {
    Hdr {
        colour: Some(Colour {
            primaries: 9,
            transfer: 16,
            matrix: 9,
            full_range: false,
        }),
        mastering_display: Some(MasteringDisplay {
            primaries: [(8500, 39_850), (6550, 2300), (35_400, 14_600)],
            white_point: (15_635, 16_450),
            luminance_max: 10_000_000,
            luminance_min: 50,
        }),
        content_light: Some(ContentLight {
            content_max: 1000,
            average_max: 400,
        }),
    }
}

fn foreign(config: &CodecConfig) -> Codec {
    let init = init_segment(TrackId::source(config.kind()), config);
    let mut rest = &init[..];
    Ftyp::decode(&mut rest).unwrap();
    let mut moov = Moov::decode(&mut rest).unwrap();
    moov.trak.remove(0).mdia.minf.stbl.stsd.codecs.remove(0)
}

#[test]
fn every_init_is_read_back() {
    for mut config in all() {
        for hdr in [Hdr::default(), hdr()] {
            config.set_hdr(hdr);
            let init = init_segment(TrackId::source(config.kind()), &config);
            assert_eq!(init_config(&init), Some(config.clone()));
            for n in 0..init.len() {
                let _ = init_config(&init.slice(..n));
            }
        }
    }
}

#[test]
fn a_foreign_reader_understands_every_video_entry() {
    let mut hevc = hevc();
    hevc.set_hdr(hdr());
    let Codec::Hvc1(entry) = foreign(&hevc) else {
        panic!("hvc1");
    };
    assert_eq!((entry.visual.width, entry.visual.height), (320, 180));
    assert_eq!(entry.hvcc.general_level_idc, 60);
    assert_eq!(entry.hvcc.arrays.len(), 3);
    assert!(entry.hvcc.arrays.iter().all(|a| a.completeness));
    assert_eq!(entry.hvcc.length_size_minus_one, 3);
    assert!(entry.colr.is_some());
    let Codec::Av01(entry) = foreign(&av1()) else {
        panic!("av01");
    };
    assert_eq!((entry.visual.width, entry.visual.height), (320, 180));
    assert_eq!(entry.av1c.config_obus, AV1C[4..]);
    let vp9 = CodecConfig::Vp9(Vp9Config::parse(VPCC, 320, 180).unwrap());
    let Codec::Vp09(entry) = foreign(&vp9) else {
        panic!("vp09");
    };
    assert_eq!((entry.vpcc.level, entry.vpcc.bit_depth), (11, 8));
}

#[test]
fn a_foreign_reader_understands_every_audio_entry() {
    for config in all().into_iter().skip(5) {
        let sound = config.sound().unwrap();
        let audio = match foreign(&config) {
            Codec::Opus(entry) => {
                assert_eq!(entry.dops.output_channel_count, 2);
                entry.audio
            }
            Codec::Flac(entry) => {
                assert_eq!(entry.dfla.blocks.len(), 1);
                entry.audio
            }
            Codec::Ac3(entry) => {
                assert_eq!((entry.dac3.acmod, entry.dac3.bit_rate_code), (7, 15));
                entry.audio
            }
            Codec::Eac3(entry) => {
                assert_eq!(entry.dec3.data_rate, 192);
                assert_eq!(entry.dec3.substreams[0].acmod, 7);
                entry.audio
            }
            Codec::Mp4a(entry) => {
                let decoder = &entry.esds.es_desc.dec_config;
                let wanted = if sound.sample_rate == 16_000 {
                    0x69
                } else {
                    0x6b
                };
                assert_eq!(decoder.object_type_indication, wanted);
                assert!(decoder.dec_specific.is_none());
                entry.audio
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(audio.channel_count, u16::from(sound.channels));
        assert_eq!(u32::from(audio.sample_rate.integer()), sound.sample_rate);
    }
}
