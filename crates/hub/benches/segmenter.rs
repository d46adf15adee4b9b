//! What a frame costs from the session machine to chunks: 30 fps video at 5 Mbit/s with a
//! keyframe every 2 s, and AAC at 48 kHz, times in milliseconds as RTMP has them.

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use weir_hub::doctor::Doctor;
use weir_hub::{Announced, Origin, Stream, StreamConfig};
use weir_media::aac::AacConfig;
use weir_media::avc::AvcConfig;
use weir_media::time::rescale;
use weir_media::{CodecConfig, Frame, Mono, Now, TrackId, TrackKind, Utc};

const SECONDS: i64 = 60;
const SPS: &[u8] = &[
    0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00,
    0x10, 0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x83, 0x19, 0x60,
];
const PPS: &[u8] = &[0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0];

fn now(us: i64) -> Now {
    Now {
        mono: Mono(us as u64),
        utc: Utc(1_795_214_761_250_000 + us),
    }
}

fn frame(kind: TrackKind, us: i64, key: bool, payload: &Bytes) -> (Now, Frame) {
    let rate = match kind {
        TrackKind::Video => 90_000,
        TrackKind::Audio => 48_000,
    };
    let dts = rescale(us / 1000, 1000, rate);
    let frame = Frame {
        track: TrackId::source(kind),
        kind,
        dts,
        pts: dts,
        key,
        received_at: now(us).mono,
        payload: payload.clone(),
    };
    (now(us), frame)
}

/// A minute of frames in order of arrival.
fn minute() -> Vec<(Now, Frame)> {
    let mut slice = vec![0u8; 20_000];
    slice[..5].copy_from_slice(&[0, 0, 0x4e, 0x1c, 0x41]);
    let delta = Bytes::from(slice.clone());
    slice[4] = 0x65;
    let key = Bytes::from(slice);
    let sound = Bytes::from(vec![0u8; 340]);
    let mut frames: Vec<_> = (0..SECONDS * 30)
        .map(|i| {
            let is_key = i % 60 == 0;
            let payload = if is_key { &key } else { &delta };
            frame(TrackKind::Video, i * 1_000_000 / 30, is_key, payload)
        })
        .collect();
    let sounds = SECONDS * 48_000 / 1024;
    let sounds =
        (0..sounds).map(|i| frame(TrackKind::Audio, i * 1_024_000_000 / 48_000, true, &sound));
    frames.extend(sounds);
    frames.sort_by_key(|f| f.0.mono);
    frames
}

fn stream() -> Stream {
    let video = AvcConfig::from_parameter_sets(&[SPS], &[PPS]).expect("a valid SPS");
    let audio = AacConfig::parse(Bytes::from_static(&[0x11, 0x90])).expect("a valid record");
    let mut stream = Stream::new(StreamConfig::default(), Origin::default(), now(0));
    let announced = Announced {
        video: Some(true),
        audio: Some(true),
    };
    stream.handle_publish(announced, now(0));
    stream.handle_config(TrackId::SOURCE_VIDEO, CodecConfig::H264(video), now(0));
    stream.handle_config(TrackId::SOURCE_AUDIO, CodecConfig::Aac(audio), now(0));
    stream
}

fn segmenter(c: &mut Criterion) {
    let frames = minute();
    let mut group = c.benchmark_group("segmenter");
    group.throughput(Throughput::Elements(frames.len() as u64));
    group.bench_function("frame", |b| {
        b.iter_batched_ref(
            || (stream(), frames.clone()),
            |(stream, frames)| {
                for (now, frame) in frames.drain(..) {
                    stream.handle_frame(frame, now);
                    while let Some(output) = stream.poll_output() {
                        black_box(output);
                    }
                }
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

/// What the doctor costs beside: a look at each frame.
fn doctor(c: &mut Criterion) {
    let frames = minute();
    let mut group = c.benchmark_group("doctor");
    group.throughput(Throughput::Elements(frames.len() as u64));
    group.bench_function("a minute of frames", |b| {
        let video = AvcConfig::from_parameter_sets(&[SPS], &[PPS]).expect("a valid SPS");
        let audio = AacConfig::parse(Bytes::from_static(&[0x11, 0x90])).expect("a valid record");
        b.iter(|| {
            let mut doctor = Doctor::new(StreamConfig::default().segment, Mono(0));
            doctor.handle_config(TrackId::SOURCE_VIDEO, &CodecConfig::H264(video.clone()));
            doctor.handle_config(TrackId::SOURCE_AUDIO, &CodecConfig::Aac(audio.clone()));
            for (now, frame) in &frames {
                doctor.handle_frame(black_box(frame), now.mono);
            }
            doctor
        });
    });
    group.finish();
}

criterion_group!(benches, segmenter, doctor);
criterion_main!(benches);
