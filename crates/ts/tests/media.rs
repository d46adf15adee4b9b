//! Captures of real senders, in the directory that the environment names as `WEIR_MEDIA`.
//! What is expected was told by ffprobe 5.1: as many frames, with the same times.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::BTreeMap;
use std::path::Path;
use weir_media::scte35::{Command, Section};
use weir_media::time::rescale;
use weir_media::{CodecConfig, Mono, TrackId};
use weir_ts::demux::{Demuxer, Media, Stats};

/// Frames of a track: how many, how many keys, and the presentation time of the first and the
/// last in 90 kHz ticks.
type Track = (u16, usize, usize, i64, i64);

struct Capture {
    name: &'static str,
    tracks: &'static [Track],
    dropped: u64,
}

const fn capture(name: &'static str, tracks: &'static [Track], dropped: u64) -> Capture {
    Capture {
        name,
        tracks,
        dropped,
    }
}

/// ffprobe goes back to the start of a file when it has found the program map, and so has more
/// frames of the two that are cut from the middle, and gives out frames that the end of the file
/// cuts; what is dropped in these two comes before the first parameter sets.
const CAPTURES: &[Capture] = &[
    capture(
        // 26 fields, two in a PES packet.
        "m2ts-sony-1080i-ac3.mts",
        &[(1, 13, 1, 100_800, 133_200), (2, 17, 17, 93_600, 139_680)],
        0,
    ),
    capture(
        "ts-cea608-elemental.ts",
        &[(1, 58, 1, 0, 221_249), (2, 114, 114, 0, 216_960)],
        0,
    ),
    capture(
        "ts-cea608-sintel.ts",
        &[
            (1, 240, 2, 900_000, 1_796_250),
            (2, 212, 212, 889_290, 1_771_184),
        ],
        0,
    ),
    capture(
        // Two fields in a PES packet here too.
        "ts-dvb-1080i-eac3x3-dvbsub.ts",
        &[
            (1, 12, 1, 3_474_508_320, 3_474_511_920),
            (2, 32, 32, 3_474_369_153, 3_474_458_433),
            (4, 31, 31, 3_474_369_153, 3_474_455_553),
            (6, 31, 31, 3_474_369_153, 3_474_455_553),
        ],
        27,
    ),
    capture(
        "ts-h264-1080p-mp2-10s.ts",
        &[
            (1, 299, 2, 129_902, 1_023_902),
            (2, 417, 417, 126_000, 1_024_560),
        ],
        0,
    ),
    capture(
        // AAC called MPEG audio, a length modulo 65,536, and no PCR.
        "ts-h264-576p-aac-12s.ts",
        &[
            (1, 300, 6, 349_493_440, 350_569_840),
            (2, 559, 559, 349_500_301, 350_571_662),
        ],
        0,
    ),
    capture(
        "ts-h264-opus-60ms.ts",
        &[(1, 83, 1, 0, 846_630), (2, 166, 166, 1_710, 892_710)],
        0,
    ),
    capture(
        "ts-hevc-1080p-aac51.ts",
        &[
            (1, 120, 1, 133_500, 579_750),
            (2, 235, 235, 133_500, 582_780),
        ],
        0,
    ),
    capture(
        // Its sound is scrambled, or not there.
        "ts-hevc-2160p-scte35.ts",
        &[(1, 2, 1, 7_494_794_128, 7_494_808_528)],
        11,
    ),
    capture("ts-mpeg2-scte35.ts", &[(2, 4, 4, 128_021, 135_074)], 0),
    capture(
        "ts-no-aud-1440p.ts",
        &[(1, 9, 1, 0, 26_280), (2, 1, 1, 5_760, 5_760)],
        0,
    ),
    capture(
        "ts-no-random-access-flag.ts",
        &[
            (1, 600, 2, 902_999, 1_801_499),
            (2, 431, 431, 900_909, 1_799_520),
        ],
        0,
    ),
];

fn demux(data: &[u8], piece: usize) -> (Vec<Media>, Stats) {
    let (mut demuxer, mut media) = (Demuxer::new(None), vec![]);
    for piece in data.chunks(piece) {
        demuxer.handle_data(piece, Mono(0));
        media.extend(std::iter::from_fn(|| demuxer.poll_media()));
    }
    demuxer.handle_end(Mono(0));
    media.extend(std::iter::from_fn(|| demuxer.poll_media()));
    (media, demuxer.stats())
}

/// Tracks in the form of [`CAPTURES`]; all frames fit their configuration.
fn tracks(media: &[Media]) -> Vec<Track> {
    let mut configs: BTreeMap<TrackId, &CodecConfig> = BTreeMap::new();
    let mut tracks: BTreeMap<u16, Track> = BTreeMap::new();
    for media in media {
        match media {
            Media::Config { track, config } => drop(configs.insert(*track, config)),
            Media::Frame(frame) => {
                let config = configs[&frame.track];
                assert!(config.sample_flags(&frame.payload, frame.key).is_ok());
                let pts = rescale(frame.pts, config.timescale(), 90_000);
                let id = frame.track.0;
                let track = tracks.entry(id).or_insert((id, 0, 0, pts, pts));
                track.1 += 1;
                track.2 += usize::from(frame.key);
                track.4 = pts;
            }
            _ => {}
        }
    }
    tracks.into_values().collect()
}

/// The folder, if it is there.
fn folder() -> Option<std::path::PathBuf> {
    Some(Path::new(&std::env::var_os("WEIR_MEDIA")?).to_owned())
}

#[test]
fn captures_are_read_as_ffprobe_reads_them() {
    let Some(folder) = folder() else {
        return;
    };
    for capture in CAPTURES {
        let name = capture.name;
        let data = std::fs::read(folder.join(name)).unwrap();
        let (media, stats) = demux(&data, data.len());
        let found = tracks(&media);
        assert_eq!(found.len(), capture.tracks.len(), "{name}");
        for (found, expected) in found.iter().zip(capture.tracks) {
            let counts = |t: &Track| (t.0, t.1, t.2);
            assert_eq!(counts(found), counts(expected), "{name}");
            // Audio is in ticks of its sampling rate, which are coarser.
            assert!(found.3.abs_diff(expected.3) <= 1, "{name}: {found:?}");
            assert!(found.4.abs_diff(expected.4) <= 1, "{name}: {found:?}");
        }
        assert_eq!(stats.dropped_frames, capture.dropped, "{name}");
        let faults = [
            stats.continuity_errors,
            stats.crc_errors,
            stats.malformed_pes,
            stats.malformed_sections,
            stats.sync_losses,
        ];
        assert_eq!(faults, [0; 5], "{name}");
        for piece in [1316, 1000, 7] {
            assert_eq!(
                demux(&data, piece),
                (media.clone(), stats),
                "{name} {piece}"
            );
        }
    }
}

#[test]
fn time_goes_on_over_a_wrap() {
    let Some(folder) = folder() else {
        return;
    };
    // Cut from one stream whose clock wraps behind the last.
    let mut data = Vec::new();
    for n in 24..28 {
        data.extend(std::fs::read(folder.join(format!("ts-rollover-{n}.ts"))).unwrap());
    }
    let (media, _) = demux(&data, 1316);
    // Before and after: 33-bit times as ffprobe tells them, less 2^33.
    let wrap = 1i64 << 33;
    let expected = [
        (1, 192, 4, wrap - 873_750, wrap - 161_250),
        (2, 375, 375, wrap - 873_608, wrap - 155_528),
    ];
    assert_eq!(tracks(&media), expected);
}

#[test]
fn splices_are_found() {
    let Some(folder) = folder() else {
        return;
    };
    let data = std::fs::read(folder.join("ts-mpeg2-scte35.ts")).unwrap();
    let (media, _) = demux(&data, 1316);
    let splices = media.iter().filter_map(|m| match m {
        Media::Datum(datum) => match Section::parse(&datum.payload).unwrap().command {
            Command::Insert(i) => {
                Some((datum.time_90k, i.event_id, i.splice.unwrap().out_of_network))
            }
            _ => None,
        },
        _ => None,
    });
    let expected = [
        (200_000, 100, true),
        (200_000, 100, true),
        (300_000, 100, false),
    ];
    assert_eq!(splices.collect::<Vec<_>>(), expected);
}
