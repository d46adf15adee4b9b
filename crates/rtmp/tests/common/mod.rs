//! What the tests share: draining machines, parameter sets, and a seeded generator.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use bytes::Bytes;
use weir_media::aac::AacConfig;
use weir_media::avc::AvcConfig;
use weir_media::{CodecConfig, Mono};
use weir_rtmp::session::Output;
use weir_rtmp::session::client::{self, ClientConfig, ClientSession, Mode};
use weir_rtmp::session::server::{self, ServerConfig, ServerSession};

/// High profile 1280x720 by x264.
pub const SPS: &[u8] = &[
    0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00,
    0x10, 0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x83, 0x19, 0x60,
];
pub const PPS: &[u8] = &[0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0];

pub fn avc() -> AvcConfig {
    AvcConfig::from_parameter_sets(&[SPS], &[PPS]).unwrap()
}

/// AAC-LC, 48 kHz, stereo.
pub fn aac() -> AacConfig {
    AacConfig::parse(Bytes::from_static(&[0x11, 0x90])).unwrap()
}

pub fn h264_config() -> CodecConfig {
    CodecConfig::H264(avc())
}

pub fn aac_config() -> CodecConfig {
    CodecConfig::Aac(aac())
}

/// NAL units behind four-byte lengths.
pub fn nals(units: &[&[u8]]) -> Bytes {
    let mut out = Vec::new();
    for unit in units {
        out.extend((unit.len() as u32).to_be_bytes());
        out.extend(*unit);
    }
    out.into()
}

pub fn server() -> ServerSession {
    ServerSession::new(ServerConfig::new(Box::new([2; 1528])), Mono(0))
}

pub fn client(mode: Mode, chunk_size: u32) -> ClientSession {
    let config = ClientConfig {
        random: Box::new([1; 1528]),
        app: "live".into(),
        tc_url: "rtmp://host/live".into(),
        key: "key?t=1".into(),
        mode,
        chunk_size,
    };
    ClientSession::new(config, Mono(0))
}

/// What a full drain gave.
#[derive(Debug)]
pub struct Drained<E> {
    pub bytes: Vec<u8>,
    pub events: Vec<E>,
    pub closed: bool,
    pub timeout: Option<Mono>,
}

impl<E> Drained<E> {
    fn nothing() -> Self {
        Self {
            bytes: Vec::new(),
            events: Vec::new(),
            closed: false,
            timeout: None,
        }
    }
}

/// Drains a server which lets everyone publish and nobody play.
pub fn drain_server(s: &mut ServerSession) -> Drained<server::Event> {
    let mut all = Drained::nothing();
    loop {
        match s.poll_output() {
            Output::Transmit(b) => all.bytes.extend(b),
            Output::Close => all.closed = true,
            Output::Timeout(at) => {
                all.timeout = at;
                return all;
            }
            Output::Event(e) => {
                match &e {
                    server::Event::Publish { stream_id, .. } => s.accept_publish(*stream_id),
                    server::Event::Play { stream_id, .. } => {
                        s.refuse_play(*stream_id, server::Refusal::BadName);
                    }
                    _ => {}
                }
                all.events.push(e);
            }
        }
    }
}

pub fn drain_client(c: &mut ClientSession) -> Drained<client::Event> {
    let mut all = Drained::nothing();
    loop {
        match c.poll_output() {
            Output::Transmit(b) => all.bytes.extend(b),
            Output::Event(e) => all.events.push(e),
            Output::Close => all.closed = true,
            Output::Timeout(at) => {
                all.timeout = at;
                return all;
            }
        }
    }
}

/// A small generator of numbers that look random (xorshift64).
pub struct Seeded(pub u64);

impl Seeded {
    pub fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n as u64) as usize
    }

    /// `bytes` in random pieces, small ones more often.
    pub fn pieces<'a>(&mut self, mut bytes: &'a [u8]) -> Vec<&'a [u8]> {
        let mut out = Vec::new();
        while !bytes.is_empty() {
            let most = [3, 40, 1500, 70_000][self.below(4)];
            let n = (1 + self.below(most)).min(bytes.len());
            let (now, later) = bytes.split_at(n);
            out.push(now);
            bytes = later;
        }
        out
    }
}

/// C0, C1, C2.
pub fn handshake_bytes() -> Vec<u8> {
    let mut out = vec![3];
    out.extend([0; 8]);
    out.extend([7; 1528]);
    out.extend([9; 1536]);
    out
}

/// Messages as a client writes them.
pub struct Wire {
    pub out: weir_rtmp::gather::Gather,
    pub writer: weir_rtmp::chunk::Writer,
}

impl Wire {
    pub fn new() -> Self {
        Self {
            out: weir_rtmp::gather::Gather::new(),
            writer: weir_rtmp::chunk::Writer::new(),
        }
    }

    pub fn message(&mut self, csid: u32, type_id: u8, stream_id: u32, timestamp: u32, body: &[u8]) {
        let header = weir_rtmp::chunk::Header {
            csid,
            timestamp,
            type_id: weir_rtmp::message::TypeId(type_id),
            stream_id,
        };
        self.writer
            .write(header, body, &Bytes::new(), &mut self.out);
    }

    pub fn command(&mut self, stream_id: u32, command: &weir_rtmp::message::Command) {
        self.message(3, 20, stream_id, 0, &command.encode());
    }

    pub fn take(&mut self) -> Vec<u8> {
        std::iter::from_fn(|| self.out.pop()).flatten().collect()
    }
}

/// The messages in `bytes`, which start after a handshake.
pub fn messages(mut bytes: &[u8]) -> Vec<weir_rtmp::message::Message> {
    let mut reader = weir_rtmp::chunk::Reader::new();
    let mut out = Vec::new();
    while let Some(message) = reader.next_message(&mut bytes).unwrap() {
        out.push(message);
    }
    out
}

/// A server that has a publisher, whose media may follow; with the publisher's writer.
pub fn publishing() -> (ServerSession, Wire) {
    use weir_rtmp::amf::Value;
    use weir_rtmp::message::Command;
    let mut s = server();
    let mut wire = Wire::new();
    let app = Value::Object(vec![("app".into(), "live".into())]);
    wire.command(0, &Command::new("connect", 1.0, app, vec![]));
    wire.command(0, &Command::new("createStream", 2.0, Value::Null, vec![]));
    let publish = vec!["key".into(), "live".into()];
    wire.command(1, &Command::new("publish", 3.0, Value::Null, publish));
    s.handle_input(&handshake_bytes(), Mono(0)).unwrap();
    s.handle_input(&wire.take(), Mono(0)).unwrap();
    let events = drain_server(&mut s).events;
    assert!(matches!(
        events[1],
        server::Event::Publish { stream_id: 1, .. }
    ));
    (s, wire)
}
