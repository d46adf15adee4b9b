//! What ffmpeg writes, read as ffprobe reads it, and cut anywhere, damaged and lost in part.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[allow(dead_code, reason = "segments are of other tests")]
mod common;

use common::Random;
use std::collections::BTreeMap;
use weir_media::Mono;
use weir_media::time::rescale;
use weir_ts::demux::{Demuxer, Media, Stats};

/// Track, codec, frames, keys, first and last presentation time in 90 kHz ticks.
type Track = (u16, &'static str, usize, usize, i64, i64);

const VECTORS: &[(&str, &[Track])] = &[
    (
        "h264-aac",
        &[
            (1, "avc1.f4000a", 6, 1, 144_000, 189_000),
            (2, "mp4a.40.2", 30, 30, 142_080, 197_760),
        ],
    ),
    (
        "hevc-ac3",
        &[
            (1, "hvc1.4.10.L30.9E.8", 6, 1, 144_000, 180_000),
            (2, "ac-3", 19, 19, 143_520, 195_360),
        ],
    ),
    ("latm", &[(2, "mp4a.40.2", 30, 30, 126_000, 181_680)]),
    (
        "mp2-eac3",
        &[
            (2, "mp4a.40.33", 25, 25, 126_000, 177_840),
            (4, "ec-3", 19, 19, 126_422, 178_262),
        ],
    ),
    ("opus", &[(2, "Opus", 31, 31, 126_000, 180_000)]),
];

fn vector(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors");
    std::fs::read(format!("{folder}/ffmpeg-5.1-{name}.bin")).unwrap()
}

fn demux<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Media>, Stats) {
    let (mut demuxer, mut media) = (Demuxer::new(None), vec![]);
    for piece in pieces {
        demuxer.handle_data(piece, Mono(0));
        media.extend(std::iter::from_fn(|| demuxer.poll_media()));
    }
    demuxer.handle_end(Mono(0));
    media.extend(std::iter::from_fn(|| demuxer.poll_media()));
    (media, demuxer.stats())
}

#[test]
fn frames_and_times_are_those_of_ffprobe() {
    for (name, expected) in VECTORS {
        let data = vector(name);
        let (media, stats) = demux(std::iter::once(&data[..]));
        assert_eq!(
            (stats.dropped_frames, stats.continuity_errors),
            (0, 0),
            "{name}"
        );
        let mut configs = BTreeMap::new();
        let mut found: BTreeMap<u16, (usize, usize, i64, i64)> = BTreeMap::new();
        for media in media {
            match media {
                Media::Config { track, config } => {
                    assert_eq!(configs.insert(track, config), None, "{name}: one each");
                }
                Media::Frame(frame) => {
                    let pts = rescale(frame.pts, configs[&frame.track].timescale(), 90_000);
                    let track = found.entry(frame.track.0).or_insert((0, 0, pts, pts));
                    track.0 += 1;
                    track.1 += usize::from(frame.key);
                    track.3 = track.3.max(pts);
                }
                _ => {}
            }
        }
        assert_eq!(found.len(), expected.len(), "{name}");
        for (track, codec, frames, keys, first, last) in *expected {
            let config = &configs[&weir_media::TrackId(*track)];
            assert_eq!(config.codec_string(), *codec, "{name}");
            let found = found[track];
            assert_eq!((found.0, found.1), (*frames, *keys), "{name} {track}");
            // Audio is in ticks of its sampling rate; ffprobe's last picture is not its latest.
            assert!(found.2.abs_diff(*first) <= 1, "{name} {track}: {found:?}");
            assert!(found.3 + 1 >= *last, "{name} {track}: {found:?}");
        }
    }
}

#[test]
fn every_cut_gives_the_same() {
    let mut r = Random(99);
    for (name, _) in VECTORS {
        let data = vector(name);
        let whole = demux(std::iter::once(&data[..]));
        for _ in 0..20 {
            let most = [2, 40, 500, 4000][r.below(4) as usize];
            let mut rest = &data[..];
            let pieces = std::iter::from_fn(|| {
                let len = (1 + r.below(most) as usize).min(rest.len());
                let (now, later) = rest.split_at(len);
                rest = later;
                (!now.is_empty()).then_some(now)
            });
            assert_eq!(demux(pieces), whole, "{name}");
        }
    }
}

#[test]
fn packets_sent_twice_are_read_once() {
    for (name, _) in VECTORS {
        let data = vector(name);
        let (media, stats) = demux(std::iter::once(&data[..]));
        let twice: Vec<u8> = data.chunks(188).flat_map(|p| [p, p].concat()).collect();
        let (again, of_twice) = demux(std::iter::once(&twice[..]));
        assert_eq!(again, media, "{name}");
        assert!(of_twice.duplicate_packets > 0);
        assert_eq!(of_twice.continuity_errors, stats.continuity_errors);
    }
}

#[test]
fn what_is_lost_costs_little_and_what_is_left_is_true() {
    let mut r = Random(7);
    let (mut lost, mut kept) = (0, 0);
    for (name, _) in VECTORS {
        let data = vector(name);
        let (media, _) = demux(std::iter::once(&data[..]));
        let frames = |media: &[Media]| -> BTreeMap<(u16, i64), bytes::Bytes> {
            let frame = |m: &Media| match m {
                Media::Frame(f) => Some(((f.track.0, f.pts), f.payload.clone())),
                _ => None,
            };
            media.iter().filter_map(frame).collect()
        };
        let whole = frames(&media);
        for _ in 0..40 {
            let tables = data.chunks(188).take(3);
            let rest = data.chunks(188).skip(3).filter(|_| r.below(20) > 0);
            let left: Vec<u8> = tables.chain(rest).flatten().copied().collect();
            let (media, stats) = demux(std::iter::once(&left[..]));
            let left = frames(&media);
            lost += whole.len() - left.len().min(whole.len());
            kept += left.len();
            if stats.continuity_errors == 0 {
                continue;
            }
            for (key, payload) in left {
                // A picture may lack slices; all else is as it was, and where it was.
                let before = &whole[&key];
                assert!(key.0 == 1 || payload == before, "{name} {key:?}");
                assert!(payload.len() <= before.len(), "{name} {key:?}");
            }
        }
    }
    assert!(lost > 300 && kept > 3000, "{lost} {kept}");
}
