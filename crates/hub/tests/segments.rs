//! What holds for every publisher, over frame rates, GOPs, rounding and reordering.
#![allow(clippy::unwrap_used)] // Helpers of tests are tests.

mod common;

use common::{AUDIO, BOTH, Clip, Gop, Rate, Rng, Scene, VIDEO, aac, h264};
use weir_hub::StreamConfig;
use weir_media::TrackKind;

/// Plays a clip from start to end and checks all that is promised of an orderly publisher.
fn play(clip: &Clip, config: StreamConfig) -> Scene {
    let mut scene = Scene::with(config);
    let rate = clip.audio.unwrap();
    scene.publish(BOTH, &[h264(), aac(rate)]);
    scene.play(clip);
    scene.unpublish();
    scene.assert_complete(TrackKind::Video, 0);
    scene.assert_complete(TrackKind::Audio, 0);
    scene.assert_video_exact();
    scene.assert_audio_near(rate);
    let early = clip.audio_shift_ms < -250;
    scene.reader.assert_aligned(if early { 2 } else { 1 });
    assert_eq!(scene.reader.discontinuities(), 0);
    let stats = scene.stats();
    assert_eq!((stats.dropped, stats.repaired, stats.bumps), (0, 0, 0));
    assert_eq!(stats.frames, scene.sent.len() as u64);
    for (i, segment) in scene.reader.segments(VIDEO).iter().enumerate() {
        assert!(
            segment.duration <= u64::from(scene.reader.target.unwrap()) * 90_000,
            "segment {i} of {:?}",
            clip
        );
    }
    let weak = scene
        .reader
        .segments(VIDEO)
        .iter()
        .filter(|s| !s.independent);
    assert_eq!(stats.forced_cuts, weak.count() as u64);
    scene
}

#[test]
fn every_frame_rate_and_gop() {
    let rates = [
        (24_000, 1001),
        (25, 1),
        (30_000, 1001),
        (30, 1),
        (50, 1),
        (60_000, 1001),
        (60, 1),
        (10, 1),
        (1, 1),
    ];
    for (n, d) in rates {
        // Half a second to 30 s.
        for halves in [1, 2, 3, 4, 5, 8, 12, 17, 20, 21, 60] {
            let gop = (halves * n / d / 2).max(1);
            for whole_ms in [true, false] {
                let clip = Clip {
                    seconds: 45,
                    video: Some(Rate::Fixed(n, d)),
                    gop: Gop::Frames(gop),
                    whole_ms,
                    bframes: n % 2 == 0,
                    audio: Some([48_000, 44_100, 8_000][(halves % 3) as usize]),
                    ..Clip::default()
                };
                play(&clip, StreamConfig::default());
            }
        }
    }
}

#[test]
fn seeded_irregular_publishers() {
    for seed in 1..=300 {
        let mut rng = Rng(seed * 7919);
        let low = rng.range(5, 60);
        let gop_low = rng.range(1, 100);
        let clip = Clip {
            seconds: rng.range(1, 60),
            video: Some(Rate::Variable(low, low + rng.range(0, 120))),
            gop: Gop::Irregular(gop_low, gop_low + rng.range(0, 300)),
            bframes: rng.range(0, 1) == 1,
            audio: Some([48_000, 44_100, 8_000][rng.range(0, 2) as usize]),
            whole_ms: rng.range(0, 3) > 0,
            base_ms: rng.range(0, 1 << 40) as i64 - (1 << 39),
            audio_shift_ms: rng.range(0, 800) as i64 - 400,
            audio_delay_ms: rng.range(0, 400),
            seed,
        };
        let config = StreamConfig {
            segment: common::ms(rng.range(1000, 7000)),
            part: common::ms(rng.range(2, 10) * 100),
            ..StreamConfig::default()
        };
        play(&clip, config);
    }
}

#[test]
fn segments_hold_as_many_gops_as_fit() {
    let cases = [
        // GOP in frames of 30 a second, first segments in seconds, target.
        (15, 4.0, 4),
        (60, 4.0, 4),
        (90, 3.0, 4),
        (120, 4.0, 4),
        (150, 5.0, 5),
        (165, 5.5, 6),
        (300, 10.0, 10),
    ];
    for (gop, seconds, target) in cases {
        let clip = Clip {
            seconds: 31,
            gop: Gop::Frames(gop),
            whole_ms: false,
            ..Clip::default()
        };
        let scene = play(&clip, StreamConfig::default());
        assert_eq!(scene.reader.target, Some(target), "gop {gop}");
        let got = scene.reader.seconds(VIDEO);
        assert!(got.len() >= 4 && got[..got.len() - 1].iter().all(|s| *s == seconds));
        assert!(scene.reader.segments(VIDEO).iter().all(|s| s.independent));
        assert_eq!(scene.stats().forced_cuts, 0);
    }
}

#[test]
fn a_keyframe_every_30_seconds_forces_cuts_at_10() {
    let clip = Clip {
        seconds: 61,
        gop: Gop::Frames(900),
        whole_ms: false,
        ..Clip::default()
    };
    let scene = play(&clip, StreamConfig::default());
    assert_eq!(scene.reader.target, Some(10));
    let seconds = scene.reader.seconds(VIDEO);
    assert_eq!(seconds[..6], [10.0; 6]);
    let independent: Vec<bool> = scene
        .reader
        .segments(VIDEO)
        .iter()
        .map(|s| s.independent)
        .collect();
    assert_eq!(independent, [true, false, false, true, false, false, true]);
    assert_eq!(scene.stats().forced_cuts, 4);
    let events = scene.count(|e| matches!(e, weir_hub::Event::ForcedCut { .. }));
    assert_eq!(events, 4);
}

#[test]
fn a_long_gop_later_is_cut_at_the_target_of_the_first() {
    let mut scene = Scene::new();
    scene.publish(BOTH, &[h264(), aac(48_000)]);
    let mut shots = Clip {
        seconds: 30,
        whole_ms: false,
        ..Clip::default()
    }
    .shots();
    for shot in &mut shots {
        // GOPs of 2 s up to 8 s, then one of 14 s.
        let late = shot.dts > 8 * 90_000 && shot.dts < 22 * 90_000;
        shot.key &= shot.kind == TrackKind::Audio || !late;
    }
    scene.play_shots(&shots);
    scene.unpublish();
    assert_eq!(scene.reader.target, Some(4));
    let seconds = scene.reader.seconds(VIDEO);
    assert_eq!(seconds, [4.0, 4.0, 4.0, 4.0, 4.0, 2.0, 4.0, 4.0]);
    scene.reader.assert_aligned(1);
    scene.assert_complete(TrackKind::Video, 0);
}

#[test]
fn audio_early_by_half_a_second_fits_the_target() {
    for gop in [119, 120] {
        let clip = Clip {
            gop: Gop::Frames(gop),
            audio_shift_ms: -500,
            whole_ms: false,
            ..Clip::default()
        };
        let scene = play(&clip, StreamConfig::default());
        assert_eq!(scene.reader.target, Some(4));
        let first = scene.reader.samples(AUDIO).next().unwrap().dts;
        assert_eq!(first, (9.5 * 48_000.0) as i64);
        assert_eq!(scene.reader.samples(VIDEO).next().unwrap().dts, 900_000);
    }
}

#[test]
fn parts_are_full() {
    let clip = Clip {
        whole_ms: false,
        ..Clip::default()
    };
    let scene = play(&clip, StreamConfig::default());
    for segment in &scene.reader.segments(VIDEO)[..4] {
        // 15 frames of 30 a second are 500 ms.
        assert_eq!(segment.parts, 8);
    }
    for segment in &scene.reader.segments(AUDIO)[..4] {
        // 23 audio frames are 490.7 ms, of 187 or 188.
        assert_eq!(segment.parts, 9);
    }
}

#[test]
fn parts_leave_without_waiting_for_the_next_frame() {
    let mut scene = Scene::new();
    scene.publish(BOTH, &[h264(), aac(48_000)]);
    let clip = Clip {
        seconds: 3,
        whole_ms: false,
        ..Clip::default()
    };
    scene.play(&clip);
    // The frame that fills a part is given out when its duration is known, one frame later.
    let newest = scene.sent_of(TrackKind::Video).last().unwrap().dts;
    let given = scene.reader.samples(VIDEO).last().unwrap();
    let behind = newest + 900_000 - (given.dts + i64::from(given.duration));
    assert!((0..45_000).contains(&behind));
}
