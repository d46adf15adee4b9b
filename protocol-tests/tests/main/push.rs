//! Streams that go to other servers.

use crate::support::{Bystander, assert_decodes, certificate, live_to};
use protocol_tests::fake::{self, Fake};
use protocol_tests::flv::{self, Tag};
use protocol_tests::hls::Format;
use protocol_tests::http;
use protocol_tests::peers::{Peer, free_address};
use protocol_tests::process::{Process, run};
use protocol_tests::rtmp::{Amf, Connection, Message, Publisher};
use protocol_tests::server::Weir;
use protocol_tests::{clips, eventually, probe, tools};
use serde_json::Value;
use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tempfile::TempDir;

const WAIT: Duration = Duration::from_secs(40);

/// A weir whose stream `show` goes to `targets`: name, address, and what else there is to say.
fn pushing(targets: &[(&str, &str, &str)], args: &[&str]) -> (Weir, TempDir) {
    let home = TempDir::new().unwrap();
    let config = home.path().join("weir.toml");
    let hash = "0".repeat(64);
    let mut text = format!(
        "private_targets = \"127.0.0.0/8\"\n[[input]]\nname = \"show\"\nkey_hash = \"sha256:{hash}\"\n"
    );
    for (name, url, more) in targets {
        text += &format!("[[input.push]]\nname = {name:?}\nurl = {url:?}\n{more}\n");
    }
    std::fs::write(&config, text).unwrap();
    let args = [
        args,
        &["--segment", "1s", "--config", config.to_str().unwrap()],
    ]
    .concat();
    (Weir::start(&args), home)
}

/// What the api says of the outputs of `show`.
fn outputs(weir: &Weir) -> Vec<Value> {
    let answer = http::get(weir.api, "/streams/show/outputs");
    assert_eq!(answer.status, 200, "{}", answer.text());
    serde_json::from_str::<Vec<Value>>(&answer.text()).unwrap()
}

fn output(weir: &Weir, name: &str) -> Value {
    let all = outputs(weir).into_iter();
    all.into_iter().find(|o| o["name"] == name).unwrap()
}

fn is(weir: &Weir, name: &str, state: &str) {
    eventually(WAIT, state, || {
        (output(weir, name)["state"] == state).then_some(())
    });
}

fn show(weir: &Weir) -> Process {
    live_to(
        tools::ffmpeg(),
        &clips::LONG.flv(),
        &weir.publish_url("show"),
    )
}

/// Some seconds of what `url` plays: packets of video, all of whose pictures can be decoded.
fn assert_plays(mut ffmpeg: Command, url: &str) {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("got.flv");
    ffmpeg.args(["-i", url, "-t", "4", "-c", "copy"]).arg(&file);
    run(&mut ffmpeg, WAIT);
    assert_decodes(&file);
    let packets = probe::packets_of(&std::fs::read(&file).unwrap());
    let video = packets.iter().filter(|p| p.video).count();
    assert!(
        (90..=150).contains(&video),
        "{video} pictures in four seconds"
    );
}

#[test]
fn to_nginx_rtmp_and_node_media_server() {
    let dir = TempDir::new().unwrap();
    let (pem, key) = certificate(dir.path(), "own", "localhost");
    let (nginx, node) = (
        Peer::nginx_rtmp(),
        Peer::node_media_server(Some((&pem, &key))),
    );
    let trust = format!("tls_ca = {pem:?}");
    let (weir, _home) = pushing(
        &[
            ("nginx", &nginx.url("a"), ""),
            ("node", &node.url("b"), ""),
            ("tls", &node.url_tls("c"), &trust),
            ("untrusted", &node.url_tls("d"), ""),
            ("off", &node.url("e"), "enabled = false"),
        ],
        &["--grace", "20s"],
    );
    assert_eq!(output(&weir, "nginx")["state"], "idle");
    let publisher = show(&weir);
    for name in ["nginx", "node", "tls"] {
        is(&weir, name, "live");
    }
    assert_plays(tools::ffmpeg(), &nginx.url("a"));
    assert_plays(tools::ffmpeg9(), &node.url("b"));
    assert_plays(tools::ffmpeg(), &node.url("c"));
    let untrusted = output(&weir, "untrusted");
    assert_eq!(untrusted["state"], "waiting");
    assert_eq!(untrusted["lastError"]["reason"], "connect");
    assert_eq!(output(&weir, "off")["state"], "disabled");
    assert!(output(&weir, "nginx")["sentBytes"].as_u64() > Some(100_000));
    assert_eq!(weir.metric("weir_output_live"), Some(3.0));
    // The publisher comes back: the connections stay.
    drop(publisher);
    std::thread::sleep(Duration::from_secs(2));
    let _publisher = show(&weir);
    assert_plays(tools::ffmpeg(), &nginx.url("a"));
    assert_eq!(output(&weir, "nginx")["failures"], 0);
    assert_eq!(output(&weir, "node")["failures"], 0);
    weir.stop();
}

/// Another weir takes all that was sent, frame by frame.
#[test]
fn to_another_weir() {
    let target = Weir::start(&["--segment", "1s", "--grace", "1s"]);
    let url = target.publish_url("copy");
    let (weir, _home) = pushing(&[("copy", &url, "")], &["--grace", "1s"]);
    let tags = flv::read(&clips::PAL.flv());
    let mut publisher = Publisher::start(weir.rtmp, "show").unwrap();
    for tag in &tags {
        publisher.send(tag).unwrap();
        if tag.kind == flv::VIDEO {
            std::thread::sleep(Duration::from_millis(30));
        }
    }
    is(&weir, "copy", "live");
    publisher.finish();
    let sent = crate::support::tag_counts(&tags);
    let got = crate::support::cmaf_packets(&target, "copy");
    assert_eq!(crate::support::counts(&got), sent);
    is(&weir, "copy", "idle");
    // And the other way round: this one pulls from that one.
    target.stop();
    weir.stop();
}

/// `ffmpeg -listen 1` takes one publisher, and is gone.
fn to_ffmpeg(mut ffmpeg: Command) {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("got.flv");
    let at = free_address();
    let url = format!("rtmp://{at}/live/show");
    let (weir, _home) = pushing(&[("file", &url, "")], &["--grace", "1s"]);
    // It is not there yet: weir tries again.
    let publisher = show(&weir);
    is(&weir, "file", "waiting");
    ffmpeg
        .args(["-listen", "1", "-i", &url, "-c", "copy"])
        .arg(&file);
    let listener = Process::spawn(&mut ffmpeg);
    is(&weir, "file", "live");
    std::thread::sleep(Duration::from_secs(5));
    drop(publisher);
    // The stream is over, and so says weir.
    listener.succeed(WAIT);
    assert_decodes(&file);
    let packets = probe::packets_of(&std::fs::read(&file).unwrap());
    assert!(packets.iter().filter(|p| p.video).count() >= 120);
    assert!(packets[0].seconds() < 0.5, "times begin at 0");
    weir.stop();
}

#[test]
fn to_ffmpeg_5() {
    to_ffmpeg(tools::ffmpeg());
}

#[test]
fn to_ffmpeg_9() {
    to_ffmpeg(tools::ffmpeg9());
}

/// Takes a publisher, and then does with its connection what the test says.
fn taking(then: impl Fn(&mut Connection) -> std::io::Result<()> + Send + Sync + 'static) -> Fake {
    Fake::start(move |socket, _| {
        let code = "NetStream.Publish.Start";
        then(&mut fake::answered(socket, "publish", code, "status")?)
    })
}

/// A server that leaves sends the push elsewhere, which gets all that a new one needs.
#[test]
fn a_push_that_is_sent_on_begins_anew() {
    let got = Arc::new(Mutex::new(Vec::new()));
    let kept = got.clone();
    let second = taking(move |connection| {
        loop {
            let Message { kind, body } = connection.receive()?;
            if [flv::AUDIO, flv::VIDEO, flv::SCRIPT].contains(&kind) {
                let timestamp = 0;
                kept.lock().unwrap().push(Tag {
                    kind,
                    timestamp,
                    body,
                });
            }
        }
    });
    let to = format!("rtmp://{}/live", second.at);
    let first = taking(move |connection| {
        for _ in 0..60 {
            connection.receive()?;
        }
        let code = ("code", "NetConnection.Connect.ReconnectRequest");
        let said = [("level", "status"), code, ("tcUrl", &to)];
        fake::status(connection, 0, &said)?;
        while connection.receive().is_ok() {}
        Ok(())
    });
    let (weir, _home) = pushing(&[("moves", &first.url("a"), "")], &[]);
    let _publisher = show(&weir);
    eventually(WAIT, "the second gets the stream", || {
        (got.lock().unwrap().len() > 30).then_some(())
    });
    let got = got.lock().unwrap();
    assert_eq!(got[0].kind, flv::SCRIPT, "metadata");
    let headers = got[1..].iter().take_while(|tag| tag.is_header()).count();
    assert_eq!(headers, 2, "a configuration of each track");
    let video = flv::frames(&got[3..], flv::VIDEO);
    assert!(video[0].is_key());
    weir.stop();
}

/// Targets that only cost trouble.
fn bad_targets() -> [Fake; 7] {
    let never_reads = taking(|_| {
        std::thread::sleep(Duration::from_secs(120));
        Ok(())
    });
    // Half of what is sent.
    let slow = taking(|connection| {
        let mut bytes = [0; 2500];
        loop {
            connection.socket.read_exact(&mut bytes)?;
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    let resets = taking(|connection| {
        connection.receive()?;
        // Closed with bytes unread, which is a reset.
        Ok(())
    });
    let refuses = Fake::start(|socket, _| {
        fake::answered(socket, "publish", "NetStream.Publish.BadName", "error").map(drop)
    });
    let at = Arc::new(OnceLock::<String>::new());
    let to = at.clone();
    let looping = Fake::start(move |socket, _| fake::redirected(socket, to.get().unwrap()));
    at.set(format!("rtmp://{}/live", looping.at)).unwrap();
    let floods = taking(|connection| {
        let object = Amf::text(&"x".repeat(60_000));
        loop {
            connection.command(0, &[Amf::text("onStatus"), object.clone()])?;
        }
    });
    let garbage = taking(|connection| {
        connection.socket.write_all(&[0xff; 70_000])?;
        while connection.receive().is_ok() {}
        Ok(())
    });
    [never_reads, slow, resets, refuses, looping, floods, garbage]
}

/// Beside one that works: neither it nor the source notice.
#[test]
fn bad_targets_cost_only_themselves() {
    let (good, bad) = (Peer::nginx_rtmp(), bad_targets());
    let urls: Vec<_> = bad.iter().map(|fake| fake.url("x")).collect();
    let names: Vec<_> = (0..bad.len()).map(|i| format!("bad{i}")).collect();
    let good_url = good.url("a");
    let mut targets = vec![("good", &*good_url, "")];
    targets.extend(
        names
            .iter()
            .zip(&urls)
            .map(|(name, url)| (&**name, &**url, "")),
    );
    let (mut weir, _home) = pushing(&targets, &[]);
    let mut bystander = Bystander::start(&weir);
    let _publisher = show(&weir);
    let path = weir.live("show", Format::Cmaf).main;
    let (first, memory) = (weir.media(&path).last(), weir.resident_kib());
    is(&weir, "good", "live");
    eventually(
        Duration::from_secs(60),
        "the one that never reads is given up",
        || {
            let error = &output(&weir, "bad0")["lastError"];
            (error["reason"] == "stalled").then_some(())
        },
    );
    eventually(Duration::from_secs(60), "the slow one is moved on", || {
        let slow = output(&weir, "bad1");
        let given_up = slow["lastError"]["reason"] == "stalled";
        (slow["skips"].as_u64() > Some(0) || given_up).then_some(())
    });
    eventually(WAIT, "the one that talks is given up", || {
        let error = &output(&weir, "bad5")["lastError"];
        (error["reason"] == "media").then_some(())
    });
    // More than 20 s: at 0, 1, 3, 7, 15 and 31 s at the least.
    for (i, fake) in bad.iter().enumerate().skip(2) {
        let tried = fake.accepted();
        let most = if i == 4 { 60 } else { 14 };
        assert!(
            (3..=most).contains(&tried),
            "target {i} was tried {tried} times"
        );
    }
    assert_eq!(
        output(&weir, "bad3")["lastError"]["text"],
        "the server refused: NetStream.Publish.BadName"
    );
    assert_eq!(output(&weir, "bad4")["lastError"]["reason"], "redirects");
    assert_plays(tools::ffmpeg(), &good_url);
    assert_eq!(output(&weir, "good")["failures"], 0);
    assert_eq!(output(&weir, "good")["skips"], 0);
    let media = weir.reaches(&path, first + 10, WAIT);
    assert_eq!(media.discontinuities(), 0);
    bystander.assert_untouched(&mut weir);
    let grown = weir.resident_kib().saturating_sub(memory);
    assert!(grown < 60_000, "{grown} KiB more");
    weir.stop();
}

#[test]
fn addresses_stay_secret() {
    let url = format!("rtmp://{}/live/my-own-key?token=hush", free_address());
    let (weir, home) = pushing(&[("one", &url, "")], &[]);
    let _publisher = show(&weir);
    is(&weir, "one", "waiting");
    let told = http::get(weir.api, "/streams/show/outputs").text();
    let metrics = http::get(weir.api, "/metrics").text();
    for text in [&told, &metrics, &weir.process.log()] {
        assert!(
            !text.contains("my-own-key") && !text.contains("hush"),
            "{text}"
        );
    }
    assert_eq!(http::get(weir.api, "/streams/other/outputs").status, 404);
    weir.stop();
    // Nor does a wrong one show up in the complaint.
    let file = home.path().join("wrong.toml");
    let wrong = "[[pull]]\nname = \"a\"\nurl = \"rtmp://h/hush\"\n";
    assert!(!complaint(&file, wrong).contains("hush"));
}

fn complaint(file: &Path, text: &str) -> String {
    std::fs::write(file, text).unwrap();
    let mut weir = protocol_tests::server::bare();
    weir.args(["config", "check", "--config"]).arg(file);
    String::from_utf8_lossy(&weir.output().unwrap().stderr).into_owned()
}
