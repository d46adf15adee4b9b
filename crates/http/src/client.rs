//! Reading an answer's head (RFC 9112 §4): for probing a URL, and for tests.

use crate::body::BodyLength;
use crate::error::Error;
use crate::framing::Framing;
use crate::headers::{Headers, Parsed, Version, check_line_ends, field_lines, list, window};
use crate::limits::{HEAD_BYTES_MAX, HEADERS_MAX};
use std::mem::MaybeUninit;

/// An answer's head. Borrows from the buffer it was parsed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Response<'b> {
    /// The status code, 100 to 999.
    pub status: u16,
    /// The version the server speaks.
    pub version: Version,
    /// Whether the connection may be used for another request.
    pub keep_alive: bool,
    /// How the body is delimited; `None` if it ends with the connection.
    pub body: Option<BodyLength>,
    /// All field lines.
    pub headers: Headers<'b>,
}

/// Reads an answer's head from the beginning of `buf`. `to_head` tells that it answers a
/// `HEAD` request, and so has no body whatever its fields say (RFC 9112 §6.3 rule 1).
///
/// # Errors
/// [`Error`]; close the connection.
pub fn parse(buf: &[u8], to_head: bool) -> Result<Parsed<Response<'_>>, Error> {
    let window = window(buf);
    let mut storage = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let mut raw = httparse::Response::new(&mut []);
    let outcome = httparse::ParserConfig::default().parse_response_with_uninit_headers(
        &mut raw,
        window,
        &mut storage,
    );
    match outcome {
        Ok(httparse::Status::Complete(len)) => {
            let head = window.get(..len).unwrap_or(window);
            check_line_ends(head)?;
            Ok(Parsed::Head {
                head: read(&raw, head, to_head)?,
                len,
            })
        }
        Ok(httparse::Status::Partial) if buf.len() < HEAD_BYTES_MAX => Ok(Parsed::NeedMore),
        Ok(httparse::Status::Partial) => Err(Error::HeadTooLong),
        Err(httparse::Error::HeaderName) => Err(Error::HeaderName),
        Err(httparse::Error::HeaderValue) => Err(Error::HeaderValue),
        Err(httparse::Error::NewLine) => Err(Error::LineEnd),
        Err(httparse::Error::TooManyHeaders) => Err(Error::TooManyHeaders),
        Err(httparse::Error::Version) => Err(Error::Version),
        Err(_) => Err(Error::StatusLine),
    }
}

fn read<'b>(
    raw: &httparse::Response<'_, 'b>,
    head: &'b [u8],
    to_head: bool,
) -> Result<Response<'b>, Error> {
    let (Some(status), Some(minor)) = (raw.code, raw.version) else {
        return Err(Error::StatusLine);
    };
    let version = match minor {
        0 => Version::Http10,
        _ => Version::Http11,
    };
    let mut framing = Framing::default();
    let (mut close, mut keep_alive) = (false, version == Version::Http11);
    for header in raw.headers.iter() {
        if header.name.eq_ignore_ascii_case("content-length") {
            framing.content_length(header.value)?;
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            framing.transfer_encoding(header.value)?;
        } else if header.name.eq_ignore_ascii_case("connection") {
            for option in list(header.value) {
                close |= option.eq_ignore_ascii_case(b"close");
                keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
            }
        }
    }
    let body = if to_head || matches!(status, 100..=199 | 204 | 304) {
        Some(BodyLength::None)
    } else {
        framing.length(version)?
    };
    Ok(Response {
        status,
        version,
        keep_alive: keep_alive && !close && body.is_some(),
        body,
        headers: Headers::new(field_lines(head).ok_or(Error::LineEnd)?),
    })
}
