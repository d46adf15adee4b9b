//! Steps that several areas share.

use protocol_tests::flv::{self, Tag};
use protocol_tests::hls::Format;
use protocol_tests::probe::{self, Packet};
use protocol_tests::process::{Process, run};
use protocol_tests::rtmp::Publisher;
use protocol_tests::server::Weir;
use protocol_tests::tools;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Short segments and a short grace, for tests that wait for the end.
pub const QUICK: [&str; 4] = ["--segment", "2s", "--grace", "1s"];

/// Time that a real program gets to publish a short clip.
pub const PUBLISH_WAIT: Duration = Duration::from_secs(60);

/// `ffmpeg -i CLIP -c copy` to a stream, at full speed.
pub fn copy_to(mut ffmpeg: Command, clip: &Path, url: &str) -> Command {
    ffmpeg
        .arg("-i")
        .arg(clip)
        .args(["-c", "copy", "-f", "flv", url]);
    ffmpeg
}

/// The same in real time, over and over.
pub fn live_to(mut ffmpeg: Command, clip: &Path, url: &str) -> Process {
    ffmpeg.args(["-re", "-stream_loop", "-1", "-i"]).arg(clip);
    Process::spawn(ffmpeg.args(["-c", "copy", "-f", "flv", url]))
}

/// Publishes tags at full speed and leaves in order.
pub fn publish(weir: &Weir, name: &str, tags: &[Tag]) {
    let mut publisher = Publisher::start(weir.rtmp, name).unwrap();
    publisher.send_all(tags).unwrap();
    publisher.finish();
}

/// All packets of an ended broadcast: of its video and of its audio, from CMAF.
pub fn cmaf_packets(weir: &Weir, name: &str) -> Vec<Packet> {
    let multivariant = weir.ended(name, Format::Cmaf);
    multivariant
        .renditions()
        .iter()
        .flat_map(|path| weir.download(path).packets())
        .collect()
}

/// All packets of an ended broadcast, from TS.
pub fn ts_packets(weir: &Weir, name: &str) -> Vec<Packet> {
    weir.download(&weir.ended(name, Format::Ts).main).packets()
}

/// Video and audio frames.
pub fn counts(packets: &[Packet]) -> (usize, usize) {
    (
        probe::only(packets, true).len(),
        probe::only(packets, false).len(),
    )
}

/// Video and audio frames among tags.
pub fn tag_counts(tags: &[Tag]) -> (usize, usize) {
    (
        flv::frames(tags, flv::VIDEO).len(),
        flv::frames(tags, flv::AUDIO).len(),
    )
}

/// A stream that plays beside a test's bad company, and must not notice it.
pub struct Bystander {
    publisher: Process,
    path: String,
    before: u64,
}

impl Bystander {
    /// Publishes a stream called `bystander` with segments of a second.
    pub fn start(weir: &Weir) -> Self {
        let clip = protocol_tests::clips::LONG.flv();
        let publisher = live_to(tools::ffmpeg(), &clip, &weir.publish_url("bystander"));
        let path = weir.live("bystander", Format::Cmaf).main;
        let before = weir.media(&path).last();
        Self {
            publisher,
            path,
            before,
        }
    }

    /// Whether it goes on: two more segments, each whole, without a discontinuity.
    pub fn assert_untouched(&mut self, weir: &mut Weir) {
        weir.assert_healthy();
        if let Some(status) = self.publisher.ended() {
            panic!(
                "the healthy publisher ended with {status}: {}",
                self.publisher.tail()
            );
        }
        let now = weir.media(&self.path).last().max(self.before);
        let media = weir.reaches(&self.path, now + 2, Duration::from_secs(15));
        assert_eq!(media.discontinuities(), 0, "{}", media.text);
        let download = weir.download(&self.path);
        for index in 0..download.segments.len() {
            let packets = probe::packets_of(&download.alone(index));
            assert_eq!(packets.len(), 30, "a segment of one second at 30 fps");
        }
        self.before = now;
    }
}

/// A certificate for `host`, and its key, made by OpenSSL.
pub fn certificate(dir: &Path, file: &str, host: &str) -> (PathBuf, PathBuf) {
    let (pem, key) = (
        dir.join(format!("{file}.pem")),
        dir.join(format!("{file}.key")),
    );
    let mut openssl = Command::new("openssl");
    openssl
        .args(["req", "-x509", "-nodes", "-days", "2", "-newkey", "ec"])
        .args(["-pkeyopt", "ec_paramgen_curve:prime256v1", "-subj"])
        .arg(format!("/CN={host}"))
        .arg("-addext")
        .arg(format!("subjectAltName=DNS:{host}"))
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&pem);
    run(&mut openssl, Duration::from_secs(20));
    (pem, key)
}

/// A whole playlist's worth of checks on a file: it decodes without a complaint.
pub fn assert_decodes(path: &Path) {
    assert_eq!(
        probe::decode_complaints(path),
        "",
        "ffmpeg complains about {}",
        path.display()
    );
}
