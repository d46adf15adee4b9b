//! What a chunk costs, end to end, and what a long list costs a snapshot.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../tests/common/mod.rs"]
mod common;

use common::*;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;
use weir_media::TrackKind;
use weir_store::{Broadcast, GapInput, Library, View, Writer};

const SEGMENTS: u64 = 150_000;
const PARTS: u32 = 8;
const STREAMS: u64 = 50;

/// CPU time used so far.
type CpuClock = fn() -> Duration;

/// CPU time from a `schedstat` file.
fn spent(path: &std::path::Path) -> Duration {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let nanos = text.split(' ').next().and_then(|n| n.parse().ok());
    Duration::from_nanos(nanos.unwrap_or(0))
}

/// CPU time of all threads of this process, among them the ring's kernel workers.
fn cpu_of_all() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    tasks
        .map(|t| spent(&t.unwrap().path().join("schedstat")))
        .sum()
}

fn cpu_of_worker() -> Duration {
    spent("/proc/thread-self/schedstat".as_ref())
}

async fn listed(broadcast: &Broadcast, at: u64) {
    let last = move |v: &View| v.tracks[0].last().map_or(0, |s| s.media_sequence);
    wait_for(broadcast, |v| last(v) >= at).await;
    assert!(broadcast.is_recording());
}

/// Appends `count` chunks, spread over the streams of a worker, eight to a segment, and waits
/// for each segment to be listed.
async fn publish(library: &Arc<Library>, payload: usize, count: u64, cpu: CpuClock) -> Duration {
    let mut writers = Vec::new();
    for i in 0..STREAMS {
        let stream = name(&format!("s{payload}-{i}"));
        let mut writer = library.begin(&stream, START, now()).unwrap();
        writer.add_init(init(VIDEO, 1, video_config(31))).unwrap();
        writers.push(writer);
    }
    let chunks: Vec<_> = (0..PARTS)
        .map(|p| chunk(TrackKind::Video, 0, p, u64::from(p), payload))
        .collect();
    let mut publisher = Publisher::new(PARTS, payload);
    let mut start = cpu();
    // The first round makes the files, which is once an hour, and is not counted.
    for round in 0..=count.div_ceil(u64::from(PARTS) * STREAMS) {
        if round == 1 {
            start = cpu();
        }
        for chunk in &chunks {
            for writer in &mut writers {
                let mut chunk = chunk.clone();
                chunk.media_sequence = publisher.media_sequence;
                writer.append_chunk(chunk).unwrap();
            }
            publisher.time += 1;
            // One part's time, shortened: all streams send, then the ring works.
            weir_ring::sleep(Duration::from_millis(1)).await;
        }
        let input = publisher.end_input(VIDEO, PARTS);
        for writer in &mut writers {
            writer.end_segment(&input).unwrap();
        }
        publisher.media_sequence += 1;
        for writer in &writers {
            listed(writer.broadcast(), input.media_sequence).await;
        }
    }
    let spent = cpu() - start;
    for writer in writers {
        writer.seal(now()).await;
    }
    // Whole rounds were done: the part of it that was asked for.
    let round = u64::from(PARTS) * STREAMS;
    spent.mul_f64(count as f64 / (count.div_ceil(round) * round) as f64)
}

fn append(c: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let library = Library::open(config(dir.path()), now()).unwrap();
    let mut group = c.benchmark_group("append");
    group.sample_size(20);
    for payload in [6_200, 62_000] {
        let size = payload * 5 / 1000;
        group.throughput(Throughput::Bytes(payload as u64 * 5));
        let clocks: [(&str, CpuClock); 2] =
            [("all threads", cpu_of_all), ("the worker", cpu_of_worker)];
        for (whose, cpu) in clocks {
            group.bench_function(format!("{size} KB, CPU of {whose}"), |b| {
                b.iter_custom(|count| run(publish(&library, payload, count, cpu)));
            });
            // The data is in the way of the next measurement.
            let all = weir_store::DiskSpace {
                free: 0,
                total: u64::MAX,
            };
            library.retain(now(), all);
        }
    }
    group.finish();
}

/// Adds a gap, which is a segment without bytes; returns its number.
fn add(writer: &mut Writer, publisher: &mut Publisher) -> u64 {
    let input = publisher.end_input(VIDEO, PARTS);
    let gap = GapInput {
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
    publisher.time += u64::from(PARTS);
    input.media_sequence
}

fn long_list(c: &mut Criterion) {
    let dir = temp_dir();
    let mut config = config(dir.path());
    config.file_duration_max = Duration::from_secs(30 * 86_400);
    config.segment_wait = Duration::from_secs(2);
    let library = Library::open(config, now()).unwrap();
    run(async {
        let mut writer = library.begin(&name("long"), START, now()).unwrap();
        writer.add_init(init(VIDEO, 1, video_config(31))).unwrap();
        let mut publisher = Publisher::new(PARTS, 100);
        publisher.time = u64::from(PARTS);
        let broadcast = Arc::clone(writer.broadcast());
        for i in 0..SEGMENTS {
            let at = add(&mut writer, &mut publisher);
            if i % 512 == 0 {
                listed(&broadcast, at).await;
            }
        }
        let view = broadcast.view();
        let track = Arc::clone(&view.tracks[0]);
        let middle = START.media_sequence + SEGMENTS / 2;
        c.bench_function("find one of 150,000 segments", |b| {
            b.iter(|| track.segment(black_box(middle)).unwrap());
        });
        c.bench_function("list the live window", |b| b.iter(|| track.window()));
        c.bench_function("walk 150,000 segments", |b| b.iter(|| track.all().count()));
        drop((view, track));
        // Criterion would block the ring, so by hand: the queue takes 400 at once.
        let mut rounds = Vec::new();
        for _ in 0..21 {
            let start = cpu_of_worker();
            let mut at = 0;
            for _ in 0..400 {
                at = add(&mut writer, &mut publisher);
            }
            listed(&broadcast, at).await;
            rounds.push((cpu_of_worker() - start) / 400);
        }
        rounds.sort();
        println!(
            "append, list and publish behind 150,000 (worker CPU): {:?}",
            rounds[10]
        );
    });
}

criterion_group!(benches, append, long_list);
criterion_main!(benches);
