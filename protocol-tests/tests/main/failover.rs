//! Streams with several inputs: one fails, another is shown.

use crate::support::live_to;
use protocol_tests::flv::{self, Tag};
use protocol_tests::hls::{Format, Multivariant};
use protocol_tests::http;
use protocol_tests::process::Process;
use protocol_tests::rtmp::{Background, Publisher};
use protocol_tests::server::Weir;
use protocol_tests::turn::heavy;
use protocol_tests::{clips, eventually, tools};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tempfile::TempDir;

const WAIT: Duration = Duration::from_secs(40);

/// A weir whose stream `show` has other inputs, and what else `more` says.
fn weir(rules: &str, more: &str) -> (Weir, TempDir) {
    let home = TempDir::new().unwrap();
    let config = home.path().join("weir.toml");
    let hash = format!("sha256:{}", "0".repeat(64));
    let input = format!("[[input]]\nname = \"show\"\nkey_hash = \"{hash}\"\n");
    let text =
        format!("private_targets = \"127.0.0.0/8\"\n{input}failover = {{ {rules} }}\n{more}");
    std::fs::write(&config, text).unwrap();
    let config = config.to_str().unwrap();
    let weir = Weir::start(&["--segment", "1s", "--window", "60s", "--config", config]);
    (weir, home)
}

fn inputs(weir: &Weir) -> Value {
    let answer = http::get(weir.api, "/streams/show/inputs");
    assert_eq!(answer.status, 200);
    serde_json::from_slice(&answer.body).unwrap()
}

fn shown(weir: &Weir) -> Option<String> {
    let inputs = inputs(weir);
    let mut all = inputs["inputs"].as_array().unwrap().iter();
    let shown = all.find(|i| i["shown"] == true)?;
    Some(shown["name"].as_str().unwrap().to_owned())
}

fn shows(weir: &Weir, name: &str) {
    eventually(WAIT, &format!("{name} is shown"), || {
        (shown(weir).as_deref() == Some(name)).then_some(())
    });
}

/// Discontinuities that each of the stream's playlists lists, once it has gone on by four
/// segments.
fn discontinuities(weir: &Weir, live: &Multivariant) -> Vec<usize> {
    let renditions = live.renditions().into_iter();
    let renditions = renditions.chain([weir.multivariant("show", Format::Ts).main]);
    renditions
        .map(|path| {
            let now = weir.media(&path).last();
            weir.reaches(&path, now + 4, WAIT).discontinuities()
        })
        .collect()
}

/// Asks for a playlist over and over.
struct Viewer {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Viewer {
    fn of(weir: &Weir, live: &Multivariant) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, addr, path) = (stop.clone(), weir.http, live.main.clone());
        let watch = move || {
            while !stopped.load(Ordering::Relaxed) {
                assert_eq!(http::get(addr, &path).status, 200);
                assert_eq!(http::get(addr, "/show/manifest/video.m3u8").status, 200);
                std::thread::sleep(Duration::from_millis(50));
            }
        };
        Self {
            stop,
            thread: Some(std::thread::spawn(watch)),
        }
    }

    fn saw_it_all(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

/// Reads `/show/live.flv` until it ends.
fn flv_player(weir: &Weir) -> Process {
    let mut ffmpeg = tools::ffmpeg();
    ffmpeg.args([
        "-i",
        &weir.url("/show/live.flv"),
        "-c",
        "copy",
        "-f",
        "null",
        "-",
    ]);
    Process::spawn(&mut ffmpeg)
}

#[test]
fn a_backup_takes_over_and_the_primary_comes_back() {
    let _turn = heavy();
    let rules = "inputs = [\"spare\"], loss = \"1s\", back = \"stable\", stable = \"3s\"";
    let (weir, _home) = weir(rules, "");
    let publish =
        |clip: clips::Clip, name| live_to(tools::ffmpeg(), &clip.flv(), &weir.publish_url(name));
    let mut primary = publish(clips::LONG, "show");
    let live = weir.live("show", Format::Cmaf);
    let _spare = publish(clips::SMALL, "spare");
    eventually(WAIT, "the spare one is healthy", || {
        (inputs(&weir)["inputs"][1]["state"] == "healthy").then_some(())
    });
    assert_eq!(shown(&weir).as_deref(), Some("show"));
    assert_eq!(weir.manifest("spare", Format::Cmaf).status, 404);
    let (viewer, mut player) = (Viewer::of(&weir, &live), flv_player(&weir));
    primary.kill();
    shows(&weir, "spare");
    let told = inputs(&weir);
    assert_eq!(
        (&told["reason"], &told["switches"]),
        (&"lost".into(), &2.into())
    );
    assert_eq!(told["inputs"][0]["state"], "absent");
    assert_eq!(discontinuities(&weir, &live), [1, 1, 1]);
    let _primary = publish(clips::LONG, "show");
    shows(&weir, "show");
    assert_eq!(inputs(&weir)["reason"], "preferred");
    assert_eq!(discontinuities(&weir, &live), [2, 2, 2]);
    viewer.saw_it_all();
    assert!(player.ended().is_none(), "{}", player.log());
    for (reason, count) in [("begin", 1.0), ("lost", 1.0), ("preferred", 1.0)] {
        let name = format!("weir_input_switches_total{{reason=\"{reason}\"}}");
        assert_eq!(weir.metric(&name), Some(count));
    }
    let healthy = "weir_input_healthy{stream=\"show\",input=\"spare\"}";
    assert_eq!(weir.metric(healthy), Some(1.0));
    assert!(weir.process.log().contains("another input is shown"));
}

/// A primary that stays connected and is silent, and a pull as backup.
#[test]
fn a_silent_primary_makes_way_for_a_pull() {
    let _turn = heavy();
    let origin = Weir::start(&["--segment", "1s"]);
    let _far = live_to(
        tools::ffmpeg(),
        &clips::LONG.flv(),
        &origin.publish_url("far"),
    );
    origin.live("far", Format::Cmaf);
    let pull = format!(
        "[[pull]]\nname = \"spare\"\nurl = {:?}\n",
        origin.publish_url("far")
    );
    let rules = "inputs = [\"spare\"], loss = \"1s\", back = \"never\"";
    let (weir, _home) = weir(rules, &pull);
    // Alone, the pull is shown after a while.
    shows(&weir, "spare");
    let live = weir.live("show", Format::Cmaf);
    let primary = live_to(
        tools::ffmpeg(),
        &clips::LONG.flv(),
        &weir.publish_url("show"),
    );
    eventually(WAIT, "the primary is healthy", || {
        (inputs(&weir)["inputs"][0]["state"] == "healthy").then_some(())
    });
    assert_eq!(
        shown(&weir).as_deref(),
        Some("spare"),
        "it never comes back by itself"
    );
    drop(_far);
    shows(&weir, "show");
    assert_eq!(discontinuities(&weir, &live), [1, 1, 1]);
    primary.signal("STOP");
    let again = live_to(
        tools::ffmpeg(),
        &clips::LONG.flv(),
        &origin.publish_url("far"),
    );
    shows(&weir, "spare");
    assert_eq!(inputs(&weir)["reason"], "lost");
    assert_eq!(inputs(&weir)["inputs"][0]["state"], "lost");
    primary.signal("CONT");
    drop(again);
}

/// Tags of the long clip, with an edit of those after four seconds.
fn tags(edit: impl Fn(&Tag) -> Option<Tag>) -> Vec<Tag> {
    let all = flv::read(&clips::LONG.flv());
    let all = all.iter().map(|tag| match tag.timestamp < 4000 {
        true => Some(tag.clone()),
        false => edit(tag),
    });
    all.flatten().collect()
}

#[test]
fn missing_audio_makes_way() {
    let _turn = heavy();
    let rules = "inputs = [\"spare\"], missing = \"1s\", back = \"at_once\"";
    let (weir, _home) = weir(rules, "");
    let silent = tags(|tag| (tag.kind != flv::AUDIO).then(|| tag.clone()));
    let _primary = Background::start(weir.rtmp, "show", silent);
    let live = weir.live("show", Format::Cmaf);
    let _spare = Background::start(weir.rtmp, "spare", tags(|tag| Some(tag.clone())));
    shows(&weir, "spare");
    let told = inputs(&weir);
    assert_eq!(told["reason"], "no_audio");
    assert_eq!(told["inputs"][0]["state"], "no_audio");
    assert_eq!(discontinuities(&weir, &live), [1, 1, 1]);
}

#[test]
fn frozen_times_make_way() {
    let _turn = heavy();
    let rules = "inputs = [\"spare\"], frozen = \"1s\"";
    let (weir, _home) = weir(rules, "");
    let mut publisher = Publisher::start(weir.rtmp, "show").unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let freezes = std::thread::spawn(move || {
        let all = flv::read(&clips::LONG.flv());
        let (before, after) = all.split_at(all.partition_point(|t| t.timestamp < 4000));
        publisher.send_paced(before).unwrap();
        for tag in after
            .iter()
            .take_while(|_| !stopped.load(Ordering::Relaxed))
        {
            let timestamp = 4000;
            let sent = publisher.send(&Tag {
                timestamp,
                ..tag.clone()
            });
            sent.unwrap();
            std::thread::sleep(Duration::from_millis(15));
        }
    });
    let live = weir.live("show", Format::Cmaf);
    let spare = tags(|tag| Some(tag.clone()));
    let _spare = Background::start(weir.rtmp, "spare", spare);
    shows(&weir, "spare");
    let told = inputs(&weir);
    assert_eq!(told["reason"], "frozen");
    assert_eq!(told["inputs"][0]["state"], "frozen");
    let found = discontinuities(&weir, &live);
    stop.store(true, Ordering::Relaxed);
    freezes.join().unwrap();
    assert_eq!(found, [1, 1, 1]);
}
