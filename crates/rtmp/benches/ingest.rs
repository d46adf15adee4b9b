//! Throughput of one publisher's bytes: chunk reader alone, and the whole session down to
//! frames; and of the writer. The stream is ten seconds of 5 Mbit/s at 30 pictures per
//! second with a keyframe every two, and 160 kbit/s of AAC.

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use weir_media::aac::AacConfig;
use weir_media::avc::AvcConfig;
use weir_media::{CodecConfig, Frame, Mono, TrackId, TrackKind};
use weir_rtmp::chunk::Reader;
use weir_rtmp::session::Output;
use weir_rtmp::session::client::{ClientConfig, ClientSession, Mode};
use weir_rtmp::session::server::{Event, ServerConfig, ServerSession};

const SPS: &[u8] = &[
    0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00,
    0x10, 0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x83, 0x19, 0x60,
];
const PPS: &[u8] = &[0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0];

/// What one receive gives at this rate over loopback or a fast network.
const RECEIVE_BYTES: usize = 16 * 1024;

fn frame(kind: TrackKind, ticks: i64, key: bool, size: usize) -> Frame {
    let mut payload = vec![0xa5; size];
    if kind == TrackKind::Video {
        payload[..4].copy_from_slice(&(size as u32 - 4).to_be_bytes());
        payload[4] = if key { 0x65 } else { 0x41 };
    }
    Frame {
        track: TrackId::source(kind),
        kind,
        dts: ticks,
        pts: ticks,
        key,
        received_at: Mono(0),
        payload: payload.into(),
    }
}

fn frames() -> Vec<Frame> {
    let mut out = Vec::new();
    let mut audio = 0;
    for i in 0..300i64 {
        let key = i % 60 == 0;
        let size = if key { 120_000 } else { 19_000 };
        out.push(frame(TrackKind::Video, i * 3000, key, size));
        while audio * 1024 < i * 1600 {
            out.push(frame(TrackKind::Audio, audio * 1024, true, 427));
            audio += 1;
        }
    }
    out
}

fn configs() -> [CodecConfig; 2] {
    let avc = AvcConfig::from_parameter_sets(&[SPS], &[PPS]).expect("valid");
    let aac = AacConfig::parse(Bytes::from_static(&[0x11, 0x90])).expect("valid");
    [CodecConfig::H264(avc), CodecConfig::Aac(aac)]
}

fn drain_client(c: &mut ClientSession, into: &mut Vec<u8>) {
    loop {
        match c.poll_output() {
            Output::Transmit(bytes) => into.extend_from_slice(&bytes),
            Output::Timeout(_) => return,
            _ => {}
        }
    }
}

/// Drains a server; returns the frames' bytes.
fn drain_server(s: &mut ServerSession, mut down: Option<&mut Vec<u8>>) -> usize {
    let mut media = 0;
    loop {
        match s.poll_output() {
            Output::Transmit(bytes) => {
                if let Some(down) = &mut down {
                    down.extend_from_slice(&bytes);
                }
            }
            Output::Event(Event::Publish { stream_id, .. }) => s.accept_publish(stream_id),
            Output::Event(Event::Frame(frame)) => media += frame.payload.len(),
            Output::Timeout(_) => return media,
            _ => {}
        }
    }
}

fn new_server() -> ServerSession {
    ServerSession::new(ServerConfig::new(Box::new([0; 1528])), Mono(0))
}

/// A client that may publish, and all it sent until then.
fn publishing_client(chunk_size: u32) -> (ClientSession, Vec<u8>) {
    let config = ClientConfig {
        random: Box::new([0; 1528]),
        app: "live".into(),
        tc_url: "rtmp://host/live".into(),
        key: "key".into(),
        mode: Mode::Publish,
        chunk_size,
    };
    let mut c = ClientSession::new(config, Mono(0));
    let mut s = new_server();
    let mut sent = Vec::new();
    while !c.is_publishing() {
        let (mut up, mut down) = (Vec::new(), Vec::new());
        drain_client(&mut c, &mut up);
        s.handle_input(&up, Mono(0)).expect("well-behaved");
        drain_server(&mut s, Some(&mut down));
        c.handle_input(&down, Mono(0)).expect("well-behaved");
        sent.extend(up);
    }
    (c, sent)
}

fn send(c: &mut ClientSession, frames: &[Frame]) {
    for config in configs() {
        c.send_config(TrackId::source(config.kind()), &config, 0);
    }
    for frame in frames {
        c.send_frame(frame);
    }
}

fn benches(criterion: &mut Criterion) {
    let frames = frames();
    for chunk_size in [4096, 128] {
        let (mut c, opening) = publishing_client(chunk_size);
        send(&mut c, &frames);
        let mut stream = Vec::new();
        drain_client(&mut c, &mut stream);
        let mut group = criterion.benchmark_group(format!("chunks of {chunk_size}"));
        group.throughput(Throughput::Bytes(stream.len() as u64));
        group.sample_size(30);
        group.bench_function("reader", |b| {
            b.iter(|| {
                let mut reader = Reader::new();
                let set_chunk_size = [
                    &[2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0][..],
                    &chunk_size.to_be_bytes(),
                ];
                let mut first = &set_chunk_size.concat()[..];
                assert!(reader.next_message(&mut first).expect("valid").is_none());
                for mut part in stream.chunks(RECEIVE_BYTES) {
                    while let Some(message) = reader.next_message(&mut part).expect("valid") {
                        black_box(message);
                    }
                }
            });
        });
        group.bench_function("session", |b| {
            let opened = || {
                let mut s = new_server();
                s.handle_input(&opening, Mono(0)).expect("valid");
                drain_server(&mut s, None);
                s
            };
            b.iter_batched_ref(
                opened,
                |s| {
                    for part in stream.chunks(RECEIVE_BYTES) {
                        s.handle_input(part, Mono(1)).expect("valid");
                        black_box(drain_server(s, None));
                    }
                },
                BatchSize::PerIteration,
            );
        });
        group.bench_function("writer", |b| {
            b.iter(|| {
                send(&mut c, &frames);
                while let Output::Transmit(bytes) = c.poll_output() {
                    black_box(bytes);
                }
            });
        });
        group.finish();
    }
}

criterion_group!(ingest, benches);
criterion_main!(ingest);
