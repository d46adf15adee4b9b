//! Publishers that leave, return, take over or change their configuration; restarts.
#![allow(clippy::unwrap_used)] // Helpers of tests are tests.

mod common;

use common::{
    AUDIO, BOTH, Clip, Gop, SECOND, Scene, Shot, UTC_START, VIDEO, aac, h264, h264_1080p,
};
use weir_hub::{Announced, Event, Resume, ResumeTrack};
use weir_media::{TrackKind, Utc};

fn exact(seconds: u64) -> Clip {
    Clip {
        seconds,
        whole_ms: false,
        ..Clip::default()
    }
}

/// Segments that begin with a discontinuity in every track, by number.
fn breaks(scene: &Scene) -> Vec<u64> {
    let numbers = |track| -> Vec<u64> {
        let segments = scene.reader.segments(track).iter();
        let broken = segments.filter(|s| s.discontinuity);
        broken.map(|s| s.media_sequence).collect()
    };
    let video = numbers(VIDEO);
    assert_eq!(video, numbers(AUDIO));
    video
}

#[test]
fn leaving_in_mid_gop_lists_the_open_segment_at_once() {
    let mut scene = Scene::new();
    scene.publish(BOTH, &[h264(), aac(48_000)]);
    let mut shots = exact(20).shots();
    shots.retain(|s| s.at < 9_300_000);
    scene.play_shots(&shots);
    assert_eq!(scene.reader.segments(VIDEO).len(), 2);
    scene.unpublish();
    assert_eq!(scene.reader.segments(VIDEO).len(), 3);
    assert_eq!(scene.reader.segments(AUDIO).len(), 3);
    scene.assert_complete(TrackKind::Video, 0);
    scene.assert_complete(TrackKind::Audio, 0);
    assert_eq!(scene.stream.poll_timeout(), None);
    assert!((scene.reader.seconds(VIDEO)[2] - 1.3).abs() < 0.001);
}

#[test]
fn a_return_is_one_discontinuity_after_the_gap() {
    let mut scene = Scene::new();
    scene.publish(BOTH, &[h264(), aac(48_000)]);
    scene.play(&exact(9));
    scene.unpublish();
    let before = scene.reader.segments(VIDEO).len();
    scene.wait_ms(7000);
    scene.publish(BOTH, &[h264(), aac(48_000)]);
    scene.play(&exact(9));
    scene.unpublish();
    assert_eq!(scene.reader.discontinuities(), 1);
    assert_eq!(breaks(&scene), [1000 + before as u64]);
    scene.assert_complete(TrackKind::Video, 0);
    scene.assert_complete(TrackKind::Audio, 0);
    // The same configuration needs no other initialization segment.
    assert_eq!(scene.reader.init(VIDEO), Some(0));
    assert_eq!(scene.reader.init(AUDIO), Some(0));
    let resumed = scene.reader.segments(VIDEO)[before];
    let late = resumed.decode_time - (10 + 9 + 7) * 90_000;
    assert!((-9_000..=9_000).contains(&late), "{late}");
    assert_eq!(scene.reader.settled, 2);
    assert_eq!(scene.stats().sessions, 2);
}

#[test]
fn an_instant_return_never_overlaps() {
    let mut scene = Scene::new();
    scene.reader.burst = true;
    for turn in 0..10 {
        scene.publish(BOTH, &[h264(), aac(48_000)]);
        // Sent faster than in real time: the wall clock says that hardly any time passed.
        let clip = Clip {
            audio_shift_ms: -300,
            base_ms: turn * 12_345_678 - 5_000_000,
            ..exact(5)
        };
        for shot in clip.shots() {
            scene.send(shot.kind, shot.dts, shot.pts, shot.key);
        }
        scene.unpublish();
    }
    assert_eq!(scene.reader.discontinuities(), 9);
    scene.assert_complete(TrackKind::Video, 0);
    scene.assert_complete(TrackKind::Audio, 0);
}

#[test]
fn a_take_over_needs_no_leave() {
    let mut scene = Scene::new();
    scene.publish(BOTH, &[h264(), aac(48_000)]);
    scene.play(&exact(9));
    scene.publish(BOTH, &[h264_1080p(), aac(44_100)]);
    scene.play(&Clip {
        audio: Some(44_100),
        ..exact(9)
    });
    scene.unpublish();
    assert_eq!(scene.reader.discontinuities(), 1);
    assert_eq!(breaks(&scene).len(), 1);
    assert_eq!(scene.reader.init(VIDEO), Some(1));
    assert_eq!(scene.reader.init(AUDIO), Some(1));
    assert_eq!(scene.stats().config_changes, 2);
    scene.assert_complete(TrackKind::Video, 0);
    scene.assert_complete(TrackKind::Audio, 0);
}

#[test]
fn returns_with_other_tracks_leave_gaps() {
    let video_only = Announced {
        video: Some(true),
        audio: Some(false),
    };
    let audio_only = Announced {
        video: Some(false),
        audio: Some(true),
    };
    let mut scene = Scene::new();
    scene.publish(BOTH, &[h264(), aac(48_000)]);
    scene.play(&exact(9));
    scene.publish(video_only, &[h264()]);
    scene.play(&Clip {
        audio: None,
        ..exact(9)
    });
    scene.publish(audio_only, &[aac(48_000)]);
    scene.play(&Clip {
        video: None,
        ..exact(9)
    });
    scene.publish(BOTH, &[h264(), aac(48_000)]);
    scene.play(&exact(9));
    scene.unpublish();
    assert_eq!(scene.reader.discontinuities(), 3);
    assert_eq!(breaks(&scene).len(), 3);
    let (video, audio) = (scene.reader.segments(VIDEO), scene.reader.segments(AUDIO));
    assert_eq!(video.len(), audio.len());
    let gaps = |segments: &[common::GotSegment]| segments.iter().filter(|s| s.gap).count();
    assert_eq!((gaps(video), gaps(audio)), (3, 3));
    assert!(video.iter().zip(audio).all(|(v, a)| !(v.gap && a.gap)));
    scene.assert_complete(TrackKind::Video, 0);
    scene.assert_complete(TrackKind::Audio, 0);
}

#[test]
fn a_session_without_frames_changes_nothing() {
    let mut scene = Scene::new();
    for _ in 0..3 {
        scene.publish(BOTH, &[h264(), aac(48_000)]);
        scene.unpublish();
    }
    assert!(scene.reader.segments(VIDEO).is_empty());
    scene.publish(BOTH, &[h264(), aac(48_000)]);
    scene.play(&exact(5));
    scene.unpublish();
    assert_eq!(scene.reader.samples(VIDEO).next().unwrap().dts, 900_000);
    for _ in 0..3 {
        scene.publish(BOTH, &[h264_1080p()]);
        scene.unpublish();
    }
    scene.publish(BOTH, &[h264(), aac(48_000)]);
    scene.play(&exact(5));
    scene.unpublish();
    assert_eq!(scene.reader.discontinuities(), 1);
    assert_eq!(scene.reader.init(VIDEO), Some(0));
}

#[test]
fn a_session_of_one_frame_is_a_segment() {
    let mut scene = Scene::new();
    scene.publish(BOTH, &[h264(), aac(48_000)]);
    scene.send(TrackKind::Video, 5, 5, true);
    scene.unpublish();
    assert_eq!(scene.reader.segments(VIDEO).len(), 1);
    assert_eq!(scene.reader.settled, 1);
    assert_eq!(scene.reader.target, Some(4));
}

#[test]
fn frames_and_configurations_without_a_publisher_are_nothing() {
    let mut scene = Scene::new();
    scene.config(h264());
    scene.send(TrackKind::Video, 0, 0, true);
    scene.unpublish();
    scene.stream.handle_announced(BOTH, scene.now());
    scene.stream.handle_timeout(scene.now());
    scene.drain();
    assert_eq!(scene.stats().dropped, 1);
    assert_eq!(scene.reader.init(VIDEO), None);
}

/// Plays 9.5 s, or to a keyframe at 10 s, changes a configuration, and goes on.
fn with_change(config: weir_media::CodecConfig, keyframe: bool) -> Scene {
    let mut scene = Scene::new();
    scene.publish(BOTH, &[h264(), aac(48_000)]);
    let at = if keyframe { 10 * SECOND } else { 9_500_000 };
    let (rate, kind) = (config.timescale(), config.kind());
    let mut shots = exact(20).shots();
    if kind == TrackKind::Audio {
        let tail = Clip {
            audio: Some(rate),
            video: None,
            ..exact(20)
        };
        shots.retain(|s| s.kind == TrackKind::Video || s.at < at);
        shots.extend(tail.shots().into_iter().filter(|s| s.at >= at));
        shots.sort_by_key(|s| s.at);
    }
    let (before, after): (Vec<Shot>, Vec<Shot>) = shots.into_iter().partition(|s| s.at < at);
    scene.play_shots(&before);
    scene.clock = SECOND + at;
    scene.config(config);
    for shot in after {
        scene.run_to(SECOND + shot.at);
        scene.send(shot.kind, shot.dts, shot.pts, shot.key);
    }
    scene.unpublish();
    scene
}

#[test]
fn another_video_configuration_at_a_keyframe_loses_nothing() {
    let scene = with_change(h264_1080p(), true);
    scene.assert_complete(TrackKind::Video, 0);
    scene.assert_complete(TrackKind::Audio, 0);
    scene.assert_video_exact();
    scene.assert_audio_near(48_000);
    assert_eq!(breaks(&scene).len(), 1);
    assert_eq!(scene.reader.init(VIDEO), Some(1));
    assert_eq!(scene.reader.init(AUDIO), Some(0));
    let changed = Event::ConfigChanged {
        track: VIDEO,
        init: 1,
    };
    assert_eq!(scene.count(|e| *e == changed), 1);
    for segment in scene.reader.segments(VIDEO) {
        let new = segment.media_sequence >= breaks(&scene)[0];
        assert_eq!(segment.init, u32::from(new));
    }
    let first = scene.reader.segments(VIDEO).iter().find(|s| s.init == 1);
    assert_eq!(first.unwrap().decode_time, 20 * 90_000);
}

#[test]
fn another_video_configuration_between_keyframes_waits_for_one() {
    let scene = with_change(h264_1080p(), false);
    assert_eq!(breaks(&scene).len(), 1);
    assert_eq!(scene.stats().before_keyframe, 15);
    let first = scene.reader.segments(VIDEO).iter().find(|s| s.init == 1);
    assert_eq!(first.unwrap().decode_time, 20 * 90_000);
    assert!(first.unwrap().independent);
    scene.assert_audio_near(48_000);
    scene.assert_complete(TrackKind::Audio, 0);
}

#[test]
fn another_audio_configuration_is_one_discontinuity() {
    let scene = with_change(aac(44_100), true);
    assert_eq!(breaks(&scene).len(), 1);
    assert_eq!(scene.reader.init(VIDEO), Some(0));
    assert_eq!(scene.reader.init(AUDIO), Some(1));
    scene.assert_complete(TrackKind::Video, 0);
    scene.assert_complete(TrackKind::Audio, 0);
    scene.assert_video_exact();
}

#[test]
fn the_same_configuration_again_is_no_change() {
    let mut scene = Scene::new();
    scene.publish(BOTH, &[h264(), aac(48_000)]);
    for shot in exact(20).shots() {
        scene.run_to(SECOND + shot.at);
        if shot.key && shot.kind == TrackKind::Video {
            scene.config(h264());
            scene.config(aac(48_000));
        }
        scene.send(shot.kind, shot.dts, shot.pts, shot.key);
    }
    scene.unpublish();
    assert_eq!(scene.reader.discontinuities(), 0);
    assert_eq!(scene.stats().config_changes, 0);
    scene.assert_complete(TrackKind::Video, 0);
}

#[test]
fn a_configuration_that_changes_before_anything_came_out_is_the_first() {
    let mut scene = Scene::new();
    scene.publish(BOTH, &[h264()]);
    scene.send(TrackKind::Video, 0, 0, true);
    scene.config(h264_1080p());
    scene.send(TrackKind::Video, 3000, 3000, true);
    scene.unpublish();
    assert_eq!(scene.reader.init(VIDEO), Some(0));
    scene.assert_complete(TrackKind::Video, 1);
    assert_eq!(scene.reader.discontinuities(), 0);
}

#[test]
fn sampling_rates_out_of_range_are_refused() {
    let mut scene = Scene::new();
    scene.publish(BOTH, &[]);
    // Sampling frequency of 1 Hz, given explicitly.
    let record = bytes::Bytes::from_static(&[0x17, 0x80, 0x00, 0x00, 0x90]);
    let config = weir_media::aac::AacConfig::parse(record).unwrap();
    assert_eq!(config.sample_rate, 1);
    scene.config(weir_media::CodecConfig::Aac(config));
    assert_eq!(
        scene.count(|e| *e == Event::ConfigRefused { track: AUDIO }),
        1
    );
    scene.send(TrackKind::Audio, 0, 0, true);
    assert_eq!(scene.stats().dropped, 1);
}

#[test]
fn frames_that_contradict_their_configuration_are_dropped() {
    let mut scene = Scene::new();
    scene.publish(BOTH, &[h264(), aac(48_000)]);
    scene.play(&exact(3));
    let broken: [&[u8]; 3] = [&[0, 0, 9, 0, 0x41], &[0, 0], &[0, 0, 0, 2, 9, 0xf0]];
    for payload in broken {
        let mut frame = common::frame(TrackKind::Video, 0, 300_000, 300_000, false, 0);
        frame.payload = bytes::Bytes::copy_from_slice(payload);
        scene.stream.handle_frame(frame, scene.now());
    }
    assert_eq!(scene.stats().malformed, 3);
    let mut empty = common::frame(TrackKind::Video, 0, 300_000, 300_000, false, 0);
    empty.payload = bytes::Bytes::new();
    scene.stream.handle_frame(empty, scene.now());
    let mut foreign = common::frame(TrackKind::Video, 0, 300_000, 300_000, false, 0);
    foreign.track = weir_media::TrackId(9);
    scene.stream.handle_frame(foreign, scene.now());
    assert_eq!(scene.stats().malformed, 3);
    assert_eq!(scene.stats().dropped, 5);
    scene.drain();
    scene.unpublish();
    scene.assert_complete(TrackKind::Video, 0);
}

fn recovered() -> Resume {
    Resume {
        media_sequence: 5000,
        discontinuity_sequence: 12,
        target_duration: Some(6),
        tracks: vec![
            ResumeTrack {
                id: VIDEO,
                config: h264(),
                init_number: 3,
                end_time: 100 * 90_000,
            },
            ResumeTrack {
                id: AUDIO,
                config: aac(48_000),
                init_number: 1,
                end_time: 100 * 48_000 + 700,
            },
        ],
        // The scene starts a second after UTC_START: 30 s after this.
        utc: Utc(UTC_START - 29 * 1_000_000),
        decode_time_90k: 100 * 90_000,
        program_date_time: Some(Utc(UTC_START - 33 * 1_000_000)),
    }
}

#[test]
fn a_restart_goes_on_with_one_discontinuity() {
    let mut scene = Scene::resumed(recovered());
    scene.publish(BOTH, &[h264(), aac(48_000)]);
    scene.play(&exact(20));
    scene.unpublish();
    scene.assert_complete(TrackKind::Video, 0);
    scene.assert_complete(TrackKind::Audio, 0);
    assert_eq!(breaks(&scene), [5000]);
    assert_eq!(scene.reader.target, Some(6));
    assert_eq!(scene.reader.segments(VIDEO)[0].decode_time, 130 * 90_000);
    assert_eq!(scene.reader.segments(VIDEO)[0].discontinuity_sequence, 13);
    assert_eq!(scene.reader.init(VIDEO), Some(3));
    assert_eq!(scene.reader.seconds(VIDEO)[0], 6.0);
}

#[test]
fn a_restart_with_a_clock_set_back_never_goes_back() {
    let mut resume = recovered();
    resume.utc = Utc(UTC_START + 3_600_000_000);
    resume.program_date_time = Some(Utc(UTC_START - 1_000_000));
    let mut scene = Scene::resumed(resume);
    scene.publish(BOTH, &[h264_1080p(), aac(48_000)]);
    scene.play(&exact(9));
    scene.unpublish();
    let first = scene.reader.segments(VIDEO)[0];
    assert!((first.decode_time - 100 * 90_000).abs() < 9_000);
    assert!(scene.reader.segments(AUDIO)[0].decode_time >= 100 * 48_000 + 700);
    assert_eq!(scene.reader.init(VIDEO), Some(4));
}

#[test]
fn a_gop_longer_than_the_kept_target_is_cut_by_force() {
    let mut scene = Scene::resumed(recovered());
    scene.publish(BOTH, &[h264(), aac(48_000)]);
    scene.play(&Clip {
        gop: Gop::Frames(240),
        ..exact(24)
    });
    scene.unpublish();
    assert_eq!(scene.reader.seconds(VIDEO)[..4], [6.0, 2.0, 6.0, 2.0]);
    assert_eq!(scene.stats().forced_cuts, 3);
}

#[test]
fn program_date_time_follows_the_receive_clock() {
    let mut scene = Scene::new();
    scene.wait_ms(5000);
    scene.publish(BOTH, &[h264(), aac(48_000)]);
    scene.play(&exact(40));
    scene.unpublish();
    let start = UTC_START + 6_000_000;
    for (i, segment) in scene.reader.segments(VIDEO).iter().enumerate() {
        let error = segment.utc.0 - (start + i as i64 * 4_000_000);
        assert!(error.abs() < 1000, "segment {i}: {error} us");
    }
    for (v, a) in scene
        .reader
        .segments(VIDEO)
        .iter()
        .zip(scene.reader.segments(AUDIO))
    {
        let apart = a.decode_time * 1_000_000 / 48_000 - v.decode_time * 1_000_000 / 90_000;
        assert!((a.utc.0 - v.utc.0 - apart).abs() < 1000);
    }
}
