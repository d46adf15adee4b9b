//! Writing an answer's head (RFC 9112 §4, RFC 9110 §8 to §15).

use crate::date::HttpDate;
use crate::origin::Cors;
use crate::status::Status;
use bytes::BufMut;

/// The interim answer that lets a client with `Expect: 100-continue` send its body.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Fields of a cross-origin answer that any site may read (Fetch §3.3): without credentials,
/// with what players measure.
const CORS: &str = "Access-Control-Allow-Origin: *\r\n\
    Access-Control-Expose-Headers: Content-Length, Content-Range, Date, Age, ETag\r\n";

/// What follows the origin's name when only that one may read the answer, and what is left
/// of it when none may.
const CORS_ONLY: &str = "\r\nVary: Origin, Referer\r\n\
    Access-Control-Expose-Headers: Content-Length, Content-Range, Date, Age, ETag\r\n";
const CORS_CLOSED: &str = "Vary: Origin, Referer\r\n";

/// The answer to a preflight. The wildcard covers neither `Authorization` nor old browsers,
/// so what players and WHIP clients send is listed. A day is more than any browser keeps it.
const PREFLIGHT: &str = "Access-Control-Allow-Headers: Authorization, Content-Type, If-Match, \
    If-Modified-Since, If-None-Match, If-Range, Range, *\r\n\
    Access-Control-Max-Age: 86400\r\n";

/// A head being written into the caller's buffer, one line per call.
///
/// Lines appear in the order of the calls. Nothing is checked for repetition; control
/// characters in values become spaces, so that no value can begin a new line.
///
/// ```
/// use weir_http::{Head, HttpDate, Status};
/// let mut out = Vec::new();
/// Head::start(&mut out, Status::Ok, &HttpDate::from_unix(0))
///     .content_type("video/mp4")
///     .content_length(5)
///     .end();
/// assert!(out.starts_with(b"HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"));
/// ```
#[derive(Debug)]
#[must_use = "a head is complete only after `end`"]
pub struct Head<'b, B: BufMut> {
    out: &'b mut B,
}

impl<'b, B: BufMut> Head<'b, B> {
    /// Writes the status line and `Date`.
    pub fn start(out: &'b mut B, status: Status, date: &HttpDate) -> Self {
        out.put_slice(status.line().as_bytes());
        out.put_slice(b"Date: ");
        out.put_slice(date.as_bytes());
        out.put_slice(b"\r\n");
        Self { out }
    }

    /// `Content-Length`: bytes of the body that follows, or that `GET` would get.
    pub fn content_length(self, bytes: u64) -> Self {
        self.out.put_slice(b"Content-Length: ");
        put_number(self.out, bytes);
        self.line_end()
    }

    /// `Transfer-Encoding: chunked`. Not for a client of HTTP/1.0: close after the body
    /// there.
    pub fn chunked(self) -> Self {
        self.raw("Transfer-Encoding: chunked\r\n")
    }

    /// `Content-Type`
    pub fn content_type(self, value: &str) -> Self {
        self.field("Content-Type", value)
    }

    /// `Cache-Control`
    pub fn cache_control(self, value: &str) -> Self {
        self.field("Cache-Control", value)
    }

    /// `ETag`; `value` is quoted already, with `W/` before it if weak.
    pub fn etag(self, value: &str) -> Self {
        self.field("ETag", value)
    }

    /// `Last-Modified`
    pub fn last_modified(self, date: &HttpDate) -> Self {
        self.out.put_slice(b"Last-Modified: ");
        self.out.put_slice(date.as_bytes());
        self.line_end()
    }

    /// Lets scripts of any site read the answer, without credentials. Belongs on every
    /// answer of playback paths, 304 and errors included.
    pub fn cors(self) -> Self {
        self.raw(CORS)
    }

    /// As [`Head::cors`], for a stream whose sites may be restricted, which puts `Vary: Origin,
    /// Referer` into every answer: where there is no origin, the referrer decides. [`Head::vary`] may name other fields in a line of its own.
    pub fn cors_for(self, cors: Cors<'_>) -> Self {
        match cors {
            Cors::Any => self.raw(CORS),
            Cors::Only(origin) => {
                self.out.put_slice(b"Access-Control-Allow-Origin: ");
                put_value(self.out, origin);
                self.raw(CORS_ONLY)
            }
            Cors::Closed => self.raw(CORS_CLOSED),
        }
    }

    /// What a preflight asks for beside [`Head::cors`]; `methods` as in `Allow`.
    pub fn preflight(self, methods: &str) -> Self {
        self.field("Access-Control-Allow-Methods", methods)
            .raw(PREFLIGHT)
    }

    /// `Connection`. May be left out for HTTP/1.1 when the connection stays open; 1.0 wants
    /// to be told.
    pub fn connection(self, keep_alive: bool) -> Self {
        self.raw(if keep_alive {
            "Connection: keep-alive\r\n"
        } else {
            "Connection: close\r\n"
        })
    }

    /// `Accept-Ranges: bytes`
    pub fn accept_ranges(self) -> Self {
        self.raw("Accept-Ranges: bytes\r\n")
    }

    /// `Content-Range` of a 206: `first` to `last`, inclusive, of `length` bytes, or of an
    /// unknown number.
    pub fn content_range(self, first: u64, last: u64, length: Option<u64>) -> Self {
        self.out.put_slice(b"Content-Range: bytes ");
        put_number(self.out, first);
        self.out.put_slice(b"-");
        put_number(self.out, last);
        match length {
            Some(length) => {
                self.out.put_slice(b"/");
                put_number(self.out, length);
            }
            None => self.out.put_slice(b"/*"),
        }
        self.line_end()
    }

    /// `Content-Range` of a 416, which tells the length there is.
    pub fn content_range_unsatisfied(self, length: u64) -> Self {
        self.out.put_slice(b"Content-Range: bytes */");
        put_number(self.out, length);
        self.line_end()
    }

    /// `Vary`
    pub fn vary(self, fields: &str) -> Self {
        self.field("Vary", fields)
    }

    /// `Location`. Beware of a value that begins with `//`: it names another host.
    pub fn location(self, uri: &str) -> Self {
        self.field("Location", uri)
    }

    /// `Allow`: the methods, joined by `, `.
    pub fn allow(self, methods: &str) -> Self {
        self.field("Allow", methods)
    }

    /// Any other field. `name` is a constant of the program, not a peer's text.
    pub fn field(self, name: &'static str, value: &str) -> Self {
        self.out.put_slice(name.as_bytes());
        self.out.put_slice(b": ");
        put_value(self.out, value);
        self.line_end()
    }

    /// Writes the empty line.
    pub fn end(self) {
        self.out.put_slice(b"\r\n");
    }

    fn raw(self, lines: &str) -> Self {
        self.out.put_slice(lines.as_bytes());
        self
    }

    fn line_end(self) -> Self {
        self.raw("\r\n")
    }
}

/// A field value with each control character replaced by a space (RFC 9110 §5.5).
fn put_value(out: &mut impl BufMut, value: &str) {
    // No exit from the loop, so that it compiles to vector code.
    let odd = |odd, b: u8| odd | u8::from(b < b' ') | u8::from(b == 0x7f);
    if value.bytes().fold(0, odd) != 0 {
        for byte in value.bytes() {
            out.put_u8(if byte.is_ascii_control() { b' ' } else { byte });
        }
    } else {
        out.put_slice(value.as_bytes());
    }
}

fn put_number(out: &mut impl BufMut, n: u64) {
    // 2^64 has 20 digits.
    let mut digits = [0_u8; 20];
    let (mut n, mut used) = (n, 0);
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (n % 10) as u8;
        n /= 10;
        used += 1;
        if n == 0 {
            break;
        }
    }
    out.put_slice(digits.get(digits.len() - used..).unwrap_or_default());
}
