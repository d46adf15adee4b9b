//! A library from outside: what is published is found, served, resumed and sealed.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use common::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use weir_media::{Mono, TrackKind, Utc};
use weir_store::{Body, Error, Library, State};

#[test]
fn what_is_published_is_served_from_the_file_and_survives_a_restart() {
    let dir = temp_dir();
    let mut publisher = Publisher::new(4, 300);
    let library = Library::open(config(dir.path()), now()).unwrap();
    run(async {
        let mut writer = library.begin(&name("cam"), START, now()).unwrap();
        publisher.start(&mut writer);
        for _ in 0..40 {
            publisher.segment(&mut writer);
        }
        let broadcast = Arc::clone(writer.broadcast());
        wait_for(&broadcast, |v| {
            v.tracks
                .iter()
                .all(|t| t.last().is_some_and(|s| s.media_sequence == 1039))
        })
        .await;
        check(&broadcast.view(), 40);
        writer.seal(now()).await;
        assert_eq!(broadcast.state(), State::Ended);
        assert!(broadcast.view().ended);
        let found = library.by_key(&broadcast.key()).unwrap();
        assert_eq!(found.id(), broadcast.id());
    });
    drop(library);
    let library = Library::open(config(dir.path()), now()).unwrap();
    let broadcast = library.stream("cam").unwrap().current().unwrap();
    assert_eq!(broadcast.state(), State::Ended);
    assert!(library.unsealed().is_empty());
    check(&broadcast.view(), 40);
}

fn check(view: &weir_store::View, count: u64) {
    assert_eq!(view.target_duration, Some(4));
    assert!(view.settled);
    for track in &view.tracks {
        let all: Vec<u64> = (1000..1000 + count).collect();
        assert_eq!(sequences(track), all);
        let window = track.window();
        // 60 s of segments of 2 s.
        assert_eq!(window.len(), 30);
        assert_eq!(window.last().unwrap().info.media_sequence, 999 + count);
        assert_eq!(window[0].info.discontinuity_sequence, 7);
        let mut packets = 0;
        for (i, info) in track.all().enumerate() {
            let segment = track.segment(info.media_sequence).unwrap();
            assert_eq!(segment.info, info);
            assert!(matches!(segment.body(), Body::File { .. }));
            let first = i as u64 * 4;
            let bytes = expected(track.kind, info.media_sequence, 4, first, 300);
            assert_eq!(read(&segment.body()), bytes);
            assert_eq!(segment.body().len(), info.len);
            assert_eq!(info.ts_packets_before, packets);
            let samples = samples(&segment);
            packets += weir_ts::payload_packets(&track.config, &samples);
            assert_eq!(
                info.program_date_time,
                Utc(EPOCH_US + first as i64 * 500_000)
            );
        }
        assert!(track.bandwidth_peak >= track.bandwidth_average);
        assert!(track.bandwidth_average > 0);
        assert!(track.init(1).is_some());
        assert!(track.segment(999).is_none());
        assert!(track.segment(1000 + count).is_none());
    }
}

fn samples(segment: &weir_store::Segment) -> Arc<[weir_media::Sample]> {
    if let Some(samples) = segment.samples_in_memory() {
        return Arc::clone(samples);
    }
    let (file, offset, len) = segment.samples_place().unwrap();
    let mut bytes = vec![0; len];
    let file = file.samples().unwrap();
    std::os::unix::fs::FileExt::read_exact_at(file.as_std(), &mut bytes, offset).unwrap();
    segment.decode_samples(&bytes).unwrap()
}

#[test]
fn chunks_are_served_before_their_segment_closes() {
    let dir = temp_dir();
    let library = Library::open(config(dir.path()), now()).unwrap();
    run(async {
        let mut writer = library.begin(&name("cam"), START, now()).unwrap();
        let mut publisher = Publisher::new(4, 100);
        publisher.start(&mut writer);
        publisher.part(&mut writer, 0);
        publisher.part(&mut writer, 1);
        let view = writer.broadcast().view();
        let video = view.track(VIDEO).unwrap();
        assert!(
            video.segment(1000).is_none(),
            "an open segment is not listed"
        );
        let part = video.chunk(1000, 1).unwrap();
        let whole = expected(TrackKind::Video, 1000, 2, 0, 100);
        assert_eq!(read(&video.open_body().unwrap()), whole);
        assert_eq!(part.len as usize, read(&part.body()).len());
        assert!(!part.independent);
        assert!(video.chunk(1000, 2).is_none());
        wait_for(writer.broadcast(), |_| part.is_stored()).await;
        assert!(matches!(part.body(), Body::File { .. }), "memory is let go");
        assert_eq!(read(&video.open_body().unwrap()), whole);
        writer.seal(now()).await;
    });
}

#[test]
fn a_publisher_that_returns_goes_on_with_the_numbers() {
    let dir = temp_dir();
    let library = Library::open(config(dir.path()), now()).unwrap();
    run(async {
        let mut writer = library.begin(&name("cam"), START, now()).unwrap();
        let mut publisher = Publisher::new(2, 100);
        publisher.start(&mut writer);
        publisher.segment(&mut writer);
        writer.publish_gone(now());
        let broadcast = Arc::clone(writer.broadcast());
        assert_eq!(broadcast.state(), State::Grace);
        assert!(matches!(
            library.begin(&name("cam"), START, now()),
            Err(Error::StillOpen(_))
        ));
        assert!(library.resume(&name("cam")).is_none(), "its writer lives");
        drop(writer);
        let (mut writer, info) = loop {
            match library.resume(&name("cam")) {
                Some(resumed) => break resumed,
                None => weir_ring::sleep(std::time::Duration::from_millis(1)).await,
            }
        };
        assert_eq!(broadcast.state(), State::Live);
        assert_eq!(
            (info.media_sequence, info.discontinuity_sequence),
            (1001, 7)
        );
        assert_eq!(info.tracks[0].end_decode_time, 90_000);
        assert_eq!(info.tracks[1].end_time, Some(Utc(EPOCH_US + 1_000_000)));
        publisher.discontinuity = true;
        publisher.discontinuity_sequence += 1;
        publisher.segment(&mut writer);
        writer.seal(now()).await;
        let start = library.next_sequence(&name("cam"), Utc(5_000_000));
        assert_eq!(
            (start.media_sequence, start.discontinuity_sequence),
            (1002, 9)
        );
        let later = library.next_sequence(&name("cam"), Utc(EPOCH_US));
        assert_eq!(later.media_sequence, 1_763_000_000);
    });
    drop(library);
    let library = Library::open(config(dir.path()), now()).unwrap();
    let view = library.stream("cam").unwrap().current().unwrap().view();
    for track in &view.tracks {
        let marks: Vec<_> = track
            .all()
            .map(|s| (s.discontinuity, s.discontinuity_sequence))
            .collect();
        assert_eq!(marks, [(false, 7), (true, 8)]);
    }
}

#[test]
fn a_second_process_is_refused_and_told_who_holds_the_directory() {
    let dir = temp_dir();
    let _held = Library::open(config(dir.path()), now()).unwrap();
    let error = Library::open(config(dir.path()), now()).unwrap_err();
    let me = std::process::id();
    assert!(matches!(error, Error::InUse { pid: Some(pid), .. } if pid == me));
    assert!(error.to_string().contains(&me.to_string()), "{error}");
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let dir = temp_dir();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = Library::open(config(&file), now()).unwrap_err().to_string();
    assert!(error.contains("cannot create"), "{error}");
    assert!(error.contains(file.to_str().unwrap()), "{error}");
}

#[test]
fn a_waiting_worker_is_woken_once_and_only_if_it_waits() {
    let dir = temp_dir();
    let library = Library::open(config(dir.path()), now()).unwrap();
    let woken = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&woken);
    let wake = move |name: weir_media::StreamName| {
        assert_eq!(name.as_str(), "cam");
        counter.fetch_add(1, Ordering::SeqCst);
    };
    library.register_worker(3, Box::new(wake)).unwrap();
    assert!(library.register_worker(64, Box::new(|_| {})).is_err());
    run(async {
        let mut writer = library.begin(&name("cam"), START, now()).unwrap();
        let mut publisher = Publisher::new(2, 100);
        publisher.start(&mut writer);
        publisher.part(&mut writer, 0);
        assert_eq!(woken.load(Ordering::SeqCst), 0);
        let before = writer.broadcast().view().version;
        writer.entry().wait_mark(3);
        writer.entry().wait_mark(3);
        publisher.part(&mut writer, 1);
        assert!(writer.broadcast().view().version > before);
        assert_eq!(woken.load(Ordering::SeqCst), 1);
        writer.seal(now()).await;
        assert_eq!(woken.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn misuse_is_refused_and_changes_nothing() {
    let dir = temp_dir();
    let library = Library::open(config(dir.path()), now()).unwrap();
    run(async {
        let mut writer = library.begin(&name("cam"), START, now()).unwrap();
        let first = chunk(TrackKind::Video, 1000, 0, 0, 50);
        assert!(matches!(
            writer.append_chunk(first.clone()),
            Err(Error::UnknownTrack(_))
        ));
        let publisher = Publisher::new(1, 50);
        publisher.start(&mut writer);
        publisher.start(&mut writer);
        let ended = writer.end_segment(&publisher_end());
        assert!(matches!(ended, Err(Error::NoSegment(_))));
        writer.append_chunk(first.clone()).unwrap();
        let other = chunk(TrackKind::Video, 1001, 0, 1, 50);
        assert!(matches!(
            writer.append_chunk(other),
            Err(Error::Order { .. })
        ));
        let config = init(VIDEO, 2, video_config(40));
        assert!(matches!(
            writer.add_init(config),
            Err(Error::SegmentOpen(_))
        ));
        writer.end_segment(&publisher_end()).unwrap();
        assert!(matches!(
            writer.append_chunk(first),
            Err(Error::Order { .. })
        ));
        let config = init(VIDEO, 1, video_config(40));
        assert!(matches!(
            writer.add_init(config),
            Err(Error::InitNumber(_, 1))
        ));
        wait_for(writer.broadcast(), |v| v.tracks[0].last().is_some()).await;
        assert_eq!(sequences(&writer.broadcast().view().tracks[0]), [1000]);
        writer.seal(now()).await;
    });

    fn publisher_end() -> weir_store::SegmentInput {
        let mut publisher = Publisher::new(1, 50);
        publisher.time = 1;
        publisher.end_input(VIDEO, 1)
    }
}

#[test]
fn retention_deletes_whole_files_oldest_first_and_never_the_live_one() {
    let dir = temp_dir();
    let mut config = config(dir.path());
    config.file_duration_max = std::time::Duration::from_secs(40);
    config.window = std::time::Duration::from_secs(10);
    config.keep = Some(std::time::Duration::from_secs(200));
    let library = Library::open(config.clone(), now()).unwrap();
    let plenty = weir_store::DiskSpace {
        free: 90,
        total: 100,
    };
    let later = |s: i64| weir_media::Now {
        mono: Mono(s as u64 * 1_000_000),
        utc: Utc(EPOCH_US + s * 1_000_000),
    };
    run(async {
        let mut writer = library.begin(&name("cam"), START, now()).unwrap();
        let mut publisher = Publisher::new(4, 100);
        publisher.start(&mut writer);
        for _ in 0..100 {
            publisher.segment(&mut writer);
        }
        let broadcast = Arc::clone(writer.broadcast());
        wait_for(&broadcast, |v| {
            v.tracks
                .iter()
                .all(|t| t.last().is_some_and(|s| s.media_sequence == 1099))
        })
        .await;
        let files = std::fs::read_dir(track_dir(dir.path(), "cam", "1-video"))
            .unwrap()
            .count();
        assert!(files >= 5 * 3, "rotated: {files}");
        assert!(library.retain(later(200), plenty).is_empty());
        // 200 s of media were sent: at 260 s the first 60 s are too old.
        let gone = library.retain(later(260), plenty);
        assert_eq!(gone.iter().map(|d| d.number).collect::<Vec<_>>(), [1]);
        assert!(gone[0].bytes > 0 && !gone[0].last);
        let view = broadcast.view();
        let first = view.tracks[0].first_sequence().unwrap();
        assert!((1017..1021).contains(&first), "{first}");
        assert_eq!(
            view.tracks[1].first_sequence(),
            Some(first),
            "tracks rotate together"
        );
        assert!(view.tracks[0].segment(first - 1).is_none());
        assert!(view.tracks[0].segment(first).is_some());
        let full = weir_store::DiskSpace {
            free: 0,
            total: u64::MAX,
        };
        let gone = library.retain(later(260), full);
        assert!(gone.len() >= 3, "{gone:?}");
        assert!(gone.is_sorted_by_key(|d| d.number));
        let view = broadcast.view();
        assert_eq!(view.tracks[0].window().len(), 6, "what is listed stays");
        publisher.segment(&mut writer);
        writer.seal(later(260)).await;
    });
    // Some room, but less than 5 %: only as much is deleted as is needed.
    let entry = library.stream("cam").unwrap();
    let tight = weir_store::DiskSpace {
        free: 4,
        total: 100,
    };
    let gone = library.retain(later(261), tight);
    assert_eq!(gone.len(), 1);
    let gone = library.retain(later(100_000), plenty);
    assert!(gone.last().unwrap().last);
    assert!(library.stream("cam").is_none());
    assert!(entry.current().is_none());
    assert!(!dir.path().join("streams").join("cam").exists());
}

#[test]
fn rotated_files_are_complete_in_themselves() {
    let dir = temp_dir();
    let mut config = config(dir.path());
    config.file_bytes_max = 60_000;
    let mut publisher = Publisher::new(4, 200);
    let library = Library::open(config.clone(), now()).unwrap();
    run(async {
        let mut writer = library.begin(&name("cam"), START, now()).unwrap();
        publisher.start(&mut writer);
        for _ in 0..12 {
            publisher.segment(&mut writer);
        }
        writer.add_init(init(VIDEO, 2, video_config(40))).unwrap();
        (publisher.init, publisher.discontinuity) = (2, true);
        publisher.discontinuity_sequence += 1;
        for _ in 0..28 {
            publisher.segment(&mut writer);
        }
        writer.seal(now()).await;
    });
    drop(library);
    let video = track_dir(dir.path(), "cam", "1-video");
    let largest = std::fs::read_dir(&video)
        .unwrap()
        .map(|e| e.unwrap().metadata().unwrap().len())
        .max()
        .unwrap();
    assert!(largest <= 60_000, "{largest}");
    // Without its first files the rest can still be read.
    for track in ["1-video", "2-audio"] {
        for extension in ["index", "cmaf", "samples"] {
            let path = track_dir(dir.path(), "cam", track).join(format!("000001.{extension}"));
            std::fs::remove_file(path).unwrap();
        }
    }
    let library = Library::open(config, now()).unwrap();
    let view = library.stream("cam").unwrap().current().unwrap().view();
    let video = view.track(VIDEO).unwrap();
    let numbers = sequences(video);
    assert_eq!(*numbers.last().unwrap(), 1039);
    assert!(numbers.len() > 20 && numbers.windows(2).all(|w| w[1] == w[0] + 1));
    for info in video.all() {
        let first = (info.media_sequence - 1000) * 4;
        let bytes = read(&video.segment(info.media_sequence).unwrap().body());
        assert_eq!(
            bytes,
            expected(TrackKind::Video, info.media_sequence, 4, first, 200)
        );
        let changed = info.media_sequence >= 1012;
        assert_eq!(info.init, if changed { 2 } else { 1 });
        assert_eq!(info.discontinuity_sequence, if changed { 8 } else { 7 });
        assert!(video.init(info.init).is_some());
    }
}

fn datum(second: i64, len: usize) -> weir_store::DatumInput {
    weir_store::DatumInput {
        kind: weir_media::DatumKind::Scte35,
        time_90k: second * 90_000,
        utc: Utc(now().utc.0 + second * 1_000_000),
        payload: vec![second as u8; len].into(),
    }
}

/// As (number, seconds, length).
fn data_of(library: &Library) -> Vec<(u32, i64, usize)> {
    let view = library.stream("cam").unwrap().current().unwrap().view();
    let of = |d: &Arc<weir_store::Datum>| (d.number, d.time_90k / 90_000, d.payload.len());
    view.data.iter().map(of).collect()
}

#[test]
fn data_with_a_time_survives_a_restart_and_sealing() {
    let dir = temp_dir();
    let expected = [(1, 0, 60), (2, 1, 0), (3, 3, 4096), (4, 4, 28), (5, 9, 29)];
    run(async {
        let library = Library::open(config(dir.path()), now()).unwrap();
        let mut publisher = Publisher::new(4, 300);
        let mut writer = library.begin(&name("cam"), START, now()).unwrap();
        // Before there is a file, inside a segment, and between two.
        writer.add_datum(datum(0, 60)).unwrap();
        publisher.start(&mut writer);
        writer.add_datum(datum(1, 0)).unwrap();
        publisher.part(&mut writer, 0);
        writer.add_datum(datum(3, 4096)).unwrap();
        publisher.part(&mut writer, 1);
        publisher.end(&mut writer, 2);
        writer.add_datum(datum(4, 28)).unwrap();
        publisher.segment(&mut writer);
        writer.add_datum(datum(9, 29)).unwrap();
        let too_long = writer.add_datum(datum(9, 4097));
        assert!(too_long.unwrap_err().to_string().contains("datum"));
        writer.flushed().await;
        assert_eq!(data_of(&library), expected);
    });
    let last = run(async {
        let library = Library::open(config(dir.path()), now()).unwrap();
        assert_eq!(data_of(&library), expected);
        let (mut writer, _) = library.resume(&name("cam")).unwrap();
        writer.add_datum(datum(20, 5)).unwrap();
        writer.flushed().await;
        let last = *data_of(&library).last().unwrap();
        assert!(last.0 > 5 && (last.1, last.2) == (20, 5));
        writer.seal(now()).await;
        last
    });
    let library = Library::open(config(dir.path()), now()).unwrap();
    let found = data_of(&library);
    assert_eq!((&found[..5], found[5]), (&expected[..], last));
    let view = library.stream("cam").unwrap().current().unwrap().view();
    assert!(view.ended);
    assert!(view.data[2].payload.iter().all(|b| *b == 3));
}
