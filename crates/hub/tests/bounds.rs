//! What is held has a bound, and frames are never copied.
#![allow(clippy::unwrap_used)] // Helpers of tests are tests.

mod common;

use bytes::Bytes;
use common::{BOTH, SECOND, Scene, VIDEO, aac, h264, now_at};
use weir_hub::limits::{
    AAC_FRAME_BYTES_MAX, CHUNK_BYTES_MAX, FRAME_BYTES_MAX, PENDING_BYTES_MAX, QUEUE_BYTES_MAX,
    SEGMENT_BYTES_MAX,
};
use weir_hub::{Event, Origin, Output, Stream, StreamConfig};
use weir_media::{Frame, TrackKind};

/// An access unit of one slice with this many bytes in all.
fn large(bytes: usize, key: bool) -> Bytes {
    let mut payload = vec![0u8; bytes];
    payload[..4].copy_from_slice(&(bytes as u32 - 4).to_be_bytes());
    payload[4] = if key { 0x65 } else { 0x41 };
    payload.into()
}

fn video(i: i64, payload: &Bytes) -> Frame {
    let mut frame = common::frame(TrackKind::Video, 0, i * 3000, i * 3000, i == 0, 0);
    frame.payload = payload.clone();
    frame
}

fn audio(i: i64, payload: &Bytes) -> Frame {
    let mut frame = common::frame(TrackKind::Audio, 0, i * 1024, i * 1024, true, 0);
    frame.payload = payload.clone();
    frame
}

#[test]
fn chunks_and_segments_are_bounded_in_bytes() {
    let (key, delta) = (large(5 << 20, true), large(5 << 20, false));
    let mut scene = Scene::new();
    scene.reader.burst = true;
    scene.publish(
        weir_hub::Announced {
            video: Some(true),
            audio: Some(false),
        },
        &[h264()],
    );
    for i in 0..60 {
        let payload = if i == 0 { &key } else { &delta };
        scene.stream.handle_frame(video(i, payload), scene.now());
    }
    let now = scene.now();
    scene.stream.handle_unpublish(now);
    let mut sizes = Vec::new();
    while let Some(output) = scene.stream.poll_output() {
        match output {
            Output::Chunk {
                payload,
                media_sequence,
                ..
            } => {
                let bytes: usize = payload.iter().map(Bytes::len).sum();
                assert!(bytes <= CHUNK_BYTES_MAX);
                let start = payload[0].as_ptr();
                assert!(start == key.as_ptr() || start == delta.as_ptr(), "copied");
                sizes.push((media_sequence, bytes as u64));
            }
            Output::Segment {
                target_duration, ..
            } => assert_eq!(target_duration, 4),
            _ => {}
        }
    }
    let first: u64 = sizes.iter().filter(|s| s.0 == 1000).map(|s| s.1).sum();
    let second: u64 = sizes.iter().filter(|s| s.0 == 1001).map(|s| s.1).sum();
    assert!(first <= SEGMENT_BYTES_MAX && first + (5 << 20) > SEGMENT_BYTES_MAX);
    assert_eq!(first + second, 60 * (5 << 20));
    assert_eq!(scene.stats().forced_cuts, 1);
}

#[test]
fn the_wait_for_tracks_is_bounded_in_bytes() {
    let key = large(5 << 20, true);
    let mut scene = Scene::new();
    scene.publish(BOTH, &[h264(), aac(48_000)]);
    let frames = PENDING_BYTES_MAX.div_ceil(5 << 20) as i64;
    for i in 0..frames {
        assert_eq!(scene.reader.settled, 0);
        scene.stream.handle_frame(video(i, &key), scene.now());
        scene.drain();
    }
    assert_eq!(scene.reader.settled, 1);
}

/// Audio whose clock stands nearly still never runs ahead of the video it waits for; only its
/// bytes end the wait.
#[test]
fn the_wait_for_video_is_bounded_in_bytes() {
    let (key, sound) = (
        large(100, true),
        Bytes::from(vec![0u8; AAC_FRAME_BYTES_MAX]),
    );
    let mut scene = Scene::new();
    scene.publish(BOTH, &[h264(), aac(48_000)]);
    scene.stream.handle_frame(video(0, &key), scene.now());
    let fit = QUEUE_BYTES_MAX / AAC_FRAME_BYTES_MAX;
    for tick in 0..=2 * fit as i64 {
        let mut frame = audio(0, &sound);
        (frame.dts, frame.pts) = (tick, tick);
        scene.stream.handle_frame(frame, scene.now());
        scene.drain();
    }
    assert_eq!(scene.count(|e| *e == Event::VideoStalled), 1);
}

#[test]
fn frames_above_the_limit_are_dropped() {
    let mut scene = Scene::new();
    scene.publish(BOTH, &[h264(), aac(48_000)]);
    let payload = large(FRAME_BYTES_MAX + 1, true);
    scene.stream.handle_frame(video(0, &payload), scene.now());
    assert_eq!((scene.stats().malformed, scene.stats().dropped), (1, 1));
    let payload = payload.slice(..AAC_FRAME_BYTES_MAX + 1);
    scene.stream.handle_frame(audio(0, &payload), scene.now());
    assert_eq!(scene.stats().dropped, 2);
    let payload = payload.slice(..AAC_FRAME_BYTES_MAX);
    scene.stream.handle_frame(audio(0, &payload), scene.now());
    assert_eq!(scene.stats().dropped, 2);
}

#[test]
fn a_stream_can_move_between_threads() {
    fn is_send<T: Send>(_: &T) {}
    let stream = Stream::new(StreamConfig::default(), Origin::default(), now_at(SECOND));
    is_send(&stream);
    assert_eq!(stream.poll_timeout(), None);
}

#[test]
fn configurations_are_brought_into_range() {
    let wild = StreamConfig {
        segment: common::ms(60_000),
        part: common::ms(1),
        track_wait: common::ms(600_000),
    };
    let bounded = wild.bounded();
    assert_eq!(bounded.segment, common::ms(10_000));
    assert_eq!(bounded.part, common::ms(100));
    assert_eq!(bounded.track_wait, common::ms(5000));
    let mut scene = Scene::with(wild);
    scene.publish(BOTH, &[h264(), aac(48_000)]);
    scene.play(&common::Clip::default());
    scene.unpublish();
    assert_eq!(scene.reader.target, Some(10));
    assert_eq!(scene.reader.segments(VIDEO).len(), 2);
}
