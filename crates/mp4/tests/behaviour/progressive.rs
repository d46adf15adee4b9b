//! Files with their samples in tables, made by hand.

use crate::build::{audio, boxed, moov, progressive_file, table, trak, video};
use weir_mp4::limits::{SAMPLES_MAX, TRACKS_MAX};
use weir_mp4::{Details, Edit, Error, FileSample, FourCc, Output, Reader, read};

fn picture(offset: u64, size: u32, dts: i64, cto: i32, duration: u32, sync: bool) -> FileSample {
    FileSample {
        offset: Some(offset),
        size,
        dts,
        composition_offset: cto,
        duration,
        sync,
        description_index: 1,
    }
}

#[test]
fn every_table_is_walked() {
    let movie = read(&progressive_file()).unwrap();
    assert_eq!(movie.major_brand, Some(FourCc(*b"isom")));
    assert_eq!(
        (movie.timescale, movie.duration, movie.fragmented),
        (1000, 7000, false)
    );
    let [video_track, audio_track] = &movie.tracks[..] else {
        panic!("two tracks expected")
    };

    assert_eq!(video_track.rotation, Some(90));
    assert_eq!(video_track.language.as_str(), "eng");
    assert_eq!(
        (video_track.timescale, video_track.duration),
        (90_000, 630_000)
    );
    assert_eq!(video_track.descriptions[0].config, Some(Ok(video())));
    let rate_16_16 = 0x1_0000;
    let edits = [
        Edit {
            duration: 2000,
            media_time: None,
            rate_16_16,
        },
        Edit {
            duration: 5000,
            media_time: Some(100),
            rate_16_16,
        },
    ];
    assert_eq!(video_track.edits, edits);

    // mdat's payload begins at 28; the chunks at 28 and 78.
    let pictures = [
        picture(28, 10, 0, 0, 3000, true),
        picture(38, 20, 3000, 6000, 3000, false),
        picture(78, 30, 6000, 6000, 3003, false),
        picture(108, 40, 9003, -3000, 3003, true),
        picture(148, 50, 12_006, -3000, 3003, false),
    ];
    assert_eq!(video_track.samples().collect::<Vec<_>>(), pictures);

    let packets: Vec<_> = audio_track
        .samples()
        .map(|s| (s.offset, s.size, s.dts))
        .collect();
    let expected = [
        (Some(58), 3, 0),
        (Some(61), 4, 1024),
        (Some(205), 5, 2048),
        (Some(210), 8, 3072),
    ];
    assert_eq!(packets, expected);
    assert!(audio_track.samples().all(|s| s.sync));
    let audio_details = Details::Audio {
        channels: 2,
        sample_rate: 48_000,
        object_type_indication: Some(0x40),
    };
    assert_eq!(audio_track.descriptions[0].details, audio_details);
}

#[test]
fn a_summary_counts_groups_and_times() {
    let movie = read(&progressive_file()).unwrap();
    let s = movie.tracks[0].summary();
    assert_eq!((s.frames, s.key_frames, s.bytes), (5, 2, 150));
    assert_eq!((s.first_dts, s.last_dts), (Some(0), Some(12_006)));
    assert_eq!((s.pts_min, s.duration), (Some(0), 15_009));
    assert_eq!((s.gop_frames_min, s.gop_frames_max), (Some(3), Some(3)));
    assert_eq!(s.faults, weir_mp4::Faults::default());
}

#[test]
fn the_reader_asks_only_for_what_it_needs() {
    let file = progressive_file();
    let mut reader = Reader::new(file.len() as u64);
    let mut asked = Vec::new();
    while let Output::Need { offset, len } = reader.poll_output() {
        asked.push((offset, len));
        let from = offset as usize;
        reader.handle_bytes(&file[from..from + len]).unwrap();
    }
    let moov_len = file.len() - 218;
    // ftyp's header and brand, mdat's header, moov's header, moov.
    assert_eq!(asked, [(0, 16), (20, 16), (218, 16), (218, moov_len)]);
    assert_eq!(reader.into_movie().unwrap().tracks.len(), 2);
}

#[test]
fn too_few_bytes_are_the_callers_fault() {
    let mut reader = Reader::new(100);
    let error = reader.handle_bytes(&[0; 15]).unwrap_err();
    assert_eq!(
        error,
        Error::Supplied {
            wanted: 16,
            given: 15
        }
    );
    assert_eq!(reader.into_movie().unwrap_err(), Error::NoMovie);
}

/// A file of one video track with these tables.
fn with_tables(tables: &[Vec<u8>]) -> Vec<u8> {
    moov(&[trak(1, &video(), 600, tables)], &[])
}

#[test]
fn a_constant_size_needs_no_table_and_no_loop() {
    let huge = SAMPLES_MAX as u32 + 1;
    let file = with_tables(&[table(b"stsz", &[0, 1, huge])]);
    let error = read(&file).unwrap_err();
    assert!(
        matches!(
            error,
            Error::TooMany {
                what: "samples",
                ..
            }
        ),
        "{error}"
    );
    let file = with_tables(&[table(b"stsz", &[0, 1, huge - 1])]);
    let s = read(&file).unwrap().tracks[0].summary();
    assert_eq!((s.frames, s.faults.without_chunk), (0, SAMPLES_MAX));
}

#[test]
fn samples_outside_the_file_have_no_offset() {
    let tables = [
        table(b"stts", &[0, 1, 3, 1]),
        table(b"stsc", &[0, 1, 1, 1, 1]),
        table(b"stsz", &[0, 10, 3]),
        table(b"co64", &[0, 3, 0, 0, 0, 1 << 30, u32::MAX, u32::MAX]),
    ];
    let movie = read(&with_tables(&tables)).unwrap();
    let offsets: Vec<_> = movie.tracks[0].samples().map(|s| s.offset).collect();
    assert_eq!(offsets, [Some(0), None, None]);
    assert_eq!(movie.tracks[0].summary().faults.out_of_file, 2);
}

#[test]
fn short_tables_leave_samples_without_time_or_chunk() {
    let tables = [
        table(b"stts", &[0, 1, 1, 5]),
        table(b"stsc", &[0, 1, 1, 3, 1]),
        table(b"stsz", &[0, 1, 9]),
        table(b"stco", &[0, 1, 0]),
    ];
    let s = read(&with_tables(&tables)).unwrap().tracks[0].summary();
    assert_eq!((s.frames, s.faults.without_chunk), (3, 6));
    assert_eq!((s.last_dts, s.faults.dts_repeated), (Some(5), 1));
}

#[test]
fn stz2_packs_sizes_in_4_8_and_16_bits() {
    for (field_size, body) in [
        (4, &[0x12, 0x30][..]),
        (8, &[1, 2, 3]),
        (16, &[0, 1, 0, 2, 0, 3]),
    ] {
        let head = [[0, 0, 0, 0], [0, 0, 0, field_size], [0, 0, 0, 3]].concat();
        let tables = [
            boxed(b"stz2", &[&head, body]),
            table(b"stsc", &[0, 1, 1, 3, 1]),
            table(b"stco", &[0, 1, 0]),
        ];
        let movie = read(&with_tables(&tables)).unwrap();
        let sizes: Vec<_> = movie.tracks[0].samples().map(|s| s.size).collect();
        assert_eq!(sizes, [1, 2, 3], "{field_size} bits");
    }
}

#[test]
fn faults_name_the_box_and_its_place() {
    let stbl = "moov/trak/mdia/minf/stbl";
    for (bad, fault) in [
        (
            table(b"stsz", &[0, 0, 9, 1]),
            "stsz at {}: 9 entries claimed in 4 bytes",
        ),
        (
            table(b"stts", &[0, u32::MAX]),
            "stts at {}: 4294967295 entries claimed in 0 bytes",
        ),
        (table(b"stco", &[0]), "stco at {}: ends before entry_count"),
        (table(b"stz2", &[0, 7, 0]), "stz2 at {}: field_size is 7"),
    ] {
        let name: [u8; 4] = bad[4..8].try_into().unwrap();
        let file = with_tables(&[bad]);
        let at = file.windows(4).position(|w| w == name).unwrap() - 4;
        let expected = format!("{stbl}/{}", fault.replace("{}", &at.to_string()));
        assert_eq!(read(&file).unwrap_err().to_string(), expected);
    }
}

#[test]
fn limits_and_mandatory_boxes_are_kept() {
    let one = trak(1, &audio(), 48_000, &[]);
    let many = moov(&vec![one.clone(); TRACKS_MAX + 1], &[]);
    assert!(matches!(
        read(&many).unwrap_err(),
        Error::TooMany {
            what: "tracks",
            max: 64,
            ..
        }
    ));
    assert_eq!(
        read(&moov(&vec![one; TRACKS_MAX], &[]))
            .unwrap()
            .tracks
            .len(),
        TRACKS_MAX
    );

    let no_time = moov(&[trak(1, &audio(), 0, &[])], &[]);
    assert!(matches!(
        read(&no_time).unwrap_err(),
        Error::Field {
            field: "timescale",
            value: 0,
            ..
        }
    ));
    let empty = boxed(b"moov", &[]);
    assert_eq!(
        read(&empty).unwrap_err().to_string(),
        "moov at 0: has no mvhd"
    );
    assert_eq!(read(b"").unwrap_err(), Error::NoMovie);

    // moov of 65 MiB in a file that is said to have them: refused before it is asked for.
    let mut reader = Reader::new(100 << 20);
    let error = reader
        .handle_bytes(b"\x04\x10\0\0moov\0\0\0\0\0\0\0\0")
        .unwrap_err();
    assert!(matches!(
        error,
        Error::TooMany {
            what: "bytes of moov",
            ..
        }
    ));
    assert_eq!(reader.poll_output(), Output::Done);
}

#[test]
fn sizes_at_the_top_level() {
    let moov = moov(&[], &[]);
    // 64-bit size in front, size "to the end" behind.
    let large = [&b"\0\0\0\x01free\0\0\0\0\0\0\0\x14abcd"[..], &moov].concat();
    assert!(read(&large).is_ok());
    let mut open = [&boxed(b"free", &[]), &moov[..]].concat();
    open[8..12].fill(0);
    assert!(read(&open).is_ok());
    let mut short = boxed(b"free", &[]);
    short[3] = 7;
    assert_eq!(
        read(&short).unwrap_err().to_string(),
        "free at 0: a box cannot have 7 bytes"
    );
    let past = [&moov[..], &b"x"[..]].concat();
    assert!(
        read(&past).is_ok(),
        "nothing behind a complete moov is looked at"
    );
    let past = read(&moov[..moov.len() - 1]).unwrap_err();
    assert!(matches!(past, Error::BoxPastEnd { .. }));
    let garbage = [&boxed(b"free", &[])[..], b"abc"].concat();
    assert_eq!(
        read(&garbage).unwrap_err().to_string(),
        "file at 8: ends before size"
    );
}
