//! Addresses of streams on other servers: `rtmp://HOST[:PORT]/APP/KEY` and `rtmps://…`.
//!
//! There is no standard for them but custom: the last segment is the key, what stands before it
//! the application.

use crate::limits::URL_BYTES_MAX;
use std::fmt;

/// Port of `rtmp://` without one.
const PORT: u16 = 1935;

/// Port of `rtmps://` without one, as all clients have it.
const TLS_PORT: u16 = 443;

/// Where a stream is. [`fmt::Display`] shows the server only: the rest may be secret.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Url {
    /// Under TLS (`rtmps`).
    pub tls: bool,
    /// Name or address of the host; IPv6 without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Application, with a query if that stands before the key.
    pub app: String,
    /// Stream key or name, with its query if it has one.
    pub key: String,
}

impl Url {
    /// Reads an address. With a `key` of its own, the whole path is the application.
    ///
    /// # Errors
    /// What is wrong, in words that do not repeat the address.
    pub fn parse(text: &str, key: Option<&str>) -> Result<Self, &'static str> {
        if text.len() + key.map_or(0, str::len) > URL_BYTES_MAX {
            return Err("is too long");
        }
        let (tls, rest) = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("rtmp") => (false, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("rtmps") => (true, rest),
            _ => return Err("does not begin with rtmp:// or rtmps://"),
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (host, port) = authority_of(authority)?;
        let with_query;
        let (app, key) = match key {
            Some(key) => (path, key),
            None => {
                let (before, query) = path.split_at(path.find('?').unwrap_or(path.len()));
                let before = before.trim_end_matches('/');
                let split = before.rsplit_once('/');
                let (app, key) = split.ok_or("names no application and stream")?;
                with_query = format!("{key}{query}");
                (app, &with_query[..])
            }
        };
        let url = Self {
            tls,
            host: host.to_owned(),
            port: port.unwrap_or(if tls { TLS_PORT } else { PORT }),
            app: app.trim_matches('/').to_owned(),
            key: key.trim_start_matches('/').to_owned(),
        };
        match url.app.is_empty() || url.key.is_empty() {
            true => Err("names no application and stream"),
            false if has_control(&url.app) || has_control(&url.key) => {
                Err("has a space or control character")
            }
            false => Ok(url),
        }
    }

    /// The address of the application, as `connect` says it.
    #[must_use]
    pub fn tc_url(&self) -> String {
        format!("{self}/{}", self.app)
    }

    /// The same stream at the application that a server sent us to: an address, or one relative to
    /// this one's. A key is never sent in the clear that was to go under TLS.
    ///
    /// # Errors
    /// As [`Url::parse`].
    pub fn redirected(&self, tc_url: &str) -> Result<Self, &'static str> {
        let url = match (tc_url.contains("://"), tc_url.strip_prefix('/')) {
            (true, _) => Self::parse(tc_url, Some(&self.key))?,
            (false, path) => {
                let absolute = format!("{self}/{}", path.unwrap_or(tc_url));
                Self::parse(&absolute, Some(&self.key))?
            }
        };
        match self.tls && !url.tls {
            true => Err("leads from TLS into the clear"),
            false => Ok(url),
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, default) = match self.tls {
            true => ("rtmps", TLS_PORT),
            false => ("rtmp", PORT),
        };
        match self.host.contains(':') {
            true => write!(f, "{scheme}://[{}]", self.host)?,
            false => write!(f, "{scheme}://{}", self.host)?,
        }
        match self.port == default {
            true => Ok(()),
            false => write!(f, ":{}", self.port),
        }
    }
}

impl fmt::Debug for Url {
    /// As [`fmt::Display`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}/…")
    }
}

/// Host, and port if there is one.
fn authority_of(authority: &str) -> Result<(&str, Option<u16>), &'static str> {
    let malformed = "has a malformed host or port";
    if authority.contains('@') {
        return Err("has a user name, which RTMP does not know");
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(v6) => v6.split_once(']').ok_or(malformed)?,
        None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
    };
    let port = match port.strip_prefix(':') {
        None if port.is_empty() => None,
        None => return Err(malformed),
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
            Some(digits.parse().ok().filter(|p| *p != 0).ok_or(malformed)?)
        }
        Some(_) => return Err(malformed),
    };
    let is_host = |b: u8| b.is_ascii_alphanumeric() || b"-._:".contains(&b);
    match host.is_empty() || !host.bytes().all(is_host) {
        true => Err(malformed),
        false => Ok((host, port)),
    }
}

fn has_control(text: &str) -> bool {
    text.chars().any(|c| c.is_control() || c == ' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str, key: Option<&str>) -> (bool, String, u16, String, String) {
        let url = Url::parse(text, key).unwrap();
        (url.tls, url.host, url.port, url.app, url.key)
    }

    fn want(
        tls: bool,
        host: &str,
        port: u16,
        app: &str,
        key: &str,
    ) -> (bool, String, u16, String, String) {
        (tls, host.into(), port, app.into(), key.into())
    }

    #[test]
    fn the_last_segment_is_the_key_unless_there_is_one() {
        for (text, key, wanted) in [
            ("rtmp://h/live/k", None, want(false, "h", 1935, "live", "k")),
            (
                "rtmps://h.example:1936/live/k?a=/b",
                None,
                want(true, "h.example", 1936, "live", "k?a=/b"),
            ),
            ("RTMPS://h/a/b/c/", None, want(true, "h", 443, "a/b", "c")),
            (
                "rtmp://[::1]:99/live/k",
                None,
                want(false, "::1", 99, "live", "k"),
            ),
            (
                "rtmp://h/live2",
                Some("k-1"),
                want(false, "h", 1935, "live2", "k-1"),
            ),
            (
                "rtmp://h/live?t=1",
                Some("k?x=y"),
                want(false, "h", 1935, "live?t=1", "k?x=y"),
            ),
        ] {
            assert_eq!(parts(text, key), wanted, "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "rtmp://",
            "rtmp:///live/k",
            "http://h/live/k",
            "rtmp://h",
            "rtmp://h/live",
            "rtmp://h//k",
            "rtmp://h:0/live/k",
            "rtmp://h:x/live/k",
            "rtmp://h:70000/live/k",
            "rtmp://u:p@h/live/k",
            "rtmp://[::1/live/k",
            "rtmp://h h/live/k",
            "rtmp://h/live/a b",
            "rtmp://h/live/\n",
        ] {
            assert!(Url::parse(text, None).is_err(), "{text:?}");
        }
        assert!(
            Url::parse(
                &format!("rtmp://h/live/{}", "x".repeat(URL_BYTES_MAX)),
                None
            )
            .is_err()
        );
        assert!(Url::parse("rtmp://h/", Some("k")).is_err());
        assert!(Url::parse("rtmp://h/live", Some("")).is_err());
    }

    #[test]
    fn redirects_keep_the_key_and_never_leave_tls() {
        let url = Url::parse("rtmp://h/live/k", None).unwrap();
        assert_eq!(url.tc_url(), "rtmp://h/live");
        let to = |tc_url| url.redirected(tc_url).map(|to| (to.tc_url(), to.key));
        let at = |tc_url: &str| Ok((tc_url.to_owned(), "k".to_owned()));
        assert_eq!(to("rtmps://other:1936/app"), at("rtmps://other:1936/app"));
        assert_eq!(to("/app/x"), at("rtmp://h/app/x"));
        assert_eq!(to("app"), at("rtmp://h/app"));
        assert!(to("http://other/app").is_err() && to("rtmp://other").is_err());
        let secure = Url::parse("rtmps://h/live/k", None).unwrap();
        assert!(secure.redirected("rtmp://h/live").is_err());
        assert!(secure.redirected("/live").is_ok());
    }

    #[test]
    fn the_key_is_not_shown() {
        let url = Url::parse("rtmps://[::1]:1936/live/secret", None).unwrap();
        assert_eq!(url.to_string(), "rtmps://[::1]:1936");
        assert!(!format!("{url:?}").contains("secret"));
    }
}
