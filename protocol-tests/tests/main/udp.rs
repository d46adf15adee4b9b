//! Transport streams over UDP and RTP.

use crate::support::{QUICK, assert_decodes};
use protocol_tests::hls::Format;
use protocol_tests::process::{Process, run};
use protocol_tests::server::Weir;
use protocol_tests::{clips, eventually, http, tools};
use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tempfile::TempDir;

const WAIT: Duration = Duration::from_secs(30);

/// A UDP port that nobody has.
fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// A weir that waits for a stream at `url`.
fn awaiting(url: &str, more: &str, args: &[&str]) -> (Weir, TempDir) {
    let home = TempDir::new().unwrap();
    let config = home.path().join("weir.toml");
    let text = format!("[[pull]]\nname = \"here\"\nurl = {url:?}\n{more}\n");
    std::fs::write(&config, text).unwrap();
    let args = [args, &["--config", config.to_str().unwrap()]].concat();
    (Weir::start(&args), home)
}

/// A clip to UDP in real time, over and over.
fn send(mut ffmpeg: Command, clip: &Path, to: &str) -> Process {
    ffmpeg.args(["-re", "-stream_loop", "-1", "-i"]).arg(clip);
    Process::spawn(ffmpeg.args(["-c", "copy", "-f", "mpegts", to]))
}

/// Live here without a break: three more segments that decode, in both formats.
fn assert_live(weir: &Weir, name: &str) {
    let dir = TempDir::new().unwrap();
    for format in [Format::Cmaf, Format::Ts] {
        let path = weir.live(name, format).main;
        let now = weir.media(&path).last();
        let media = weir.reaches(&path, now + 2, WAIT);
        assert_eq!(media.discontinuities(), 0, "{}", media.text);
        assert_decodes(&weir.download(&path).write(dir.path(), name));
    }
}

fn unicast(ffmpeg: Command) {
    let port = free_port();
    let (weir, _home) = awaiting(&format!("udp://127.0.0.1:{port}"), "", &QUICK);
    let to = format!("udp://127.0.0.1:{port}?pkt_size=1316");
    let _sender = send(ffmpeg, &clips::LONG.flv(), &to);
    assert_live(&weir, "here");
    // It comes out of RTMP and FLV as it came in.
    for url in [weir.publish_url("here"), weir.url("/here/live.flv")] {
        let mut player = tools::ffmpeg();
        player.args(["-i", &url, "-t", "2", "-c", "copy", "-f", "null", "-"]);
        assert_eq!(run(&mut player, WAIT), "");
    }
    assert_eq!(weir.metric("weir_ts_foreign_datagrams_total"), Some(0.0));
    let health = http::get(weir.api, "/streams/here/health");
    assert_eq!(health.status, 200, "{}", health.text());
    weir.stop();
}

#[test]
fn from_ffmpeg_5() {
    unicast(tools::ffmpeg());
}

#[test]
fn from_ffmpeg_9() {
    unicast(tools::ffmpeg9());
}

/// The sender goes and comes back within the grace time: one broadcast, one discontinuity.
#[test]
fn silence_is_a_publisher_who_left() {
    let port = free_port();
    let args = ["--segment", "2s", "--grace", "60s"];
    let (weir, _home) = awaiting(&format!("udp://127.0.0.1:{port}"), "", &args);
    let to = format!("udp://127.0.0.1:{port}?pkt_size=1316");
    let first = send(tools::ffmpeg(), &clips::LONG.flv(), &to);
    let live = weir.live("here", Format::Cmaf);
    let now = weir.media(&live.main).last();
    weir.reaches(&live.main, now + 1, WAIT);
    drop(first);
    eventually(WAIT, "the publisher has left", || {
        let health = http::get(weir.api, "/streams/here/health");
        health.text().contains("\"publishing\":false").then_some(())
    });
    let _second = send(tools::ffmpeg9(), &clips::SMALL.flv(), &to);
    eventually(WAIT, "it goes on", || {
        let now = weir.multivariant("here", Format::Cmaf);
        assert_eq!(now.broadcast(), live.broadcast(), "one broadcast");
        (weir.media(&now.main).discontinuities() == 1).then_some(())
    });
    weir.stop();
}

/// The same clip comes back after a silence: both tracks go on.
#[test]
fn the_same_stream_returns() {
    let port = free_port();
    let args = ["--segment", "2s", "--grace", "60s"];
    let (weir, _home) = awaiting(&format!("udp://127.0.0.1:{port}"), "", &args);
    let to = format!("udp://127.0.0.1:{port}?pkt_size=1316");
    let first = send(tools::ffmpeg(), &clips::LONG.flv(), &to);
    let live = weir.live("here", Format::Cmaf);
    drop(first);
    eventually(WAIT, "the publisher has left", || {
        let health = http::get(weir.api, "/streams/here/health");
        health.text().contains("\"publishing\":false").then_some(())
    });
    let paths = [live.main.clone(), live.audio.clone().unwrap()];
    let before = paths.each_ref().map(|path| weir.media(path).last());
    let _second = send(tools::ffmpeg(), &clips::LONG.flv(), &to);
    for (path, before) in paths.iter().zip(before) {
        let media = weir.reaches(path, before + 2, WAIT);
        assert_eq!(media.discontinuities(), 1, "{}", media.text);
    }
    weir.stop();
}

/// Two senders at one port: the second one waits until the first is silent.
#[test]
fn a_second_sender_does_not_disturb_the_first() {
    let port = free_port();
    let (weir, _home) = awaiting(&format!("udp://127.0.0.1:{port}"), "", &QUICK);
    let to = format!("udp://127.0.0.1:{port}?pkt_size=1316");
    let _first = send(tools::ffmpeg(), &clips::LONG.flv(), &to);
    weir.live("here", Format::Cmaf);
    let _second = send(tools::ffmpeg(), &clips::SMALL.flv(), &to);
    eventually(WAIT, "the second one is heard", || {
        let foreign = weir.metric("weir_ts_foreign_datagrams_total")?;
        (foreign > 100.0).then_some(())
    });
    assert_live(&weir, "here");
    weir.stop();
}

/// Joined at the loopback interface, for one source.
#[test]
fn from_a_multicast_group() {
    let port = free_port();
    let url = format!("udp://127.0.0.1@239.255.13.7:{port}?interface=lo");
    let (weir, _home) = awaiting(&url, "", &QUICK);
    let to = format!("udp://239.255.13.7:{port}?pkt_size=1316&localaddr=127.0.0.1&ttl=0");
    let _sender = send(tools::ffmpeg(), &clips::LONG.flv(), &to);
    assert_live(&weir, "here");
    weir.stop();
}

/// Of two programs the one that is asked for.
#[test]
fn a_program_is_chosen() {
    let port = free_port();
    let url = format!("udp://127.0.0.1:{port}");
    let (weir, _home) = awaiting(&url, "program = 2", &QUICK);
    let mut ffmpeg = tools::ffmpeg();
    for clip in [clips::LONG, clips::SMALL] {
        ffmpeg
            .args(["-re", "-stream_loop", "-1", "-i"])
            .arg(clip.flv());
    }
    ffmpeg.args("-map 0 -map 1 -c copy -program program_num=1:st=0:st=1".split(' '));
    ffmpeg.args("-program program_num=2:st=2:st=3 -f mpegts".split(' '));
    let _sender = Process::spawn(ffmpeg.arg(format!("{url}?pkt_size=1316")));
    let live = weir.live("here", Format::Cmaf);
    assert!(live.text.contains("RESOLUTION=320x240"), "{}", live.text);
    weir.stop();
}

/// What is no transport stream, and what only looks like one, is thrown away.
#[test]
fn noise_does_no_harm() {
    let port = free_port();
    let (mut weir, _home) = awaiting(&format!("udp://127.0.0.1:{port}"), "", &QUICK);
    let noise = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut seed = 1_u32;
    for round in 0..2000_usize {
        let mut datagram: Vec<u8> = (0..round % 2000)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 24) as u8
            })
            .collect();
        for sync in datagram.iter_mut().step_by(188) {
            *sync = 0x47;
        }
        noise.send_to(&datagram, ("127.0.0.1", port)).unwrap();
    }
    noise.send_to(&[0x47; 65_507], ("127.0.0.1", port)).unwrap();
    noise.send_to(&[], ("127.0.0.1", port)).unwrap();
    weir.assert_healthy();
    // And the port is free for the next sender after a second.
    let to = format!("udp://127.0.0.1:{port}?pkt_size=1316");
    let _sender = send(tools::ffmpeg(), &clips::LONG.flv(), &to);
    assert_live(&weir, "here");
    weir.stop();
}

/// Passes datagrams from one port to another, but for those of which `drops` says so, until it is
/// dropped.
struct Relay {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    fn start(from: u16, to: u16, drops: fn(usize) -> bool) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let socket = UdpSocket::bind(("127.0.0.1", from)).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        let thread = std::thread::spawn(move || {
            let (mut buffer, mut count) = (vec![0; 2048], 0);
            while !stopped.load(Ordering::Relaxed) {
                let Ok(len) = socket.recv(&mut buffer) else {
                    continue;
                };
                count += 1;
                if !drops(count) {
                    let _ = socket.send_to(&buffer[..len], ("127.0.0.1", to));
                }
            }
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Three ports that nobody has: one, and those 2 and 4 above it.
fn free_ports() -> u16 {
    (0..100)
        .find_map(|_| {
            let port = free_port();
            let bind = |above| UdpSocket::bind(("127.0.0.1", port.checked_add(above)?)).ok();
            Some((bind(0)?, bind(2)?, bind(4)?)).map(|_| port)
        })
        .unwrap()
}

fn in_rtp(ffmpeg: Command) {
    let port = free_ports();
    let (weir, _home) = awaiting(&format!("rtp://127.0.0.1:{port}"), "", &QUICK);
    let mut sender = ffmpeg;
    sender
        .args(["-re", "-stream_loop", "-1", "-i"])
        .arg(clips::LONG.flv());
    sender.args(["-c", "copy", "-f", "rtp_mpegts"]);
    let _sender = Process::spawn(sender.arg(format!("rtp://127.0.0.1:{port}")));
    assert_live(&weir, "here");
    assert_eq!(weir.metric("weir_rtp_lost_packets_total"), Some(0.0));
    weir.stop();
}

#[test]
fn in_rtp_from_ffmpeg_5() {
    in_rtp(tools::ffmpeg());
}

#[test]
fn in_rtp_from_ffmpeg_9() {
    in_rtp(tools::ffmpeg9());
}

/// ffmpeg's `prompeg` by way of a network that drops every eleventh packet, and some parity of rows:
/// nothing is missing here.
#[test]
fn what_is_lost_on_the_way_is_recovered() {
    let (sent, port) = (free_ports(), free_ports());
    let (weir, _home) = awaiting(&format!("rtp://127.0.0.1:{port}"), "", &QUICK);
    let _relays = [
        Relay::start(sent, port, |n| n % 11 == 0),
        Relay::start(sent + 2, port + 2, |_| false),
        Relay::start(sent + 4, port + 4, |n| n % 3 == 0),
    ];
    let mut sender = tools::ffmpeg();
    sender
        .args(["-re", "-stream_loop", "-1", "-i"])
        .arg(clips::LONG.flv());
    sender.args(["-c", "copy", "-f", "rtp_mpegts", "-fec", "prompeg=l=5:d=5"]);
    let _sender = Process::spawn(sender.arg(format!("rtp://127.0.0.1:{sent}")));
    assert_live(&weir, "here");
    let recovered = weir.metric("weir_rtp_recovered_packets_total").unwrap();
    assert!(recovered > 20.0, "{recovered}");
    assert_eq!(weir.metric("weir_rtp_lost_packets_total"), Some(0.0));
    weir.stop();
}
