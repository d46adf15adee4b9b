//! Cost of the demo publisher per frame: drawing, H.264, AAC. One core, one thread.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use weir_encode::demo::{DemoConfig, DemoSource, Scene, Tone};
use weir_encode::{aac, asm_state, h264};

/// Microseconds between two frames at 30 per second.
const FRAME_US: i64 = 33_333;

fn draw(c: &mut Criterion) {
    let mut scene = Scene::new(1280, 720, 30);
    let (mut frame, mut utc_us) = (0, 0);
    c.bench_function("draw 1280x720", |b| {
        b.iter(|| {
            frame += 1;
            utc_us += FRAME_US;
            black_box(scene.draw(frame, utc_us));
        });
    });
}

fn encode_video(c: &mut Criterion) {
    let config = h264::Config {
        width: 1280,
        height: 720,
        fps: 30,
        bitrate_bps: 2_500_000,
        gop_frames: 60,
    };
    let mut encoder = h264::Encoder::new(config).expect("openh264 starts");
    let mut scene = Scene::new(1280, 720, 30);
    let (mut frame, mut utc_us) = (0, 0);
    c.bench_function(
        &format!("draw and h264 1280x720, asm {:?}", asm_state()),
        |b| {
            b.iter(|| {
                let picture = scene.draw(frame, utc_us);
                frame += 1;
                utc_us += FRAME_US;
                black_box(encoder.encode(picture).expect("openh264 encodes"));
            });
        },
    );
}

fn encode_audio(c: &mut Criterion) {
    let mut encoder = aac::Encoder::new(128_000).expect("fdk-aac starts");
    let (mut tone, mut pcm) = (Tone::new(0), aac::SILENCE);
    c.bench_function("tone and aac-lc frame of 1024 samples", |b| {
        b.iter(|| {
            tone.fill(&mut pcm);
            black_box(encoder.encode(&pcm).expect("fdk-aac encodes"));
        });
    });
}

fn start(c: &mut Criterion) {
    let mut group = c.benchmark_group("start");
    group.sample_size(20);
    group.bench_function("DemoSource::new", |b| {
        b.iter(|| black_box(DemoSource::new(DemoConfig::default()).expect("starts")));
    });
}

criterion_group!(benches, draw, encode_video, encode_audio, start);
criterion_main!(benches);
