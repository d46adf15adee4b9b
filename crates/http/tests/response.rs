//! Heads that are written, read back by httparse's other half and by us.

use bytes::BytesMut;
use weir_http::client::{self, Response};
use weir_http::range::OPEN_END;
use weir_http::{BodyLength, Cors, Error, Head, HttpDate, Parsed, Status, Version};

fn date() -> HttpDate {
    HttpDate::from_unix(784_111_777)
}

fn answer(bytes: &[u8]) -> Response<'_> {
    match client::parse(bytes, false) {
        Ok(Parsed::Head { head, len }) if len == bytes.len() => head,
        other => panic!("{:?}: {other:?}", String::from_utf8_lossy(bytes)),
    }
}

#[test]
fn writes_a_media_answer_byte_by_byte() {
    let mut out = BytesMut::new();
    Head::start(&mut out, Status::PartialContent, &date())
        .content_type("video/mp4")
        .content_length(1024)
        .content_range(0, 1023, Some(u64::MAX))
        .accept_ranges()
        .cache_control("public, max-age=31536000, immutable")
        .etag("\"a1\"")
        .cors()
        .end();
    assert_eq!(
        std::str::from_utf8(&out).unwrap(),
        "HTTP/1.1 206 Partial Content\r\n\
         Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
         Content-Type: video/mp4\r\n\
         Content-Length: 1024\r\n\
         Content-Range: bytes 0-1023/18446744073709551615\r\n\
         Accept-Ranges: bytes\r\n\
         Cache-Control: public, max-age=31536000, immutable\r\n\
         ETag: \"a1\"\r\n\
         Access-Control-Allow-Origin: *\r\n\
         Access-Control-Expose-Headers: Content-Length, Content-Range, Date, Age, ETag\r\n\
         \r\n"
    );
}

#[test]
fn tells_browsers_which_sites_may_read() {
    const EXPOSED: &str =
        "Access-Control-Expose-Headers: Content-Length, Content-Range, Date, Age, ETag\r\n";
    for (cors, want) in [
        (
            Cors::Any,
            format!("Access-Control-Allow-Origin: *\r\n{EXPOSED}"),
        ),
        (
            Cors::Only("https://a.example"),
            format!(
                "Access-Control-Allow-Origin: https://a.example\r\nVary: Origin, Referer\r\n{EXPOSED}"
            ),
        ),
        (Cors::Closed, "Vary: Origin, Referer\r\n".to_owned()),
    ] {
        for status in [Status::Ok, Status::NotModified, Status::NotFound] {
            let mut out = Vec::new();
            Head::start(&mut out, status, &date()).cors_for(cors).end();
            let lines = format!(
                "{}Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n{want}\r\n",
                status.line()
            );
            assert_eq!(String::from_utf8(out).unwrap(), lines);
        }
    }
}

#[test]
fn writes_a_head_that_grows() {
    let mut out = Vec::new();
    Head::start(&mut out, Status::PartialContent, &date())
        .chunked()
        .content_range(1_230_000, OPEN_END, None)
        .end();
    let head = answer(&out);
    assert_eq!(head.body, Some(BodyLength::Chunked));
    let range = head.headers.first("content-range");
    assert_eq!(range, Some(&b"bytes 1230000-9007199254740991/*"[..]));
}

#[test]
fn writes_every_field_so_that_it_reads_back() {
    let mut out = b"before".to_vec();
    Head::start(&mut out, Status::NoContent, &date())
        .allow("GET, HEAD, OPTIONS")
        .preflight("GET, HEAD, OPTIONS")
        .vary("Origin")
        .location("/live1/watch")
        .last_modified(&date())
        .content_range_unsatisfied(0)
        .connection(false)
        .field("Retry-After", "1")
        .end();
    let head = answer(&out[6..]);
    assert_eq!(head.status, 204);
    assert_eq!(head.body, Some(BodyLength::None));
    assert!(!head.keep_alive);
    let first = |name| {
        head.headers
            .first(name)
            .map(|v| std::str::from_utf8(v).unwrap())
    };
    assert_eq!(first("Allow"), Some("GET, HEAD, OPTIONS"));
    assert_eq!(
        first("Access-Control-Allow-Methods"),
        Some("GET, HEAD, OPTIONS")
    );
    assert!(
        first("Access-Control-Allow-Headers")
            .unwrap()
            .contains("Range")
    );
    assert_eq!(first("Access-Control-Max-Age"), Some("86400"));
    assert_eq!(first("Vary"), Some("Origin"));
    assert_eq!(first("Location"), Some("/live1/watch"));
    assert_eq!(
        first("Last-Modified"),
        Some("Sun, 06 Nov 1994 08:49:37 GMT")
    );
    assert_eq!(first("Content-Range"), Some("bytes */0"));
    assert_eq!(first("Retry-After"), Some("1"));

    let mut out = Vec::new();
    Head::start(&mut out, Status::PartialContent, &date())
        .chunked()
        .content_range(7, 9_007_199_254_740_991, None)
        .connection(true)
        .end();
    let head = answer(&out);
    assert_eq!(head.body, Some(BodyLength::Chunked));
    assert!(head.keep_alive);
    assert_eq!(
        head.headers.first("content-range"),
        Some(&b"bytes 7-9007199254740991/*"[..])
    );
}

#[test]
fn no_value_begins_a_new_line() {
    let mut out = Vec::new();
    Head::start(&mut out, Status::Found, &date())
        .location("/a\r\nSet-Cookie: b\n\0\r\n\r\n<html>")
        .end();
    let head = answer(&out);
    assert_eq!(head.headers.iter().count(), 2);
    // "\n\0\r\n\r\n" are six spaces.
    let want = &b"/a  Set-Cookie: b      <html>"[..];
    assert_eq!(head.headers.first("location"), Some(want));
}

#[test]
fn reads_where_an_answer_ends() {
    let read = |text: &str, to_head| match client::parse(text.as_bytes(), to_head) {
        Ok(Parsed::Head { head, .. }) => Ok((head.body, head.keep_alive)),
        Ok(Parsed::NeedMore) => panic!("{text}"),
        Err(error) => Err(error),
    };
    for (text, to_head, body, keep_alive) in [
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
            false,
            Some(BodyLength::Length(5)),
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
            true,
            Some(BodyLength::None),
            true,
        ),
        (
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
            false,
            Some(BodyLength::None),
            true,
        ),
        (
            "HTTP/1.1 100 Continue\r\n\r\n",
            false,
            Some(BodyLength::None),
            true,
        ),
        ("HTTP/1.1 200 OK\r\n\r\n", false, None, false),
        (
            "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n",
            false,
            Some(BodyLength::Length(5)),
            false,
        ),
        (
            "HTTP/1.1 200\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n",
            false,
            Some(BodyLength::Chunked),
            false,
        ),
    ] {
        assert_eq!(read(text, to_head), Ok((body, keep_alive)), "{text}");
    }
    for (text, want) in [
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
            Error::ContentLength("is repeated"),
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            Error::TwoLengths,
        ),
        ("HTTP/1.1 200 OK\r\nA: b\n\r\n", Error::LineEnd),
        ("HTTP/1.1 200 OK\r\nA : b\r\n\r\n", Error::HeaderName),
        ("HTTP/2.0 200 OK\r\n\r\n", Error::Version),
        ("HTTP/1.1 2x0 OK\r\n\r\n", Error::StatusLine),
    ] {
        assert_eq!(read(text, false), Err(want), "{text}");
    }
}

#[test]
fn every_truncation_of_an_answer_needs_more() {
    let text = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nA: b\r\n\r\n";
    for end in 0..text.len() {
        assert_eq!(
            client::parse(&text[..end], false),
            Ok(Parsed::NeedMore),
            "{end}"
        );
    }
    let endless = [&b"HTTP/1.1 200 OK\r\nA: "[..], &[b'b'; 40_000]].concat();
    assert_eq!(client::parse(&endless, false), Err(Error::HeadTooLong));
    assert_eq!(answer(text).version, Version::Http11);
}
