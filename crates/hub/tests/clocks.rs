//! Publishers whose clocks step, stand still, run backward or lie.
#![allow(clippy::unwrap_used)] // Helpers of tests are tests.

mod common;

use common::{AUDIO, BOTH, Clip, Gop, Rng, SECOND, Scene, Shot, VIDEO, aac, h264};
use weir_hub::Event;
use weir_media::TrackKind;

fn exact(seconds: u64) -> Vec<Shot> {
    Clip {
        seconds,
        whole_ms: false,
        ..Clip::default()
    }
    .shots()
}

fn started() -> Scene {
    let mut scene = Scene::new();
    scene.publish(BOTH, &[h264(), aac(48_000)]);
    scene
}

/// Adds seconds to the times of all frames that `which` chooses.
fn shift(shots: &mut [Shot], seconds: i64, which: impl Fn(&Shot) -> bool) {
    for shot in shots.iter_mut().filter(|s| which(s)) {
        let rate = match shot.kind {
            TrackKind::Video => 90_000,
            TrackKind::Audio => 48_000,
        };
        shot.dts += seconds * rate;
        shot.pts += seconds * rate;
    }
}

/// Stream time that the frames of a track cover, in seconds.
fn covered(scene: &Scene, track: weir_media::TrackId, rate: f64) -> f64 {
    let first = scene.reader.samples(track).next().unwrap().dts;
    let last = scene.reader.samples(track).last().unwrap();
    (last.dts + i64::from(last.duration) - first) as f64 / rate
}

#[test]
fn a_jump_of_both_tracks_is_one_discontinuity_and_loses_nothing() {
    for hours in [-30, -1, 1, 1000] {
        let mut scene = started();
        let mut shots = exact(30);
        shift(&mut shots, hours * 3600, |s| s.at >= 13 * SECOND);
        scene.play_shots(&shots);
        scene.unpublish();
        scene.assert_complete(TrackKind::Video, 0);
        scene.assert_complete(TrackKind::Audio, 0);
        assert_eq!(scene.reader.discontinuities(), 1, "{hours} hours");
        assert_eq!(scene.stats().timestamp_steps, 1);
        assert!(scene.stats().repaired <= 6);
        let steps = scene.count(|e| {
            matches!(e, Event::TimestampStep { from, to, .. }
            if ((to - from) - hours * 3600 * 90_000).abs() < 90_000)
        });
        assert_eq!(steps, 1);
        // The discontinuity is at the next keyframe, at 14 s.
        let segments = scene.reader.segments(VIDEO);
        let at = segments.iter().find(|s| s.discontinuity).unwrap();
        assert!(at.independent);
        assert!((at.decode_time - 24 * 90_000).abs() < 9_000);
        for (track, rate) in [(VIDEO, 90_000.0), (AUDIO, 48_000.0)] {
            assert!((covered(&scene, track, rate) - 30.0).abs() < 0.2);
        }
    }
}

#[test]
fn audio_and_video_stay_together_over_a_jump() {
    let mut scene = started();
    let mut shots = exact(30);
    shift(&mut shots, 7200, |s| s.at >= 13 * SECOND);
    scene.play_shots(&shots);
    scene.unpublish();
    let video = scene.reader.samples(VIDEO).last().unwrap();
    let audio = scene.reader.samples(AUDIO).last().unwrap();
    let sent_video = scene.sent_of(TrackKind::Video).last().unwrap().dts;
    let sent_audio = scene.sent_of(TrackKind::Audio).last().unwrap().dts;
    let sent = sent_video as f64 / 90_000.0 - sent_audio as f64 / 48_000.0;
    let got = video.dts as f64 / 90_000.0 - audio.dts as f64 / 48_000.0;
    assert!((sent - got).abs() < 0.001, "{sent} {got}");
}

#[test]
fn a_jump_after_a_pause_advances_by_the_wall_clock() {
    let mut scene = started();
    let mut shots = exact(30);
    for shot in shots.iter_mut().filter(|s| s.at >= 13 * SECOND) {
        shot.at += 20 * SECOND;
    }
    shift(&mut shots, 5000, |s| s.at >= 33 * SECOND);
    scene.play_shots(&shots);
    scene.unpublish();
    assert_eq!(scene.reader.discontinuities(), 1);
    let at = scene
        .reader
        .segments(VIDEO)
        .iter()
        .find(|s| s.discontinuity)
        .unwrap();
    // The first keyframe after the pause: 14 s of media and 20 s of pause.
    assert!(at.independent);
    let late = at.decode_time - (10 + 34) * 90_000;
    assert!((-9_000..9_000).contains(&late), "{late}");
    let before = at.media_sequence - 1;
    let last = scene.reader.segments(VIDEO);
    let last = last.iter().find(|s| s.media_sequence == before).unwrap();
    assert!((last.duration as f64 / 90_000.0 - 1.0).abs() < 0.1);
}

#[test]
fn a_lone_stray_is_put_in_its_place() {
    for seconds in [-4000, -10, 10, 4000] {
        let mut scene = started();
        let mut shots = exact(20);
        let stray = shots
            .iter()
            .position(|s| s.kind == TrackKind::Video && s.at > 7 * SECOND)
            .unwrap();
        shift(&mut shots[stray..=stray], seconds, |_| true);
        scene.play_shots(&shots);
        scene.unpublish();
        scene.assert_complete(TrackKind::Video, 0);
        assert_eq!(scene.reader.discontinuities(), 0);
        let stats = scene.stats();
        assert_eq!((stats.repaired, stats.timestamp_steps), (1, 0));
        let durations: Vec<u32> = scene.reader.samples(VIDEO).map(|s| s.duration).collect();
        assert!(durations.iter().all(|d| (2999..=3001).contains(d)));
    }
}

#[test]
fn one_track_that_jumps_alone_goes_on_without_a_discontinuity() {
    for (kind, seconds) in [
        (TrackKind::Audio, 500),
        (TrackKind::Audio, -500),
        (TrackKind::Video, 500),
        (TrackKind::Video, -500),
    ] {
        let mut scene = started();
        let mut shots = exact(40);
        shift(&mut shots, seconds, |s| s.kind == kind && s.at > 7 * SECOND);
        scene.play_shots(&shots);
        scene.unpublish();
        scene.assert_complete(TrackKind::Video, 0);
        scene.assert_complete(TrackKind::Audio, 0);
        assert_eq!(scene.reader.discontinuities(), 0);
        assert_eq!(scene.stats().timestamp_steps, 1);
        assert_eq!(scene.stats().video_stalls, 0);
        assert!((covered(&scene, VIDEO, 90_000.0) - 40.0).abs() < 0.2);
        assert!((covered(&scene, AUDIO, 48_000.0) - 40.0).abs() < 0.2);
        scene.reader.assert_aligned(1);
    }
}

#[test]
fn audio_on_a_clock_of_its_own_starts_with_video() {
    let mut scene = started();
    let mut shots = exact(20);
    shift(&mut shots, 9000, |s| s.kind == TrackKind::Audio);
    scene.play_shots(&shots);
    scene.unpublish();
    scene.assert_complete(TrackKind::Video, 0);
    scene.assert_complete(TrackKind::Audio, 0);
    let audio = scene.reader.samples(AUDIO).next().unwrap().dts;
    assert!((audio - 480_000).abs() < 48_000, "{audio}");
}

#[test]
fn equal_times_move_by_a_tick() {
    let mut scene = started();
    let mut shots = exact(10);
    let video: Vec<usize> = (0..shots.len())
        .filter(|&i| shots[i].kind == TrackKind::Video)
        .collect();
    for pair in video.chunks(2) {
        shots[pair[1]].dts = shots[pair[0]].dts;
        shots[pair[1]].pts = shots[pair[0]].pts;
    }
    scene.play_shots(&shots);
    scene.unpublish();
    scene.assert_complete(TrackKind::Video, 0);
    assert_eq!(scene.stats().bumps, 150);
    assert_eq!(scene.stats().repaired, 0);
    let second = scene.reader.samples(VIDEO).nth(1).unwrap();
    assert_eq!((second.dts, second.duration), (900_001, 5999));
}

/// Whatever the clock does, segments keep coming and stay within bounds.
fn endures(name: &str, time: impl Fn(u64, &mut Rng) -> i64) {
    let mut scene = started();
    scene.reader.holes_allowed = true;
    let mut rng = Rng(99);
    for mut shot in exact(60) {
        let ms = time(shot.at / 1000, &mut rng);
        let rate = match shot.kind {
            TrackKind::Video => 90,
            TrackKind::Audio => 48,
        };
        shot.dts = ms.saturating_mul(rate);
        scene.run_to(SECOND + shot.at);
        scene.send(shot.kind, shot.dts, shot.dts, shot.key);
    }
    scene.unpublish();
    assert!(scene.reader.segments(VIDEO).len() >= 10, "{name}");
    let length = covered(&scene, VIDEO, 90_000.0);
    assert!((10.0..600.0).contains(&length), "{name}: {length} s");
    let longest = scene.reader.samples(VIDEO).map(|s| s.duration).max();
    assert!(longest < Some(11 * 90_000), "{name}");
    assert!(scene.reader.samples(VIDEO).count() > 700, "{name}");
}

#[test]
fn no_clock_stalls_the_stream() {
    endures("backward", |ms, _| -(ms as i64));
    endures("still", |_, _| 7);
    endures("still after a while", |ms, _| ms.min(9000) as i64);
    endures("random", |_, rng| rng.range(0, 1 << 40) as i64);
    endures("hourly", |ms, _| {
        ms as i64 + (ms / 1000 % 7) as i64 * 3_600_000
    });
    endures("sawtooth", |ms, _| (ms % 5000) as i64);
    endures("small sawtooth", |ms, _| (ms % 400) as i64);
    endures("twice as fast", |ms, _| 2 * ms as i64);
    endures(
        "extremes",
        |ms, _| if ms % 100 < 50 { ms as i64 } else { i64::MAX },
    );
    endures("two clocks", |ms, rng| {
        ms as i64 + rng.range(0, 1) as i64 * 100_000
    });
}

#[test]
fn refused_times_are_counted() {
    let mut scene = started();
    scene.send(TrackKind::Video, i64::MIN, 0, true);
    scene.send(TrackKind::Video, 0, i64::MAX, true);
    assert_eq!(scene.stats().malformed, 2);
    assert_eq!(scene.stats().dropped, 2);
}

#[test]
fn huge_composition_offsets_are_brought_into_range() {
    let mut scene = started();
    for i in 0..100i64 {
        let pts = i * 3000 + [0, 90_000_000, -90_000_000][(i % 3) as usize];
        scene.send(TrackKind::Video, i * 3000, pts, i == 0);
        scene.send(TrackKind::Audio, i * 1600, i * 1600, true);
    }
    scene.unpublish();
    assert_eq!(scene.stats().composition_clamped, 66);
    let presented = scene
        .reader
        .samples(VIDEO)
        .map(|s| s.dts + i64::from(s.composition_offset));
    assert!(presented.min() > Some(0));
}

#[test]
fn a_pause_of_ten_seconds_on_a_true_clock_is_one_discontinuity() {
    let mut scene = started();
    let mut shots = exact(40);
    shots.retain(|s| s.at < 11 * SECOND || s.at >= 21 * SECOND);
    scene.play_shots(&shots);
    scene.unpublish();
    assert_eq!(scene.reader.discontinuities(), 1);
    // From 21 s to the keyframe at 22 s video is lost, but for the two frames that were not
    // believed yet.
    assert!(scene.stats().dropped < 80);
    let at = scene.reader.segments(VIDEO);
    let at = at.iter().find(|s| s.discontinuity).unwrap();
    assert!((at.decode_time - 32 * 90_000).abs() < 9_000);
}

#[test]
fn jitter_of_audio_is_followed_within_a_millisecond() {
    let mut scene = started();
    let mut shots = exact(30);
    let mut rng = Rng(5);
    for shot in shots.iter_mut().filter(|s| s.kind == TrackKind::Audio) {
        shot.dts += rng.range(0, 480) as i64 - 240;
    }
    scene.play_shots(&shots);
    scene.unpublish();
    scene.assert_complete(TrackKind::Audio, 0);
    scene.assert_audio_near(48_000);
    assert_eq!(scene.reader.holes, 0);
}

#[test]
fn drifting_audio_stays_within_a_millisecond() {
    let mut scene = started();
    let mut shots = exact(120);
    for shot in shots.iter_mut().filter(|s| s.kind == TrackKind::Audio) {
        shot.dts += shot.dts / 2000; // 500 ppm
    }
    scene.play_shots(&shots);
    scene.unpublish();
    scene.assert_audio_near(48_000);
    let stretched = scene.reader.samples(AUDIO).filter(|s| s.duration != 1024);
    assert!((50..=70).contains(&stretched.count()));
}

#[test]
fn a_flood_of_equal_frames_makes_bounded_chunks() {
    let mut scene = Scene::new();
    scene.publish(BOTH, &[h264(), aac(48_000)]);
    scene.play_shots(
        &Clip {
            seconds: 3,
            gop: Gop::Frames(30),
            ..Clip::default()
        }
        .shots(),
    );
    scene.reader.burst = true;
    for _ in 0..20_000 {
        scene.send(TrackKind::Video, 270_000, 270_000, false);
    }
    scene.unpublish();
    assert!(scene.reader.samples(VIDEO).count() > 20_000);
}
