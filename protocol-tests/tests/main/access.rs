//! Signed URLs and the authorisation hook, with real encoders.

use crate::support::{
    PUBLISH_WAIT, QUICK, cmaf_packets, copy_to, counts, live_to, publish, tag_counts,
};
use protocol_tests::hook::{Call, Receiver};
use protocol_tests::process::{Process, run};
use protocol_tests::rtmp::{Connection, Publisher};
use protocol_tests::server::{self, Weir};
use protocol_tests::turn::heavy;
use protocol_tests::{clips, eventually, flv, http, tools};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;

const WAIT: Duration = Duration::from_secs(60);

/// A configuration file for its owner alone.
fn config(text: &str) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("weir.toml");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    (dir, path)
}

fn start(config: &std::path::Path, more: &[&str]) -> Weir {
    let mut args = vec!["serve", "--config", config.to_str().unwrap()];
    args.extend(QUICK);
    args.extend(more);
    Weir::start_as(&args)
}

#[test]
fn signed_keys_publish_until_they_expire() {
    let _turn = heavy();
    // The second key and URL are the example of Tencent's documentation.
    let (_dir, path) = config(
        "[[input]]\nname = \"test\"\nsigning_keys = [\"0123456789abcdef\"]\n\
         tencent_keys = [\"e12c46f2612d5106e2034781ab261ca3\"]\n",
    );
    let weir = start(&path, &[]);
    let clip = clips::BASELINE.flv();
    let sent = tag_counts(&flv::read(&clip));
    for more in [&[][..], &["--tencent", "--valid", "1h"]] {
        let mut sign = server::bare();
        sign.args(["sign", "test", "--config"])
            .arg(&path)
            .args(more);
        let key = run(&mut sign, WAIT);
        let url = weir.publish_url(key.trim());
        run(&mut copy_to(tools::ffmpeg(), &clip, &url), PUBLISH_WAIT);
        let secret = key.trim().rsplit(['=', '&']).next().unwrap();
        assert!(!weir.process.log().contains(secret), "it is in the log");
        // Waits for the end, so that the next is a broadcast of its own however slow this goes.
        assert_eq!(counts(&cmaf_packets(&weir, "test")), sent);
    }
    let over = "test?txSecret=f85a2ab363fe4deaffef9754d79da6fe&txTime=5C271099";
    let wrong = "test?txSecret=f85a2ab363fe4deaffef9754d79da6ff&txTime=5C271099";
    for (key, code) in [(over, "Denied"), (wrong, "BadName"), ("test", "BadName")] {
        let refused = Publisher::start(weir.rtmp, key).unwrap_err();
        assert_eq!(refused.to_string(), format!("NetStream.Publish.{code}"));
    }
    assert_eq!(
        weir.metric("weir_publish_refused_total{reason=\"expired\"}"),
        Some(1.0)
    );
    weir.stop();
}

/// Allows by token, renames `secret-of-a`, refuses the rest.
fn decide(call: &Call) -> &'static str {
    match (call.field("name"), call.field("token")) {
        (Some("secret-of-a"), _) => "302 Found\r\nLocation: http://127.0.0.1/live/a",
        (_, Some("right")) => "200 OK",
        _ => "403 Forbidden",
    }
}

fn hooked(receiver: &Receiver) -> (TempDir, PathBuf) {
    let url = receiver.url();
    config(&format!(
        "open = true\n[hooks]\non_publish = \"{url}\"\non_publish_done = \"{url}\"\n\
         on_done = \"{url}\"\n"
    ))
}

#[test]
fn the_hook_decides_who_publishes_what() {
    let _turn = heavy();
    let receiver = Receiver::start(decide);
    let (_dir, path) = hooked(&receiver);
    let weir = start(&path, &["--workers", "2"]);
    let clip = clips::BASELINE.flv();
    let sent = tag_counts(&flv::read(&clip));

    let url = weir.publish_url("b?token=right&name=posing");
    run(&mut copy_to(tools::ffmpeg(), &clip, &url), PUBLISH_WAIT);
    let url = weir.publish_url("secret-of-a");
    run(&mut copy_to(tools::ffmpeg9(), &clip, &url), PUBLISH_WAIT);
    for name in ["a", "b"] {
        assert_eq!(counts(&cmaf_packets(&weir, name)), sent, "{name}");
    }
    for name in ["c", "c?token=wrong", "a"] {
        let refused = Publisher::start(weir.rtmp, name).unwrap_err();
        assert_eq!(refused.to_string(), "NetStream.Publish.Denied");
    }
    eventually(WAIT, "both sessions are told of", || {
        (receiver.count("done") == 2 && receiver.count("publish_done") == 2).then_some(())
    });
    let calls = receiver.calls();
    let asked: Vec<_> = calls.iter().filter(|c| c.call() == "publish").collect();
    assert_eq!(asked.len(), 5, "each publish is asked once: {calls:#?}");
    let first = asked[0];
    let field = |name| first.field(name).unwrap_or("?");
    assert_eq!(
        (field("name"), field("app"), field("addr")),
        ("b", "live", "127.0.0.1")
    );
    assert_eq!(
        (field("token"), field("type"), field("pageurl")),
        ("right", "live", "")
    );
    assert!(field("tcurl").starts_with("rtmp://127.0.0.1:"), "{first:?}");
    assert!(!field("flashver").is_empty() && field("clientid").parse::<u64>().is_ok());
    weir.stop();
}

/// Names belong to either worker, so that half of the sessions move.
#[test]
fn sessions_that_move_are_asked_once_and_told_once() {
    let _turn = heavy();
    let receiver = Receiver::start(|_| "204 No Content");
    let (_dir, path) = hooked(&receiver);
    let weir = start(&path, &["--workers", "2"]);
    let tags = flv::read(&clips::BASELINE.flv());
    for n in 0..8 {
        publish(&weir, &format!("cam{n}"), &tags);
    }
    // One is still there at the end of the program, which waits for its call.
    let mut last = Publisher::start(weir.rtmp, "last").unwrap();
    last.send_all(&tags[..4]).unwrap();
    assert!(weir.metric("weir_sessions_moved_total").unwrap() >= 1.0);
    weir.stop();
    for call in ["publish", "publish_done", "done"] {
        assert_eq!(receiver.count(call), 9, "{call}");
    }
}

#[test]
fn a_dead_or_silent_hook_refuses() {
    let _turn = heavy();
    // Bound and never accepted from: connections are made, and nobody answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let dead = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    for address in [silent.local_addr().unwrap(), dead] {
        let (_dir, path) = config(&format!(
            "open = true\n[hooks]\non_publish = \"http://{address}/\"\n\
             on_play = \"http://{address}/\"\ntimeout = \"500ms\"\n"
        ));
        let mut weir = start(&path, &[]);
        let clip = clips::BASELINE.flv();
        let mut ffmpeg = copy_to(tools::ffmpeg(), &clip, &weir.publish_url("cam"));
        let (status, log) = Process::spawn(&mut ffmpeg).finish(PUBLISH_WAIT);
        assert!(!status.success(), "ffmpeg thinks it published:\n{log}");
        // It is no fault of theirs, so however many come, they are not shut out.
        for _ in 0..20 {
            let refused = Publisher::start(weir.rtmp, "cam").unwrap_err();
            assert_eq!(refused.to_string(), "NetStream.Publish.Rejected");
        }
        assert!(weir.metric("weir_publish_refused_total{reason=\"hook_failed\"}") >= Some(21.0));
        // Nor is it the players': they may try again.
        assert_eq!(http::get(weir.http, "/cam/live.flv").status, 503);
        let mut player = Connection::open(weir.rtmp).unwrap();
        player.connect("live").unwrap();
        let refused = player.play("cam").unwrap_err();
        assert_eq!(refused.to_string(), "NetStream.Play.Failed");
        let failed = "weir_play_refused_total{reason=\"hook_failed\"}";
        assert_eq!(weir.metric(failed), Some(2.0));
        weir.assert_healthy();
        weir.stop();
    }
}

/// Over RTMP and HTTP-FLV a player is asked for and told of; a rename and a refusal hold for it.
#[test]
fn the_hook_decides_who_plays() {
    let _turn = heavy();
    let receiver = Receiver::start(|call| match (call.call(), call.field("name")) {
        ("play", Some("alias")) => "302 Found\r\nLocation: cam",
        ("play", _) if call.field("token") != Some("right") => "403 Forbidden",
        _ => "200 OK",
    });
    let url = receiver.url();
    let (_dir, path) = config(&format!(
        "open = true\n[hooks]\non_play = \"{url}\"\non_play_done = \"{url}\"\n"
    ));
    let weir = start(&path, &["--workers", "2"]);
    let live = live_to(
        tools::ffmpeg(),
        &clips::BASELINE.flv(),
        &weir.publish_url("cam"),
    );
    eventually(WAIT, "it is live", || {
        (weir.metric("weir_frames_total") > Some(20.0)).then_some(())
    });
    let play = |url: &str| {
        let mut ffmpeg = tools::ffmpeg();
        ffmpeg.args(["-i", url, "-t", "1", "-c", "copy", "-f", "null", "-"]);
        Process::spawn(&mut ffmpeg).finish(PUBLISH_WAIT)
    };
    let flv = |query: &str| weir.url(&format!("/cam/live.flv{query}"));
    for url in [
        weir.publish_url("cam?token=right"),
        weir.publish_url("alias"),
        flv("?token=right"),
    ] {
        let (status, log) = play(&url);
        assert!(status.success(), "{url}: {log}");
    }
    for url in [weir.publish_url("cam?token=wrong"), flv("")] {
        let (status, log) = play(&url);
        assert!(!status.success(), "it thinks it played {url}:\n{log}");
    }
    eventually(WAIT, "three players are told of", || {
        (receiver.count("play_done") == 3).then_some(())
    });
    assert_eq!(receiver.count("play"), 5, "{:#?}", receiver.calls());
    drop(live);
    weir.stop();
    assert_eq!(receiver.count("play_done"), 3);
}

/// Networks hold for every protocol.
#[test]
fn players_from_elsewhere_are_refused() {
    let _turn = heavy();
    let (_dir, path) = config(
        "open = true\n[access]\nplay_allow = \"10.0.0.0/8, ::1\"\n\
         publish_deny = \"192.0.2.0/24\"\n",
    );
    let weir = start(&path, &[]);
    let live = live_to(
        tools::ffmpeg(),
        &clips::BASELINE.flv(),
        &weir.publish_url("cam"),
    );
    eventually(WAIT, "it is live", || {
        (weir.metric("weir_segments_total") >= Some(1.0)).then_some(())
    });
    for path in ["/cam/manifest/video.m3u8", "/cam/live.flv"] {
        assert_eq!(http::get(weir.http, path).status, 403, "{path}");
    }
    let mut rtmpdump = tools::program("rtmpdump");
    rtmpdump.args(["-m", "10", "-B", "1", "-o", "/dev/null", "-r"]);
    rtmpdump.arg(weir.publish_url("cam"));
    let (status, log) = Process::spawn(&mut rtmpdump).finish(PUBLISH_WAIT);
    assert!(!status.success(), "rtmpdump thinks it played:\n{log}");
    drop(live);
    weir.stop();
}

/// What opened an input is known to weir and the encoder, and to nobody else.
#[test]
fn keys_stay_out_of_calls() {
    let _turn = heavy();
    let made = run(server::bare().args(["config", "key"]), WAIT);
    let words: Vec<&str> = made
        .lines()
        .filter_map(|l| l.split(' ').next_back())
        .collect();
    let [key, hash] = words[..] else {
        panic!("{made}");
    };
    let receiver = Receiver::start(|_| "200 OK");
    let (_dir, path) = config(&format!(
        "[[input]]\nname = \"studio\"\nkey_hash = \"{hash}\"\n[hooks]\non_publish = \"{}\"\n",
        receiver.url()
    ));
    let weir = start(&path, &[]);
    let clip = clips::BASELINE.flv();
    for path in [
        format!("live/{key}"),
        key.to_string(),
        format!("live/studio?user=me&key={key}"),
    ] {
        let url = format!("rtmp://{}/{path}", weir.rtmp);
        run(&mut copy_to(tools::ffmpeg(), &clip, &url), PUBLISH_WAIT);
    }
    let calls = receiver.calls();
    assert_eq!(calls.len(), 3);
    assert!(
        calls.iter().all(|c| c.field("name") == Some("studio")),
        "{calls:#?}"
    );
    assert_eq!(calls[2].field("user"), Some("me"));
    assert!(!format!("{calls:?}").contains(key), "{calls:#?}");
    // Whoever plays the address that they publish to has it in nobody's log.
    let mut player = Connection::open(weir.rtmp).unwrap();
    player.connect("live").unwrap();
    let refused = player.play(key).unwrap_err();
    assert_eq!(refused.to_string(), "NetStream.Play.StreamNotFound");
    assert_eq!(
        http::get(weir.http, &format!("/{key}/live.flv")).status,
        404
    );
    let log = weir.process.log();
    assert!(!log.contains(key) && log.contains("play refused"), "{log}");
    weir.stop();
}
