//! Enhanced RTMP: what a body by `FourCC` becomes, what is repaired, and what bad bodies cost.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use bytes::Bytes;
use common::{PPS, SPS, avc, h264_config, nals};
use weir_media::flac::FlacConfig;
use weir_media::hevc::HevcConfig;
use weir_media::picture::{Colour, ContentLight, Hdr, MasteringDisplay};
use weir_media::{CodecConfig, Frame, Mono, TrackId, TrackKind};
use weir_rtmp::demux::{Demuxer, Media, TrackFaultReason};
use weir_rtmp::limits::TRACKS_MAX;
use weir_rtmp::mux;

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
/// A sequence header OBU of Main profile 320x180.
const SEQUENCE_HEADER: &[u8] = &[
    0x0a, 0x0b, 0x00, 0x00, 0x00, 0x04, 0x3c, 0xfe, 0xcc, 0x02, 0xf8, 0x00, 0x40,
];
/// A VP9 key frame's start, 320x180.
const VP9_KEY: &[u8] = &[
    0x82, 0x49, 0x83, 0x42, 0x00, 0x13, 0xf0, 0x0b, 0x36, 0x06, 0x38,
];
const STREAMINFO: &[u8] = &[
    0x12, 0x00, 0x12, 0x00, 0x00, 0x02, 0x9b, 0x00, 0x04, 0xff, 0x0b, 0xb8, 0x00, 0xf0, 0x00, 0x04,
    0x65, 0x00, 0x55, 0x0b, 0x82, 0xb4, 0xd2, 0x4e, 0x66, 0xf3, 0xf4, 0x20, 0x19, 0xdc, 0x4f, 0x97,
    0x8b, 0x68,
];
const IDR: &[u8] = &[0x26, 1, 2, 3];
const TRAIL: &[u8] = &[0x02, 1, 2, 3];

/// A demuxer and what came out of it.
#[derive(Default)]
struct Bench(Demuxer);

impl Bench {
    fn video(&mut self, timestamp: u32, parts: &[&[u8]]) -> Vec<Media> {
        self.0
            .handle_video(timestamp, parts.concat().into(), Mono(5));
        std::iter::from_fn(|| self.0.poll_media()).collect()
    }

    fn audio(&mut self, timestamp: u32, parts: &[&[u8]]) -> Vec<Media> {
        self.0
            .handle_audio(timestamp, parts.concat().into(), Mono(5));
        std::iter::from_fn(|| self.0.poll_media()).collect()
    }
}

fn frame(media: &[Media]) -> &Frame {
    let frames = media.iter().filter_map(|m| match m {
        Media::Frame(frame) => Some(frame),
        _ => None,
    });
    let frames: Vec<&Frame> = frames.collect();
    assert_eq!(frames.len(), 1, "{media:?}");
    frames[0]
}

fn config(media: &[Media]) -> (TrackId, &CodecConfig) {
    let mut configs = media.iter().filter_map(|m| match m {
        Media::Config { track, config } => Some((*track, config)),
        _ => None,
    });
    configs.next().unwrap_or_else(|| panic!("{media:?}"))
}

fn fault(media: &[Media]) -> (TrackId, TrackFaultReason) {
    match media {
        [Media::Fault(fault)] => (fault.track, fault.reason),
        other => panic!("{other:?}"),
    }
}

fn hevc() -> CodecConfig {
    CodecConfig::Hevc(HevcConfig::parse(Bytes::from_static(HVCC)).unwrap())
}

fn with_hevc() -> Bench {
    let mut b = Bench::default();
    let media = b.video(0, &[b"\x90hvc1", HVCC]);
    assert_eq!(media.len(), 1);
    assert_eq!(config(&media), (TrackId::SOURCE_VIDEO, &hevc()));
    b
}

#[test]
fn composition_times_are_of_coded_frames_only() {
    let mut b = with_hevc();
    let coded = b.video(40, &[b"\x91hvc1\xff\xff\xd8", &nals(&[IDR])]);
    let f = frame(&coded);
    assert!(f.key);
    assert_eq!((f.dts, f.pts), (3600, 0), "a negative one");
    let x = b.video(80, &[b"\xa3hvc1", &nals(&[TRAIL])]);
    assert_eq!(
        (frame(&x).dts, frame(&x).pts, frame(&x).key),
        (7200, 7200, false)
    );
    // The end, an empty frame and an empty record, which ffmpeg sends, are nothing.
    assert!(b.video(80, &[b"\x90hvc1"]).is_empty());
    assert!(b.video(80, &[b"\x92hvc1"]).is_empty());
    assert!(b.video(80, &[b"\xa1hvc1"]).is_empty());
    let short = b.video(80, &[b"\xa1hvc1\0\0"]);
    let truncated = TrackFaultReason::Truncated("compositionTimeOffset");
    assert_eq!(fault(&short).1, truncated);
}

#[test]
fn the_frame_type_is_not_believed() {
    let mut b = with_hevc();
    // The first OBS with HEVC sent frame type 0.
    assert!(frame(&b.video(0, &[b"\x81hvc1\0\0\0", &nals(&[IDR])])).key);
    assert!(!frame(&b.video(40, &[b"\x91hvc1\0\0\0", &nals(&[TRAIL])])).key);
    // A command is no second configuration.
    assert!(b.video(40, &[b"\xd0\x01"]).is_empty());
}

#[test]
fn nanoseconds_move_the_presentation_only() {
    let mut b = with_hevc();
    // ModEx of 3 bytes: 500,000 ns, then CodedFramesX.
    let media = b.video(10, &[b"\x97\x02\x07\xa1\x20\x03hvc1", &nals(&[IDR])]);
    assert_eq!((frame(&media).dts, frame(&media).pts), (900, 945));
    let media = b.audio(10, &[b"\x97\x02\x07\xa1\x20\x01Opus\xf8x"]);
    let sound = frame(&media);
    assert_eq!((sound.dts, sound.pts), (504, 504));
}

#[test]
fn hevc_by_its_old_number_and_under_that_of_h264() {
    for first in [0x1c, 0x17] {
        let mut b = Bench::default();
        let media = b.video(0, &[&[first, 0, 0, 0, 0], HVCC]);
        assert_eq!(config(&media).1, &hevc());
        let told = media
            .iter()
            .any(|m| matches!(m, Media::Fault(f) if f.reason == TrackFaultReason::HevcAsAvc));
        assert_eq!(told, first == 0x17, "mended, but told");
        let inter = first & 0xf | 0x20;
        let media = b.video(40, &[&[inter, 1, 0, 0, 40], &nals(&[IDR])]);
        assert_eq!((frame(&media).pts, frame(&media).key), (7200, true));
        // Again is no news.
        assert!(b.video(40, &[&[first, 0, 0, 0, 0], HVCC]).is_empty());
    }
    // H.264 may come back.
    let mut b = Bench::default();
    b.video(0, &[&[0x17, 0, 0, 0, 0], HVCC]);
    let media = b.video(0, &[&[0x17, 0, 0, 0, 0], avc().record()]);
    assert_eq!(config(&media).1, &h264_config());
    assert!(frame(&b.video(0, &[&[0x27, 1, 0, 0, 0], &nals(&[&[0x65, 1]])])).key);
}

#[test]
fn h264_by_four_cc() {
    let mut b = Bench::default();
    let media = b.video(0, &[b"\x90avc1", avc().record()]);
    assert_eq!(config(&media).1, &h264_config());
    let media = b.video(0, &[b"\x91avc1\0\0\x28", &nals(&[SPS, PPS, &[0x65, 1]])]);
    assert_eq!((frame(&media).pts, frame(&media).key), (3600, true));
    assert_eq!(media.len(), 1, "parameter sets in the stream are no news");
}

#[test]
fn parameter_sets_in_the_stream_configure_where_nothing_else_does() {
    let c = HevcConfig::parse(Bytes::from_static(HVCC)).unwrap();
    let sets = [&c.vps()[0][..], &c.sps()[0], &c.pps()[0], IDR];
    let mut b = Bench::default();
    let media = b.video(0, &[b"\x93hvc1", &nals(&sets)]);
    assert_eq!(config(&media).1, &hevc());
    assert!(frame(&media).key);
    // With start codes too.
    let mut b = Bench::default();
    let start_codes: Vec<u8> = sets
        .iter()
        .flat_map(|s| [&[0, 0, 1], *s].concat())
        .collect();
    let media = b.video(0, &[b"\x93hvc1", &start_codes]);
    assert_eq!(frame(&media).payload, nals(&sets));
}

#[test]
fn av1_temporal_units() {
    let mut b = Bench::default();
    let record = [&[0x81, 0, 0x0c, 0], SEQUENCE_HEADER].concat();
    let media = b.video(0, &[b"\x90av01", &record]);
    assert_eq!(config(&media).1.codec_string(), "av01.0.00M.08");
    // Delimiters are taken off; a key frame without sequence header gets it.
    let media = b.video(0, &[b"\x91av01", &[0x12, 0, 0x32, 2, 0x10, 9]]);
    let f = frame(&media);
    assert!(f.key);
    assert_eq!(f.payload, [SEQUENCE_HEADER, &[0x32, 2, 0x10, 9]].concat());
    let media = b.video(40, &[b"\xa1av01", &[0x12, 0, 0x32, 2, 0x30, 9]]);
    assert_eq!(&frame(&media).payload[..], [0x32, 2, 0x30, 9]);
    // One with its own is left as it is, and is believed.
    let media = b.video(80, &[b"\x91av01", SEQUENCE_HEADER, &[0x32, 2, 0x10, 9]]);
    assert_eq!(frame(&media).payload.len(), SEQUENCE_HEADER.len() + 4);
    assert_eq!(media.len(), 1);
    // A record without sequence header, and MPEG-TS's descriptor, wait for a key frame.
    for start in [
        &b"\x90av01\x81\x00\x0c\x00"[..],
        b"\x95av01\x80\x04\x81\x00",
    ] {
        let mut b = Bench::default();
        assert!(b.video(0, &[start]).is_empty());
        let early = b.video(0, &[b"\xa1av01", &[0x32, 2, 0x30, 9]]);
        assert_eq!(fault(&early).1, TrackFaultReason::NoConfig);
        let media = b.video(0, &[b"\x91av01", SEQUENCE_HEADER, &[0x32, 2, 0x10, 9]]);
        assert!(matches!(config(&media).1, CodecConfig::Av1(_)));
    }
}

#[test]
fn vp9_waits_for_the_size_in_a_key_frame() {
    let mut b = Bench::default();
    let vpcc = b"\x01\0\0\0\0\x0b\x82\x02\x02\x02\0\0";
    assert!(b.video(0, &[b"\x90vp09", vpcc]).is_empty());
    let media = b.video(0, &[b"\x91vp09", VP9_KEY]);
    let picture = config(&media).1.picture().unwrap();
    assert_eq!((picture.width, picture.height), (320, 180));
    assert!(frame(&media).key);
    assert!(!frame(&b.video(40, &[b"\xa1vp09", &[0x86, 0, 0x40]])).key);
    let mut larger = VP9_KEY.to_vec();
    larger[5] = 0x23;
    let media = b.video(80, &[b"\x91vp09", &larger]);
    assert_eq!(config(&media).1.picture().unwrap().width, 576);
    // Without a record.
    let media = Bench::default().video(0, &[b"\x91vp09", VP9_KEY]);
    assert_eq!(config(&media).1.codec_string(), "vp09.00.11.08");
}

#[test]
fn colour_information_is_a_new_configuration() {
    let hdr = Hdr {
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
    };
    let mut wanted = hevc();
    wanted.set_hdr(hdr);
    let body = mux::colour_info(TrackId::SOURCE_VIDEO, &wanted, 0).unwrap();
    let mut b = with_hevc();
    let media = b.video(0, &[body.head(), &body.data]);
    assert_eq!(config(&media).1, &wanted);
    assert!(b.video(0, &[body.head(), &body.data]).is_empty(), "no news");
    // It stays over a repeated sequence header, and may come before the first.
    assert!(b.video(0, &[b"\x90hvc1", HVCC]).is_empty());
    let mut b = Bench::default();
    assert!(b.video(0, &[body.head(), &body.data]).is_empty());
    assert_eq!(config(&b.video(0, &[b"\x90hvc1", HVCC])).1, &wanted);
}

#[test]
fn audio_codecs_tell_their_configuration() {
    let mut b = Bench::default();
    let head = b"OpusHead\x01\x02\x38\x01\x80\xbb\0\0\0\0\0";
    let media = b.audio(0, &[b"\x90Opus", head]);
    assert_eq!(config(&media).1.sound().unwrap().channels, 2);
    let media = b.audio(20, &[b"\x91Opus\xfcx"]);
    assert_eq!((frame(&media).dts, media.len()), (960, 1));
    assert!(b.audio(20, &[b"\x94Opus\x01\x02\0\0\0\x03"]).is_empty());
    // Opus without a header is what its first packet is.
    let media = Bench::default().audio(0, &[b"\x91Opus\xf8x"]);
    assert_eq!(config(&media).1.sound().unwrap().channels, 1);
    // FLAC, in both forms.
    let flac = FlacConfig::parse(STREAMINFO).unwrap();
    for record in [STREAMINFO, &[b"fLaC", &flac.record()[..]].concat()] {
        let mut b = Bench::default();
        let media = b.audio(0, &[b"\x90fLaC", record]);
        assert_eq!(config(&media).1, &CodecConfig::Flac(flac.clone()));
        let media = b.audio(0, &[b"\x91fLaC\xff\xf8\x5a\x08\x00\x81x"]);
        assert_eq!(frame(&media).dts, 0);
    }
    // AC-3 and MP3 say it in each frame.
    let ac3 = [0x0b, 0x77, 0x12, 0x34, 0x1e, 0x40, 0xe1, 0xdf];
    let media = Bench::default().audio(32, &[b"\x91ac-3", &ac3]);
    assert_eq!(config(&media).1.codec_string(), "ac-3");
    assert_eq!(frame(&media).dts, 1536);
    for head in [&b"\x91.mp3"[..], &[0x2f], &[0xe2]] {
        let mut b = Bench::default();
        let media = b.audio(0, &[head, &[0xff, 0xfb, 0x90, 0x64]]);
        assert_eq!(config(&media).1.codec_string(), "mp4a.6B");
        assert_eq!(&frame(&media).payload[..], [0xff, 0xfb, 0x90, 0x64]);
        assert_eq!(b.audio(26, &[head, &[0xff, 0xfb, 0x92, 0x44]]).len(), 1);
    }
    // AAC by FourCC.
    let mut b = Bench::default();
    let media = b.audio(0, &[b"\x90mp4a\x11\x90"]);
    assert_eq!(config(&media).1.codec_string(), "mp4a.40.2");
    assert_eq!(frame(&b.audio(0, &[b"\x91mp4a\x21"])).payload.len(), 1);
}

#[test]
fn several_tracks_in_one_message() {
    let mut b = Bench::default();
    let len = |n: usize| (n as u32).to_be_bytes()[1..].to_vec();
    // Many tracks of one codec, then of many.
    let media = b.video(
        0,
        &[
            b"\x96\x10hvc1\x00",
            &len(HVCC.len()),
            HVCC,
            b"\x02",
            &len(HVCC.len()),
            HVCC,
        ],
    );
    let tracks: Vec<TrackId> = media
        .iter()
        .map(|m| match m {
            Media::Config { track, .. } => *track,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(tracks, [TrackId(1), TrackId(5)]);
    let record = avc().record().clone();
    let media = b.video(0, &[b"\x96\x20avc1\x01", &len(record.len()), &record]);
    assert_eq!(config(&media), (TrackId(3), &h264_config()));
    let media = b.video(40, &[b"\x96\x03hvc1\x02", &nals(&[IDR])]);
    assert_eq!(frame(&media).track, TrackId(5));
    let media = b.audio(0, &[b"\x95\x01Opus\x03\xf8x"]);
    assert_eq!(config(&media).0, TrackId::numbered(TrackKind::Audio, 3));
    assert_eq!(frame(&media).track, TrackId(8));
}

#[test]
fn one_bad_track_does_not_touch_another() {
    let mut b = with_hevc();
    let idr = nals(&[IDR]);
    let size = (idr.len() as u32).to_be_bytes();
    let media = b.video(
        0,
        &[b"\x96\x23hvc1\x00", &size[1..], &idr, b"vvc1\x01\0\0\x01x"],
    );
    assert_eq!(frame(&media).track, TrackId::SOURCE_VIDEO);
    let Some(Media::Fault(fault)) = media.last() else {
        panic!("{media:?}");
    };
    let unknown = TrackFaultReason::EnhancedCodec(*b"vvc1");
    assert_eq!((fault.track, fault.reason), (TrackId(3), unknown));
    // Told once.
    let media = b.video(
        0,
        &[b"\x96\x23hvc1\x00", &size[1..], &idr, b"vvc1\x01\0\0\x01x"],
    );
    assert_eq!(media.len(), 1);
}

#[test]
fn bad_messages_are_faults_and_nothing_else() {
    let mut b = with_hevc();
    let cases: [(&[u8], TrackFaultReason); 7] = [
        (b"\x90hv", TrackFaultReason::Truncated("FourCC")),
        (b"\x97\x05\x01", TrackFaultReason::Truncated("end of ModEx")),
        (b"\x97\xff\x01", TrackFaultReason::Truncated("ModEx size")),
        (b"\x96", TrackFaultReason::Truncated("multitrack type")),
        (b"\x96\x11hvc1", TrackFaultReason::Truncated("track id")),
        (
            b"\x96\x11hvc1\0\0\0\x05ab",
            TrackFaultReason::Truncated("end of track"),
        ),
        // Multitrack inside of multitrack.
        (b"\x96\x06hvc1\0\0", TrackFaultReason::PacketType(6)),
    ];
    for (body, reason) in cases {
        assert_eq!(fault(&b.video(0, &[body])).1, reason, "{body:x?}");
    }
    assert!(b.video(0, &[b"\x9ahvc1x"]).is_empty(), "told once");
    // Configurations that cannot be, and frames that contradict theirs.
    for body in [&b"\x90hvc1\x01\x02"[..], b"\x90av01\x81", b"\x90vp09\x01"] {
        let media = b.video(0, &[body]);
        let [Media::Fault(fault)] = &media[..] else {
            panic!("{body:x?}: {media:?}");
        };
        assert!(matches!(fault.reason, TrackFaultReason::Config(_)));
    }
    for body in [
        &b"\xa3hvc1\0\0\0\x09x"[..],
        b"\xa1vp09\0",
        b"\xa1av01\x32\x09",
    ] {
        let reason = fault(&b.video(0, &[body])).1;
        assert!(matches!(reason, TrackFaultReason::Frame(_)), "{reason:?}");
    }
    for body in [
        &b"\x91ac-3xx"[..],
        b"\x91.mp3xxxx",
        b"\x91ec-3xx",
        b"\x91Opus\xfb",
    ] {
        let reason = fault(&b.audio(0, &[body])).1;
        assert!(matches!(reason, TrackFaultReason::Frame(_)), "{reason:?}");
    }
    assert!(frame(&b.video(40, &[b"\x93hvc1", &nals(&[IDR])])).key);
}

#[test]
fn tracks_are_limited() {
    let mut b = Bench::default();
    let mut configs = 0;
    let mut faults = 0;
    for track in 0..=255u8 {
        for media in b.video(0, &[b"\x96\x00hvc1", &[track], HVCC]) {
            match media {
                Media::Config { .. } => configs += 1,
                Media::Fault(fault) => {
                    assert_eq!(fault.reason, TrackFaultReason::TooManyTracks);
                    faults += 1;
                }
                Media::Frame(_) => unreachable!(),
            }
        }
    }
    assert_eq!((configs, faults), (TRACKS_MAX, 1));
    // Ten thousand empty parts in one message cost no more than as many as there are tracks.
    let mut body = b"\x96\x11av01".to_vec();
    body.extend([7, 0, 0, 0].repeat(10_000));
    let media = b.video(0, &[&body]);
    assert_eq!(fault(&media).1, TrackFaultReason::TooManyTracks);
}

#[test]
fn muxed_frames_come_back() {
    let opus = weir_media::opus::OpusConfig::plain(true);
    let flac = FlacConfig::parse(STREAMINFO).unwrap();
    let record = [&[0x81, 0, 0x0c, 0], SEQUENCE_HEADER].concat();
    let av1 = weir_media::av1::Av1Config::parse(record.into()).unwrap();
    let key = weir_media::vp9::key_frame(VP9_KEY).unwrap().unwrap();
    let vp9 = weir_media::vp9::Vp9Config::of_key_frame(&key, None);
    let mp3 = weir_media::mp3::Mp3Config::described(48_000, 2).unwrap();
    let mp3_in_flv = weir_media::mp3::Mp3Config::described(44_100, 2).unwrap();
    let aac = common::aac_config();
    let av1_key = [SEQUENCE_HEADER, &[0x32, 2, 0x10, 9]].concat();
    let cases: [(CodecConfig, Vec<u8>); 10] = [
        (h264_config(), nals(&[&[0x65, 1]]).to_vec()),
        (hevc(), nals(&[IDR]).to_vec()),
        (CodecConfig::Av1(av1), av1_key),
        (CodecConfig::Vp9(vp9), VP9_KEY.to_vec()),
        (aac, vec![0x21]),
        (CodecConfig::Opus(opus), vec![0xfc, 1]),
        (CodecConfig::Flac(flac), vec![0xff, 0xf8, 0x5a, 8, 0, 1]),
        (CodecConfig::Mp3(mp3), vec![0xff, 0xfb, 0x94, 0]),
        (CodecConfig::Mp3(mp3_in_flv), vec![0xff, 0xfb, 0x90, 0]),
        (h264_config(), nals(&[&[0x65, 1]]).to_vec()),
    ];
    for (number, (config, payload)) in (0u8..2).flat_map(|n| cases.iter().map(move |c| (n, c))) {
        let kind = config.kind();
        let track = TrackId::numbered(kind, number);
        let sent = Frame {
            track,
            kind,
            dts: i64::from(config.timescale()),
            pts: i64::from(config.timescale()),
            key: true,
            received_at: Mono(5),
            payload: payload.clone().into(),
        };
        let mut b = Bench::default();
        let bodies = [
            mux::sequence_header(track, config, 0),
            Some(mux::frame(&sent, config)),
        ];
        let mut media = Vec::new();
        for body in bodies.iter().flatten() {
            assert_eq!(body.len(), body.head().len() + body.data.len());
            let parts = [body.head(), &body.data];
            media.extend(match kind {
                TrackKind::Video => b.video(body.timestamp, &parts),
                TrackKind::Audio => b.audio(body.timestamp, &parts),
            });
        }
        let what = config.codec_string();
        assert_eq!(self::config(&media), (track, config), "{what}");
        assert_eq!(frame(&media), &sent, "{what}");
    }
}
