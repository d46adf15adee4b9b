//! Fragments as other writers make them: defaults of `trex`, several tracks in one `moof`,
//! offsets from elsewhere, no `tfdt`.

use crate::build::{audio, boxed, moov, own_file, table, trak, video};
use weir_mp4::{Error, Movie, read};

/// Two tracks, of which `trex` says duration 10, size 4, not sync; and duration 20, size 2.
fn head() -> Vec<u8> {
    // Two samples in tables, so that fragments without tfdt begin after them.
    let tables = [
        table(b"stts", &[0, 1, 2, 50]),
        table(b"stsc", &[0, 1, 1, 2, 1]),
        table(b"stsz", &[0, 1, 2]),
        table(b"stco", &[0, 1, 0]),
    ];
    moov(
        &[
            trak(1, &video(), 1000, &tables),
            trak(2, &audio(), 1000, &[]),
        ],
        &[
            table(b"trex", &[0, 1, 1, 10, 4, 0x1_0000]),
            table(b"trex", &[0, 2, 1, 20, 2, 0]),
        ],
    )
}

fn tfhd(flags: u32, body: &[u32]) -> Vec<u8> {
    table(b"tfhd", &[&[flags], body].concat())
}

fn moof(trafs: &[Vec<Vec<u8>>]) -> Vec<u8> {
    let trafs: Vec<u8> = trafs
        .iter()
        .flat_map(|t| boxed(b"traf", &[&t.concat()]))
        .collect();
    boxed(b"moof", &[&table(b"mfhd", &[0, 1]), &trafs])
}

fn times(movie: &Movie, track: usize) -> Vec<(i64, u32, Option<u64>, bool)> {
    let samples = movie.tracks[track].samples();
    samples.map(|s| (s.dts, s.size, s.offset, s.sync)).collect()
}

#[test]
fn two_tracks_share_a_fragment() {
    let head = head();
    let fragment = |offset: u32| {
        moof(&[
            // Defaults of trex; the first sample is sync by its own flags.
            vec![tfhd(0, &[1]), table(b"trun", &[0x5, 3, offset, 0])],
            // Data follows that of track 1; its time is its own; a second run follows the first.
            vec![
                tfhd(0x8, &[2, 7]),
                table(b"tfdt", &[0, 500]),
                table(b"trun", &[0x200, 2, 5, 6]),
                table(b"trun", &[0, 1]),
            ],
        ])
    };
    let len = fragment(0).len() as u32;
    let file = [&head[..], &fragment(len + 8), &boxed(b"mdat", &[&[0; 25]])].concat();
    let movie = read(&file).unwrap();
    assert_eq!(movie.fault, None);
    let data = (head.len() + len as usize + 8) as u64;
    let fragment_of_1 = [
        (100, 4, Some(data), true),
        (110, 4, Some(data + 4), false),
        (120, 4, Some(data + 8), false),
    ];
    assert_eq!(times(&movie, 0)[2..], fragment_of_1);
    let of_2 = [
        (500, 5, Some(data + 12), true),
        (507, 6, Some(data + 17), true),
        (514, 2, Some(data + 23), true),
    ];
    assert_eq!(times(&movie, 1), of_2);
}

#[test]
fn offsets_count_from_the_base_that_is_given() {
    let head = head();
    let traf = vec![
        tfhd(0x1, &[1, 0, 30]),
        table(b"trun", &[0x1, 1, (-10i32) as u32]),
    ];
    let file = [&head[..], &moof(&[traf])].concat();
    assert_eq!(
        times(&read(&file).unwrap(), 0)[2],
        (100, 4, Some(20), false)
    );

    // With default-base-is-moof the second track does not go on where the first ended.
    let run = || table(b"trun", &[0x1, 1, 40]);
    let own = |id| vec![tfhd(0x2_0000, &[id]), run()];
    let file = [&head[..], &moof(&[own(1), own(2)]), &[0; 8]].concat();
    let movie = read(&file).unwrap();
    let expected = Some(head.len() as u64 + 40);
    assert_eq!(times(&movie, 0)[2].2, expected);
    assert_eq!(times(&movie, 1)[0].2, expected);
}

#[test]
fn a_time_that_goes_back_is_counted() {
    let traf = |time| {
        vec![
            tfhd(0x2_0000, &[2]),
            table(b"tfdt", &[0x0100_0000, time, 0]),
            table(b"trun", &[0x1, 1, 0]),
        ]
    };
    let file = [
        head(),
        moof(&[traf(1)]),
        moof(&[traf(0)]),
        moof(&[traf(u32::MAX)]),
    ]
    .concat();
    let movie = read(&file).unwrap();
    let summary = movie.tracks[1].summary();
    assert_eq!((summary.frames, summary.faults.dts_back), (3, 1));
    assert_eq!(
        summary.last_dts,
        Some(i64::MAX),
        "beyond 63 bits times saturate"
    );
}

#[test]
fn faults_behind_moov_keep_what_was_read() {
    let good = moof(&[vec![tfhd(0x2_0000, &[2]), table(b"trun", &[0x1, 1, 0])]]);
    let fault = |bad: &[u8]| {
        let movie = read(&[&head()[..], &good, bad].concat()).unwrap();
        assert_eq!(movie.tracks[1].samples().count(), 1);
        movie.fault.unwrap()
    };
    let unknown = moof(&[vec![tfhd(0, &[9])]]);
    assert!(matches!(
        fault(&unknown),
        Error::UnknownTrack { track_id: 9, .. }
    ));
    let behind = moof(&[vec![tfhd(0, &[1]), table(b"trun", &[0x1, 1, 1 << 31])]]);
    assert!(matches!(fault(&behind), Error::DataOffset { .. }));
    let past = moof(&[vec![
        tfhd(0x11, &[1, u32::MAX, u32::MAX, 9]),
        table(b"trun", &[0, 1]),
    ]]);
    assert!(matches!(fault(&past), Error::DataOffset { .. }));
    let many = moof(&[vec![tfhd(0, &[1]), table(b"trun", &[0, u32::MAX])]]);
    assert!(matches!(
        fault(&many),
        Error::TooMany {
            what: "samples",
            ..
        }
    ));
    let nameless = moof(&[vec![]]);
    assert!(matches!(fault(&nameless), Error::Missing { .. }));
    assert!(matches!(
        fault(&good[..good.len() - 1]),
        Error::BoxPastEnd { .. }
    ));
    assert!(matches!(fault(b"\0\0\0\x08mda"), Error::Truncated { .. }));
}

#[test]
fn a_recording_cut_off_anywhere_gives_its_whole_fragments() {
    let file = own_file();
    let movie = read(&file).unwrap();
    let runs = [3, 7, 12, 18];
    let init = file.windows(4).position(|w| w == b"moof").unwrap() - 4;
    for n in init..file.len() {
        let cut = read(&file[..n]).unwrap();
        let frames = cut.tracks[0].samples().count();
        assert!(
            frames == 0 || runs.contains(&frames),
            "{frames} frames of {n} bytes"
        );
        for (a, b) in cut.tracks[0].samples().zip(movie.tracks[0].samples()) {
            assert!(a.offset.is_none() || a == b);
        }
    }
}
