//! A request's head (RFC 9112 §3, RFC 9110 §7).

use crate::body::BodyLength;
use crate::error::Error;
use crate::framing::Framing;
use crate::headers::{Headers, Parsed, Version, check_line_ends, field_lines, list, window};
use crate::limits::{HEAD_BYTES_MAX, HEADERS_MAX, METHOD_BYTES_MAX, TARGET_BYTES_MAX};
use crate::target;
use std::mem::MaybeUninit;

/// A request's method. Methods are case-sensitive (RFC 9110 §9.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method<'b> {
    /// `GET`
    Get,
    /// `HEAD`: answered like `GET`, without the body.
    Head,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `PATCH`
    Patch,
    /// `DELETE`
    Delete,
    /// `OPTIONS`
    Options,
    /// Any other token, as sent.
    Other(&'b str),
}

impl<'b> Method<'b> {
    fn new(token: &'b str) -> Self {
        match token {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "PATCH" => Self::Patch,
            "DELETE" => Self::Delete,
            "OPTIONS" => Self::Options,
            other => Self::Other(other),
        }
    }

    /// The method as sent.
    #[must_use]
    pub const fn as_str(self) -> &'b str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
            Self::Other(token) => token,
        }
    }

    /// Whether the method only reads: `GET` or `HEAD`.
    #[must_use]
    pub const fn is_read(self) -> bool {
        matches!(self, Self::Get | Self::Head)
    }
}

/// A request's head. Borrows from the buffer it was parsed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'b> {
    /// The method.
    pub method: Method<'b>,
    /// The path, still percent-encoded, beginning with `/`; or `*` for `OPTIONS *`.
    /// Decode and split it with [`target::Path::parse`].
    pub path: &'b str,
    /// What follows the `?`, still percent-encoded. See [`target::Query`].
    pub query: Option<&'b str>,
    /// The version the client speaks.
    pub version: Version,
    /// Host and port that the client asked for: the authority of an absolute target, else
    /// `Host`. Never empty; absent only in HTTP/1.0.
    pub host: Option<&'b str>,
    /// Whether the connection may serve another request after this one (RFC 9112 §9.3).
    pub keep_alive: bool,
    /// Whether the client waits for `100 Continue` before it sends the body (RFC 9110
    /// §10.1.1).
    pub expect_continue: bool,
    /// How the body is delimited.
    pub body: BodyLength,
    /// Value of `Range`; empty, which has no meaning, if it is repeated.
    pub range: Option<&'b [u8]>,
    /// Value of `If-Range`; empty, which has no meaning, if it is repeated.
    pub if_range: Option<&'b [u8]>,
    /// Value of the first `If-Match`; more lines of it may follow in `headers`.
    pub if_match: Option<&'b [u8]>,
    /// Value of the first `If-None-Match`; more lines of it may follow in `headers`.
    pub if_none_match: Option<&'b [u8]>,
    /// Value of `If-Modified-Since`; empty, which has no meaning, if it is repeated.
    pub if_modified_since: Option<&'b [u8]>,
    /// Value of `If-Unmodified-Since`; empty, which has no meaning, if it is repeated.
    pub if_unmodified_since: Option<&'b [u8]>,
    /// All field lines.
    pub headers: Headers<'b>,
}

/// Reads a request's head from the beginning of `buf`.
///
/// # Errors
/// [`Error`], with the status to answer in [`Error::status`]; the connection cannot be used
/// further. The answer does not depend on how the bytes were cut into reads, except that a
/// fault may be reported before the head is complete.
pub fn parse(buf: &[u8]) -> Result<Parsed<Request<'_>>, Error> {
    let window = window(buf);
    let mut storage = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let mut raw = httparse::Request::new(&mut []);
    let outcome = raw.parse_with_uninit_headers(window, &mut storage);
    let target_is_too_long = raw.path.is_some_and(|path| path.len() > TARGET_BYTES_MAX);
    match outcome {
        Ok(_) if target_is_too_long => Err(Error::TargetTooLong),
        Ok(httparse::Status::Complete(len)) => {
            let head = window.get(..len).unwrap_or(window);
            check_line_ends(head)?;
            Ok(Parsed::Head {
                head: read(&raw, head)?,
                len,
            })
        }
        Ok(httparse::Status::Partial) if buf.len() < HEAD_BYTES_MAX => Ok(Parsed::NeedMore),
        Ok(httparse::Status::Partial) => Err(too_long(&raw, window)),
        Err(httparse::Error::Version) if is_http2_preface(window) => Err(Error::Http2Preface),
        // So far it is no version of ours, and maybe none at all: the answers differ.
        Err(httparse::Error::Version)
            if buf.len() < HEAD_BYTES_MAX && version(window) == Some(VersionWord::Begun) =>
        {
            Ok(Parsed::NeedMore)
        }
        Err(fault) => Err(refuse(fault, window)),
    }
}

/// Names what is too long in a head that does not end within its bound.
fn too_long(raw: &httparse::Request<'_, '_>, window: &[u8]) -> Error {
    match (raw.method, raw.path) {
        (None, _) if window.iter().all(|b| matches!(b, b'\r' | b'\n')) => Error::RequestLine,
        (None, _) => Error::MethodTooLong,
        (Some(_), None) => Error::TargetTooLong,
        (Some(_), Some(_)) => Error::HeadTooLong,
    }
}

/// Names httparse's fault in our words.
fn refuse(fault: httparse::Error, window: &[u8]) -> Error {
    match fault {
        httparse::Error::HeaderName => Error::HeaderName,
        httparse::Error::HeaderValue => Error::HeaderValue,
        httparse::Error::NewLine => Error::LineEnd,
        httparse::Error::TooManyHeaders => Error::TooManyHeaders,
        // A second space in the line ends up there too, which is a malformed line and not
        // another version.
        httparse::Error::Version if version(window).is_some() => Error::Version,
        _ => Error::RequestLine,
    }
}

/// Whether the connection begins with HTTP/2's preface (RFC 9113 §3.4), or with so much of
/// it that has come, if that is its first line at least.
fn is_http2_preface(window: &[u8]) -> bool {
    const LINE: &[u8] = b"PRI * HTTP/2.0";
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let known = window
        .iter()
        .zip(PREFACE)
        .all(|(byte, known)| byte == known);
    known && window.len() >= LINE.len()
}

/// The third and last word of a request line.
#[derive(PartialEq, Eq)]
enum VersionWord {
    /// It has the form `HTTP/d.d`.
    Whole,
    /// It can still get that form: the line goes on.
    Begun,
}

/// What the first line has for a version; `None` if it has not the form of a request line.
fn version(window: &[u8]) -> Option<VersionWord> {
    let mut lines = window.split_inclusive(|&b| b == b'\n');
    let line = lines.find(|line| !line.trim_ascii_end().is_empty())?;
    let mut words = line.split(|&b| b == b' ').skip(2);
    let (word, None) = (words.next()?, words.next()) else {
        return None;
    };
    let fits = |(&byte, &form): (&u8, &u8)| match form {
        b'd' => byte.is_ascii_digit(),
        _ => byte == form,
    };
    const FORM: &[u8] = b"HTTP/d.d\r\n";
    if word.len() > FORM.len() || !word.iter().zip(FORM).all(fits) {
        return None;
    }
    Some(if word.len() == FORM.len() {
        VersionWord::Whole
    } else {
        VersionWord::Begun
    })
}

/// Makes a request of a head that is well-formed line by line.
fn read<'b>(raw: &httparse::Request<'_, 'b>, head: &'b [u8]) -> Result<Request<'b>, Error> {
    let (Some(method), Some(target), Some(minor)) = (raw.method, raw.path, raw.version) else {
        return Err(Error::RequestLine);
    };
    if method.len() > METHOD_BYTES_MAX {
        return Err(Error::MethodTooLong);
    }
    let version = match minor {
        0 => Version::Http10,
        _ => Version::Http11,
    };
    let method = Method::new(method);
    let target = target::Form::parse(method, target)?;
    let block = block(raw, head).ok_or(Error::LineEnd)?;

    let mut fields = Fields::default();
    for header in raw.headers.iter() {
        fields.take(header.name, header.value)?;
    }
    let host = match (target.authority, fields.host) {
        (Some(authority), Some(_)) => Some(authority),
        (authority, None) if version == Version::Http10 => authority,
        (_, None) => return Err(Error::Host("is missing")),
        (None, host) => host,
    };
    Ok(Request {
        method,
        path: target.path,
        query: target.query,
        version,
        host,
        keep_alive: match version {
            Version::Http11 => !fields.close,
            Version::Http10 => fields.keep_alive && !fields.close,
        },
        // A 1.0 client cannot know 1xx answers: its expectation is ignored (RFC 9110
        // §10.1.1).
        expect_continue: fields.expect_continue && version == Version::Http11,
        body: fields.framing.length(version)?.unwrap_or(BodyLength::None),
        range: fields.range,
        if_range: fields.if_range,
        if_match: fields.if_match,
        if_none_match: fields.if_none_match,
        if_modified_since: fields.if_modified_since,
        if_unmodified_since: fields.if_unmodified_since,
        headers: Headers::new(block),
    })
}

/// The field lines of `head`, which begin where httparse found the first name.
fn block<'b>(raw: &httparse::Request<'_, 'b>, head: &'b [u8]) -> Option<&'b [u8]> {
    let Some(first) = raw.headers.first() else {
        return field_lines(head);
    };
    let start = first
        .name
        .as_ptr()
        .addr()
        .checked_sub(head.as_ptr().addr())?;
    head.get(start..)
}

/// The fields that a request's meaning depends on, collected in one walk.
#[derive(Default)]
struct Fields<'b> {
    host: Option<&'b str>,
    close: bool,
    keep_alive: bool,
    expect_continue: bool,
    framing: Framing,
    range: Option<&'b [u8]>,
    if_range: Option<&'b [u8]>,
    if_match: Option<&'b [u8]>,
    if_none_match: Option<&'b [u8]>,
    if_modified_since: Option<&'b [u8]>,
    if_unmodified_since: Option<&'b [u8]>,
}

impl<'b> Fields<'b> {
    fn take(&mut self, name: &str, value: &'b [u8]) -> Result<(), Error> {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        // The length picks one or two candidates, so that most fields cost one comparison.
        match name.len() {
            4 if is("host") => self.host(value)?,
            5 if is("range") => set(&mut self.range, value),
            6 if is("expect") => self.expect(value)?,
            8 if is("if-match") => set_list(&mut self.if_match, value),
            8 if is("if-range") => set(&mut self.if_range, value),
            10 if is("connection") => self.connection(value),
            13 if is("if-none-match") => set_list(&mut self.if_none_match, value),
            14 if is("content-length") => self.framing.content_length(value)?,
            17 if is("transfer-encoding") => self.framing.transfer_encoding(value)?,
            17 if is("if-modified-since") => set(&mut self.if_modified_since, value),
            19 if is("if-unmodified-since") => set(&mut self.if_unmodified_since, value),
            _ => {}
        }
        Ok(())
    }

    fn host(&mut self, value: &'b [u8]) -> Result<(), Error> {
        if self.host.is_some() {
            return Err(Error::Host("is repeated"));
        }
        let text = std::str::from_utf8(value).map_err(|_| Error::Host("is malformed"))?;
        if !target::is_authority(text) {
            return Err(Error::Host("is malformed"));
        }
        self.host = Some(text);
        Ok(())
    }

    fn connection(&mut self, value: &[u8]) {
        for option in list(value) {
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    fn expect(&mut self, value: &[u8]) -> Result<(), Error> {
        for expectation in list(value) {
            if !expectation.eq_ignore_ascii_case(b"100-continue") {
                return Err(Error::Expectation);
            }
            self.expect_continue = true;
        }
        Ok(())
    }
}

/// Keeps a value that may stand there once. Of two, another reader could take the other one:
/// neither counts, which for all these fields an empty value says.
fn set<'b>(slot: &mut Option<&'b [u8]>, value: &'b [u8]) {
    *slot = Some(if slot.is_none() { value } else { b"" });
}

/// Keeps the first value of a list that may go on in further lines.
fn set_list<'b>(slot: &mut Option<&'b [u8]>, value: &'b [u8]) {
    slot.get_or_insert(value);
}
