//! What a stream shows while nobody publishes.

use crate::support::{assert_decodes, live_to};
use protocol_tests::flv;
use protocol_tests::hls::Format;
use protocol_tests::process::Process;
use protocol_tests::server::Weir;
use protocol_tests::{clips, eventually, probe, tools};
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

const WAIT: Duration = Duration::from_secs(40);

fn with_slate(slate: &Path, more: &str, args: &[&str]) -> (Weir, TempDir) {
    let home = TempDir::new().unwrap();
    let config = home.path().join("weir.toml");
    let hash = "0".repeat(64);
    let text = format!(
        "[[input]]\nname = \"show\"\nkey_hash = \"sha256:{hash}\"\nslate = {slate:?}\n{more}\n"
    );
    std::fs::write(&config, text).unwrap();
    let args = [
        args,
        &["--segment", "2s", "--config", config.to_str().unwrap()],
    ]
    .concat();
    (Weir::start(&args), home)
}

/// Discontinuities of the video, each at the beginning of what was published or shown.
fn reaches(weir: &Weir, path: &str, discontinuities: usize) {
    eventually(WAIT, "the change is listed", || {
        (weir.media(path).discontinuities() >= discontinuities).then_some(())
    });
}

/// The stream goes over to the clip and back: one broadcast, one discontinuity each way, and
/// viewers of every kind stay. The clip has another size, frame rate and sampling rate.
#[test]
fn a_stream_goes_over_to_its_slate_and_back() {
    let (weir, home) = with_slate(&clips::PAL.flv(), "", &["--grace", "1s"]);
    let clip = clips::LONG.flv();
    let publisher = live_to(tools::ffmpeg(), &clip, &weir.publish_url("show"));
    let live = weir.live("show", Format::Cmaf);
    let path = &live.main;
    let saved = home.path().join("played.flv");
    let mut player = tools::ffmpeg();
    player.args(["-i", &weir.publish_url("show"), "-c", "copy"]);
    let mut player = Process::spawn(player.args(["-f", "flv"]).arg(&saved));
    eventually(WAIT, "it plays", || saved.exists().then_some(()));
    drop(publisher);
    reaches(&weir, path, 1);
    // More than the eight seconds that the clip has.
    let now = weir.media(path).last();
    let media = weir.reaches(path, now + 5, WAIT);
    assert_eq!(media.discontinuities(), 1, "{}", media.text);
    let publisher = live_to(tools::ffmpeg(), &clip, &weir.publish_url("show"));
    reaches(&weir, path, 2);
    let now = weir.media(path).last();
    weir.reaches(path, now + 3, WAIT);
    assert_eq!(weir.media(path).discontinuities(), 2);
    assert_eq!(
        weir.multivariant("show", Format::Cmaf).broadcast(),
        live.broadcast()
    );
    // Everything that was shown can be decoded, also over RTMP.
    let all = weir
        .download(&weir.multivariant("show", Format::Cmaf).main)
        .runs();
    assert_eq!(all.len(), 3);
    for run in all {
        let file = home.path().join("run.mp4");
        std::fs::write(&file, run).unwrap();
        assert_decodes(&file);
    }
    assert!(player.ended().is_none(), "{}", player.tail());
    player.terminate();
    player.finish(WAIT);
    let played = flv::read(&saved);
    let video: Vec<_> = flv::frames(&played, flv::VIDEO)
        .iter()
        .map(|tag| tag.timestamp)
        .collect();
    let longest = video.windows(2).map(|w| w[1] - w[0]).max();
    assert!(video.len() > 400, "{} pictures", video.len());
    assert!(longest < Some(6000), "{longest:?} ms without a picture");
    drop(publisher);
    weir.stop();
}

/// It ends after its time, and the stream with it; the clip's sound has no gaps.
#[test]
fn a_slate_has_an_end() {
    let (weir, _home) = with_slate(
        &clips::PAL.flv(),
        "slate_time = \"20s\"",
        &["--grace", "3s"],
    );
    let tags = flv::read(&clips::BASELINE.flv());
    crate::support::publish(&weir, "show", &tags);
    let ended = weir.ended("show", Format::Cmaf);
    let mut discontinuities = Vec::new();
    for path in ended.renditions() {
        discontinuities.push(weir.media(&path).discontinuities());
    }
    assert_eq!(discontinuities, [1, 1]);
    let packets: Vec<_> = ended
        .renditions()
        .iter()
        .flat_map(|path| weir.download(path).runs())
        .flat_map(|run| probe::packets_of(&run))
        .collect();
    let (video, audio) = crate::support::counts(&packets);
    let (own_video, own_audio) = crate::support::tag_counts(&tags);
    let shown = (video - own_video, audio - own_audio);
    assert!(
        (490..=500).contains(&shown.0),
        "{} pictures of 25 a second",
        shown.0
    );
    assert!(
        (855..=862).contains(&shown.1),
        "{} sounds of 43 a second",
        shown.1
    );
    assert_eq!(weir.metric("weir_streams"), Some(0.0));
    weir.stop();
}

#[test]
fn a_slate_that_is_none_is_named_at_the_start() {
    let home = TempDir::new().unwrap();
    let file = home.path().join("slate.flv");
    std::fs::write(&file, "no clip").unwrap();
    let config = home.path().join("weir.toml");
    let text = format!("[[pull]]\nname = \"a\"\nurl = \"rtmp://h/live/a\"\nslate = {file:?}\n");
    std::fs::write(&config, &text).unwrap();
    let args = ["serve", "--config", config.to_str().unwrap()].map(str::to_owned);
    let mut weir = protocol_tests::server::command(&args, home.path());
    let out = weir.output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(
        !out.status.success() && said.contains("slate.flv"),
        "{said}"
    );
    // Nor is there one where nobody publishes unless somebody watches.
    let text = text + "on_demand = true\n";
    std::fs::write(&config, text).unwrap();
    let mut weir = protocol_tests::server::bare();
    weir.args(["config", "check", "--config"]).arg(&config);
    let out = weir.output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(
        !out.status.success() && said.contains("on_demand"),
        "{said}"
    );
}
