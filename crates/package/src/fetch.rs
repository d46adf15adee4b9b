//! A small HTTP/1.1 client: one resource per connection, blocking, everything bounded.

use crate::error::{Error, FetchFault};
use crate::limits::{ANSWER_WAIT_MAX, INTERIM_ANSWERS_MAX, PIECE_BYTES, REDIRECTS_MAX, WAIT_MAX};
use crate::url::Url;
use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Instant;
use weir_http::body::{BodyLength, Decoded, Decoder};
use weir_http::{Parsed, client};
use weir_manifest::read::ByteRange;

/// What was loaded.
pub(crate) struct Resource {
    /// Where it came from, after redirects: the base of references in it.
    pub(crate) url: Url,
    pub(crate) bytes: Vec<u8>,
}

/// Loads a resource or a range of it, of at most `bytes_max` bytes.
pub(crate) fn fetch(
    url: &Url,
    range: Option<ByteRange>,
    bytes_max: usize,
) -> Result<Resource, Error> {
    let mut url = url.clone();
    for _ in 0..=REDIRECTS_MAX {
        let answer = request(&url, range, bytes_max).map_err(|fault| Error::Fetch {
            url: url.to_string(),
            fault,
        })?;
        match answer {
            Answer::Body(bytes) => return Ok(Resource { url, bytes }),
            Answer::Redirect(location) => url = url.join(&location)?,
        }
    }
    Err(Error::Fetch {
        url: url.to_string(),
        fault: FetchFault::Redirects,
    })
}

enum Answer {
    Body(Vec<u8>),
    Redirect(String),
}

/// The head of an answer, as far as it is needed.
struct Head {
    status: u16,
    body: Option<BodyLength>,
    location: Option<String>,
}

fn request(url: &Url, range: Option<ByteRange>, bytes_max: usize) -> Result<Answer, FetchFault> {
    if range.is_some_and(|r| r.len > bytes_max as u64) {
        return Err(FetchFault::TooLong(bytes_max));
    }
    let mut connection = Connection::open(url)?;
    connection.send(url, range)?;
    let head = connection.head()?;
    match (head.status, range) {
        (301 | 302 | 303 | 307 | 308, _) => head
            .location
            .map(Answer::Redirect)
            .ok_or(FetchFault::NoLocation),
        (200, None) | (206, Some(_)) => {
            let bytes = connection.body(head.body, bytes_max)?;
            match range {
                Some(r) if bytes.len() as u64 != r.len => Err(FetchFault::Range),
                _ => Ok(Answer::Body(bytes)),
            }
        }
        // A server without ranges sends the whole resource.
        (200, Some(r)) => {
            let bytes = connection.body(head.body, bytes_max)?;
            let from = usize::try_from(r.offset).unwrap_or(usize::MAX);
            let cut = bytes.get(from..).and_then(|b| b.get(..r.len as usize));
            cut.map(|c| Answer::Body(c.to_vec()))
                .ok_or(FetchFault::Range)
        }
        (status, _) => Err(FetchFault::Status(status)),
    }
}

struct Connection {
    stream: TcpStream,
    started: Instant,
    /// Bytes that were read and not used.
    pending: Vec<u8>,
}

impl Connection {
    fn open(url: &Url) -> Result<Self, FetchFault> {
        let addresses = (url.host(), url.port())
            .to_socket_addrs()
            .map_err(FetchFault::Resolve)?;
        let mut why = std::io::Error::from(std::io::ErrorKind::NotFound);
        for address in addresses {
            match TcpStream::connect_timeout(&address, WAIT_MAX) {
                Ok(stream) => return Self::new(stream).map_err(FetchFault::Io),
                Err(e) => why = e,
            }
        }
        Err(FetchFault::Connect(why))
    }

    fn new(stream: TcpStream) -> std::io::Result<Self> {
        stream.set_read_timeout(Some(WAIT_MAX))?;
        stream.set_write_timeout(Some(WAIT_MAX))?;
        Ok(Self {
            stream,
            started: Instant::now(),
            pending: Vec::new(),
        })
    }

    fn send(&mut self, url: &Url, range: Option<ByteRange>) -> Result<(), FetchFault> {
        let mut request = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: weir-probe/{}\r\nAccept: */*\r\n\
             Accept-Encoding: identity\r\nConnection: close\r\n",
            url.target(),
            url.authority(),
            env!("CARGO_PKG_VERSION"),
        );
        if let Some(r) = range {
            let last = r.offset.saturating_add(r.len).saturating_sub(1);
            request.push_str(&format!("Range: bytes={}-{last}\r\n", r.offset));
        }
        request.push_str("\r\n");
        self.stream
            .write_all(request.as_bytes())
            .map_err(FetchFault::Io)
    }

    /// Reads what has arrived; false at the end of the connection.
    fn read_more(&mut self) -> Result<bool, FetchFault> {
        if self.started.elapsed() > ANSWER_WAIT_MAX {
            return Err(FetchFault::Slow);
        }
        let len = self.pending.len();
        self.pending.resize(len + PIECE_BYTES, 0);
        let read = self.stream.read(&mut self.pending[len..]);
        self.pending.truncate(len + *read.as_ref().unwrap_or(&0));
        Ok(read.map_err(FetchFault::Io)? > 0)
    }

    /// Reads the head of the final answer; the body's first bytes stay pending.
    fn head(&mut self) -> Result<Head, FetchFault> {
        let mut interim = 0;
        loop {
            match client::parse(&self.pending, false).map_err(FetchFault::Http)? {
                Parsed::NeedMore => {
                    if !self.read_more()? {
                        return Err(FetchFault::Closed);
                    }
                }
                Parsed::Head { head, len } => {
                    let location = head.headers.first("location");
                    let head = Head {
                        status: head.status,
                        body: head.body,
                        location: location.map(|l| String::from_utf8_lossy(l).into_owned()),
                    };
                    self.pending.drain(..len);
                    if !(100..200).contains(&head.status) {
                        return Ok(head);
                    }
                    interim += 1;
                    if interim > INTERIM_ANSWERS_MAX {
                        return Err(FetchFault::Status(head.status));
                    }
                }
            }
        }
    }

    /// Reads a body; one of no stated length ends with the connection.
    fn body(
        &mut self,
        length: Option<BodyLength>,
        bytes_max: usize,
    ) -> Result<Vec<u8>, FetchFault> {
        if matches!(length, Some(BodyLength::Length(n)) if n > bytes_max as u64) {
            return Err(FetchFault::TooLong(bytes_max));
        }
        let mut decoder = length.map(Decoder::new);
        let mut out = Vec::new();
        loop {
            let ended = take(decoder.as_mut(), &self.pending, &mut out)?;
            self.pending.clear();
            if out.len() > bytes_max {
                return Err(FetchFault::TooLong(bytes_max));
            }
            if ended {
                return Ok(out);
            }
            if !self.read_more()? {
                return match decoder {
                    None => Ok(out),
                    Some(_) => Err(FetchFault::Closed),
                };
            }
        }
    }
}

/// Appends the data in `bytes`; true when the body has ended.
fn take(
    decoder: Option<&mut Decoder>,
    mut bytes: &[u8],
    out: &mut Vec<u8>,
) -> Result<bool, FetchFault> {
    let Some(decoder) = decoder else {
        out.extend_from_slice(bytes);
        return Ok(false);
    };
    loop {
        match decoder.handle_bytes(bytes).map_err(FetchFault::Http)? {
            Decoded::Data { data, consumed } => {
                out.extend_from_slice(data);
                bytes = bytes.get(consumed..).unwrap_or_default();
            }
            Decoded::NeedMore => return Ok(false),
            Decoded::End { .. } => return Ok(true),
        }
    }
}
