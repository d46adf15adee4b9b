#![allow(dead_code, reason = "each test uses its part")]
#![allow(clippy::unwrap_used, reason = "only tests and benches come here")]
//! A publisher made of arithmetic: every byte follows from track, segment and part.

use bytes::{Bytes, BytesMut};
use std::path::{Path, PathBuf};
use std::time::Duration;
use weir_media::aac::AacConfig;
use weir_media::avc::{AvcConfig, inspect};
use weir_media::{
    CodecConfig, Mono, Now, Sample, SampleFlags, StreamName, TrackId, TrackKind, Utc,
};
use weir_store::{
    Body, ChunkInput, InitInput, LibraryConfig, Piece, SegmentInput, SegmentStart, Start,
    TrackView, View, Writer,
};

pub const VIDEO: TrackId = TrackId::SOURCE_VIDEO;
pub const AUDIO: TrackId = TrackId::SOURCE_AUDIO;
pub const EPOCH_US: i64 = 1_763_000_000_000_000;
pub const START: Start = Start {
    media_sequence: 1000,
    discontinuity_sequence: 7,
};

pub fn now() -> Now {
    Now {
        mono: Mono(0),
        utc: Utc(EPOCH_US),
    }
}

pub fn name(text: &str) -> StreamName {
    StreamName::parse(text).unwrap()
}

/// A directory in memory where there is one: tests that open many logs sync often.
pub fn temp_dir() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    match tempfile::tempdir_in(memory) {
        Ok(dir) => dir,
        Err(_) => tempfile::tempdir().unwrap(),
    }
}

pub fn config(data: &Path) -> LibraryConfig {
    LibraryConfig {
        // Other tests keep this machine busy; only the test of the rule itself is strict.
        segment_wait: Duration::from_secs(20),
        ..LibraryConfig::new(data)
    }
}

pub fn run<F: Future>(future: F) -> F::Output {
    let mut runtime = weir_ring::Runtime::new(weir_ring::Config::default()).unwrap();
    runtime.block_on(future)
}

pub fn video_config(level: u8) -> CodecConfig {
    // 1280x720 High, by x264; the level is patched in to make configurations differ.
    let mut sps = hex("6764001facd9405005bb011000000300100000030320f183196000");
    sps.truncate(26);
    sps[3] = level;
    let pps = hex("68ebecb22c");
    CodecConfig::H264(AvcConfig::from_parameter_sets(&[&sps], &[&pps]).unwrap())
}

pub fn audio_config() -> CodecConfig {
    CodecConfig::Aac(AacConfig::parse(Bytes::from_static(&[0x11, 0x90])).unwrap())
}

fn hex(text: &str) -> Vec<u8> {
    let digits = |i: usize| u8::from_str_radix(&text[i..i + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digits).collect()
}

pub fn init(track: TrackId, number: u32, config: CodecConfig) -> InitInput {
    InitInput {
        track,
        kind: config.kind(),
        number,
        data: weir_mp4::init_segment(track, &config),
        config,
    }
}

/// Sends segments of `parts` chunks of half a second.
#[derive(Clone)]
pub struct Publisher {
    pub parts: u32,
    pub payload: usize,
    pub media_sequence: u64,
    pub discontinuity_sequence: u64,
    pub discontinuity: bool,
    pub init: u32,
    /// Time since the start, in half seconds.
    pub time: u64,
}

impl Publisher {
    pub fn new(parts: u32, payload: usize) -> Self {
        Self {
            parts,
            payload,
            media_sequence: START.media_sequence,
            discontinuity_sequence: START.discontinuity_sequence,
            discontinuity: false,
            init: 1,
            time: 0,
        }
    }

    pub fn start(&self, writer: &mut Writer) {
        writer.add_init(init(VIDEO, 1, video_config(31))).unwrap();
        writer.add_init(init(AUDIO, 1, audio_config())).unwrap();
        writer.settled();
    }

    fn chunk(&self, track: TrackId, part: u32) -> ChunkInput {
        let kind = if track == VIDEO {
            TrackKind::Video
        } else {
            TrackKind::Audio
        };
        let mut chunk = chunk(kind, self.media_sequence, part, self.time, self.payload);
        let end = self.end_input(track, part);
        chunk.start = SegmentStart {
            init: end.init,
            discontinuity: end.discontinuity,
            discontinuity_sequence: end.discontinuity_sequence,
            program_date_time: end.program_date_time,
        };
        chunk
    }

    /// Sends one chunk of each track.
    pub fn part(&mut self, writer: &mut Writer, part: u32) {
        for track in [VIDEO, AUDIO] {
            writer.append_chunk(self.chunk(track, part)).unwrap();
        }
        self.time += 1;
    }

    pub fn end_input(&self, track: TrackId, parts: u32) -> SegmentInput {
        let half = if track == VIDEO { 45_000 } else { 24_000 };
        let first = self.time - u64::from(parts);
        SegmentInput {
            track,
            media_sequence: self.media_sequence,
            init: if track == VIDEO { self.init } else { 1 },
            decode_time: first * half,
            duration: parts * half as u32,
            independent: true,
            discontinuity: self.discontinuity,
            discontinuity_sequence: self.discontinuity_sequence,
            program_date_time: Utc(EPOCH_US + first as i64 * 500_000),
            target_duration: 4,
        }
    }

    pub fn end(&mut self, writer: &mut Writer, parts: u32) {
        for track in [VIDEO, AUDIO] {
            writer.end_segment(&self.end_input(track, parts)).unwrap();
        }
        self.media_sequence += 1;
        self.discontinuity = false;
    }

    /// Sends a whole segment of both tracks.
    pub fn segment(&mut self, writer: &mut Writer) {
        for part in 0..self.parts {
            self.part(writer, part);
        }
        self.end(writer, self.parts);
    }
}

/// A chunk of half a second. Video: a key frame first in the segment, 10 frames a second.
pub fn chunk(
    kind: TrackKind,
    media_sequence: u64,
    part: u32,
    time: u64,
    payload: usize,
) -> ChunkInput {
    let track = TrackId::source(kind);
    let (count, duration, half) = match kind {
        TrackKind::Video => (5, 9000, 45_000),
        TrackKind::Audio => (25, 960, 24_000),
    };
    let mut samples = Vec::new();
    let mut bytes = Vec::new();
    for i in 0..count {
        let key = kind == TrackKind::Audio || (part == 0 && i == 0);
        let unit = unit(kind, key, media_sequence, part, i, payload);
        let flags = match kind {
            TrackKind::Video => inspect(&unit, 4).unwrap().sample_flags(key),
            TrackKind::Audio => SampleFlags::KEY,
        };
        samples.push(Sample {
            size: unit.len() as u32,
            duration,
            composition_offset: 0,
            flags,
        });
        bytes.push(Bytes::from(unit));
    }
    let mut head = BytesMut::new();
    let decode_time = time * half;
    weir_mp4::fragment_head(&mut head, track, time as u32 + 1, decode_time, &samples);
    ChunkInput {
        track,
        media_sequence,
        start: SegmentStart {
            init: 1,
            discontinuity: false,
            discontinuity_sequence: 0,
            program_date_time: Utc(EPOCH_US + time as i64 * 500_000),
        },
        part,
        head: head.freeze(),
        payload: bytes,
        decode_time,
        duration: samples.iter().map(|s| s.duration).sum(),
        samples,
        independent: kind == TrackKind::Audio || part == 0,
    }
}

fn unit(kind: TrackKind, key: bool, sequence: u64, part: u32, i: u32, payload: usize) -> Vec<u8> {
    let mut body = vec![(sequence as u8) ^ (part as u8) << 4 ^ i as u8 | 1; payload.max(8)];
    if kind == TrackKind::Audio {
        body.truncate(payload.max(8) / 4 + 1);
        return body;
    }
    body[0] = if key { 0x65 } else { 0x41 };
    let delimiter = [0, 0, 0, 2, 9, 0xf0];
    let mut unit = if key { delimiter.to_vec() } else { Vec::new() };
    unit.extend_from_slice(&(body.len() as u32).to_be_bytes());
    unit.extend_from_slice(&body);
    unit
}

/// The bytes that a whole segment of the publisher has.
pub fn expected(
    kind: TrackKind,
    media_sequence: u64,
    parts: u32,
    first: u64,
    payload: usize,
) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in 0..parts {
        let chunk = chunk(kind, media_sequence, part, first + u64::from(part), payload);
        bytes.extend_from_slice(&chunk.head);
        for unit in &chunk.payload {
            bytes.extend_from_slice(unit);
        }
    }
    bytes
}

/// The bytes of a body, wherever they are.
pub fn read(body: &Body) -> Vec<u8> {
    let range = |file: &std::sync::Arc<weir_store::LogFile>, offset, len: u64| {
        let mut bytes = vec![0; len as usize];
        let file = file.data().unwrap();
        std::os::unix::fs::FileExt::read_exact_at(file.as_std(), &mut bytes, offset).unwrap();
        bytes
    };
    match body {
        Body::File { file, offset, len } => range(file, *offset, *len),
        Body::Memory(parts) => parts.concat(),
        Body::Mixed(pieces) => pieces
            .iter()
            .flat_map(|piece| match piece {
                Piece::File { file, offset, len } => range(file, *offset, *len),
                Piece::Memory(bytes) => bytes.to_vec(),
            })
            .collect(),
    }
}

/// Waits until `done` holds of the broadcast's newest view.
pub async fn wait_for(broadcast: &weir_store::Broadcast, done: impl Fn(&View) -> bool) {
    while !done(&broadcast.view()) {
        weir_ring::sleep(Duration::from_millis(1)).await;
    }
}

/// Numbers of all recorded segments of a track.
pub fn sequences(track: &TrackView) -> Vec<u64> {
    track.all().map(|s| s.media_sequence).collect()
}

/// Directory of a track of the only broadcast of a stream.
pub fn track_dir(data: &Path, stream: &str, track: &str) -> PathBuf {
    let stream = data.join("streams").join(stream);
    let broadcast = std::fs::read_dir(stream).unwrap().next().unwrap().unwrap();
    broadcast.path().join(track)
}

/// Copies a directory tree, as a crash would leave it.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).unwrap();
        }
    }
}
