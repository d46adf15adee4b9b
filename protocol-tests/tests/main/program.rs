//! The program itself: start, configuration, metrics, demo, and a kernel that says no.

use crate::support::{QUICK, counts, publish};
use protocol_tests::clips;
use protocol_tests::flv;
use protocol_tests::hls::Format;
use protocol_tests::http;
use protocol_tests::process::{Process, run};
use protocol_tests::server::{self, Weir};
use protocol_tests::tools;
use protocol_tests::turn::heavy;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const SHORT: Duration = Duration::from_secs(20);

#[test]
fn the_ready_file_names_what_is_bound() {
    let weir = Weir::start(&QUICK);
    for addr in [weir.http, weir.api, weir.rtmp] {
        assert_ne!(addr.port(), 0);
        TcpStream::connect(addr).unwrap();
    }
    assert!(weir.data.is_absolute() && weir.data.is_dir());
    assert_eq!(http::get(weir.api, "/healthz").status, 200);
    assert_eq!(http::get(weir.api, "/readyz").status, 200);
    assert_eq!(http::get(weir.api, "/nothing").status, 404);
    assert_eq!(
        http::get(weir.http, "/metrics").status,
        404,
        "metrics are not for viewers"
    );
    let warned = weir
        .process
        .log()
        .lines()
        .any(|l| l.contains("WARN") && l.contains("any name"));
    assert!(
        warned,
        "open mode comes with a warning:\n{}",
        weir.process.log()
    );
    let log = weir.stop().log();
    assert!(!log.contains("ERROR") && !log.contains("panicked"), "{log}");
}

#[test]
fn a_listener_can_be_off() {
    let weir = Weir::start(&["--api", "off"]);
    assert_eq!(weir.api.port(), 0, "the ready file does not name it");
    assert_eq!(weir.manifest("x", Format::Cmaf).status, 404);
    weir.stop();
}

#[test]
fn metrics_count_what_happens() {
    let _turn = heavy();
    let weir = Weir::start(&QUICK);
    let tags = flv::read(&clips::BASELINE.flv());
    publish(&weir, "clip", &tags);
    weir.ended("clip", Format::Cmaf);
    let answer = http::get(weir.api, "/metrics");
    assert_eq!(answer.status, 200);
    let text = answer.text();
    for line in text.lines().filter(|l| !l.starts_with('#')) {
        assert!(line.starts_with("weir_"), "{line}");
    }
    let (video, audio) = crate::support::tag_counts(&tags);
    assert_eq!(
        weir.metric("weir_frames_total"),
        Some((video + audio) as f64),
        "{text}"
    );
    assert_eq!(weir.metric("weir_publish_sessions_total"), Some(1.0));
    assert!(
        weir.metric("weir_rtmp_received_bytes_total") > Some(10_000.0),
        "{text}"
    );
    assert!(
        weir.metric("weir_http_requests_total") > Some(0.0),
        "{text}"
    );
    assert!(weir.metric("weir_segments_total") >= Some(6.0), "{text}");
}

#[test]
fn config_check_names_line_and_key() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("weir.toml");
    let check = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let mut weir = server::bare();
        weir.args(["config", "check", "--config"]).arg(&file);
        let (status, log) = Process::spawn(&mut weir).finish(SHORT);
        (status.success(), log)
    };
    let (fine, log) = check("segment = \"2s\"\nopen = true\n");
    assert!(fine, "{log}");
    let hash = "0".repeat(64);
    let bad_name = format!("[[input]]\nname = \"../x\"\nkey_hash = \"sha256:{hash}\"\n");
    let wrong = [
        ("open = true\nsegmnt = \"2s\"\n", "line 2", "segmnt"),
        ("\n\n\nsegment = \"2 parsecs\"\n", "line 4", "segment"),
        ("http = \"nowhere\"\n", "line 1", "http"),
        ("open = true\n[[input]\n", "line 2", ""),
        (
            "[[input]]\nname = \"x\"\nkey_hash = \"sha256:00\"\n",
            "line 3",
            "key hash",
        ),
        (&bad_name, "line 2", "stream name"),
    ];
    for (text, line, word) in wrong {
        let (fine, log) = check(text);
        assert!(
            !fine && log.contains(line) && log.contains(word),
            "{text:?}:\n{log}"
        );
        assert!(log.contains("weir.toml"), "the file is not named:\n{log}");
        // The same faults stop a start.
        let args = ["serve", "--config", file.to_str().unwrap()].map(String::from);
        let mut serve = server::command(&args, dir.path());
        let (status, log) = Process::spawn(&mut serve).finish(SHORT);
        assert!(!status.success() && log.contains(word), "{text:?}:\n{log}");
    }
    // What is printed can be used as it is.
    let reference = run(server::bare().args(["config", "print"]), SHORT);
    let (fine, log) = check(&reference);
    assert!(fine, "{log}\n{reference}");
    for key in [
        "segment", "part", "window", "keep", "grace", "rtmp", "http", "api", "workers",
    ] {
        assert!(
            reference
                .lines()
                .any(|l| l.starts_with(&format!("#{key} = "))),
            "{key}"
        );
    }
}

#[test]
fn the_environment_is_read_and_a_flag_wins() {
    let weir = Weir::start_wrapped(&["--grace", "1s"], |mut weir| {
        weir.env("WEIR_SEGMENT", "3s").env("WEIR_GRACE", "1h");
        weir
    });
    publish(&weir, "clip", &flv::read(&clips::BASELINE.flv()));
    // With an hour of grace it would not end.
    let ended = weir.ended("clip", Format::Cmaf);
    assert!(weir.media(&ended.main).playlist.target_duration >= 3);
}

#[test]
fn an_unknown_flag_is_refused_with_help() {
    let (status, log) =
        Process::spawn(server::bare().args(["serve", "--sergment", "2s"])).finish(SHORT);
    assert!(!status.success() && log.contains("--segment"), "{log}");
}

#[test]
fn the_demo_prints_its_addresses_and_plays() {
    let _turn = heavy();
    let weir = Weir::start_as(&["demo", "--segment", "2s"]);
    let live = weir.live("clock", Format::Cmaf);
    let watch = format!("{}/clock/watch", weir.http.port());
    let log = weir.process.log();
    assert!(
        log.contains(&watch),
        "the watch address is not printed:\n{log}"
    );
    assert!(
        log.contains("rtmp://"),
        "the publish address is not printed:\n{log}"
    );
    assert!(
        log.contains(weir.data.to_str().unwrap()),
        "the data are not named:\n{log}"
    );
    let size = live.playlist.variants[0]
        .resolution
        .map(|r| (r.width, r.height));
    assert_eq!(size, Some((1280, 720)));
    let media = weir.media(&live.main);
    weir.reaches(&live.main, media.last() + 2, SHORT);
    let (video, audio) = (
        weir.download(&live.main),
        weir.download(&live.audio.unwrap()),
    );
    // 30 fps, whatever the encoder's speed on this machine.
    let packets = video.packets();
    let listed: f32 = video.media.segments.iter().map(|s| s.duration).sum();
    let rate = counts(&packets).0 as f32 / listed;
    assert!((20.0..31.0).contains(&rate), "{rate} frames per second");
    assert!(!audio.packets().is_empty());
    let dir = tempfile::tempdir().unwrap();
    crate::support::assert_decodes(&video.write(dir.path(), "demo.mp4"));
    let page = http::get(weir.http, "/clock/watch");
    assert!(page.status == 200 && page.header("content-type").starts_with("text/html"));
    weir.stop();
}

#[test]
fn the_demo_needs_no_ports_of_its_own_choice() {
    // Two at once, beside each other.
    let _turn = heavy();
    let first = Weir::start_as(&["demo"]);
    let second = Weir::start_as(&["demo"]);
    assert_ne!(first.http, second.http);
    first.live("clock", Format::Cmaf);
    second.live("clock", Format::Cmaf);
}

#[test]
fn running_out_of_descriptors_is_survived() {
    let _turn = heavy();
    let mut weir = Weir::start_wrapped(&QUICK, |weir| {
        let mut prlimit = tools::program("prlimit");
        prlimit.arg("--nofile=96:96");
        server::through(prlimit, &weir)
    });
    let mut crowd: Vec<TcpStream> = Vec::new();
    for _ in 0..200 {
        if let Ok(mut socket) = TcpStream::connect(weir.http) {
            let _ = socket.write_all(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
            crowd.push(socket);
        }
    }
    std::thread::sleep(Duration::from_secs(1));
    drop(crowd);
    let answered = protocol_tests::eventually(SHORT, "it serves again", || {
        let mut socket = TcpStream::connect(weir.http).ok()?;
        socket.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
        socket
            .write_all(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n")
            .ok()?;
        let mut head = [0; 12];
        socket.read_exact(&mut head).ok().map(|()| head)
    });
    assert_eq!(&answered, b"HTTP/1.1 404");
    weir.assert_healthy();
    publish(&weir, "clip", &flv::read(&clips::BASELINE.flv()));
    weir.ended("clip", Format::Cmaf);
    weir.stop();
}

#[test]
fn sessions_leave_nothing_behind() {
    let _turn = heavy();
    let mut weir = Weir::start(&["--segment", "2s", "--grace", "0s"]);
    let tags = flv::read(&clips::BASELINE.flv());
    let round = |weir: &Weir, round: u32| {
        for i in 0..10 {
            let name = format!("r{round}-{i}");
            publish(weir, &name, &tags);
            crate::support::cmaf_packets(weir, &name);
        }
        protocol_tests::eventually(SHORT, "all connections are closed", || {
            let open = weir.metric("weir_rtmp_connections")? + weir.metric("weir_streams")?;
            (open == 0.0).then_some(())
        });
        (weir.sockets(), weir.resident_kib())
    };
    round(&weir, 0);
    let (sockets, memory) = round(&weir, 1);
    let (sockets_later, memory_later) = round(&weir, 2);
    // Connections of the last requests may still be open for a moment.
    let limit = sockets + 4;
    assert!(
        sockets_later <= limit,
        "{sockets} sockets became {sockets_later}"
    );
    // Ten recordings of 6 s are remembered, not held: 400 KiB each would be their frames.
    let grown = memory_later.saturating_sub(memory);
    assert!(grown < 4096, "ten ended streams hold {grown} KiB");
    weir.assert_healthy();
    weir.stop();
}

/// Runs a program under a seccomp filter that answers io_uring_setup with EPERM, as container
/// runtimes do.
const WITHOUT_IO_URING: &str = r#"
import ctypes, os, struct, sys
IO_URING_SETUP = 425
code = [
    struct.pack("HBBI", 0x20, 0, 0, 0),                  # load the system call's number
    struct.pack("HBBI", 0x15, 0, 1, IO_URING_SETUP),     # equal? else skip one
    struct.pack("HBBI", 0x06, 0, 0, 0x00050000 | 1),     # return EPERM
    struct.pack("HBBI", 0x06, 0, 0, 0x7FFF0000),         # allow
]
program = ctypes.create_string_buffer(b"".join(code))
fprog = struct.pack("HxxxxxxP", len(code), ctypes.addressof(program))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0                   # PR_SET_NO_NEW_PRIVS
assert libc.prctl(22, 2, fprog, 0, 0) == 0               # PR_SET_SECCOMP
os.execv(sys.argv[1], sys.argv[1:])
"#;

#[test]
fn a_kernel_that_forbids_io_uring_is_explained() {
    let home = tempfile::tempdir().unwrap();
    let args = ["serve", "--open"].map(String::from);
    let weir = server::command(&args, home.path());
    let mut python = tools::python();
    python.args(["-c", WITHOUT_IO_URING]);
    let mut python = server::through(python, &weir);
    let (status, log) = Process::spawn(&mut python).finish(SHORT);
    assert!(!status.success(), "{log}");
    assert!(
        log.contains("io_uring") && log.contains("seccomp"),
        "what to change?\n{log}"
    );
    assert!(!log.contains("panicked"), "{log}");
}
