//! Real files: those that `WEIR_MEDIA` names, and our own clips.

use crate::support::{counts, tag_counts};
use protocol_tests::flv::{self, Tag};
use protocol_tests::hls::Format;
use protocol_tests::mp4;
use protocol_tests::process::Process;
use protocol_tests::rtmp::Publisher;
use protocol_tests::server::{self, Weir};
use protocol_tests::turn::heavy;
use protocol_tests::{clips, probe, tools};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Files to try, our own clips first.
fn files() -> Vec<PathBuf> {
    let mut files = vec![clips::MAIN.flv(), clips::AUDIO_ONLY.flv()];
    if let Some(dir) = std::env::var_os("WEIR_MEDIA") {
        let entries = std::fs::read_dir(&dir).expect("WEIR_MEDIA names a directory");
        let mut found: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).collect();
        found.sort();
        files.extend(found);
    } else {
        eprintln!("WEIR_MEDIA is not set: only our own clips are tried");
    }
    let known = ["flv", "mp4", "mov", "m4a"];
    files.retain(|f| f.extension().is_some_and(|e| known.iter().any(|k| e == *k)));
    files
}

fn name(path: &Path) -> String {
    path.file_stem().unwrap().to_string_lossy().into_owned()
}

/// The file as FLV tags, if ffmpeg can copy it there and FLV has names for its codecs.
fn as_flv(path: &Path, dir: &Path) -> Option<Vec<Tag>> {
    let supported = |s: &serde_json::Value| {
        let codec = s["codec_name"].as_str().unwrap_or_default().to_string();
        match s["codec_type"].as_str() {
            Some("video") => codec == "h264",
            Some("audio") => codec == "aac",
            _ => true,
        }
    };
    let streams = probe::streams(path);
    if streams.is_empty() || !streams.iter().all(supported) {
        return None;
    }
    let flv = dir.join(name(path) + ".flv");
    let mut ffmpeg = tools::ffmpeg();
    ffmpeg
        .arg("-i")
        .arg(path)
        .args(["-map", "0:v:0?", "-map", "0:a:0?", "-c", "copy"])
        .arg(&flv);
    let (status, _) = Process::spawn(&mut ffmpeg).finish(Duration::from_secs(60));
    let tags = status.success().then(|| flv::read(&flv))?;
    (tag_counts(&tags) != (0, 0)).then_some(tags)
}

#[test]
fn every_real_file_comes_out_with_all_its_frames() {
    let _turn = heavy();
    let dir = tempfile::tempdir().unwrap();
    let mut weir = Weir::start(&["--segment", "2s", "--grace", "2s"]);
    let mut published = Vec::new();
    let mut wrong = Vec::new();
    for path in files() {
        let Some(tags) = as_flv(&path, dir.path()) else {
            continue;
        };
        let name = name(&path);
        let sent = Publisher::start(weir.rtmp, &name).and_then(|mut publisher| {
            publisher.send_all(&tags)?;
            publisher.finish();
            Ok(())
        });
        match sent {
            Ok(()) => published.push((name, first_key_on(&tags))),
            Err(e) => wrong.push(format!("{name}: {e}")),
        }
        weir.assert_healthy();
    }
    for (name, expected) in &published {
        let found = std::panic::catch_unwind(|| (in_cmaf(&weir, name), in_ts(&weir, name)));
        match found {
            Ok((cmaf, ts)) if cmaf == *expected && (ts == *expected || holds_start_codes(name)) => {
            }
            Ok((cmaf, ts)) => {
                wrong.push(format!(
                    "{name}: {expected:?} became {cmaf:?} in CMAF, {ts:?} in TS"
                ));
            }
            Err(e) => {
                let text = e.downcast_ref::<String>().cloned().unwrap_or_default();
                wrong.push(format!("{name}: {text}"));
            }
        }
    }
    assert!(published.len() >= 2);
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        published.len(),
        wrong.join("\n")
    );
    weir.assert_healthy();
}

/// Video and audio samples in the segments of an ended broadcast.
fn in_cmaf(weir: &Weir, name: &str) -> (usize, usize) {
    let multivariant = weir.ended(name, Format::Cmaf);
    let codecs = multivariant.playlist.variants[0]
        .codecs
        .clone()
        .unwrap_or_default();
    let samples = |path: &String| -> usize {
        let download = weir.download(path);
        download
            .segments
            .iter()
            .map(|(_, bytes)| mp4::samples(bytes).len())
            .sum()
    };
    let main = samples(&multivariant.main);
    match &multivariant.audio {
        Some(audio) => (main, samples(audio)),
        None if codecs.contains("mp4a") => (0, main),
        None => (main, 0),
    }
}

/// The same from TS. The payload may be broken, which was the publisher's choice.
fn in_ts(weir: &Weir, name: &str) -> (usize, usize) {
    let dir = tempfile::tempdir().unwrap();
    let download = weir.download(&weir.ended(name, Format::Ts).main);
    counts(&probe::packets_and_complaints(&download.write(dir.path(), "all.ts")).0)
}

/// Whether a clip's own frames hold start codes, so that a TS reader sees more of them.
fn holds_start_codes(name: &str) -> bool {
    name == "h264-annexb-in-mp4"
}

/// Frames that a publisher without an AAC configuration sends before one is made up for it.
const AUDIO_BEFORE_CONFIG: usize = 7;

/// Frames that can be shown: video from its first keyframe on, and audio from half a second
/// before that on.
fn first_key_on(tags: &[Tag]) -> (usize, usize) {
    let video = flv::frames(tags, flv::VIDEO);
    let shown = video.iter().skip_while(|t| !t.is_key());
    let from = shown
        .clone()
        .next()
        .map_or(0, |key| key.timestamp.saturating_sub(500));
    let audio = flv::frames(tags, flv::AUDIO)
        .into_iter()
        .filter(|t| t.timestamp >= from);
    let empty_header = |t: &&Tag| t.kind == flv::AUDIO && t.is_header() && t.body.len() == 2;
    let unconfigured = usize::from(tags.iter().any(|t| empty_header(&t)));
    (
        shown.count(),
        audio.count() - unconfigured * AUDIO_BEFORE_CONFIG,
    )
}

/// Files with codecs that this version does not take: refused, or served without that track.
#[test]
fn other_codecs_do_no_harm() {
    let _turn = heavy();
    let mut weir = Weir::start(&["--segment", "2s", "--grace", "1s"]);
    let dir = tempfile::tempdir().unwrap();
    for path in files() {
        if as_flv(&path, dir.path()).is_some() {
            continue;
        }
        let url = weir.publish_url(&name(&path));
        let mut ffmpeg = tools::ffmpeg9();
        ffmpeg
            .arg("-i")
            .arg(&path)
            .args(["-c", "copy", "-f", "flv", &url]);
        // Whether it succeeds is ffmpeg's and the file's business.
        Process::spawn(&mut ffmpeg).finish(Duration::from_secs(60));
        weir.assert_healthy();
    }
    // MP3 has no place in our audio group yet; the video beside it does.
    let main = clips::BASELINE.flv();
    let url = weir.publish_url("mp3");
    let mut ffmpeg = tools::ffmpeg();
    ffmpeg
        .arg("-i")
        .arg(&main)
        .args(["-c:v", "copy", "-c:a", "mp3", "-ar", "44100"]);
    protocol_tests::process::run(ffmpeg.args(["-f", "flv", &url]), Duration::from_secs(60));
    let video = tag_counts(&flv::read(&main)).0;
    let multivariant = weir.ended("mp3", Format::Cmaf);
    assert_eq!(
        counts(&weir.download(&multivariant.main).packets()),
        (video, 0)
    );
    weir.assert_healthy();
}

#[test]
fn probe_reads_every_file_or_says_why_not() {
    for path in files() {
        let mut command = server::bare();
        let (status, text) =
            Process::spawn(command.arg("probe").arg(&path)).finish(Duration::from_secs(30));
        let shown = path.display();
        assert!(
            status.code().is_some(),
            "probe of {shown} died: {status}\n{text}"
        );
        assert!(!text.contains("panicked"), "{shown}:\n{text}");
        assert!(!text.trim().is_empty(), "probe of {shown} says nothing");
        let lower = text.to_lowercase();
        let broken = name(&path).starts_with("broken-");
        if broken {
            let found = ["fault", "error", "cannot", "truncated"]
                .iter()
                .any(|w| lower.contains(w));
            assert!(
                !status.success() || found,
                "{shown} is broken, but:\n{text}"
            );
        } else {
            let codecs = probe::streams(&path);
            let h264 = codecs.iter().any(|s| s["codec_name"] == "h264");
            assert!(
                !h264 || lower.contains("avc1") || lower.contains("h.264"),
                "{shown}:\n{text}"
            );
        }
    }
}

#[test]
fn probe_reads_a_playlist() {
    let _turn = heavy();
    let weir = Weir::start(&["--segment", "2s", "--grace", "1s"]);
    crate::support::publish(&weir, "clip", &flv::read(&clips::BASELINE.flv()));
    weir.ended("clip", Format::Cmaf);
    let url = weir.url("/clip/manifest/video.m3u8");
    let mut command = server::bare();
    let text = Process::spawn(command.args(["probe", &url])).succeed(Duration::from_secs(30));
    assert!(text.contains("avc1") || text.contains("H.264"), "{text}");
    let missing = weir.url("/nobody/manifest/video.m3u8");
    let mut command = server::bare();
    let (status, text) =
        Process::spawn(command.args(["probe", &missing])).finish(Duration::from_secs(30));
    assert!(!status.success() && text.contains("404"), "{text}");
}
