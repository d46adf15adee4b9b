//! What the doctor says of real encoders, well and badly set.

use crate::support::QUICK;
use protocol_tests::process::Process;
use protocol_tests::server::Weir;
use protocol_tests::turn::heavy;
use protocol_tests::{eventually, http, tools};
use serde_json::Value;
use std::process::Command;
use std::time::Duration;

const WAIT: Duration = Duration::from_secs(60);

/// A small picture and a tone in real time, well set but for `more`, which the encoder takes last.
fn encoder(input: &[&str], more: &[&str], url: &str) -> Process {
    let mut ffmpeg: Command = tools::ffmpeg();
    ffmpeg.args(input);
    ffmpeg.args(["-f", "lavfi", "-i", "testsrc=s=160x90:r=25"]);
    ffmpeg.args(input);
    ffmpeg.args(["-f", "lavfi", "-i", "sine=r=48000"]);
    ffmpeg.args("-c:v libx264 -preset ultrafast -g 50 -sc_threshold 0 -bf 0".split(' '));
    ffmpeg.args("-b:v 300k -maxrate 300k -bufsize 300k -c:a aac -b:a 64k".split(' '));
    Process::spawn(ffmpeg.args(more).args(["-f", "flv", url]))
}

fn health(weir: &Weir, name: &str) -> Value {
    let answer = http::get(weir.api, &format!("/streams/{name}/health"));
    serde_json::from_slice(&answer.body).unwrap_or_default()
}

fn findings(health: &Value) -> Vec<String> {
    let list = health["findings"].as_array().cloned().unwrap_or_default();
    let name = |f: &Value| f["finding"].as_str().unwrap().to_string();
    list.iter().map(name).collect()
}

#[test]
fn badly_set_encoders_are_told_what_to_do() {
    let _turn = heavy();
    let weir = Weir::start(&QUICK);
    let real_time = ["-re"];
    let bad = [
        (
            "gop",
            "keyframe_distance",
            &real_time[..],
            &["-g", "600"][..],
        ),
        (
            "order",
            "b_frames",
            &real_time,
            &["-bf", "3", "-b_strategy", "0"],
        ),
        ("slow", "upload_slow", &["-readrate", "0.5"], &[]),
        ("fast", "upload_fast", &["-readrate", "3"], &[]),
        ("mute", "", &real_time, &["-an"]),
    ];
    let mut running = vec![encoder(&real_time, &[], &weir.publish_url("well"))];
    for (name, _, input, more) in bad {
        running.push(encoder(input, more, &weir.publish_url(name)));
    }
    for (name, want, ..) in bad.into_iter().filter(|(_, want, ..)| !want.is_empty()) {
        let found = eventually(WAIT, want, || {
            let health = health(&weir, name);
            findings(&health)
                .contains(&want.to_string())
                .then_some(health)
        });
        let list = found["findings"].as_array().unwrap();
        let finding = list.iter().find(|f| f["finding"] == want).unwrap();
        assert!(finding["advice"].as_str().unwrap().len() > 20, "{finding}");
        assert!(finding["value"].is_number(), "{finding}");
        let label = format!("weir_stream_findings{{finding=\"{want}\"}}");
        assert!(weir.metric(&label) >= Some(1.0), "{label}");
        assert!(
            weir.process.log().contains(want),
            "{want} is not in the log"
        );
    }
    // Well set, they have no finding, or none but of a machine that is too slow for the test.
    let slow = ["upload_slow", "frame_rate", "av_skew"];
    for name in ["well", "mute"] {
        let health = eventually(WAIT, "a whole window", || {
            let health = health(&weir, name);
            health["frame_rate"].is_number().then_some(health)
        });
        let found = findings(&health);
        assert!(
            found.iter().all(|f| slow.contains(&f.as_str())),
            "{name}: {health:#}"
        );
        assert_eq!(health["publishing"], true);
        assert_eq!(health["keyframe_distance"], 2.0, "{health:#}");
    }
    drop(running);
    assert_eq!(http::get(weir.api, "/streams/none/health").status, 404);
    weir.stop();
}
