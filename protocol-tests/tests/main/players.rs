//! Real players: Chromium with hls.js, mpv, VLC, ffmpeg.

use crate::support::{QUICK, live_to};
use protocol_tests::clips;
use protocol_tests::hls::Format;
use protocol_tests::process::{Process, run};
use protocol_tests::server::Weir;
use protocol_tests::site::Site;
use protocol_tests::turn::heavy;
use protocol_tests::{eventually, tools};
use serde_json::Value;
use std::process::Command;
use std::time::Duration;

/// Time for a player to start and play a few seconds on a busy machine.
const PLAY_WAIT: Duration = Duration::from_secs(90);

struct Show {
    weir: Weir,
    _publisher: Process,
}

/// A weir with a stream called `show`.
fn show() -> Show {
    let weir = Weir::start(&QUICK);
    let publisher = live_to(
        tools::ffmpeg(),
        &clips::MAIN.flv(),
        &weir.publish_url("show"),
    );
    weir.live("show", Format::Cmaf);
    Show {
        weir,
        _publisher: publisher,
    }
}

pub fn chromium(mode: &str, url: &str) -> Process {
    let mut node = tools::program("node");
    node.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/browser/play.mjs"));
    Process::spawn_group(node.arg(tools::node_modules()).args([mode, url, "3"]))
}

/// The event of this name among what the driver printed.
pub fn event(log: &str, name: &str) -> Option<Value> {
    let events = log
        .lines()
        .filter_map(|l| serde_json::from_str::<Value>(l).ok());
    events.into_iter().find(|e| e["event"] == name)
}

pub fn assert_played(log: &str) {
    let played = event(log, "played").unwrap_or_else(|| panic!("it did not play:\n{log}"));
    assert!(played["time"].as_f64().unwrap() > 3.0, "{log}");
    assert_eq!(played["width"], 1280, "{log}");
    assert!(played["frames"].as_u64().unwrap() > 60, "{log}");
    assert!(played["audioBytes"].as_u64().unwrap() > 10_000, "{log}");
    assert!(
        played["error"].is_null() && played["fatal"].is_null(),
        "{log}"
    );
}

fn played_by_hls_js(query: &str) {
    let _turn = heavy();
    let show = show();
    let site = Site::start();
    let source = show.weir.url(&format!("/show/manifest/video.m3u8{query}"));
    assert_played(&chromium("page", &site.page(&source)).succeed(PLAY_WAIT));
}

#[test]
fn chromium_plays_cmaf_from_another_origin() {
    played_by_hls_js("");
}

#[test]
fn chromium_plays_ts_from_another_origin() {
    played_by_hls_js("?format=ts");
}

#[test]
fn chromium_plays_parts_with_low_latency() {
    let _turn = heavy();
    let show = show();
    let site = Site::start();
    let source = "/show/manifest/video.m3u8?protocol=llhls";
    let page = site.page(&show.weir.url(source));
    let log = chromium("page", &page).succeed(PLAY_WAIT);
    assert_played(&log);
    let played = event(&log, "played").unwrap();
    // Of 3 s at least; without them hls.js stays three target durations behind, 6 s.
    assert!(played["parts"].as_u64().unwrap() >= 6, "{log}");
    assert!(played["latency"].as_f64().unwrap() < 4.0, "{log}");
}

#[test]
fn dash_js_plays() {
    let _turn = heavy();
    let show = show();
    let site = Site::start();
    let source = show.weir.url("/show/manifest/video.mpd");
    assert_played(&chromium("page", &site.dash_page(&source)).succeed(PLAY_WAIT));
}

#[test]
fn shaka_plays_dash_and_hls() {
    let _turn = heavy();
    let show = show();
    let site = Site::start();
    for path in [
        "/show/manifest/video.mpd",
        "/show/manifest/video.m3u8",
        "/show/manifest/video.m3u8?protocol=llhls",
    ] {
        let page = site.shaka_page(&show.weir.url(path));
        assert_played(&chromium("page", &page).succeed(PLAY_WAIT));
    }
}

#[test]
fn the_watch_page_says_when_nothing_is_live_and_plays_when_it_is() {
    let _turn = heavy();
    let weir = Weir::start(&QUICK);
    let browser = chromium("watch", &weir.url("/show/watch"));
    let message = eventually(Duration::from_secs(60), "the page has a message", || {
        event(&browser.log(), "message")
    });
    let text = message["text"].as_str().unwrap().to_lowercase();
    assert!(text.contains("nothing is live"), "{text}");
    let _publisher = live_to(
        tools::ffmpeg(),
        &clips::MAIN.flv(),
        &weir.publish_url("show"),
    );
    let log = browser.succeed(PLAY_WAIT);
    assert_played(&log);
    assert_eq!(
        event(&log, "played").unwrap()["status"],
        "",
        "the message goes:\n{log}"
    );
}

#[test]
fn mpv_plays() {
    let _turn = heavy();
    let show = show();
    for query in ["", "?format=ts"] {
        let url = show.weir.url(&format!("/show/manifest/video.m3u8{query}"));
        let mut mpv = tools::program("mpv");
        mpv.args(["--no-config", "--vo=null", "--ao=null", "--length=3"]);
        mpv.arg("--term-status-msg=t=${time-pos} ${width}x${height} ${audio-codec-name}");
        let log = run(mpv.arg(&url), PLAY_WAIT);
        assert!(log.contains("1280x720 aac"), "{url}:\n{log}");
        assert!(!log.contains("rror"), "{url}:\n{log}");
    }
}

#[test]
fn vlc_plays() {
    let _turn = heavy();
    let show = show();
    for query in ["", "?format=ts"] {
        let url = show.weir.url(&format!("/show/manifest/video.m3u8{query}"));
        let log = run(&mut vlc(&url), PLAY_WAIT);
        let says = |words: [&str; 2]| log.lines().any(|l| words.iter().all(|w| l.contains(w)));
        assert!(says(["codec (h264)", "started"]), "{url}:\n{log}");
        assert!(says(["decoder", "Received first picture"]), "{url}:\n{log}");
        assert!(says(["using audio decoder module", "\""]), "{url}:\n{log}");
    }
}

/// VLC refuses to run as root.
pub fn vlc(url: &str) -> Command {
    let home = std::env::temp_dir();
    let mut vlc = if tools::is_root() {
        let mut runuser = tools::program("runuser");
        runuser
            .args(["-u", "nobody", "--", "env"])
            .arg(format!("HOME={}", home.display()));
        runuser.arg(tools::program("cvlc").get_program());
        runuser
    } else {
        tools::program("cvlc")
    };
    vlc.args([
        "-vv",
        "--run-time=5",
        "--aout=dummy",
        "--vout=dummy",
        "--play-and-exit",
    ]);
    vlc.args([url, "vlc://quit"]);
    vlc
}

#[test]
fn ffmpeg_plays() {
    let _turn = heavy();
    let show = show();
    for query in ["", "?format=ts"] {
        for mut ffmpeg in [tools::ffmpeg(), tools::ffmpeg9()] {
            let url = show.weir.url(&format!("/show/manifest/video.m3u8{query}"));
            ffmpeg.args(["-i", &url, "-t", "3", "-stats", "-f", "null", "-"]);
            let log = run(&mut ffmpeg, PLAY_WAIT);
            let frames = log
                .rsplit("frame=")
                .next()
                .and_then(|l| l.split_whitespace().next());
            let frames: u32 = frames.and_then(|n| n.parse().ok()).unwrap_or(0);
            assert!(frames >= 88, "{frames} frames of {url}:\n{log}");
            assert!(!log.to_lowercase().contains("error"), "{url}:\n{log}");
        }
    }
}
