//! Streams that come from other servers.

use crate::support::{QUICK, assert_decodes, certificate, live_to};
use protocol_tests::fake::{self, Fake};
use protocol_tests::flv::{self, Tag};
use protocol_tests::hls::Format;
use protocol_tests::peers::{Peer, free_address};
use protocol_tests::process::{Process, run};
use protocol_tests::rtmp::{Amf, Connection};
use protocol_tests::server::Weir;
use protocol_tests::{clips, eventually, http, tools};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tempfile::TempDir;

const WAIT: Duration = Duration::from_secs(30);

/// A weir that pulls; `entries` are the tables of its configuration.
fn pulling(entries: &str, args: &[&str]) -> (Weir, TempDir) {
    let home = TempDir::new().unwrap();
    let config = home.path().join("weir.toml");
    let text = format!("private_targets = \"127.0.0.0/8\"\n{entries}");
    std::fs::write(&config, text).unwrap();
    let grace = if args.contains(&"--grace") {
        &QUICK[..2]
    } else {
        &QUICK[..]
    };
    let args = [grace, args, &["--config", config.to_str().unwrap()]].concat();
    (Weir::start(&args), home)
}

fn entry(name: &str, url: &str, more: &str) -> String {
    format!("[[pull]]\nname = {name:?}\nurl = {url:?}\n{more}\n")
}

/// A stream that is live here: three whole segments that decode.
fn assert_live(weir: &Weir, name: &str) {
    let dir = TempDir::new().unwrap();
    let path = weir.live(name, Format::Ts).main;
    let now = weir.media(&path).last();
    let media = weir.reaches(&path, now + 2, WAIT);
    assert_eq!(media.discontinuities(), 0, "{}", media.text);
    let download = weir.download(&path);
    assert_decodes(&download.write(dir.path(), name));
}

/// A server that weir pulls from, with a publisher that goes on and on.
fn pulled_from(peer: &Peer) {
    let clip = clips::LONG.flv();
    let _publisher = live_to(tools::ffmpeg(), &clip, &peer.url("cam"));
    let (weir, _home) = pulling(&entry("here", &peer.url("cam"), ""), &[]);
    assert_live(&weir, "here");
    weir.stop();
}

#[test]
fn from_nginx_rtmp() {
    pulled_from(&Peer::nginx_rtmp());
}

#[test]
fn from_node_media_server() {
    pulled_from(&Peer::node_media_server(None));
}

/// Under TLS, with a certificate of their own that is trusted by name of its file.
#[test]
fn from_node_media_server_under_tls() {
    let dir = TempDir::new().unwrap();
    let (pem, key) = certificate(dir.path(), "own", "localhost");
    let peer = Peer::node_media_server(Some((&pem, &key)));
    let clip = clips::LONG.flv();
    let _publisher = live_to(tools::ffmpeg(), &clip, &peer.url("cam"));
    let trusted = entry("here", &peer.url_tls("cam"), &format!("tls_ca = {pem:?}"));
    let untrusted = entry("there", &peer.url_tls("cam"), "");
    let (weir, _home) = pulling(&(trusted + &untrusted), &[]);
    assert_live(&weir, "here");
    eventually(WAIT, "the other is refused", || {
        let log = weir.process.log();
        log.contains("invalid peer certificate").then_some(())
    });
    assert_eq!(weir.manifest("there", Format::Cmaf).status, 404);
    weir.stop();
}

/// `ffmpeg -listen 1` serves one player, and is gone.
fn listening(mut ffmpeg: Command, clip: &Path, at: SocketAddr) -> Process {
    ffmpeg.args(["-re", "-i"]).arg(clip);
    ffmpeg.args(["-c", "copy", "-f", "flv", "-listen", "1"]);
    Process::spawn(ffmpeg.arg(format!("rtmp://{at}/live/cam")))
}

/// The source goes and comes, each time with another size and codec parameters.
fn comes_and_goes(ffmpeg: fn() -> Command) {
    let at = free_address();
    let url = format!("rtmp://{at}/live/cam");
    let (weir, _home) = pulling(&entry("here", &url, ""), &["--grace", "60s"]);
    let first = listening(ffmpeg(), &clips::PAL.flv(), at);
    let live = weir.live("here", Format::Cmaf);
    first.finish(WAIT);
    for (clip, count) in [
        (clips::NTSC, 1),
        (clips::BASELINE, 2),
        (clips::AUDIO_ONLY, 3),
    ] {
        let source = listening(ffmpeg(), &clip.flv(), at);
        source.finish(WAIT * 2);
        eventually(WAIT, "the source is back", || {
            let now = weir.multivariant("here", Format::Cmaf);
            assert_eq!(now.broadcast(), live.broadcast(), "one broadcast");
            let renditions = now.renditions();
            let listed = renditions.iter().map(|r| weir.media(r).discontinuities());
            (listed.max() >= Some(count)).then_some(())
        });
    }
    assert!(weir.metric("weir_pull_failures_total").unwrap() >= 3.0);
    weir.stop();
}

#[test]
fn from_ffmpeg_5_that_comes_and_goes() {
    comes_and_goes(tools::ffmpeg);
}

#[test]
fn from_ffmpeg_9_that_comes_and_goes() {
    comes_and_goes(tools::ffmpeg9);
}

/// What a source says of its stream reaches viewers and the doctor.
#[test]
fn what_a_source_says_is_passed_on() {
    const KBIT: f64 = 12.5;
    let source = Fake::start(|socket, _| {
        let mut connection = fake::answered(socket, "play", "NetStream.Play.Start", "status")?;
        let mut said = Vec::new();
        Amf::text("onMetaData").write(&mut said);
        Amf::Object(vec![("videodatarate".into(), Amf::Number(KBIT))]).write(&mut said);
        connection.send(5, 0, flv::SCRIPT, 1, &said)?;
        fake::play(&mut connection, &flv::read(&clips::LONG.flv()))
    });
    let (weir, _home) = pulling(&entry("here", &source.url("cam"), ""), &[]);
    let mut player = Connection::open(weir.rtmp).unwrap();
    player.connect("live").unwrap();
    eventually(WAIT, "it plays", || player.play("here").ok());
    let told = loop {
        let message = player.receive().unwrap();
        if message.kind == flv::SCRIPT && message.body.windows(10).any(|w| w == b"onMetaData") {
            break message.body;
        }
    };
    let rate = KBIT.to_be_bytes();
    assert!(told.windows(8).any(|w| w == rate), "{told:02x?}");
    // More than was promised.
    eventually(WAIT, "the doctor finds it", || {
        let health = http::get(weir.api, "/streams/here/health").text();
        health.contains("\"bitrate\"").then_some(())
    });
    weir.stop();
}

/// A source that is another one each time costs a discontinuity each time, and nothing else.
#[test]
fn from_a_source_with_another_codec_at_each_connection() {
    let dir = TempDir::new().unwrap();
    let tags = [clips::HEVC, clips::AV1, clips::VP9].map(|clip| {
        let file = dir.path().join("clip.flv");
        let mut ffmpeg = tools::ffmpeg9();
        ffmpeg.args(["-y", "-i"]).arg(clip.mp4());
        run(ffmpeg.args(["-c", "copy"]).arg(&file), WAIT);
        let tags = flv::read(&file).into_iter();
        tags.take_while(|t| t.timestamp < 2500).collect::<Vec<_>>()
    });
    let source = Fake::start(move |socket, number| {
        let mut connection = fake::answered(socket, "play", "NetStream.Play.Start", "status")?;
        fake::play(&mut connection, &tags[number % tags.len()])
    });
    let entry = entry("here", &source.url("cam"), "");
    let (mut weir, _home) = pulling(&entry, &["--grace", "60s"]);
    let live = weir.live("here", Format::Cmaf);
    eventually(WAIT * 2, "all of them were there", || {
        let now = weir.multivariant("here", Format::Cmaf);
        assert_eq!(now.broadcast(), live.broadcast(), "one broadcast");
        (weir.media(&now.main).discontinuities() >= 2).then_some(())
    });
    // Each has its own init section, and is what it says.
    let runs = weir.download(&live.main).runs();
    assert!(runs.len() >= 3, "{} runs", runs.len());
    for run in &runs[..3] {
        let file = dir.path().join("run.mp4");
        std::fs::write(&file, run).unwrap();
        assert_decodes(&file);
    }
    weir.assert_healthy();
    weir.stop();
}

/// Asked only while somebody watches.
#[test]
fn on_demand() {
    let peer = Peer::nginx_rtmp();
    let clip = clips::LONG.flv();
    let _publisher = live_to(tools::ffmpeg(), &clip, &peer.url("cam"));
    let more = "on_demand = true\nidle = \"5s\"";
    let (weir, _home) = pulling(&entry("here", &peer.url("cam"), more), &[]);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(weir.metric("weir_publish_sessions_total"), Some(0.0));
    // The first viewer waits, and gets it.
    let first = weir.manifest("here", Format::Cmaf);
    assert_eq!(first.status, 200, "{}", first.text());
    assert_eq!(weir.metric("weir_publish_sessions_total"), Some(1.0));
    let path = weir.multivariant("here", Format::Cmaf).main;
    let now = weir.media(&path).last();
    weir.reaches(&path, now + 4, WAIT);
    assert_eq!(weir.metric("weir_pull_failures_total"), Some(0.0));
    // Nobody asks: only metrics are looked at.
    eventually(WAIT, "the pull rests", || {
        weir.process.log().contains("the pull rests").then_some(())
    });
    eventually(WAIT, "the broadcast ends", || {
        (weir.metric("weir_streams") == Some(0.0)).then_some(())
    });
    // The next viewer does not get the old broadcast.
    let old = weir.broadcasts("here");
    let again = weir.multivariant("here", Format::Cmaf);
    assert!(!again.is_vod() && !old.contains(&again.broadcast().to_owned()));
    assert_eq!(weir.metric("weir_publish_sessions_total"), Some(2.0));
    weir.stop();
}

/// A name whose source is not there is an ordinary 404, after a wait.
#[test]
fn on_demand_from_nowhere() {
    let url = format!("rtmp://{}/live/cam", free_address());
    let more = "on_demand = true\nidle = \"5s\"";
    let (weir, _home) = pulling(&entry("here", &url, more), &[]);
    assert_eq!(weir.manifest("here", Format::Cmaf).status, 404);
    assert_eq!(
        http::get(weir.http, "/other/manifest/video.m3u8").status,
        404
    );
    assert!(weir.metric("weir_pull_failures_total").unwrap() >= 2.0);
    weir.stop();
}

/// Who publishes here has precedence.
#[test]
fn a_publisher_comes_first() {
    let clip = clips::LONG.flv();
    let peer = Peer::nginx_rtmp();
    let _publisher = live_to(tools::ffmpeg(), &clip, &peer.url("cam"));
    let (weir, _home) = pulling(&entry("here", &peer.url("cam"), ""), &["--grace", "30s"]);
    let path = weir.live("here", Format::Cmaf).main;
    let own: Vec<Tag> = flv::read(&clips::SMALL.flv());
    let mut local = protocol_tests::rtmp::Publisher::start(weir.rtmp, "here").unwrap();
    local.send_all(&own).unwrap();
    eventually(WAIT, "the publisher takes over", || {
        (weir.media(&path).discontinuities() >= 1).then_some(())
    });
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(
        weir.metric("weir_publish_sessions_total"),
        Some(2.0),
        "the pull waits"
    );
    local.finish();
    eventually(WAIT, "the pull is back", || {
        (weir.metric("weir_publish_sessions_total") == Some(3.0)).then_some(())
    });
    weir.stop();
}

#[test]
fn private_addresses_need_a_word_of_the_operator() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("weir.toml");
    let check = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let mut weir = protocol_tests::server::bare();
        let out = weir
            .args(["config", "check", "--config"])
            .arg(&file)
            .output()
            .unwrap();
        String::from_utf8_lossy(&out.stderr).into_owned()
    };
    let literal = entry("a", "rtmp://10.0.0.1/live/my-own-key", "");
    let said = check(&literal);
    assert!(
        said.contains("private_targets") && !said.contains("my-own-key"),
        "{said}"
    );
    assert_eq!(
        check(&format!("private_targets = \"10.0.0.0/8\"\n{literal}")),
        ""
    );
    assert!(check(&entry("a", "http://h/live/my-own-key", "")).contains("rtmp://"));
    // A name that leads there is found out when it is resolved.
    let config = dir.path().join("name.toml");
    std::fs::write(&config, entry("a", "rtmp://localhost/live/my-own-key", "")).unwrap();
    let weir = Weir::start(&["--config", config.to_str().unwrap()]);
    eventually(WAIT, "the pull is refused", || {
        weir.process
            .log()
            .contains("its address is private")
            .then_some(())
    });
    assert!(!weir.process.log().contains("my-own-key"));
    weir.stop();
}

/// Sources that only cost trouble, each beside one that works.
#[test]
fn bad_sources_cost_only_themselves() {
    let good = Fake::start(|socket, _| {
        let mut connection = fake::answered(socket, "play", "NetStream.Play.Start", "status")?;
        fake::play(&mut connection, &flv::read(&clips::LONG.flv()))
    });
    let lost = Fake::start(|_, _| Ok(()));
    let garbage = Fake::start(|mut socket, _| {
        let mut request = [0; 1537];
        socket.read_exact(&mut request)?;
        socket.write_all(&[0x47; 100_000])
    });
    let refusing = Fake::start(|socket, _| {
        let code = "NetStream.Play.StreamNotFound";
        fake::answered(socket, "play", code, "error").map(drop)
    });
    let at = Arc::new(OnceLock::<String>::new());
    let to = at.clone();
    let looping = Fake::start(move |socket, _| fake::redirected(socket, to.get().unwrap()));
    at.set(format!("rtmp://{}/live", looping.at)).unwrap();
    let asking = Fake::start(|socket, _| {
        let mut connection = fake::answered(socket, "play", "NetStream.Play.Start", "status")?;
        let code = ("code", "NetConnection.Connect.ReconnectRequest");
        fake::status(
            &mut connection,
            0,
            &[("level", "status"), code, ("tcUrl", "/again")],
        )?;
        while connection.receive().is_ok() {}
        Ok(())
    });
    let inward = Fake::start(|socket, _| fake::redirected(socket, "rtmp://169.254.169.254/live"));
    let sources = [&lost, &garbage, &refusing, &looping, &asking, &inward];
    let mut entries = entry("good", &good.url("a"), "");
    for (i, fake) in sources.iter().enumerate() {
        entries += &entry(&format!("bad{i}"), &fake.url("a"), "");
    }
    let (mut weir, _home) = pulling(&entries, &[]);
    let path = weir.live("good", Format::Cmaf).main;
    let now = weir.media(&path).last();
    let media = weir.reaches(&path, now + 5, WAIT);
    assert_eq!(media.discontinuities(), 0, "{}", media.text);
    // In more than ten seconds: at 0, about 1, 3, 7 and 15 s, and six times as often where a
    // server leads in circles.
    for (i, fake) in sources.iter().enumerate() {
        let most = if i == 3 || i == 4 { 36 } else { 6 };
        let tried = fake.accepted();
        assert!(
            (2..=most).contains(&tried),
            "source {i} was tried {tried} times"
        );
    }
    let log = weir.process.log();
    for what in [
        "the server's RTMP",
        "NetStream.Play.StreamNotFound",
        "leads in a loop",
        "its address is private",
    ] {
        assert!(log.contains(what), "{what:?} is not in the log");
    }
    assert_eq!(good.accepted(), 1);
    weir.assert_healthy();
    weir.stop();
}
