//! SCTE-35 as date ranges, letter by letter and to an independent reader.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use weir_manifest::limits::{CUES_MAX, SPLICE_RANGES_MAX};
use weir_manifest::splice::{Cue, SpliceRange, ranges};
use weir_manifest::{DateRange, MediaPlaylist, Segment, SpliceAttribute};
use weir_media::Utc;
use weir_media::scte35::crc32;

const SECOND: i64 = 1_000_000;

/// 2026-11-20T23:59:59Z.
const T0: Utc = Utc(1_795_219_199_000_000);

fn after(seconds: i64) -> Utc {
    T0.plus_us(seconds * SECOND)
}

fn section(command_type: u8, command: &[u8], descriptors: &[u8]) -> Vec<u8> {
    let mut out = vec![0xfc, 0x30, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xf0];
    out.extend([command.len() as u8, command_type]);
    out.extend(command);
    out.extend((descriptors.len() as u16).to_be_bytes());
    out.extend(descriptors);
    out[2] = (out.len() + 1) as u8;
    out.extend(crc32(&out).to_be_bytes());
    out
}

/// `splice_insert`; a duration in ticks where one is told.
fn insert(event: u32, out: bool, ticks: Option<u32>, avail: u8) -> Vec<u8> {
    let mut command = event.to_be_bytes().to_vec();
    let flags = 0x5f | u8::from(out) << 7 | u8::from(ticks.is_some()) << 5;
    command.extend([0x7f, flags, 0x7f]);
    if let Some(ticks) = ticks {
        command.push(0xfe);
        command.extend(ticks.to_be_bytes());
    }
    command.extend([0, 1, avail, 0]);
    // Not immediate, without a time.
    command[5] &= !0x10;
    section(5, &command, &[])
}

fn cancelled(event: u32) -> Vec<u8> {
    section(5, &[&event.to_be_bytes()[..], &[0xff]].concat(), &[])
}

fn segment(event: u32, type_id: u8) -> Vec<u8> {
    let mut body = b"CUEI".to_vec();
    body.extend(event.to_be_bytes());
    body.extend([0x7f, 0xbf, 0, 0, type_id, 0, 0]);
    [&[2, body.len() as u8][..], &body].concat()
}

fn signal(descriptors: &[u8]) -> Vec<u8> {
    section(6, &[0x7f], descriptors)
}

fn found(sections: &[(i64, Vec<u8>)]) -> Vec<SpliceRange<'_>> {
    ranges((1..).zip(sections).map(|(number, (at, section))| Cue {
        number,
        at: after(*at),
        section,
    }))
}

/// `ID` and attribute of each tag.
fn tags(sections: &[(i64, Vec<u8>)]) -> Vec<(String, SpliceAttribute)> {
    let found = found(sections);
    let tags = found.iter().flat_map(SpliceRange::tags);
    tags.map(|t| (t.id.to_owned(), t.splice.unwrap().0))
        .collect()
}

#[test]
fn a_break_is_one_range_with_two_tags() {
    use SpliceAttribute::{In, Out};
    let (out, back) = (insert(9, true, Some(900_000), 0), insert(9, false, None, 0));
    let told = [(0, out.clone())];
    assert_eq!(tags(&told), [("splice-00000009-1".into(), Out)]);
    assert_eq!(found(&told)[0].concerns_until(), after(10));
    // Said again, restamped or with another counter, it is the same break.
    let both = [
        (0, out),
        (0, insert(9, true, None, 1)),
        (8, back.clone()),
        (8, back),
    ];
    let id = || "splice-00000009-1".to_owned();
    assert_eq!(tags(&both), [(id(), Out), (id(), In)]);
    let ranges = found(&both);
    let tags: Vec<DateRange<'_>> = ranges[0].tags().collect();
    assert_eq!((tags[0].planned_us, tags[0].end), (Some(10_000_000), None));
    assert_eq!((tags[1].start, tags[1].end), (T0, Some(after(8))));
    assert_eq!(ranges[0].concerns_until(), after(8));
}

#[test]
fn a_number_that_is_used_again_is_another_range() {
    let out = || insert(9, true, None, 0);
    let back = || insert(9, false, None, 0);
    let ids: Vec<_> = tags(&[
        (0, out()),
        (8, back()),
        (60, out()),
        (68, back()),
        (99, back()),
    ])
    .into_iter()
    .map(|t| t.0)
    .collect();
    let first = "splice-00000009-1";
    let second = "splice-00000009-3";
    // A return that nothing was left for is listed alone.
    assert_eq!(ids, [first, first, second, second, "splice-00000009-5"]);
}

#[test]
fn what_is_cancelled_is_not_listed() {
    assert_eq!(
        tags(&[(5, insert(9, true, None, 0)), (1, cancelled(9))]),
        []
    );
    assert_eq!(
        tags(&[(5, insert(9, true, None, 0)), (1, cancelled(8))]).len(),
        1
    );
    // What is over stays.
    let over = [(0, insert(9, true, Some(90_000), 0)), (60, cancelled(9))];
    assert_eq!(tags(&over).len(), 1);
    let all = [segment(7, 0x34), segment(7, 0x30)].concat();
    let mut cancel = b"\x02\x09CUEI".to_vec();
    cancel.extend([0, 0, 0, 7, 0xff]);
    assert_eq!(tags(&[(5, signal(&all)), (1, signal(&cancel))]), []);
}

#[test]
fn types_of_segmentation_are_ranges_of_their_own() {
    use SpliceAttribute::{Command, In, Out};
    let starts = signal(&[segment(7, 0x34), segment(7, 0x30), segment(7, 0x10)].concat());
    let end = signal(&segment(7, 0x31));
    let placement = "segment-34-00000007-1".to_owned();
    let advertisement = "segment-30-00000007-1".to_owned();
    assert_eq!(
        tags(&[(0, starts), (5, end)]),
        [
            (placement, Out),
            (advertisement.clone(), Out),
            (advertisement, In),
        ]
    );
    // The start of a program is no break.
    let program = [
        (0, signal(&segment(7, 0x10))),
        (0, signal(&segment(7, 0x10))),
    ];
    assert_eq!(tags(&program), [("scte35-1".into(), Command)]);
    let others = [
        section(0, &[], &[]),
        section(7, &[], &[]),
        section(0xff, b"CUEIx", &[]),
    ];
    let others = [0, 1, 2].map(|n| (n, others[n as usize].clone()));
    assert_eq!(tags(&others), [("scte35-3".into(), Command)]);
    assert_eq!(tags(&[(0, b"\xfc\x30\x01".to_vec())]), []);
}

fn playlist_text(ranges: &[DateRange<'_>]) -> String {
    let names = ["0.m4s", "1.m4s", "2.m4s"];
    let segments = [0usize, 1, 2].map(|n| Segment {
        uri: names[n],
        duration: 4,
        timescale: 1,
        program_date_time: Some(after(4 * n as i64)),
        ..Segment::default()
    });
    let playlist = MediaPlaylist {
        target_duration: 4,
        segments: &segments,
        date_ranges: ranges,
        ..MediaPlaylist::default()
    };
    let mut out = String::new();
    playlist.write(&mut out).unwrap();
    out
}

#[test]
fn tags_stand_where_they_apply() {
    let (out, back) = ([0xfc, 0x0a], [0xfc, 0x0b]);
    let tag = |id, at, splice| DateRange {
        id,
        at,
        start: T0,
        end: None,
        planned_us: None,
        splice,
    };
    let ranges = [
        tag("before", after(-90), None),
        DateRange {
            planned_us: Some(5_500_000),
            ..tag("a", T0, Some((SpliceAttribute::Out, &out[..])))
        },
        DateRange {
            end: Some(after(5).plus_us(250_999)),
            ..tag("a", after(5), Some((SpliceAttribute::In, &back[..])))
        },
        tag("to come", after(12), None),
    ];
    let text = playlist_text(&ranges);
    let expected = "#EXTM3U
#EXT-X-VERSION:3
#EXT-X-TARGETDURATION:4
#EXT-X-MEDIA-SEQUENCE:0
#EXT-X-PROGRAM-DATE-TIME:2026-11-20T23:59:59.000Z
#EXT-X-DATERANGE:ID=\"before\",START-DATE=\"2026-11-20T23:59:59.000Z\"
#EXT-X-DATERANGE:ID=\"a\",START-DATE=\"2026-11-20T23:59:59.000Z\",PLANNED-DURATION=5.500,SCTE35-OUT=0xFC0A
#EXTINF:4.000000,
0.m4s
#EXT-X-PROGRAM-DATE-TIME:2026-11-21T00:00:03.000Z
#EXT-X-DATERANGE:ID=\"a\",START-DATE=\"2026-11-20T23:59:59.000Z\",END-DATE=\"2026-11-21T00:00:04.250Z\",DURATION=5.250,SCTE35-IN=0xFC0B
#EXTINF:4.000000,
1.m4s
#EXT-X-PROGRAM-DATE-TIME:2026-11-21T00:00:07.000Z
#EXTINF:4.000000,
2.m4s
#EXT-X-DATERANGE:ID=\"to come\",START-DATE=\"2026-11-20T23:59:59.000Z\"
";
    assert_eq!(text, expected);
    let read = m3u8_rs::parse_media_playlist_res(text.as_bytes()).unwrap();
    let back = read.segments[1].daterange.as_ref().unwrap();
    assert_eq!((back.id.as_str(), back.duration), ("a", Some(5.25)));
    let start = back.start_date.timestamp_micros();
    assert_eq!(start, T0.0);
    assert!(weir_manifest::read::parse(text.as_bytes()).is_ok());
}

#[test]
fn a_flood_of_cues_makes_no_long_playlist() {
    // Each of many breaks in one section, none of which ends.
    let breaks: Vec<u8> = (0..9).flat_map(|event| segment(event, 0x34)).collect();
    let flood: Vec<_> = (0..4 * CUES_MAX as i64)
        .map(|i| (i * 60, signal(&breaks)))
        .collect();
    let found = found(&flood);
    assert_eq!(found.len(), SPLICE_RANGES_MAX);
    let last = after(60 * (4 * CUES_MAX as i64 - 1));
    assert!(
        found.iter().all(|range| range.concerns_until() > last),
        "the newest stay"
    );
}
