//! An answer, from what is known of the resource to the bytes that leave.

use crate::delivery::Way;
use crate::limits::{CORK_BYTES_MIN, HEAD_ARENA_BYTES, INLINE_BYTES_MAX};
use bytes::{BufMut, Bytes, BytesMut};
use std::borrow::Cow;
use std::fmt::{self, Write};
use std::sync::Arc;
use weir_http::conditional::{self, Outcome, Validators};
use weir_http::encoding::Encoding;
use weir_http::origin::{Cors, Origins};
use weir_http::range::{self, Resolved};
use weir_http::{Head, HttpDate, Method, Request, Status};
use weir_store::{Broadcast, LogFile};

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
    /// For so many seconds: a playlist that a low-latency player waited for, by the name of what
    /// is in it.
    Seconds(u32),
    /// It is made for this moment: pages.
    Not,
    /// It is of this request, of who sent it or when: errors, but for what is not there. Kept by a
    /// cache in front of weir it would answer others (RFC 6585 section 4 forbids it for 429).
    Never,
}

impl Keep {
    fn text(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Forever => "public, max-age=31536000, immutable",
            Self::OneSecond => "public, max-age=1",
            Self::Seconds(n) => return format!("public, max-age={n}").into(),
            Self::Not => "no-cache",
            Self::Never => "no-store",
        })
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

    pub(crate) fn into_memory(self) -> Option<Bytes> {
        match self {
            Self::Memory(bytes) => Some(bytes),
            Self::File { .. } => None,
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

/// A strong entity tag, quoted; on the stack, because every answer has one.
#[derive(Clone, Copy)]
pub(crate) struct Etag {
    len: u8,
    text: [u8; 63],
}

impl Etag {
    /// Writes the tag between its quotes; what is too long for it is cut off.
    pub(crate) fn new(tag: fmt::Arguments<'_>) -> Self {
        let mut etag = Self {
            len: 0,
            text: [0; 63],
        };
        // Cutting off is no error: tags of this crate are below 50 characters.
        let _ = etag.write_fmt(format_args!("\"{tag}\""));
        etag
    }

    pub(crate) fn as_str(&self) -> &str {
        let text = self.text.get(..self.len.into()).unwrap_or_default();
        std::str::from_utf8(text).unwrap_or_default()
    }
}

impl Write for Etag {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        let start = usize::from(self.len);
        let room = self
            .text
            .get_mut(start..start + s.len())
            .ok_or(fmt::Error)?;
        room.copy_from_slice(s.as_bytes());
        self.len += s.len() as u8;
        Ok(())
    }
}

/// What is known of a resource when it is answered.
pub(crate) struct Response {
    pub(crate) status: Status,
    pub(crate) media_type: &'static str,
    pub(crate) keep: Keep,
    pub(crate) etag: Option<Etag>,
    /// When it last changed, in seconds of Unix time.
    pub(crate) last_modified: Option<u64>,
    pub(crate) body: Vec<Piece>,
    /// How the body is encoded; `None` if it never is. Else the answer depends on
    /// `Accept-Encoding`.
    pub(crate) encoding: Option<Encoding>,
    /// The sites that may read it, if not all may.
    pub(crate) origins: Option<Arc<Origins>>,
    /// Seconds after which a refused client may come back.
    pub(crate) retry_after: Option<u32>,
    /// The broadcast that it is of.
    pub(crate) of: Option<Arc<Broadcast>>,
}

impl Response {
    /// A representation that exists.
    pub(crate) fn ok(media_type: &'static str, keep: Keep, body: Vec<Piece>) -> Self {
        Self {
            status: Status::Ok,
            media_type,
            keep,
            etag: None,
            last_modified: None,
            body,
            encoding: None,
            origins: None,
            retry_after: None,
            of: None,
        }
    }

    /// Gives it a tag, unless it is an error.
    pub(crate) fn with_etag(mut self, tag: fmt::Arguments<'_>) -> Self {
        if self.status == Status::Ok {
            self.etag = Some(Etag::new(tag));
        }
        self
    }

    /// Notes when it last changed, in seconds of Unix time.
    pub(crate) fn modified(mut self, at: Option<u64>) -> Self {
        self.last_modified = at;
        self
    }

    pub(crate) fn of(mut self, broadcast: Arc<Broadcast>) -> Self {
        self.of = Some(broadcast);
        self
    }

    /// An error with a sentence for people.
    pub(crate) fn error(status: Status, why: &str) -> Self {
        let text = format!("{} {}: {why}\n", status.code(), status.reason());
        let body = vec![Piece::Memory(text.into())];
        let keep = match status {
            Status::NotFound => Keep::OneSecond,
            _ => Keep::Never,
        };
        let mut response = Self::ok("text/plain; charset=utf-8", keep, body);
        response.status = status;
        response
    }

    /// Applies conditions, range and method of `request`, and writes the head, and a small body
    /// behind it, into `arena`.
    pub(crate) fn finish(
        mut self,
        request: Option<&Request<'_>>,
        date: &HttpDate,
        keep_alive: bool,
        arena: &mut BytesMut,
    ) -> Outgoing {
        let length = self.body.iter().map(Piece::len).sum();
        let selected = self.select(request, length);
        let body = std::mem::take(&mut self.body);
        let body = match (self.status, selected) {
            (_, Resolved::Part { first, last }) => cut(body, first, last - first + 1),
            (Status::NotModified | Status::PreconditionFailed | Status::RangeNotSatisfiable, _) => {
                Vec::new()
            }
            _ => body,
        };
        if arena.capacity() < HEAD_ARENA_BYTES / 4 {
            *arena = BytesMut::with_capacity(HEAD_ARENA_BYTES);
        }
        let sent = body.iter().map(Piece::len).sum();
        let head = Head::start(arena, self.status, date);
        let head = self.describe(head, request, (Some(sent), Some(length)), selected);
        head.connection(keep_alive).end();
        let is_head = request.is_some_and(|r| r.method == Method::Head);
        let body = if is_head { Vec::new() } else { body };
        let mut outgoing = Outgoing {
            status: self.status,
            head: Bytes::new(),
            head_len: arena.len(),
            corked: !is_head && sent >= CORK_BYTES_MIN,
            sent: 0,
            body,
            keep_alive,
            of: self.of,
        };
        outgoing.inline(arena);
        outgoing.head = arena.split().freeze();
        outgoing
    }

    /// Evaluates conditions and range, and sets the status that they lead to.
    fn select(&mut self, request: Option<&Request<'_>>, length: u64) -> Resolved {
        let Some(request) = request.filter(|_| self.status == Status::Ok) else {
            return Resolved::Whole;
        };
        let validators = Validators {
            etag: self.etag.as_ref().map(Etag::as_str),
            last_modified: self.last_modified,
        };
        match conditional::evaluate(request, &validators) {
            Outcome::NotModified => self.status = Status::NotModified,
            Outcome::PreconditionFailed => self.status = Status::PreconditionFailed,
            Outcome::Proceed => {
                let range = range::requested(request, validators.etag);
                let selected = range.map_or(Resolved::Whole, |range| range.resolve(length));
                match selected {
                    Resolved::Whole => {}
                    Resolved::Part { .. } => self.status = Status::PartialContent,
                    Resolved::Unsatisfiable => self.status = Status::RangeNotSatisfiable,
                }
                return selected;
            }
        }
        Resolved::Whole
    }

    /// Writes the fields that follow from the resource and the status. `sent` and `length` are the
    /// bytes of the body and of the whole representation, as far as they are known.
    pub(crate) fn describe<'b>(
        &self,
        mut head: Head<'b, BytesMut>,
        request: Option<&Request<'_>>,
        (sent, length): (Option<u64>, Option<u64>),
        selected: Resolved,
    ) -> Head<'b, BytesMut> {
        if !self.status.is_bodiless() {
            if let Some(sent) = sent {
                head = head.content_length(sent);
            }
            if sent != Some(0) {
                head = head.content_type(self.media_type);
            }
        }
        match selected {
            Resolved::Part { first, last } => head = head.content_range(first, last, length),
            Resolved::Unsatisfiable => head = head.content_range_unsatisfied(length.unwrap_or(0)),
            Resolved::Whole => {}
        }
        if request.is_some_and(|r| r.method == Method::Options) {
            head = head.allow(ALLOW).preflight(ALLOW);
        } else if self.status == Status::MethodNotAllowed {
            head = head.allow(ALLOW);
        }
        let refused = matches!(
            self.status,
            Status::PreconditionFailed | Status::RangeNotSatisfiable
        );
        let keep = if refused { Keep::Never } else { self.keep };
        head = head.cache_control(&keep.text());
        if let Some(etag) = &self.etag {
            head = head.etag(etag.as_str()).accept_ranges();
        }
        if let Some(at) = self.last_modified.filter(|_| !refused) {
            head = head.last_modified(&HttpDate::from_unix(at));
        }
        if let Some(encoding) = self.encoding {
            head = head.vary("Accept-Encoding");
            if encoding != Encoding::Identity && !refused {
                head = head.field("Content-Encoding", encoding.as_str());
            }
        }
        if let Some(seconds) = self.retry_after {
            head = head.field("Retry-After", &seconds.to_string());
        }
        head.cors_for(match &self.origins {
            Some(origins) => origins.cors(request.and_then(|r| r.headers.first("origin"))),
            None => Cors::Any,
        })
    }
}

/// Bytes on their way out.
pub(crate) struct Outgoing {
    pub(crate) status: Status,
    /// The head, and behind it a small body.
    pub(crate) head: Bytes,
    /// Bytes of `head` that are the head.
    pub(crate) head_len: usize,
    /// What follows, if it is not in `head` already.
    pub(crate) body: Vec<Piece>,
    pub(crate) keep_alive: bool,
    /// Whether its packets are held back until they are full.
    pub(crate) corked: bool,
    /// Bytes of the body that were sent already, if it is a range of a file.
    pub(crate) sent: u64,
    /// The broadcast that it is of.
    pub(crate) of: Option<Arc<Broadcast>>,
}

impl Outgoing {
    /// Copies a small body behind the head: one buffer is cheaper to send than two.
    fn inline(&mut self, arena: &mut BytesMut) {
        if let [Piece::Memory(bytes)] = &self.body[..]
            && bytes.len() <= INLINE_BYTES_MAX
        {
            arena.put_slice(bytes);
            self.body.clear();
        }
    }

    /// How the body leaves, for the metrics.
    pub(crate) fn way(&self) -> Way {
        match self.body.first() {
            None if self.head.len() > self.head_len => Way::Gather,
            None => Way::None,
            Some(Piece::Memory(_)) => Way::Gather,
            Some(Piece::File { .. }) => Way::Sendfile,
        }
    }

    /// What the access log says of it: status, and length of the body.
    pub(crate) fn summary(&self) -> (Status, u64) {
        (self.status, self.body_len())
    }

    /// Length of the body in bytes.
    pub(crate) fn body_len(&self) -> u64 {
        let behind: u64 = self.body.iter().map(Piece::len).sum();
        behind + (self.head.len() - self.head_len) as u64
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
            Response::ok("text/plain", Keep::Forever, body.into()).with_etag(format_args!("v1"));
        let mut arena = BytesMut::new();
        let out = response.finish(Some(&request), &HttpDate::from_unix(0), true, &mut arena);
        let inlined = out.head.slice(out.head_len..);
        let bytes = out.body.iter().flat_map(|p| match p {
            Piece::Memory(b) => b.to_vec(),
            Piece::File { .. } => unreachable!(),
        });
        (
            String::from_utf8(out.head[..out.head_len].to_vec()).unwrap(),
            inlined.iter().copied().chain(bytes).collect(),
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
            head.contains("Cache-Control: no-store\r\n"),
            "an error is kept by nobody"
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
