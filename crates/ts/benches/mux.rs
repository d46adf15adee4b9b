//! Muxing a segment of four seconds from memory beside copying its payload, and the arithmetic
//! alone.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use weir_media::aac::AacConfig;
use weir_media::avc::AvcConfig;
use weir_media::{CodecConfig, Sample, SampleFlags};
use weir_ts::{TrackSegment, mux_segment, payload_packets};

const SPS: &[u8] = &[
    0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00,
    0x10, 0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x83, 0x19, 0x60,
];
const PPS: &[u8] = &[0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0];

const SECONDS: u32 = 4;
const FRAME_RATE: u32 = 30;

/// A keyframe of ten times the size of the others each two seconds, four slices per picture.
fn video(bit_rate: u32) -> (Vec<Sample>, Vec<Vec<u8>>) {
    let unit = bit_rate / 8 * 2 / (2 * FRAME_RATE + 9);
    let frames = (0..SECONDS * FRAME_RATE).map(|i| {
        let key = i % (2 * FRAME_RATE) == 0;
        let slice = if key { 10 * unit } else { unit } / 4;
        let mut payload = Vec::new();
        for _ in 0..4 {
            payload.extend(slice.to_be_bytes());
            payload.resize(payload.len() + slice as usize, 0x41);
        }
        let sample = Sample {
            size: payload.len() as u32,
            duration: 90_000 / FRAME_RATE,
            composition_offset: 3000,
            flags: SampleFlags(u32::from(key)),
        };
        (sample, payload)
    });
    frames.unzip()
}

/// AAC of 128 kbit/s.
fn audio() -> (Vec<Sample>, Vec<Vec<u8>>) {
    let sample = Sample {
        size: 341,
        duration: 1024,
        ..Sample::default()
    };
    let count = (SECONDS * 48_000 / 1024) as usize;
    (vec![sample; count], vec![vec![0x21; 341]; count])
}

fn bench(c: &mut Criterion) {
    let avc = AvcConfig::from_parameter_sets(&[SPS], &[PPS]).expect("parameter sets of x264");
    let aac = AacConfig::parse(vec![0x11, 0x90].into()).expect("AAC LC, 48 kHz, stereo");
    let (avc, aac) = (CodecConfig::H264(avc), CodecConfig::Aac(aac));
    let (audio_samples, audio_payload) = audio();
    for mbit in [5, 50] {
        let (samples, payload) = video(mbit * 1_000_000);
        let tracks = [
            TrackSegment {
                config: &avc,
                decode_time: 900_000,
                packets_before: 0,
                samples: &samples,
                payload: &payload,
            },
            TrackSegment {
                config: &aac,
                decode_time: 480_000,
                packets_before: 0,
                samples: &audio_samples,
                payload: &audio_payload,
            },
        ];
        let all = samples.iter().chain(&audio_samples);
        let bytes = all.map(|s| u64::from(s.size)).sum();
        let mut group = c.benchmark_group(format!("{mbit} Mbit/s"));
        group.throughput(Throughput::Bytes(bytes));
        let mut out = Vec::new();
        group.bench_function("copy alone, for comparison", |b| {
            b.iter(|| {
                out.clear();
                for payload in payload.iter().chain(&audio_payload) {
                    out.extend_from_slice(payload);
                }
            })
        });
        group.bench_function("into a used buffer", |b| {
            b.iter(|| {
                out.clear();
                mux_segment(1, &tracks, &mut out)
            })
        });
        group.bench_function("into a new buffer", |b| {
            b.iter_batched(
                Vec::new,
                |mut out| mux_segment(1, &tracks, &mut out).map(|()| out),
                BatchSize::PerIteration,
            )
        });
        group.finish();
        c.bench_function(&format!("payload_packets of {mbit} Mbit/s"), |b| {
            b.iter(|| payload_packets(black_box(&avc), black_box(&samples)))
        });
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
