//! Streams of several renditions and audio tracks of one encoder.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use bytes::Bytes;
use common::{SECOND, aac, h264, h264_1080p, now_at};
use std::collections::BTreeMap;
use weir_hub::limits::{QUEUE_FRAMES_MAX, TRACKS_MAX};
use weir_hub::{Announced, Event, Origin, Output, Resume, ResumeTrack, Stream, StreamConfig};
use weir_media::{CodecConfig, Frame, Mono, TrackId, TrackKind, Utc};

const RATE: i64 = 48_000;

/// What came out of a track.
#[derive(Debug, Default)]
struct Came {
    samples: usize,
    /// Number, decoding time, duration, independent; and whether it is a gap.
    segments: Vec<(u64, i64, u64, bool, bool)>,
    discontinuities: usize,
    inits: usize,
}

struct Encoder {
    stream: Stream,
    clock: u64,
    came: BTreeMap<u16, Came>,
    events: Vec<Event>,
}

fn video(n: u8) -> TrackId {
    TrackId::numbered(TrackKind::Video, n)
}

fn audio(n: u8) -> TrackId {
    TrackId::numbered(TrackKind::Audio, n)
}

impl Encoder {
    fn new(stream: Stream) -> Self {
        Self {
            stream,
            clock: SECOND,
            came: BTreeMap::new(),
            events: Vec::new(),
        }
    }

    fn start() -> Self {
        let config = StreamConfig {
            segment: std::time::Duration::from_secs(2),
            ..StreamConfig::default()
        };
        let mut e = Self::new(Stream::new(config, Origin::default(), now_at(SECOND)));
        let now = now_at(e.clock);
        e.stream.handle_publish(Announced::default(), now);
        e
    }

    fn config(&mut self, track: TrackId, config: CodecConfig) {
        let now = now_at(self.clock);
        self.stream.handle_config(track, config, now);
        self.drain();
    }

    fn frame(&mut self, track: TrackId, kind: TrackKind, dts: i64, key: bool) {
        let payload: &'static [u8] = match (kind, key) {
            (TrackKind::Audio, _) => &[0x21, 1, 2],
            (_, true) => &[0, 0, 0, 2, 0x65, 1],
            (_, false) => &[0, 0, 0, 2, 0x41, 1],
        };
        let frame = Frame {
            track,
            kind,
            dts,
            pts: dts,
            key: key || kind == TrackKind::Audio,
            received_at: Mono(self.clock),
            payload: Bytes::from_static(payload),
        };
        let now = now_at(self.clock);
        self.stream.handle_frame(frame, now);
        self.drain();
    }

    /// Seconds `from` to `to` of these tracks at 25 pictures a second, a key frame each second.
    fn play(&mut self, seconds: std::ops::Range<i64>, tracks: &[TrackId]) {
        let start = self.clock;
        for picture in 0..(seconds.end - seconds.start) * 25 {
            self.clock = start + picture as u64 * 40_000;
            let at = seconds.start * 25 + picture;
            for track in tracks {
                if track.0 % 2 == 1 {
                    let (dts, key) = (at * 3600, at % 25 == 0);
                    self.frame(*track, TrackKind::Video, dts, key);
                }
            }
            // Audio up to there.
            let up_to = |p: i64| (p * RATE / 25 + 1023) / 1024;
            for packet in up_to(at)..up_to(at + 1) {
                for track in tracks.iter().filter(|t| t.0 % 2 == 0) {
                    self.frame(*track, TrackKind::Audio, packet * 1024, true);
                }
            }
        }
        self.clock = start + (seconds.end - seconds.start) as u64 * SECOND;
    }

    fn end(&mut self) {
        let now = now_at(self.clock);
        self.stream.handle_unpublish(now);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.stream.poll_output() {
            match output {
                Output::Init { track, .. } => self.came.entry(track.0).or_default().inits += 1,
                Output::Chunk { track, samples, .. } => {
                    self.came.entry(track.0).or_default().samples += samples.len();
                }
                Output::Segment {
                    track,
                    media_sequence,
                    decode_time,
                    duration,
                    independent,
                    discontinuity,
                    ..
                } => {
                    let came = self.came.entry(track.0).or_default();
                    came.discontinuities += usize::from(discontinuity);
                    came.segments
                        .push((media_sequence, decode_time, duration, independent, false));
                }
                Output::Gap {
                    track,
                    media_sequence,
                    decode_time,
                    duration,
                    discontinuity,
                    ..
                } => {
                    let came = self.came.entry(track.0).or_default();
                    came.discontinuities += usize::from(discontinuity);
                    came.segments
                        .push((media_sequence, decode_time, duration, false, true));
                }
                Output::Event(event) => self.events.push(event),
                _ => {}
            }
        }
    }

    fn numbers(&self, track: TrackId) -> Vec<u64> {
        self.came[&track.0].segments.iter().map(|s| s.0).collect()
    }
}

fn ladder() -> Encoder {
    let mut e = Encoder::start();
    for n in 0..3 {
        e.config(video(n), if n == 0 { h264_1080p() } else { h264() });
    }
    for n in 0..2 {
        e.config(audio(n), aac(48_000));
    }
    e
}

fn all() -> [TrackId; 5] {
    [video(0), video(1), video(2), audio(0), audio(1)]
}

#[test]
fn renditions_have_the_same_segments() {
    let mut e = ladder();
    e.play(0..10, &all());
    e.end();
    assert_eq!(e.stream.stats().dropped, 0);
    let leader = e.came[&video(0).0].segments.clone();
    assert_eq!(leader.len(), 5);
    for n in 0..3 {
        let came = &e.came[&video(n).0];
        assert_eq!((came.samples, came.inits), (250, 1));
        assert_eq!(came.segments, leader, "video {n}");
        assert!(came.segments.iter().all(|s| s.3 && !s.4));
    }
    for n in 0..2 {
        let came = &e.came[&audio(n).0];
        assert_eq!(came.samples, 469, "audio {n}");
        assert_eq!(e.numbers(audio(n)), e.numbers(video(0)));
        // Continuous.
        let ends = came.segments.windows(2);
        assert!(ends.into_iter().all(|w| w[0].1 + w[0].2 as i64 == w[1].1));
    }
    assert_eq!(e.came[&2].segments, e.came[&4].segments);
}

#[test]
fn a_rendition_that_stops_has_gaps_and_comes_back() {
    let mut e = ladder();
    e.play(0..4, &all());
    e.play(4..10, &[video(0), video(2), audio(0)]);
    e.play(10..14, &all());
    e.end();
    assert_eq!(e.came[&video(0).0].samples, 350, "the leader does not wait");
    for track in [video(1), audio(1)] {
        let came = &e.came[&track.0];
        assert_eq!(e.numbers(track), e.numbers(video(0)), "{track:?}");
        assert!(came.segments.iter().any(|s| s.4), "{came:?}");
        let last = came.segments.last().unwrap();
        assert!(!last.4, "it is back: {came:?}");
    }
    assert!(e.came[&video(2).0].segments.iter().all(|s| !s.4));
}

#[test]
fn a_late_rendition_joins_at_a_boundary() {
    let mut e = Encoder::start();
    e.config(video(0), h264());
    e.config(audio(0), aac(48_000));
    e.play(0..5, &[video(0), audio(0)]);
    e.config(video(1), h264());
    e.play(5..11, &[video(0), audio(0), video(1)]);
    e.end();
    let late = &e.came[&video(1).0];
    assert!(late.samples >= 100, "{late:?}");
    assert!(late.segments[0].3, "it begins with a key frame");
    assert_eq!(late.discontinuities, 0);
    let all = e.numbers(video(0));
    let numbers = e.numbers(video(1));
    assert_eq!(numbers[..], all[all.len() - numbers.len()..]);
}

#[test]
fn a_change_of_one_is_a_discontinuity_of_all() {
    let mut e = ladder();
    e.play(0..4, &all());
    e.config(video(1), h264_1080p());
    e.play(4..8, &all());
    e.end();
    for track in all() {
        assert_eq!(e.came[&track.0].discontinuities, 1, "{track:?}");
        let inits = if track == video(1) { 2 } else { 1 };
        assert_eq!(e.came[&track.0].inits, inits, "{track:?}");
    }
}

#[test]
fn another_track_leads_where_the_first_is_missing() {
    let mut e = Encoder::start();
    e.config(audio(0), aac(48_000));
    e.config(video(2), h264());
    e.play(0..6, &[audio(0), video(2)]);
    e.end();
    let came = &e.came[&video(2).0];
    assert_eq!(came.samples, 150);
    assert!(came.segments.iter().all(|s| s.3), "{came:?}");
    // Alone, over a pause that is a jump to everybody else.
    let mut e = Encoder::start();
    e.config(video(4), h264());
    e.play(0..4, &[video(4)]);
    e.play(60..64, &[video(4)]);
    e.end();
    assert_eq!(e.came[&video(4).0].samples, 200);
}

#[test]
fn there_are_no_more_than_the_bound() {
    let mut e = Encoder::start();
    for n in 0..=255 {
        e.config(video(n), h264());
    }
    let refused = |e: &&Event| matches!(e, Event::ConfigRefused { .. });
    // The place of the first audio track stays free.
    let given = TRACKS_MAX - 1;
    assert_eq!(e.events.iter().filter(refused).count(), 256 - given);
    // Frames of a refused track, and those that lie about their kind, are dropped.
    e.frame(video(200), TrackKind::Video, 0, true);
    e.frame(video(1), TrackKind::Audio, 0, true);
    assert_eq!(e.stream.stats().dropped, 2);
}

#[test]
fn a_silent_leader_does_not_let_a_queue_grow() {
    let mut e = Encoder::start();
    e.config(video(0), h264());
    e.config(audio(1), aac(48_000));
    e.play(0..2, &[video(0), audio(1)]);
    // 40 minutes of sound without a picture, from a track that never leads.
    let sent = 120_000;
    for packet in 94..94 + sent {
        e.frame(audio(1), TrackKind::Audio, packet * 1024, true);
    }
    let dropped = e.stream.stats().dropped;
    assert!(
        dropped as i64 >= sent - QUEUE_FRAMES_MAX as i64 - 2,
        "{dropped}"
    );
    e.end();
}

#[test]
fn a_resumed_stream_goes_on_in_every_track() {
    let mut e = ladder();
    e.play(0..4, &all());
    e.end();
    let tracks = all().map(|id| {
        let came = &e.came[&id.0];
        let last = came.segments.last().unwrap();
        ResumeTrack {
            id,
            config: match id.0 {
                1 => h264_1080p(),
                n if n % 2 == 1 => h264(),
                _ => aac(48_000),
            },
            init_number: 0,
            end_time: last.1 + last.2 as i64,
        }
    });
    let resume = Resume {
        media_sequence: e.numbers(video(0)).last().unwrap() + 1,
        discontinuity_sequence: 0,
        target_duration: Some(2),
        tracks: tracks.to_vec(),
        utc: Utc(now_at(e.clock).utc.0),
        decode_time_90k: 14 * 90_000,
        program_date_time: None,
    };
    let config = StreamConfig::default();
    let mut again = Encoder::new(Stream::resume(config, resume, now_at(e.clock)));
    again.clock = e.clock + SECOND;
    let now = now_at(again.clock);
    again.stream.handle_publish(Announced::default(), now);
    again.config(video(0), h264_1080p());
    for track in &all()[1..] {
        let config = if track.0 % 2 == 1 {
            h264()
        } else {
            aac(48_000)
        };
        again.config(*track, config);
    }
    again.play(0..4, &all());
    again.end();
    for track in all() {
        let came = &again.came[&track.0];
        assert_eq!((came.discontinuities, came.inits), (1, 0), "{track:?}");
        assert_eq!(again.numbers(track), again.numbers(video(0)));
        let end = e.came[&track.0].segments.last().unwrap();
        assert!(came.segments[0].1 >= end.1 + end.2 as i64);
    }
}
