//! What cannot be muxed is named, and leaves the buffer as it was.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use bytes::Bytes;
use common::{Random, Segment, aac, aac_of, h264, random_audio, random_video};
use weir_media::{SampleFlags, TrackKind};
use weir_ts::{Error, TrackSegment, mux_segment};

fn refused(tracks: &[TrackSegment<'_, Bytes>]) -> Error {
    let mut out = b"before".to_vec();
    let error = mux_segment(0, tracks, &mut out).unwrap_err();
    assert_eq!(out, b"before");
    error
}

#[test]
fn takes_at_most_one_track_of_each_kind() {
    let video = random_video(&mut Random(1), 900_000, 1, 9);
    let audio = random_audio(&mut Random(1), 441_000, 441_001);
    assert_eq!(refused(&[]), Error::Tracks);
    assert_eq!(refused(&[video.track(), video.track()]), Error::Tracks);
    let three = [audio.track(), video.track(), audio.track()];
    assert_eq!(refused(&three), Error::Tracks);
}

#[test]
fn table_and_payload_must_agree() {
    let mut video = random_video(&mut Random(2), 900_000, 3, 900);
    video.samples[1].size += 1;
    let payload = video.payload[1].len();
    let size = Error::SampleSize {
        kind: TrackKind::Video,
        sample: 1,
        table: payload + 1,
        payload,
    };
    assert_eq!(refused(&[video.track()]), size);
    video.samples.pop();
    let count = Error::SampleCount {
        kind: TrackKind::Video,
        table: 2,
        payload: 3,
    };
    assert_eq!(refused(&[video.track()]), count);
}

#[test]
fn a_false_nal_length_undoes_the_whole_segment() {
    let mut video = random_video(&mut Random(3), 900_000, 4, 900);
    let false_length = Bytes::from_static(&[0, 0, 1, 0, 0x41]);
    video.samples[3].size = 5;
    video.payload[3] = false_length;
    let error = refused(&[video.track()]);
    assert!(matches!(error, Error::Nal { sample: 3, .. }), "{error}");
}

#[test]
fn adts_carries_what_it_has_codes_for() {
    let of = |record: &[u8], size| {
        let mut audio = Segment::new(aac_of(record), 0);
        audio.push_aac(vec![1; 5], 1024);
        audio.push_aac(vec![1; size], 1024);
        audio
    };
    let error = |record: &[u8]| refused(&[of(record, 5).track()]);
    // Main 0x0a is accepted; 17 is ER AAC LC, 15 an explicit rate of 44,101 Hz, 12 is 7.1
    // with another layout, and the last has 960 samples per frame.
    assert_eq!(error(&[0x8a, 0x10]), Error::AdtsConfig("object type"));
    let rate = [0x17, 0x80, 0x56, 0x22, 0x90];
    assert_eq!(error(&rate), Error::AdtsConfig("sampling rate"));
    assert_eq!(
        error(&[0x12, 0x60]),
        Error::AdtsConfig("channel configuration")
    );
    assert_eq!(error(&[0x12, 0x14]), Error::AdtsConfig("frame length"));

    let long = Error::AdtsFrameTooLong {
        sample: 1,
        size: 8185,
    };
    assert_eq!(refused(&[of(&[0x12, 0x10], 8185).track()]), long);
    let mut out = Vec::new();
    mux_segment(0, &[of(&[0x12, 0x10], 8184).track()], &mut out).unwrap();
    mux_segment(0, &[of(&[0x0a, 0x10], 5).track()], &mut out).unwrap();
}

#[test]
fn extreme_times_and_durations_are_harmless() {
    for time in [i64::MIN, -1, i64::MAX] {
        let mut video = Segment::new(h264(), time);
        let mut audio = Segment::new(aac(), time);
        for offset in [i32::MIN, i32::MAX] {
            let nals = [vec![0x65; 100]];
            video.push_access_unit(SampleFlags::KEY, &nals, u32::MAX, offset);
            audio.push_aac(vec![1; 100], u32::MAX);
        }
        let mut out = Vec::new();
        mux_segment(u64::MAX, &[video.track(), audio.track()], &mut out).unwrap();
        assert!(out.len() < 300 * 188);
        let mut track = audio.track();
        track.packets_before = u64::MAX;
        mux_segment(u64::MAX, &[track], &mut out).unwrap();
    }
}
