//! Data with a time beside pictures and sound.
#![allow(clippy::unwrap_used)] // Helpers of tests are tests.

mod common;

use bytes::Bytes;
use common::{BOTH, Clip, SECOND, Scene, VIDEO, aac, h264};
use weir_hub::Output;
use weir_media::{Datum, DatumKind, Utc};

fn datum(ms: i64, payload: &'static [u8]) -> Datum {
    Datum {
        kind: DatumKind::Scte35,
        time_90k: ms * 90,
        payload: Bytes::from_static(payload),
    }
}

fn clip(seconds: u64, base_ms: i64) -> Clip {
    Clip {
        seconds,
        base_ms,
        whole_ms: false,
        ..Clip::default()
    }
}

/// Feeds a datum and takes what comes of data.
fn send(scene: &mut Scene, datum: Datum) -> Vec<(i64, Utc, Bytes)> {
    scene.stream.handle_datum(datum, scene.now());
    drain(scene)
}

fn drain(scene: &mut Scene) -> Vec<(i64, Utc, Bytes)> {
    let mut found = Vec::new();
    while let Some(output) = scene.stream.poll_output() {
        match output {
            Output::Datum {
                time_90k,
                utc,
                payload,
                ..
            } => found.push((time_90k, utc, payload)),
            other => scene.reader.take(other, scene.now()),
        }
    }
    found
}

#[test]
fn it_is_dated_like_the_segments_around_it() {
    let mut scene = Scene::new();
    scene.publish(BOTH, &[h264(), aac(48_000)]);
    scene.play(&clip(9, 50_000));
    let shots = scene.sent_of(weir_media::TrackKind::Video);
    let key = shots.iter().rev().find(|s| s.key).unwrap();
    // What is shown with a keyframe is dated as the segment that begins with it.
    let shown_ms = key.pts / 90;
    let found = send(&mut scene, datum(shown_ms, b"now"));
    scene.unpublish();
    let segment = *scene.reader.segments(VIDEO).last().unwrap();
    assert_eq!(found.len(), 1);
    assert!((found[0].0 - segment.decode_time).abs() <= 90);
    let apart = found[0].1.0 - segment.utc.0;
    assert!(apart.abs() <= 1000, "{apart}");
}

#[test]
fn it_waits_for_the_first_segment_and_may_be_ahead() {
    let mut scene = Scene::new();
    assert_eq!(send(&mut scene, datum(0, b"nobody")), []);
    scene.publish(BOTH, &[h264(), aac(48_000)]);
    assert_eq!(send(&mut scene, datum(58_000, b"soon")), []);
    let mut found = Vec::new();
    for shot in clip(4, 50_000).shots() {
        let frame = common::frame(
            shot.kind,
            shot.id,
            shot.dts,
            shot.pts,
            shot.key,
            scene.clock,
        );
        scene.stream.handle_frame(frame, scene.now());
        found.extend(drain(&mut scene));
    }
    assert_eq!(found.len(), 1);
    let (time, _, payload) = &found[0];
    assert_eq!(&payload[..], b"soon");
    let after_start = (time - 10 * 90_000) / 90;
    assert!((7_900..=8_000).contains(&after_start), "{after_start}");
    assert_eq!(scene.stats().data_dropped, 1);
}

#[test]
fn what_is_said_again_is_passed_over_and_floods_are_bounded() {
    let mut scene = Scene::new();
    scene.publish(BOTH, &[h264(), aac(48_000)]);
    scene.play(&clip(5, 0));
    assert_eq!(send(&mut scene, datum(6_000, b"a")).len(), 1);
    assert_eq!(send(&mut scene, datum(6_000, b"a")).len(), 0);
    assert_eq!(send(&mut scene, datum(6_500, b"a")).len(), 0);
    assert_eq!(send(&mut scene, datum(6_000, b"b")).len(), 1);
    assert_eq!(send(&mut scene, datum(60_000, b"a")).len(), 1);
    assert_eq!(scene.stats().data_repeated, 2);
    // Another clock, nothing, too much at once, too long.
    assert_eq!(send(&mut scene, datum(i64::MAX / 90, b"x")).len(), 0);
    assert_eq!(send(&mut scene, datum(i64::MIN / 90, b"x")).len(), 0);
    assert_eq!(send(&mut scene, datum(6_000, b"")).len(), 0);
    let long = Datum {
        payload: vec![1; 4097].into(),
        ..datum(6_000, b"")
    };
    assert_eq!(send(&mut scene, long).len(), 0);
    let mut taken = 0;
    for n in 0..1000 {
        taken += send(&mut scene, datum(6_000 + n * 20_000 / 90, b"flood")).len();
    }
    assert!(taken < 40, "{taken}");
    scene.run_to(scene.clock + 2 * SECOND);
    assert_eq!(send(&mut scene, datum(7_000, b"again")).len(), 1);
}
