//! Time per frame of writing the head of a fragment.

use bytes::BytesMut;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use weir_media::{Sample, SampleFlags, TrackId};
use weir_mp4::fragment_head;

/// Half a second at 30 pictures a second with B-frames, timed in milliseconds by the sender:
/// the dearest form, with three fields per sample.
fn video_chunk() -> Vec<Sample> {
    (0..15u32)
        .map(|i| Sample {
            size: 20_000 + i * 37 % 1_000,
            duration: if i % 3 == 0 { 3_060 } else { 2_970 },
            composition_offset: [6_000, 15_000, 6_000, 0, 3_000][i as usize % 5],
            flags: SampleFlags(u32::from(i == 0)),
        })
        .collect()
}

/// Half a second of AAC at 48 kHz.
fn audio_chunk() -> Vec<Sample> {
    (0..23u32)
        .map(|i| Sample {
            size: 340 + i * 7 % 40,
            duration: 1_024,
            composition_offset: 0,
            flags: SampleFlags::KEY,
        })
        .collect()
}

fn bench(c: &mut Criterion) {
    let mut group = c.benchmark_group("fragment_head");
    for (name, samples) in [("video_15", video_chunk()), ("audio_23", audio_chunk())] {
        group.throughput(Throughput::Elements(samples.len() as u64));
        group.bench_function(name, |b| {
            let mut out = BytesMut::with_capacity(4096);
            b.iter(|| {
                out.clear();
                fragment_head(&mut out, TrackId(1), 7, 900_000, black_box(&samples));
                black_box(out.len())
            });
        });
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
