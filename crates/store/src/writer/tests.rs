//! The rules for slow and failing disks, with faults between the task and the ring.

use crate::common::*;
use crate::{Body, Library, LibraryConfig, State, Writer};
use std::sync::Arc;
use std::time::Duration;
use weir_media::TrackKind;

fn open(data: &std::path::Path, wait_ms: u64) -> Arc<Library> {
    let config = LibraryConfig {
        segment_wait: Duration::from_millis(wait_ms),
        stall_wait: Duration::from_millis(wait_ms * 5),
        window: Duration::from_secs(12),
        ..config(data)
    };
    Library::open(config, now()).unwrap()
}

async fn listed(writer: &Writer, media_sequence: u64) {
    wait_for(writer.broadcast(), |v| {
        let last = |t: &Arc<crate::TrackView>| t.last().map(|s| s.media_sequence);
        v.tracks.iter().all(|t| last(t) == Some(media_sequence))
    })
    .await;
}

/// What viewers get of a segment of four chunks, wherever it is.
fn check_body(writer: &Writer, media_sequence: u64) {
    for track in &writer.broadcast().view().tracks {
        let segment = track.segment(media_sequence).unwrap();
        let first = (media_sequence - 1000) * 4;
        let bytes = expected(track.kind, media_sequence, 4, first, 500);
        assert_eq!(read(&segment.body()), bytes);
    }
}

#[test]
fn a_failing_disk_stops_recording_and_not_the_stream() {
    let dir = temp_dir();
    let library = open(dir.path(), 20_000);
    run(async {
        let mut writer = library.begin(&name("cam"), START, now()).unwrap();
        let mut publisher = Publisher::new(4, 500);
        publisher.start(&mut writer);
        for _ in 0..3 {
            publisher.segment(&mut writer);
        }
        listed(&writer, 1002).await;
        publisher.part(&mut writer, 0);
        let stored = writer.broadcast().view().tracks[0].chunk(1003, 0).unwrap();
        wait_for(writer.broadcast(), |_| stored.is_stored()).await;
        library.faults.fail(5);
        for part in 1..4 {
            publisher.part(&mut writer, part);
        }
        publisher.end(&mut writer, 4);
        listed(&writer, 1003).await;
        assert!(!writer.broadcast().is_recording());
        let body = writer.broadcast().view().tracks[0]
            .segment(1003)
            .unwrap()
            .body();
        assert!(matches!(body, Body::Mixed(_)), "its first chunk was stored");
        check_body(&writer, 1003);
        for _ in 0..20 {
            publisher.segment(&mut writer);
        }
        let view = writer.broadcast().view();
        for track in &view.tracks {
            // 12 s of segments of 2 s are listed, and as many before them still served.
            let window: Vec<_> = track
                .window()
                .iter()
                .map(|s| s.info.media_sequence)
                .collect();
            assert_eq!(window, (1018..1024).collect::<Vec<_>>());
            assert!(track.segment(1012).is_some());
            assert!(
                track.segment(1011).is_none(),
                "what was never stored is let go"
            );
            assert!(track.segment(1002).is_some(), "what was stored stays");
            assert_eq!(
                sequences(track),
                [1000, 1001, 1002],
                "the recording ends there"
            );
        }
        check_body(&writer, 1023);
        let stats = library.stats();
        assert_eq!((stats.recordings_stopped, stats.queue_bytes), (1, 0));
        assert_eq!(stats.segments, 48);
        library.faults.clear();
        writer.seal(now()).await;
    });
    drop(library);
    // It does not come back in grace: the numbers that viewers saw are not in the log.
    let library = open(dir.path(), 200);
    let broadcast = library.stream("cam").unwrap().current().unwrap();
    for track in &broadcast.view().tracks {
        assert_eq!(sequences(track)[..3], [1000, 1001, 1002]);
    }
}

#[test]
fn a_log_that_says_that_it_stopped_is_not_resumed() {
    let dir = temp_dir();
    let library = open(dir.path(), 20_000);
    run(async {
        let mut writer = library.begin(&name("cam"), START, now()).unwrap();
        let mut publisher = Publisher::new(4, 500);
        publisher.start(&mut writer);
        publisher.segment(&mut writer);
        listed(&writer, 1000).await;
        writer.context.stop(&crate::Error::Limit("test"));
        publisher.segment(&mut writer);
        listed(&writer, 1001).await;
        writer.context.flush().await;
    });
    drop(library);
    let library = open(dir.path(), 200);
    let broadcast = library.stream("cam").unwrap().current().unwrap();
    assert_eq!(broadcast.state(), State::Ended);
    assert!(library.unsealed().is_empty());
    assert!(library.begin(&name("cam"), START, now()).is_ok());
}

#[test]
fn a_hanging_disk_delays_a_segment_no_longer_than_the_wait() {
    let dir = temp_dir();
    let library = open(dir.path(), 200);
    run(async {
        // Another stream on the same disk loses its recording too, and no viewer.
        let mut writers = Vec::new();
        for stream in ["a", "b"] {
            let mut writer = library.begin(&name(stream), START, now()).unwrap();
            let publisher = Publisher::new(4, 500);
            publisher.start(&mut writer);
            writers.push((writer, publisher));
        }
        library.faults.hang();
        for (writer, publisher) in &mut writers {
            publisher.segment(writer);
            let view = writer.broadcast().view();
            assert!(
                view.tracks[0].last().is_none(),
                "not listed before its append"
            );
            let chunk = view.tracks[0].chunk(1000, 3).unwrap();
            assert!(!chunk.is_stored(), "and its chunks can be had all the same");
        }
        for (writer, publisher) in &mut writers {
            listed(writer, 1000).await;
            assert!(
                writer.broadcast().is_recording(),
                "a hiccup ends no recording"
            );
            check_body(writer, 1000);
            publisher.segment(writer);
            listed(writer, 1001).await;
        }
        assert_eq!(library.stats().segments_unstored, 8);
        for (writer, _) in &mut writers {
            let broadcast = Arc::clone(writer.broadcast());
            while broadcast.is_recording() {
                weir_ring::sleep(Duration::from_millis(10)).await;
            }
            check_body(writer, 1000);
        }
        assert_eq!(library.stats().recordings_stopped, 2);
        // Ending does not hang either, although an append still does.
        for (writer, _) in writers {
            let broadcast = Arc::clone(writer.broadcast());
            let sealing = weir_ring::spawn(writer.seal(now()));
            wait_for(&broadcast, |v| v.ended).await;
            sealing.abort();
        }
        library.faults.clear();
    });
}

#[test]
fn what_was_listed_before_its_append_is_in_the_whole_too() {
    let dir = temp_dir();
    let library = open(dir.path(), 50);
    let whole = |broadcast: &crate::Broadcast| -> Vec<Vec<u64>> {
        let view = broadcast.view();
        let all = |t: &Arc<crate::TrackView>| t.all().map(|s| s.media_sequence).collect();
        view.tracks.iter().map(all).collect()
    };
    run(async {
        let mut writer = library.begin(&name("cam"), START, now()).unwrap();
        let broadcast = Arc::clone(writer.broadcast());
        let mut publisher = Publisher::new(4, 500);
        publisher.start(&mut writer);
        publisher.segment(&mut writer);
        listed(&writer, 1000).await;
        writer.context.flush().await;
        library.faults.hang();
        publisher.segment(&mut writer);
        publisher.segment(&mut writer);
        listed(&writer, 1002).await;
        // The disk is late, and the publisher goes.
        let sealing = weir_ring::spawn(writer.seal(now()));
        wait_for(&broadcast, |v| v.ended).await;
        assert_eq!(whole(&broadcast), vec![vec![1000, 1001, 1002]; 2]);
        library.faults.clear();
        while !sealing.is_finished() {
            weir_ring::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(whole(&broadcast), vec![vec![1000, 1001, 1002]; 2]);
    });
    drop(library);
    let library = open(dir.path(), 200);
    let broadcast = library.stream("cam").unwrap().current().unwrap();
    assert_eq!(whole(&broadcast), vec![vec![1000, 1001, 1002]; 2]);
}

#[test]
fn a_slow_disk_cannot_fill_memory() {
    let dir = temp_dir();
    let library = open(dir.path(), 60_000);
    run(async {
        let mut writer = library.begin(&name("cam"), START, now()).unwrap();
        let mut publisher = Publisher::new(4, 2 << 20);
        publisher.start(&mut writer);
        library.faults.hang();
        let mut most = 0;
        // 10 MiB per chunk of video, more than the queue takes.
        for part in 0..4 {
            publisher.part(&mut writer, part);
            most = most.max(library.stats().queue_bytes);
        }
        assert!(most > 20 << 20 && most < 64 << 20, "{most}");
        assert!(!writer.broadcast().is_recording());
        assert_eq!(library.stats().queue_bytes, 0);
        publisher.end(&mut writer, 4);
        // 50 MB each; the cap is 256 MiB for all tracks.
        for _ in 0..6 {
            publisher.segment(&mut writer);
        }
        let view = writer.broadcast().view();
        let held: u64 = view.tracks[0].window().iter().map(|s| s.info.len).sum();
        assert!(held <= crate::limits::MEMORY_BYTES_MAX / 2, "{held}");
        assert_eq!(view.tracks[0].last().unwrap().media_sequence, 1006);
        library.faults.clear();
    });
}

#[test]
fn memory_is_let_go_when_an_append_completes() {
    let dir = temp_dir();
    let library = open(dir.path(), 20_000);
    run(async {
        let mut writer = library.begin(&name("cam"), START, now()).unwrap();
        let publisher = Publisher::new(4, 500);
        publisher.start(&mut writer);
        let mut input = chunk(TrackKind::Video, 1000, 0, 0, 500);
        let shared: bytes::Bytes = vec![7u8; 500].into();
        input.payload[1] = shared.clone();
        input.payload[1].truncate(input.samples[1].size as usize);
        input.samples[1].size = input.payload[1].len() as u32;
        writer.append_chunk(input).unwrap();
        assert!(!shared.is_unique());
        let chunk = writer.broadcast().view().tracks[0].chunk(1000, 0).unwrap();
        wait_for(writer.broadcast(), |_| chunk.is_stored()).await;
        // The ring lets its own reference go in the same turn.
        weir_ring::sleep(Duration::from_millis(1)).await;
        assert!(shared.is_unique());
    });
}
