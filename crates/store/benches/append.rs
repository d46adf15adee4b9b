//! What a chunk costs the worker, and what a long list costs a snapshot.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../tests/common/mod.rs"]
mod common;

use common::*;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::sync::Arc;
use std::time::{Duration, Instant};
use weir_media::TrackKind;
use weir_store::Library;

/// CPU time of this process, in all threads: kernel workers of the ring included.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let own = stat
        .split(' ')
        .next()
        .and_then(|n| n.parse().ok())
        .unwrap_or(0);
    let tasks = std::fs::read_dir("/proc/self/task")
        .into_iter()
        .flatten()
        .flatten();
    let all = tasks.filter_map(|t| {
        let text = std::fs::read_to_string(t.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(all.sum::<u64>().max(own))
}

/// One chunk of 31 KB (5 Mbit/s, 50 ms ... 500 ms parts differ in size only), appended end
/// to end, 8 chunks to a segment.
fn append(c: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let library = Library::open(config(dir.path()), now()).unwrap();
    let mut group = c.benchmark_group("append");
    for payload in [6_200, 62_000] {
        group.throughput(Throughput::Bytes(payload as u64 * 5));
        group.bench_function(
            format!("chunk of {} KB, CPU of all threads", payload * 5 / 1000),
            |b| {
                b.iter_custom(|count| {
                    run(async {
                        let stream = name(&format!("s{payload}-{count}"));
                        let mut writer = library.begin(&stream, START, now()).unwrap();
                        writer.add_init(init(VIDEO, 1, video_config(31))).unwrap();
                        let chunks: Vec<_> = (0..8)
                            .map(|p| chunk(TrackKind::Video, 0, p, u64::from(p), payload))
                            .collect();
                        let mut publisher = Publisher::new(8, payload);
                        let broadcast = Arc::clone(writer.broadcast());
                        let start = cpu_time();
                        for _ in 0..count.div_ceil(8) {
                            for chunk in &chunks {
                                let mut chunk = chunk.clone();
                                chunk.media_sequence = publisher.media_sequence;
                                writer.append_chunk(chunk).unwrap();
                                publisher.time += 1;
                            }
                            writer.end_segment(&publisher.end_input(VIDEO, 8)).unwrap();
                            let at = publisher.media_sequence;
                            publisher.media_sequence += 1;
                            while broadcast.view().tracks[0].last().map(|s| s.media_sequence)
                                != Some(at)
                            {
                                weir_ring::yield_now().await;
                            }
                        }
                        let spent = cpu_time() - start;
                        writer.seal(now()).await;
                        spent
                    })
                });
            },
        );
    }
    group.finish();
}

/// Adds segments (gaps, which are segments without bytes) behind 150,000 others.
fn publish(c: &mut Criterion) {
    let dir = temp_dir();
    let mut config = config(dir.path());
    config.file_duration_max = Duration::from_secs(30 * 86_400);
    let library = Library::open(config, now()).unwrap();
    run(async {
        let mut writer = library.begin(&name("long"), START, now()).unwrap();
        writer.add_init(init(VIDEO, 1, video_config(31))).unwrap();
        let mut publisher = Publisher::new(8, 100);
        publisher.time = 8;
        let mut add = |writer: &mut weir_store::Writer| {
            let input = publisher.end_input(VIDEO, 8);
            let gap = weir_store::GapInput {
                track: VIDEO,
                media_sequence: input.media_sequence,
                init: 1,
                decode_time: input.decode_time,
                duration: input.duration,
                discontinuity: false,
                discontinuity_sequence: input.discontinuity_sequence,
                program_date_time: input.program_date_time,
                target_duration: 4,
            };
            writer.gap(&gap).unwrap();
            publisher.media_sequence += 1;
            publisher.time += 8;
            input.media_sequence
        };
        for i in 0..150_000u32 {
            add(&mut writer);
            if i % 256 == 0 {
                weir_ring::yield_now().await;
            }
        }
        let broadcast = Arc::clone(writer.broadcast());
        let listed =
            |at| move |v: &weir_store::View| v.tracks[0].last().unwrap().media_sequence >= at;
        wait_for(&broadcast, |v| v.tracks[0].last().is_some()).await;
        wait_for(&broadcast, listed(START.media_sequence + 149_999)).await;
        let view = broadcast.view();
        let middle = START.media_sequence + 75_000;
        c.bench_function("find one of 150,000 segments", |b| {
            b.iter(|| view.tracks[0].segment(std::hint::black_box(middle)));
        });
        c.bench_function("list the live window", |b| {
            b.iter(|| view.tracks[0].window())
        });
        c.bench_function("walk 150,000 segments", |b| {
            b.iter(|| view.tracks[0].all().count())
        });
        drop(view);
        // The append itself is in it, so this is the upper bound of a push and a snapshot.
        let start = Instant::now();
        let mut last = 0;
        for _ in 0..2_000 {
            last = add(&mut writer);
        }
        let calls = start.elapsed() / 2_000;
        wait_for(&broadcast, listed(last)).await;
        let all = start.elapsed() / 2_000;
        println!("gap behind 150,000 segments: call {calls:?}, with append and listing {all:?}");
        writer.seal(now()).await;
    });
}

criterion_group!(benches, append, publish);
criterion_main!(benches);
