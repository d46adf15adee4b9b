//! HTTP/2 frame by frame: what peers may do, what they may not, and what they do to hurt. The
//! cases follow RFC 9113 by section, as the suite h2spec does.
#![allow(clippy::unwrap_used, missing_docs)]

mod h2_common;

use h2_common::Running;
use h2_common::frames::*;
use std::time::Duration;

/// Stream errors that a case may lead to, or errors of the connection.
enum Expected {
    /// The connection ends: GOAWAY with one of these codes, or a close.
    Connection(&'static [u32]),
    /// The stream ends with one of these codes, or the connection does.
    Stream(u32, &'static [u32]),
    /// A ping is still answered.
    Nothing,
}

use Expected::{Connection, Nothing, Stream};

struct Case {
    name: &'static str,
    /// Sent after both sides' settings.
    bytes: Vec<u8>,
    expected: Expected,
}

fn case(name: &'static str, bytes: &[&[u8]], expected: Expected) -> Case {
    Case {
        name,
        bytes: bytes.concat(),
        expected,
    }
}

/// Opens a stream that stays half open for the client: a POST whose body is to come.
fn post(stream: u32) -> Vec<u8> {
    let block = block(&[
        (":method", "POST"),
        (":scheme", "https"),
        (":path", "/none"),
        (":authority", "localhost"),
    ]);
    frame(HEADERS, END_HEADERS, stream, &block)
}

fn headers(stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &block(fields))
}

fn framing() -> Vec<Case> {
    let part = request("/none", &[]);
    let (first, second) = part.split_at(10);
    let begun = frame(HEADERS, END_STREAM, 1, first);
    vec![
        case("4.1 unknown frame", &[&frame(0x16, 0xff, 0, b"?")], Nothing),
        case(
            "4.1 undefined flags",
            &[&frame(PING, 0xf6, 0, b"12345678")],
            Nothing,
        ),
        case(
            "4.1 reserved bit",
            &[&frame(PING, 0, 1 << 31, b"12345678")],
            Nothing,
        ),
        case(
            "4.2 frame too long",
            &[&frame(DATA, 0, 1, &[0; 16_385])],
            Connection(&[FRAME_SIZE_ERROR]),
        ),
        case(
            "4.3 block that cannot be decoded",
            &[&frame(HEADERS, 5, 1, &[0xff; 9])],
            Connection(&[COMPRESSION_ERROR, PROTOCOL_ERROR]),
        ),
        case(
            "4.3 priority within a block",
            &[&begun, &frame(PRIORITY, 0, 1, &[0; 5])],
            Connection(&[PROTOCOL_ERROR]),
        ),
        case(
            "4.3 another stream within a block",
            &[&begun, &get(3, "/none", &[])],
            Connection(&[PROTOCOL_ERROR]),
        ),
        case(
            "6.10 continuation of another stream",
            &[&begun, &frame(CONTINUATION, END_HEADERS, 3, second)],
            Connection(&[PROTOCOL_ERROR]),
        ),
        case(
            "6.10 continuation of nothing",
            &[&frame(CONTINUATION, END_HEADERS, 1, &part)],
            Connection(&[PROTOCOL_ERROR]),
        ),
        case(
            "6.10 continuation after the end",
            &[
                &get(1, "/none", &[]),
                &frame(CONTINUATION, END_HEADERS, 1, &part),
            ],
            Connection(&[PROTOCOL_ERROR, STREAM_CLOSED]),
        ),
        case(
            "6.10 a block in three frames",
            &[
                &begun,
                &frame(CONTINUATION, 0, 1, &second[..5]),
                &frame(CONTINUATION, END_HEADERS, 1, &second[5..]),
            ],
            Nothing,
        ),
    ]
}

fn states() -> Vec<Case> {
    let reset = frame(RST_STREAM, 0, 1, &CANCEL.to_be_bytes());
    vec![
        case(
            "5.1 data on an idle stream",
            &[&frame(DATA, END_STREAM, 1, b"x")],
            Connection(&[PROTOCOL_ERROR]),
        ),
        case(
            "5.1 reset of an idle stream",
            &[&reset],
            Connection(&[PROTOCOL_ERROR]),
        ),
        case(
            "5.1 window of an idle stream",
            &[&window_update(1, 100)],
            Connection(&[PROTOCOL_ERROR]),
        ),
        case(
            "5.1 data after the end",
            &[
                &get(1, "/cam/watch", &[]),
                &frame(DATA, END_STREAM, 1, b"x"),
            ],
            // The crate h2 has forgotten the stream, and has another word for the same.
            Connection(&[STREAM_CLOSED, PROTOCOL_ERROR]),
        ),
        case(
            "5.1 headers after the end",
            &[&get(1, "/cam/watch", &[]), &get(1, "/cam/watch", &[])],
            Connection(&[STREAM_CLOSED, PROTOCOL_ERROR]),
        ),
        case(
            "5.1 data after a reset",
            &[&post(1), &reset, &frame(DATA, END_STREAM, 1, b"x")],
            Stream(1, &[STREAM_CLOSED]),
        ),
        case(
            "5.1.1 even stream",
            &[&get(2, "/none", &[])],
            Connection(&[PROTOCOL_ERROR]),
        ),
        case(
            "5.1.1 number that went back",
            &[&get(5, "/none", &[]), &get(3, "/none", &[])],
            Connection(&[PROTOCOL_ERROR, STREAM_CLOSED]),
        ),
        case(
            "5.3.1 stream that depends on itself",
            &[&frame(PRIORITY, 0, 1, &[0, 0, 0, 1, 9])],
            Stream(1, &[PROTOCOL_ERROR]),
        ),
        case(
            "5.3 priority of an idle stream",
            &[&frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 9])],
            Nothing,
        ),
        case(
            "8.4 push from a client",
            &[&frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2])],
            Connection(&[PROTOCOL_ERROR]),
        ),
    ]
}

#[expect(clippy::too_many_lines, reason = "a flat table")]
fn frames() -> Vec<Case> {
    let protocol: Expected = Connection(&[PROTOCOL_ERROR]);
    let size = || Connection(&[FRAME_SIZE_ERROR, PROTOCOL_ERROR]);
    let flow = || Connection(&[FLOW_CONTROL_ERROR, PROTOCOL_ERROR]);
    vec![
        case(
            "6.1 data on the connection",
            &[&frame(DATA, 0, 0, b"x")],
            protocol,
        ),
        case(
            "6.1 padding longer than the frame",
            &[&post(1), &frame(DATA, PADDED, 1, &[9, 0])],
            Connection(&[PROTOCOL_ERROR]),
        ),
        case(
            "6.2 headers on the connection",
            &[&get(0, "/none", &[])],
            Connection(&[PROTOCOL_ERROR]),
        ),
        case(
            "6.2 padding longer than the headers",
            &[&frame(HEADERS, 5 | PADDED, 1, &[200, 0])],
            Connection(&[PROTOCOL_ERROR]),
        ),
        case(
            "6.3 priority on the connection",
            &[&frame(PRIORITY, 0, 0, &[0; 5])],
            Connection(&[PROTOCOL_ERROR]),
        ),
        case(
            "6.3 priority of another length",
            &[&frame(PRIORITY, 0, 1, &[0; 4])],
            Connection(&[FRAME_SIZE_ERROR, PROTOCOL_ERROR]),
        ),
        case(
            "RFC 9218 7.1 update on a stream",
            &[&frame(PRIORITY_UPDATE, 0, 1, &[0, 0, 0, 1])],
            Connection(&[PROTOCOL_ERROR]),
        ),
        case(
            "RFC 9218 7.1 update of the connection",
            &[&frame(PRIORITY_UPDATE, 0, 0, &[0; 4])],
            Connection(&[PROTOCOL_ERROR]),
        ),
        case(
            "RFC 9218 7.1 update without a stream",
            &[&frame(PRIORITY_UPDATE, 0, 0, &[0; 3])],
            Connection(&[FRAME_SIZE_ERROR]),
        ),
        case(
            "6.4 reset on the connection",
            &[&frame(RST_STREAM, 0, 0, &[0; 4])],
            size(),
        ),
        case(
            "6.4 reset of another length",
            &[&post(1), &frame(RST_STREAM, 0, 1, &[0; 3])],
            size(),
        ),
        case(
            "6.5 settings on a stream",
            &[&frame(SETTINGS, 0, 1, &[])],
            size(),
        ),
        case(
            "6.5 acknowledgement with settings",
            &[&frame(SETTINGS, ACK, 0, &[0; 6])],
            size(),
        ),
        case(
            "6.5 settings of another length",
            &[&frame(SETTINGS, 0, 0, &[0; 3])],
            size(),
        ),
        case(
            "6.5.2 push neither on nor off",
            &[&frame(SETTINGS, 0, 0, &setting(2, 2))],
            Connection(&[PROTOCOL_ERROR]),
        ),
        case(
            "6.5.2 window too large",
            &[&frame(SETTINGS, 0, 0, &setting(4, 1 << 31))],
            flow(),
        ),
        case(
            "6.5.2 frame size too small",
            &[&frame(SETTINGS, 0, 0, &setting(5, 16_383))],
            Connection(&[PROTOCOL_ERROR]),
        ),
        case(
            "6.5.2 frame size too large",
            &[&frame(SETTINGS, 0, 0, &setting(5, 1 << 24))],
            Connection(&[PROTOCOL_ERROR]),
        ),
        case(
            "6.5.2 unknown setting",
            &[&frame(SETTINGS, 0, 0, &setting(0xff, 1))],
            Nothing,
        ),
        case(
            "6.7 ping on a stream",
            &[&frame(PING, 0, 1, &[0; 8])],
            size(),
        ),
        case(
            "6.7 ping of another length",
            &[&frame(PING, 0, 0, &[0; 6])],
            size(),
        ),
        case(
            "6.7 answer to no ping",
            &[&frame(PING, ACK, 0, &[7; 8])],
            Nothing,
        ),
        case(
            "6.8 goaway on a stream",
            &[&frame(GOAWAY, 0, 1, &[0; 8])],
            size(),
        ),
        case(
            "6.9 window that grows by nothing",
            &[&window_update(0, 0)],
            flow(),
        ),
        case(
            "6.9 window of a stream that grows by nothing",
            &[&post(1), &window_update(1, 0)],
            Stream(1, &[PROTOCOL_ERROR]),
        ),
        case(
            "6.9 window update of another length",
            &[&frame(WINDOW_UPDATE, 0, 0, &[0; 3])],
            size(),
        ),
        case(
            "6.9.1 window that overflows",
            &[
                &window_update(0, 0x7fff_ffff),
                &window_update(0, 0x7fff_ffff),
            ],
            flow(),
        ),
        case(
            "6.9.1 window of a stream that overflows",
            &[
                &post(1),
                &window_update(1, 0x7fff_ffff),
                &window_update(1, 0x7fff_ffff),
            ],
            Stream(1, &[FLOW_CONTROL_ERROR]),
        ),
    ]
}

#[expect(clippy::too_many_lines, reason = "a flat table")]
fn requests() -> Vec<Case> {
    let good = [
        (":method", "GET"),
        (":scheme", "https"),
        (":path", "/none"),
        (":authority", "localhost"),
    ];
    let with = |more: (&'static str, &'static str)| {
        let fields: Vec<_> = good.into_iter().chain([more]).collect();
        headers(1, &fields)
    };
    let without = |name: &str| {
        let fields: Vec<_> = good.into_iter().filter(|(n, _)| *n != name).collect();
        headers(1, &fields)
    };
    let malformed = || Stream(1, &[PROTOCOL_ERROR]);
    let late = [good[0], good[1], good[2], ("x", "1"), good[3]];
    let length = |value| {
        let fields: Vec<_> = good
            .into_iter()
            .chain([("content-length", value)])
            .collect();
        frame(HEADERS, END_HEADERS, 1, &block(&fields))
    };
    vec![
        case(
            "8.2.1 name in upper case",
            &[&with(("X-A", "1"))],
            malformed(),
        ),
        case(
            "8.2.1 name with a space",
            &[&with(("x a", "1"))],
            malformed(),
        ),
        case(
            "8.2.1 value with a line end",
            &[&with(("x", "1\r\nhost: b"))],
            malformed(),
        ),
        case("8.2.1 value with NUL", &[&with(("x", "1\0"))], malformed()),
        case(
            "8.2.2 connection",
            &[&with(("connection", "keep-alive"))],
            malformed(),
        ),
        case(
            "8.2.2 transfer-encoding",
            &[&with(("transfer-encoding", "chunked"))],
            malformed(),
        ),
        case(
            "8.2.2 te",
            &[&with(("te", "trailers, deflate"))],
            malformed(),
        ),
        case(
            "8.3 unknown pseudo field",
            &[&with((":test", "1"))],
            malformed(),
        ),
        case(
            "8.3 status in a request",
            &[&with((":status", "200"))],
            malformed(),
        ),
        case(
            "8.3 pseudo field after others",
            &[&headers(1, &late)],
            malformed(),
        ),
        case(
            "8.3.1 second method",
            &[&with((":method", "GET"))],
            malformed(),
        ),
        case("8.3.1 second path", &[&with((":path", "/b"))], malformed()),
        case(
            "8.3.1 second scheme",
            &[&with((":scheme", "https"))],
            malformed(),
        ),
        case("8.3.1 no method", &[&without(":method")], malformed()),
        case("8.3.1 no scheme", &[&without(":scheme")], malformed()),
        case("8.3.1 no path", &[&without(":path")], malformed()),
        case(
            "8.3.1 empty path",
            &[&headers(1, &[good[0], good[1], (":path", ""), good[3]])],
            malformed(),
        ),
        case(
            "8.1.1 body shorter than its length",
            &[&length("2"), &frame(DATA, END_STREAM, 1, b"x")],
            malformed(),
        ),
        case(
            "8.1.1 body longer than its length",
            &[
                &length("1"),
                &frame(DATA, 0, 1, b"x"),
                &frame(DATA, END_STREAM, 1, b"y"),
            ],
            malformed(),
        ),
        case(
            "8.1 second headers without an end",
            &[
                &post(1),
                &frame(HEADERS, END_HEADERS, 1, &block(&[("x", "1")])),
            ],
            malformed(),
        ),
        case(
            "8.1 pseudo field in trailers",
            &[&post(1), &headers(1, &[(":method", "GET")])],
            // Should be an error of the stream; the crate h2 reads it over, as we do all trailers.
            Nothing,
        ),
    ]
}

#[test]
fn conformance() {
    let server = Running::start(1, 300);
    let cases = [framing(), states(), frames(), requests()];
    let mut wrong = Vec::new();
    for case in cases.into_iter().flatten() {
        let mut raw = Raw::open(server.address, &[]);
        raw.send(&case.bytes);
        let ends = |frame: &Frame| match &case.expected {
            Connection(_) | Nothing => false,
            Stream(stream, _) => frame.is(RST_STREAM, *stream),
        };
        // Answers to pings overtake what is said of streams: so two, one after the other.
        raw.send(&frame(PING, 0, 0, b"not last"));
        let mut seen = Vec::new();
        let mut answered = false;
        while let Some(got) = raw.next() {
            answered = got.kind == PING && got.payload == b"the last";
            let stop = ends(&got) || got.kind == GOAWAY || answered;
            if got.kind == PING && got.payload == b"not last" {
                raw.send(&frame(PING, 0, 0, b"the last"));
            }
            seen.push(got);
            if stop {
                break;
            }
        }
        let last = seen.last();
        let code = last.and_then(Frame::code);
        let closed = !answered && code.is_none();
        let right = match &case.expected {
            Nothing => answered,
            Connection(codes) => closed || code.is_some_and(|code| codes.contains(&code)),
            Stream(_, codes) => closed || code.is_some_and(|code| codes.contains(&code)),
        };
        if !right {
            wrong.push(format!("{}: {last:?}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let mut raw = Raw::open(server.address, &[]);
    raw.send(&get(1, &server.path(0), &[]));
    raw.until(|frame| frame.is(DATA, 1) && frame.flags & END_STREAM != 0);
}

#[test]
fn a_preface_that_is_none_ends_the_connection() {
    let server = Running::start(0, 300);
    let garbage = vec![0x5a; 300];
    let http_1: &[u8] = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";
    for bytes in [&garbage[..], http_1, &[PREFACE, http_1].concat()] {
        let mut raw = Raw::connect(server.address);
        raw.send(bytes);
        let frames = raw.rest();
        let kinds: Vec<u8> = frames.iter().map(|frame| frame.kind).collect();
        assert!(
            matches!(kinds[..], [SETTINGS] | [SETTINGS, GOAWAY]),
            "{frames:?}"
        );
    }
    // Settings must come first (section 3.4).
    let mut raw = Raw::connect(server.address);
    raw.send(PREFACE);
    raw.send(&get(1, "/none", &[]));
    drop(raw);
    server.wait_for_nobody();
}

#[test]
fn rapid_resets_end_the_connection() {
    let server = Running::start(1, 50_000);
    let reset = |stream| frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes());
    // All in one receive: most streams are gone before they are looked at.
    let mut raw = Raw::open(server.address, &[]);
    let burst: Vec<u8> = (0..200)
        .flat_map(|i| [get(2 * i + 1, &server.path(0), &[]), reset(2 * i + 1)].concat())
        .collect();
    raw.send(&burst);
    assert_eq!(goaway(&mut raw), Some(ENHANCE_YOUR_CALM));
    // One by one, each while its answer is under way.
    let mut raw = Raw::open(server.address, &[]);
    for i in 0..1000 {
        let stream = 2 * i + 1;
        raw.send(&get(stream, &server.path(0), &[]));
        raw.send(&frame(PING, 0, 0, b"pingpong"));
        let mut ended = false;
        while let Some(frame) = raw.next() {
            ended = frame.kind == GOAWAY;
            if ended || frame.kind == PING {
                break;
            }
        }
        if ended {
            assert!(i > 150, "after {i}");
            drop(raw);
            return server.wait_for_nobody();
        }
        raw.send(&reset(stream));
    }
    panic!("a thousand resets in a row are taken");
}

/// The code of the GOAWAY that ends the connection.
fn goaway(raw: &mut Raw) -> Option<u32> {
    let frames = raw.rest();
    let last = frames.iter().rev().find(|frame| frame.kind == GOAWAY);
    last.and_then(Frame::code)
}

#[test]
fn a_flood_of_continuations_ends_the_connection() {
    let server = Running::start(0, 300);
    // Each is a whole field, none is the last; together far beyond the bound.
    let field = block(&[("x-filler", &"a".repeat(1000))]);
    let mut raw = Raw::open(server.address, &[]);
    raw.send(&frame(HEADERS, END_STREAM, 1, &request("/none", &[])));
    for _ in 0..2000 {
        raw.send(&frame(CONTINUATION, 0, 1, &field));
    }
    let code = goaway(&mut raw);
    assert!(
        matches!(code, None | Some(ENHANCE_YOUR_CALM | COMPRESSION_ERROR)),
        "{code:?}"
    );
    // Empty ones too.
    let mut raw = Raw::open(server.address, &[]);
    raw.send(&frame(HEADERS, END_STREAM, 1, &request("/none", &[])));
    for _ in 0..2000 {
        raw.send(&frame(CONTINUATION, 0, 1, &[]));
    }
    let code = goaway(&mut raw);
    assert!(matches!(code, None | Some(ENHANCE_YOUR_CALM)), "{code:?}");
    server.wait_for_nobody();
}

#[test]
fn a_header_list_that_is_too_long_is_refused_alone() {
    let server = Running::start(0, 300);
    let mut raw = Raw::open(server.address, &[]);
    let long = "a".repeat(12_000);
    let (first, second) = (block(&[("x", &long)]), block(&[("y", &long), ("z", &long)]));
    let head = [request("/none", &[]), first].concat();
    raw.send(&frame(HEADERS, END_STREAM, 1, &head));
    raw.send(&frame(CONTINUATION, 0, 1, &second[..12_000]));
    raw.send(&frame(CONTINUATION, END_HEADERS, 1, &second[12_000..]));
    // Its answer comes before the first pong, or the second.
    let frames = [raw.ping(), raw.ping()].concat();
    assert!(
        frames
            .iter()
            .any(|f| f.is(HEADERS, 1) || f.is(RST_STREAM, 1)),
        "{frames:?}"
    );
    raw.send(&get(3, "/none", &[]));
    raw.until(|frame| frame.is(DATA, 3));
}

#[test]
fn more_streams_than_allowed_are_refused() {
    let server = Running::start(0, 300);
    let mut raw = Raw::open(server.address, &[]);
    for i in 0..101 {
        raw.send(&get(2 * i + 1, "/cam/manifest/video.m3u8", &[]));
    }
    let frames = raw.until(|frame| frame.kind == RST_STREAM);
    let last = frames.last().unwrap();
    assert_eq!((last.stream, last.code()), (201, Some(REFUSED_STREAM)));
    while server.counters.held.get() < 100 {
        std::thread::sleep(Duration::from_millis(1));
    }
    drop(raw);
    server.wait_for_nobody();
    // Their tasks end in turns of their own, and long before the 9 s that they may be held.
    let dropped = std::time::Instant::now();
    while server.counters.held.get() > 0 && dropped.elapsed() < Duration::from_secs(5) {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(server.counters.held.get(), 0);
}

fn hls_js() -> &'static [u8] {
    include_bytes!("../assets/hls.js/hls.min.js")
}

#[test]
fn priorities_order_the_bytes() {
    // In memory, so that no disk is a reason to let others go first.
    let server = Running::start(0, 300);
    let (path, len) = ("/s/player/hls-1.7.4.min.js", hls_js().len());
    // Nothing may be sent until all are asked for.
    let mut raw = Raw::open(server.address, &setting(4, 0));
    let asked = [
        (1, "u=5"),
        (3, "u=3, i"),
        (5, ""),
        (7, "u=3, i"),
        (9, "u=0"),
        (11, "u=3"),
    ];
    for (stream, priority) in asked {
        raw.send(&get(stream, path, &[("priority", priority)]));
    }
    raw.ping();
    raw.send(&window_update(0, 1 << 30));
    raw.send(&frame(SETTINGS, 0, 0, &setting(4, 1 << 30)));
    let mut order = Vec::new();
    let mut got = [0; 12];
    let mut left = asked.len();
    while left > 0 {
        let frame = raw.next().unwrap();
        if frame.kind == DATA {
            got[frame.stream as usize] += frame.payload.len();
            left -= usize::from(frame.flags & END_STREAM);
            if order.last() != Some(&frame.stream) {
                order.push(frame.stream);
            }
        }
    }
    assert!(asked.iter().all(|(stream, _)| got[*stream as usize] == len));
    // The urgent one whole, then those of the usual urgency: each that shares goes behind the
    // others after a chunk, those that do not are sent one after the other.
    assert_eq!(order.first(), Some(&9), "{order:?}");
    assert_eq!(order.last(), Some(&1), "{order:?}");
    assert_eq!(order.iter().filter(|s| **s == 5).count(), 1, "{order:?}");
    assert_eq!(order.iter().filter(|s| **s == 11).count(), 1, "{order:?}");
    let shared: Vec<_> = order.iter().filter(|s| matches!(s, 3 | 7)).collect();
    assert!(shared.len() > 6, "{order:?}");
    let place = |stream| order.iter().position(|s| *s == stream).unwrap();
    assert!(place(5) < place(11), "{order:?}");
}

#[test]
fn priorities_are_changed_by_frames() {
    let server = Running::start(0, 300);
    let path = "/s/player/hls-1.7.4.min.js";
    let mut raw = Raw::open(server.address, &setting(4, 0));
    let update = |stream: u32, value: &str| {
        let payload = [&stream.to_be_bytes()[..], value.as_bytes()].concat();
        frame(PRIORITY_UPDATE, 0, 0, &payload)
    };
    // One before its stream begins, which holds against the field.
    raw.send(&update(5, "u=0"));
    for stream in [1, 3, 5] {
        raw.send(&get(stream, path, &[("priority", "u=2")]));
    }
    raw.ping();
    // One of a stream that waits for its window; one of a stream that never comes.
    raw.send(&update(1, "u=6"));
    raw.send(&update(99, "u=0"));
    raw.send(&window_update(0, 1 << 30));
    raw.send(&frame(SETTINGS, 0, 0, &setting(4, 1 << 30)));
    let mut ended = Vec::new();
    while ended.len() < 3 {
        let frame = raw.next().unwrap();
        if frame.kind == DATA && frame.flags & END_STREAM != 0 {
            ended.push(frame.stream);
        }
    }
    assert_eq!(ended, [5, 3, 1]);
}

#[test]
fn a_peer_that_pings_and_does_not_read_is_not_listened_to() {
    let server = Running::start(1, 300);
    let mut raw = Raw::open(server.address, &[]);
    raw.patience(Duration::from_millis(300));
    let pings: Vec<u8> = (0..1000)
        .flat_map(|_| frame(PING, 0, 0, b"pingpong"))
        .collect();
    let (mut sent, mut full) = (0usize, false);
    while sent < 64 << 20 && !full {
        full = !raw.try_send(&pings);
        sent += pings.len();
    }
    // The kernel's buffers are full in both directions: the server took no more than it could
    // answer.
    assert!(full, "{sent} bytes of pings were taken");
    drop(raw);
    server.wait_for_nobody();
}
