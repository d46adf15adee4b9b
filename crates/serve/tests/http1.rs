//! HTTP/1.1 over a socket: what does not show in a single function.
#![allow(clippy::unwrap_used, missing_docs)]

mod h2_common;

use h2_common::{GUARD, Place, Running, connect_with};
use rustls::StreamOwned;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;
use weir_serve::{AccessLog, LogFormat, Options};

/// An answer: its head in lower case, and its body.
struct Answer {
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn status(&self) -> &str {
        self.head.get(9..12).unwrap_or_default()
    }
}

/// Receives an answer with a `Content-Length`, or without a body.
fn receive(socket: &mut impl Read) -> Answer {
    let mut reader = BufReader::with_capacity(1, socket);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(reader.read_line(&mut head).unwrap(), 0, "{head}");
    }
    head.make_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|l| l.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |l| l.parse().unwrap())];
    reader.read_exact(&mut body).unwrap();
    Answer { head, body }
}

fn open(address: SocketAddr) -> TcpStream {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(GUARD)).unwrap();
    socket.set_nodelay(true).unwrap();
    socket
}

fn get(socket: &mut (impl Read + Write), path: &str, fields: &str) -> Answer {
    let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
    socket.write_all(request.as_bytes()).unwrap();
    receive(socket)
}

#[test]
fn cold_ranges_are_read_within_a_bound_under_tls_too() {
    // A file system in memory cannot say what is cached: all is read as if it were cold.
    let server = Running::start(2, 4000);
    let (tls, socket) = connect_with(server.address, b"http/1.1");
    let mut client = StreamOwned::new(tls, socket);
    let answer = get(&mut client, &server.path(0), "");
    assert_eq!(answer.status(), "200");
    assert!(answer.body == server.body(0));
    assert!(server.counters.cold.get() > 0, "it was read past the bound");
    drop(client);
    server.wait_for_nobody();
}

#[test]
fn a_short_range_says_nothing_of_a_longer_one() {
    let server = Running::start(1, 4000);
    let mut client = open(server.plain);
    let part = get(&mut client, &server.path(0), "Range: bytes=0-20000\r\n");
    assert_eq!((part.status(), server.counters.cold.get()), ("206", 1));
    let whole = get(&mut client, &server.path(0), "");
    assert!(whole.body == server.body(0));
    assert_eq!(
        server.counters.cold.get(),
        2,
        "its pages were not looked for"
    );
    drop(client);
    server.wait_for_nobody();
}

#[test]
fn a_body_longer_than_a_socket_takes_arrives_whole() {
    let server = Running::start_in(Place::Disk, 1, 500_000, Options::default());
    let whole = server.body(0);
    assert!(whole.len() > 9_000_000);
    // What the first had looked for is known to the others.
    for (fields, from) in [("", 0), ("", 0), ("Range: bytes=3000001-\r\n", 3_000_001)] {
        let mut client = open(server.plain);
        let path = server.path(0);
        let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
        client.write_all(request.as_bytes()).unwrap();
        // Until the kernel takes no more.
        std::thread::sleep(Duration::from_millis(50));
        assert!(receive(&mut client).body == whole[from..]);
        let again = get(&mut client, &path, "Range: bytes=0-9\r\n");
        assert!(again.status() == "206" && again.body == whole[..10]);
        let (tls, socket) = connect_with(server.address, b"http/1.1");
        let mut client = StreamOwned::new(tls, socket);
        assert!(get(&mut client, &path, fields).body == whole[from..]);
    }
    server.wait_for_nobody();
}

#[test]
fn what_is_of_one_request_is_kept_by_no_cache() {
    let server = Running::start(1, 300);
    let path = server.path(0);
    let mut client = open(server.plain);
    let expected = [
        (
            path.as_str(),
            "Range: bytes=99999999-\r\n",
            "416",
            "no-store",
        ),
        (path.as_str(), "If-Match: \"x\"\r\n", "412", "no-store"),
        ("/cam/manifest/video.m3u8?format=no", "", "400", "no-store"),
        ("/none/manifest/video.m3u8", "", "404", "public, max-age=1"),
    ];
    for (path, fields, status, keep) in expected {
        let answer = get(&mut client, path, fields);
        assert_eq!(answer.status(), status);
        let field = format!("cache-control: {keep}\r\n");
        assert!(answer.head.contains(&field), "{}", answer.head);
    }
    drop(client);
    server.wait_for_nobody();

    let options = Options {
        requests_per_second: 1,
        origins: [(
            weir_media::StreamName::parse("cam").unwrap(),
            std::sync::Arc::new(weir_http::Origins::parse(["https://a.example"]).unwrap()),
        )]
        .into(),
        ..Options::default()
    };
    let server = Running::start_in(Place::Memory, 1, 300, options);
    let mut client = open(server.plain);
    for (referer, status) in [
        ("https://a.example/x", "200"),
        ("https://b.example/", "403"),
    ] {
        let fields = format!("Referer: {referer}\r\n");
        let answer = get(&mut client, "/cam/manifest/video.m3u8", &fields);
        assert_eq!(answer.status(), status);
        let field = "\r\nvary: origin, referer\r\n";
        assert!(answer.head.contains(field), "{}", answer.head);
    }
    let asked = std::iter::repeat_with(|| get(&mut client, "/", ""));
    let refused = asked.take(1000).find(|a| a.status() == "429");
    let refused = refused.expect("a thousand in a second");
    assert!(refused.head.contains("cache-control: no-store\r\n"));
    drop(client);
    server.wait_for_nobody();
}

#[test]
fn a_request_that_waits_is_taken_of_the_rate_once() {
    let options = Options {
        requests_per_second: 1,
        ..Options::default()
    };
    let server = Running::start_in(Place::Memory, 2, 300, options);
    let mut client = open(server.plain);
    // The burst is two. Muxed segments are answered by a task, which the first look is made for.
    for _ in 0..2 {
        let ts = format!("/s/{}/ts/{}.ts", server.key, server.sequence(0));
        assert_eq!(get(&mut client, &ts, "").status(), "200");
    }
    drop(client);
    server.wait_for_nobody();
}

#[test]
fn the_access_log_tells_versions_apart() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("access.log");
    let options = Options {
        access_log: Some(AccessLog::open(&path, LogFormat::Combined).unwrap()),
        ..Options::default()
    };
    let server = Running::start_in(Place::Memory, 1, 300, options);
    for version in ["1.0", "1.1"] {
        let mut client = open(server.plain);
        let request = format!("GET /x{version} HTTP/{version}\r\nHost: h\r\n\r\n");
        client.write_all(request.as_bytes()).unwrap();
        assert_eq!(receive(&mut client).status(), "404");
    }
    let mut waited = Duration::ZERO;
    let text = loop {
        let text = std::fs::read_to_string(&path).unwrap();
        if text.lines().count() >= 2 {
            break text;
        }
        std::thread::sleep(Duration::from_millis(10));
        waited += Duration::from_millis(10);
        assert!(waited < GUARD, "{text}");
    };
    for version in ["1.0", "1.1"] {
        let line = format!("\"GET /x{version} HTTP/{version}\" 404");
        assert!(text.contains(&line), "{text}");
    }
    server.wait_for_nobody();
}
