//! The demo's video, decoded again by openh264's decoder.

// A fault in a helper fails the test too; the lint excepts only the test functions themselves.
#![allow(clippy::unwrap_used)]

use openh264::OpenH264API;
use openh264::decoder::{Decoder, DecoderConfig, Flush};
use openh264::formats::YUVSource;
use weir_encode::Error;
use weir_encode::demo::{DemoConfig, DemoSource, Scene, VideoAu};
use weir_encode::h264;
use weir_encode::picture::{Area, Picture};

const FRAMES: usize = 90;
const FRAME_US: i64 = 33_333;
/// 2026-11-20 22:51:07 UTC.
const START_US: i64 = 1_795_215_067_000_000;

fn small() -> DemoConfig {
    DemoConfig {
        width: 640,
        height: 360,
        video_bitrate_bps: 800_000,
        ..DemoConfig::default()
    }
}

fn encode(config: DemoConfig, frames: usize) -> (Vec<VideoAu>, DemoSource) {
    let mut source = DemoSource::new(config).unwrap();
    let units = (0..i64::try_from(frames).unwrap())
        .map(|frame| source.next_video(START_US + frame * FRAME_US).unwrap())
        .collect();
    (units, source)
}

/// The NAL units of a length-prefixed access unit.
fn nals(payload: &[u8]) -> Vec<&[u8]> {
    let (mut rest, mut nals) = (payload, Vec::new());
    while let Some((length, tail)) = rest.split_first_chunk::<4>() {
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap();
        let (nal, tail) = tail.split_at(length);
        nals.push(nal);
        rest = tail;
    }
    assert!(rest.is_empty(), "bytes after the last NAL unit");
    nals
}

/// SPS and PPS out of an AVCDecoderConfigurationRecord with one of each.
fn parameter_sets(record: &[u8]) -> (&[u8], &[u8]) {
    let length = |at: usize| usize::from(u16::from_be_bytes([record[at], record[at + 1]]));
    assert_eq!(record[5], 0xe1, "one SPS");
    let sps_end = 8 + length(6);
    assert_eq!(record[sps_end], 1, "one PPS");
    let pps_end = sps_end + 3 + length(sps_end + 1);
    assert_eq!(pps_end, record.len());
    (&record[8..sps_end], &record[sps_end + 3..pps_end])
}

/// Width, height and luma without padding.
type Decoded = (usize, usize, Vec<u8>);

fn decode(units: &[VideoAu], record: &[u8]) -> Vec<Decoded> {
    let config = DecoderConfig::new().flush_after_decode(Flush::NoFlush);
    let mut decoder = Decoder::with_api_config(OpenH264API::from_source(), config).unwrap();
    let (sps, pps) = parameter_sets(record);
    let mut pictures = Vec::new();
    for (index, unit) in units.iter().enumerate() {
        let mut annex_b = Vec::new();
        let sets = if index == 0 {
            vec![sps, pps]
        } else {
            Vec::new()
        };
        for nal in sets.into_iter().chain(nals(&unit.payload)) {
            annex_b.extend_from_slice(&[0, 0, 0, 1]);
            annex_b.extend_from_slice(nal);
        }
        let picture = decoder
            .decode(&annex_b)
            .unwrap()
            .expect("no delay without B-frames");
        let (width, height) = picture.dimensions();
        let rows = picture.y().chunks(picture.strides().0);
        let luma = rows
            .take(height)
            .flat_map(|row| &row[..width])
            .copied()
            .collect();
        pictures.push((width, height, luma));
    }
    pictures
}

/// Mean of the absolute luma differences within an area.
fn mean_difference(one: &[u8], other: &[u8], width: usize, area: Area) -> f64 {
    let rows = area.top..area.bottom();
    let at = |luma: &[u8], row: usize| {
        luma[row * width + area.left..row * width + area.right()].to_vec()
    };
    let total: u64 = rows
        .flat_map(|row| at(one, row).into_iter().zip(at(other, row)))
        .map(|(a, b)| u64::from(a.abs_diff(b)))
        .sum();
    total as f64 / (area.width * area.height) as f64
}

#[test]
fn every_frame_decodes_and_shows_its_own_clock_and_number() {
    let (units, source) = encode(small(), FRAMES);
    assert!(
        units
            .iter()
            .map(|unit| unit.frame_number)
            .eq(0..FRAMES as u64)
    );
    let pictures = decode(&units, &source.avc_config());
    assert_eq!(pictures.len(), FRAMES);
    let mut scene = Scene::new(640, 360, 30);
    // The text panel, without the moving strip below, which would differ in any case.
    let area = Area {
        left: 0,
        top: 0,
        width: 640,
        height: 360 * 5 / 8,
    };
    for (frame, (width, height, luma)) in (0..).zip(&pictures) {
        assert_eq!((*width, *height), (640, 360));
        let expected = scene.draw(frame, START_US + i64::try_from(frame).unwrap() * FRAME_US);
        let own = mean_difference(luma, expected.luma().samples(), 640, area);
        // The same second, so that only the last digits of the clock and the counter differ.
        let other = if frame % 30 == 29 {
            frame - 1
        } else {
            frame + 1
        };
        let mut scene = Scene::new(640, 360, 30);
        let other = scene.draw(other, START_US + i64::try_from(other).unwrap() * FRAME_US);
        let wrong = mean_difference(luma, other.luma().samples(), 640, area);
        assert!(own < 2.0, "frame {frame}: {own:.2} off its picture");
        assert!(
            wrong > own * 1.5,
            "frame {frame}: {own:.2} against {wrong:.2}"
        );
    }
}

#[test]
fn key_frames_are_idr_at_the_configured_distance_and_units_hold_slices_only() {
    for gop_frames in [60, 25] {
        let (units, _) = encode(
            DemoConfig {
                gop_frames,
                ..small()
            },
            130,
        );
        for unit in &units {
            assert_eq!(unit.key, unit.frame_number % u64::from(gop_frames) == 0);
            let kinds = nals(&unit.payload)
                .iter()
                .map(|nal| nal[0] & 0x1f)
                .collect::<Vec<_>>();
            assert_eq!(
                kinds,
                [if unit.key { 5 } else { 1 }],
                "frame {}",
                unit.frame_number
            );
        }
    }
}

#[test]
fn avc_config_agrees_with_the_sps() {
    let source = DemoSource::new(DemoConfig::default()).unwrap();
    let record = source.avc_config();
    let (sps, pps) = parameter_sets(&record);
    assert_eq!(record[0], 1);
    assert_eq!(record[1..4], sps[1..4], "profile, compatibility, level");
    assert_eq!(record[1], 66);
    assert_eq!(
        record[2] & 0x40,
        0x40,
        "constraint_set1_flag: Constrained Baseline"
    );
    assert_eq!(record[4] & 3, 3, "four-byte lengths");
    assert_eq!(sps[0] & 0x1f, 7);
    assert_eq!(pps[0] & 0x1f, 8);
    assert_eq!(
        DemoSource::new(DemoConfig::default()).unwrap().avc_config(),
        record
    );
}

#[test]
fn rate_stays_near_the_target() {
    let config = DemoConfig::default();
    let (units, _) = encode(config, 300);
    let bits: usize = units.iter().map(|unit| unit.payload.len() * 8).sum();
    let rate = bits as f64 * f64::from(config.fps) / units.len() as f64;
    let target = f64::from(config.video_bitrate_bps);
    assert!(
        (target * 0.7..target * 1.2).contains(&rate),
        "{rate:.0} bit/s"
    );
}

#[test]
fn extremes_of_size_and_rate_encode() {
    for (width, height, fps) in [(320, 180, 1), (1920, 1080, 60), (322, 182, 24)] {
        let (units, source) = encode(
            DemoConfig {
                width,
                height,
                fps,
                ..small()
            },
            3,
        );
        let pictures = decode(&units, &source.avc_config());
        for (decoded_width, decoded_height, _) in pictures {
            let expected = (
                usize::try_from(width).unwrap(),
                usize::try_from(height).unwrap(),
            );
            assert_eq!((decoded_width, decoded_height), expected);
        }
    }
}

#[test]
fn bad_configurations_name_the_field() {
    let fault = |config: DemoConfig| match DemoSource::new(config).err() {
        Some(Error::OutOfRange { field, .. } | Error::OddDimension { field, .. }) => field,
        other => panic!("{other:?}"),
    };
    let good = DemoConfig::default();
    assert_eq!(fault(DemoConfig { width: 318, ..good }), "width");
    assert_eq!(fault(DemoConfig { width: 321, ..good }), "width");
    assert_eq!(
        fault(DemoConfig {
            height: 1082,
            ..good
        }),
        "height"
    );
    assert_eq!(
        fault(DemoConfig {
            height: 361,
            ..good
        }),
        "height"
    );
    assert_eq!(fault(DemoConfig { fps: 0, ..good }), "fps");
    assert_eq!(
        fault(DemoConfig {
            gop_frames: 0,
            ..good
        }),
        "gop_frames"
    );
    assert_eq!(
        fault(DemoConfig {
            video_bitrate_bps: 0,
            ..good
        }),
        "video_bitrate_bps"
    );
    assert_eq!(
        fault(DemoConfig {
            audio_bitrate_bps: 1,
            ..good
        }),
        "audio_bitrate_bps"
    );
}

#[test]
fn a_picture_of_another_size_is_refused() {
    let config = h264::Config {
        width: 640,
        height: 360,
        fps: 30,
        bitrate_bps: 800_000,
        gop_frames: 60,
    };
    let mut encoder = h264::Encoder::new(config).unwrap();
    let outcome = encoder.encode(&Picture::new(320, 180));
    assert!(
        matches!(
            outcome,
            Err(Error::PictureSize {
                given: (320, 180),
                ..
            })
        ),
        "{outcome:?}"
    );
    assert!(encoder.encode(&Picture::new(640, 360)).unwrap().key);
}

#[test]
fn a_source_may_move_to_its_own_thread() {
    fn is_send<T: Send>() {}
    is_send::<DemoSource>();
}
