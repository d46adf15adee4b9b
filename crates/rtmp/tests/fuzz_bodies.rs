//! Runs the fuzz targets' bodies over captures, damaged captures and noise, seeded.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{Seeded, handshake_bytes};
use weir_rtmp::fuzz;

const UP: [&[u8]; 2] = [
    include_bytes!("vectors/ffmpeg-9.0.bin"),
    include_bytes!("vectors/gst-rtmp2sink.bin"),
];
const DOWN: &[u8] = include_bytes!("vectors/nginx-rtmp-play.bin");

fn damaged(seeded: &mut Seeded, bytes: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    for _ in 0..seeded.below(6) {
        let at = seeded.below(out.len());
        match seeded.below(3) {
            0 => out[at] = seeded.below(256) as u8,
            1 => out.truncate(at + 1),
            _ => {
                let copied = out[at..(at + 30).min(out.len())].to_vec();
                out.splice(at..at, copied);
            }
        }
    }
    out
}

#[test]
fn captures_and_damaged_captures() {
    let mut seeded = Seeded(0xf022);
    let handshake = handshake_bytes().len();
    for _ in 0..100 {
        for vector in UP {
            let bytes = damaged(&mut seeded, vector);
            fuzz::server_session(&bytes);
            fuzz::chunks(bytes.get(handshake..).unwrap_or_default());
        }
        let bytes = damaged(&mut seeded, DOWN);
        fuzz::client_session(&bytes);
        fuzz::chunks(bytes.get(handshake..).unwrap_or_default());
    }
}

#[test]
fn noise() {
    let mut seeded = Seeded(0xdead_beef);
    for round in 0..3000 {
        // Small values are markers, lengths and types more often than large ones.
        let top = [4, 20, 256][round % 3];
        let noise: Vec<u8> = (0..seeded.below(300))
            .map(|_| seeded.below(top) as u8)
            .collect();
        fuzz::amf(&noise);
        fuzz::chunks(&noise);
        fuzz::flv_file(&[b"FLV\x01\x05\0\0\0\x09\0\0\0\0", &noise[..]].concat());
        fuzz::server_session(&[handshake_bytes(), noise.clone()].concat());
        fuzz::client_session(&[handshake_bytes(), noise].concat());
    }
}
