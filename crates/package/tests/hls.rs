//! Probing HLS over loopback: good streams, broken promises, bad servers.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod common;

use common::{Random, Server, damage, init, ok, segment, video_config};
use std::collections::HashMap;
use std::io::Write as _;
use std::time::Duration;
use weir_package::probe::{self, FaultKind, Report, Role};
use weir_package::{Error, FetchFault};

const MASTER: &str = "#EXTM3U\n#EXT-X-INDEPENDENT-SEGMENTS\n\
    #EXT-X-STREAM-INF:BANDWIDTH=100000,CODECS=\"avc1.64001e\",RESOLUTION=640x360\nv/video.m3u8\n";

const MEDIA: &str = "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:1\n\
    #EXT-X-MEDIA-SEQUENCE:7\n#EXT-X-MAP:URI=\"init.mp4\"\n\
    #EXTINF:1.000,\n1.m4s\n#EXTINF:1.000,\ngone.m4s\n#EXTINF:1.000,\n3.m4s\n#EXT-X-ENDLIST\n";

/// A good stream: three segments of a second, of which the middle one is never asked for.
fn good() -> HashMap<String, Vec<u8>> {
    [
        ("/x/master.m3u8", ok(MASTER)),
        ("/x/v/video.m3u8", ok(MEDIA)),
        ("/x/v/init.mp4", ok(init(&video_config()))),
        ("/x/v/1.m4s", ok(segment(900_000, 25, true))),
        ("/x/v/3.m4s", ok(segment(900_000 + 180_000, 25, true))),
    ]
    .map(|(path, answer)| (path.to_owned(), answer))
    .into()
}

fn probed(answers: HashMap<String, Vec<u8>>) -> Result<Report, Error> {
    let server = Server::start(answers);
    probe::hls(&server.url("/x/master.m3u8"))
}

fn with(path: &str, answer: Vec<u8>) -> HashMap<String, Vec<u8>> {
    let mut answers = good();
    answers.insert(path.to_owned(), answer);
    answers
}

/// Probes with a changed media playlist and counts one kind of fault in it.
fn count(from: &str, to: &str, kind: FaultKind) -> u64 {
    let media = MEDIA.replace(from, to);
    assert_ne!(media, MEDIA);
    let report = probed(with("/x/v/video.m3u8", ok(media))).unwrap();
    report.playlists[0].faults.count(kind)
}

#[test]
fn a_good_ladder() {
    let report = probed(good()).unwrap();
    assert_eq!(report.fault_count(), 0, "{report}");
    assert_eq!(report.duration_us, Some(3_000_000));
    let [playlist] = &report.playlists[..] else {
        panic!("{report}")
    };
    assert!(matches!(
        &playlist.role,
        Role::Variant {
            bandwidth: 100_000,
            ..
        }
    ));
    let media = playlist.media.as_ref().unwrap();
    assert_eq!((media.segments, media.media_sequence), (3, 7));
    assert!(media.independent && media.end);
    assert_eq!(media.segment_max, Some(Duration::from_secs(1)));
    let numbers: Vec<_> = playlist.segments.iter().map(|s| s.media_sequence).collect();
    assert_eq!(numbers, [7, 9]);
    let track = &playlist.segments[1].tracks[0];
    assert_eq!(
        (track.frames, track.dts_us),
        (25, Some((12_000_000, 12_960_000)))
    );
    assert!(report.to_string().contains("ended, 3 segments from 7"));
}

#[test]
fn rules_of_the_playlist() {
    assert_eq!(
        count("1.000,\ngone", "1.500,\ngone", FaultKind::TargetDuration),
        1
    );
    assert_eq!(count("VERSION:6", "VERSION:5", FaultKind::Version), 1);
    let all = MEDIA.split_once("#EXTINF").unwrap().1;
    assert_eq!(
        count(all, ":1,\n#EXT-X-GAP\ngap.m4s\n", FaultKind::Segment),
        0
    );
    assert_eq!(
        count(&format!("#EXTINF{all}"), "", FaultKind::NoSegments),
        1
    );
}

#[test]
fn playlist_and_media_disagree() {
    assert_eq!(
        count("1.000,\n3", "0.700,\n3", FaultKind::SegmentDuration),
        1
    );
    assert_eq!(
        count("1.000,\ngone", "0.800,\ngone", FaultKind::Timeline),
        1
    );
    // A discontinuity starts another timeline.
    let split = "0.800,\ngone.m4s\n#EXT-X-DISCONTINUITY";
    assert_eq!(count("1.000,\ngone.m4s", split, FaultKind::Timeline), 0);
    let master = MASTER.replace("100000", "1000").replace("64001e", "4d001e");
    let report = probed(with("/x/master.m3u8", ok(master))).unwrap();
    let faults = &report.playlists[0].faults;
    assert_eq!(faults.count(FaultKind::Bandwidth), 2, "{report}");
    assert_eq!(faults.count(FaultKind::Codecs), 2, "{report}");
    let report = probed(with("/x/v/1.m4s", ok(segment(900_000, 25, false)))).unwrap();
    let faults = &report.playlists[0].segments[0].tracks[0].faults;
    assert_eq!(faults.count(FaultKind::StartsWithoutKey), 1, "{report}");
}

#[test]
fn what_cannot_be_loaded_is_a_fault_beside_what_can() {
    assert_eq!(count("1.m4s", "nowhere.m4s", FaultKind::Segment), 1);
    assert_eq!(count("1.m4s", "https://h/1.m4s", FaultKind::Segment), 1);
    let more = "#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO=\"a\"\nnowhere.m3u8\n";
    let report = probed(with("/x/master.m3u8", ok(format!("{MASTER}{more}")))).unwrap();
    assert_eq!(report.faults.count(FaultKind::AudioGroup), 1);
    assert_eq!(report.playlists[1].faults.count(FaultKind::Playlist), 1);
    assert_eq!(report.fault_count(), 2, "{report}");
    // With nothing that can be loaded there is no report.
    let mut answers = good();
    answers.remove("/x/v/video.m3u8");
    let error = probed(answers).unwrap_err();
    assert!(matches!(
        error,
        Error::Fetch {
            fault: FetchFault::Status(404),
            ..
        }
    ));
}

#[test]
fn ranges_of_one_resource() {
    let init = init(&video_config());
    let (a, b) = (segment(0, 25, true), segment(90_000, 25, true));
    let whole = [&init[..], &a, &b].concat();
    let (i, a, b) = (init.len(), a.len(), b.len());
    let media = format!(
        "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:1\n\
         #EXT-X-MAP:URI=\"all.mp4\",BYTERANGE=\"{i}@0\"\n\
         #EXTINF:1.0,\n#EXT-X-BYTERANGE:{a}@{i}\nall.mp4\n\
         #EXTINF:1.0,\n#EXT-X-BYTERANGE:{b}\nall.mp4\n"
    );
    // The server has no ranges and sends the whole.
    let mut answers = with("/x/v/video.m3u8", ok(media));
    answers.insert("/x/v/all.mp4".into(), ok(whole));
    let report = probed(answers).unwrap();
    assert_eq!(report.fault_count(), 0, "{report}");
    assert_eq!(report.playlists[0].segments[1].bytes, b as u64);
}

#[test]
fn transport_streams_are_counted() {
    let mut ts = Vec::new();
    let mut packet = |head: &[u8]| {
        ts.extend(head);
        ts.resize(ts.len().next_multiple_of(188), 0xff);
    };
    // PAT: program 1 at PID 0x1000. PMT: H.264 at PID 0x100. Then two PES packets.
    packet(&[
        0x47, 0x40, 0, 0x10, 0, 0, 0xb0, 13, 0, 1, 0xc1, 0, 0, 0, 1, 0xf0, 0, 1, 2, 3, 4,
    ]);
    packet(&[
        0x47, 0x50, 0, 0x10, 0, 2, 0xb0, 18, 0, 1, 0xc1, 0, 0, 0xe1, 0, 0xf0, 0, 0x1b, 0xe1, 0,
        0xf0, 0, 1, 2, 3, 4,
    ]);
    packet(&[0x47, 0x41, 0, 0x30, 1, 0, 0, 0, 1, 0xe0]);
    packet(&[0x47, 0x41, 0, 0x11, 0, 0, 1, 0xe0]);
    packet(&[0x47, 0x01, 0, 0x12, 9, 9]);
    let media = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n1.ts\n#EXTINF:1,\n2.ts\n";
    let mut answers = with("/x/v/video.m3u8", ok(media));
    answers.insert("/x/v/1.ts".into(), ok(&ts));
    ts[188] = 0;
    ts.pop();
    answers.insert("/x/v/2.ts".into(), ok(&ts));
    let report = probed(answers).unwrap();
    let playlist = &report.playlists[0];
    let counts = playlist.segments[0].transport_stream.clone().unwrap();
    assert_eq!((counts.packets, counts.pats, counts.pmts), (5, 1, 1));
    let stream = counts.streams[0];
    assert_eq!(
        (stream.pid, stream.stream_type, stream.pes_packets),
        (0x100, 0x1b, 2)
    );
    for kind in [FaultKind::Sync, FaultKind::NoPmt, FaultKind::CutShort] {
        assert_eq!(playlist.faults.count(kind), 1, "{kind:?} in {report}");
    }
    assert_eq!(report.fault_count(), 3, "{report}");
}

#[test]
fn answers_of_every_framing() {
    let redirect = b"HTTP/1.1 302 Found\r\nLocation: other/../v/video.m3u8\r\n\r\n".to_vec();
    let report = probed(with("/x/master.m3u8", redirect)).unwrap();
    assert_eq!(report.playlists[0].role, Role::Single);
    let (a, b) = MASTER.split_at(20);
    let mut chunked =
        b"HTTP/1.1 103 Hint\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for part in [a, b, ""] {
        write!(chunked, "{:x}\r\n{part}\r\n", part.len()).unwrap();
    }
    assert!(probed(with("/x/master.m3u8", chunked)).is_ok());
    let to_the_end = format!("HTTP/1.0 200 OK\r\n\r\n{MASTER}").into_bytes();
    assert!(probed(with("/x/master.m3u8", to_the_end)).is_ok());
}

#[test]
fn bad_servers_are_given_up() {
    let fault = |answer: &[u8]| match probed(with("/x/master.m3u8", answer.to_vec())) {
        Err(Error::Fetch { fault, .. }) => fault,
        other => panic!("{other:?}"),
    };
    let around = b"HTTP/1.1 301 Moved\r\nLocation: master.m3u8\r\n\r\n";
    assert!(matches!(fault(around), FetchFault::Redirects));
    let nowhere = b"HTTP/1.1 301 Moved\r\n\r\n";
    assert!(matches!(fault(nowhere), FetchFault::NoLocation));
    let long = b"HTTP/1.1 200 OK\r\nContent-Length: 1048577\r\n\r\n";
    assert!(matches!(fault(long), FetchFault::TooLong(_)));
    let endless = [&b"HTTP/1.1 200 OK\r\n\r\n"[..], &vec![b'#'; 1_100_000]].concat();
    assert!(matches!(fault(&endless), FetchFault::TooLong(_)));
    let short = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n#EXTM3U";
    assert!(matches!(fault(short), FetchFault::Closed));
    assert!(matches!(fault(b""), FetchFault::Closed));
    assert!(matches!(fault(b"SSH-2.0-x\r\n\r\n"), FetchFault::Http(_)));
    let secure = b"HTTP/1.1 301 Moved\r\nLocation: https://h/\r\n\r\n".to_vec();
    let refused = probed(with("/x/master.m3u8", secure));
    assert!(matches!(refused, Err(Error::Url { .. })));
    let page = probed(with("/x/master.m3u8", ok("<html>")));
    assert!(matches!(page, Err(Error::Playlist { .. })));
}

#[test]
fn damaged_streams_are_probed_or_refused() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let (mut faulty, mut refused) = (0, 0);
    for _ in 0..300 {
        let mut answers = good();
        for answer in answers.values_mut() {
            let mut body =
                answer.split_off(answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap());
            if random.below(2) == 0 {
                damage(&mut body, &mut random);
            }
            *answer = ok(body.get(4..).unwrap_or_default());
        }
        match probed(answers) {
            Ok(report) => faulty += u32::from(report.fault_count() > 0),
            Err(_) => refused += 1,
        }
    }
    assert!(
        faulty > 50 && refused > 20,
        "{faulty} faulty, {refused} refused"
    );
}
