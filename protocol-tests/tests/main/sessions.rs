//! What one RTMP connection may do, and what goes with it.

use crate::support::QUICK;
use protocol_tests::clips;
use protocol_tests::flv::{self, Tag};
use protocol_tests::rtmp::{Amf, Background, Connection, Publisher};
use protocol_tests::server::Weir;
use protocol_tests::{eventually, http};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const WAIT: Duration = Duration::from_secs(20);

/// User control: ping, and its answer.
const PING: [u8; 6] = [0, 6, 0, 0, 0, 9];
const PONG: [u8; 6] = [0, 7, 0, 0, 0, 9];

/// Each request may ask a hook and wait for a stream.
#[test]
fn requests_of_one_connection_are_counted() {
    let mut weir = Weir::start(&QUICK);
    let tags = flv::read(&clips::MAIN.flv());
    let publisher = Background::start(weir.rtmp, "show", tags);
    let mut player = Connection::open(weir.rtmp).unwrap();
    player.connect("live").unwrap();
    let stream = player.play("show").unwrap();
    let [play, key] = ["play", "show"].map(Amf::text);
    let again = [play, Amf::Number(0.0), Amf::Null, key];
    // The server may close while they are written.
    let asked = (0..60).filter(|_| player.command(stream, &again).is_ok());
    assert!(asked.count() > 24);
    assert!(player.closes_within(WAIT));
    let closed = "weir_rtmp_closed_total{reason=\"requests\"}";
    assert_eq!(weir.metric(closed), Some(1.0));
    let _ = publisher.stop();
    weir.assert_healthy();
}

/// A publisher's socket gathers what comes. One that goes on as another stream, on another worker,
/// is heard at once again.
#[test]
fn what_a_socket_gathers_stays_behind_when_its_session_moves() {
    let weir = Weir::start(&[&QUICK[..], &["--workers", "2"]].concat());
    let mut publisher = Publisher::start(weir.rtmp, "one").unwrap();
    let tags = flv::read(&clips::BASELINE.flv());
    publisher
        .send_all(tags.iter().filter(|t| t.is_header()))
        .unwrap();
    // 240 kB a second, for longer than its rate is measured: pictures of one slice.
    let mut body = vec![0x27, 1, 0, 0, 0, 0, 0, 0x1f, 0x40, 0x41];
    body.resize(9 + 8000, 0x55);
    let pictures: Vec<_> = (0..79)
        .map(|i| Tag {
            kind: flv::VIDEO,
            timestamp: i * 33,
            body: body.clone(),
        })
        .collect();
    publisher.send_paced(&pictures).unwrap();
    let Publisher {
        mut connection,
        stream,
        ..
    } = publisher;
    let delete = [
        Amf::text("deleteStream"),
        Amf::Number(0.0),
        Amf::Null,
        Amf::Number(f64::from(stream)),
    ];
    connection.command(0, &delete).unwrap();
    let moved = weir.metric("weir_sessions_moved_total").unwrap();
    let [create, publish, key, live] = ["createStream", "publish", "other", "live"].map(Amf::text);
    let (none, id) = (Amf::Null, Amf::Number(0.0));
    connection
        .command(0, &[create, id.clone(), none.clone()])
        .unwrap();
    let values = [publish, id, none, key, live];
    connection.command(stream + 1, &values).unwrap();
    // Two pictures are gathered: the last of one stream and the first of the other, with all that
    // is between them.
    for tag in &pictures[..1] {
        connection
            .send(6, tag.timestamp, tag.kind, stream + 1, &tag.body)
            .unwrap();
    }
    let code = loop {
        let (code, _) = connection.status().unwrap();
        if !code.contains("Unpublish") {
            break code;
        }
    };
    assert_eq!(code, "NetStream.Publish.Start");
    assert_eq!(weir.metric("weir_sessions_moved_total"), Some(moved + 1.0));
    connection.send(2, 0, 4, 0, &PING).unwrap();
    while connection.receive().unwrap().body != PONG {}
    weir.stop();
}

/// A thousand connections a second come and go: handshakes that are left, players that play, and
/// FLV viewers. Nothing of them stays.
#[test]
fn a_thousand_connections_a_second_come_and_go() {
    let mut weir = Weir::start(&[&QUICK[..], &["--workers", "2"]].concat());
    let tags = flv::read(&clips::LONG.flv());
    let publisher = Background::start(weir.rtmp, "show", tags);
    let mut good = Connection::open(weir.rtmp).unwrap();
    good.connect("live").unwrap();
    good.play("show").unwrap();
    good.media(10).unwrap();
    // What a server keeps for those that come next: buffers, and what is known of the address.
    // What a server keeps for those that come next: buffers, and what is known of the address.
    come_and_go(&weir, 1500);
    let (sockets, memory) = settled(&weir);
    come_and_go(&weir, 4500);
    let (after, grown) = settled(&weir);
    // Those of the metrics come and go as well.
    assert!(after <= sockets + 3, "{after} sockets, {sockets} before");
    let grown = grown.saturating_sub(memory);
    assert!(grown < 8192, "{grown} KiB more, of 4,500 connections");
    good.media(20).unwrap();
    let _ = publisher.stop();
    weir.assert_healthy();
}

/// Opens and closes `count` connections, at most a thousand a second.
fn come_and_go(weir: &Weir, count: u32) {
    let began = Instant::now();
    let flv = b"GET /show/live.flv HTTP/1.1\r\nHost: h\r\n\r\n";
    for i in 0..count {
        match i % 4 {
            0 => drop(TcpStream::connect(weir.rtmp).unwrap()),
            1 => {
                let mut half = TcpStream::connect(weir.rtmp).unwrap();
                half.write_all(&[3; 700]).unwrap();
            }
            2 => {
                let mut viewer = TcpStream::connect(weir.http).unwrap();
                viewer.write_all(flv).unwrap();
            }
            _ => {
                let mut player = Connection::open(weir.rtmp).unwrap();
                player.connect("live").unwrap();
                player.play("show").unwrap();
            }
        }
        let due = Duration::from_millis(u64::from(i));
        std::thread::sleep(due.saturating_sub(began.elapsed()));
    }
}

/// Sockets and memory once they no longer fall.
fn settled(weir: &Weir) -> (usize, u64) {
    eventually(WAIT, "only the good one watches", || {
        let of = |protocol| weir.metric(&format!("weir_live_viewers{{protocol=\"{protocol}\"}}"));
        (of("rtmp") == Some(1.0) && of("flv") == Some(0.0)).then_some(())
    });
    let connections = || weir.metric("weir_rtmp_connections");
    eventually(WAIT, "sessions end", || {
        (connections() == Some(2.0)).then_some(())
    });
    (weir.sockets(), weir.resident_kib())
}

/// An opened `WebSocket` is counted and logged as what it is.
#[test]
fn a_websocket_is_logged_as_one() {
    let home = tempfile::tempdir().unwrap();
    let log = home.path().join("access.log");
    let args = ["--access-log", log.to_str().unwrap()];
    let weir = Weir::start(&[&QUICK[..], &args].concat());
    let tags = flv::read(&clips::MAIN.flv());
    let publisher = Background::start(weir.rtmp, "show", tags);
    let mut socket = TcpStream::connect(weir.http).unwrap();
    socket.set_read_timeout(Some(WAIT)).unwrap();
    let head = "GET /show/live.flv HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\
                Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    socket.write_all(head.as_bytes()).unwrap();
    let mut got = vec![0; 10_000];
    socket.read_exact(&mut got).unwrap();
    assert!(got.starts_with(b"HTTP/1.1 101 "));
    drop(socket);
    eventually(WAIT, "it is logged", || {
        let text = std::fs::read_to_string(&log).ok()?;
        text.contains("\" 101 ").then_some(())
    });
    let metrics = http::get(weir.api, "/metrics").text();
    assert!(
        metrics.contains("weir_http_requests_total{status=\"101\""),
        "{metrics}"
    );
    assert!(
        !metrics.contains("weir_http_requests_total{status=\"200\""),
        "{metrics}"
    );
    let _ = publisher.stop();
}
