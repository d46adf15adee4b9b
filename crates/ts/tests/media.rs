//! Captures of real senders, in the directory that the environment names as `WEIR_MEDIA`.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::BTreeMap;
use weir_media::Mono;
use weir_ts::demux::{Demuxer, Media};

#[test]
fn show() {
    let Some(dir) = std::env::var_os("WEIR_MEDIA") else {
        return;
    };
    let mut names: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    names.sort();
    for path in names {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if !name.ends_with(".ts") && !name.ends_with(".mts") {
            continue;
        }
        println!("== {name}");
        let data = std::fs::read(&path).unwrap();
        let mut d = Demuxer::new(None);
        d.handle_data(&data, Mono(0));
        d.handle_end(Mono(0));
        let mut t: BTreeMap<u16, (usize, usize, i64, i64, i64, i64, usize)> = BTreeMap::new();
        while let Some(m) = d.poll_media() {
            match m {
                Media::Frame(f) => {
                    let e = t.entry(f.track.0).or_insert((0, 0, f.dts, f.pts, 0, 0, 0));
                    e.0 += 1;
                    e.1 += usize::from(f.key);
                    e.4 = f.dts;
                    e.5 = f.pts;
                    e.6 += f.payload.len();
                }
                Media::Config { track, config } => println!(
                    "config {track:?} {} {:?} {:?}",
                    config.codec_string(),
                    config.picture().map(|p| (p.width, p.height)),
                    config.sound()
                ),
                Media::Splice(s) => println!(
                    "splice {} {:?} {:?} {:?} {:?}",
                    s.pid, s.pts, s.at, s.info.command, s.info.segmentations
                ),
                other => println!("{other:?}"),
            }
        }
        for (k, v) in t {
            println!(
                "track {k}: frames {} keys {} first dts {} pts {} last dts {} pts {} bytes {}",
                v.0, v.1, v.2, v.3, v.4, v.5, v.6
            );
        }
        println!("{:?}", d.stats());
    }
}
