//! `http` URLs and references to them (RFC 3986 §3 and §5.2), as playlists use them.

use crate::error::Error;
use crate::limits::URL_BYTES_MAX;
use std::fmt;

const PORT_DEFAULT: u16 = 80;

/// An `http` URL. Every byte of it is visible ASCII: it may stand in a request and on a
/// terminal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Url {
    /// Name or address, without brackets.
    host: String,
    port: u16,
    /// Path and query; starts with a slash.
    target: String,
}

impl Url {
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let fail = |why| Error::Url {
            url: text.chars().filter(|c| !c.is_control()).collect(),
            why,
        };
        if text.len() > URL_BYTES_MAX {
            return Err(Error::Url {
                url: "URL".to_owned(),
                why: "too long",
            });
        }
        let rest = match split_scheme(text) {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => rest,
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("https") => {
                return Err(fail("https is not supported yet; use the http address"));
            }
            _ => return Err(fail("not an http:// address")),
        };
        let rest = rest.strip_prefix("//").ok_or(fail("no host"))?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        if authority.contains('@') {
            return Err(fail("user names in addresses are not supported"));
        }
        let (host, port) = split_authority(authority).ok_or(fail("malformed host or port"))?;
        if host.is_empty() || !host.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(fail("malformed host"));
        }
        Ok(Self {
            host: host.to_owned(),
            port,
            target: normal_target(target),
        })
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// What stands in the request line.
    pub(crate) fn target(&self) -> &str {
        &self.target
    }

    /// What stands in `Host`.
    pub(crate) fn authority(&self) -> String {
        let host = match self.host.contains(':') {
            true => format!("[{}]", self.host),
            false => self.host.clone(),
        };
        match self.port {
            PORT_DEFAULT => host,
            port => format!("{host}:{port}"),
        }
    }

    /// The URL that `reference` means where this one is the base (RFC 3986 §5.2.2).
    pub(crate) fn join(&self, reference: &str) -> Result<Self, Error> {
        if split_scheme(reference).is_some() || reference.len() > URL_BYTES_MAX {
            return Self::parse(reference);
        }
        if reference.starts_with("//") {
            return Self::parse(&format!("http:{reference}"));
        }
        let path = self.target.split('?').next().unwrap_or_default();
        let target = match reference.bytes().next() {
            None | Some(b'#') => self.target.clone(),
            Some(b'/') => reference.to_owned(),
            Some(b'?') => format!("{path}{reference}"),
            Some(_) => {
                let directory = path.rfind('/').map_or("/", |slash| &path[..=slash]);
                format!("{directory}{reference}")
            }
        };
        Ok(Self {
            target: normal_target(&target),
            ..self.clone()
        })
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority(), self.target)
    }
}

/// Scheme and what follows the colon, if the text has one (RFC 3986 §3.1).
fn split_scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let mut bytes = scheme.bytes();
    let is_scheme = bytes.next()?.is_ascii_alphabetic()
        && bytes.all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    is_scheme.then_some((scheme, rest))
}

fn split_authority(authority: &str) -> Option<(&str, u16)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(v6) => v6.split_once(']')?,
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => PORT_DEFAULT,
        None => return None,
        Some("") => PORT_DEFAULT,
        Some(digits) => digits.parse().ok().filter(|p| *p != 0)?,
    };
    Some((host, port))
}

/// Without fragment and dot segments (RFC 3986 §5.2.4), with a leading slash, and with
/// everything escaped that may not stand in a request line.
fn normal_target(target: &str) -> String {
    let target = target.split('#').next().unwrap_or_default();
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.strip_prefix('/').unwrap_or(path).split('/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if last {
                    kept.push("");
                }
            }
            other => kept.push(other),
        }
    }
    let mut out = String::with_capacity(target.len() + 1);
    for segment in kept {
        out.push('/');
        escape(segment, &mut out);
    }
    if out.is_empty() {
        out.push('/');
    }
    if let Some(query) = query {
        out.push('?');
        escape(query, &mut out);
    }
    out
}

fn escape(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_graphic() {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(reference: &str) -> String {
        let base = Url::parse("http://a/b/c/d?q").unwrap();
        base.join(reference).unwrap().to_string()
    }

    #[test]
    fn references_resolve_as_rfc_3986_5_4_shows() {
        for (reference, want) in [
            ("g", "http://a/b/c/g"),
            ("./g", "http://a/b/c/g"),
            ("g/", "http://a/b/c/g/"),
            ("/g", "http://a/g"),
            ("//g", "http://g/"),
            ("?y", "http://a/b/c/d?y"),
            ("g?y/../x", "http://a/b/c/g?y/../x"),
            ("g#s", "http://a/b/c/g"),
            ("", "http://a/b/c/d?q"),
            (".", "http://a/b/c/"),
            ("..", "http://a/b/"),
            ("../../../g", "http://a/g"),
            ("g;x=1/../y", "http://a/b/c/y"),
            ("HTTP://h:8080/x", "http://h:8080/x"),
            ("a b\u{1b}\u{e9}", "http://a/b/c/a%20b%1B%C3%A9"),
        ] {
            assert_eq!(joined(reference), want, "{reference:?}");
        }
    }

    #[test]
    fn hosts_and_ports() {
        let parts = |text: &str| {
            let url = Url::parse(text).unwrap();
            (url.host().to_owned(), url.port(), url.authority())
        };
        assert_eq!(parts("http://h"), ("h".into(), 80, "h".into()));
        assert_eq!(
            parts("http://[::1]:81/x"),
            ("::1".into(), 81, "[::1]:81".into())
        );
    }

    #[test]
    fn what_is_no_http_url_is_refused() {
        for bad in [
            "",
            "x.flv",
            "https://h/",
            "http:/h",
            "http://",
            "http://u@h/",
            "http://h:0/",
            "http://h:99999/",
            "http://[::1/",
            "http://a b/",
            "http://h\r\nX: y/",
        ] {
            assert!(Url::parse(bad).is_err(), "{bad:?}");
        }
        assert!(Url::parse(&format!("http://h/{}", "x".repeat(URL_BYTES_MAX))).is_err());
    }
}
