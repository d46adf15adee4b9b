//! Heads between HTTP/2 and HTTP/1.1.
//!
//! A request's head is written out as HTTP/1.1 would have sent it, and parsed like any other; an
//! answer's head is read back from what HTTP/1.1 would send. So one parser and one set of rules
//! serve both protocols: a request cannot mean something else, or be let through, because it came
//! over another one. It costs about a microsecond per request, a tenth of what its records do.

use bytes::Bytes;
use http::header::{HOST, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Response, StatusCode};

/// Fields that speak of an HTTP/1.1 connection (RFC 9113 section 8.2.2). `h2` refuses them in
/// requests; let through, `Transfer-Encoding` would change what a request means.
const OF_CONNECTION: [&str; 5] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
];

/// The head of a request as HTTP/1.1 writes it (RFC 9113 section 8.3.1), or what is wrong with it.
pub(super) fn request(parts: &Parts) -> Result<Vec<u8>, &'static str> {
    let authority = parts.uri.authority().map(|authority| authority.as_str());
    let target = match parts.uri.path_and_query() {
        Some(path) if path.as_str().starts_with('/') => path.as_str(),
        Some(path) if path == "*" && parts.method == Method::OPTIONS => "*",
        None if parts.method == Method::CONNECT => authority.unwrap_or_default(),
        _ => return Err(":path does not begin with a slash"),
    };
    let mut head = Vec::with_capacity(1024);
    put(
        &mut head,
        &[parts.method.as_str(), " ", target, " HTTP/1.1\r\n"],
    );
    if let Some(authority) = authority {
        put(&mut head, &["Host: ", authority, "\r\n"]);
    }
    for (name, value) in &parts.headers {
        let bytes = value.as_bytes();
        if *name == HOST
            && let Some(authority) = authority
        {
            if bytes.eq_ignore_ascii_case(authority.as_bytes()) {
                continue;
            }
            return Err("Host is not what :authority says");
        }
        if OF_CONNECTION.contains(&name.as_str()) {
            return Err("a field speaks of the connection");
        }
        // The crate `http` lets none of them through; a slip there must not split a head here.
        if bytes.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            return Err("a field has a line end");
        }
        put(&mut head, &[name.as_str(), ": "]);
        head.extend_from_slice(bytes);
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    Ok(head)
}

fn put(head: &mut Vec<u8>, words: &[&str]) {
    for word in words {
        head.extend_from_slice(word.as_bytes());
    }
}

/// Reads an answer's head as [`crate::response::Response::finish`] wrote it. Its values are not
/// copied.
pub(super) fn response(head: &Bytes) -> Response<()> {
    let mut response = Response::new(());
    let mut lines = head.split(|&byte| byte == b'\n');
    let status = lines.next().and_then(|line| line.get(9..12));
    *response.status_mut() = status
        .and_then(|status| StatusCode::from_bytes(status).ok())
        .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let fields = response.headers_mut();
    fields.reserve(16);
    for line in lines {
        let Some(colon) = line.iter().position(|&byte| byte == b':') else {
            continue;
        };
        let (name, value) = line.split_at(colon);
        let value = head.slice_ref(value.get(1..).unwrap_or_default().trim_ascii());
        let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(name),
            HeaderValue::from_maybe_shared(value),
        ) else {
            continue;
        };
        if !OF_CONNECTION.contains(&name.as_str()) {
            fields.append(name, value);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;
    use weir_http::{Parsed, request as parser};

    fn written(request: http::request::Builder) -> Result<String, &'static str> {
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let head = super::request(&parts)?;
        Ok(String::from_utf8(head).unwrap())
    }

    #[test]
    fn requests_are_what_http_1_would_have_sent() {
        let request = Request::get("https://a.example:1/x?y=1")
            .header("Range", "bytes=1-2")
            .header("hoSt", "A.example:1")
            .header("x", "1")
            .header("x", "2");
        assert_eq!(
            written(request).unwrap(),
            "GET /x?y=1 HTTP/1.1\r\nHost: a.example:1\r\nrange: bytes=1-2\r\nx: 1\r\nx: 2\r\n\r\n"
        );
        let only_host = Request::get("/").header("host", "h");
        assert_eq!(
            written(only_host).unwrap(),
            "GET / HTTP/1.1\r\nhost: h\r\n\r\n"
        );
        let options = Request::options("*").header("host", "h");
        assert!(written(options).unwrap().starts_with("OPTIONS * HTTP/1.1"));
        let connect = written(Request::connect("h:443")).unwrap();
        assert_eq!(connect, "CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n");
    }

    #[test]
    fn what_would_mean_something_else_is_refused() {
        let get = || Request::get("https://h/");
        assert!(written(get().header("host", "other")).is_err());
        assert!(written(get().header("host", "h").header("host", "other")).is_err());
        for name in OF_CONNECTION {
            assert!(written(get().header(name, "chunked")).is_err(), "{name}");
        }
        assert!(written(Request::get("*").header("host", "h")).is_err());
        // Two hosts without an authority are the parser's to refuse, as are two lengths.
        let hosts = Request::get("/").header("host", "a").header("host", "b");
        let lengths = get().header("content-length", "1");
        let lengths = lengths.header("content-length", "2");
        for request in [hosts, lengths] {
            let head = written(request).unwrap();
            assert!(!matches!(
                parser::parse(head.as_bytes()),
                Ok(Parsed::Head { .. })
            ));
        }
    }

    #[test]
    fn answers_lose_what_is_of_the_connection() {
        let head = "HTTP/1.1 206 Partial Content\r\nDate: x\r\nConnection: keep-alive\r\n\
                    Keep-Alive: timeout=1\r\nVary: a\r\nVary: b\r\nEmpty:\r\nETag: \"a:b\"\r\n\r\n";
        let response = response(&Bytes::from(head));
        assert_eq!(response.status(), 206);
        let fields: Vec<_> = response
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect();
        let expected = [
            ("date", "x"),
            ("vary", "a"),
            ("vary", "b"),
            ("empty", ""),
            ("etag", "\"a:b\""),
        ];
        assert_eq!(fields, expected);
    }
}
