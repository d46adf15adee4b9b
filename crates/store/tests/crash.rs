//! What a crash at any moment leaves is a log of whole chunks.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::*;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use weir_media::TrackKind;
use weir_store::{Library, State, View};

const PAYLOAD: usize = 60;
const PARTS: u32 = 3;

/// Checks that a recovered log is a prefix of what the publisher sent, byte by byte, and
/// returns the last number of each track.
fn check_prefix(view: &View, payload: usize) -> Vec<u64> {
    let mut last = Vec::new();
    for track in &view.tracks {
        let numbers = sequences(track);
        let mut packets = 0;
        for (i, info) in track.all().enumerate() {
            assert_eq!(info.media_sequence, 1000 + i as u64, "consecutive");
            let segment = track.segment(info.media_sequence).unwrap();
            let first = i as u64 * u64::from(PARTS);
            let whole = expected(track.kind, info.media_sequence, PARTS, first, payload);
            let bytes = read(&segment.body());
            let is_last = i + 1 == numbers.len();
            assert!(!bytes.is_empty());
            assert!(
                whole == bytes || (is_last && whole.starts_with(&bytes)),
                "segment {} of {} bytes is a prefix of {}",
                info.media_sequence,
                bytes.len(),
                whole.len()
            );
            let half: u64 = if track.kind == TrackKind::Video {
                45_000
            } else {
                24_000
            };
            assert_eq!(info.decode_time, first * half);
            assert_eq!(u64::from(info.duration) % half, 0, "whole chunks");
            assert!(!info.discontinuity);
            assert_eq!(info.discontinuity_sequence, 7);
            let time = EPOCH_US + first as i64 * 500_000;
            assert_eq!(info.program_date_time.0, time);
            assert_eq!(info.ts_packets_before, packets);
            packets += packets_of(track, &segment);
        }
        last.push(numbers.last().copied().unwrap_or(0));
    }
    last
}

fn packets_of(track: &weir_store::TrackView, segment: &weir_store::Segment) -> u64 {
    let (file, offset, len) = segment.samples_place().unwrap();
    let mut bytes = vec![0; len];
    let file = file.samples().unwrap();
    std::os::unix::fs::FileExt::read_exact_at(file.as_std(), &mut bytes, offset).unwrap();
    let samples = segment.decode_samples(&bytes).unwrap();
    weir_ts::payload_packets(&track.config, &samples)
}

/// A log of three closed segments and two chunks of a fourth, as if killed there.
fn killed_log() -> tempfile::TempDir {
    let (dir, crashed) = (temp_dir(), temp_dir());
    let library = Library::open(config(dir.path()), now()).unwrap();
    run(async {
        let mut writer = library.begin(&name("cam"), START, now()).unwrap();
        let mut publisher = Publisher::new(PARTS, PAYLOAD);
        publisher.start(&mut writer);
        for _ in 0..3 {
            publisher.segment(&mut writer);
        }
        publisher.part(&mut writer, 0);
        publisher.part(&mut writer, 1);
        wait_for(writer.broadcast(), |v| {
            let stored = |t: &Arc<weir_store::TrackView>| t.chunk(1003, 1).unwrap().is_stored();
            v.tracks.iter().all(stored)
        })
        .await;
        copy(&dir.path().join("streams"), &crashed.path().join("streams"));
    });
    crashed
}

fn open(data: &Path) -> Option<Arc<View>> {
    let library = Library::open(config(data), now()).unwrap();
    let broadcast = library.stream("cam")?.current()?;
    assert_eq!(broadcast.state(), State::Grace);
    assert_eq!(library.unsealed(), [name("cam")]);
    Some(broadcast.view())
}

#[test]
fn open_chunks_come_back_as_a_short_segment() {
    let crashed = killed_log();
    for round in 0..2 {
        let view = open(crashed.path()).unwrap();
        assert_eq!(check_prefix(&view, PAYLOAD), [1003, 1003], "round {round}");
        let last = view.tracks[0].last().unwrap();
        assert_eq!(last.duration, 90_000);
        assert!(last.independent);
        assert_eq!(view.target_duration, Some(4));
    }
}

/// However many logs were repaired, the disk is waited for once. What is sealed then is
/// waited for once more.
#[test]
fn all_logs_are_synced_at_once() {
    let data = temp_dir();
    for stream in ["a", "b", "c"] {
        let (from, to) = (killed_log(), data.path().join("streams").join(stream));
        copy(&from.path().join("streams/cam"), &to);
    }
    let open = || Library::open(config(data.path()), now()).unwrap();
    let library = open();
    assert_eq!(library.unsealed().len(), 3);
    assert_eq!(library.stats().syncs, 1);
    drop(library);

    // A second broadcast takes the turn of the first one of its name.
    copy(
        &killed_log().path().join("streams/cam"),
        &data.path().join("streams/a"),
    );
    let library = open();
    assert_eq!(library.unsealed().len(), 3);
    assert_eq!(library.stats().syncs, 2);
    let states = |library: &Library| {
        let entry = library.stream("a").unwrap();
        let all = entry.broadcasts();
        all.iter().map(|b| b.state()).collect::<Vec<_>>()
    };
    assert_eq!(states(&library), [State::Ended, State::Grace]);
    drop(library);
    assert_eq!(states(&open()), [State::Ended, State::Grace]);

    let library = open();
    run(async {
        for stream in ["a", "b", "c"] {
            let (writer, _) = library.resume(&name(stream)).unwrap();
            writer.seal(now()).await;
        }
    });
    drop(library);
    let library = open();
    assert!(library.unsealed().is_empty());
    assert_eq!(library.stats().syncs, 0, "nothing was left to repair");
}

#[test]
fn a_recovered_broadcast_goes_on_in_its_file() {
    let crashed = killed_log();
    let library = Library::open(config(crashed.path()), now()).unwrap();
    run(async {
        let (mut writer, info) = library.resume(&name("cam")).unwrap();
        assert_eq!(info.media_sequence, 1004);
        assert_eq!(info.target_duration, Some(4));
        assert_eq!(info.tracks[0].end_decode_time, 11 * 45_000);
        let mut publisher = Publisher::new(PARTS, PAYLOAD);
        publisher.start(&mut writer);
        (publisher.media_sequence, publisher.time) = (1004, 40);
        (publisher.discontinuity, publisher.discontinuity_sequence) = (true, 8);
        publisher.segment(&mut writer);
        writer.seal(now()).await;
    });
    drop(library);
    let library = Library::open(config(crashed.path()), now()).unwrap();
    let broadcast = library.stream("cam").unwrap().current().unwrap();
    assert_eq!(broadcast.state(), State::Ended);
    for track in &broadcast.view().tracks {
        assert_eq!(sequences(track), [1000, 1001, 1002, 1003, 1004]);
        let last = track.last().unwrap();
        assert_eq!((last.discontinuity, last.discontinuity_sequence), (true, 8));
        let bytes = read(&track.segment(1004).unwrap().body());
        assert_eq!(bytes, expected(track.kind, 1004, PARTS, 40, PAYLOAD));
    }
}

#[test]
fn a_track_that_is_behind_gets_a_gap() {
    let crashed = killed_log();
    let audio = track_dir(crashed.path(), "cam", "2-audio").join("000001.cmaf");
    let len = std::fs::metadata(&audio).unwrap().len();
    let open_chunks = 2 * expected(TrackKind::Audio, 1003, 1, 9, PAYLOAD).len() as u64;
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(&audio)
        .unwrap();
    file.set_len(len - open_chunks).unwrap();
    let library = Library::open(config(crashed.path()), now()).unwrap();
    run(async {
        let (writer, info) = library.resume(&name("cam")).unwrap();
        assert_eq!(info.media_sequence, 1004);
        let broadcast = Arc::clone(writer.broadcast());
        wait_for(&broadcast, |v| {
            v.tracks[1].last().unwrap().media_sequence == 1003
        })
        .await;
        let gap = broadcast.view().tracks[1].segment(1003).unwrap();
        assert!(gap.info.gap && gap.body().is_empty());
        assert_eq!(
            (gap.info.duration, gap.info.decode_time),
            (48_000, 9 * 24_000)
        );
        assert_eq!(info.tracks[1].end_decode_time, 11 * 24_000);
        writer.seal(now()).await;
    });
    drop(library);
    let library = Library::open(config(crashed.path()), now()).unwrap();
    let view = library.stream("cam").unwrap().current().unwrap().view();
    assert!(view.tracks[1].last().unwrap().gap, "the gap is in the log");
}

/// Where segments end is lost with the index, but no byte and no number.
fn check_bytes(view: &View) {
    for track in &view.tracks {
        let mut bytes = Vec::new();
        for (i, info) in track.all().enumerate() {
            assert_eq!(info.media_sequence, 1000 + i as u64, "consecutive");
            assert!(info.duration <= 10 * track.timescale);
            bytes.extend(read(&track.segment(info.media_sequence).unwrap().body()));
        }
        let sent = (0..4).flat_map(|i| expected(track.kind, 1000 + i, PARTS, i * 3, PAYLOAD));
        assert!(sent.collect::<Vec<_>>().starts_with(&bytes));
    }
}

/// Cuts a file of the killed log to every length in its last segments, and to some before,
/// and opens it.
fn cut_everywhere(track: &str, extension: &str, check: impl Fn(u64, &View)) {
    let crashed = killed_log();
    let relative = track_dir(crashed.path(), "cam", track).join(format!("000001.{extension}"));
    let relative = relative.strip_prefix(crashed.path()).unwrap().to_owned();
    let whole = std::fs::metadata(crashed.path().join(&relative))
        .unwrap()
        .len();
    for len in (0..whole).filter(|len| whole - len < 900 || len % 13 == 0) {
        let dir = temp_dir();
        copy(crashed.path(), dir.path());
        let path = dir.path().join(&relative);
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(len).unwrap();
        drop(file);
        if let Some(view) = open(dir.path()) {
            if extension == "index" {
                check_bytes(&view);
            } else {
                check_prefix(&view, PAYLOAD);
            }
            check(len, &view);
        }
    }
}

#[test]
fn data_cut_anywhere() {
    cut_everywhere("1-video", "cmaf", |len, view| {
        let Some(video) = view.track(VIDEO) else {
            return;
        };
        let bytes: u64 = video.all().map(|s| s.len).sum();
        let init = video.init(1).unwrap().data.len() as u64;
        assert!(init + bytes <= len);
        let chunk = expected(TrackKind::Video, 1000, 1, 0, PAYLOAD).len() as u64;
        assert!(init + bytes + chunk > len, "every whole chunk is kept");
    });
}

#[test]
fn index_cut_anywhere_loses_nothing_but_what_is_behind_the_header() {
    cut_everywhere("1-video", "index", |len, view| {
        if let Some(video) = view.track(VIDEO) {
            let bytes: u64 = video.all().map(|s| s.len).sum();
            let all: usize = (0..3)
                .map(|i| expected(TrackKind::Video, 1000 + i, 3, i * 3, PAYLOAD).len())
                .sum();
            assert!(
                bytes > all as u64,
                "all chunks are found in the data, at {len}"
            );
        } else {
            assert!(
                len < 128 + 3 * 64,
                "header, init and configuration are there"
            );
        }
    });
}

#[test]
fn samples_cut_anywhere_are_rebuilt() {
    cut_everywhere("1-video", "samples", |_, view| {
        assert_eq!(view.tracks[0].last().unwrap().media_sequence, 1003);
    });
}

#[test]
fn flipped_bits_never_panic_and_keep_what_is_before_them() {
    let crashed = killed_log();
    for (track, extension) in [
        ("1-video", "index"),
        ("2-audio", "cmaf"),
        ("1-video", "samples"),
    ] {
        let path = track_dir(crashed.path(), "cam", track).join(format!("000001.{extension}"));
        let relative = path.strip_prefix(crashed.path()).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for at in (0..whole.len()).step_by(7) {
            let dir = temp_dir();
            copy(crashed.path(), dir.path());
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            std::fs::write(dir.path().join(relative), bytes).unwrap();
            let library = Library::open(config(dir.path()), now()).unwrap();
            let Some(current) = library.stream("cam").and_then(|e| e.current()) else {
                continue;
            };
            for track in &current.view().tracks {
                let numbers = sequences(track);
                assert!(numbers.windows(2).all(|w| w[1] == w[0] + 1), "{numbers:?}");
            }
        }
    }
}

#[test]
fn one_log_that_cannot_be_read_does_not_keep_the_others_from_opening() {
    let crashed = killed_log();
    let library = Library::open(config(crashed.path()), now()).unwrap();
    run(async {
        let mut writer = library.begin(&name("other"), START, now()).unwrap();
        let mut publisher = Publisher::new(PARTS, PAYLOAD);
        publisher.start(&mut writer);
        publisher.segment(&mut writer);
        writer.seal(now()).await;
    });
    drop(library);
    for track in ["1-video", "2-audio"] {
        let path = track_dir(crashed.path(), "other", track).join("000001.index");
        let mut bytes = std::fs::read(&path).unwrap();
        // A later format version, with a right checksum.
        bytes[9] = 9;
        let crc = crc32fast::hash(&bytes[..124]).to_be_bytes();
        bytes[124..128].copy_from_slice(&crc);
        std::fs::write(&path, bytes).unwrap();
    }
    open(crashed.path()).unwrap();
    let kept = track_dir(crashed.path(), "other", "1-video").join("000001.cmaf");
    assert!(kept.exists(), "what is not understood is not deleted");
    let library = Library::open(config(crashed.path()), now()).unwrap();
    assert!(library.stream("other").is_none());
}

#[test]
fn what_retention_left_half_deleted_is_removed() {
    let crashed = killed_log();
    let video = track_dir(crashed.path(), "cam", "1-video");
    std::fs::write(video.join("000009.cmaf"), [0; 100]).unwrap();
    std::fs::write(video.join("000009.samples"), [0; 100]).unwrap();
    std::fs::write(video.join("notes.txt"), "mine").unwrap();
    open(crashed.path()).unwrap();
    assert!(!video.join("000009.cmaf").exists());
    assert!(!video.join("000009.samples").exists());
    assert!(video.join("notes.txt").exists());
}

/// Publishes until it is killed, when run by the test below; does nothing otherwise.
#[test]
fn child_publishes() {
    let Ok(data) = std::env::var("WEIR_STORE_TEST_CHILD") else {
        return;
    };
    let library = Library::open(config(Path::new(&data)), now()).unwrap();
    run(async {
        let mut writer = library.begin(&name("cam"), START, now()).unwrap();
        let mut publisher = Publisher::new(PARTS, 2000);
        publisher.start(&mut writer);
        let mut listed = 0;
        for round in 0..u64::MAX {
            publisher.part(&mut writer, (round % u64::from(PARTS)) as u32);
            if round % u64::from(PARTS) == u64::from(PARTS) - 1 {
                publisher.end(&mut writer, PARTS);
            }
            weir_ring::sleep(std::time::Duration::from_millis(1)).await;
            let last = |t: &Arc<weir_store::TrackView>| t.last().map_or(0, |s| s.media_sequence);
            let now = writer
                .broadcast()
                .view()
                .tracks
                .iter()
                .map(last)
                .min()
                .unwrap();
            if now > listed {
                listed = now;
                println!("\nlisted {now}");
            }
        }
    });
}

#[test]
fn killed_at_any_moment_everything_listed_is_there() {
    let me = std::env::current_exe().unwrap();
    for round in 0..15u64 {
        // On a real file system.
        let dir = tempfile::tempdir().unwrap();
        let mut child = Command::new(&me)
            .args(["--exact", "child_publishes", "--nocapture"])
            .env("WEIR_STORE_TEST_CHILD", dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let number = |line: &str| {
            line.strip_prefix("listed ")
                .map(|n| n.parse::<u64>().unwrap())
        };
        let mut listed = 0;
        while listed < 1002 {
            let line = lines.next().unwrap().unwrap();
            listed = number(&line).unwrap_or(listed);
        }
        std::thread::sleep(std::time::Duration::from_micros(round * 1700));
        child.kill().unwrap();
        child.wait().unwrap();
        for line in lines.map_while(Result::ok) {
            listed = number(&line).unwrap_or(listed);
        }
        let view = open(dir.path()).unwrap();
        let last = check_prefix(&view, 2000);
        assert!(
            last.iter().all(|l| *l >= listed),
            "listed {listed}, recovered {last:?}"
        );
    }
}
