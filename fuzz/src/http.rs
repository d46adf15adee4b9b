//! HTTP: heads of both directions, bodies, targets.

use crate::input::{Random, pieces};
use weir_http::body::{Decoded, Decoder, Drain};
use weir_http::conditional::{Validators, evaluate};
use weir_http::limits::{HEAD_BYTES_MAX, TARGET_BYTES_MAX};
use weir_http::range::Resolved;
use weir_http::target::{Path, Query};
use weir_http::{BodyLength, ByteRange, Error, Headers, Parsed, Request, client, date, range};
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
