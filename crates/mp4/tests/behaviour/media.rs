//! Files made elsewhere, in the directory that the environment names as `WEIR_MEDIA`. Without
//! it there is nothing to read, and the tests pass.

use std::path::PathBuf;
use weir_mp4::{Error, Kind, Movie, Output, Reader, read};

fn files() -> Vec<PathBuf> {
    let Some(dir) = std::env::var_os("WEIR_MEDIA") else {
        return Vec::new();
    };
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|p| {
            let extension = p.extension().and_then(|e| e.to_str());
            matches!(extension, Some("mp4" | "mov" | "m4a"))
        })
        .collect();
    files.sort();
    assert!(!files.is_empty(), "WEIR_MEDIA has no MP4 files");
    files
}

/// Reads with exactly the ranges that are asked for.
fn read_by_ranges(file: &[u8]) -> Result<Movie, Error> {
    let mut reader = Reader::new(file.len() as u64);
    while let Output::Need { offset, len } = reader.poll_output() {
        let from = usize::try_from(offset).unwrap();
        reader.handle_bytes(&file[from..from + len])?;
    }
    reader.into_movie()
}

#[test]
fn every_file_is_read_or_refused_for_a_reason() {
    for path in files() {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let file = std::fs::read(&path).unwrap();
        let ranged = read_by_ranges(&file);
        let movie = match (ranged, name.as_str()) {
            (Ok(movie), _) => movie,
            (Err(error), "broken-header-only.mp4") => {
                assert_eq!(error, Error::NoMovie);
                continue;
            }
            (Err(error), "broken-free-box.mp4") => {
                assert!(matches!(error, Error::BoxSize { .. }));
                continue;
            }
            (Err(error), _) => panic!("{name}: {error}"),
        };
        let whole = read(&file).unwrap();
        assert!(!movie.tracks.is_empty(), "{name}");
        assert_eq!(movie.fault, None, "{name}");
        for (track, same) in movie.tracks.iter().zip(&whole.tracks) {
            let summary = track.summary();
            assert_eq!(summary, same.summary(), "{name}: by ranges and at once");
            let faults = summary.faults;
            let sound = faults == weir_mp4::Faults::default();
            let expected_sound = match name.as_str() {
                "broken-chunk-out-of-range.mp4" => {
                    assert_eq!((summary.frames, faults.without_chunk), (0, 17));
                    false
                }
                "broken-fuzz-1185230.mp4" => {
                    assert!(faults.out_of_file > 0);
                    false
                }
                // The first 100,000 bytes of a longer file.
                "h264-annexb-in-mp4.mp4" => {
                    assert_eq!((summary.frames, faults.out_of_file), (745, 740));
                    let config = track.descriptions[0].config.as_ref().unwrap();
                    assert!(config.is_err(), "Annex B instead of avcC");
                    false
                }
                _ => true,
            };
            assert_eq!(
                sound, expected_sound,
                "{name}: track {}: {faults:?}",
                track.id
            );
            if expected_sound {
                assert!(summary.frames > 0 && summary.key_frames > 0, "{name}");
                check_configs(&name, track);
            }
        }
    }
}

/// The codecs that we know have a configuration that can be read.
fn check_configs(name: &str, track: &weir_mp4::Track) {
    for description in &track.descriptions {
        let known = match (track.kind, &description.format.0) {
            // Its av1C has no sequence header.
            (Kind::Video, b"av01") if name == "av1-10bit-hdr10.mp4" => false,
            (Kind::Video, b"avc1" | b"avc3" | b"hvc1" | b"hev1" | b"av01" | b"vp09") => true,
            (Kind::Audio, b"mp4a" | b"Opus" | b"fLaC" | b"ac-3" | b"ec-3") => true,
            _ => false,
        };
        let read = matches!(description.config, Some(Ok(_)));
        assert_eq!(read, known, "{name}: {:?}", description.format);
    }
}
