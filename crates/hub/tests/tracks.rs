//! Which tracks a stream has, and when: settling, late and missing tracks, stalls.
#![allow(clippy::unwrap_used)] // Helpers of tests are tests.

mod common;

use common::{AUDIO, BOTH, Clip, Gop, Rate, SECOND, Scene, Shot, VIDEO, aac, h264};
use weir_hub::{Announced, Event};
use weir_media::TrackKind;

const UNKNOWN: Announced = Announced {
    video: None,
    audio: None,
};

fn exact(seconds: u64) -> Clip {
    Clip {
        seconds,
        whole_ms: false,
        ..Clip::default()
    }
}

fn without(kind: TrackKind, seconds: u64) -> Clip {
    let mut clip = exact(seconds);
    match kind {
        TrackKind::Video => clip.video = None,
        TrackKind::Audio => clip.audio = None,
    }
    clip
}

/// Both clips on one clock, the second `later` seconds after the first.
fn joined(first: &Clip, second: &Clip, later: u64) -> Vec<Shot> {
    let mut shots = first.shots();
    let rate = |s: &Shot| match s.kind {
        TrackKind::Video => 90_000,
        TrackKind::Audio => 48_000,
    };
    shots.extend(second.shots().into_iter().map(|mut s| {
        s.at += later * SECOND;
        s.dts += later as i64 * rate(&s);
        s.pts += later as i64 * rate(&s);
        s
    }));
    shots.sort_by_key(|s| s.at);
    shots
}

#[test]
fn the_stream_starts_at_ten_seconds_with_the_first_keyframe() {
    let mut scene = Scene::new();
    scene.publish(BOTH, &[h264(), aac(48_000)]);
    // Ten frames before the keyframe, and audio from 1 s before it.
    let mut shots = exact(10).shots();
    for shot in &mut shots {
        if shot.kind == TrackKind::Video {
            shot.key = shot.dts % 180_000 == 90_000;
        }
    }
    scene.play_shots(&shots);
    scene.unpublish();
    scene.assert_complete(TrackKind::Video, 30);
    // 24 frames of audio start more than 500 ms before it.
    scene.assert_complete(TrackKind::Audio, 24);
    assert_eq!(scene.reader.samples(VIDEO).next().unwrap().dts, 900_000);
    assert_eq!(scene.stats().before_keyframe, 30);
    assert_eq!(scene.stats().dropped, 54);
    scene.assert_video_exact();
    scene.assert_audio_near(48_000);
}

#[test]
fn video_only_and_audio_only_settle_at_once_when_announced() {
    for kind in [TrackKind::Video, TrackKind::Audio] {
        let other = match kind {
            TrackKind::Video => TrackKind::Audio,
            TrackKind::Audio => TrackKind::Video,
        };
        let announced = Announced {
            video: Some(kind == TrackKind::Video),
            audio: Some(kind == TrackKind::Audio),
        };
        let mut scene = Scene::new();
        scene.publish(announced, &[h264(), aac(48_000)]);
        let clip = without(other, 21);
        scene.play_shots(&clip.shots()[..1]);
        assert_eq!(scene.reader.settled, 1);
        scene.clock += 1;
        let rest: Vec<Shot> = clip.shots()[1..].to_vec();
        scene.play_shots(&rest);
        scene.unpublish();
        scene.assert_complete(kind, 0);
        assert_eq!(scene.reader.target, Some(4));
        let track = weir_media::TrackId::source(kind);
        let seconds = scene.reader.seconds(track);
        assert!(
            seconds[..5].iter().all(|s| (3.9..=4.0).contains(s)),
            "{seconds:?}"
        );
        assert_eq!(scene.stats().forced_cuts, 0);
        let gone = weir_media::TrackId::source(other);
        assert_eq!(scene.reader.init(gone), None);
        assert!(scene.reader.segments(gone).is_empty());
    }
}

#[test]
fn an_unannounced_track_is_waited_for_two_seconds_of_media() {
    let mut scene = Scene::new();
    scene.publish(UNKNOWN, &[h264()]);
    let shots = without(TrackKind::Audio, 10).shots();
    scene.play_shots(&shots[..60]);
    assert_eq!(scene.reader.settled, 0);
    assert!(scene.reader.samples(VIDEO).next().is_none());
    let frame = shots[60];
    scene.run_to(SECOND + frame.at);
    scene.send(frame.kind, frame.dts, frame.pts, frame.key);
    assert_eq!(scene.reader.settled, 1);
    scene.unpublish();
    scene.assert_complete(TrackKind::Video, 0);
}

#[test]
fn metadata_may_come_after_the_frames() {
    let mut scene = Scene::new();
    scene.publish(UNKNOWN, &[h264()]);
    let shots = without(TrackKind::Audio, 10).shots();
    scene.play_shots(&shots[..10]);
    assert_eq!(scene.reader.settled, 0);
    let video_only = Announced {
        video: Some(true),
        audio: Some(false),
    };
    scene.stream.handle_announced(video_only, scene.now());
    scene.drain();
    assert_eq!(scene.reader.settled, 1);
}

#[test]
fn metadata_that_promises_a_track_that_never_comes_costs_two_seconds() {
    let mut scene = Scene::new();
    scene.publish(BOTH, &[h264(), aac(48_000)]);
    scene.play(&without(TrackKind::Audio, 9));
    assert_eq!(scene.reader.settled, 1);
    scene.unpublish();
    scene.assert_complete(TrackKind::Video, 0);
    assert!(scene.reader.segments(AUDIO).is_empty());
}

#[test]
fn the_wait_ends_by_the_clock_too() {
    let mut scene = Scene::new();
    scene.publish(BOTH, &[h264(), aac(48_000)]);
    scene.send(TrackKind::Video, 0, 0, true);
    scene.wait_ms(1999);
    assert_eq!(scene.reader.settled, 0);
    scene.wait_ms(1);
    assert_eq!(scene.reader.settled, 1);
    assert_eq!(scene.stream.poll_timeout(), None);
}

#[test]
fn the_wait_is_bounded_in_frames() {
    let mut scene = Scene::new();
    scene.publish(BOTH, &[h264()]);
    for i in 0..weir_hub::limits::PENDING_FRAMES_MAX as i64 {
        assert_eq!(scene.reader.settled, 0);
        scene.send(TrackKind::Video, i, i, i == 0);
    }
    assert_eq!(scene.reader.settled, 1);
}

#[test]
fn late_audio_joins_at_a_boundary() {
    let mut scene = Scene::new();
    scene.publish(UNKNOWN, &[h264(), aac(48_000)]);
    let shots = joined(
        &without(TrackKind::Audio, 20),
        &without(TrackKind::Video, 15),
        5,
    );
    scene.play_shots(&shots);
    scene.unpublish();
    scene.assert_complete(TrackKind::Video, 0);
    scene.assert_video_exact();
    scene.assert_audio_near(48_000);
    let (video, audio) = (scene.reader.segments(VIDEO), scene.reader.segments(AUDIO));
    // Segments of 4 s: audio from 5 s on has its first whole one at 8 s, the third.
    assert_eq!(audio[0].media_sequence, video[2].media_sequence);
    assert_eq!(audio.len() + 2, video.len());
    assert!(audio.iter().all(|s| !s.gap && !s.discontinuity));
    assert_eq!(scene.reader.discontinuities(), 0);
    assert_eq!(scene.stats().late_tracks, 1);
    assert_eq!(scene.count(|e| *e == Event::LateTrack { track: AUDIO }), 1);
    assert!(scene.reader.seconds(VIDEO)[..5].iter().all(|s| *s == 4.0));
}

#[test]
fn late_video_leads_from_its_first_keyframe() {
    let mut scene = Scene::new();
    scene.publish(UNKNOWN, &[h264(), aac(48_000)]);
    let mut video = without(TrackKind::Audio, 15);
    video.gop = Gop::Frames(45);
    let mut shots = joined(&without(TrackKind::Video, 20), &video, 5);
    for shot in shots.iter_mut().filter(|s| s.kind == TrackKind::Video) {
        // The first keyframe is the second one of the clip, at 6.5 s.
        shot.key &= shot.dts > 5 * 90_000;
    }
    scene.play_shots(&shots);
    scene.unpublish();
    scene.assert_complete(TrackKind::Audio, 0);
    scene.assert_complete(TrackKind::Video, 45);
    scene.assert_video_exact();
    scene.assert_audio_near(48_000);
    let (video, audio) = (scene.reader.segments(VIDEO), scene.reader.segments(AUDIO));
    assert_eq!(video[0].decode_time, 16 * 90_000 + 45_000);
    assert!(video.iter().all(|s| s.independent && !s.gap));
    // Audio was cut where video began.
    let first = audio
        .iter()
        .find(|s| s.media_sequence == video[0].media_sequence)
        .unwrap();
    let late = first.decode_time - (16 * 48_000 + 24_000);
    assert!((0..2048).contains(&late), "{late}");
    assert_eq!(scene.reader.discontinuities(), 0);
    assert_eq!(scene.stats().late_tracks, 1);
}

#[test]
fn video_without_a_keyframe_counts_as_absent() {
    let mut scene = Scene::new();
    scene.publish(BOTH, &[h264(), aac(48_000)]);
    let clip = Clip {
        gop: Gop::Never,
        ..exact(65)
    };
    scene.play(&clip);
    scene.unpublish();
    scene.assert_complete(TrackKind::Audio, 0);
    assert_eq!(scene.reader.settled, 1);
    assert!(scene.reader.segments(VIDEO).is_empty());
    assert_eq!(scene.stats().before_keyframe, 65 * 30);
    let seconds: Vec<u64> = scene
        .events
        .iter()
        .filter_map(|e| match e {
            Event::NoKeyframe { seconds } => Some(*seconds),
            _ => None,
        })
        .collect();
    assert_eq!(seconds, [20, 40, 60]);
}

#[test]
fn nothing_but_video_without_a_keyframe_gives_nothing() {
    let mut scene = Scene::new();
    scene.publish(BOTH, &[h264()]);
    let clip = Clip {
        gop: Gop::Never,
        audio: None,
        ..exact(25)
    };
    scene.play(&clip);
    scene.unpublish();
    assert_eq!(scene.reader.settled, 0);
    assert!(scene.reader.segments(VIDEO).is_empty());
}

#[test]
fn video_that_never_has_another_keyframe_is_reported() {
    let mut scene = Scene::new();
    scene.publish(BOTH, &[h264(), aac(48_000)]);
    let clip = Clip {
        gop: Gop::Once,
        ..exact(45)
    };
    scene.play(&clip);
    scene.unpublish();
    scene.assert_complete(TrackKind::Video, 0);
    assert_eq!(scene.count(|e| matches!(e, Event::NoKeyframe { .. })), 2);
    assert_eq!(scene.reader.seconds(VIDEO)[..4], [10.0; 4]);
    assert_eq!(scene.stats().forced_cuts, 4);
}

#[test]
fn video_stalls_and_returns_while_audio_goes_on() {
    let mut scene = Scene::new();
    scene.publish(BOTH, &[h264(), aac(48_000)]);
    let mut shots = exact(60).shots();
    // Video is away from 11 s to 35 s.
    shots.retain(|s| s.kind == TrackKind::Audio || s.at < 11 * SECOND || s.at >= 35 * SECOND);
    scene.play_shots(&shots);
    scene.unpublish();
    scene.assert_complete(TrackKind::Audio, 0);
    scene.assert_audio_near(48_000);
    scene.assert_video_exact();
    // It returns at 36 s with a keyframe; the frames of the GOP before are lost.
    assert_eq!(scene.stats().before_keyframe, 30);
    assert_eq!(scene.stats().dropped, 30);
    let (video, audio) = (scene.reader.segments(VIDEO), scene.reader.segments(AUDIO));
    assert_eq!(video.len(), audio.len());
    assert!(audio.iter().all(|s| !s.gap));
    let gaps = video.iter().filter(|s| s.gap).count();
    assert!((5..=7).contains(&gaps), "{gaps}");
    let back = video.iter().rposition(|s| s.gap).unwrap() + 1;
    assert_eq!(video[back].decode_time, 46 * 90_000);
    assert!(video[back].independent);
    assert_eq!(scene.reader.discontinuities(), 0);
    assert_eq!(scene.count(|e| *e == Event::VideoStalled), 1);
    assert_eq!(scene.stats().late_tracks, 0);
}

#[test]
fn audio_stops_and_returns_while_video_goes_on() {
    let mut scene = Scene::new();
    scene.reader.holes_allowed = true;
    scene.publish(BOTH, &[h264(), aac(48_000)]);
    let mut shots = exact(60).shots();
    // Audio is away from 11 s to 29.5 s.
    shots.retain(|s| {
        s.kind == TrackKind::Video || s.at < 11 * SECOND || s.at >= 29 * SECOND + 500_000
    });
    scene.play_shots(&shots);
    scene.unpublish();
    scene.assert_complete(TrackKind::Audio, 0);
    scene.assert_complete(TrackKind::Video, 0);
    scene.assert_audio_near(48_000);
    let (video, audio) = (scene.reader.segments(VIDEO), scene.reader.segments(AUDIO));
    assert_eq!(video.len(), audio.len());
    assert!(video.iter().all(|s| !s.gap));
    assert!((3..=4).contains(&audio.iter().filter(|s| s.gap).count()));
    assert!(scene.reader.holes <= 1);
    assert_eq!(scene.reader.discontinuities(), 0);
}

#[test]
fn a_short_pause_in_audio_is_bridged() {
    for start in [9_000_000, 11_500_000] {
        let mut scene = Scene::new();
        scene.publish(BOTH, &[h264(), aac(48_000)]);
        let mut shots = exact(40).shots();
        shots.retain(|s| s.kind == TrackKind::Video || !(start..start + 2_000_000).contains(&s.at));
        scene.play_shots(&shots);
        scene.unpublish();
        scene.assert_complete(TrackKind::Audio, 0);
        scene.assert_audio_near(48_000);
        assert_eq!(scene.reader.holes, 0);
        assert_eq!(scene.stats().audio_gaps, 1);
        let bridged = |e: &Event| match e {
            Event::AudioGap { milliseconds } => (1900..2100).contains(milliseconds),
            _ => false,
        };
        assert_eq!(scene.count(bridged), 1);
    }
}

#[test]
fn audio_that_is_always_late_keeps_its_frames_and_numbers() {
    let mut scene = Scene::new();
    scene.publish(BOTH, &[h264(), aac(48_000)]);
    let clip = Clip {
        audio_delay_ms: 1600,
        ..exact(40)
    };
    scene.play(&clip);
    scene.unpublish();
    scene.assert_complete(TrackKind::Audio, 0);
    scene.assert_audio_near(48_000);
    assert_eq!(scene.reader.holes, 0);
    let (video, audio) = (scene.reader.segments(VIDEO), scene.reader.segments(AUDIO));
    assert_eq!(video.len(), audio.len());
    assert!(audio.iter().all(|s| !s.gap));
}

#[test]
fn a_boundary_is_not_held_up_by_audio_for_more_than_a_second() {
    let mut scene = Scene::new();
    scene.publish(BOTH, &[h264(), aac(48_000)]);
    let mut shots = exact(5).shots();
    shots.retain(|s| s.at < 3_500_000 || s.kind == TrackKind::Video && s.at <= 4_000_000);
    scene.play_shots(&shots);
    // The keyframe at 4 s closed video; audio ends at 3.5 s.
    assert_eq!(scene.reader.segments(VIDEO).len(), 1);
    assert_eq!(scene.reader.segments(AUDIO).len(), 0);
    let at = scene.stream.poll_timeout().unwrap();
    assert_eq!(at.0, scene.clock + SECOND);
    scene.wait_ms(1000);
    assert_eq!(scene.reader.segments(AUDIO).len(), 1);
    assert_eq!(scene.stream.poll_timeout(), None);
}

#[test]
fn audio_waits_for_slow_video() {
    // One frame a second: no stall.
    let mut scene = Scene::new();
    scene.publish(BOTH, &[h264(), aac(48_000)]);
    let clip = Clip {
        video: Some(Rate::Fixed(1, 2)),
        gop: Gop::Frames(2),
        ..exact(60)
    };
    scene.play(&clip);
    scene.unpublish();
    assert_eq!(scene.stats().video_stalls, 0);
    scene.assert_complete(TrackKind::Video, 0);
    scene.reader.assert_aligned(1);
}

#[test]
fn video_that_stops_before_the_target_is_fixed_fixes_it() {
    let cases = [
        // At 30 a second up to 4.6 s; or three pictures of 1.5 s, the last of which nobody ends.
        (Rate::Fixed(30, 1), 4_600_000, 4.6),
        (Rate::Fixed(2, 3), 4_400_000, 4.5),
    ];
    for (rate, until, seconds) in cases {
        let mut scene = Scene::new();
        scene.publish(BOTH, &[h264(), aac(48_000)]);
        let clip = Clip {
            video: Some(rate),
            gop: Gop::Once,
            ..exact(20)
        };
        let mut shots = clip.shots();
        shots.retain(|s| s.kind == TrackKind::Audio || s.at < until);
        scene.play_shots(&shots);
        scene.unpublish();
        scene.assert_complete(TrackKind::Video, 0);
        scene.assert_complete(TrackKind::Audio, 0);
        assert_eq!(scene.count(|e| *e == Event::VideoStalled), 1);
        assert_eq!(scene.reader.seconds(VIDEO)[0], seconds);
        assert_eq!(scene.reader.target, Some(5));
    }
}

#[test]
fn an_absence_longer_than_the_target_is_divided() {
    let mut scene = Scene::new();
    scene.publish(BOTH, &[h264(), aac(48_000)]);
    let mut shots = exact(30).shots();
    // Video is away from 11 s on, so that audio leads and cuts at 20 s at the latest; audio is
    // silent from 19.5 s on, and video is there again first, at 22 s.
    shots.retain(|s| match s.kind {
        TrackKind::Video => !(11 * SECOND..22 * SECOND).contains(&s.at),
        TrackKind::Audio => !(19_500_000..22 * SECOND).contains(&s.at),
    });
    scene.play_shots(&shots);
    scene.unpublish();
    scene.assert_complete(TrackKind::Video, 0);
    scene.assert_complete(TrackKind::Audio, 0);
    scene.assert_video_exact();
    scene.assert_audio_near(48_000);
    let (video, audio) = (scene.reader.segments(VIDEO), scene.reader.segments(AUDIO));
    let numbers = |s: &[common::GotSegment]| s.iter().map(|s| s.media_sequence).collect::<Vec<_>>();
    assert_eq!(numbers(video), numbers(audio));
    let gaps: Vec<_> = video.iter().filter(|s| s.gap).collect();
    let end = |s: &common::GotSegment| s.decode_time + s.duration as i64;
    assert!(gaps.windows(2).all(|w| end(w[0]) == w[1].decode_time));
    assert_eq!(gaps.last().map(|s| end(s)), Some(32 * 90_000));
    let target = i64::from(scene.reader.target.unwrap()) * 90_000;
    assert!(gaps.iter().all(|s| s.duration as i64 <= target));
    assert!(audio.iter().all(|s| !s.gap));
}
