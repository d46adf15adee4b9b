//! The harness against witnesses of its own: what it sends and reads is what others do.

use crate::support::{counts, tag_counts};
use protocol_tests::process::Process;
use protocol_tests::rtmp::Publisher;
use protocol_tests::{clips, eventually, flv, probe, tools, ts};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

#[test]
fn our_publisher_is_understood_by_ffmpeg() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out.flv");
    let clip = clips::BASELINE.flv();
    let tags = flv::read(&clip);
    // ffmpeg cannot pick a port itself; this one was free a moment ago.
    let addr: SocketAddr = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let mut ffmpeg = tools::ffmpeg();
    ffmpeg
        .args([
            "-listen",
            "1",
            "-i",
            &format!("rtmp://{addr}/live/x"),
            "-c",
            "copy",
        ])
        .arg(&out);
    let listener = Process::spawn(&mut ffmpeg);
    let mut publisher = eventually(Duration::from_secs(10), "ffmpeg listens", || {
        Publisher::start(addr, "x")
            .inspect_err(|e| eprintln!("{e}"))
            .ok()
    });
    publisher.send_all(&tags).unwrap();
    publisher.finish();
    listener.finish(Duration::from_secs(20));
    assert_eq!(counts(&probe::packets(&out)), tag_counts(&tags));
}

#[test]
fn our_readers_agree_with_ffprobe() {
    for clip in [clips::MAIN, clips::AUDIO_ONLY, clips::VIDEO_ONLY] {
        let path = clip.flv();
        assert_eq!(
            counts(&probe::packets(&path)),
            tag_counts(&flv::read(&path))
        );
    }
}

#[test]
fn a_missing_packet_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out.ts");
    let mut ffmpeg = tools::ffmpeg();
    ffmpeg
        .arg("-i")
        .arg(clips::BASELINE.flv())
        .args(["-c", "copy"])
        .arg(&out);
    Process::spawn(&mut ffmpeg).succeed(Duration::from_secs(20));
    let bytes = std::fs::read(&out).unwrap();
    assert!(ts::read(&bytes).breaks.is_empty());
    let without = [&bytes[..188 * 50], &bytes[188 * 51..]].concat();
    assert_eq!(ts::read(&without).breaks.len(), 1);
}
