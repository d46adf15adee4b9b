//! What is done once per configuration, and once per frame: an access unit of 25 KB is a large
//! picture of a 5 Mbit/s stream.

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use weir_media::aac::AacConfig;
use weir_media::avc::{AvcConfig, inspect};
use weir_media::time::rescale;

/// Parameter sets that x264 made for 1280x720, High profile, level 3.1.
const SPS: &[u8] = &[
    0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00,
    0x10, 0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x83, 0x19, 0x60,
];
const PPS: &[u8] = &[0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0];

const FRAME_BYTES: usize = 25_000;

/// An access unit as encoders send it: a delimiter, a message, and the picture in `slices`.
fn access_unit(slices: usize) -> Vec<u8> {
    let mut unit = vec![0, 0, 0, 2, 0x09, 0xf0];
    // Picture timing, payload type 1, of four bytes.
    unit.extend_from_slice(&[0, 0, 0, 8, 0x06, 1, 4, 0, 0, 0, 0, 0x80]);
    for _ in 0..slices {
        let slice = vec![0x41; (FRAME_BYTES - unit.len()) / slices];
        unit.extend_from_slice(&(slice.len() as u32).to_be_bytes());
        unit.extend_from_slice(&slice);
    }
    unit
}

fn configurations(c: &mut Criterion) {
    let avc = AvcConfig::from_parameter_sets(&[SPS], &[PPS]).expect("valid parameter sets");
    let avc = avc.record().clone();
    let aac = Bytes::from_static(&[0x11, 0x90]);
    let mut group = c.benchmark_group("configuration");
    group.bench_function("AVC", |b| {
        b.iter(|| AvcConfig::parse(black_box(&avc).clone()));
    });
    group.bench_function("AAC", |b| {
        b.iter(|| AacConfig::parse(black_box(&aac).clone()));
    });
    group.finish();
}

fn frames(c: &mut Criterion) {
    let mut group = c.benchmark_group("frame");
    for slices in [1, 8] {
        let unit = access_unit(slices);
        group.bench_function(format!("inspect 25 KB in {slices} slices"), |b| {
            b.iter(|| inspect(black_box(&unit), 4));
        });
    }
    group.finish();
}

fn timestamps(c: &mut Criterion) {
    const COUNT: i64 = 1000;
    let mut group = c.benchmark_group("rescale");
    group.throughput(Throughput::Elements(COUNT as u64));
    for (from, to) in [(1000, 90_000), (90_000, 44_100)] {
        group.bench_function(format!("{from} to {to}"), |b| {
            b.iter(|| {
                for ticks in 0..COUNT {
                    black_box(rescale(black_box(ticks << 24), from, to));
                }
            });
        });
    }
    group.finish();
}

criterion_group!(benches, configurations, frames, timestamps);
criterion_main!(benches);
