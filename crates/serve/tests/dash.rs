//! DASH over a socket: the same segments as HLS, described.
#![allow(clippy::unwrap_used, missing_docs)]

mod h2_common;

use h2_common::{GUARD, Running};
use std::io::{Read, Write};
use std::net::TcpStream;

/// Status and body.
fn get(server: &Running, path: &str) -> (String, String) {
    let mut socket = TcpStream::connect(server.plain).unwrap();
    socket.set_read_timeout(Some(GUARD)).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

fn description(server: &Running) -> String {
    let (head, body) = get(server, "/cam/manifest/video.mpd");
    assert!(
        head.starts_with("HTTP/1.1 200") && head.contains("application/dash+xml"),
        "{head}"
    );
    body
}

/// The values of an attribute, in order.
fn values<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let mark = format!(" {name}=\"");
    let parts = text.split(mark.as_str()).skip(1);
    parts.map(|part| part.split('"').next().unwrap()).collect()
}

#[test]
fn a_live_window_slides_inside_its_period() {
    let server = Running::start(40, 1000);
    let text = description(&server);
    assert_eq!(values(&text, "type"), ["dynamic"]);
    assert_eq!(
        values(&text, "availabilityStartTime"),
        ["2025-11-13T02:13:20.000Z"]
    );
    // Of 40 segments of 2 s, the last 30 are listed: the period began with the first.
    assert_eq!(values(&text, "id")[..2], ["p1000", "1"]);
    assert_eq!(values(&text, "start"), ["PT0S"]);
    assert_eq!(values(&text, "startNumber"), ["1010", "1010"]);
    assert_eq!(values(&text, "t"), ["1800000", "960000"]);
    assert_eq!(values(&text, "r"), ["29", "29"]);
    let media = values(&text, "media")[0].replace("$Number$", "1010");
    assert_eq!(media, format!("../../{}", &server.path(10)[1..]));
    let (head, now) = get(&server, "/cam/manifest/time");
    assert!(head.contains("no-store") && now.ends_with('Z'), "{head}");
    server.publish(1);
    let later = description(&server);
    assert_eq!(values(&later, "id")[..2], ["p1000", "1"]);
    assert_eq!(values(&later, "startNumber"), ["1011", "1011"]);
}

#[test]
fn each_discontinuity_begins_a_period() {
    let server = Running::start(3, 1000);
    server.discontinuity();
    server.publish(2);
    let text = description(&server);
    let ids: Vec<_> = values(&text, "id")
        .into_iter()
        .filter(|id| id.starts_with('p'))
        .collect();
    assert_eq!(ids, ["p1000", "p1003"]);
    // Each counts from its own start: 6 s after the first.
    assert_eq!(
        values(&text, "presentationTimeOffset"),
        ["0", "0", "540000", "288000"]
    );
    assert_eq!(
        values(&text, "startNumber"),
        ["1000", "1000", "1003", "1003"]
    );
}

#[test]
fn what_has_ended_is_static() {
    let server = Running::start(20, 1000);
    server.seal();
    let text = description(&server);
    assert_eq!(values(&text, "type"), ["static"]);
    assert_eq!(values(&text, "mediaPresentationDuration"), ["PT40S"]);
    assert_eq!(values(&text, "r"), ["19", "19"]);
    assert!(!text.contains("UTCTiming") && !text.contains("minimumUpdatePeriod"));
}
