//! `weir demo`: the server, and a publisher of its own that a newcomer can watch at once.
//!
//! The publisher has an input and a key of its own, made at each start. An input of the
//! operator's is never taken for it: if one is called `clock`, the demo publishes as
//! `clock-2`, or the next number that is free.

use crate::config::{Flags, Settings, Span};
use crate::logging;
use crate::ready::Ready;
use crate::server::Server;
use bytes::Bytes;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};
use tracing::{info, warn};
use weir_auth::key::Secret;
use weir_auth::policy::Input;
use weir_auth::secrets::DEMO_INPUT;
use weir_encode::demo::{DemoConfig, DemoSource};
use weir_media::aac::AacConfig;
use weir_media::avc::AvcConfig;
use weir_media::{CodecConfig, Frame, StreamName, TrackId, TrackKind};
use weir_rtmp::handshake::RANDOM_BYTES;
use weir_rtmp::session::Output;
use weir_rtmp::session::client::{ClientConfig, ClientSession, Event, Mode};

/// Name of the stream that the demo publishes, unless an input has it.
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
    let name = stream_name(&settings)?;
    let input = Input::with_key(name.clone(), key.hash());
    let server = Server::start(&settings, vec![input])?;
    let text = welcome(&server.ready, &name, &server.demo_key, lan_address());
    print!("{text}");
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

/// A name for the demo's stream that no input has.
fn stream_name(settings: &Settings) -> Result<StreamName, String> {
    let is_taken = |name: &str| settings.inputs.iter().any(|i| i.name.0.as_str() == name);
    let mut name = STREAM.to_owned();
    let mut number = 1u32;
    // There are fewer inputs than numbers.
    while is_taken(&name) {
        number += 1;
        name = format!("{STREAM}-{number}");
    }
    StreamName::parse(&name).map_err(|e| e.to_string())
}

/// What a newcomer needs to know. `lan` is this machine's address in its network.
fn welcome(ready: &Ready, stream: &StreamName, demo_key: &str, lan: Option<IpAddr>) -> String {
    let hosts = |listener: &Option<String>| hosts(listener.as_deref(), lan);
    let (http, rtmp) = (hosts(&ready.http), hosts(&ready.rtmp));
    let mut text = String::from("\nweir demo is running.\n\n");
    for host in &http {
        text += &format!("  Watch           http://{host}/{stream}/watch\n");
    }
    if let Some(host) = http.first() {
        let playlist = format!("http://{host}/{stream}/manifest/video.m3u8");
        text += &format!("  Any HLS player  {playlist}\n\n");
    }
    if let Some(first) = rtmp.first() {
        text += "  Your own encoder (OBS: Settings, Stream, Custom):\n";
        for host in &rtmp {
            text += &format!("    Server        rtmp://{host}/live\n");
        }
        text += &format!("    Stream key    {demo_key}\n");
        text += &format!(
            "    With ffmpeg   ffmpeg -re -i FILE -c:v libx264 -g 60 -c:a aac -f flv \
             rtmp://{first}/live/{demo_key}\n"
        );
        if let Some(host) = http.first() {
            text += &format!("    then watch    http://{host}/{DEMO_INPUT}/watch\n\n");
        }
    }
    text += &format!("  Data            {} (kept for an hour)\n", ready.data);
    text += "  Stop            Ctrl-C\n\n";
    text
}

/// The hosts under which a listener can be reached, each with its port: those that it listens
/// on, which on loopback or on one address is that one. None if it is off.
fn hosts(listener: Option<&str>, lan: Option<IpAddr>) -> Vec<String> {
    let Some(bound) = listener.and_then(|l| l.parse::<SocketAddr>().ok()) else {
        return Vec::new();
    };
    if !bound.ip().is_unspecified() {
        return vec![bound.to_string()];
    }
    let mut hosts = vec![format!("localhost:{}", bound.port())];
    hosts.extend(lan.map(|ip| SocketAddr::new(ip, bound.port()).to_string()));
    hosts
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
    for config in [CodecConfig::H264(avc), CodecConfig::Aac(aac)] {
        let track = TrackId::source(config.kind());
        publisher.session.send_config(track, &config, 0);
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::policy;
    use weir_auth::StreamRequest;

    fn settings(text: &str) -> Settings {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("weir.toml");
        std::fs::write(&path, text).unwrap();
        let flags = Flags {
            config: Some(path),
            ..Flags::default()
        };
        Settings::load(&flags).unwrap()
    }

    #[test]
    fn an_input_that_is_called_clock_stays_the_operators() {
        let (own, theirs) = (Secret::generate().unwrap(), Secret::generate().unwrap());
        let settings = settings(&format!(
            "[[input]]\nname = \"clock\"\nkey_hash = \"{}\"\n",
            theirs.hash()
        ));
        let name = stream_name(&settings).unwrap();
        let input = Input::with_key(name, own.hash());
        let policy = policy(&settings, vec![input]).unwrap();
        let publishes = |key: &Secret| {
            let request = StreamRequest {
                app: "live",
                key: key.expose(),
                query: None,
                address: IpAddr::from([127, 0, 0, 1]),
                now: weir_media::Utc(0),
            };
            policy.authorise_publish(&request).unwrap().name
        };
        assert_eq!(publishes(&own).as_str(), "clock-2");
        assert_eq!(publishes(&theirs).as_str(), "clock");
    }

    #[test]
    fn the_name_is_clock_where_nobody_has_it() {
        assert_eq!(stream_name(&settings("")).unwrap().as_str(), "clock");
    }

    #[test]
    fn only_hosts_that_are_listened_on_are_shown() {
        let lan = Some(IpAddr::from([198, 51, 100, 7]));
        let clock = StreamName::parse("clock").unwrap();
        let shown = |http: &str, rtmp: &str| {
            let ready = Ready {
                http: Some(http.into()),
                rtmp: Some(rtmp.into()),
                ..Ready::default()
            };
            welcome(&ready, &clock, "KEY", lan)
        };
        let text = shown("127.0.0.1:8080", "[::1]:1935");
        assert!(text.contains("http://127.0.0.1:8080/clock/watch\n"));
        assert!(text.contains("rtmp://[::1]:1935/live\n"));
        assert!(!text.contains("198.51.100.7"), "nobody listens there");

        let text = shown("[::]:8080", "127.0.0.1:1935");
        assert!(text.contains("http://localhost:8080/clock/watch\n"));
        assert!(text.contains("http://198.51.100.7:8080/clock/watch\n"));
        assert!(!text.contains("rtmp://198.51.100.7"));

        let text = shown("203.0.113.5:80", "0.0.0.0:1935");
        assert!(text.contains("http://203.0.113.5:80/clock/watch\n"));
        assert!(!text.contains("http://localhost"));
        assert!(text.contains("rtmp://198.51.100.7:1935/live\n"));
    }
}
