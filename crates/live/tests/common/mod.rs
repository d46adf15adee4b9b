#![allow(dead_code, reason = "each test uses its part")]
#![allow(clippy::unwrap_used, reason = "only tests and benches come here")]
//! A worker's live part on a loopback listener, and RTMP publishers on plain sockets.

use bytes::Bytes;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use weir_auth::Policy;
use weir_auth::hook::Hooks;
use weir_live::{Handoff, Live, Shared, clock};
use weir_media::aac::AacConfig;
use weir_media::avc::AvcConfig;
use weir_media::time::rescale;
use weir_media::{CodecConfig, Frame, Mono, TrackId, TrackKind};
use weir_net::ConnectionLimits;
use weir_ring::{Receiver, net::TcpListener};
use weir_rtmp::session::Output;
use weir_rtmp::session::client::{ClientConfig, ClientSession, Event, Mode};
use weir_store::{Library, LibraryConfig};

/// Parameter sets that x264 made for 1280x720, High profile, level 3.1.
const SPS: &[u8] = &[
    0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00,
    0x10, 0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x83, 0x19, 0x60,
];
const PPS: &[u8] = &[0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0];

const FRAME_RATE: u64 = 30;

/// A keyframe each two seconds.
const GOP: u64 = 60;

/// A directory in memory where there is one: the disk is not what is looked at.
pub fn temp_dir() -> tempfile::TempDir {
    match tempfile::tempdir_in("/dev/shm") {
        Ok(dir) => dir,
        Err(_) => tempfile::tempdir().unwrap(),
    }
}

/// What `workers` workers share, with no grace time.
pub fn shared(
    data: &Path,
    policy: Policy,
    workers: usize,
) -> (Arc<Shared>, Vec<Receiver<Handoff>>) {
    shared_with(data, policy, Hooks::none(), Duration::ZERO, workers)
}

/// What `workers` workers share.
pub fn shared_with(
    data: &Path,
    policy: Policy,
    hooks: Arc<Hooks>,
    grace: Duration,
    workers: usize,
) -> (Arc<Shared>, Vec<Receiver<Handoff>>) {
    let library = Library::open(LibraryConfig::new(data), clock::now()).unwrap();
    let hub = weir_hub::StreamConfig::default();
    let fanout = weir_hub::fanout::FanoutConfig::default();
    Shared::new(library, policy, hooks, hub, fanout, grace, workers)
}

/// Runs what blocks on a thread of its own, and the ring meanwhile.
pub async fn beside<T: Send + 'static>(blocks: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, mut is_done) = weir_ring::channel::<()>(1);
    let thread = std::thread::spawn(move || {
        let _done = done;
        blocks()
    });
    is_done.recv().await;
    thread.join().unwrap()
}

/// Serves RTMP on a free port until the runtime ends. Called on a ring.
pub fn listen(live: Live) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut listener = TcpListener::from_std(listener).unwrap();
    let limits = ConnectionLimits::new(1000, 1000);
    weir_ring::spawn(async move {
        while let Ok((stream, peer)) = listener.accept().await {
            live.serve_rtmp(stream, peer, limits.admit(peer.ip()).unwrap(), None);
        }
    });
    address
}

/// A publisher that was accepted.
pub struct Publisher {
    socket: TcpStream,
    session: ClientSession,
    pictures: u64,
    sounds: u64,
    key: Bytes,
    delta: Bytes,
    sound: Bytes,
}

impl Publisher {
    /// Publishes, or tells why not: the code of the refusal, or that nobody listened.
    pub fn connect(server: SocketAddr, key: &str) -> Result<Self, String> {
        let config = ClientConfig {
            random: Box::new([0x5a; 1528]),
            app: "live".into(),
            tc_url: format!("rtmp://{server}/live"),
            key: key.into(),
            mode: Mode::Publish,
            chunk_size: 65_536,
        };
        let socket = TcpStream::connect(server).unwrap();
        socket.set_nodelay(true).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let mut publisher = Self {
            socket,
            session: ClientSession::new(config, Mono(0)),
            pictures: 0,
            sounds: 0,
            // 5 Mbit/s, of which a keyframe has as much as eight others.
            key: picture(0x65, 149_000),
            delta: picture(0x41, 18_600),
            sound: Bytes::from(vec![0x21; 340]),
        };
        let mut bytes = [0; 4096];
        loop {
            publisher.send()?;
            if publisher.session.is_publishing() {
                return Ok(publisher);
            }
            match publisher.socket.read(&mut bytes) {
                Ok(0) => return Err("closed".into()),
                Ok(n) => publisher
                    .session
                    .handle_input(&bytes[..n], Mono(0))
                    .map_err(|e| e.to_string())?,
                Err(e) => return Err(e.kind().to_string()),
            }
        }
    }

    /// Sends the codecs' configurations.
    pub fn configure(&mut self) {
        let video = AvcConfig::from_parameter_sets(&[SPS], &[PPS]).unwrap();
        let audio = AacConfig::parse(Bytes::from_static(&[0x11, 0x90])).unwrap();
        for config in [CodecConfig::H264(video), CodecConfig::Aac(audio)] {
            let track = TrackId::source(config.kind());
            self.session.send_config(track, &config, 0);
        }
        self.send().unwrap();
    }

    /// Sends the next `count` frames, pictures and sounds by their time, without waiting for
    /// that time.
    pub fn frames(&mut self, count: u64) {
        for _ in 0..count {
            let is_picture = self.pictures * 48_000 <= self.sounds * 1024 * FRAME_RATE;
            let frame = if is_picture {
                let is_key = self.pictures.is_multiple_of(GOP);
                let payload = if is_key { &self.key } else { &self.delta };
                let ms = (self.pictures * 1000 / FRAME_RATE) as i64;
                frame(TrackKind::Video, rescale(ms, 1000, 90_000), is_key, payload)
            } else {
                let dts = (self.sounds * 1024) as i64;
                frame(TrackKind::Audio, dts, true, &self.sound)
            };
            if is_picture {
                self.pictures += 1;
            } else {
                self.sounds += 1;
            }
            self.session.send_frame(&frame);
            self.send().unwrap();
        }
    }

    /// Sends whatever bytes.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).unwrap();
    }

    fn send(&mut self) -> Result<(), String> {
        loop {
            match self.session.poll_output() {
                Output::Transmit(bytes) => self.socket.write_all(&bytes).map_err(|e| {
                    let kind = e.kind();
                    kind.to_string()
                })?,
                Output::Event(Event::Refused { code, .. }) => return Err(code),
                Output::Event(_) => {}
                Output::Close => return Err("over".into()),
                Output::Timeout(_) => return Ok(()),
            }
        }
    }
}

fn picture(slice: u8, bytes: usize) -> Bytes {
    let mut payload = vec![0x55; bytes];
    payload[..4].copy_from_slice(&(bytes as u32 - 4).to_be_bytes());
    payload[4] = slice;
    payload.into()
}

fn frame(kind: TrackKind, dts: i64, key: bool, payload: &Bytes) -> Frame {
    Frame {
        track: TrackId::source(kind),
        kind,
        dts,
        pts: dts,
        key,
        received_at: Mono(0),
        payload: payload.clone(),
    }
}
