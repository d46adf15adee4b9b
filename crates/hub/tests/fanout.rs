//! Live fan-out: how frames are merged, where viewers begin, and what becomes of slow ones.
#![allow(missing_docs, clippy::unwrap_used)]

use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use weir_hub::fanout::{Cursor, FanoutConfig, Format, Muxer, Piece, Read, Start, Window};
use weir_hub::limits::{
    FANOUT_BATCH_BYTES_MAX, FANOUT_BEHIND_MAX, FANOUT_GOP_MESSAGES_MAX, FANOUT_LAG_MS_MAX,
    FANOUT_VIDEO_GONE_FRAMES, TIME_ORIGIN_90K,
};
use weir_media::aac::AacConfig;
use weir_media::avc::AvcConfig;
use weir_media::{CodecConfig, Frame, Mono, TrackId, TrackKind};
use weir_rtmp::Metadata;
use weir_rtmp::flv::TagKind;

/// Parameter sets that x264 made for 1280x720, High profile, level 3.1.
const SPS: &[u8] = &[
    0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00,
    0x10, 0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x83, 0x19, 0x60,
];
const PPS: &[u8] = &[0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0];

const GOP: u64 = 30;

fn video() -> CodecConfig {
    CodecConfig::H264(AvcConfig::from_parameter_sets(&[SPS], &[PPS]).unwrap())
}

fn audio() -> CodecConfig {
    CodecConfig::Aac(AacConfig::parse(Bytes::from_static(&[0x11, 0x90])).unwrap())
}

/// A stream whose publisher sends in time: 25 pictures a second, a sound with each.
struct Source {
    muxer: Muxer,
    pictures: u64,
    now: Mono,
    size: usize,
}

impl Source {
    fn new(merge_ms: u64) -> Self {
        let merge = Duration::from_millis(merge_ms);
        let mut muxer = Muxer::new(FanoutConfig { merge });
        muxer.handle_track(&video());
        muxer.handle_track(&audio());
        muxer.handle_settled();
        Self {
            muxer,
            pictures: 0,
            now: Mono(1_000_000),
            size: 100,
        }
    }

    fn frame(&mut self, kind: TrackKind, key: bool) {
        let scale = match kind {
            TrackKind::Video => 90_000,
            TrackKind::Audio => 48_000,
        };
        let dts = (TIME_ORIGIN_90K / 90_000 * 1000 + self.pictures as i64 * 40) * scale / 1000;
        let frame = Frame {
            track: TrackId::source(kind),
            kind,
            dts,
            pts: dts,
            key,
            received_at: self.now,
            payload: Bytes::from(vec![self.pictures as u8; self.size]),
        };
        self.muxer.handle_frame(&frame, self.now);
    }

    /// The next picture and its sound, at their time.
    fn step(&mut self) -> Vec<Arc<Piece>> {
        self.frame(TrackKind::Video, self.pictures.is_multiple_of(GOP));
        self.frame(TrackKind::Audio, true);
        self.pictures += 1;
        let pieces = self.take();
        self.now = self.now + Duration::from_millis(40);
        pieces
    }

    fn take(&mut self) -> Vec<Arc<Piece>> {
        std::iter::from_fn(|| self.muxer.poll_piece()).collect()
    }

    fn steps(&mut self, count: u64, window: &mut Window) {
        for _ in 0..count {
            for piece in self.step() {
                window.push(piece, true);
            }
        }
    }
}

/// Kinds and times of what a viewer gets.
fn read(window: &Window, cursor: &mut Cursor, now: Mono) -> (Read, Vec<(TagKind, u32)>) {
    let mut got = Vec::new();
    let read = window.read(cursor, now, |part| {
        part.each(|body| got.push((body.kind, body.timestamp)));
    });
    (read, got)
}

#[test]
fn without_merging_each_frame_leaves_at_once() {
    let mut source = Source::new(0);
    for _ in 0..100 {
        let pieces = source.step();
        assert_eq!(pieces.len(), 2);
        assert!(pieces.iter().all(|piece| piece.messages().len() == 1));
    }
}

#[test]
fn a_picture_waits_only_for_one_that_comes_in_time() {
    // The next picture is 40 ms away: who waits 35 ms waits in vain, once that is known. Sounds
    // go with the picture after them.
    let mut source = Source::new(35);
    source.step();
    source.step();
    for i in 0..50 {
        let pieces = source.step();
        let messages: usize = pieces.iter().map(|piece| piece.messages().len()).sum();
        assert_eq!(messages, 2, "{i}");
        let last = pieces.last().unwrap().messages().last().unwrap();
        assert_eq!(last.kind, TagKind::Video);
    }
    // Merging for longer than that halves the sends.
    let mut source = Source::new(60);
    source.step();
    let mut sends = 0;
    for _ in 0..100 {
        sends += usize::from(!source.step().is_empty());
    }
    assert!((49..=52).contains(&sends), "{sends}");
}

#[test]
fn what_is_due_leaves_though_nothing_follows() {
    let mut source = Source::new(300);
    source.step();
    assert!(source.take().is_empty());
    let due = source.muxer.poll_timeout().unwrap();
    source.muxer.handle_timeout(Mono(due.0 - 1));
    assert!(source.take().is_empty());
    source.muxer.handle_timeout(due);
    assert_eq!(source.take().len(), 1);
    assert_eq!(source.muxer.poll_timeout(), None);
    // Nor does anything stay behind when the publisher leaves.
    source.step();
    source.muxer.handle_unpublish();
    assert_eq!(source.take().len(), 1);
}

#[test]
fn pieces_are_numbered_without_a_gap_and_start_with_keyframes() {
    let mut source = Source::new(300);
    let mut number = 1;
    let mut starts = 0;
    for _ in 0..300 {
        for piece in source.step() {
            assert_eq!(piece.number(), number);
            number += 1;
            let first = &piece.messages()[0];
            assert_eq!(
                piece.starts(),
                first.kind == TagKind::Video && first.head()[0] == 0x17
            );
            starts += u64::from(piece.starts());
            for body in piece.messages().iter().skip(1) {
                assert_ne!(body.head()[0], 0x17, "a keyframe inside a piece");
            }
        }
    }
    assert!(starts >= 300 / GOP - 1);
}

#[test]
fn a_joiner_gets_metadata_configurations_and_then_the_last_keyframe() {
    let (mut source, mut window) = (Source::new(0), Window::new());
    source.muxer.handle_metadata(&Metadata {
        frame_rate: Some(25.0),
        ..Metadata::default()
    });
    source.steps(GOP + 10, &mut window);
    let mut cursor = window.join(Start::Cached);
    let (_, got) = read(&window, &mut cursor, source.now);
    let at = 500 + GOP as u32 * 40;
    let head = [
        (TagKind::Script, 0),
        (TagKind::Video, at),
        (TagKind::Audio, at),
        (TagKind::Video, at),
    ];
    assert_eq!(got[..4], head);
    assert_eq!(got.len(), 3 + 20);
    // From then on only what is new.
    assert_eq!(read(&window, &mut cursor, source.now).0, Read::Nothing);
    source.steps(1, &mut window);
    assert_eq!(read(&window, &mut cursor, source.now).1.len(), 2);
    // The least delay begins at the next keyframe.
    let mut live = window.join(Start::Live);
    source.steps(5, &mut window);
    assert_eq!(read(&window, &mut live, source.now).0, Read::Nothing);
    source.steps(GOP, &mut window);
    assert_eq!(
        read(&window, &mut live, source.now).1[3].1,
        500 + 2 * GOP as u32 * 40
    );
}

#[test]
fn all_viewers_share_the_same_bytes() {
    let (mut source, mut window) = (Source::new(0), Window::new());
    source.steps(5, &mut window);
    for format in [Format::Rtmp, Format::Flv] {
        let of = |_| {
            let mut bytes = Vec::new();
            let mut cursor = window.join(Start::Cached);
            window.read(&mut cursor, source.now, |part| {
                bytes.push(part.bytes(format))
            });
            bytes
        };
        let [a, b] = [0, 1].map(of);
        assert_eq!(a.len(), 1 + 10);
        for (a, b) in a.iter().zip(&b) {
            assert_eq!((a.as_ptr(), a.len()), (b.as_ptr(), b.len()));
        }
    }
}

#[test]
fn a_changed_configuration_is_told_once_and_before_its_frames() {
    let (mut source, mut window) = (Source::new(0), Window::new());
    source.steps(3, &mut window);
    let mut cursor = window.join(Start::Cached);
    read(&window, &mut cursor, source.now);
    // The same again is no change.
    source.muxer.handle_track(&video());
    source.muxer.handle_track(&audio());
    source.muxer.handle_settled();
    source.steps(1, &mut window);
    assert_eq!(read(&window, &mut cursor, source.now).1.len(), 2);
    let mut other = SPS.to_vec();
    other[3] = 0x20;
    let other = AvcConfig::from_parameter_sets(&[&other], &[PPS]).unwrap();
    source.muxer.handle_track(&CodecConfig::H264(other));
    source.muxer.handle_settled();
    // Without the audio that was not named.
    source.pictures = GOP;
    for piece in source.step() {
        window.push(piece, true);
    }
    let (_, got) = read(&window, &mut cursor, source.now);
    let kinds: Vec<_> = got.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, [TagKind::Script, TagKind::Video, TagKind::Video]);
}

#[test]
fn a_slow_viewer_skips_to_the_last_keyframe_and_is_closed_when_that_does_not_help() {
    let (mut source, mut window) = (Source::new(0), Window::new());
    source.steps(1, &mut window);
    let mut slow = window.join(Start::Cached);
    let mut fast = window.join(Start::Cached);
    read(&window, &mut slow, source.now);
    read(&window, &mut fast, source.now);
    let steps = FANOUT_LAG_MS_MAX as u64 / 40 + 5;
    for _ in 0..steps {
        source.steps(1, &mut window);
        assert_eq!(read(&window, &mut fast, source.now).0, Read::Some(2));
    }
    assert_eq!(fast.take_skips(), 0);
    let (_, got) = read(&window, &mut slow, source.now);
    assert_eq!(slow.take_skips(), 1);
    let key = (source.pictures - 1) / GOP * GOP;
    assert_eq!(got[0], (TagKind::Video, 500 + key as u32 * 40));
    assert_eq!(slow.take_skips(), 0);
    // It has caught up: later it may lag again, and skip again.
    let mut now = source.now;
    source.steps(steps, &mut window);
    assert!(matches!(read(&window, &mut slow, now).0, Read::Some(_)));
    assert_eq!(slow.take_skips(), 1);
    // One whose skips do not bring it to the end, since pieces are large, is closed at last.
    source.size = FANOUT_BATCH_BYTES_MAX;
    let mut stuck = window.join(Start::Cached);
    let mut last = read(&window, &mut stuck, now).0;
    let began = now;
    while last != Read::TooSlow && now.since(began) < FANOUT_BEHIND_MAX * 3 {
        source.steps(20, &mut window);
        now = source.now;
        last = read(&window, &mut stuck, now).0;
    }
    assert_eq!(last, Read::TooSlow);
    assert!(stuck.take_skips() > 1 && now.since(began) >= FANOUT_BEHIND_MAX);
}

#[test]
fn a_viewer_that_lost_its_place_goes_on_at_a_keyframe() {
    let (mut source, mut window) = (Source::new(0), Window::new());
    source.steps(2, &mut window);
    let mut cursor = window.join(Start::Cached);
    read(&window, &mut cursor, source.now);
    // Another worker was told nothing for a while.
    for _ in 0..GOP {
        source.step();
    }
    source.steps(5, &mut window);
    assert_eq!(read(&window, &mut cursor, source.now).0, Read::Nothing);
    assert_eq!(cursor.take_skips(), 1);
    source.steps(GOP, &mut window);
    let (_, got) = read(&window, &mut cursor, source.now);
    assert_eq!(got[0].1, 500 + 2 * GOP as u32 * 40);
}

#[test]
fn the_cache_is_bounded_and_kept_only_as_far_as_it_is_of_use() {
    let (mut source, mut window) = (Source::new(0), Window::new());
    // Nobody watches: only the current group of pictures is kept.
    for _ in 0..10 * GOP + 5 {
        for piece in source.step() {
            window.push(piece, false);
        }
    }
    assert_eq!(window.pieces().count(), 10);
    // A group of pictures without an end: it is forgotten, and with it the place to begin.
    source.pictures = 1;
    for _ in 0..FANOUT_GOP_MESSAGES_MAX {
        source.frame(TrackKind::Video, false);
        for piece in source.take() {
            window.push(piece, true);
        }
    }
    assert!(window.pieces().count() <= FANOUT_GOP_MESSAGES_MAX);
    let mut cursor = window.join(Start::Cached);
    assert_eq!(read(&window, &mut cursor, source.now).0, Read::Nothing);
}

#[test]
fn a_stream_that_lost_its_pictures_is_audio_until_they_come_back() {
    let (mut source, mut window) = (Source::new(0), Window::new());
    source.steps(3, &mut window);
    for _ in 0..FANOUT_VIDEO_GONE_FRAMES + 50 {
        source.frame(TrackKind::Audio, true);
        for piece in source.take() {
            window.push(piece, true);
        }
    }
    // A joiner hears at once, and sees nothing that it could not decode.
    let mut cursor = window.join(Start::Cached);
    let (read_, got) = read(&window, &mut cursor, source.now);
    assert_eq!((read_, got.len()), (Read::Some(1), 4));
    source.frame(TrackKind::Video, false);
    assert!(source.take().is_empty());
    source.frame(TrackKind::Video, true);
    assert!(source.take().iter().any(|piece| piece.starts()));
}

#[test]
fn a_pause_ends_at_a_keyframe() {
    let (mut source, mut window) = (Source::new(0), Window::new());
    source.steps(5, &mut window);
    let mut cursor = window.join(Start::Cached);
    read(&window, &mut cursor, source.now);
    source.steps(10, &mut window);
    cursor.resume(&window);
    assert_eq!(read(&window, &mut cursor, source.now).0, Read::Nothing);
    source.steps(GOP, &mut window);
    let (_, got) = read(&window, &mut cursor, source.now);
    assert_eq!(got[0], (TagKind::Video, 500 + GOP as u32 * 40));
}
