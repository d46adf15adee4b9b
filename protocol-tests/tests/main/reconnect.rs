//! A weir that stops, and those who are asked to come back.

use crate::support::live_to;
use protocol_tests::hls::Format;
use protocol_tests::peers::free_address;
use protocol_tests::process::Process;
use protocol_tests::rtmp::{Amf, Publisher};
use protocol_tests::server::Weir;
use protocol_tests::{clips, eventually, flv, tools};
use std::time::Duration;
use tempfile::TempDir;

const WAIT: Duration = Duration::from_secs(40);

fn show(weir: &Weir) -> Process {
    live_to(
        tools::ffmpeg(),
        &clips::LONG.flv(),
        &weir.publish_url("show"),
    )
}

/// At the drain, who said that it would is asked to connect again and is served meanwhile; the
/// others are not waited for.
#[test]
fn who_would_is_asked_to_reconnect() {
    let mut weir = Weir::start(&["--segment", "1s"]);
    let caps = [("capsEx", Amf::Number(1.0))];
    let mut able = Publisher::start_with(weir.rtmp, "live", "able", &caps).unwrap();
    let mut plain = Publisher::start(weir.rtmp, "plain").unwrap();
    let tags = flv::read(&clips::BASELINE.flv());
    let (first, rest) = tags.split_at(200);
    able.send_all(first).unwrap();
    plain.send_all(first).unwrap();
    weir.live("able", Format::Cmaf);
    let before = weir.metric("weir_frames_total");
    weir.process.terminate();
    let (code, level) = able.connection.status().unwrap();
    assert_eq!(code, "NetConnection.Connect.ReconnectRequest");
    assert_eq!(level, "status");
    // It goes on, until it leaves.
    able.send_all(&rest[..100]).unwrap();
    eventually(WAIT, "it is served meanwhile", || {
        (weir.metric("weir_frames_total") > before).then_some(())
    });
    able.finish();
    while let Ok(message) = plain.connection.receive() {
        assert_ne!(message.name().as_deref(), Some("onStatus"));
    }
    let ended = weir.process.wait(WAIT).expect("it ends");
    let log = weir.process.log();
    assert!(
        ended.success() && log.contains("asked to connect again"),
        "{log}"
    );
}

/// One weir pulls from another, which is restarted: the viewers of the first stay.
#[test]
fn a_pull_survives_its_source() {
    let at = free_address().to_string();
    let origin = Weir::start(&["--segment", "1s", "--grace", "60s", "--rtmp", &at]);
    let publisher = show(&origin);
    let home = TempDir::new().unwrap();
    let config = home.path().join("weir.toml");
    let url = origin.publish_url("show");
    let text =
        format!("private_targets = \"127.0.0.0/8\"\n[[pull]]\nname = \"copy\"\nurl = {url:?}\n");
    std::fs::write(&config, text).unwrap();
    let args = [
        "--segment",
        "1s",
        "--grace",
        "60s",
        "--config",
        config.to_str().unwrap(),
    ];
    let weir = Weir::start(&args);
    let live = weir.live("copy", Format::Cmaf);
    let stopped = origin.stop();
    assert!(
        stopped.log().contains("asked to connect again"),
        "the pull says that it would"
    );
    drop(publisher);
    let origin = stopped.start();
    let _publisher = show(&origin);
    eventually(WAIT, "it goes on", || {
        (weir.media(&live.main).discontinuities() >= 1).then_some(())
    });
    let now = weir.media(&live.main).last();
    let media = weir.reaches(&live.main, now + 3, WAIT);
    // A second one, if the pull was asked to come again and met the server that leaves once more.
    assert!((1..=2).contains(&media.discontinuities()));
    assert_eq!(
        weir.multivariant("copy", Format::Cmaf).broadcast(),
        live.broadcast()
    );
    weir.stop();
    origin.stop();
}
