//! What a request costs a worker: clients on loopback keep connections and ask for a playlist of
//! about 1 KB, which leaves from memory, or a segment of 16 KB, which leaves from the log. Figures
//! are processor time of the worker's thread, kernel work for its sockets included.
#![allow(missing_docs, clippy::unwrap_used)]

use bytes::{Bytes, BytesMut};
use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;
use weir_media::avc::{AvcConfig, inspect};
use weir_media::{CodecConfig, Mono, Now, Sample, StreamName, TrackId, Utc};
use weir_net::ConnectionLimits;
use weir_ring::{Config, Runtime, net::TcpListener};
use weir_serve::{Counters, Options, Server};
use weir_store::{
    ChunkInput, InitInput, Library, LibraryConfig, SegmentInput, SegmentStart, Start, Writer,
};

/// Connections that ask at the same time.
const CONNECTIONS: u64 = 32;

/// Requests of an iteration: a sample's connections are made before it is measured, and must not
/// be all that is done.
const REQUESTS: u64 = 20 * CONNECTIONS;

/// Parameter sets that x264 made for 1280x720, High profile, level 3.1.
const SPS: &[u8] = &[
    0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00,
    0x10, 0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x83, 0x19, 0x60,
];
const PPS: &[u8] = &[0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0];

const VIDEO: TrackId = TrackId::SOURCE_VIDEO;
const FIRST: u64 = 1000;

/// Segments of the broadcast: as many as a playlist of a minute holds.
const SEGMENTS: u64 = 15;

/// Bytes of a segment's only picture.
const PICTURE_BYTES: usize = 16_000;

/// Ticks of a segment of 4 s.
const DURATION: u32 = 360_000;

/// Processor time that this thread has used.
fn spent() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let nanos = text.split(' ').next().and_then(|n| n.parse().ok());
    Duration::from_nanos(nanos.unwrap())
}

fn segment(writer: &mut Writer, index: u64) {
    let mut unit = vec![0x65; PICTURE_BYTES];
    unit[..4].copy_from_slice(&(PICTURE_BYTES as u32 - 4).to_be_bytes());
    let sample = Sample {
        size: PICTURE_BYTES as u32,
        duration: DURATION,
        composition_offset: 0,
        flags: inspect(&unit, 4).unwrap().sample_flags(true),
    };
    let decode_time = index * u64::from(DURATION);
    let mut head = BytesMut::new();
    weir_mp4::fragment_head(&mut head, VIDEO, index as u32 + 1, decode_time, &[sample]);
    let chunk = ChunkInput {
        track: VIDEO,
        media_sequence: FIRST + index,
        start: SegmentStart {
            init: 1,
            discontinuity: false,
            discontinuity_sequence: 0,
            program_date_time: Utc(1_763_000_000_000_000 + index as i64 * 4_000_000),
        },
        part: 0,
        head: head.freeze(),
        payload: vec![Bytes::from(unit)],
        decode_time,
        duration: DURATION,
        samples: vec![sample],
        independent: true,
    };
    writer.append_chunk(chunk).unwrap();
    let end = SegmentInput {
        track: VIDEO,
        media_sequence: FIRST + index,
        init: 1,
        decode_time,
        duration: DURATION,
        independent: true,
        discontinuity: false,
        discontinuity_sequence: 0,
        program_date_time: Utc(1_763_000_000_000_000 + index as i64 * 4_000_000),
        target_duration: 4,
    };
    writer.end_segment(&end).unwrap();
}

/// Records a broadcast that goes on, and waits until its segments are listed.
async fn record(library: &Arc<Library>) -> Writer {
    let start = Start {
        media_sequence: FIRST,
        discontinuity_sequence: 0,
    };
    let now = Now {
        mono: Mono(0),
        utc: Utc(1_763_000_000_000_000),
    };
    let name = StreamName::parse("bench").unwrap();
    let mut writer = library.begin(&name, start, now).unwrap();
    let config = AvcConfig::from_parameter_sets(&[SPS], &[PPS]).unwrap();
    let config = CodecConfig::H264(config);
    let init = InitInput {
        track: VIDEO,
        kind: config.kind(),
        number: 1,
        data: weir_mp4::init_segment(VIDEO, &config),
        config,
    };
    writer.add_init(init).unwrap();
    writer.settled();
    for index in 0..SEGMENTS {
        segment(&mut writer, index);
    }
    let last = |writer: &Writer| {
        let view = writer.broadcast().view();
        let track = view.track(VIDEO)?;
        Some(track.last()?.media_sequence)
    };
    while last(&writer) < Some(FIRST + SEGMENTS - 1) {
        weir_ring::sleep(Duration::from_millis(1)).await;
    }
    writer
}

/// Serves on a free port until the runtime ends.
fn listen(server: Server) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut listener = TcpListener::from_std(listener).unwrap();
    let limits = ConnectionLimits::new(1000, 1000);
    weir_ring::spawn(async move {
        while let Ok((stream, peer)) = listener.accept().await {
            server.serve(stream, peer, limits.admit(peer.ip()).unwrap(), None);
        }
    });
    address
}

/// Connections of one client, which asks on all of them and then reads all answers.
struct Client {
    connections: Vec<BufReader<TcpStream>>,
    request: String,
}

impl Client {
    fn connect(server: SocketAddr, path: &str) -> Self {
        let connect = |_| {
            let stream = TcpStream::connect(server).unwrap();
            stream.set_nodelay(true).unwrap();
            BufReader::with_capacity(64 << 10, stream)
        };
        Self {
            connections: (0..CONNECTIONS).map(connect).collect(),
            request: format!("GET {path} HTTP/1.1\r\nhost: bench\r\n\r\n"),
        }
    }

    /// One request on each connection.
    fn round(&mut self) {
        for connection in &mut self.connections {
            connection
                .get_mut()
                .write_all(self.request.as_bytes())
                .unwrap();
        }
        for connection in &mut self.connections {
            answer(connection);
        }
    }
}

/// Reads an answer; its body.
fn answer(connection: &mut BufReader<TcpStream>) -> Vec<u8> {
    let (mut line, mut length) = (String::new(), 0);
    connection.read_line(&mut line).unwrap();
    assert!(line.starts_with("HTTP/1.1 200 "), "{line}");
    while line != "\r\n" {
        line.clear();
        connection.read_line(&mut line).unwrap();
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body).unwrap();
    body
}

/// Answers `rounds` times [`REQUESTS`].
async fn answers(server: SocketAddr, path: &str, rounds: u64) -> Duration {
    let path = path.to_owned();
    let (ready, mut is_ready) = weir_ring::channel(1);
    let (go, gone) = std::sync::mpsc::channel();
    let client = std::thread::spawn(move || {
        let mut client = Client::connect(server, &path);
        client.round();
        ready.try_send(()).unwrap();
        gone.recv().unwrap();
        for _ in 0..rounds * REQUESTS / CONNECTIONS {
            client.round();
        }
        ready.try_send(()).unwrap();
    });
    is_ready.recv().await.unwrap();
    let before = spent();
    go.send(()).unwrap();
    is_ready.recv().await.unwrap();
    let spent = spent() - before;
    client.join().unwrap();
    spent
}

/// The paths of the media playlist and of a segment.
fn paths(writer: &Writer) -> [(&'static str, String); 2] {
    let broadcast = writer.broadcast();
    let (id, key, track) = (broadcast.id(), broadcast.key(), VIDEO.0);
    [
        ("playlist of 1 KB", format!("/bench/{id}/live/{track}.m3u8")),
        ("segment of 16 KB", format!("/s/{key}/{track}/{FIRST}.m4s")),
    ]
}

fn request(c: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let now = Now::default();
    let library = Library::open(LibraryConfig::new(dir.path()), now).unwrap();
    let mut runtime = Runtime::new(Config::default()).unwrap();
    let (writer, address) = runtime.block_on(async {
        let writer = record(&library).await;
        let options = Arc::new(Options::default());
        let server = Server::new(library.clone(), 0, Counters::new(1), options);
        (writer, listen(server))
    });
    let mut group = c.benchmark_group("request");
    group.sampling_mode(SamplingMode::Flat);
    group.sample_size(10);
    group.warm_up_time(Duration::from_millis(500));
    group.measurement_time(Duration::from_secs(2));
    group.throughput(Throughput::Elements(REQUESTS));
    for (name, path) in paths(&writer) {
        group.bench_function(name, |b| {
            b.iter_custom(|rounds| runtime.block_on(answers(address, &path, rounds)));
        });
    }
    group.finish();
}

criterion_group!(benches, request);
criterion_main!(benches);
