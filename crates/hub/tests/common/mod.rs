//! A publisher made of numbers, a stream, and a reader who checks everything that comes out.
#![allow(dead_code, unused_imports)] // Each test binary uses its part.

mod check;
mod clip;

pub use check::{GotSegment, Reader};
pub use clip::{Clip, Gop, Rate, Rng, Shot};

use bytes::Bytes;
use std::time::Duration;
use weir_hub::{Announced, Counters, Event, Origin, Resume, Stream, StreamConfig};
use weir_media::aac::AacConfig;
use weir_media::avc::AvcConfig;
use weir_media::time::rescale;
use weir_media::{CodecConfig, Frame, Mono, Now, TrackId, TrackKind, Utc};

pub const SECOND: u64 = 1_000_000;
pub const VIDEO: TrackId = TrackId::SOURCE_VIDEO;
pub const AUDIO: TrackId = TrackId::SOURCE_AUDIO;
pub const BOTH: Announced = Announced {
    video: Some(true),
    audio: Some(true),
};

const PPS: &[u8] = &[0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0];
const SPS_720P: &[u8] = &[
    0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00,
    0x10, 0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x83, 0x19, 0x60,
];
const SPS_1080P: &[u8] = &[
    0x67, 0x4d, 0x40, 0x28, 0xec, 0xa0, 0x3c, 0x01, 0x13, 0xf2, 0xc2, 0x00, 0x00, 0x03, 0x00, 0x02,
    0x00, 0x00, 0x03, 0x00, 0x79, 0x1e, 0x30, 0x63, 0x2c,
];

pub fn h264() -> CodecConfig {
    CodecConfig::H264(AvcConfig::from_parameter_sets(&[SPS_720P], &[PPS]).unwrap())
}

pub fn h264_1080p() -> CodecConfig {
    CodecConfig::H264(AvcConfig::from_parameter_sets(&[SPS_1080P], &[PPS]).unwrap())
}

pub fn aac(rate: u32) -> CodecConfig {
    let record: &[u8] = match rate {
        44_100 => &[0x12, 0x10],
        8_000 => &[0x15, 0x90],
        _ => &[0x11, 0x90],
    };
    let config = CodecConfig::Aac(AacConfig::parse(Bytes::copy_from_slice(record)).unwrap());
    assert_eq!(config.timescale(), rate);
    config
}

/// A frame whose bytes name it.
pub fn frame(kind: TrackKind, id: u32, dts: i64, pts: i64, key: bool, at: u64) -> Frame {
    let mut payload = vec![0, 0, 0, 5, if key { 0x65 } else { 0x41 }];
    payload.extend(id.to_be_bytes());
    if kind == TrackKind::Audio {
        payload = id.to_be_bytes().to_vec();
    }
    Frame {
        track: TrackId::source(kind),
        kind,
        dts,
        pts,
        key: key || kind == TrackKind::Audio,
        received_at: Mono(at),
        payload: payload.into(),
    }
}

/// The number that [`frame`] wrote into the bytes.
pub fn id_of(payload: &[u8]) -> u32 {
    let tail = payload.last_chunk().unwrap();
    u32::from_be_bytes(*tail)
}

/// A stream with its publisher and its reader, on one clock.
pub struct Scene {
    pub stream: Stream,
    pub reader: Reader,
    pub events: Vec<Event>,
    /// Monotonic microseconds.
    pub clock: u64,
    /// What was handed in since the start: kind, id, sent dts, sent pts, key.
    pub sent: Vec<Shot>,
    next_id: u32,
}

pub const UTC_START: i64 = 1_795_214_761_250_000;

impl Scene {
    pub fn new() -> Self {
        Self::with(StreamConfig::default())
    }

    pub fn with(config: StreamConfig) -> Self {
        let origin = Origin {
            media_sequence: 1000,
            discontinuity_sequence: 77,
        };
        let stream = Stream::new(config, origin, now_at(SECOND));
        Self::of(stream, Reader::new(config.bounded(), 1000, 77))
    }

    pub fn resumed(resume: Resume) -> Self {
        let config = StreamConfig::default();
        let mut reader = Reader::new(config, resume.media_sequence, resume.discontinuity_sequence);
        reader.resume(&resume);
        Self::of(Stream::resume(config, resume, now_at(SECOND)), reader)
    }

    fn of(stream: Stream, reader: Reader) -> Self {
        Self {
            stream,
            reader,
            events: Vec::new(),
            clock: SECOND,
            sent: Vec::new(),
            next_id: 0,
        }
    }

    pub fn now(&self) -> Now {
        now_at(self.clock)
    }

    pub fn drain(&mut self) {
        while let Some(output) = self.stream.poll_output() {
            if let weir_hub::Output::Event(event) = output {
                self.events.push(event);
            }
            self.reader.take(output, self.now());
        }
    }

    /// Lets time pass, firing timers when they are due.
    pub fn run_to(&mut self, clock: u64) {
        for turn in 0.. {
            let Some(at) = self.stream.poll_timeout().filter(|t| t.0 <= clock) else {
                break;
            };
            assert!(turn < 1000, "a timer that never goes off");
            self.clock = self.clock.max(at.0);
            self.stream.handle_timeout(self.now());
            self.drain();
        }
        self.clock = self.clock.max(clock);
    }

    pub fn publish(&mut self, announced: Announced, configs: &[CodecConfig]) {
        self.stream.handle_publish(announced, self.now());
        self.drain();
        for config in configs {
            self.config(config.clone());
        }
    }

    pub fn config(&mut self, config: CodecConfig) {
        let track = TrackId::source(config.kind());
        self.stream.handle_config(track, config, self.now());
        self.drain();
    }

    pub fn unpublish(&mut self) {
        self.stream.handle_unpublish(self.now());
        self.drain();
    }

    /// One frame with ticks of its track, now.
    pub fn send(&mut self, kind: TrackKind, dts: i64, pts: i64, key: bool) -> u32 {
        let id = self.next_id;
        self.next_id += 1;
        self.sent.push(Shot {
            kind,
            id,
            dts,
            pts,
            key,
            at: self.clock,
        });
        let frame = frame(kind, id, dts, pts, key, self.clock);
        self.stream.handle_frame(frame, self.now());
        self.drain();
        id
    }

    /// A clip, each frame at its time after now.
    pub fn play(&mut self, clip: &Clip) {
        self.play_shots(&clip.shots());
    }

    pub fn play_shots(&mut self, shots: &[Shot]) {
        let start = self.clock;
        for shot in shots {
            self.run_to(start + shot.at);
            self.send(shot.kind, shot.dts, shot.pts, shot.key);
        }
    }

    /// Lets milliseconds pass.
    pub fn wait_ms(&mut self, ms: u64) {
        self.run_to(self.clock + ms * 1000);
    }

    pub fn stats(&self) -> Counters {
        self.stream.stats()
    }

    pub fn count(&self, wanted: impl Fn(&Event) -> bool) -> usize {
        self.events.iter().filter(|e| wanted(e)).count()
    }

    pub fn sent_of(&self, kind: TrackKind) -> Vec<Shot> {
        self.sent
            .iter()
            .filter(|s| s.kind == kind)
            .copied()
            .collect()
    }

    /// Every frame sent is there once, in order, but for the first `skipped` of its kind.
    pub fn assert_complete(&self, kind: TrackKind, skipped: usize) {
        let got: Vec<u32> = self
            .reader
            .samples(TrackId::source(kind))
            .map(|g| g.id)
            .collect();
        let sent: Vec<u32> = self.sent_of(kind)[skipped..].iter().map(|s| s.id).collect();
        assert_eq!(got, sent, "{kind:?}");
    }

    /// Video is tick-exact: differences of decoding times, and all composition offsets.
    pub fn assert_video_exact(&self) {
        let by_id = self.by_id(TrackKind::Video);
        let mut offset = None;
        for got in self.reader.samples(VIDEO) {
            let shot = by_id[&got.id];
            assert_eq!(got.composition_offset as i64, shot.pts - shot.dts);
            let this = got.dts - shot.dts;
            assert_eq!(*offset.get_or_insert(this), this, "frame {}", got.id);
        }
    }

    /// Audio is within 1 ms of what was sent, on the video's offset if there is video.
    pub fn assert_audio_near(&self, rate: u32) {
        let by_id = self.by_id(TrackKind::Audio);
        let video = self.by_id(TrackKind::Video);
        let offset_90k = self
            .reader
            .samples(VIDEO)
            .next()
            .map(|got| got.dts - video[&got.id].dts);
        let mut offset = offset_90k.map(|o| rescale(o, 90_000, rate));
        for got in self.reader.samples(AUDIO) {
            let this = got.dts - by_id[&got.id].dts;
            let error = this - *offset.get_or_insert(this);
            assert!(
                error.abs() * 1000 <= i64::from(rate),
                "off by {error} ticks"
            );
        }
    }

    fn by_id(&self, kind: TrackKind) -> std::collections::HashMap<u32, Shot> {
        self.sent_of(kind).into_iter().map(|s| (s.id, s)).collect()
    }
}

pub fn now_at(clock: u64) -> Now {
    Now {
        mono: Mono(clock),
        utc: Utc(UTC_START + clock as i64),
    }
}

pub fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
