//! HTTP: heads of both directions, bodies, targets, and fields with a grammar of their own.

use crate::input::{Random, pieces};
use std::net::IpAddr;
use weir_http::body::{Decoded, Decoder, Drain};
use weir_http::conditional::{Validators, evaluate};
use weir_http::forwarded::{self, Field};
use weir_http::limits::{HEAD_BYTES_MAX, OPEN_END_MIN, PROXY_V2_BYTES_MAX, TARGET_BYTES_MAX};
use weir_http::log::{Entry, Line};
use weir_http::range::{Growing, Resolved};
use weir_http::target::{Path, Query};
use weir_http::{BodyLength, ByteRange, Cors, Encoding, Error, Headers, Network, Origins, Parsed};
use weir_http::{Request, client, date, encoding, proxy, range};
use weir_media::StreamName;

/// Prefixes of an input that are tried.
const CUTS: usize = 16;

/// A request's head: one verdict however it was cut, and nothing in it that two programs
/// could read differently.
pub fn request(data: &[u8]) {
    let whole = weir_http::request::parse(data);
    let mut random = Random::of(data);
    for _ in 0..CUTS {
        let cut = random.below(data.len() + 1);
        match weir_http::request::parse(&data[..cut]) {
            Ok(Parsed::NeedMore) => {}
            Ok(head) => assert_eq!(Ok(head), whole),
            Err(_) => assert!(whole.is_err()),
        }
    }
    if let Ok(Parsed::Head { head, len }) = whole {
        lines_are_unambiguous(&data[..len], head.headers);
        has_one_length(head.headers);
        assert!(head.headers.values("host").count() <= 1);
        assert!(head.path.len() <= TARGET_BYTES_MAX && head.path.is_ascii());
        conditions(&head);
        if let Ok(path) = Path::parse(head.path) {
            is_safe(&path);
        }
        let _ = Query::new(head.query).first("token");
        sites(&head);
        logged(&head);
    }
}

/// The sites of a request: what a browser is told to let in is what asked, and was allowed.
fn sites(head: &Request<'_>) {
    let Ok(origins) = Origins::parse(["https://site.example", "*.example"]) else {
        panic!("these are patterns");
    };
    let value = head.headers.first("origin");
    match origins.cors(value) {
        Cors::Only(origin) => {
            assert_eq!(Some(origin.as_bytes()), value);
            assert!(origins.allows_origin(origin.as_bytes()));
            assert!(origins.allows_referer(format!("{origin}/\n?#").as_bytes()));
            assert!(origin.bytes().all(|b| b.is_ascii_graphic()));
        }
        Cors::Closed => {}
        Cors::Any => panic!("not any site is allowed"),
    }
    for (_, value) in head.headers.iter() {
        let _ = origins.allows_referer(value);
    }
}

/// The log lines of a request: one each, that nothing sent can break out of.
fn logged(head: &Request<'_>) {
    let entry = Entry {
        client: IpAddr::from([192, 0, 2, 1]),
        time_ms: 784_111_777_000,
        line: Some(Line {
            method: head.method.as_str(),
            path: head.path,
            query: head.query,
            protocol: "HTTP/1.1",
            host: head.host,
        }),
        status: 200,
        body_bytes: 5,
        duration_us: 120,
        referer: head.headers.first("referer"),
        user_agent: head.headers.first("user-agent"),
        tls: false,
    };
    let (mut combined, mut json) = (String::new(), String::new());
    entry.write_combined(&mut combined);
    entry.write_json(&mut json);
    for line in [&combined, &json] {
        assert!(line.ends_with('\n') && !line.trim_end_matches('\n').contains(char::is_control));
    }
    assert!(combined.is_ascii() && combined.matches('"').count() == 6);
    // A backslash and what it escapes are one; what is left are the quotes of the format,
    // which open and close in turn, and braces outside them.
    let (mut chars, mut quotes, mut depth) = (json.chars(), 0_u32, 0_i32);
    while let Some(c) = chars.next() {
        match c {
            '\\' => assert!(chars.next().is_some_and(|c| "\"\\u".contains(c))),
            '"' => quotes += 1,
            '{' if quotes % 2 == 0 => depth += 1,
            '}' if quotes % 2 == 0 => depth -= 1,
            _ => {}
        }
    }
    assert!(quotes % 2 == 0 && depth == 0);
}

/// A `Range` value: what is sent lies inside, however much is there, and a range that was
/// read is read again from how it is written.
pub fn range_value(data: &[u8]) {
    let Some(range) = ByteRange::parse(data) else {
        return;
    };
    let written = match range {
        ByteRange::FromTo { first, last } => format!("bytes={first}-{last}"),
        ByteRange::From(first) => format!("bytes={first}-"),
        ByteRange::Suffix(bytes) => format!("bytes=-{bytes}"),
    };
    assert_eq!(ByteRange::parse(written.as_bytes()), Some(range));
    let near = match range {
        ByteRange::FromTo { first, last } => [first, last],
        ByteRange::From(n) | ByteRange::Suffix(n) => [n, n],
    };
    let lengths = near
        .iter()
        .flat_map(|n| [n.saturating_sub(1), *n, n.saturating_add(1)]);
    for length in lengths.chain([0, 1, u64::MAX]) {
        if let Resolved::Part { first, last } = range.resolve(length) {
            assert!(first <= last && last < length);
        }
        match range.resolve_growing(length) {
            Growing::Part { first, last } => assert!(first <= last && last < length),
            Growing::Open { first, last } => {
                assert!(first <= length && last >= OPEN_END_MIN);
                assert_eq!(range, ByteRange::FromTo { first, last });
            }
            Growing::Whole | Growing::Unsatisfiable => {}
        }
    }
}

/// A PROXY header: one verdict however it was cut, within its bounds, and an address that
/// is read again from the line that says it.
pub fn proxy_header(data: &[u8]) {
    let whole = proxy::parse(data);
    for cut in 0..data.len().min(PROXY_V2_BYTES_MAX + 1) {
        match proxy::parse(&data[..cut]) {
            Ok(proxy::Parsed::NeedMore) => assert!(cut < PROXY_V2_BYTES_MAX),
            Ok(header) => assert_eq!(Ok(header), whole),
            Err(_) => assert!(whole.is_err()),
        }
    }
    let Ok(proxy::Parsed::Header { len, source }) = whole else {
        return;
    };
    assert!(len <= data.len() && len <= PROXY_V2_BYTES_MAX);
    let Some(source) = source else {
        return;
    };
    let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
    let (ip, port) = (source.ip(), source.port());
    let line = format!("PROXY {family} {ip} {ip} {port} {port}\r\n");
    let again = proxy::Parsed::Header {
        len: line.len(),
        source: Some(source),
    };
    assert_eq!(proxy::parse(line.as_bytes()), Ok(again));
}

/// What proxies say of the client. What a trusted one adds behind anything is believed, and
/// a stranger never is.
pub fn forwarded_fields(data: &[u8]) {
    // A field value has no control characters: the head's parser refuses them.
    let value: Vec<u8> = data
        .iter()
        .map(|b| if b.is_ascii_control() { b' ' } else { *b })
        .collect();
    let [proxy, stranger] = [IpAddr::from([10, 0, 0, 1]), IpAddr::from([192, 0, 2, 1])];
    let trusted = [network("10.0.0.0/8"), network("2001:db8::/32")];
    for (field, name, last) in [
        (Field::XForwardedFor, "X-Forwarded-For", "192.0.2.1"),
        (
            Field::Forwarded,
            "Forwarded",
            "for=192.0.2.1;host=\"a,b;c\"",
        ),
    ] {
        let lines = |value: &[u8]| {
            let start = format!("GET / HTTP/1.1\r\nHost: h\r\n{name}:").into_bytes();
            [&start, value, b"\r\n\r\n"].concat()
        };
        let client = |value: &[u8], peer| {
            let bytes = lines(value);
            match weir_http::request::parse(&bytes) {
                Ok(Parsed::Head { head, .. }) => {
                    Some(forwarded::client(head.headers, field, peer, &trusted))
                }
                _ => None,
            }
        };
        if let Some(client) = client(&value, proxy) {
            assert_eq!(client, client.to_canonical());
        }
        if let Some(client) = client(&value, stranger) {
            assert_eq!(client, stranger);
        }
        let added = [&value[..], b", ", last.as_bytes()].concat();
        if let Some(client) = client(&added, proxy) {
            assert_eq!(client, stranger);
        }
    }
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(network) = text.parse::<Network>()
    {
        assert_eq!(network.to_string().parse(), Ok(network));
    }
}

fn network(text: &str) -> Network {
    text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// An `Accept-Encoding` value: the choice is one that is there, and does not hang on how the
/// elements are spread over lines.
pub fn accept_encoding(data: &[u8]) {
    let available = [Encoding::Zstd, Encoding::Br, Encoding::Gzip];
    let chosen = encoding::choose([data], &available);
    let lines = data.split(|&b| b == b',');
    assert_eq!(encoding::choose(lines, &available), chosen);
    assert_eq!(encoding::choose([data], &[]), Encoding::Identity);
    if chosen != Encoding::Identity {
        assert_eq!(encoding::choose([data], &[chosen]), chosen);
        let name = chosen.as_str().as_bytes();
        let ruled_out = [name, b";q=0,", data].concat();
        assert_ne!(encoding::choose([&ruled_out[..]], &available), chosen);
    }
}

fn lines_are_unambiguous(head: &[u8], headers: Headers<'_>) {
    assert!(head.len() <= HEAD_BYTES_MAX && head.ends_with(b"\r\n"));
    for (at, _) in head.iter().enumerate().filter(|(_, b)| **b == b'\n') {
        assert!(at > 0 && head[at - 1] == b'\r');
    }
    for (name, value) in headers.iter() {
        assert!(!name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic()));
        assert!(!value.contains(&b'\n') && !value.contains(&b'\r') && !value.contains(&0));
    }
}

fn has_one_length(headers: Headers<'_>) {
    let count = |name| headers.values(name).count();
    assert!(count("content-length") == 0 || count("transfer-encoding") == 0);
}

fn conditions(head: &Request<'_>) {
    let validators = Validators {
        etag: Some("\"a\""),
        last_modified: Some(784_111_777),
    };
    let _ = evaluate(head, &validators);
    let asked = range::requested(head, validators.etag);
    let values = head.headers.iter().filter_map(|(_, value)| {
        let _ = date::parse(value);
        ByteRange::parse(value)
    });
    for range in values.chain(asked) {
        for length in [0, 1, 1000, u64::MAX] {
            if let Resolved::Part { first, last } = range.resolve(length) {
                assert!(first <= last && last < length);
            }
        }
    }
}

/// A path as a file system or a log would take it.
fn is_safe(path: &Path<'_>) {
    assert!(path.as_str().starts_with('/'));
    for segment in path.segments() {
        assert!(!matches!(segment, "." | ".."));
        assert!(!segment.contains(|c: char| c.is_ascii_control() || matches!(c, '/' | '\\')));
        if let Ok(name) = StreamName::parse(segment) {
            assert_eq!(name.as_str(), segment);
        }
    }
}

/// An answer's head: one verdict however it was cut.
pub fn response(data: &[u8]) {
    for to_head in [false, true] {
        let whole = client::parse(data, to_head);
        let mut random = Random::of(data);
        for _ in 0..CUTS {
            let cut = random.below(data.len() + 1);
            match client::parse(&data[..cut], to_head) {
                Ok(Parsed::NeedMore) => {}
                Ok(head) => assert_eq!(Ok(head), whole),
                Err(_) => assert!(whole.is_err()),
            }
        }
        if let Ok(Parsed::Head { head, len }) = whole {
            lines_are_unambiguous(&data[..len], head.headers);
            assert!(head.body.is_some() || !head.keep_alive);
            // Fields say nothing where the request or the status rules a body out.
            if to_head || matches!(head.status, 100..=199 | 204 | 304) {
                assert_eq!(head.body, Some(BodyLength::None));
            } else {
                has_one_length(head.headers);
            }
        }
    }
}

/// A body: the same data whole and in pieces, whose end a drain finds at the same byte; a
/// body that we chunk is read back.
pub fn body(data: &[u8]) {
    for length in [
        BodyLength::Chunked,
        BodyLength::None,
        BodyLength::Length(data.len() as u64 / 2),
    ] {
        let whole = decode(length, std::iter::once(data));
        // An input without a byte has no pieces, in which the end could be found.
        let cut = decode(length, pieces(data).chain([&[][..]]));
        assert_eq!(whole, cut);
        let Ok(mut drain) = Drain::new(length, u64::MAX) else {
            panic!("no bound is exceeded");
        };
        let drained = drain.handle_bytes(data);
        match whole {
            Ok((_, end)) => assert!(drained.is_ok_and(|d| {
                d.done == end.is_some() && d.consumed == end.unwrap_or(data.len())
            })),
            Err(error) => assert_eq!(drained, Err(error)),
        }
    }
    let mut wire = Vec::new();
    for piece in pieces(data) {
        wire.extend(format!("{:X}\r\n", piece.len()).bytes());
        wire.extend(piece);
        wire.extend(b"\r\n");
    }
    wire.extend(b"0\r\n\r\n");
    let len = wire.len();
    // What follows is the next message.
    wire.extend(data);
    let read = decode(BodyLength::Chunked, std::iter::once(&wire[..]));
    assert_eq!(read, Ok((data.to_vec(), Some(len))));
}

/// The data of a body, and where it ended if it did.
fn decode<'a>(
    length: BodyLength,
    parts: impl Iterator<Item = &'a [u8]>,
) -> Result<(Vec<u8>, Option<usize>), Error> {
    let (mut decoder, mut body, mut before) = (Decoder::new(length), Vec::new(), 0);
    for part in parts {
        let mut at = 0;
        loop {
            match decoder.handle_bytes(&part[at..])? {
                Decoded::Data { data, consumed } => {
                    assert!(!data.is_empty() && data.len() <= consumed);
                    at += consumed;
                    body.extend(data);
                }
                Decoded::NeedMore => break,
                Decoded::End { consumed } => {
                    assert!(decoder.is_done());
                    return Ok((body, Some(before + at + consumed)));
                }
            }
        }
        before += part.len();
    }
    Ok((body, None))
}

/// A target's path and query, percent-encoding taken off once.
pub fn target(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (path, query) = match text.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (text, None),
    };
    if let Ok(decoded) = Path::parse(path) {
        is_safe(&decoded);
        // Encoding every byte of every segment says the same path.
        let mut encoded = String::new();
        for segment in decoded.segments() {
            encoded.push('/');
            encoded.extend(segment.bytes().map(|b| format!("%{b:02X}")));
        }
        assert!(Path::parse(&encoded).is_ok_and(|again| again.as_str() == decoded.as_str()));
    }
    let query = Query::new(query);
    for (name, _) in query.iter() {
        assert!(!name.contains(['&', '=']));
        let plain = !name.contains('%');
        if let Ok(found) = query.first(name) {
            assert!(!plain || found.is_some());
        }
    }
}
