//! SCTE-35 from a publisher to the playlists.

use crate::players::{chromium, event};
use m3u8_rs::QuotedOrUnquoted;
use protocol_tests::flv::{self, Tag};
use protocol_tests::hls::{Format, Media};
use protocol_tests::process::run;
use protocol_tests::rtmp::{Amf, Background};
use protocol_tests::server::Weir;
use protocol_tests::site::Site;
use protocol_tests::turn::heavy;
use protocol_tests::{clips, eventually, tools};
use std::net::UdpSocket;
use std::time::{Duration, Instant};

const WAIT: Duration = Duration::from_secs(30);

/// Bytes of a section whose CRC is still to come.
fn with_crc(mut section: Vec<u8>) -> Vec<u8> {
    section[2] = (section.len() + 4 - 3) as u8;
    let mut crc = u32::MAX;
    for byte in &section {
        for bit in (0..8).rev() {
            let set = (crc >> 31) as u8 ^ (byte >> bit & 1);
            crc = (crc << 1) ^ (u32::from(set) * 0x04c1_1db7);
        }
    }
    section.extend(crc.to_be_bytes());
    section
}

/// A `splice_insert` for now, out with a duration of 5 s, or in.
fn insert(event: u8, out: bool) -> Vec<u8> {
    let mut command = vec![0, 0, 0, event, 0x7f];
    command.push(0x5f | u8::from(out) << 7 | u8::from(out) << 5);
    if out {
        command.push(0xfe);
        command.extend(450_000u32.to_be_bytes());
    }
    command.extend([0, 1, 0, 0]);
    let mut section = vec![0xfc, 0x30, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xf0];
    section.extend([command.len() as u8, 5]);
    section.extend(command);
    section.extend([0, 0]);
    with_crc(section)
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for three in bytes.chunks(3) {
        let byte = |i| u32::from(*three.get(i).unwrap_or(&0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for i in 0..4 {
            let letter = char::from(LETTERS[(bits >> (18 - 6 * i) & 63) as usize]);
            out.push(if i <= three.len() { letter } else { '=' });
        }
    }
    out
}

fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|b| format!("{b:02X}")).collect();
    format!("0x{digits}")
}

/// `onCuePoint` as encoders send it.
fn cue(timestamp: u32, section: &[u8]) -> Tag {
    let text = base64(section);
    let parameters = Amf::Object(vec![("scte35".into(), Amf::text(&text))]);
    let mut body = Vec::new();
    Amf::text("onCuePoint").write(&mut body);
    let properties = [
        ("name", Amf::text("SCTE-35")),
        ("time", Amf::Number(f64::from(timestamp) / 1000.0)),
        ("type", Amf::text("event")),
        ("parameters", parameters),
    ];
    Amf::Object(properties.map(|(n, v)| (n.to_owned(), v)).into()).write(&mut body);
    Tag {
        kind: flv::SCRIPT,
        timestamp,
        body,
    }
}

/// `seconds` of a clip, with cues in front of the first tag that is not before them.
fn tags(seconds: u32, cues: Vec<Tag>) -> Vec<Tag> {
    let mut tags = flv::read(&clips::LONG.flv());
    tags.retain(|t| t.timestamp < seconds * 1000);
    for cue in cues {
        let at = tags.iter().position(|t| t.timestamp >= cue.timestamp);
        let at = at.unwrap_or(tags.len()).max(3);
        tags.insert(at, cue);
    }
    tags
}

/// A tag as `m3u8-rs` reads it.
#[derive(Debug, Clone, PartialEq)]
struct Range {
    id: String,
    /// Milliseconds since the epoch.
    start: i64,
    seconds: Option<f64>,
    planned: Option<f64>,
    splice: Option<(String, String)>,
}

fn ranges(media: &Media) -> Vec<Range> {
    let last = media.text.lines().rev().find(|l| !l.is_empty());
    assert!(!last.unwrap().contains("DATERANGE"), "{}", media.text);
    let of = media.playlist.segments.iter();
    of.filter_map(|s| s.daterange.as_ref())
        .map(|r| {
            let others = r.other_attributes.iter().flatten();
            let splice = others.clone().find(|(n, _)| n.starts_with("SCTE35"));
            assert!(others.count() <= 1);
            Range {
                id: r.id.clone(),
                start: r.start_date.timestamp_millis(),
                seconds: r.duration,
                planned: r.planned_duration,
                splice: splice.map(|(name, value)| {
                    let QuotedOrUnquoted::Unquoted(value) = value else {
                        panic!("{value:?} is quoted");
                    };
                    (name.clone(), value.clone())
                }),
            }
        })
        .collect()
}

/// The lines of date ranges, wherever they stand.
fn lines(text: &str) -> Vec<&str> {
    let is_range = |l: &&str| l.starts_with("#EXT-X-DATERANGE");
    text.lines().filter(is_range).collect()
}

#[test]
fn a_break_is_listed_while_it_lasts_and_after_a_restart() {
    let _turn = heavy();
    let weir = Weir::start(&["--segment", "1s", "--grace", "2s"]);
    let (out, back) = (insert(7, true), insert(7, false));
    let cues = vec![
        cue(3000, &out),
        // Said again, and taken back: one that never was.
        cue(3100, &out),
        cue(4000, &insert(8, true)),
        cue(4500, &with_crc(cancel(8))),
        cue(6000, &back),
    ];
    let publisher = Background::start(weir.rtmp, "show", tags(9, cues));
    let live = weir.live("show", Format::Cmaf);
    let open = eventually(WAIT, "the break begins", || {
        let media = weir.media(&live.main);
        (lines(&media.text).len() == 1).then_some(media)
    });
    assert!(!open.text.contains("SCTE35-IN"), "{}", open.text);
    publisher.join().unwrap();
    let ended = weir.ended("show", Format::Cmaf);
    let text = weir.media(&ended.main).text;
    let found = ranges(&weir.media(&ended.main));
    assert_eq!(found.len(), 2, "{text}");
    let (start, end) = (&found[0], &found[1]);
    assert_eq!((&start.id, start.start), (&end.id, end.start));
    let splice = |name: &str, bytes: &[u8]| Some((name.to_owned(), hex(bytes)));
    assert_eq!(start.splice, splice("SCTE35-OUT", &out));
    assert_eq!(end.splice, splice("SCTE35-IN", &back));
    assert_eq!((start.planned, start.seconds), (Some(5.0), None));
    assert!((end.seconds.unwrap() - 3.0).abs() < 0.05, "{text}");
    // It begins where a segment does: at 3 s of the clip, which is a keyframe.
    let media = weir.media(&ended.main);
    let dates = media.playlist.segments.iter();
    let dates = dates.filter_map(|s| s.program_date_time);
    let apart = dates.map(|d| (d.timestamp_millis() - start.start).abs());
    assert!(apart.min().unwrap() <= 50, "{text}");
    // The line that was there while it lasted is still the same.
    assert_eq!(lines(&open.text), lines(&text)[..1]);
    for other in [
        ended.audio.clone().unwrap(),
        weir.ended("show", Format::Ts).main,
    ] {
        assert_eq!(lines(&weir.media(&other).text), lines(&text));
    }
    assert_eq!(
        weir.metric("weir_stream_data_total{kind=\"scte35\"}"),
        Some(4.0)
    );
    let weir = weir.kill9().start();
    let again = weir.ended("show", Format::Cmaf);
    assert_eq!(lines(&weir.media(&again.main).text), lines(&text));
}

/// The same for a time of the transport stream, in ticks.
fn insert_at(event: u8, out: bool, pts: u64) -> Vec<u8> {
    let mut command = vec![0, 0, 0, event, 0x7f];
    command.push(0x4f | u8::from(out) << 7);
    command.push(0xfe | (pts >> 32) as u8 & 1);
    command.extend((pts as u32).to_be_bytes());
    command.extend([0, 1, 0, 0]);
    let mut section = vec![0xfc, 0x30, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xf0];
    section.extend([command.len() as u8, 5]);
    section.extend(command);
    section.extend([0, 0]);
    with_crc(section)
}

const PMT: u16 = 0x1000;
const VIDEO: u16 = 0x100;
const SPLICES: u16 = 0x1f0;

fn pid(packet: &[u8]) -> u16 {
    u16::from_be_bytes([packet[1] & 0x1f, packet[2]])
}

/// A packet with one whole section.
fn section_packet(pid: u16, counter: u8, section: &[u8]) -> Vec<u8> {
    let mut packet = vec![
        0x47,
        0x40 | (pid >> 8) as u8,
        pid as u8,
        0x10 | counter & 15,
        0,
    ];
    packet.extend(section);
    assert!(packet.len() <= 188);
    packet.resize(188, 0xff);
    packet
}

/// The program map with a stream of splices (SCTE 35 §8.1).
fn with_splices(packet: &[u8]) -> Vec<u8> {
    let section = &packet[5..];
    let len = 3 + usize::from(u16::from_be_bytes([section[1] & 15, section[2]]));
    let mut map = section[..len - 4].to_vec();
    assert_eq!(map[11], 0, "ffmpeg describes no program");
    map[11] = 6;
    map.splice(12..12, *b"\x05\x04CUEI");
    map.extend([0x86, 0xe0 | (SPLICES >> 8) as u8, SPLICES as u8, 0xf0, 0]);
    section_packet(PMT, packet[3], &with_crc(map))
}

/// Nine seconds of a clip as a transport stream, with splices at its third and sixth second.
fn transport_stream() -> (Vec<u8>, [Vec<u8>; 2]) {
    let home = tempfile::TempDir::new().unwrap();
    let file = home.path().join("clip.ts");
    let mut ffmpeg = tools::ffmpeg();
    ffmpeg.arg("-i").arg(clips::LONG.flv());
    ffmpeg
        .args(["-t", "9", "-c", "copy", "-f", "mpegts"])
        .arg(&file);
    run(&mut ffmpeg, WAIT);
    let bytes = std::fs::read(&file).unwrap();
    let packets: Vec<&[u8]> = bytes.chunks_exact(188).collect();
    let first = packets.iter().find(|p| pid(p) == VIDEO && p[1] & 0x40 != 0);
    let pes = first.unwrap().windows(4).position(|w| w == [0, 0, 1, 0xe0]);
    let time = &first.unwrap()[pes.unwrap() + 9..];
    let byte = |i: usize| u64::from(time[i]);
    let pts =
        (byte(0) >> 1 & 7) << 30 | byte(1) << 22 | byte(2) >> 1 << 15 | byte(3) << 7 | byte(4) >> 1;
    let splices = [
        insert_at(7, true, pts + 270_000),
        insert_at(7, false, pts + 540_000),
    ];
    let mut out = Vec::new();
    for (i, packet) in packets.iter().enumerate() {
        // Each is announced a second before.
        for (n, splice) in (0..).zip(&splices) {
            if i == packets.len() * (2 + 3 * n) / 9 {
                out.extend(section_packet(SPLICES, n as u8, splice));
            }
        }
        match pid(packet) {
            PMT => out.extend(with_splices(packet)),
            _ => out.extend_from_slice(packet),
        }
    }
    (out, splices)
}

#[test]
fn splices_of_a_transport_stream_are_dated_by_its_clock() {
    let _turn = heavy();
    let (stream, [out, back]) = transport_stream();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let home = tempfile::TempDir::new().unwrap();
    let config = home.path().join("weir.toml");
    let text = format!("[[pull]]\nname = \"show\"\nurl = \"udp://127.0.0.1:{port}\"\n");
    std::fs::write(&config, text).unwrap();
    let config = config.to_str().unwrap();
    let weir = Weir::start(&["--segment", "1s", "--grace", "2s", "--config", config]);
    let (start, count) = (Instant::now(), stream.len().div_ceil(7 * 188) as u32);
    for (i, datagram) in (0..).zip(stream.chunks(7 * 188)) {
        let due = Duration::from_secs(9) * i / count;
        std::thread::sleep(due.saturating_sub(start.elapsed()));
        socket.send_to(datagram, ("127.0.0.1", port)).unwrap();
    }
    let ended = weir.ended("show", Format::Cmaf);
    let media = weir.media(&ended.main);
    let found = ranges(&media);
    assert_eq!(found.len(), 2, "{}", media.text);
    let splice = |name: &str, bytes: &[u8]| Some((name.to_owned(), hex(bytes)));
    assert_eq!(found[0].splice, splice("SCTE35-OUT", &out));
    assert_eq!(found[1].splice, splice("SCTE35-IN", &back));
    assert!(
        (found[1].seconds.unwrap() - 3.0).abs() < 0.05,
        "{}",
        media.text
    );
    // Keyframes come each second: segments begin where the splices are.
    let dates = media.playlist.segments.iter();
    let dates = dates.filter_map(|s| s.program_date_time);
    let apart = dates.map(|d| (d.timestamp_millis() - found[0].start).abs());
    assert!(apart.min().unwrap() <= 50, "{}", media.text);
}

fn cancel(event: u8) -> Vec<u8> {
    let mut section = vec![0xfc, 0x30, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xf0];
    section.extend([5, 5, 0, 0, 0, event, 0xff, 0, 0]);
    section
}

#[test]
fn ranges_leave_the_window_with_their_segments() {
    let _turn = heavy();
    let weir = Weir::start(&["--segment", "1s", "--window", "5s"]);
    let cues = vec![cue(2000, &insert(7, true)), cue(3000, &insert(7, false))];
    let _publisher = Background::start(weir.rtmp, "show", tags(40, cues));
    let live = weir.live("show", Format::Cmaf);
    eventually(WAIT, "the break is over", || {
        (lines(&weir.media(&live.main).text).len() == 2).then_some(())
    });
    eventually(WAIT, "the break has left", || {
        lines(&weir.media(&live.main).text).is_empty().then_some(())
    });
}

#[test]
fn hls_js_reads_the_break() {
    let _turn = heavy();
    let weir = Weir::start(&["--segment", "2s"]);
    let (out, back) = (insert(7, true), insert(7, false));
    let cues = vec![cue(2000, &out), cue(4000, &back)];
    let _publisher = Background::start(weir.rtmp, "show", tags(58, cues));
    let live = weir.live("show", Format::Cmaf);
    eventually(WAIT, "the break is over", || {
        (lines(&weir.media(&live.main).text).len() == 2).then_some(())
    });
    let site = Site::start();
    let page = site.page(&weir.url("/show/manifest/video.m3u8"));
    let log = chromium("page", &page).succeed(Duration::from_secs(90));
    let played = event(&log, "played").unwrap_or_else(|| panic!("it did not play:\n{log}"));
    let ranges = played["dateRanges"].as_array().unwrap();
    assert_eq!(ranges.len(), 1, "{log}");
    let range = &ranges[0];
    assert_eq!(range["valid"], true, "{log}");
    assert_eq!(range["SCTE35-OUT"], hex(&out).as_str(), "{log}");
    assert_eq!(range["SCTE35-IN"], hex(&back).as_str(), "{log}");
    assert!((range["seconds"].as_f64().unwrap() - 2.0).abs() < 0.05);
}
