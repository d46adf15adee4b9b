//! Everything at once: random operations with random times. The reader's checks hold all the
//! same, and nothing stalls, panics or grows.
#![allow(clippy::unwrap_used)] // Helpers of tests are tests.

mod common;

use common::{AUDIO, Rng, SECOND, Scene, VIDEO, aac, h264, h264_1080p};
use weir_hub::Announced;
use weir_media::TrackKind;

fn announced(rng: &mut Rng) -> Announced {
    let say = |n| [None, Some(false), Some(true), Some(true)][n as usize];
    Announced {
        video: say(rng.range(0, 3)),
        audio: say(rng.range(0, 3)),
    }
}

fn config(rng: &mut Rng) -> weir_media::CodecConfig {
    match rng.range(0, 3) {
        0 => h264_1080p(),
        1 => aac(44_100),
        2 => aac(48_000),
        _ => h264(),
    }
}

/// A publisher's clock that mostly runs and sometimes does something else, in milliseconds.
struct Clock {
    now: i64,
    trouble: u64,
}

impl Clock {
    fn tick(&mut self, ms: i64, rng: &mut Rng) -> i64 {
        self.now += ms;
        if rng.range(0, 999) < self.trouble {
            match rng.range(0, 4) {
                0 => self.now += rng.range(0, 20_000) as i64,
                1 => self.now -= rng.range(0, 20_000) as i64,
                2 => self.now = rng.range(0, 1 << 42) as i64,
                3 => return rng.next() as i64 >> rng.range(0, 40),
                _ => return self.now - rng.range(0, 5000) as i64,
            }
        }
        self.now
    }
}

fn run(seed: u64) {
    let mut rng = Rng(seed * 0x9e37_79b9 + 1);
    let mut scene = Scene::new();
    scene.reader.holes_allowed = true;
    scene.reader.burst = true;
    let mut clock = Clock {
        now: 0,
        trouble: [0, 1, 10, 200][(seed % 4) as usize],
    };
    let churn = [0, 2, 20][(seed % 3) as usize];
    scene.publish(announced(&mut rng), &[h264(), aac(48_000)]);
    for _ in 0..rng.range(100, 3000) {
        if rng.range(0, 999) < churn {
            match rng.range(0, 3) {
                0 => scene.unpublish(),
                1 => {
                    let configs = [config(&mut rng), config(&mut rng)];
                    scene.publish(announced(&mut rng), &configs);
                }
                2 => {
                    let say = announced(&mut rng);
                    scene.stream.handle_announced(say, scene.now());
                    scene.drain();
                }
                _ => scene.config(config(&mut rng)),
            }
        }
        let pause = if rng.range(0, 499) == 0 { 15_000 } else { 30 };
        let step = rng.range(0, pause);
        let at = scene.clock + step * 1000;
        scene.run_to(at);
        let ms = clock.tick(step as i64, &mut rng);
        let audio = rng.range(0, 1) == 0;
        let rate = if audio { 48 } else { 90 };
        let dts = ms.saturating_mul(rate);
        let pts = dts.saturating_add(rng.range(0, 20_000) as i64 - 4000);
        let kind = if audio {
            TrackKind::Audio
        } else {
            TrackKind::Video
        };
        scene.send(kind, dts, pts, rng.range(0, 40) == 0);
    }
    scene.unpublish();
    // Nothing is lost without being counted, or given out twice.
    let mut ids: Vec<u32> = Vec::new();
    for track in [VIDEO, AUDIO] {
        let track: Vec<u32> = scene.reader.samples(track).map(|s| s.id).collect();
        assert!(track.is_sorted(), "seed {seed}");
        ids.extend(track);
    }
    let stats = scene.stats();
    assert_eq!(
        ids.len() as u64 + stats.dropped,
        stats.frames,
        "seed {seed}"
    );
    // A last session that behaves is served whatever came before.
    scene.run_to(scene.clock + SECOND);
    scene.sent.clear();
    let before = scene.reader.segments(VIDEO).len();
    scene.publish(common::BOTH, &[h264(), aac(48_000)]);
    scene.play(&common::Clip::default());
    scene.unpublish();
    scene.reader.assert_all_numbers();
    // Time went on about as fast as on the wall: nothing jumped ahead for years.
    let last = scene.reader.samples(VIDEO).last().unwrap().dts / 90_000;
    assert!(last < 20 * 3600, "seed {seed}: {last} s");
    let seconds: f64 = scene.reader.seconds(VIDEO)[before..].iter().sum();
    assert!((seconds - 20.0).abs() < 0.1, "seed {seed}: {seconds}");
}

#[test]
fn random_operations_keep_every_promise() {
    for seed in 1..=300 {
        println!("seed {seed}");
        run(seed);
    }
}
