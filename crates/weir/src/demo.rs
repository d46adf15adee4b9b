//! `weir demo`: the server, and a publisher of its own that a newcomer can watch at once.

use crate::config::{Flags, Settings, Span};
use crate::logging;
use crate::server::Server;
use bytes::Bytes;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};
use tracing::{info, warn};
use weir_auth::key::Secret;
use weir_auth::policy::Input;
use weir_encode::demo::{DemoConfig, DemoSource};
use weir_media::aac::AacConfig;
use weir_media::avc::AvcConfig;
use weir_media::{CodecConfig, Frame, StreamName, TrackId, TrackKind};
use weir_rtmp::handshake::RANDOM_BYTES;
use weir_rtmp::session::Output;
use weir_rtmp::session::client::{ClientConfig, ClientSession, Event, Mode};

/// Name of the stream that the demo publishes.
const STREAM: &str = "clock";

/// Where a demo stores, unless it is told otherwise.
const DATA: &str = "weir-demo-data";

/// What a demo keeps, unless it is told otherwise.
const KEEP: Duration = Duration::from_secs(3600);

/// Pause before a publisher that failed tries again.
const RETRY: Duration = Duration::from_secs(1);

/// A frame leaves in one chunk, so that its payload need not be cut.
const CHUNK_SIZE: u32 = 1 << 20;

/// Longest wait for the server's answers.
const ANSWER_WAIT: Duration = Duration::from_secs(5);

/// Runs `weir demo`.
///
/// # Errors
/// As [`crate::server::run`].
pub fn run(flags: &Flags) -> Result<(), String> {
    let settings = Settings::load_over(flags, |file| {
        // A directory of its own: what `weir serve` recorded is not the demo's to delete.
        file.data.get_or_insert_with(|| DATA.into());
        file.keep.get_or_insert(Span(KEEP));
    })?;
    logging::start(&settings)?;
    let key = Secret::generate().map_err(|e| e.to_string())?;
    let name = StreamName::parse(STREAM).map_err(|e| e.to_string())?;
    let server = Server::start(
        &settings,
        vec![Input {
            name,
            key: key.hash(),
        }],
    )?;
    print!("{}", welcome(&server));
    if let Some(warning) = weir_encode::asm_state().warning() {
        warn!("{warning}");
    }
    match server
        .ready
        .rtmp
        .as_deref()
        .and_then(|a| a.parse::<SocketAddr>().ok())
    {
        Some(rtmp) => {
            std::thread::Builder::new()
                .name("demo".into())
                .spawn(move || publish_forever(to_loopback(rtmp), key.expose()))
                .map_err(|e| format!("cannot start the demo publisher: {e}"))?;
        }
        None => warn!("rtmp is off: the demo publishes nothing"),
    }
    server.run_until_signal()
}

/// What a newcomer needs to know.
fn welcome(server: &Server) -> String {
    let ready = &server.ready;
    let port = |addr: &Option<String>| {
        addr.as_deref()
            .and_then(|a| a.parse::<SocketAddr>().ok())
            .map(|a| a.port())
    };
    let mut text = String::from("\nweir demo is running.\n\n");
    let mut hosts = vec!["localhost".to_owned()];
    hosts.extend(lan_address().map(|ip| ip.to_string()));
    if let Some(http) = port(&ready.http) {
        for host in &hosts {
            text += &format!("  Watch           http://{host}:{http}/{STREAM}/watch\n");
        }
        let playlist = format!("http://localhost:{http}/{STREAM}/manifest/video.m3u8");
        text += &format!("  Any HLS player  {playlist}\n\n");
    }
    if let Some(rtmp) = port(&ready.rtmp) {
        let key = &server.demo_key;
        text += "  Your own encoder (OBS: Settings, Stream, Custom):\n";
        for host in &hosts {
            text += &format!("    Server        rtmp://{host}:{rtmp}/live\n");
        }
        text += &format!("    Stream key    {key}\n");
        text += &format!(
            "    With ffmpeg   ffmpeg -re -i FILE -c:v libx264 -g 60 -c:a aac -f flv \
             rtmp://localhost:{rtmp}/live/{key}\n"
        );
        if let Some(http) = port(&ready.http) {
            text += &format!("    then watch    http://localhost:{http}/demo/watch\n\n");
        }
    }
    text += &format!("  Data            {} (kept for an hour)\n", ready.data);
    text += "  Stop            Ctrl-C\n\n";
    text
}

/// The address of this machine in its network, if it has one. No packet is sent: a UDP
/// connect only asks the routing table.
fn lan_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    // 192.0.2.0/24 is for documentation (RFC 5737).
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_loopback() && !ip.is_unspecified()).then_some(ip)
}

fn to_loopback(mut addr: SocketAddr) -> SocketAddr {
    if addr.ip().is_unspecified() {
        addr.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    addr
}

fn publish_forever(rtmp: SocketAddr, key: &str) {
    loop {
        if let Err(why) = publish(rtmp, key) {
            info!("the demo publisher stopped, and tries again: {why}");
        }
        std::thread::sleep(RETRY);
    }
}

/// Publishes until the connection fails.
fn publish(rtmp: SocketAddr, key: &str) -> Result<(), String> {
    let failed = |e: weir_encode::Error| e.to_string();
    let config = DemoConfig::default();
    let mut source = DemoSource::new(config).map_err(failed)?;
    let avc = AvcConfig::parse(source.avc_config()).map_err(|e| e.to_string())?;
    let aac = AacConfig::parse(source.audio_specific_config()).map_err(|e| e.to_string())?;
    let mut publisher = Publisher::connect(rtmp, key)?;
    publisher.session.send_config(&CodecConfig::H264(avc), 0);
    publisher.session.send_config(&CodecConfig::Aac(aac), 0);
    let start = Instant::now();
    let (mut video, mut samples) = (0u64, 0u64);
    loop {
        let due = start + Duration::from_micros(video * 1_000_000 / u64::from(config.fps));
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let unit = source
            .next_video(weir_live::clock::now().utc.0)
            .map_err(failed)?;
        let dts = i64::try_from(video * 90_000 / u64::from(config.fps)).unwrap_or(i64::MAX);
        publisher.frame(TrackKind::Video, dts, unit.key, unit.payload);
        video += 1;
        // Sound that is due before the next picture.
        while samples * u64::from(config.fps) < video * 48_000 {
            let unit = source.next_audio().map_err(failed)?;
            let dts = i64::try_from(samples).unwrap_or(i64::MAX);
            publisher.frame(TrackKind::Audio, dts, true, unit.payload);
            samples += u64::from(unit.samples);
        }
        publisher.exchange()?;
    }
}

/// An RTMP client on a plain socket.
struct Publisher {
    socket: TcpStream,
    session: ClientSession,
}

impl Publisher {
    /// Connects and publishes.
    fn connect(rtmp: SocketAddr, key: &str) -> Result<Self, String> {
        let socket = TcpStream::connect(rtmp).map_err(|e| e.to_string())?;
        let _ = socket.set_nodelay(true);
        let mut random = Box::new([0; RANDOM_BYTES]);
        getrandom::fill(&mut random[..]).map_err(|e| e.to_string())?;
        let config = ClientConfig {
            random,
            app: "live".into(),
            tc_url: format!("rtmp://{rtmp}/live"),
            key: key.into(),
            mode: Mode::Publish,
            chunk_size: CHUNK_SIZE,
        };
        let session = ClientSession::new(config, weir_live::clock::now().mono);
        let mut publisher = Self { socket, session };
        let deadline = Instant::now() + ANSWER_WAIT;
        let mut bytes = [0; 4096];
        publisher
            .socket
            .set_read_timeout(Some(ANSWER_WAIT))
            .map_err(|e| e.to_string())?;
        while !publisher.answer()? {
            if Instant::now() > deadline {
                return Err("the server did not answer in time".into());
            }
            publisher.receive(&mut bytes)?;
        }
        publisher
            .socket
            .set_nonblocking(true)
            .map_err(|e| e.to_string())?;
        Ok(publisher)
    }

    fn frame(&mut self, kind: TrackKind, dts: i64, key: bool, payload: Bytes) {
        let received_at = weir_live::clock::now().mono;
        let track = TrackId::source(kind);
        self.session.send_frame(&Frame {
            track,
            kind,
            dts,
            pts: dts,
            key,
            received_at,
            payload,
        });
    }

    /// Takes what came, and sends what there is to send. The socket does not block.
    fn exchange(&mut self) -> Result<(), String> {
        self.receive(&mut [0; 4096])?;
        self.answer().map(drop)
    }

    /// Sends what there is to send; whether publishing has begun now.
    fn answer(&mut self) -> Result<bool, String> {
        let mut began = false;
        loop {
            match self.session.poll_output() {
                Output::Transmit(bytes) => self.send(&bytes)?,
                Output::Event(Event::Publishing) => began = true,
                Output::Event(Event::Refused { code, .. }) => {
                    return Err(format!("the server refused: {code}"));
                }
                Output::Event(_) => {}
                Output::Close => return Err("the server closed the connection".into()),
                Output::Timeout(_) => return Ok(began),
            }
        }
    }

    /// Sends all, waiting where the socket is full: the server always reads.
    fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        let waiting =
            |on: bool, socket: &TcpStream| socket.set_nonblocking(!on).map_err(|e| e.to_string());
        waiting(true, &self.socket)?;
        self.socket.write_all(bytes).map_err(|e| e.to_string())?;
        waiting(!self.session.is_publishing(), &self.socket)
    }

    fn receive(&mut self, bytes: &mut [u8]) -> Result<(), String> {
        match self.socket.read(bytes) {
            Ok(0) => Err("the server closed the connection".into()),
            Ok(n) => {
                let now = weir_live::clock::now().mono;
                self.session
                    .handle_input(&bytes[..n], now)
                    .map_err(|e| e.to_string())
            }
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => Ok(()),
            Err(e) => Err(e.to_string()),
        }
    }
}
