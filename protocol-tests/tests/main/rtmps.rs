//! RTMP under TLS: real encoders, moving between workers, reload, and peers that speak something
//! else.

use crate::support::{
    Bystander, PUBLISH_WAIT, QUICK, certificate, cmaf_packets, counts, tag_counts,
};
use protocol_tests::bridge::bridge;
use protocol_tests::process::run;
use protocol_tests::rtmp::{Connection, Publisher};
use protocol_tests::server::Weir;
use protocol_tests::turn::heavy;
use protocol_tests::{clips, eventually, flv, tools};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

const WAIT: Duration = Duration::from_secs(20);

/// A weir with a certificate of its own making.
fn secured(args: &[&str]) -> (Weir, TempDir) {
    let home = TempDir::new().unwrap();
    let (pem, key) = certificate(home.path(), "own", "localhost");
    let config = home.path().join("weir.toml");
    let text = format!("[tls]\ncertificates = [{{ certificate = {pem:?}, key = {key:?} }}]\n");
    std::fs::write(&config, text).unwrap();
    let args = [args, &["--config", config.to_str().unwrap()]].concat();
    (Weir::start(&args), home)
}

fn published_by(mut ffmpeg: Command) {
    let _turn = heavy();
    let clip = clips::MAIN.flv();
    let (weir, _home) = secured(&QUICK);
    let url = weir.publish_url_tls("show");
    ffmpeg
        .arg("-i")
        .arg(&clip)
        .args(["-c", "copy", "-f", "flv"]);
    run(ffmpeg.args(["-tls_verify", "0", &url]), PUBLISH_WAIT);
    assert_eq!(
        counts(&cmaf_packets(&weir, "show")),
        tag_counts(&flv::read(&clip))
    );
    weir.stop();
}

#[test]
fn ffmpeg_5_publishes_under_tls() {
    published_by(tools::ffmpeg());
}

#[test]
fn ffmpeg_9_publishes_under_tls() {
    published_by(tools::ffmpeg9());
}

#[test]
fn gstreamer_publishes_under_tls() {
    let _turn = heavy();
    let (weir, _home) = secured(&QUICK);
    let pipeline = format!(
        "videotestsrc num-buffers=125 is-live=true \
         ! video/x-raw,format=I420,width=640,height=360,framerate=25/1 \
         ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=50 ! h264parse \
         ! flvmux streamable=true ! rtmp2sink tls-validation-flags=0 location={}",
        weir.publish_url_tls("show")
    );
    let mut gst = tools::program("gst-launch-1.0");
    gst.args(["-e", "-q"]).args(pipeline.split_whitespace());
    run(&mut gst, PUBLISH_WAIT);
    assert_eq!(counts(&cmaf_packets(&weir, "show")).0, 125);
    weir.stop();
}

/// What OBS sends, in its order, and a session that moves to another worker with its keys.
#[test]
fn the_obs_sequence_publishes_under_tls_and_moves() {
    let _turn = heavy();
    let (weir, _home) = secured(&[&QUICK[..], &["--workers", "2"]].concat());
    let through = bridge(weir.rtmps);
    let tags = flv::read(&clips::PAL.flv());
    // Which worker accepts is the kernel's choice: half of them move.
    let moved = (0..40).find(|i| {
        let name = format!("show{i}");
        let frames = weir.metric("weir_frames_total").unwrap();
        let mut publisher = Publisher::start(through, &name).unwrap();
        publisher.send_all(&tags).unwrap();
        // Whoever closes with answers unread resets, and what is under way is lost.
        eventually(WAIT, "all has arrived", || {
            let (video, audio) = tag_counts(&tags);
            let all = frames + (video + audio) as f64;
            (weir.metric("weir_frames_total") == Some(all)).then_some(())
        });
        publisher.finish();
        assert_eq!(counts(&cmaf_packets(&weir, &name)), tag_counts(&tags));
        weir.metric("weir_sessions_moved_total").unwrap() > 0.0
    });
    assert!(moved.is_some(), "no session moved");
    weir.stop();
}

/// What the RTMPS port shows as its certificate.
fn shown(at: SocketAddr) -> String {
    let mut openssl = tools::program("openssl");
    openssl.args(["s_client", "-connect", &at.to_string()]);
    let out = openssl.stdin(std::process::Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let begin = text.find("-----BEGIN").unwrap_or(text.len());
    text[begin..].split("-----END").next().unwrap().to_owned()
}

#[test]
fn a_reload_shows_the_new_certificate_and_keeps_publishers() {
    let (weir, home) = secured(&["--segment", "1s"]);
    let clip = clips::LONG.flv();
    let url = weir.publish_url_tls("show");
    let mut publisher = crate::support::live_to(tools::ffmpeg(), &clip, &url);
    let live = weir.live("show", protocol_tests::hls::Format::Cmaf).main;
    let old = shown(weir.rtmps);
    certificate(home.path(), "own", "localhost");
    weir.reload();
    eventually(WAIT, "the new certificate is shown", || {
        let now = shown(weir.rtmps);
        (!now.is_empty() && now != old).then_some(())
    });
    let media = weir.media(&live);
    let later = weir.reaches(&live, media.last() + 2, WAIT);
    assert_eq!(later.discontinuities(), 0);
    assert!(publisher.ended().is_none(), "{}", publisher.tail());
    weir.stop();
}

/// Whether the peer closes within `limit`.
fn is_closed(mut socket: &TcpStream, limit: Duration) -> bool {
    socket.set_read_timeout(Some(limit)).unwrap();
    let mut bytes = [0; 4096];
    loop {
        match socket.read(&mut bytes) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(e) => return e.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

fn says(weir: &Weir, what: &str) {
    eventually(WAIT, what, || {
        weir.process.log().contains(what).then_some(())
    });
}

#[test]
fn who_takes_the_wrong_port_is_named() {
    let (mut weir, _home) = secured(&["--segment", "1s"]);
    let mut bystander = Bystander::start(&weir);
    assert!(Connection::open(weir.rtmps).is_err());
    says(&weir, "plain RTMP on the RTMPS port");
    assert_eq!(shown(weir.rtmp), "");
    says(&weir, "TLS on the RTMP port");
    bystander.assert_untouched(&mut weir);
    assert!(weir.metric("weir_rtmp_closed_total").unwrap() >= 2.0);
    weir.stop();
}

#[test]
fn nonsense_and_slow_handshakes_are_ended() {
    let (mut weir, _home) = secured(&["--segment", "1s"]);
    let mut bystander = Bystander::start(&weir);
    let sockets = weir.sockets();
    let connect = || TcpStream::connect(weir.rtmps).unwrap();
    let silent: Vec<_> = (0..50).map(|_| connect()).collect();
    let slow: Vec<_> = (0..50)
        .map(|_| {
            let mut socket = connect();
            // The head of a record that never comes.
            socket.write_all(&[22, 3, 1, 2, 0]).unwrap();
            socket
        })
        .collect();
    for garbage in [
        &[22, 3, 1, 0xff, 0xff, 1, 2, 3][..],
        &[0; 64],
        b"GET / HTTP/1.1\r\n\r\n",
    ] {
        let mut socket = connect();
        socket.write_all(garbage).unwrap();
        assert!(is_closed(&socket, WAIT));
    }
    for socket in silent.iter().chain(&slow) {
        assert!(is_closed(socket, WAIT));
    }
    drop((silent, slow));
    eventually(WAIT, "all sockets are closed", || {
        (weir.sockets() <= sockets).then_some(())
    });
    bystander.assert_untouched(&mut weir);
    weir.stop();
}
