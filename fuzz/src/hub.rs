//! The hub: a stream as a list of operations (publish, configurations, frames with any times,
//! pauses), each of a few bytes.

use crate::input::Input;
use bytes::Bytes;
use std::collections::HashMap;
use weir_hub::{Announced, Origin, Output, Stream, StreamConfig};
use weir_media::aac::AacConfig;
use weir_media::avc::AvcConfig;
use weir_media::limits::DATUM_BYTES_MAX;
use weir_media::{
    CodecConfig, Datum, DatumKind, Frame, Mono, Now, Sample, SampleFlags, TrackId, TrackKind, Utc,
};
use weir_mp4::{Parsed, parse_fragment};

/// Operations of one input; more say nothing new.
const OPERATIONS_MAX: usize = 2000;

/// When an input begins, in microseconds since 1970.
const UTC_START: i64 = 1_795_214_761_250_000;

/// Whatever happens: segments are consecutive and their chunks follow each other, the target
/// duration stays, no frame is lost without being counted, and no timer is due forever.
pub fn operations(data: &[u8]) {
    let mut input = Input::new(data);
    let mut scene = Scene::new();
    for _ in 0..OPERATIONS_MAX {
        if input.is_empty() {
            break;
        }
        scene.operation(&mut input);
    }
    scene.stream.handle_unpublish(scene.now());
    scene.drain();
    let stats = scene.stream.stats();
    assert_eq!(scene.frames_out + stats.dropped, stats.frames);
    assert!(scene.tracks.values().all(|t| t.open.is_none()));
}

struct Scene {
    stream: Stream,
    /// Monotonic microseconds.
    clock: u64,
    /// The publisher's clock in milliseconds.
    sent_ms: i64,
    target: Option<u32>,
    tracks: HashMap<TrackId, Track>,
    frames_out: u64,
}

/// What a track gave out so far.
#[derive(Default)]
struct Track {
    init: Option<u32>,
    timescale: u32,
    /// Number of the next segment.
    next: Option<u64>,
    /// The open segment.
    open: Option<Open>,
    fragment: u32,
    utc: Option<Utc>,
}

struct Open {
    media_sequence: u64,
    decode_time: i64,
    parts: u32,
    end: i64,
    independent: bool,
}

impl Scene {
    fn new() -> Self {
        let origin = Origin {
            media_sequence: 1000,
            discontinuity_sequence: 77,
        };
        let now = now_at(0);
        Self {
            stream: Stream::new(StreamConfig::default(), origin, now),
            clock: 0,
            sent_ms: 0,
            target: None,
            tracks: HashMap::new(),
            frames_out: 0,
        }
    }

    fn now(&self) -> Now {
        now_at(self.clock)
    }

    fn operation(&mut self, input: &mut Input<'_>) {
        let code = input.byte();
        match code {
            0 => self.stream.handle_unpublish(self.now()),
            1 => {
                let said = announced(input.byte());
                self.stream.handle_publish(said, self.now());
            }
            2 => {
                let said = announced(input.byte());
                self.stream.handle_announced(said, self.now());
            }
            3 => {
                let which = input.byte();
                let config = config(which);
                let track = TrackId::numbered(config.kind(), which >> 5 & 3);
                self.stream.handle_config(track, config, self.now());
            }
            4 => self.pass(u64::from(input.short()) * 1000),
            // The publisher's clock goes anywhere.
            5 => {
                let step = i64::from(input.short().cast_signed());
                self.sent_ms = self.sent_ms.saturating_add(step);
            }
            6 => self.sent_ms = input.long().cast_signed() >> (input.byte() & 63),
            7 => self.datum(input.byte()),
            _ => self.frame(code, input.byte()),
        }
        self.drain();
    }

    /// A datum, up to a minute before or after where the publisher's clock is.
    fn datum(&mut self, what: u8) {
        let away_ms = (i64::from(what) - 128) * 500;
        let datum = Datum {
            kind: DatumKind::Scte35,
            time_90k: self.sent_ms.saturating_add(away_ms).saturating_mul(90),
            payload: vec![what; usize::from(what) * 20].into(),
        };
        self.stream.handle_datum(datum, self.now());
    }

    /// A frame: its kind, whether it is a keyframe and its composition offset in `code`, the
    /// time since the last in `step`.
    fn frame(&mut self, code: u8, step: u8) {
        let elapsed = u64::from(step & 0x7f);
        self.pass(elapsed * 1000);
        self.sent_ms = self.sent_ms.saturating_add(elapsed as i64);
        let (kind, scale) = match code & 1 {
            0 => (TrackKind::Video, 90),
            _ => (TrackKind::Audio, 48),
        };
        let key = code & 2 != 0;
        // A quarter of the frames is of further tracks.
        let number = if code >= 0xc0 { code >> 3 & 3 } else { 0 };
        let dts = self.sent_ms.saturating_mul(scale);
        let offset = i64::from(code >> 3) * 1000 - 2000;
        let payload: &'static [u8] = match (kind, code & 4 != 0 && step & 0x80 != 0) {
            (_, true) => &[0, 0, 0, 9, 0x41],
            (TrackKind::Audio, _) => &[0x21, 0x10, 0x04],
            _ if key => &[0, 0, 0, 2, 0x65, 0x88],
            _ => &[0, 0, 0, 2, 0x41, 0x9a],
        };
        let frame = Frame {
            track: TrackId::numbered(kind, number),
            kind,
            dts,
            pts: dts.saturating_add(offset),
            key: key || kind == TrackKind::Audio,
            received_at: Mono(self.clock),
            payload: Bytes::from_static(payload),
        };
        self.stream.handle_frame(frame, self.now());
    }

    /// Lets time pass, firing timers when they are due.
    fn pass(&mut self, us: u64) {
        let until = self.clock + us;
        for turn in 0.. {
            let Some(at) = self.stream.poll_timeout().filter(|t| t.0 <= until) else {
                break;
            };
            assert!(turn < 1000, "a timer that never goes off");
            self.clock = self.clock.max(at.0);
            self.stream.handle_timeout(self.now());
            self.drain();
        }
        self.clock = until;
    }

    fn drain(&mut self) {
        while let Some(output) = self.stream.poll_output() {
            match output {
                Output::Init {
                    track,
                    number,
                    config,
                    ..
                } => {
                    let state = self.tracks.entry(track).or_default();
                    assert!(state.open.is_none());
                    assert_eq!(number, state.init.map_or(0, |n| n + 1));
                    (state.init, state.timescale) = (Some(number), config.timescale());
                }
                Output::Chunk { .. } => self.chunk(output),
                Output::Segment { .. } => self.segment(&output),
                Output::Gap { .. } => self.gap(&output),
                Output::Datum { payload, .. } => {
                    assert!((1..=DATUM_BYTES_MAX).contains(&payload.len()));
                }
                _ => {}
            }
        }
    }

    fn chunk(&mut self, output: Output) {
        let Output::Chunk {
            track,
            media_sequence,
            part,
            init,
            head,
            payload,
            samples,
            decode_time,
            duration,
            independent,
            received_at,
            ..
        } = output
        else {
            return;
        };
        self.frames_out += samples.len() as u64;
        assert!(received_at.0 <= self.clock && samples.len() == payload.len());
        assert!(duration > 0 && samples.iter().all(|s| s.duration > 0));
        let key = |s: &Sample| s.flags.contains(SampleFlags::KEY);
        assert_eq!(independent, samples.iter().any(key));
        let state = self.tracks.entry(track).or_default();
        assert_eq!(state.init, Some(init));
        fragment_says(&head, track, decode_time, &samples, &mut state.fragment);
        let end = decode_time + duration as i64;
        match &mut state.open {
            None => {
                assert_eq!(part, 0);
                state.open = Some(Open {
                    media_sequence,
                    decode_time,
                    parts: 1,
                    end,
                    independent: samples.first().is_some_and(key),
                });
            }
            Some(open) => {
                assert_eq!((open.media_sequence, open.parts), (media_sequence, part));
                assert!(decode_time >= open.end, "chunks overlap");
                (open.parts, open.end) = (part + 1, end);
            }
        }
    }

    fn segment(&mut self, output: &Output) {
        let &Output::Segment {
            track,
            media_sequence,
            decode_time,
            duration,
            independent,
            program_date_time,
            target_duration,
            ..
        } = output
        else {
            return;
        };
        let Some(open) = self.tracks.entry(track).or_default().open.take() else {
            panic!("a segment without chunks");
        };
        assert_eq!(
            (open.media_sequence, open.decode_time, open.independent),
            (media_sequence, decode_time, independent)
        );
        self.list(
            track,
            media_sequence,
            duration,
            target_duration,
            program_date_time,
        );
    }

    fn gap(&mut self, output: &Output) {
        let &Output::Gap {
            track,
            media_sequence,
            duration,
            program_date_time,
            target_duration,
            ..
        } = output
        else {
            return;
        };
        assert!(self.tracks.get(&track).is_some_and(|t| t.open.is_none()));
        self.list(
            track,
            media_sequence,
            duration,
            target_duration,
            program_date_time,
        );
    }

    fn list(&mut self, track: TrackId, number: u64, duration: u64, target: u32, utc: Utc) {
        assert!((1..=weir_hub::limits::TARGET_SECONDS_MAX).contains(&target));
        assert_eq!(*self.target.get_or_insert(target), target);
        let state = self.tracks.entry(track).or_default();
        assert!(duration > 0 && state.timescale > 0);
        let scale = u64::from(state.timescale);
        let rounded = (duration * 2 + scale) / (2 * scale);
        assert!(rounded <= u64::from(target), "a segment of {rounded} s");
        assert!(state.next.is_none_or(|next| next == number));
        assert!(state.utc.is_none_or(|before| utc > before));
        (state.next, state.utc) = (Some(number + 1), Some(utc));
    }
}

/// The head of a chunk, as our reader of logs sees it.
fn fragment_says(
    head: &[u8],
    track: TrackId,
    decode_time: i64,
    samples: &[Sample],
    number: &mut u32,
) {
    let Ok(Parsed::Fragment(read)) = parse_fragment(head) else {
        panic!("a chunk that cannot be read");
    };
    assert_eq!(read.track, track);
    assert_eq!(i64::try_from(read.decode_time), Ok(decode_time));
    assert!(read.sequence_number > *number);
    *number = read.sequence_number;
    let times = |s: &Sample| (s.size, s.duration, s.composition_offset);
    assert!(read.samples.iter().map(times).eq(samples.iter().map(times)));
}

fn announced(say: u8) -> Announced {
    let track = |bits: u8| [None, Some(false), Some(true), Some(true)][usize::from(bits & 3)];
    Announced {
        video: track(say),
        audio: track(say >> 2),
    }
}

fn config(which: u8) -> CodecConfig {
    let aac = |record: &'static [u8]| AacConfig::parse(Bytes::from_static(record));
    let avc = |sps| AvcConfig::from_parameter_sets(&[sps], &[PPS]);
    let config = match which % 5 {
        0 => avc(SPS_720P).map(CodecConfig::H264),
        1 => avc(SPS_1080P).map(CodecConfig::H264),
        2 => aac(&[0x11, 0x90]).map(CodecConfig::Aac),
        3 => aac(&[0x12, 0x10]).map(CodecConfig::Aac),
        // 8 kHz
        _ => aac(&[0x15, 0x90]).map(CodecConfig::Aac),
    };
    match config {
        Ok(config) => config,
        Err(error) => panic!("a valid configuration: {error}"),
    }
}

fn now_at(clock: u64) -> Now {
    Now {
        mono: Mono(clock),
        utc: Utc(UTC_START + clock as i64),
    }
}

const PPS: &[u8] = &[0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0];
const SPS_720P: &[u8] = &[
    0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00,
    0x10, 0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x83, 0x19, 0x60,
];
const SPS_1080P: &[u8] = &[
    0x67, 0x4d, 0x40, 0x28, 0xec, 0xa0, 0x3c, 0x01, 0x13, 0xf2, 0xc2, 0x00, 0x00, 0x03, 0x00, 0x02,
    0x00, 0x00, 0x03, 0x00, 0x79, 0x1e, 0x30, 0x63, 0x2c,
];
