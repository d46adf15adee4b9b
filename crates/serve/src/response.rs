//! An answer, from what is known of the resource to the bytes that leave.

use crate::counters::Way;
use bytes::{Bytes, BytesMut};
use std::sync::Arc;
use weir_http::conditional::{self, Outcome, Validators};
use weir_http::range::{self, Resolved};
use weir_http::{Head, HttpDate, Method, Request, Status};
use weir_store::LogFile;

/// Methods that playback paths answer.
const ALLOW: &str = "GET, HEAD, OPTIONS";

/// How long an answer may be kept by a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keep {
    /// It never changes: media, and the player's versioned files.
    Forever,
    /// It changes with each segment: playlists; and errors on live paths, which a segment
    /// that comes late must outlive.
    OneSecond,
    /// It is made for this moment: pages.
    Not,
}

impl Keep {
    fn as_str(self) -> &'static str {
        match self {
            Self::Forever => "public, max-age=31536000, immutable",
            Self::OneSecond => "public, max-age=1",
            Self::Not => "no-cache",
        }
    }
}

/// A part of a body.
#[derive(Debug, Clone)]
pub(crate) enum Piece {
    /// A range of a log file.
    File {
        file: Arc<LogFile>,
        offset: u64,
        len: u64,
    },
    /// Bytes in memory.
    Memory(Bytes),
}

impl Piece {
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::File { len, .. } => *len,
            Self::Memory(bytes) => bytes.len() as u64,
        }
    }

    /// The part of this piece from `skip` on, at most `take` bytes long.
    fn cut(self, skip: u64, take: u64) -> Self {
        let take = take.min(self.len() - skip);
        match self {
            Self::File { file, offset, .. } => Self::File {
                file,
                offset: offset + skip,
                len: take,
            },
            // Both are at most the length of a buffer in memory.
            Self::Memory(bytes) => Self::Memory(bytes.slice(skip as usize..(skip + take) as usize)),
        }
    }
}

/// What is known of a resource when it is answered.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: Status,
    pub(crate) media_type: &'static str,
    pub(crate) keep: Keep,
    /// Strong entity tag, quoted.
    pub(crate) etag: Option<String>,
    pub(crate) body: Vec<Piece>,
}

impl Response {
    /// A representation that exists.
    pub(crate) fn ok(media_type: &'static str, keep: Keep, body: Vec<Piece>) -> Self {
        Self {
            status: Status::Ok,
            media_type,
            keep,
            etag: None,
            body,
        }
    }

    pub(crate) fn with_etag(mut self, etag: String) -> Self {
        self.etag = Some(etag);
        self
    }

    /// An error with a sentence for people.
    pub(crate) fn error(status: Status, why: &str) -> Self {
        let text = format!("{} {}: {why}\n", status.code(), status.reason());
        Self {
            status,
            media_type: "text/plain; charset=utf-8",
            keep: Keep::OneSecond,
            etag: None,
            body: vec![Piece::Memory(text.into())],
        }
    }

    /// Applies conditions, range and method of `request`, and writes the head.
    pub(crate) fn finish(
        self,
        request: Option<&Request<'_>>,
        date: &HttpDate,
        keep_alive: bool,
    ) -> Outgoing {
        let length = self.body.iter().map(Piece::len).sum();
        let mut status = self.status;
        let mut selected = Resolved::Whole;
        if let Some(request) = request.filter(|_| status == Status::Ok) {
            let validators = Validators {
                etag: self.etag.as_deref(),
                last_modified: None,
            };
            match conditional::evaluate(request, &validators) {
                Outcome::NotModified => status = Status::NotModified,
                Outcome::PreconditionFailed => status = Status::PreconditionFailed,
                Outcome::Proceed => {
                    if let Some(range) = range::requested(request, self.etag.as_deref()) {
                        selected = range.resolve(length);
                    }
                }
            }
        }
        match selected {
            Resolved::Whole => {}
            Resolved::Part { .. } => status = Status::PartialContent,
            Resolved::Unsatisfiable => status = Status::RangeNotSatisfiable,
        }
        let options = request.is_some_and(|r| r.method == Method::Options);
        let body = match (status, selected) {
            (_, Resolved::Part { first, last }) => cut(self.body, first, last - first + 1),
            (Status::NotModified | Status::PreconditionFailed | Status::RangeNotSatisfiable, _) => {
                Vec::new()
            }
            _ => self.body,
        };
        let sent: u64 = body.iter().map(Piece::len).sum();
        let mut out = BytesMut::with_capacity(512);
        let mut head = Head::start(&mut out, status, date);
        if !status.is_bodiless() {
            head = head.content_length(sent);
            if sent > 0 {
                head = head.content_type(self.media_type);
            }
        }
        match selected {
            Resolved::Part { first, last } => head = head.content_range(first, last, Some(length)),
            Resolved::Unsatisfiable => head = head.content_range_unsatisfied(length),
            Resolved::Whole => {}
        }
        if status == Status::MethodNotAllowed {
            head = head.allow(ALLOW);
        }
        if options {
            head = head.allow(ALLOW).preflight(ALLOW);
        }
        let refused = matches!(
            status,
            Status::PreconditionFailed | Status::RangeNotSatisfiable
        );
        let keep = if refused { Keep::OneSecond } else { self.keep };
        head = head.cache_control(keep.as_str());
        if let Some(etag) = &self.etag {
            head = head.etag(etag).accept_ranges();
        }
        head.cors().connection(keep_alive).end();
        let is_head = request.is_some_and(|r| r.method == Method::Head);
        Outgoing {
            status,
            head: out.freeze(),
            body: if is_head { Vec::new() } else { body },
            keep_alive,
        }
    }
}

/// Bytes on their way out.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) status: Status,
    pub(crate) head: Bytes,
    pub(crate) body: Vec<Piece>,
    pub(crate) keep_alive: bool,
}

impl Outgoing {
    /// How the body leaves, for the metrics.
    pub(crate) fn way(&self) -> Way {
        match self.body.first() {
            None => Way::None,
            Some(Piece::Memory(_)) => Way::Gather,
            Some(Piece::File { .. }) => Way::Sendfile,
        }
    }
}

/// The `len` bytes of `body` from `first` on.
fn cut(body: Vec<Piece>, mut first: u64, mut len: u64) -> Vec<Piece> {
    let mut selected = Vec::with_capacity(body.len());
    for piece in body {
        if len == 0 {
            break;
        }
        if first >= piece.len() {
            first -= piece.len();
            continue;
        }
        let piece = piece.cut(first, len);
        first = 0;
        len -= piece.len();
        selected.push(piece);
    }
    selected
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_http::{Parsed, request};

    fn answer(head: &str) -> (String, Vec<u8>) {
        let Ok(Parsed::Head { head: request, .. }) = request::parse(head.as_bytes()) else {
            panic!("not a head: {head}")
        };
        let body =
            ["hello ", "wide ", "world"].map(|s| Piece::Memory(Bytes::from_static(s.as_bytes())));
        let response =
            Response::ok("text/plain", Keep::Forever, body.into()).with_etag("\"v1\"".into());
        let out = response.finish(Some(&request), &HttpDate::from_unix(0), true);
        let bytes = out.body.iter().flat_map(|p| match p {
            Piece::Memory(b) => b.to_vec(),
            Piece::File { .. } => unreachable!(),
        });
        (
            String::from_utf8(out.head.to_vec()).unwrap(),
            bytes.collect(),
        )
    }

    fn with(fields: &str) -> (String, Vec<u8>) {
        answer(&format!("GET /x HTTP/1.1\r\nHost: h\r\n{fields}\r\n"))
    }

    #[test]
    fn whole_and_head() {
        let (head, body) = with("");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("Content-Length: 16\r\n"));
        assert!(head.contains("Access-Control-Allow-Origin: *\r\n") && head.contains("immutable"));
        assert_eq!(body, b"hello wide world");
        let (head, body) = answer("HEAD /x HTTP/1.1\r\nHost: h\r\n\r\n");
        assert!(head.contains("Content-Length: 16\r\n") && body.is_empty());
    }

    #[test]
    fn ranges_cross_pieces() {
        let (head, body) = with("Range: bytes=4-12\r\n");
        assert!(head.starts_with("HTTP/1.1 206") && head.contains("Content-Range: bytes 4-12/16"));
        assert_eq!(body, b"o wide wo");
        assert_eq!(with("Range: bytes=-5\r\n").1, b"world");
        assert_eq!(with("Range: bytes=11-\r\n").1, b"world");
        let (head, body) = with("Range: bytes=16-\r\n");
        assert!(head.starts_with("HTTP/1.1 416") && head.contains("bytes */16") && body.is_empty());
        assert!(
            head.contains("max-age=1\r\n"),
            "an error is not kept for ever"
        );
    }

    #[test]
    fn conditions() {
        let (head, body) = with("If-None-Match: \"v1\"\r\n");
        assert!(head.starts_with("HTTP/1.1 304") && body.is_empty());
        assert!(head.contains("ETag: \"v1\"") && head.contains("Access-Control-Allow-Origin"));
        assert!(!head.contains("\r\nContent-Length:"));
        assert!(with("If-Match: \"v2\"\r\n").0.starts_with("HTTP/1.1 412"));
        let (head, body) = with("Range: bytes=0-1\r\nIf-Range: \"v2\"\r\n");
        assert!(head.starts_with("HTTP/1.1 200") && body.len() == 16);
    }
}
