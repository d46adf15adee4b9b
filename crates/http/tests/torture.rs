//! A connection's bytes, and what a server makes of them: each row is one connection, read
//! whole and byte by byte, and both must come to the same.
//!
//! Rows follow RFC 9112 and RFC 9110; where those leave a choice the row says what nginx
//! does, if that differs.

use weir_http::body::{Decoded, Decoder};
use weir_http::limits::HEAD_BYTES_MAX;
use weir_http::target::Path;
use weir_http::{Parsed, request};

/// Serves a connection whose bytes have come: `method host path+body` of each request, and
/// then the status that ends it, or `...` if it waits for more.
fn serve(mut bytes: &[u8]) -> Vec<String> {
    let mut log = Vec::new();
    while !bytes.is_empty() {
        let (head, len) = match request::parse(bytes) {
            Ok(Parsed::Head { head, len }) => (head, len),
            Ok(Parsed::NeedMore) => {
                log.push("...".to_owned());
                return log;
            }
            Err(error) => {
                log.push(error.status().code().to_string());
                return log;
            }
        };
        let mut entry = format!(
            "{} {} {}",
            head.method.as_str(),
            head.host.unwrap_or("-"),
            head.path
        );
        let keep_alive = head.keep_alive;
        let mut decoder = Decoder::new(head.body);
        bytes = &bytes[len..];
        loop {
            match decoder.handle_bytes(bytes) {
                Ok(Decoded::Data { data, consumed }) => {
                    entry.push('+');
                    entry.push_str(&String::from_utf8_lossy(data));
                    bytes = &bytes[consumed..];
                }
                Ok(Decoded::End { consumed }) => {
                    bytes = &bytes[consumed..];
                    break;
                }
                Ok(Decoded::NeedMore) => {
                    log.extend([entry, "...".to_owned()]);
                    return log;
                }
                Err(error) => {
                    log.extend([entry, error.status().code().to_string()]);
                    return log;
                }
            }
        }
        log.push(entry);
        if !keep_alive {
            log.push("close".to_owned());
            return log;
        }
    }
    log
}

/// Whether the same verdict comes of every prefix that has one: requests are never taken
/// back, and a refusal stays one.
fn is_steady(bytes: &[u8], whole: &[String]) -> bool {
    (0..bytes.len()).all(|end| {
        let mut part = serve(&bytes[..end]);
        let open = part.last().is_some_and(|last| last == "...");
        if open {
            part.pop();
            // The last request's body may go on.
            return match part.split_last() {
                Some((last, before)) => {
                    whole.starts_with(before)
                        && whole
                            .get(before.len())
                            .is_some_and(|w| w.starts_with(&**last))
                }
                None => true,
            };
        }
        whole.starts_with(&part)
    })
}

fn check(rows: &[(&str, &str)]) {
    for (bytes, want) in rows {
        let got = serve(bytes.as_bytes());
        assert_eq!(got.join(" | "), *want, "{bytes:?}");
        assert!(is_steady(bytes.as_bytes(), &got), "{bytes:?}");
    }
}

#[test]
fn one_after_another() {
    check(&[
        (
            "GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\nHost: i\r\n\r\n",
            "GET h /a | GET i /b",
        ),
        (
            "GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTT",
            "GET h /a | ...",
        ),
        (
            "GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\nGET /b",
            "GET h /a | close",
        ),
        (
            "GET /a HTTP/1.0\r\n\r\nGET /b HTTP/1.0\r\n\r\n",
            "GET - /a | close",
        ),
        (
            "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /b HTTP/1.0\r\n\r\n",
            "GET - /a | GET - /b | close",
        ),
        (
            "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nxyzGET /b HTTP/1.1\r\nHost: h\r\n\r\n",
            "POST h /a+xyz | GET h /b",
        ),
        (
            "POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nxyz\r\n0\r\n\r\n\
             GET /b HTTP/1.1\r\nHost: h\r\n\r\n",
            "POST h /a+xyz | GET h /b",
        ),
        // A body on GET is read like any other.
        (
            "GET /a HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nxHEAD /b HTTP/1.1\r\nHost: h\r\n\r\n",
            "GET h /a+x | HEAD h /b",
        ),
        // RFC 9112 §2.2: empty lines before a request are read over.
        (
            "\r\n\r\nGET /a HTTP/1.1\r\nHost: h\r\n\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n",
            "GET h /a | GET h /b",
        ),
        ("\nGET /a HTTP/1.1\r\nHost: h\r\n\r\n", "400"),
        (" \r\nGET /a HTTP/1.1\r\nHost: h\r\n\r\n", "400"),
    ]);
}

#[test]
fn request_lines() {
    check(&[
        // RFC 9112 §3.2.2: the target's authority counts, not Host.
        ("GET http://h/a HTTP/1.1\r\nHost: h\r\n\r\n", "GET h /a"),
        (
            "GET http://foreign:81/a HTTP/1.1\r\nHost: h\r\n\r\n",
            "GET foreign:81 /a",
        ),
        (
            "GET https://foreign HTTP/1.1\r\nHost: h\r\n\r\n",
            "GET foreign /",
        ),
        ("GET http://foreign/a HTTP/1.1\r\n\r\n", "400"),
        (
            "GET http://foreign/a HTTP/1.1\r\nHost: bad host\r\n\r\n",
            "400",
        ),
        (
            "GET http://u:p@foreign/a HTTP/1.1\r\nHost: h\r\n\r\n",
            "400",
        ),
        ("GET http:///a HTTP/1.1\r\nHost: h\r\n\r\n", "400"),
        ("GET ftp://h/a HTTP/1.1\r\nHost: h\r\n\r\n", "400"),
        ("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS h *"),
        (
            "OPTIONS http://o:1 HTTP/1.1\r\nHost: h\r\n\r\n",
            "OPTIONS o:1 *",
        ),
        ("GET * HTTP/1.1\r\nHost: h\r\n\r\n", "400"),
        ("CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n", "400"),
        ("GET h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n", "400"),
        // HTTP/0.9, which nginx still answers.
        ("GET /\r\n", "400"),
        ("GET /\r\n\r\n", "400"),
        // RFC 9110 §2.5 would read 1.2 as 1.1.
        ("GET / HTTP/1.2\r\nHost: h\r\n\r\n", "505"),
        ("GET / HTTP/2.0\r\nHost: h\r\n\r\n", "505"),
        ("GET / HTTP/11\r\nHost: h\r\n\r\n", "400"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505"),
        // A method is a token; one that nobody has is the server's to answer.
        ("get / HTTP/1.1\r\nHost: h\r\n\r\n", "get h /"),
        ("M-SEARCH / HTTP/1.1\r\nHost: h\r\n\r\n", "M-SEARCH h /"),
        ("G\0T / HTTP/1.1\r\nHost: h\r\n\r\n", "400"),
        ("GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n", "400"),
        ("GET /\tHTTP/1.1\r\nHost: h\r\n\r\n", "400"),
        ("GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", "400"),
        ("GET /\0 HTTP/1.1\r\nHost: h\r\n\r\n", "400"),
        ("GET /\u{7f} HTTP/1.1\r\nHost: h\r\n\r\n", "400"),
        ("GET / HTTP/1.1\rHost: h\r\n\r\n", "400"),
        ("GET / HTTP/1.1\nHost: h\n\n", "400"),
        ("GET / HTTP/1.1 \r\nHost: h\r\n\r\n", "400"),
    ]);
}

#[test]
fn field_lines() {
    let rows: Vec<_> = [
        ("Host: h", "GET h /"),
        ("Host:h", "GET h /"),
        ("hOsT:\t h \t", "GET h /"),
        ("", "400"),
        ("Host:", "400"),
        ("Host: h\r\nHost: h", "400"),
        ("Host: h\r\nhost: i", "400"),
        ("Host: h, i", "400"),
        ("Host: http://h", "400"),
        ("Host: h/../i", "400"),
        ("Host: h:80:80", "400"),
        ("Host : h", "400"),
        ("Host: h\r\nA : b", "400"),
        ("Host: h\r\nA: b\r\n c", "400"),
        ("Host: h\r\nA: b\r\n\tc", "400"),
        (" Host: h", "400"),
        ("Host: h\nA: b", "400"),
        ("Host: h\rA: b", "400"),
        ("Host: h\r\nA: b\rc", "400"),
        ("Host: h\r\nA: b\0c", "400"),
        ("Host: h\r\nA\0: b", "400"),
        ("Host: h\r\nA: \u{1}", "400"),
        ("Host: h\r\n: b", "400"),
        ("Host: h\r\nno colon", "400"),
        ("Host: h\r\nA: \u{e9}", "GET h /"),
        ("Host: h\r\nA:", "GET h /"),
        ("Host: h\r\nExpect: 100-continue", "GET h /"),
        ("Host: h\r\nExpect: 100-CONTINUE", "GET h /"),
        ("Host: h\r\nExpect: 100-continue, x", "417"),
        ("Host: h\r\nExpect: x=y", "417"),
    ]
    .iter()
    .map(|(lines, want)| {
        let lines = if lines.is_empty() {
            String::new()
        } else {
            format!("{lines}\r\n")
        };
        (format!("GET / HTTP/1.1\r\n{lines}\r\n"), *want)
    })
    .collect();
    let rows: Vec<_> = rows.iter().map(|(bytes, want)| (&**bytes, *want)).collect();
    check(&rows);
}

#[test]
fn lengths() {
    let rows: Vec<_> = [
        ("Content-Length: 3", "POST h /+xyz"),
        ("Content-Length: 03", "POST h /+xyz"),
        // Equal lengths may be accepted (RFC 9110 §8.6); nginx refuses them too.
        ("Content-Length: 3\r\nContent-Length: 3", "400"),
        ("Content-Length: 3\r\nContent-Length: 4", "400"),
        ("Content-Length: 3, 3", "400"),
        ("Content-Length: 3\r\nTransfer-Encoding: chunked", "400"),
        ("Transfer-Encoding: chunked\r\nContent-Length: 3", "400"),
        ("Transfer-Encoding: gzip\r\nContent-Length: 3", "400"),
        ("Content-Length: -3", "400"),
        ("Content-Length: +3", "400"),
        ("Content-Length: 0x3", "400"),
        ("Content-Length: 3;", "400"),
        ("Content-Length: 3 3", "400"),
        ("Content-Length:", "400"),
        ("Content-Length: 18446744073709551616", "400"),
        ("Content-Length: 18446744073709551615", "POST h /+xyz | ..."),
        ("Content-Length : 3", "400"),
        ("Transfer-Encoding: gzip", "400"),
        ("Transfer-Encoding: chunked, gzip", "400"),
        ("Transfer-Encoding: chunked, chunked", "400"),
        ("Transfer-Encoding: gzip, chunked", "501"),
        ("Transfer-Encoding: \u{b}chunked", "400"),
        ("Transfer-Encoding: chunked;x", "400"),
        ("Transfer-Encoding: identity", "400"),
        ("Transfer-Encoding:\r\n chunked", "400"),
        (
            "Transfer_Encoding: chunked\r\nContent-Length: 3",
            "POST h /+xyz",
        ),
    ]
    .iter()
    .map(|(lines, want)| {
        (
            format!("POST / HTTP/1.1\r\nHost: h\r\n{lines}\r\n\r\nxyz"),
            *want,
        )
    })
    .collect();
    let rows: Vec<_> = rows.iter().map(|(bytes, want)| (&**bytes, *want)).collect();
    check(&rows);
    check(&[
        // RFC 9112 §6.1: framing of a 1.0 message with a transfer coding is faulty.
        (
            "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "400",
        ),
        (
            "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nxyz",
            "400",
        ),
        (
            "POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\nxyz",
            "POST - /+xyz | close",
        ),
    ]);
}

#[test]
fn chunks() {
    let rows: Vec<_> = [
        ("3\r\nxyz\r\n0\r\n\r\n", "POST h /+xyz"),
        ("3;a=b\r\nxyz\r\n0;c=\"d\"\r\n\r\n", "POST h /+xyz"),
        ("3 ; a\r\nxyz\r\n0\r\n\r\n", "POST h /+xyz"),
        ("0003\r\nxyz\r\n000\r\n\r\n", "POST h /+xyz"),
        ("1\r\nx\r\n2\r\nyz\r\n0\r\n\r\n", "POST h /+x+yz"),
        (
            "3\r\nxyz\r\n0\r\nTrailer: x\r\nB: c\r\n\r\n",
            "POST h /+xyz",
        ),
        ("3\r\nxyz\r\n0\r\n", "POST h /+xyz | ..."),
        ("fffffffffffffff0\r\nxyz", "POST h /+xyz | ..."),
        ("10000000000000003\r\nxyz", "POST h / | 400"),
        ("00000000000000003\r\nxyz", "POST h / | 400"),
        ("-1\r\nxyz\r\n0\r\n\r\n", "POST h / | 400"),
        ("+3\r\nxyz\r\n0\r\n\r\n", "POST h / | 400"),
        ("0x3\r\nxyz\r\n0\r\n\r\n", "POST h / | 400"),
        (" 3\r\nxyz\r\n0\r\n\r\n", "POST h / | 400"),
        ("\r\n3\r\nxyz\r\n0\r\n\r\n", "POST h / | 400"),
        ("3\nxyz\n0\n\n", "POST h / | 400"),
        ("3;a\nxyz\r\n0\r\n\r\n", "POST h / | 400"),
        ("3;a\r\r\nxyz\r\n0\r\n\r\n", "POST h / | 400"),
        ("3;a\0\r\nxyz\r\n0\r\n\r\n", "POST h / | 400"),
        ("3\r\nxyz0\r\n\r\n", "POST h /+xyz | 400"),
        ("3\r\nxyz\n0\r\n\r\n", "POST h /+xyz | 400"),
        ("2\r\nxyz\r\n0\r\n\r\n", "POST h /+xy | 400"),
        ("3\r\nxyz\r\n0\r\n: x\r\n\n", "POST h /+xyz | 400"),
        ("3\r\nxyz\r\n0\r\n A: x\r\n\r\n", "POST h /+xyz | 400"),
        ("3\r\nxyz\r\n0\r\nA: x\n\r\n", "POST h /+xyz | 400"),
    ]
    .iter()
    .map(|(body, want)| {
        let head = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
        (format!("{head}{body}"), *want)
    })
    .collect();
    let rows: Vec<_> = rows.iter().map(|(bytes, want)| (&**bytes, *want)).collect();
    check(&rows);
}

/// Serves what an endless sender sends, as a server that reads no more than a head needs.
fn endless(start: &str, again: &str) -> String {
    let mut bytes = start.as_bytes().to_vec();
    while bytes.len() < 1024 * 1024 {
        bytes.extend(again.bytes());
    }
    let whole = serve(&bytes);
    // The bytes past the bound change nothing, and are not waited for.
    assert_eq!(serve(&bytes[..HEAD_BYTES_MAX]), whole, "{start}");
    whole.join(" | ")
}

#[test]
fn sizes() {
    let head = "GET / HTTP/1.1\r\nHost: h\r\n";
    assert_eq!(endless(&format!("{head}A: "), "b"), "431");
    assert_eq!(endless(&format!("{head}A"), "b"), "431");
    assert_eq!(endless(head, "A: b\r\n"), "431");
    assert_eq!(endless(&format!("{head}Cookie: a\r\nA:"), " "), "431");
    assert_eq!(endless("GET /", "a"), "414");
    assert_eq!(endless("GET http://h", "a"), "414");
    assert_eq!(endless("GET /?", "%41"), "414");
    assert_eq!(endless("G", "G"), "501");
    assert_eq!(endless("\r\n", "\r\n"), "400");
    let fields = "A: b\r\n".repeat(100_000);
    assert_eq!(serve(format!("{head}{fields}\r\n").as_bytes()), ["431"]);
    let target =
        |bytes: usize| format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "a".repeat(bytes - 1));
    assert_eq!(serve(target(8 * 1024 + 1).as_bytes()), ["414"]);
    assert_eq!(serve(target(8 * 1024).as_bytes()).len(), 1);
    let method = |bytes: usize| format!("{} / HTTP/1.1\r\nHost: h\r\n\r\n", "M".repeat(bytes));
    assert_eq!(serve(method(33).as_bytes()), ["501"]);
    assert!(serve(method(32).as_bytes())[0].ends_with(" h /"));
}

#[test]
fn paths() {
    for (raw, want) in [
        ("/a/b", Some("/a/b")),
        ("/%61", Some("/a")),
        // Decoded once: what is left is a name like any other.
        ("/%252e%252e/a", Some("/%2e%2e/a")),
        ("/%252fa", Some("/%2fa")),
        ("/..;/a", Some("/..;/a")),
        ("/...", Some("/...")),
        ("/..", None),
        ("/../etc/passwd", None),
        ("/a/../../etc", None),
        ("/a/./b", None),
        ("/%2e%2e/a", None),
        ("/.%2e/a", None),
        ("/%2E%2e%2fa", None),
        ("/a%2f..%2fb", None),
        ("/a//b", None),
        ("//h/a", None),
        ("/..\\a", None),
        ("/..%5ca", None),
        ("/%5c..%5ca", None),
        // Overlong and broken UTF-8.
        ("/%c0%ae%c0%ae/a", None),
        ("/%c0%af", None),
        ("/%e0%80%ae", None),
        ("/%f0%80%80%ae", None),
        ("/%ff", None),
        ("/%ed%a0%80", None),
        ("/a%00", None),
        ("/a%00.m4s", None),
        ("/a%0d%0aX: y", None),
        ("/%u002e", None),
        ("/%", None),
        ("/%2", None),
    ] {
        let got = Path::parse(raw);
        assert_eq!(got.as_ref().ok().map(Path::as_str), want, "{raw}");
    }
}
