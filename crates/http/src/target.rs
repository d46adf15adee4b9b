//! Request targets (RFC 9112 §3.2) and what stands in them (RFC 3986 §3.3, §3.4).
//!
//! Percent-encoding is taken off exactly once, here, and what comes out is checked here, so
//! that no later step can see another name than the one that was checked.

use crate::error::Error;
use crate::request::Method;
use std::borrow::Cow;

/// A decoded, safe path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path<'a>(Cow<'a, str>);

impl<'a> Path<'a> {
    /// Decodes `raw`, which begins with `/`. Allocates only if something is encoded.
    ///
    /// # Errors
    /// [`Error::Path`] for a broken encoding, bytes that are not UTF-8, control characters,
    /// `\`, an encoded `/`, and for segments that are empty (other than the last), `.` or
    /// `..`.
    pub fn parse(raw: &'a str) -> Result<Self, Error> {
        if !raw.starts_with('/') {
            return Err(Error::Path("does not begin with /"));
        }
        if is_plain(raw.as_bytes()) {
            return Ok(Self(Cow::Borrowed(raw)));
        }
        let path = decode(raw)?;
        let slashes = |text: &str| text.bytes().filter(|&b| b == b'/').count();
        if matches!(path, Cow::Owned(_)) && slashes(&path) != slashes(raw) {
            return Err(Error::Path("has an encoded slash"));
        }
        if path.bytes().any(|b| b.is_ascii_control() || b == b'\\') {
            return Err(Error::Path("has a control character or backslash"));
        }
        let mut segments = path.split('/').skip(1).peekable();
        while let Some(segment) = segments.next() {
            match segment {
                "" if segments.peek().is_some() => {
                    return Err(Error::Path("has an empty segment"));
                }
                "." | ".." => return Err(Error::Path("has a dot segment")),
                _ => {}
            }
        }
        Ok(Self(path))
    }

    /// The whole path, decoded.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The segments after the first `/`. For `/` this is one empty segment, and a path that
    /// ends in `/` has an empty last one.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        let mut rest = Some(self.0.strip_prefix('/').unwrap_or(&self.0));
        // Segments are too short for what searches long texts.
        std::iter::from_fn(move || {
            let text = rest?;
            let end = text.bytes().position(|b| b == b'/').unwrap_or(text.len());
            rest = text.get(end + 1..);
            text.get(..end)
        })
    }
}

/// Whether nothing in a path needs a closer look, as in nearly all: no encoding, no character that
/// may be wrong, no segment that is empty or begins with a dot. The loops have no exit, so that
/// they compile to vector code.
fn is_plain(path: &[u8]) -> bool {
    let rest = path.get(1..).unwrap_or_default();
    let odd = path.iter().fold(0, |odd, &b| {
        odd | u8::from(b < b' ') | u8::from(b == 0x7f) | u8::from(b == b'\\') | u8::from(b == b'%')
    });
    path.iter().zip(rest).fold(odd, |odd, (&a, &b)| {
        odd | (u8::from(a == b'/') & (u8::from(b == b'/') | u8::from(b == b'.')))
    }) == 0
}

/// The query of a target: `name=value` pairs joined by `&`.
///
/// `+` stands for itself, as RFC 3986 has it, and not for a space as in HTML forms: stream
/// keys and tokens in base64 come through unharmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Query<'a>(&'a str);

impl<'a> Query<'a> {
    /// `raw` is what follows the `?`, still encoded.
    #[must_use]
    pub fn new(raw: Option<&'a str>) -> Self {
        Self(raw.unwrap_or_default())
    }

    /// All pairs in order, still encoded. A name without `=` has an empty value.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
    }

    /// The first value whose name is `name`, decoded.
    ///
    /// # Errors
    /// [`Error::Path`] when that value, or a name before it, is not well encoded UTF-8.
    pub fn first(self, name: &str) -> Result<Option<Cow<'a, str>>, Error> {
        for (raw_name, raw_value) in self.iter() {
            if decode(raw_name)? == name {
                return decode(raw_value).map(Some);
            }
        }
        Ok(None)
    }
}

/// Takes percent-encoding off (RFC 3986 §2.1), once.
fn decode(raw: &str) -> Result<Cow<'_, str>, Error> {
    let Some((before, _)) = raw.split_once('%') else {
        return Ok(Cow::Borrowed(raw));
    };
    let mut decoded = Vec::with_capacity(raw.len());
    decoded.extend_from_slice(before.as_bytes());
    let mut bytes = raw.bytes().skip(before.len());
    let digit = |byte: Option<u8>| byte.and_then(|b| char::from(b).to_digit(16));
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        match (digit(bytes.next()), digit(bytes.next())) {
            // Two hexadecimal digits are at most 255.
            (Some(high), Some(low)) => decoded.push((high << 4 | low) as u8),
            _ => return Err(Error::Path("has a broken percent-encoding")),
        }
    }
    String::from_utf8(decoded)
        .map(Cow::Owned)
        .map_err(|_| Error::Path("is not UTF-8"))
}

/// A request target taken apart.
pub(crate) struct Form<'b> {
    pub(crate) authority: Option<&'b str>,
    pub(crate) path: &'b str,
    pub(crate) query: Option<&'b str>,
}

impl<'b> Form<'b> {
    pub(crate) fn parse(method: Method<'_>, target: &'b str) -> Result<Self, Error> {
        // No exit from the loop, so that it compiles to vector code.
        let odd = |odd, b: u8| odd | (b & 0x80) | u8::from(b == b'#');
        if target.bytes().fold(0, odd) != 0 {
            return Err(Error::Target("has a character that must be encoded"));
        }
        if target == "*" {
            return match method {
                Method::Options => Ok(Self::of(None, target)),
                _ => Err(Error::Target("is * outside OPTIONS")),
            };
        }
        if matches!(method, Method::Other("CONNECT")) {
            return Err(Error::Target("is for a proxy"));
        }
        if target.starts_with('/') {
            return Ok(Self::of(None, target));
        }
        let after = ["http://", "https://"].iter().find_map(|scheme| {
            let (head, rest) = target.split_at_checked(scheme.len())?;
            head.eq_ignore_ascii_case(scheme).then_some(rest)
        });
        let after = after.ok_or(Error::Target("is neither a path nor an http URI"))?;
        let end = after.find(['/', '?']).unwrap_or(after.len());
        let (authority, rest) = after.split_at(end);
        if !is_authority(authority) {
            return Err(Error::Target("has a malformed authority"));
        }
        Ok(match (rest, method) {
            // The server itself is meant (RFC 9112 §3.2.4).
            ("", Method::Options) => Self::of(Some(authority), "*"),
            ("", _) => Self::of(Some(authority), "/"),
            _ if rest.starts_with('?') => Self {
                path: "/",
                ..Self::of(Some(authority), rest)
            },
            _ => Self::of(Some(authority), rest),
        })
    }

    fn of(authority: Option<&'b str>, text: &'b str) -> Self {
        let (path, query) = match text.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (text, None),
        };
        Self {
            authority,
            path,
            query,
        }
    }
}

/// Whether `text` is a host with or without a port: `uri-host [ ":" port ]` of RFC 9110
/// §7.2, not empty and without user information.
pub(crate) fn is_authority(text: &str) -> bool {
    let (host_is_sound, rest) = match text.strip_prefix('[') {
        Some(literal) => match literal.split_once(']') {
            Some((address, rest)) => (
                address.len() >= 2
                    && address
                        .bytes()
                        .all(|b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.')),
                rest,
            ),
            None => (false, ""),
        },
        None => {
            let end = text.find(':').unwrap_or(text.len());
            let (host, rest) = text.split_at(end);
            (!host.is_empty() && host.bytes().all(is_reg_name), rest)
        }
    };
    let port_is_sound = match rest.strip_prefix(':') {
        Some(port) => port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit()),
        None => rest.is_empty(),
    };
    host_is_sound && port_is_sound
}

/// A byte of `reg-name` (RFC 3986 §3.2.2).
const fn is_reg_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'.'
                | b'_'
                | b'~'
                | b'%'
                | b'!'
                | b'$'
                | b'&'
                | b'\''
                | b'('
                | b')'
                | b'*'
                | b'+'
                | b','
                | b';'
                | b'='
        )
}
