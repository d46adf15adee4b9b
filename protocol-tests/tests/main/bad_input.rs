//! What peers, disks and operators do wrong. Each fault gets its answer, costs at most its
//! documented memory, and leaves the stream beside it untouched.

use crate::support::{Bystander, QUICK, cmaf_packets, counts, publish, tag_counts, ts_packets};
use protocol_tests::flv::{self, Tag};
use protocol_tests::hls::Format;
use protocol_tests::process::Process;
use protocol_tests::rtmp::{Amf, Background, Connection, closes_within};
use protocol_tests::server::{self, Weir};
use protocol_tests::turn::heavy;
use protocol_tests::{clips, eventually, http, probe, tools};
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

/// Segments of a second, as the bystander counts them.
const BESIDE: [&str; 4] = ["--segment", "1s", "--grace", "2s"];

/// Longer than every wait that weir allows a peer (10 s), with time for a busy machine.
const CLOSE_WAIT: Duration = Duration::from_secs(14);

/// What bad peers together may cost for a while.
const MEMORY_KIB: u64 = 64 * 1024;

fn raw(addr: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut socket = TcpStream::connect(addr).unwrap();
    socket
        .set_write_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    let _ = socket.write_all(bytes);
    socket
}

#[test]
fn what_is_not_rtmp_is_closed() {
    let _turn = heavy();
    let mut weir = Weir::start(&BESIDE);
    let mut bystander = Bystander::start(&weir);
    let noise: Vec<u8> = (0..100_000u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    // Versions from 32 on are not RTMP (§5.2.2); the others begin like one and go wrong.
    for first in [b'G', 0x16, 0x80, 0xff] {
        let mut bytes = noise.clone();
        bytes[0] = first;
        let mut socket = raw(weir.rtmp, &bytes);
        assert!(
            closes_within(&mut socket, CLOSE_WAIT),
            "first byte {first:#x} stays open"
        );
    }
    // A handshake, then noise.
    let mut connection = Connection::open(weir.rtmp).unwrap();
    let _ = connection.socket.write_all(&noise);
    assert!(
        connection.closes_within(CLOSE_WAIT),
        "noise is taken for chunks"
    );
    bystander.assert_untouched(&mut weir);
}

#[test]
fn half_a_handshake_or_request_is_closed_after_ten_seconds() {
    let _turn = heavy();
    let mut weir = Weir::start(&BESIDE);
    let mut bystander = Bystander::start(&weir);
    let mut silent = raw(weir.rtmp, &[]);
    let mut half = raw(weir.rtmp, &[3; 700]);
    let mut no_c2 = raw(weir.rtmp, &[3; 1537]);
    // Shakes hands, and then neither connects nor publishes.
    let mut mute = Connection::open(weir.rtmp).unwrap();
    let mut slow = raw(weir.http, b"GET /x HTTP/1.1\r\nHost: ");
    assert!(
        closes_within(&mut half, CLOSE_WAIT),
        "half a handshake stays open"
    );
    // All were opened together.
    for (socket, what) in [
        (&mut silent, "silence"),
        (&mut no_c2, "no C2"),
        (&mut slow, "HTTP"),
    ] {
        assert!(
            closes_within(socket, Duration::from_secs(4)),
            "{what} stays open"
        );
    }
    assert!(
        mute.closes_within(Duration::from_secs(20)),
        "a mute peer stays open"
    );
    bystander.assert_untouched(&mut weir);
}

#[test]
fn declared_lengths_and_chunk_streams_cost_no_memory() {
    let _turn = heavy();
    let mut weir = Weir::start(&BESIDE);
    let mut bystander = Bystander::start(&weir);
    let before = weir.resident_kib();
    // 16 MiB - 1 is declared, and comes in dribbles.
    let mut held = Vec::new();
    for _ in 0..16 {
        let mut c = Connection::open(weir.rtmp).unwrap();
        c.connect("live").unwrap();
        let head = [0x06, 0, 0, 0, 0xff, 0xff, 0xff, 9, 1, 0, 0, 0];
        let _ = c.socket.write_all(&head);
        for i in 0..200 {
            let mut piece = vec![0u8; 128];
            if i > 0 {
                piece.insert(0, 0xc6);
            }
            if c.socket.write_all(&piece).is_err() {
                break;
            }
        }
        held.push(c);
    }
    std::thread::sleep(Duration::from_millis(500));
    let grown = weir.resident_kib().saturating_sub(before);
    assert!(
        grown < 16 * 1024,
        "16 declared messages of 16 MiB cost {grown} KiB"
    );
    drop(held);
    // Every chunk stream there is, each with the beginning of a message.
    let mut c = Connection::open(weir.rtmp).unwrap();
    let mut bytes = Vec::new();
    for stream in 64..65_600u32 {
        let [low, high] = ((stream - 64) as u16).to_le_bytes();
        bytes.extend([0x01, low, high, 0, 0, 0, 0xff, 0xff, 0xff, 9, 1, 0, 0, 0]);
        bytes.extend([0; 128]);
    }
    let _ = c.socket.write_all(&bytes);
    assert!(
        c.closes_within(CLOSE_WAIT),
        "65,536 chunk streams are taken"
    );
    let grown = weir.resident_kib().saturating_sub(before);
    assert!(grown < MEMORY_KIB, "chunk streams cost {grown} KiB");
    bystander.assert_untouched(&mut weir);
}

#[test]
fn deep_amf_is_an_error_not_a_crash() {
    let _turn = heavy();
    let mut weir = Weir::start(&BESIDE);
    let mut bystander = Bystander::start(&weir);
    let mut command = Vec::new();
    Amf::text("connect").write(&mut command);
    Amf::Number(1.0).write(&mut command);
    let mut objects = command.clone();
    let mut arrays = command.clone();
    for _ in 0..70_000 {
        objects.extend([3, 0, 1, b'a']);
        arrays.extend([10, 0, 0, 0, 1]);
    }
    let mut amf3 = vec![0u8];
    amf3.extend(&command);
    amf3.push(0x11);
    for _ in 0..70_000 {
        amf3.extend([9, 3, 1]);
    }
    for (kind, body) in [(20, &objects), (20, &arrays), (17, &amf3), (18, &arrays)] {
        let mut c = Connection::open(weir.rtmp).unwrap();
        c.set_chunk_size(65_536).unwrap();
        let _ = c.send(3, 0, kind, 0, body);
        weir.assert_healthy();
    }
    bystander.assert_untouched(&mut weir);
}

#[test]
fn timestamps_that_jump_are_joined() {
    let _turn = heavy();
    let mut weir = Weir::start(&BESIDE);
    let mut bystander = Bystander::start(&weir);
    let hour = 3_600_000;
    let mut tags = flv::read(&clips::MAIN.flv());
    for tag in &mut tags {
        // Forward by three hours at 4 s, backward by two at 8 s.
        tag.timestamp += match tag.timestamp {
            0..4000 => 5 * hour,
            4000..8000 => 8 * hour,
            _ => 3 * hour,
        };
    }
    publish(&weir, "jumps", &tags);
    let packets = cmaf_packets(&weir, "jumps");
    assert_eq!(counts(&packets), tag_counts(&tags), "every frame is there");
    for video in [true, false] {
        let track = probe::only(&packets, video);
        let span = track.last().unwrap().seconds() - track[0].seconds();
        assert!((11.0..16.0).contains(&span), "12 s of media span {span} s");
        assert!(
            track.windows(2).all(|p| p[1].dts > p[0].dts),
            "time runs backward"
        );
    }
    assert_eq!(counts(&ts_packets(&weir, "jumps")), tag_counts(&tags));
    bystander.assert_untouched(&mut weir);
}

#[test]
fn empty_and_broken_frames_cost_only_themselves() {
    let _turn = heavy();
    let mut weir = Weir::start(&BESIDE);
    let mut bystander = Bystander::start(&weir);
    let tags = flv::read(&clips::BASELINE.flv());
    let mut sent = Vec::new();
    for (i, tag) in tags.iter().enumerate() {
        sent.push(tag.clone());
        let at = tag.timestamp;
        match i % 40 {
            10 => sent.push(Tag {
                kind: flv::AUDIO,
                timestamp: at,
                body: Vec::new(),
            }),
            20 => sent.push(Tag {
                kind: flv::VIDEO,
                timestamp: at,
                body: Vec::new(),
            }),
            // A NAL unit that is longer than its frame contradicts the configuration.
            30 => {
                let body = vec![0x27, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x41];
                sent.push(Tag {
                    kind: flv::VIDEO,
                    timestamp: at,
                    body,
                });
            }
            _ => {}
        }
    }
    publish(&weir, "faults", &sent);
    let packets = cmaf_packets(&weir, "faults");
    assert_eq!(
        counts(&packets),
        tag_counts(&tags),
        "the good frames, and only those"
    );
    bystander.assert_untouched(&mut weir);
}

#[test]
fn a_publisher_without_keyframes_is_reported() {
    let _turn = heavy();
    let mut weir = Weir::start(&BESIDE);
    let mut bystander = Bystander::start(&weir);
    let tags: Vec<Tag> = flv::read(&clips::LONG.flv())
        .into_iter()
        .filter(|t| !t.is_key())
        .collect();
    let before = weir.resident_kib();
    // A minute at once, and then as an encoder sends it.
    publish(&weir, "rushed", &tags);
    let publisher = Background::start(weir.rtmp, "keyless", tags);
    eventually(Duration::from_secs(40), "the operator is told", || {
        weir.process.log().contains("no keyframe").then_some(())
    });
    let grown = weir.resident_kib().saturating_sub(before);
    assert!(
        grown < MEMORY_KIB,
        "streams without a keyframe cost {grown} KiB"
    );
    publisher.stop().unwrap();
    bystander.assert_untouched(&mut weir);
}

#[test]
fn a_keyframe_every_30_s_is_cut_without_one() {
    let _turn = heavy();
    let mut weir = Weir::start(&BESIDE);
    let mut bystander = Bystander::start(&weir);
    let tags = flv::read(&clips::LONG_GOP.flv());
    publish(&weir, "long", &tags);
    let packets = cmaf_packets(&weir, "long");
    assert_eq!(counts(&packets), tag_counts(&tags));
    assert_eq!(counts(&ts_packets(&weir, "long")), tag_counts(&tags));
    let media = weir.media(&weir.ended("long", Format::Cmaf).main);
    assert!(media.playlist.target_duration <= 10, "{}", media.text);
    assert!(media.segments.len() >= 6, "{}", media.text);
    assert!(!media.text.contains("INDEPENDENT"), "{}", media.text);
    bystander.assert_untouched(&mut weir);
}

/// A weir whose data directory is a file system of its own, seen by nobody else, of 1.5 MB.
fn on_small_disk() -> Weir {
    Weir::start_wrapped(&["--segment", "1s", "--grace", "2s"], |weir| {
        let args: Vec<_> = weir.get_args().collect();
        let data = args
            .iter()
            .position(|a| *a == "--data")
            .map(|i| args[i + 1])
            .unwrap();
        std::fs::create_dir_all(data).unwrap();
        let mut unshare = tools::program("unshare");
        let own = if tools::is_root() { "-m" } else { "-rm" };
        let script = "mount -t tmpfs -o size=1536k weir \"$1\" && shift && exec \"$@\"";
        unshare.args([own, "sh", "-c", script, "sh"]).arg(data);
        server::through(unshare, &weir)
    })
}

#[test]
fn a_full_disk_stops_the_recording_not_the_stream() {
    let _turn = heavy();
    let mut weir = on_small_disk();
    let publisher = Background::start(
        weir.rtmp,
        "show",
        flv::read(&clips::MAIN.flv())
            .into_iter()
            .cycle()
            .scan((0, 0), endless)
            .take(2500)
            .collect(),
    );
    let live = weir.live("show", Format::Cmaf);
    let first = weir.media(&live.main).last();
    // 1.5 MB is full after 8 s.
    let media = weir.reaches(&live.main, first + 9, Duration::from_secs(40));
    weir.assert_healthy();
    let newest = media.segments.last().unwrap();
    let answer = http::get(weir.http, &newest.path);
    assert_eq!(
        answer.status, 200,
        "the newest segment is served from memory"
    );
    let log = weir.process.log().to_lowercase();
    assert!(
        log.contains("no space left") || log.contains("disk"),
        "nobody is told:\n{log}"
    );
    publisher.stop().unwrap();
    weir.stop();
}

/// Lets a clip that is repeated run on in time.
fn endless(state: &mut (u32, u32), mut tag: Tag) -> Option<Tag> {
    let (base, last) = state;
    if tag.timestamp + *base + 5000 < *last {
        *base = *last + 33;
    }
    tag.timestamp += *base;
    *last = (*last).max(tag.timestamp);
    Some(tag)
}

/// Starts weir and expects it to refuse: what it says.
fn refusal(args: &[&str]) -> String {
    let home = tempfile::tempdir().unwrap();
    let mut all = vec!["serve".to_string(), "--open".to_string()];
    all.extend(args.iter().map(|a| (*a).to_string()));
    let mut command: Command = server::command(&all, home.path());
    let (status, log) = Process::spawn(&mut command).finish(Duration::from_secs(20));
    assert!(!status.success(), "weir {args:?} ended well:\n{log}");
    assert!(
        status.code().is_some(),
        "weir {args:?} was killed by a signal: {status}\n{log}"
    );
    assert!(!log.contains("panicked"), "weir {args:?}:\n{log}");
    assert!(
        !home.path().join("ready.json").exists(),
        "it said that it was ready"
    );
    log
}

#[test]
fn a_data_directory_that_cannot_be_used_is_named() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file");
    std::fs::write(&file, "").unwrap();
    // Even root cannot make a directory in these places.
    for data in ["/proc/weir", file.to_str().unwrap(), "/dev/null/weir"] {
        let log = refusal(&["--data", data]);
        assert!(log.contains(data), "{data} is not named:\n{log}");
    }
}

#[test]
fn a_second_weir_on_the_same_data_is_refused() {
    let _turn = heavy();
    let mut weir = Weir::start(&BESIDE);
    let mut bystander = Bystander::start(&weir);
    let log = refusal(&["--data", weir.data.to_str().unwrap()]);
    assert!(log.contains(weir.data.to_str().unwrap()), "{log}");
    assert!(log.contains("use") || log.contains("another weir"), "{log}");
    bystander.assert_untouched(&mut weir);
}

#[test]
fn a_busy_port_is_named() {
    let _turn = heavy();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let busy = other.local_addr().unwrap().to_string();
    for flag in ["--rtmp", "--http", "--api"] {
        let log = refusal(&[flag, &busy]);
        assert!(log.contains(&busy), "{flag} {busy} is not named:\n{log}");
        assert!(log.contains("in use"), "{log}");
    }
    // A weir that shares its ports among its workers does not share them with another weir.
    let weir = Weir::start(&QUICK);
    let log = refusal(&["--rtmp", &weir.rtmp.to_string()]);
    assert!(log.contains("in use"), "{log}");
}
