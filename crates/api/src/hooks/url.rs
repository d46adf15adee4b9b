//! The address of a hook.

use crate::limits::HOOK_URL_BYTES_MAX;
use hyper::Uri;
use std::fmt;
use std::str::FromStr;

/// An `http://` or `https://` URL.
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    pub(super) tls: bool,
    /// Domain or address, without the brackets of IPv6.
    pub(super) host: String,
    pub(super) port: u16,
    /// Host and port as they were written.
    pub(super) authority: String,
    /// Path and query, beginning with `/`.
    pub(super) target: String,
}

impl FromStr for Url {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = |why: &str| Err(format!("{why} in the URL of a hook"));
        if text.len() > HOOK_URL_BYTES_MAX {
            return refuse("too many characters");
        }
        let Ok(uri) = text.parse::<Uri>() else {
            return refuse("malformed characters");
        };
        let tls = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return refuse("neither http:// nor https://"),
        };
        let Some(authority) = uri.authority() else {
            return refuse("no host");
        };
        if authority.as_str().contains('@') {
            return refuse("a password, which is not sent,");
        }
        let host = authority.host().trim_matches(['[', ']']);
        if host.is_empty() {
            return refuse("no host");
        }
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        let slash = if target.starts_with('/') { "" } else { "/" };
        Ok(Self {
            tls,
            host: host.to_owned(),
            port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            authority: authority.as_str().to_owned(),
            target: format!("{slash}{target}"),
        })
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority, self.target)
    }
}

impl fmt::Debug for Url {
    /// Without the query, which may hold a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.target.split('?').next().unwrap_or_default();
        write!(f, "{}{path}", self.authority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        for (text, host, port, target) in [
            ("http://127.0.0.1:3000/auth", "127.0.0.1", 3000, "/auth"),
            ("https://example.org", "example.org", 443, "/"),
            ("http://[::1]/a?b=c", "::1", 80, "/a?b=c"),
            ("http://h?b=c", "h", 80, "/?b=c"),
        ] {
            let url: Url = text.parse().unwrap();
            assert_eq!((&*url.host, url.port, &*url.target), (host, port, target));
            assert_eq!(url.tls, text.starts_with("https"));
            assert_eq!(url.to_string().parse::<Url>().unwrap(), url);
        }
        for bad in [
            "",
            "127.0.0.1:3000",
            "ftp://h/",
            "rtmp://h/",
            "http://",
            "http://user:pass@h/",
            "http://h/a b",
            "/auth",
            &format!("http://h/{}", "x".repeat(HOOK_URL_BYTES_MAX)),
        ] {
            assert!(bad.parse::<Url>().is_err(), "{bad}");
        }
        let url: Url = "http://h/a?token=SECRET".parse().unwrap();
        assert_eq!(format!("{url:?}"), "h/a");
    }
}
