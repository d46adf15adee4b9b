//! Request heads: what is read, and what is refused as ambiguous.

use weir_http::request::parse;
use weir_http::{BodyLength, Error, Method, Parsed, Request, Status, Version};

/// What hls.js in Chromium sends, shortened to what matters.
const HLS_JS: &str = "GET /live1/manifest/video.m3u8?protocol=llhls&_HLS_msn=7 HTTP/1.1\r\n\
    Host: media.example:8080\r\n\
    Connection: keep-alive\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) Chrome/126.0\r\n\
    Accept: */*\r\n\
    Origin: http://site.example\r\n\
    Range: bytes=0-1023\r\n\
    If-None-Match: \"a1\"\r\n\
    Accept-Encoding: gzip, deflate\r\n\
    \r\n";

fn head(text: &str) -> Request<'_> {
    match parse(text.as_bytes()) {
        Ok(Parsed::Head { head, len }) => {
            assert_eq!(len, text.len());
            head
        }
        other => panic!("{text:?}: {other:?}"),
    }
}

fn refused(text: impl AsRef<[u8]>) -> Error {
    let bytes = text.as_ref();
    match parse(bytes) {
        Err(error) => error,
        Ok(other) => panic!("{:?}: {other:?}", String::from_utf8_lossy(bytes)),
    }
}

/// A request with these field lines, each without its line end.
fn with(lines: &[&str]) -> String {
    format!(
        "POST /x HTTP/1.1\r\nHost: h\r\n{}\r\n\r\n",
        lines.join("\r\n")
    )
}

#[test]
fn reads_what_a_player_sends() {
    let request = head(HLS_JS);
    assert_eq!(request.method, Method::Get);
    assert_eq!(request.path, "/live1/manifest/video.m3u8");
    assert_eq!(request.query, Some("protocol=llhls&_HLS_msn=7"));
    assert_eq!(request.version, Version::Http11);
    assert_eq!(request.host, Some("media.example:8080"));
    assert!(request.keep_alive);
    assert!(!request.expect_continue);
    assert_eq!(request.body, BodyLength::None);
    assert_eq!(request.range, Some(&b"bytes=0-1023"[..]));
    assert_eq!(request.if_none_match, Some(&b"\"a1\""[..]));
    assert_eq!(request.headers.first("accept"), Some(&b"*/*"[..]));
    assert_eq!(request.headers.iter().count(), 8);
}

#[test]
fn every_truncation_needs_more() {
    for end in 0..HLS_JS.len() {
        assert_eq!(
            parse(&HLS_JS.as_bytes()[..end]),
            Ok(Parsed::NeedMore),
            "{end}"
        );
    }
}

#[test]
fn what_follows_the_head_is_left_alone() {
    let text = format!("{HLS_JS}GET /next HT\0\0");
    let Ok(Parsed::Head { head, len }) = parse(text.as_bytes()) else {
        panic!();
    };
    assert_eq!(len, HLS_JS.len());
    assert_eq!(head.headers.iter().count(), 8);
}

#[test]
fn empty_lines_before_a_request_are_read_over() {
    let text = format!("\r\n\r\n{HLS_JS}");
    let request = head(&text);
    assert_eq!(request.path, "/live1/manifest/video.m3u8");
    assert_eq!(request.headers.iter().count(), 8);
    assert_eq!(refused(format!("\n{HLS_JS}")), Error::LineEnd);
}

#[test]
fn methods_are_case_sensitive_tokens() {
    for (text, want) in [
        ("HEAD", Method::Head),
        ("POST", Method::Post),
        ("PUT", Method::Put),
        ("PATCH", Method::Patch),
        ("DELETE", Method::Delete),
        ("OPTIONS", Method::Options),
        ("get", Method::Other("get")),
        ("PROPFIND", Method::Other("PROPFIND")),
    ] {
        let request = format!("{text} / HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(head(&request).method, want);
        assert_eq!(head(&request).method.as_str(), text);
    }
    for text in ["", "G(T", "GET:", " GET", "\u{e9}"] {
        let request = format!("{text} / HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(refused(request), Error::RequestLine, "{text:?}");
    }
}

#[test]
fn versions() {
    for version in ["HTTP/2.0", "HTTP/1.2", "HTTP/0.9", "HTTP/3.0"] {
        let error = refused(format!("GET / {version}\r\nHost: h\r\n\r\n"));
        assert_eq!(error, Error::Version, "{version}");
        assert_eq!(error.status(), Status::HttpVersionNotSupported);
    }
    for version in [
        "http/1.1",
        "HTTP/1.10",
        "HTTP/1.",
        "HTP/1.1",
        "HTTP/x.y",
        "FTP/1.1",
    ] {
        let error = refused(format!("GET / {version}\r\nHost: h\r\n\r\n"));
        assert_eq!(error.status(), Status::BadRequest, "{version}");
    }
    // HTTP/2 with prior knowledge.
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for end in 14..=preface.len() {
        assert_eq!(refused(&preface[..end]), Error::Http2Preface, "{end}");
    }
    assert_eq!(refused(format!("{preface}\0\0\0\x04")), Error::Http2Preface);
    assert_eq!(refused("PRI * HTTP/2.0\r\nHost: h\r\n\r\n"), Error::Version);
    // What TLS on the plain port looks like.
    assert_eq!(refused(b"\x16\x03\x01\x02\x00\x01\x00"), Error::RequestLine);
}

#[test]
fn the_request_line_has_two_single_spaces() {
    for line in [
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        "GET / a HTTP/1.1",
        "GET /",
        "GET / HTTP/1.1 ",
    ] {
        let error = refused(format!("{line}\r\nHost: h\r\n\r\n"));
        assert!(
            matches!(error, Error::RequestLine | Error::LineEnd),
            "{line}: {error:?}"
        );
        assert_eq!(error.status(), Status::BadRequest);
    }
}

#[test]
fn connection_persistence() {
    for (version, connection, want) in [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "Connection: Upgrade, CLOSE\r\n", false),
        (
            "1.1",
            "Connection: keep-alive\r\nConnection: close\r\n",
            false,
        ),
        ("1.1", "Connection: closed\r\n", true),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive\r\n", true),
        ("1.0", "Connection: keep-alive, close\r\n", false),
    ] {
        let text = format!("GET / HTTP/{version}\r\nHost: h\r\n{connection}\r\n");
        assert_eq!(head(&text).keep_alive, want, "{text}");
    }
}

#[test]
fn host_is_there_once_and_sound() {
    let request = |lines: &str| format!("GET / HTTP/1.1\r\n{lines}\r\n");
    assert_eq!(refused(request("")), Error::Host("is missing"));
    assert_eq!(
        refused(request("Host: a\r\nHost: a\r\n")),
        Error::Host("is repeated")
    );
    assert_eq!(
        refused(request("Host: a\r\nhOST: b\r\n")),
        Error::Host("is repeated")
    );
    for bad in [
        "",
        "a b",
        "a/b",
        "a@b",
        "u:p@h",
        "a:b",
        "a:1:2",
        "a:123456",
        ":80",
        "[::1",
        "[]",
        "[::1]x",
        "[::1%eth0]",
        "::1",
        "a\\b",
        "h\u{e9}",
        "a?b",
        "a#b",
        "<a>",
    ] {
        let error = refused(request(&format!("Host: {bad}\r\n")));
        assert_eq!(error, Error::Host("is malformed"), "{bad:?}");
    }
    for good in [
        "h",
        "h:80",
        "h:",
        "192.0.2.1:8080",
        "[::1]",
        "[2001:db8::1]:443",
        "a-b.c_d",
    ] {
        let text = request(&format!("Host: {good}\r\n"));
        assert_eq!(head(&text).host, Some(good));
    }
    let old = "GET / HTTP/1.0\r\n\r\n";
    assert_eq!(head(old).host, None);
}

#[test]
fn target_forms() {
    let request =
        |method: &str, target: &str| format!("{method} {target} HTTP/1.1\r\nHost: h\r\n\r\n");
    for (method, target, path, query, host) in [
        ("GET", "/", "/", None, "h"),
        ("GET", "/?", "/", Some(""), "h"),
        ("GET", "/a?b?c", "/a", Some("b?c"), "h"),
        ("GET", "//a", "//a", None, "h"),
        ("GET", "http://o:81/a?b", "/a", Some("b"), "o:81"),
        ("GET", "HTTPS://o", "/", None, "o"),
        ("GET", "http://o?b", "/", Some("b"), "o"),
        ("OPTIONS", "*", "*", None, "h"),
        ("OPTIONS", "http://o", "*", None, "o"),
        ("OPTIONS", "/a", "/a", None, "h"),
    ] {
        let text = request(method, target);
        let got = head(&text);
        assert_eq!(
            (got.path, got.query, got.host),
            (path, query, Some(host)),
            "{target}"
        );
    }
    for (method, target) in [
        ("GET", "*"),
        ("GET", "a"),
        ("GET", "ftp://o/"),
        ("GET", "http:/o"),
        ("GET", "http:///a"),
        ("GET", "http://u@o/"),
        ("GET", "http://o\\@evil/"),
        ("GET", "/a#b"),
        ("GET", "/\u{e9}"),
        ("CONNECT", "o:443"),
        ("CONNECT", "/a"),
    ] {
        let error = refused(request(method, target));
        assert!(
            matches!(error, Error::Target(_)),
            "{method} {target}: {error:?}"
        );
    }
    // Host has to be there beside an absolute target too.
    let error = refused("GET http://o/ HTTP/1.1\r\n\r\n");
    assert_eq!(error, Error::Host("is missing"));
}

#[test]
fn body_lengths() {
    for (lines, want) in [
        (&["Accept: */*"][..], BodyLength::None),
        (&["Content-Length: 0"], BodyLength::None),
        (&["Content-Length: 007"], BodyLength::Length(7)),
        (
            &["content-length:\t18446744073709551615 "],
            BodyLength::Length(u64::MAX),
        ),
        (&["Transfer-Encoding: chunked"], BodyLength::Chunked),
        (&["Transfer-Encoding: CHUNKED"], BodyLength::Chunked),
        (&["Transfer-Encoding: , chunked ,"], BodyLength::Chunked),
    ] {
        assert_eq!(head(&with(lines)).body, want, "{lines:?}");
    }
}

#[test]
fn ambiguous_lengths_are_refused() {
    for value in [
        "",
        "-1",
        "+1",
        "0x10",
        "1 2",
        "1,1",
        "1, 1",
        "1.0",
        "1e3",
        "\u{661}",
        "18446744073709551616",
        "99999999999999999999999999",
    ] {
        let error = refused(with(&[&format!("Content-Length: {value}")]));
        assert!(
            matches!(error, Error::ContentLength(_)),
            "{value}: {error:?}"
        );
    }
    for second in ["5", "6"] {
        let error = refused(with(&[
            "Content-Length: 5",
            &format!("Content-Length: {second}"),
        ]));
        assert_eq!(error, Error::ContentLength("is repeated"));
    }
    for lines in [
        &["Content-Length: 5", "Transfer-Encoding: chunked"][..],
        &["Transfer-Encoding: chunked", "Content-Length: 5"],
        &["Transfer-Encoding: chunked", "Content-Length: 0"],
        &["Transfer-Encoding: xchunked", "Content-Length: 5"],
    ] {
        assert_eq!(refused(with(lines)), Error::TwoLengths, "{lines:?}");
    }
    for lines in [
        &["Transfer-Encoding:"][..],
        &["Transfer-Encoding: ,"],
        &["Transfer-Encoding: identity"],
        &["Transfer-Encoding: xchunked"],
        &["Transfer-Encoding: chunked;q=1"],
        &["Transfer-Encoding: \"chunked\""],
        &["Transfer-Encoding: chunked, identity"],
        &["Transfer-Encoding: chunked, chunked"],
        &["Transfer-Encoding: chunked", "Transfer-Encoding: identity"],
        &["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
    ] {
        let error = refused(with(lines));
        assert!(
            matches!(error, Error::TransferEncoding(_)),
            "{lines:?}: {error:?}"
        );
        assert_eq!(error.status(), Status::BadRequest);
    }
    for lines in [
        &["Transfer-Encoding: gzip, chunked"][..],
        &["Transfer-Encoding: gzip", "Transfer-Encoding: chunked"],
    ] {
        let error = refused(with(lines));
        assert_eq!(error, Error::TransferCoding, "{lines:?}");
        assert_eq!(error.status(), Status::NotImplemented);
    }
    let old = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert!(matches!(refused(old), Error::TransferEncoding(_)));
}

#[test]
fn lines_end_in_crlf_only() {
    let good = with(&["A: b", "Content-Length: 5"]);
    for (at, _) in good.match_indices("\r\n") {
        let (before, after) = (&good[..at], &good[at + 2..]);
        assert_eq!(
            refused(format!("{before}\n{after}")),
            Error::LineEnd,
            "bare LF at {at}"
        );
        // Which rule it breaks depends on what follows.
        let error = refused(format!("{before}\r{after}\r\n\r\n"));
        assert_eq!(error.status(), Status::BadRequest, "bare CR at {at}");
    }
    for value in [
        "a\rb",
        "a\r\rb",
        "a\0b",
        "a\x0bb",
        "a\x7fb",
        "a\nTransfer-Encoding: chunked",
    ] {
        let error = refused(with(&[&format!("A: {value}")]));
        assert!(
            matches!(error, Error::HeaderValue | Error::LineEnd),
            "{value:?}: {error:?}"
        );
    }
}

#[test]
fn field_names_are_tokens_up_to_the_colon() {
    for line in [
        "Content-Length : 5",
        "Content-Length\t: 5",
        " Content-Length: 5",
        "\tfolded",
        ": no name",
        "no colon",
        "Content_Length\u{e9}: 5",
        "Content Length: 5",
        "Content-Length\0: 5",
        "(a): 5",
    ] {
        assert_eq!(refused(with(&[line])), Error::HeaderName, "{line:?}");
        // And as the very first line after the request line.
        let first = format!("GET / HTTP/1.1\r\n{line}\r\nHost: h\r\n\r\n");
        assert_eq!(refused(first), Error::HeaderName, "{line:?}");
    }
    assert_eq!(refused(with(&["A: b", " c"])), Error::HeaderName);
    assert_eq!(
        refused(with(&["Transfer-Encoding:", " chunked"])),
        Error::HeaderName
    );
    // Bytes above ASCII may stand in values (RFC 9110 §5.5).
    assert_eq!(
        head(&with(&["A: \u{e9}"])).headers.first("a"),
        Some("\u{e9}".as_bytes())
    );
}

#[test]
fn expectations() {
    assert!(head(&with(&["Expect: 100-Continue"])).expect_continue);
    let error = refused(with(&["Expect: 200-ok"]));
    assert_eq!(
        (error, error.status()),
        (Error::Expectation, Status::ExpectationFailed)
    );
    let old = "POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n";
    assert!(!head(old).expect_continue);
}

#[test]
fn sizes_are_bounded() {
    let long = "a".repeat(8 * 1024);
    let fits = format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", &long[1..]);
    assert_eq!(head(&fits).path.len(), 8 * 1024);
    let error = refused(format!("GET /{long} HTTP/1.1\r\nHost: h\r\n\r\n"));
    assert_eq!(
        (error, error.status()),
        (Error::TargetTooLong, Status::UriTooLong)
    );
    // Without waiting for the rest of the head, or of the target.
    assert_eq!(
        refused(format!("GET /{long} HTTP/1.1\r\nHo")),
        Error::TargetTooLong
    );
    assert_eq!(
        refused(format!("GET /{}", "a".repeat(32 * 1024))),
        Error::TargetTooLong
    );

    let field = format!("A: {}\r\n", "b".repeat(1000));
    let endless = format!("GET / HTTP/1.1\r\nHost: h\r\n{}", field.repeat(40));
    let error = refused(&endless);
    assert_eq!(
        (error, error.status()),
        (Error::HeadTooLong, Status::RequestHeaderFieldsTooLarge)
    );
    assert_eq!(refused(format!("{endless}\r\n")), Error::HeadTooLong);
    assert_eq!(
        parse(&endless.as_bytes()[..32 * 1024 - 1]),
        Ok(Parsed::NeedMore)
    );
    assert!(parse(&endless.as_bytes()[..32 * 1024]).is_err());

    let many = |n: usize| {
        format!(
            "GET / HTTP/1.1\r\nHost: h\r\n{}\r\n",
            "A: b\r\n".repeat(n - 1)
        )
    };
    assert_eq!(head(&many(64)).headers.iter().count(), 64);
    assert_eq!(refused(many(65)), Error::TooManyHeaders);
    assert!(parse("\r\n".repeat(20_000).as_bytes()).is_err());
}

#[test]
fn of_repeated_fields_lists_go_on_and_others_lose_their_meaning() {
    let text = with(&[
        "If-None-Match: \"a\"",
        "If-None-Match: \"b\"",
        "Range: bytes=0-1",
        "Range: bytes=0-1",
    ]);
    let request = head(&text);
    assert_eq!(request.if_none_match, Some(&b"\"a\""[..]));
    assert_eq!(request.headers.values("if-none-match").count(), 2);
    assert_eq!(request.range, Some(&b""[..]));
}
