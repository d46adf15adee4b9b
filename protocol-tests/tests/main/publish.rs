//! Real publishers, and what they are told when they may not.

use crate::support::{
    PUBLISH_WAIT, QUICK, cmaf_packets, copy_to, counts, publish, tag_counts, ts_packets,
};
use protocol_tests::flv;
use protocol_tests::hls::Format;
use protocol_tests::process::{Process, run};
use protocol_tests::rtmp::Publisher;
use protocol_tests::server::{self, Weir};
use protocol_tests::turn::heavy;
use protocol_tests::{clips, tools};
use std::process::Command;
use std::time::Duration;

fn published_by(ffmpeg: Command) {
    let _turn = heavy();
    let clip = clips::MAIN.flv();
    let weir = Weir::start(&QUICK);
    run(
        &mut copy_to(ffmpeg, &clip, &weir.publish_url("show")),
        PUBLISH_WAIT,
    );
    let sent = tag_counts(&flv::read(&clip));
    assert_eq!(counts(&cmaf_packets(&weir, "show")), sent);
    assert_eq!(counts(&ts_packets(&weir, "show")), sent);
    weir.stop();
}

#[test]
fn ffmpeg_5_publishes() {
    published_by(tools::ffmpeg());
}

#[test]
fn ffmpeg_9_publishes() {
    published_by(tools::ffmpeg9());
}

fn gstreamer(sink: &str, url: &str) -> Command {
    let pipeline = format!(
        "videotestsrc num-buffers=125 is-live=true \
         ! video/x-raw,format=I420,width=640,height=360,framerate=25/1 \
         ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=50 ! h264parse \
         ! flvmux streamable=true name=m ! {sink} location={url} \
         audiotestsrc num-buffers=215 is-live=true ! audio/x-raw,rate=44100 \
         ! voaacenc ! aacparse ! m."
    );
    let mut gst = tools::program("gst-launch-1.0");
    gst.args(["-e", "-q"]).args(pipeline.split_whitespace());
    gst
}

fn published_by_gstreamer(sink: &str) {
    let _turn = heavy();
    let weir = Weir::start(&QUICK);
    run(
        &mut gstreamer(sink, &weir.publish_url("show")),
        PUBLISH_WAIT,
    );
    let (video, audio) = counts(&cmaf_packets(&weir, "show"));
    assert_eq!(video, 125);
    // 215 buffers of 1024 samples; the encoder keeps or adds a frame at either end.
    assert!((210..=218).contains(&audio), "{audio} audio frames");
    assert_eq!(counts(&ts_packets(&weir, "show")), (video, audio));
    weir.stop();
}

#[test]
fn gstreamer_rtmp2sink_publishes() {
    published_by_gstreamer("rtmp2sink");
}

/// `rtmpsink` is librtmp.
#[test]
fn librtmp_publishes() {
    published_by_gstreamer("rtmpsink");
}

/// Our client sends what OBS sends, in OBS's order.
#[test]
fn the_obs_sequence_publishes() {
    let _turn = heavy();
    let weir = Weir::start(&QUICK);
    let tags = flv::read(&clips::PAL.flv());
    publish(&weir, "show", &tags);
    assert_eq!(counts(&cmaf_packets(&weir, "show")), tag_counts(&tags));
    // A second session of the same encoder, with a query behind the key.
    publish(&weir, "other?user=me", &tags);
    assert_eq!(counts(&cmaf_packets(&weir, "other")), tag_counts(&tags));
    weir.stop();
}

/// Publishes from `start` on, and expects the clip's eight seconds.
fn published_from(start: u32) {
    let _turn = heavy();
    let weir = Weir::start(&QUICK);
    let mut tags = flv::read(&clips::PAL.flv());
    for tag in &mut tags {
        tag.timestamp = tag.timestamp.wrapping_add(start);
    }
    publish(&weir, "show", &tags);
    let packets = cmaf_packets(&weir, "show");
    assert_eq!(counts(&packets), tag_counts(&tags));
    let video: Vec<_> = packets.iter().filter(|p| p.video).collect();
    let span = video.last().unwrap().seconds() - video[0].seconds();
    assert!((7.8..8.1).contains(&span), "8 s became {span} s");
    let multivariant = weir.ended("show", Format::Cmaf);
    assert_eq!(weir.media(&multivariant.main).discontinuities(), 0);
}

/// After 4 h 39 min of streaming every header carries an extended timestamp.
#[test]
fn extended_timestamps_are_followed() {
    published_from(0xff_ffff - 3000);
}

/// After 49 days of streaming the clock begins again.
#[test]
fn the_clock_may_wrap() {
    published_from(u32::MAX - 3000);
}

struct Keyed {
    weir: Weir,
    key: String,
    _dir: tempfile::TempDir,
}

/// A weir with one input called `studio`.
fn keyed() -> Keyed {
    let dir = tempfile::tempdir().unwrap();
    let made = run(
        server::bare().args(["config", "key"]),
        Duration::from_secs(10),
    );
    let word = |prefix: &str| {
        let line = made
            .lines()
            .find(|l| l.contains(prefix))
            .expect("the command prints both");
        line.split_whitespace().last().unwrap().to_string()
    };
    let (key, hash) = (word("stream key"), word("key_hash"));
    assert!(hash.starts_with("sha256:"), "{made}");
    let config = dir.path().join("weir.toml");
    let text = format!("[[input]]\nname = \"studio\"\nkey_hash = \"{hash}\"\n");
    std::fs::write(&config, text).unwrap();
    let mut args = vec!["serve", "--config", config.to_str().unwrap()];
    args.extend(QUICK);
    Keyed {
        weir: Weir::start_as(&args),
        key,
        _dir: dir,
    }
}

#[test]
fn the_right_key_publishes_its_input() {
    let _turn = heavy();
    let Keyed { weir, key, .. } = &keyed();
    let clip = clips::BASELINE.flv();
    run(
        &mut copy_to(tools::ffmpeg(), &clip, &weir.publish_url(key)),
        PUBLISH_WAIT,
    );
    let sent = tag_counts(&flv::read(&clip));
    assert_eq!(counts(&cmaf_packets(weir, "studio")), sent);
    assert_eq!(
        weir.manifest(key, Format::Cmaf).status,
        404,
        "the key is no name"
    );
    assert!(
        !weir.process.log().contains(key.as_str()),
        "the key is in the log"
    );
}

#[test]
fn a_wrong_key_is_refused_in_words_encoders_know() {
    let _turn = heavy();
    let Keyed { weir, .. } = &keyed();
    let refused = Publisher::start(weir.rtmp, "guess").unwrap_err();
    assert_eq!(refused.to_string(), "NetStream.Publish.BadName");
    let by_name = Publisher::start(weir.rtmp, "studio").unwrap_err();
    assert_eq!(by_name.to_string(), "NetStream.Publish.BadName");
    let clip = clips::BASELINE.flv();
    for ffmpeg in [tools::ffmpeg(), tools::ffmpeg9()] {
        let mut command = copy_to(ffmpeg, &clip, &weir.publish_url("guess"));
        let (status, log) = Process::spawn(&mut command).finish(PUBLISH_WAIT);
        assert!(!status.success(), "ffmpeg thinks it published:\n{log}");
    }
    for sink in ["rtmp2sink", "rtmpsink"] {
        let mut command = gstreamer(sink, &weir.publish_url("guess"));
        let (status, log) = Process::spawn(&mut command).finish(PUBLISH_WAIT);
        assert!(!status.success(), "{sink} thinks it published:\n{log}");
    }
    assert_eq!(weir.manifest("guess", Format::Cmaf).status, 404);
    assert!(weir.metric("weir_publish_refused_total").unwrap_or(0.0) >= 6.0);
}

#[test]
fn a_name_that_could_be_a_path_is_refused() {
    let weir = Weir::start(&QUICK);
    let long = "x".repeat(4096);
    for name in [
        "../../../tmp/x",
        "..",
        ".",
        "s",
        "a/b/c",
        "a\0b",
        "a b",
        long.as_str(),
    ] {
        let refused = Publisher::start(weir.rtmp, name).err();
        let code = refused.map(|e| e.to_string());
        assert_eq!(
            code.as_deref(),
            Some("NetStream.Publish.BadName"),
            "{name:?}"
        );
    }
    let streams = std::fs::read_dir(weir.data.join("streams"));
    assert_eq!(
        streams.map_or(0, Iterator::count),
        0,
        "nothing was made on disk"
    );
}

#[test]
fn playing_over_rtmp_is_refused_and_does_not_hang() {
    let _turn = heavy();
    let weir = Weir::start(&QUICK);
    let url = weir.publish_url("show");
    let mut rtmpdump = tools::program("rtmpdump");
    rtmpdump.args(["-v", "-m", "10", "-r", &url, "-o", "/dev/null"]);
    let (status, log) = Process::spawn(&mut rtmpdump).finish(Duration::from_secs(30));
    assert!(!status.success(), "rtmpdump thinks it played:\n{log}");
}
