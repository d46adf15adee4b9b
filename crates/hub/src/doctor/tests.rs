//! Simulated publishers: healthy ones give no finding, and each fault gives its own.

use super::*;
use bytes::Bytes;
use weir_media::TrackId;

/// A publisher of video and audio in real time, with knobs for what can be wrong.
#[derive(Clone)]
struct Publisher {
    fps: i64,
    /// Media time between keyframes, in pictures; 0 is none at all.
    gop: Vec<i64>,
    /// Bytes of a picture.
    picture: usize,
    /// Composition offsets in ticks, over and over.
    offsets: Vec<i64>,
    /// Added to the times of audio, in seconds.
    audio_shift: f64,
    /// Audio ends after this many seconds.
    audio_until: f64,
    /// Wall seconds per media second.
    pace: f64,
    /// Every such picture is left out; 0 is none.
    drop_each: i64,
    /// From the 20th second on, times have this many seconds more.
    step: f64,
    promise: Promise,
}

impl Default for Publisher {
    fn default() -> Self {
        Self {
            fps: 25,
            gop: vec![50],
            picture: 10_000,
            offsets: vec![0],
            audio_shift: 0.0,
            audio_until: f64::MAX,
            pace: 1.0,
            drop_each: 0,
            step: 0.0,
            promise: Promise {
                video: Some(true),
                audio: Some(true),
                video_bitrate: Some(2_000_000.0),
                audio_bitrate: Some(128_000.0),
                frame_rate: Some(25.0),
            },
        }
    }
}

const AUDIO_RATE: i64 = 48_000;

fn mono(seconds: f64) -> Mono {
    Mono((seconds * 1e6) as u64)
}

impl Publisher {
    /// Runs it for some seconds of media and gives what the doctor says then.
    fn run(&self, seconds: i64) -> Health {
        let mut doctor = Doctor::new(Duration::from_secs(4), Mono(0));
        doctor.handle_promise(self.promise);
        doctor.video.timescale = 90_000;
        doctor.audio.timescale = AUDIO_RATE as u32;
        let (mut sent, mut next_key, mut keys) = (0, 0, self.gop.iter().cycle());
        for n in 0..seconds * self.fps {
            let at = n as f64 / self.fps as f64;
            let step = if at >= 20.0 { self.step } else { 0.0 };
            let key = self.gop != [0] && n == next_key;
            if key {
                next_key += keys.next().unwrap();
            }
            // Audio of the same time comes first.
            while (sent * 1024) as f64 / AUDIO_RATE as f64 <= at && at < self.audio_until {
                let shift = ((self.audio_shift + step) * AUDIO_RATE as f64) as i64;
                let frame = frame(TrackKind::Audio, sent * 1024 + shift, 0, true, 341);
                doctor.handle_frame(&frame, mono(at * self.pace));
                sent += 1;
            }
            if self.drop_each > 0 && n % self.drop_each == 0 && !key {
                continue;
            }
            let offset = self.offsets[n as usize % self.offsets.len()];
            let dts = n * 90_000 / self.fps + (step * 90_000.0) as i64;
            let frame = frame(TrackKind::Video, dts, offset, key, self.picture);
            doctor.handle_frame(&frame, mono(at * self.pace));
        }
        doctor.health(mono(seconds as f64 * self.pace))
    }
}

fn frame(kind: TrackKind, dts: i64, offset: i64, key: bool, len: usize) -> Frame {
    static BYTES: [u8; 1 << 20] = [0; 1 << 20];
    Frame {
        track: TrackId::source(kind),
        kind,
        dts,
        pts: dts + offset,
        key,
        received_at: Mono(0),
        payload: Bytes::from_static(&BYTES[..len]),
    }
}

fn faults(health: &Health) -> Vec<Fault> {
    health.findings.iter().map(|f| f.fault).collect()
}

/// The value of the one finding.
fn only(health: &Health, fault: Fault, severity: Severity) -> f64 {
    assert_eq!(faults(health), [fault], "{health:#?}");
    assert_eq!(health.findings[0].severity, severity, "{health:#?}");
    health.findings[0].value
}

fn near(value: f64, want: f64) {
    assert!(
        (value - want).abs() <= want.abs() * 0.05 + 0.05,
        "{value} is not {want}"
    );
}

#[allow(clippy::too_many_lines, reason = "a list")]
fn healthy() -> [(&'static str, Publisher); 9] {
    let base = Publisher::default();
    let none = Promise::default();
    [
        ("plain", base.clone()),
        (
            "60 pictures a second",
            Publisher {
                fps: 60,
                gop: vec![120],
                picture: 4000,
                promise: Promise {
                    frame_rate: Some(60.0),
                    ..base.promise
                },
                ..base.clone()
            },
        ),
        (
            "says nothing of itself",
            Publisher {
                promise: none,
                ..base.clone()
            },
        ),
        (
            "says nonsense",
            Publisher {
                promise: Promise {
                    video_bitrate: Some(0.0),
                    audio_bitrate: Some(f64::NAN),
                    frame_rate: Some(0.0),
                    ..none
                },
                ..base.clone()
            },
        ),
        (
            "without audio",
            Publisher {
                audio_until: 0.0,
                promise: none,
                ..base.clone()
            },
        ),
        (
            "audio within half a second",
            Publisher {
                audio_shift: -0.5,
                ..base.clone()
            },
        ),
        (
            "scene cuts that hardly matter",
            Publisher {
                gop: vec![50, 40],
                ..base.clone()
            },
        ),
        (
            "a slightly slow clock",
            Publisher {
                pace: 1.001,
                ..base.clone()
            },
        ),
        (
            "keyframes as far apart as segments",
            Publisher {
                gop: vec![100],
                ..base.clone()
            },
        ),
    ]
}

#[test]
fn healthy_publishers_give_no_finding() {
    for (what, publisher) in healthy() {
        for seconds in [1, 9, 11, 30, 61] {
            let health = publisher.run(seconds);
            assert_eq!(health.findings, [], "{what} after {seconds} s");
        }
    }
}

#[test]
fn a_healthy_publisher_of_audio_alone_gives_no_finding() {
    let audio = Publisher {
        promise: Promise {
            video: None,
            ..Publisher::default().promise
        },
        ..Publisher::default()
    };
    let mut doctor = Doctor::new(Duration::from_secs(4), Mono(0));
    doctor.handle_promise(audio.promise);
    doctor.audio.timescale = AUDIO_RATE as u32;
    for n in 0..2000 {
        let at = (n * 1024) as f64 / AUDIO_RATE as f64;
        doctor.handle_frame(&frame(TrackKind::Audio, n * 1024, 0, true, 341), mono(at));
    }
    assert_eq!(doctor.health(mono(42.6)).findings, []);
}

#[test]
fn measures_are_right() {
    let health = Publisher::default().run(31);
    near(health.video_bitrate.unwrap(), 2_000_000.0);
    near(
        health.audio_bitrate.unwrap(),
        341.0 * 8.0 * 48_000.0 / 1024.0,
    );
    near(health.frame_rate.unwrap(), 25.0);
    near(health.keyframe_distance.unwrap(), 2.0);
    near(health.speed.unwrap(), 1.0);
    assert!(health.audio_ahead.unwrap().abs() < 0.1);
}

#[test]
fn keyframes_too_far_apart() {
    let long = Publisher {
        gop: vec![150],
        ..Publisher::default()
    };
    near(
        only(&long.run(31), Fault::KeyframeDistance, Severity::Warning),
        6.0,
    );
    let longer = Publisher {
        gop: vec![600],
        ..Publisher::default()
    };
    // It is seen before the second one comes.
    near(
        only(&longer.run(6), Fault::KeyframeDistance, Severity::Warning),
        6.0,
    );
    near(
        only(&longer.run(30), Fault::KeyframeDistance, Severity::Error),
        24.0,
    );
}

#[test]
fn keyframes_at_changing_distances() {
    let wild = Publisher {
        gop: vec![95, 10, 50, 20, 80],
        ..Publisher::default()
    };
    only(&wild.run(40), Fault::KeyframesIrregular, Severity::Info);
}

#[test]
fn no_keyframe_at_all() {
    let none = Publisher {
        gop: vec![0],
        ..Publisher::default()
    };
    assert_eq!(none.run(4).findings, []);
    near(only(&none.run(8), Fault::NoKeyframe, Severity::Error), 8.0);
}

#[test]
fn b_frames() {
    let reordered = Publisher {
        offsets: vec![7200, 10_800, 0, 0],
        ..Publisher::default()
    };
    assert!(only(&reordered.run(11), Fault::BFrames, Severity::Info) > 10.0);
}

#[test]
fn more_bits_than_announced() {
    let fat = Publisher {
        picture: 20_000,
        ..Publisher::default()
    };
    near(
        only(&fat.run(11), Fault::Bitrate, Severity::Warning),
        4_000_000.0,
    );
}

#[test]
fn audio_apart_from_video() {
    let ahead = Publisher {
        audio_shift: 2.0,
        ..Publisher::default()
    };
    near(only(&ahead.run(11), Fault::AvSkew, Severity::Warning), 2.0);
    let behind = Publisher {
        audio_shift: -4.0,
        ..Publisher::default()
    };
    near(only(&behind.run(11), Fault::AvSkew, Severity::Error), -4.0);
}

#[test]
fn clocks_that_jump() {
    let ahead = Publisher {
        step: 10.0,
        ..Publisher::default()
    };
    near(
        only(&ahead.run(25), Fault::TimestampJump, Severity::Warning),
        10_040.0,
    );
    let back = Publisher {
        step: -10.0,
        ..Publisher::default()
    };
    near(
        only(&back.run(25), Fault::TimestampBackward, Severity::Warning),
        -9_960.0,
    );
    // It is not told for ever.
    assert_eq!(ahead.run(85).findings, []);
}

#[test]
fn pictures_that_are_dropped() {
    let dropping = Publisher {
        drop_each: 4,
        ..Publisher::default()
    };
    near(
        only(&dropping.run(11), Fault::FrameRate, Severity::Warning),
        19.0,
    );
    let promise = Promise {
        frame_rate: None,
        ..dropping.promise
    };
    // Without a promise nothing is known to be wrong with a rate that stays.
    assert_eq!(
        Publisher {
            promise,
            ..dropping
        }
        .run(31)
        .findings,
        []
    );
}

#[test]
fn uploads_slower_and_faster_than_real_time() {
    let slow = Publisher {
        pace: 2.0,
        ..Publisher::default()
    };
    near(only(&slow.run(11), Fault::UploadSlow, Severity::Error), 0.5);
    let little = Publisher {
        pace: 1.1,
        ..Publisher::default()
    };
    near(
        only(&little.run(11), Fault::UploadSlow, Severity::Warning),
        0.91,
    );
    let fast = Publisher {
        pace: 0.25,
        ..Publisher::default()
    };
    near(
        only(&fast.run(60), Fault::UploadFast, Severity::Warning),
        4.0,
    );
}

#[test]
fn audio_that_does_not_come() {
    let mute = Publisher {
        audio_until: 0.0,
        ..Publisher::default()
    };
    assert_eq!(mute.run(4).findings, []);
    near(
        only(&mute.run(8), Fault::AudioMissing, Severity::Error),
        8.0,
    );
    // Of a track that was there it does not matter what was announced.
    let promise = Promise::default();
    let cut = Publisher {
        audio_until: 12.0,
        promise,
        ..Publisher::default()
    };
    let health = cut.run(20);
    assert!(
        faults(&health).contains(&Fault::AudioMissing),
        "{health:#?}"
    );
}

#[test]
fn silence_is_a_slow_upload() {
    let mut doctor = Doctor::new(Duration::from_secs(4), Mono(0));
    doctor.video.timescale = 90_000;
    doctor.handle_frame(&frame(TrackKind::Video, 0, 0, true, 1000), mono(0.0));
    let health = doctor.health(mono(10.0));
    near(only(&health, Fault::UploadSlow, Severity::Error), 0.0);
}

#[test]
fn wild_times_do_no_harm() {
    let mut doctor = Doctor::new(Duration::from_secs(4), Mono(0));
    doctor.video.timescale = 90_000;
    let times = [i64::MIN, i64::MAX, 0, -1, i64::MAX, i64::MIN];
    for (n, dts) in times.into_iter().enumerate() {
        for kind in [TrackKind::Video, TrackKind::Audio] {
            let mut wild = frame(kind, 0, 0, n % 2 == 0, 10);
            (wild.dts, wild.pts) = (dts, dts.wrapping_add(5));
            doctor.handle_frame(&wild, Mono(n as u64 * 7_000_000));
        }
    }
    let health = doctor.health(Mono(u64::MAX));
    assert!(
        health.findings.iter().all(|f| f.value.is_finite()),
        "{health:#?}"
    );
}

#[test]
fn words_are_different_and_say_what_to_do() {
    for (n, fault) in Fault::ALL.into_iter().enumerate() {
        assert_eq!(fault as usize, n);
        assert!(Fault::ALL[..n].iter().all(|f| f.as_str() != fault.as_str()));
        assert!(advice::of(fault).contains(';'), "{fault:?}");
    }
}
