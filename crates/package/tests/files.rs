//! Probing files: what a good one gives, what each fault gives, and that nothing panics.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use common::{Random, damage, flv, good_frames, init, mp4, segment, video_config, video_frame};
use std::path::Path;
use weir_package::Error;
use weir_package::probe::{self, Container, Details, FaultKind, Gop, Report};

fn probed(bytes: &[u8]) -> Result<Report, Error> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    std::fs::write(&path, bytes).unwrap();
    probe::file(&path)
}

/// One group of a second behind another.
const TWO_SECONDS: Gop = Gop {
    frames_min: Some(25),
    frames_max: 25,
    us_min: Some(1_000_000),
    us_max: 1_000_000,
};

const SIZE: Details = Details::Video {
    width: 640,
    height: 360,
};

#[test]
fn a_good_flv_file() {
    let bytes = flv(&good_frames());
    let report = probed(&bytes).unwrap();
    assert_eq!(report.container, Container::Flv);
    assert_eq!(report.bytes, Some(bytes.len() as u64));
    assert_eq!(report.fault_count(), 0, "{report}");
    let [video, audio] = &report.tracks[..] else {
        panic!("{report}")
    };
    assert_eq!(video.codec, "avc1.64001e");
    assert_eq!(video.details, Some(SIZE));
    assert_eq!((video.frames, video.key_frames), (50, 2));
    assert_eq!(video.gop, Some(TWO_SECONDS));
    assert_eq!(video.dts_us, Some((0, 1_960_000)));
    assert_eq!(video.pts_us, Some((40_000, 2_000_000)));
    assert_eq!((video.duration_us, video.bytes), (2_000_000, 450));
    assert_eq!((audio.codec.as_str(), audio.frames), ("mp4a.40.2", 94));
    let sound = Details::Audio {
        sample_rate: 48_000,
        channels: 2,
    };
    assert_eq!(audio.details, Some(sound));
    let text = report.to_string();
    for part in ["avc1.64001e, 640x360", "25 to 25 frames", "no faults"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn a_good_fragmented_file() {
    let report = probed(&mp4()).unwrap();
    assert_eq!(
        report.container,
        Container::Mp4 {
            major_brand: Some("iso6".into()),
            fragmented: true
        }
    );
    assert_eq!(report.fault_count(), 0, "{report}");
    let video = &report.tracks[0];
    assert_eq!(video.gop, Some(TWO_SECONDS));
    assert_eq!((video.details, video.duration_us), (Some(SIZE), 2_000_000));
}

#[test]
fn timestamps_of_flv_that_jump_are_counted() {
    let mut frames: Vec<_> = [0, 40, 40, 20, 60, 3100]
        .iter()
        .map(|ms| video_frame(*ms, false))
        .collect();
    frames[4].pts = frames[4].dts - 90;
    let report = probed(&flv(&frames)).unwrap();
    let faults = &report.tracks[0].faults;
    for kind in [
        FaultKind::StartsWithoutKey,
        FaultKind::DtsRepeated,
        FaultKind::DtsBack,
        FaultKind::Step,
        FaultKind::PtsBeforeDts,
    ] {
        assert_eq!(faults.count(kind), 1, "{kind:?} in {report}");
    }
    // Announced sound has a sequence header, but no frames.
    assert_eq!(report.tracks[1].faults.count(FaultKind::NoFrames), 1);
}

#[test]
fn a_flv_file_that_is_cut_or_broken_keeps_what_was_read() {
    let bytes = flv(&good_frames());
    let report = probed(&bytes[..bytes.len() - 6]).unwrap();
    assert_eq!(report.faults.count(FaultKind::CutShort), 1, "{report}");
    assert_eq!(report.tracks[1].frames, 93);
    let mut encrypted = bytes.clone();
    encrypted.extend([0x29; 11]);
    let report = probed(&encrypted).unwrap();
    assert_eq!(report.faults.count(FaultKind::Unreadable), 1, "{report}");
    assert_eq!(report.tracks[0].frames, 50);
    let report = probed(&bytes[..13]).unwrap();
    assert_eq!(report.faults.count(FaultKind::Announced), 2, "{report}");
}

#[test]
fn codecs_that_weir_does_not_take_are_named() {
    let mut bytes = weir_rtmp::flv::file_header(true, true).to_vec();
    // VVC by Enhanced RTMP: sequence start, keyframe, inter frame. Then Speex.
    for (kind, ms, body) in [
        (9, 0, &b"\x90vvc1cfg"[..]),
        (9, 0, b"\x91vvc1key"),
        (9, 40, b"\xa1vvc1inter"),
        (8, 0, b"\xb2speex"),
    ] {
        let size = u8::try_from(body.len()).unwrap();
        bytes.extend([kind, 0, 0, size, 0, 0, ms, 0, 0, 0, 0]);
        bytes.extend(body);
        bytes.extend([0, 0, 0, 0]);
    }
    let report = probed(&bytes).unwrap();
    let seen: Vec<_> = report
        .tracks
        .iter()
        .map(|t| (t.codec.as_str(), t.frames, t.key_frames))
        .collect();
    assert_eq!(seen, [("vvc1", 2, 1), ("FLV codec 11", 1, 1)]);
}

#[test]
fn samples_of_mp4_are_looked_into() {
    let init = init(&video_config());
    let good = segment(0, 3, true);
    let payload = good.len() - 27;
    let with = |change: fn(&mut [u8])| {
        let mut s = good.clone();
        change(&mut s[payload..]);
        let report = probed(&[&init[..], &s].concat()).unwrap();
        report.tracks[0].faults.clone()
    };
    assert!(with(|_| {}).is_empty());
    // Not an IDR picture; a length past the end; no slice.
    assert_eq!(with(|p| p[4] = 0x41).count(FaultKind::FalseKey), 1);
    assert_eq!(with(|p| p[9] = 0xff).count(FaultKind::MalformedFrame), 1);
    assert_eq!(with(|p| p[13] = 0x09).count(FaultKind::MalformedFrame), 1);
    // The payload of the last sample is missing.
    let cut = [&init[..], &good[..good.len() - 4]].concat();
    let report = probed(&cut).unwrap();
    assert_eq!(report.faults.count(FaultKind::Unreadable), 1, "{report}");
}

#[test]
fn other_files_are_refused_with_what_is_supported() {
    for (bytes, part) in [
        (&b"\x1a\x45\xdf\xa3"[..], "Matroska"),
        (b"", "empty"),
        (b"#EXTM3U\n", "http://"),
        (&[0x47; 400], "transport stream"),
        (b"hello", "FLV files, MP4, MOV and M4A"),
    ] {
        let error = probed(bytes).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    let missing = probe::file(Path::new("/nonexistent/x.flv")).unwrap_err();
    assert!(matches!(missing, Error::Io { .. }));
    assert!(probed(b"FLV\x02bad header").is_err());
}

#[test]
fn a_directory_of_damaged_files_is_probed_or_refused() {
    let dir = tempfile::tempdir().unwrap();
    let originals = [flv(&good_frames()), mp4()];
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    for n in 0..1500 {
        let mut bytes = originals[n % 2].clone();
        damage(&mut bytes, &mut random);
        std::fs::write(dir.path().join(format!("{n:04}")), bytes).unwrap();
    }
    let (mut fine, mut faulty, mut refused) = (0, 0, 0);
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        match probe::file(&entry.unwrap().path()) {
            Ok(report) if report.fault_count() == 0 => fine += 1,
            Ok(report) => {
                assert!(report.to_string().contains("FAULT"));
                faulty += 1;
            }
            Err(error) => {
                assert!(!error.to_string().is_empty());
                refused += 1;
            }
        }
    }
    // All three happen often, or the damage does not reach what it is meant to reach.
    assert!(
        fine > 50 && faulty > 300 && refused > 50,
        "{fine} {faulty} {refused}"
    );
}

/// Files made elsewhere, in the directory that the environment names as `WEIR_MEDIA`.
#[test]
fn real_files_are_sound_unless_they_are_called_broken() {
    let Some(dir) = std::env::var_os("WEIR_MEDIA") else {
        return;
    };
    let mut seen = 0;
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if ![".mp4", ".mov", ".m4a", ".flv"]
            .iter()
            .any(|e| name.ends_with(e))
        {
            continue;
        }
        seen += 1;
        // The second is the first 100,000 bytes of a longer file.
        let broken = name.starts_with("broken-") || name == "h264-annexb-in-mp4.mp4";
        match probe::file(&path) {
            Ok(report) => {
                assert_eq!(report.fault_count() > 0, broken, "{name}: {report}");
                assert!(!report.tracks.is_empty(), "{name}");
            }
            Err(error) => assert!(broken, "{name}: {error}"),
        }
    }
    assert!(seen > 0);
}
