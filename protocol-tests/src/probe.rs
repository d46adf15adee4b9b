//! What ffprobe sees in a file.

use crate::process::{Process, run_apart};
use crate::tools;
use serde_json::Value;
use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

/// One packet.
#[derive(Debug, Clone, PartialEq)]
pub struct Packet {
    /// Video or audio.
    pub video: bool,
    /// Decoding time in ticks of `timescale`.
    pub dts: i64,
    /// Presentation time in ticks of `timescale`.
    pub pts: i64,
    /// Ticks per second.
    pub timescale: i64,
    /// Bytes.
    pub size: u64,
    /// Whether it is a keyframe.
    pub key: bool,
    /// MD5 of the payload.
    pub hash: String,
}

impl Packet {
    /// Decoding time in seconds.
    pub fn seconds(&self) -> f64 {
        self.dts as f64 / self.timescale as f64
    }
}

/// The packets of a file, in its order.
///
/// # Panics
/// If ffprobe cannot read the file, or finds a fault.
pub fn packets(path: &Path) -> Vec<Packet> {
    let (packets, complaints) = packets_and_complaints(path);
    assert_eq!(complaints, "", "ffprobe complains about {}", path.display());
    packets
}

/// The packets of a file, and what ffprobe finds wrong with it.
///
/// # Panics
/// If ffprobe cannot read the file at all.
pub fn packets_and_complaints(path: &Path) -> (Vec<Packet>, String) {
    let mut ffprobe = tools::program("ffprobe");
    ffprobe.args([
        "-v",
        "error",
        "-of",
        "json",
        "-show_packets",
        "-show_streams",
    ]);
    ffprobe.args(["-show_data_hash", "md5", "-show_entries"]);
    ffprobe.arg(
        "packet=stream_index,codec_type,pts,dts,size,flags,data_hash\
         :stream=index,time_base",
    );
    let (text, complaints) = run_apart(ffprobe.arg(path), Duration::from_secs(60));
    let json: Value = serde_json::from_str(&text)
        .unwrap_or_else(|e| panic!("{}: {e}: {complaints}", path.display()));
    let scales: HashMap<i64, i64> = json["streams"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default()
        .iter()
        .map(|s| {
            (
                s["index"].as_i64().unwrap(),
                timescale(s["time_base"].as_str().unwrap()),
            )
        })
        .collect();
    let packets = json["packets"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let packets = packets.iter().map(|p| packet(p, &scales)).collect();
    (packets, complaints)
}

/// The same for bytes.
///
/// # Panics
/// As [`packets`].
pub fn packets_of(bytes: &[u8]) -> Vec<Packet> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    packets(file.path())
}

fn timescale(base: &str) -> i64 {
    let (one, scale) = base.split_once('/').unwrap();
    assert_eq!(one, "1");
    scale.parse().unwrap()
}

fn packet(p: &Value, scales: &HashMap<i64, i64>) -> Packet {
    // Only a packet that is broken has neither.
    let time = |key: &str| p[key].as_i64();
    let dts = time("dts").or(time("pts")).unwrap_or_default();
    Packet {
        video: p["codec_type"] == "video",
        dts,
        pts: time("pts").unwrap_or(dts),
        timescale: scales[&p["stream_index"].as_i64().unwrap()],
        size: p["size"].as_str().unwrap().parse().unwrap(),
        key: p["flags"].as_str().unwrap().starts_with('K'),
        hash: p["data_hash"].as_str().unwrap_or_default().into(),
    }
}

/// Packets of video only, or of audio only.
pub fn only(packets: &[Packet], video: bool) -> Vec<&Packet> {
    packets.iter().filter(|p| p.video == video).collect()
}

/// A file's streams as ffprobe describes them (`codec_name`, `profile`, `width`, …); none if
/// it cannot read the file.
///
/// # Panics
/// If ffprobe does not end.
pub fn streams(path: &Path) -> Vec<Value> {
    let mut ffprobe = tools::program("ffprobe");
    ffprobe
        .args(["-v", "quiet", "-of", "json", "-show_streams"])
        .arg(path);
    let (text, _) = run_apart(&mut ffprobe, Duration::from_secs(60));
    let json: Value = serde_json::from_str(&text).unwrap_or_default();
    json["streams"].as_array().cloned().unwrap_or_default()
}

/// Decodes a whole file; what ffmpeg complains about.
pub fn decode_complaints(path: &Path) -> String {
    let mut ffmpeg = tools::ffmpeg();
    ffmpeg
        .arg("-xerror")
        .arg("-i")
        .arg(path)
        .args(["-f", "null", "-"]);
    let (status, log) = Process::spawn(&mut ffmpeg).finish(Duration::from_secs(90));
    if status.success() {
        log
    } else {
        format!("{log}\n{status}")
    }
}
