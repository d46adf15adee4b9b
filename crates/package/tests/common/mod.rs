//! Streams made by our own writers, and a server for them.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test uses a part; a panic is how a test fails"
)]

use bytes::{Bytes, BytesMut};
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use weir_media::aac::AacConfig;
use weir_media::avc::AvcConfig;
use weir_media::{CodecConfig, Frame, Mono, Sample, SampleFlags, TrackId, TrackKind};
use weir_rtmp::flv::{file_header, previous_tag_size, tag_header};
use weir_rtmp::mux::{self, Body};

/// `avcC` of x264, High profile, 640x360.
const AVCC: &[u8] = &[
    0x01, 0x64, 0x00, 0x1e, 0xff, 0xe1, 0x00, 0x1a, 0x67, 0x64, 0x00, 0x1e, 0xac, 0xd9, 0x40, 0xa0,
    0x2f, 0xf9, 0x71, 0x01, 0x00, 0x00, 0x03, 0x00, 0x01, 0x00, 0x00, 0x03, 0x00, 0x3c, 0x0f, 0x16,
    0x2d, 0x96, 0x01, 0x00, 0x06, 0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0, 0xfd, 0xf8, 0xf8, 0x00,
];

/// Ticks of a video frame at 25 per second.
pub const FRAME_TICKS: u32 = 3600;

pub fn video_config() -> CodecConfig {
    CodecConfig::H264(AvcConfig::parse(Bytes::from_static(AVCC)).unwrap())
}

/// AAC LC, 48 kHz, stereo.
pub fn audio_config() -> CodecConfig {
    CodecConfig::Aac(AacConfig::parse(Bytes::from_static(&[0x11, 0x90])).unwrap())
}

/// An access unit of one slice.
pub fn picture(key: bool) -> Bytes {
    let header = if key { 0x65 } else { 0x41 };
    Bytes::from(vec![0, 0, 0, 5, header, 1, 2, 3, 4])
}

pub fn video_frame(ms: i64, key: bool) -> Frame {
    Frame {
        track: TrackId::SOURCE_VIDEO,
        kind: TrackKind::Video,
        dts: ms * 90,
        pts: ms * 90 + 3600,
        key,
        received_at: Mono(0),
        payload: picture(key),
    }
}

fn audio_frame(number: i64) -> Frame {
    Frame {
        track: TrackId::SOURCE_AUDIO,
        kind: TrackKind::Audio,
        dts: number * 1024,
        pts: number * 1024,
        key: true,
        received_at: Mono(0),
        payload: Bytes::from_static(&[0x21, 0x10, 4]),
    }
}

pub fn put_tag(out: &mut Vec<u8>, body: &Body) {
    let size = u32::try_from(body.len()).unwrap();
    out.extend(tag_header(body.kind, body.timestamp, size));
    out.extend(body.head());
    out.extend(&body.data[..]);
    out.extend(previous_tag_size(size));
}

/// An FLV file of these frames.
pub fn flv(frames: &[Frame]) -> Vec<u8> {
    let mut out = file_header(true, true).to_vec();
    for config in [video_config(), audio_config()] {
        let track = TrackId::source(config.kind());
        put_tag(&mut out, &mux::sequence_header(track, &config, 0).unwrap());
    }
    for frame in frames {
        let config = match frame.kind {
            TrackKind::Video => video_config(),
            TrackKind::Audio => audio_config(),
        };
        put_tag(&mut out, &mux::frame(frame, &config));
    }
    out
}

/// Two seconds at 25 pictures a second with a keyframe each second, and sound.
pub fn good_frames() -> Vec<Frame> {
    let video = (0..50).map(|n| video_frame(n * 40, n % 25 == 0));
    video.chain((0..94).map(audio_frame)).collect()
}

pub fn init(config: &CodecConfig) -> Bytes {
    weir_mp4::init_segment(TrackId::source(config.kind()), config)
}

/// One fragment of pictures, the first a keyframe, from `decode_time` on.
pub fn segment(decode_time: u64, frames: usize, first_key: bool) -> Vec<u8> {
    let keys: Vec<_> = (0..frames).map(|n| n == 0 && first_key).collect();
    let samples: Vec<_> = keys
        .iter()
        .map(|key| Sample {
            size: 9,
            duration: FRAME_TICKS,
            composition_offset: 3600,
            flags: if *key {
                SampleFlags::KEY
            } else {
                SampleFlags::default()
            },
        })
        .collect();
    let mut out = BytesMut::new();
    weir_mp4::fragment_head(&mut out, TrackId::SOURCE_VIDEO, 1, decode_time, &samples);
    keys.iter().for_each(|key| out.extend(&picture(*key)[..]));
    out.to_vec()
}

/// A fragmented MP4 file of two seconds.
pub fn mp4() -> Vec<u8> {
    let init = init(&video_config());
    let second = 25 * u64::from(FRAME_TICKS);
    [&init[..], &segment(0, 25, true), &segment(second, 25, true)].concat()
}

/// xorshift64 (Marsaglia 2003): the same seed gives the same damage.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % n as u64).unwrap()
    }
}

/// Flips, overwrites, removes and cuts.
pub fn damage(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        match random.below(6) {
            0 | 1 => bytes[at] ^= 1 << random.below(8),
            2 => bytes[at] = u8::try_from(random.below(256)).unwrap(),
            3 => {
                let extreme = [0, 1, 8, 0x7fff_ffff, u32::MAX][random.below(5)];
                let end = bytes.len().min(at + 4);
                bytes[at..end].copy_from_slice(&extreme.to_be_bytes()[..end - at]);
            }
            4 => drop(bytes.drain(at..bytes.len().min(at + 3))),
            _ => bytes.truncate(at.max(16)),
        }
    }
}

/// Serves whole answers by path, until dropped.
pub struct Server {
    pub address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub fn start(answers: HashMap<String, Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::Acquire) {
                    break;
                }
                // A client that closes early is part of the tests.
                let _ = answer(stream.unwrap(), &answers);
            }
        });
        Self {
            address,
            stop,
            thread: Some(thread),
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn answer(mut stream: TcpStream, answers: &HashMap<String, Vec<u8>>) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte)? == 0 {
            return Ok(());
        }
        request.push(byte[0]);
    }
    let request = String::from_utf8(request).unwrap();
    let path = request.split(' ').nth(1).unwrap();
    let found = answers.get(path);
    let not_found = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
    stream.write_all(found.map_or(&not_found[..], |a| a))
}

/// A 200 with this body.
pub fn ok(body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}
