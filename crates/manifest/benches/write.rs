//! Writing the playlist of a live window of 15 segments, and reading it.

use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use weir_manifest::{Map, MediaPlaylist, Segment, read};
use weir_media::Utc;

fn bench(c: &mut Criterion) {
    let uris: Vec<String> = (0..15)
        .map(|i| {
            format!(
                "../../s/0123456789abcdef0123456789abcdef/1/{}.m4s",
                77_000 + i
            )
        })
        .collect();
    let plain: Vec<_> = uris
        .iter()
        .map(|uri| Segment {
            uri,
            duration: 360_360,
            timescale: 90_000,
            map: Some(Map {
                uri: "../../s/0123456789abcdef0123456789abcdef/1/init.mp4",
            }),
            ..Segment::default()
        })
        .collect();
    let mut dated = plain.clone();
    for (i, segment) in dated.iter_mut().enumerate() {
        segment.program_date_time = Some(Utc(1_795_214_761_250_000 + i as i64 * 4_004_000));
    }
    let mut out = String::new();
    for (name, segments) in [("plain", &plain), ("with wall clock", &dated)] {
        let playlist = MediaPlaylist {
            target_duration: 5,
            media_sequence: 1_795_214_761,
            discontinuity_sequence: 1_795_214_700,
            independent_segments: true,
            segments,
            ..MediaPlaylist::default()
        };
        c.bench_function(&format!("write 15 segments, {name}"), |b| {
            b.iter(|| {
                out.clear();
                black_box(&playlist).write(&mut out)
            })
        });
    }
    c.bench_function("read 15 segments, with wall clock", |b| {
        b.iter(|| read::parse(black_box(out.as_bytes())).map(drop))
    });
}

criterion_group!(benches, bench);
criterion_main!(benches);
