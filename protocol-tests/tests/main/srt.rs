//! SRT: real encoders in, real players out, and who may not.

use crate::support::{QUICK, assert_decodes};
use protocol_tests::hls::Format;
use protocol_tests::hook::Receiver;
use protocol_tests::probe;
use protocol_tests::process::{Process, run};
use protocol_tests::server::Weir;
use protocol_tests::{clips, eventually, http, tools};
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

const WAIT: Duration = Duration::from_secs(30);

/// A weir with a configuration.
fn configured(text: &str, args: &[&str]) -> (Weir, TempDir) {
    let home = TempDir::new().unwrap();
    let config = home.path().join("weir.toml");
    std::fs::write(&config, text).unwrap();
    std::fs::set_permissions(&config, std::fs::Permissions::from_mode(0o600)).unwrap();
    let args = [args, &["--config", config.to_str().unwrap()]].concat();
    (Weir::start(&args), home)
}

fn url(weir: &Weir, stream_id: &str, more: &str) -> String {
    format!("srt://{}?mode=caller&streamid={stream_id}{more}", weir.srt)
}

/// A clip over SRT in real time, over and over.
fn publish(mut ffmpeg: Command, clip: &Path, to: &str) -> Process {
    ffmpeg.args(["-re", "-stream_loop", "-1", "-i"]).arg(clip);
    Process::spawn(ffmpeg.args(["-c", "copy", "-f", "mpegts", to]))
}

/// Live without a break: more segments that decode.
fn assert_live(weir: &Weir, name: &str) {
    let dir = TempDir::new().unwrap();
    let path = weir.live(name, Format::Cmaf).main;
    let now = weir.media(&path).last();
    let media = weir.reaches(&path, now + 2, WAIT);
    assert_eq!(media.discontinuities(), 0, "{}", media.text);
    assert_decodes(&weir.download(&path).write(dir.path(), name));
}

/// ffmpeg's player, for two seconds of pictures and sound.
fn assert_plays(mut ffmpeg: Command, url: &str) {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("played.ts");
    ffmpeg.args(["-i", url, "-t", "2", "-c", "copy"]).arg(&file);
    assert_eq!(run(&mut ffmpeg, WAIT), "");
    let packets = probe::packets(&file);
    assert!(
        probe::only(&packets, true).len() > 40,
        "{} packets",
        packets.len()
    );
    assert!(
        probe::only(&packets, false).len() > 60,
        "{} packets",
        packets.len()
    );
    assert_decodes(&file);
}

/// What ffmpeg says when it is refused; it never gets through.
fn refusal(weir: &Weir, stream_id: &str, more: &str) {
    let before = weir.metric("weir_srt_connections").unwrap_or(0.0);
    let mut ffmpeg = tools::ffmpeg();
    ffmpeg.args([
        "-i",
        &url(weir, stream_id, more),
        "-t",
        "1",
        "-f",
        "null",
        "-",
    ]);
    let status = Process::spawn(&mut ffmpeg).finish(WAIT).0;
    assert!(!status.success(), "{stream_id} was let in");
    assert_eq!(weir.metric("weir_srt_connections"), Some(before));
}

fn from_and_to(ffmpeg: fn() -> Command) {
    let weir = Weir::start(&QUICK);
    let _publisher = publish(
        ffmpeg(),
        &clips::LONG.flv(),
        &url(&weir, "publish:live/cam", ""),
    );
    weir.live("cam", Format::Cmaf);
    assert_plays(ffmpeg(), &url(&weir, "read:cam", ""));
    assert_plays(ffmpeg(), &url(&weir, "#!::r=cam,m=request", ""));
    let mut player = tools::ffmpeg();
    player.args([
        "-i",
        &weir.publish_url("cam"),
        "-t",
        "1",
        "-c",
        "copy",
        "-f",
        "null",
        "-",
    ]);
    assert_eq!(run(&mut player, WAIT), "");
    assert_live(&weir, "cam");
    let text = http::get(weir.api, "/srt").text();
    let connections: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(connections[0]["role"], "publish", "{text}");
    assert_eq!(connections[0]["stream"], "cam");
    assert!(
        connections[0]["stats"]["pktRecvUnique"].as_u64() > Some(100),
        "{text}"
    );
    assert_eq!(
        weir.metric("weir_srt_receive_dropped_packets_total"),
        Some(0.0)
    );
    weir.stop();
}

#[test]
fn from_and_to_ffmpeg_5() {
    from_and_to(tools::ffmpeg);
}

#[test]
fn from_and_to_ffmpeg_9() {
    from_and_to(tools::ffmpeg9);
}

/// HEVC comes in and goes out, over SRT and as HLS.
#[test]
fn hevc_goes_through() {
    let weir = Weir::start(&QUICK);
    let to = url(&weir, "publish:cam", "");
    let _publisher = publish(tools::ffmpeg9(), &clips::HEVC.mp4(), &to);
    assert_live(&weir, "cam");
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("played.ts");
    let mut player = tools::ffmpeg9();
    player.args(["-i", &url(&weir, "read:cam", ""), "-t", "2", "-c", "copy"]);
    assert_eq!(run(player.arg(&file), WAIT), "");
    let streams = probe::streams(&file);
    let codecs: Vec<_> = streams.iter().map(|s| s["codec_name"].as_str()).collect();
    assert_eq!(codecs, [Some("hevc"), Some("aac")]);
    weir.stop();
}

/// libsrt's own tool, fed over UDP, and writing what it plays into a file.
#[test]
fn from_and_to_srt_live_transmit() {
    let weir = Weir::start(&QUICK);
    let free = UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let to = url(&weir, "#!::r=live/cam,m=publish", "&latency=200");
    let mut transmit = tools::program("srt-live-transmit");
    let _relay = Process::spawn(transmit.arg(format!("udp://{free}")).arg(to));
    let mut ffmpeg = tools::ffmpeg();
    ffmpeg
        .args(["-re", "-stream_loop", "-1", "-i"])
        .arg(clips::LONG.flv());
    ffmpeg.args(["-c", "copy", "-f", "mpegts"]);
    let _sender = Process::spawn(ffmpeg.arg(format!("udp://{free}?pkt_size=1316")));
    assert_live(&weir, "cam");

    let dir = TempDir::new().unwrap();
    let mut player = tools::program("srt-live-transmit");
    player.current_dir(dir.path()).arg("-q");
    player.arg(url(&weir, "read:cam", "")).arg("file://con");
    let file = dir.path().join("out.ts");
    player.stdout(std::fs::File::create(&file).unwrap());
    let player = player.spawn().map(ProcessGuard).unwrap();
    eventually(WAIT, "it plays", || {
        (std::fs::metadata(&file).unwrap().len() > 200_000).then_some(())
    });
    drop(player);
    let packets = probe::packets(&file);
    assert!(probe::only(&packets, true).len() > 40);
    weir.stop();
}

/// Ended when it is dropped.
struct ProcessGuard(std::process::Child);

impl Drop for ProcessGuard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn from_and_to_gstreamer() {
    let weir = Weir::start(&QUICK);
    let mut source = tools::program("gst-launch-1.0");
    source.args(["-q", "-e"]).args(
        "videotestsrc is-live=true ! video/x-raw,format=I420,width=640,height=360,framerate=25/1 \
         ! x264enc tune=zerolatency key-int-max=25 ! h264parse ! mpegtsmux name=m alignment=7 ! srtsink"
            .split_whitespace(),
    );
    source.arg(format!("uri={}", url(&weir, "publish:live/cam", "")));
    source.args("audiotestsrc is-live=true ! voaacenc ! aacparse ! m.".split_whitespace());
    let _publisher = Process::spawn(&mut source);
    assert_live(&weir, "cam");
    let mut sink = tools::program("gst-launch-1.0");
    let from = format!("uri={}", url(&weir, "read:cam", ""));
    sink.args(["-q", "srtsrc", &from, "num-buffers=300", "!"]);
    sink.args("tsdemux ! h264parse ! avdec_h264 ! fakesink".split_whitespace());
    Process::spawn(&mut sink).succeed(WAIT);
    weir.stop();
}

/// A plain stream ID publishes; keys of inputs and a hook decide as they do for RTMP.
#[test]
fn who_may_not_is_told_so() {
    let hook = Receiver::start(|call| match call.field("name") {
        Some("blocked") => "403 Forbidden",
        _ => "200 OK",
    });
    let text = format!(
        "[hooks]\non_publish = {:?}\non_play = {:?}\n",
        hook.url(),
        hook.url()
    );
    let (weir, _home) = configured(&text, &QUICK);
    let _publisher = publish(tools::ffmpeg(), &clips::LONG.flv(), &url(&weir, "cam", ""));
    weir.live("cam", Format::Cmaf);
    refusal(&weir, "read:blocked", "");
    refusal(&weir, "read:nothing-there", "");
    refusal(&weir, "#!::r=cam,m=bidirectional", "");
    refusal(&weir, "read:a b", "");
    assert_eq!(hook.count("publish"), 1);
    assert_eq!(hook.count("play"), 2);
    for (code, times) in [("2403", 1.0), ("2404", 1.0), ("2405", 1.0), ("2400", 1.0)] {
        let metric = format!("weir_srt_refused_total{{code=\"{code}\"}}");
        assert_eq!(weir.metric(&metric), Some(times), "{metric}");
    }
    weir.stop();
}

/// With a passphrase: nobody without it, and all key lengths with it.
#[test]
fn a_passphrase_is_asked_of_publishers_and_players() {
    let key = "0123456789abcdef0123456789abcdef";
    let text = format!(
        "[[input]]\nname = \"sec\"\nsigning_keys = [{key:?}]\npassphrase = \"correct horse\"\n"
    );
    for len in [16, 24, 32] {
        let (weir, _home) = configured(&text, &QUICK);
        let more = format!("&passphrase=correct horse&pbkeylen={len}");
        let to = url(&weir, "publish:sec", &more);
        let _publisher = publish(tools::ffmpeg(), &clips::LONG.flv(), &to);
        assert_live(&weir, "sec");
        let from = url(&weir, "read:sec", "&passphrase=correct horse");
        assert_plays(tools::ffmpeg9(), &from);
        refusal(&weir, "read:sec", "");
        refusal(&weir, "read:sec", "&passphrase=wrong horse battery");
        let undecrypted = weir.metric("weir_srt_undecrypted_packets_total");
        assert_eq!(undecrypted, Some(0.0));
        weir.stop();
    }
}

/// A newcomer takes the stream over; the one before is sent away. One discontinuity.
#[test]
fn a_newcomer_takes_over() {
    let weir = Weir::start(&["--segment", "2s", "--grace", "30s"]);
    let to = url(&weir, "publish:cam", "");
    let mut first = publish(tools::ffmpeg(), &clips::LONG.flv(), &to);
    let live = weir.live("cam", Format::Cmaf);
    let _second = publish(tools::ffmpeg9(), &clips::LONG.flv(), &to);
    assert!(first.wait(WAIT).is_some(), "the first goes on");
    eventually(WAIT, "it goes on", || {
        (weir.media(&live.main).discontinuities() == 1).then_some(())
    });
    weir.stop();
}

/// Many streams on one port, spread over the workers.
#[test]
fn many_streams_share_the_port() {
    let weir = Weir::start(&[&QUICK[..], &["--workers", "2"]].concat());
    let names: Vec<_> = (0..8).map(|n| format!("cam{n}")).collect();
    let clip = clips::SMALL.flv();
    let _publishers: Vec<_> = names
        .iter()
        .map(|name| {
            publish(
                tools::ffmpeg(),
                &clip,
                &url(&weir, &format!("publish:{name}"), ""),
            )
        })
        .collect();
    for name in &names {
        weir.live(name, Format::Cmaf);
    }
    assert_eq!(weir.metric("weir_srt_connections"), Some(8.0));
    assert_eq!(weir.metric("weir_srt_ignored_datagrams_total"), Some(0.0));
    weir.stop();
}

/// Noise, floods of handshakes and forged packets cost nothing that stays.
#[test]
fn floods_leave_nothing_behind() {
    let mut weir = Weir::start(&QUICK);
    let _publisher = publish(tools::ffmpeg(), &clips::LONG.flv(), &url(&weir, "cam", ""));
    weir.live("cam", Format::Cmaf);
    let before = weir.resident_kib();
    let mut seed = 7_u32;
    let mut random = move || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 16) as u8
    };
    for sender in 0..50 {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        for round in 0..400_usize {
            let mut datagram: Vec<u8> = (0..round * 4 % 1500).map(|_| random()).collect();
            if datagram.len() >= 64 && sender % 2 == 0 {
                // An induction, or a conclusion with a cookie that nobody gave.
                datagram[..16]
                    .copy_from_slice(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
                datagram[16..24].copy_from_slice(&[0, 0, 0, 4 + (round & 1) as u8, 0, 0, 0, 2]);
                let kind = if round & 1 == 0 { 1_u32 } else { u32::MAX };
                datagram[36..40].copy_from_slice(&kind.to_be_bytes());
            }
            socket.send_to(&datagram, weir.srt).unwrap();
        }
    }
    let whole = UdpSocket::bind("127.0.0.1:0").unwrap();
    whole.send_to(&[0x80; 65_507], weir.srt).unwrap();
    whole.send_to(&[], weir.srt).unwrap();
    weir.assert_healthy();
    assert_live(&weir, "cam");
    assert_eq!(weir.metric("weir_srt_connections"), Some(1.0));
    let grown = weir.resident_kib().saturating_sub(before);
    assert!(grown < 64 * 1024, "{grown} KiB more");
    weir.stop();
}

/// A free UDP port.
fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// Pulled from ffmpeg that listens, encrypted, and pushed to srt-live-transmit that does.
#[test]
fn pulled_and_pushed() {
    let (from, to) = (free_port(), free_port());
    let text = format!(
        "private_targets = \"127.0.0.0/8\"\n[[pull]]\nname = \"here\"\n\
         url = \"srt://127.0.0.1:{from}?streamid=x&passphrase=0123456789&pbkeylen=24\"\n\
         push = [{{ name = \"out\", url = \"srt://localhost:{to}?latency=200\" }}]\n"
    );
    let (weir, _home) = configured(&text, &QUICK);
    let listen = format!("srt://127.0.0.1:{from}?mode=listener&passphrase=0123456789");
    let _source = publish(tools::ffmpeg(), &clips::LONG.flv(), &listen);
    assert_live(&weir, "here");

    let dir = TempDir::new().unwrap();
    let file = dir.path().join("out.ts");
    let mut mirror = tools::program("srt-live-transmit");
    mirror.args([
        "-q",
        &format!("srt://127.0.0.1:{to}?mode=listener"),
        "file://con",
    ]);
    mirror.stdout(std::fs::File::create(&file).unwrap());
    let mirror = mirror.spawn().map(ProcessGuard).unwrap();
    eventually(WAIT, "it is pushed", || {
        (std::fs::metadata(&file).unwrap().len() > 300_000).then_some(())
    });
    let outputs = http::get(weir.api, "/streams/here/outputs").text();
    assert!(outputs.contains("\"state\":\"live\""), "{outputs}");
    drop(mirror);
    let packets = probe::packets(&file);
    assert!(probe::only(&packets, true).len() > 40);
    assert!(probe::only(&packets, false).len() > 60);
    eventually(WAIT, "the mirror is missed", || {
        let outputs = http::get(weir.api, "/streams/here/outputs").text();
        outputs.contains("\"state\":\"waiting\"").then_some(())
    });
    weir.stop();
}

/// Private networks are not called unless the operator names them.
#[test]
fn private_networks_are_not_called() {
    let port = free_port();
    let text = format!("[[pull]]\nname = \"here\"\nurl = \"srt://localhost:{port}\"\n");
    let (weir, _home) = configured(&text, &QUICK);
    let called = UdpSocket::bind(("127.0.0.1", port)).unwrap();
    called.set_nonblocking(true).unwrap();
    eventually(WAIT, "the pull fails", || {
        (weir.metric("weir_pull_failures_total")? > 0.0).then_some(())
    });
    assert!(
        called.recv(&mut [0; 100]).is_err(),
        "a private address was called"
    );
    weir.stop();
}
