//! Which sites may play a stream: allowed origins and referrers, and the CORS answer (Fetch
//! §3.3, RFC 6454, RFC 9110 §10.1.3).
//!
//! A browser tells where a page comes from; other programs can say what they like. These
//! rules keep other people's pages from embedding a stream, and nothing else.

use crate::error::Error;
use crate::limits::ORIGINS_MAX;
use crate::target::is_authority;

/// The sites that may play: any, or those of a list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origins(Option<Vec<Pattern>>);

/// One allowed origin. Texts are in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pattern {
    /// `None` stands for `http` and `https` on any port.
    scheme: Option<Scheme>,
    /// The host, or for subdomains its end with the dot before it.
    host: String,
    subdomains: bool,
}

/// The scheme of an exact origin, and the port unless it is the scheme's own.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Scheme {
    name: String,
    port: Option<u16>,
}

impl Origins {
    /// Every site, which is the default.
    #[must_use]
    pub const fn any() -> Self {
        Self(None)
    }

    /// Reads a list of patterns:
    ///
    /// | pattern | allows |
    /// |---|---|
    /// | `*` | every site |
    /// | `https://example.org`, `http://localhost:8080` | this origin |
    /// | `example.org` | this host, by `http` and `https` on any port |
    /// | `*.example.org` | its subdomains of any depth, likewise; not `example.org` itself |
    /// | `https://*.example.org` | its subdomains, by this scheme and port |
    ///
    /// Letters compare without case; names outside ASCII are written as browsers send them
    /// (`xn--`). An empty list allows no site.
    ///
    /// # Errors
    /// [`Error::Origin`] for anything else, and past [`ORIGINS_MAX`] patterns.
    pub fn parse<S: AsRef<str>>(patterns: impl IntoIterator<Item = S>) -> Result<Self, Error> {
        let mut read = Vec::new();
        let mut any = false;
        for pattern in patterns {
            match pattern.as_ref() {
                "*" => any = true,
                _ if read.len() == ORIGINS_MAX => return Err(Error::Origin("list is too long")),
                text => read.push(Pattern::parse(text)?),
            }
        }
        Ok(Self((!any).then_some(read)))
    }

    /// Whether every site is allowed.
    #[must_use]
    pub const fn is_any(&self) -> bool {
        self.0.is_none()
    }

    /// Whether the site with this value of `Origin` may play. `null`, which pages without an
    /// origin send, is allowed only if every site is. A request without the field is not from
    /// another site's script, or not from a browser: do not ask for it.
    #[must_use]
    pub fn allows_origin(&self, origin: &[u8]) -> bool {
        let Some(patterns) = &self.0 else {
            return true;
        };
        Site::of_origin(origin).is_some_and(|site| patterns.iter().any(|p| p.allows(&site)))
    }

    /// Whether the page with this value of `Referer` may play. Without the field the page is
    /// unknown; whether that suffices is the caller's decision, for privacy settings and
    /// native players leave it out.
    #[must_use]
    pub fn allows_referer(&self, referer: &[u8]) -> bool {
        let Some(patterns) = &self.0 else {
            return true;
        };
        Site::of_uri(referer).is_some_and(|site| patterns.iter().any(|p| p.allows(&site)))
    }

    /// What to tell the browser, given the request's `Origin`. Belongs on every answer of the
    /// stream's paths, 304 and errors included; see [`crate::Head::cors_for`].
    #[must_use]
    pub fn cors<'b>(&self, origin: Option<&'b [u8]>) -> Cors<'b> {
        if self.is_any() {
            return Cors::Any;
        }
        match origin {
            Some(origin) if self.allows_origin(origin) => {
                // What matches a pattern is ASCII.
                std::str::from_utf8(origin).map_or(Cors::Closed, Cors::Only)
            }
            _ => Cors::Closed,
        }
    }
}

/// What an answer tells a browser about the sites whose scripts may read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cors<'a> {
    /// All of them, without credentials.
    #[default]
    Any,
    /// The site that asks, and caches are told that others differ.
    Only(&'a str),
    /// None that is known: nothing is allowed, and caches are told that others differ.
    Closed,
}

impl Pattern {
    fn parse(text: &str) -> Result<Self, Error> {
        let text = text.to_ascii_lowercase();
        let (scheme_name, authority) = match text.split_once("://") {
            Some((name, authority)) => (Some(name), authority),
            None => (None, &*text),
        };
        let (subdomains, rest) = match authority.strip_prefix('*') {
            Some(rest) if rest.starts_with('.') => (true, rest),
            _ => (false, authority),
        };
        // The dot stays with the end that subdomains have.
        let name = rest
            .strip_prefix('.')
            .filter(|_| subdomains)
            .unwrap_or(rest);
        let (_, port) = split_port(name).ok_or(Error::Origin("has a malformed host"))?;
        if name.contains('*') {
            return Err(Error::Origin("has an asterisk that is no first label"));
        }
        let scheme = match (scheme_name, port) {
            (None, Some(_)) => return Err(Error::Origin("has a port without a scheme")),
            (None, None) => None,
            (Some(name), port) if is_scheme(name) => Some(Scheme {
                name: name.to_owned(),
                port: port.filter(|&port| Some(port) != default_port(name)),
            }),
            (Some(_), _) => return Err(Error::Origin("has a malformed scheme")),
        };
        let host = split_port(name).map_or("", |(host, _)| host);
        Ok(Self {
            scheme,
            host: if subdomains {
                format!(".{host}")
            } else {
                host.to_owned()
            },
            subdomains,
        })
    }

    fn allows(&self, site: &Site<'_>) -> bool {
        let scheme_fits = match &self.scheme {
            None => default_port(site.scheme).is_some(),
            Some(scheme) => {
                site.scheme.eq_ignore_ascii_case(&scheme.name) && site.port == scheme.port
            }
        };
        scheme_fits
            && match site.host.len().checked_sub(self.host.len()) {
                Some(0) => !self.subdomains && site.host.eq_ignore_ascii_case(&self.host),
                Some(more) if self.subdomains => site
                    .host
                    .get(more..)
                    .is_some_and(|end| end.eq_ignore_ascii_case(&self.host)),
                _ => false,
            }
    }
}

/// Where a page comes from, as a browser says it.
struct Site<'a> {
    scheme: &'a str,
    host: &'a str,
    /// `None` if it is the scheme's own.
    port: Option<u16>,
}

impl<'a> Site<'a> {
    /// `scheme://host[:port]` (RFC 6454 §6.2).
    fn of_origin(value: &'a [u8]) -> Option<Self> {
        let (scheme, authority) = std::str::from_utf8(value).ok()?.split_once("://")?;
        Self::of(scheme, authority)
    }

    /// The origin of an absolute URI. One with user information is no page's.
    fn of_uri(value: &'a [u8]) -> Option<Self> {
        let end = |b: &u8| matches!(b, b'/' | b'?' | b'#');
        let colon = value.windows(3).position(|three| three == b"://")?;
        let after = value.get(colon + 3..)?;
        let len = after.iter().position(end).unwrap_or(after.len());
        Self::of_origin(value.get(..colon + 3 + len)?)
    }

    fn of(scheme: &'a str, authority: &'a str) -> Option<Self> {
        let (host, port) = split_port(authority)?;
        is_scheme(scheme).then_some(Self {
            scheme,
            host,
            port: port.filter(|&port| Some(port) != default_port(scheme)),
        })
    }
}

/// Host and port of a sound authority.
fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    if !is_authority(authority) {
        return None;
    }
    let end = authority.find(']').unwrap_or(0);
    match authority.get(end..)?.rsplit_once(':') {
        Some((before, port)) => {
            let port = port.parse().ok()?;
            Some((authority.get(..end + before.len())?, Some(port)))
        }
        None => Some((authority, None)),
    }
}

/// A `scheme` (RFC 3986 §3.1).
fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
}

/// The port that goes without saying, for the schemes that pages are fetched by.
fn default_port(scheme: &str) -> Option<u16> {
    if scheme.eq_ignore_ascii_case("https") {
        Some(443)
    } else if scheme.eq_ignore_ascii_case("http") {
        Some(80)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins(patterns: &[&str]) -> Origins {
        Origins::parse(patterns).unwrap_or_else(|e| panic!("{patterns:?}: {e}"))
    }

    #[test]
    fn patterns_allow_what_they_say() {
        for (pattern, origin, want) in [
            ("*", "https://a.example", true),
            ("*", "null", true),
            ("https://a.example", "https://a.example", true),
            ("https://A.example:443", "https://a.EXAMPLE", true),
            ("https://a.example", "https://a.example:443", true),
            ("https://a.example", "http://a.example", false),
            ("https://a.example", "https://a.example:8443", false),
            ("https://a.example", "https://a.example.evil", false),
            ("https://a.example", "https://xa.example", false),
            ("https://a.example", "https://a.example/", false),
            ("https://a.example", "https://u@a.example", false),
            ("https://a.example", "null", false),
            ("https://a.example", "", false),
            ("https://a.example", "a.example", false),
            ("http://localhost:8080", "http://localhost:8080", true),
            ("http://localhost:8080", "http://localhost", false),
            ("http://[::1]:8080", "http://[::1]:8080", true),
            ("http://[::1]", "http://[::1]:80", true),
            ("capacitor://localhost", "capacitor://localhost", true),
            ("a.example", "https://a.example", true),
            ("a.example", "http://a.example:8080", true),
            ("a.example", "b.a.example", false),
            ("a.example", "https://b.a.example", false),
            ("a.example", "capacitor://a.example", false),
            ("*.a.example", "https://b.a.example", true),
            ("*.a.example", "http://c.b.A.example:81", true),
            ("*.a.example", "https://a.example", false),
            ("*.a.example", "https://.a.example", false),
            ("*.a.example", "https://xa.example", false),
            ("*.a.example", "https://b.a.example.evil", false),
            ("https://*.a.example", "https://b.a.example", true),
            ("https://*.a.example", "http://b.a.example", false),
            ("https://*.a.example:81", "https://b.a.example:81", true),
        ] {
            let got = origins(&[pattern]).allows_origin(origin.as_bytes());
            assert_eq!(got, want, "{pattern} {origin}");
        }
        assert!(!origins(&["a.example"]).allows_origin(b"https://a.example\xff"));
        let list = origins(&["a.example", "b.example"]);
        assert!(list.allows_origin(b"https://b.example") && !list.is_any());
        assert!(origins(&["a.example", "*"]).is_any() && Origins::default().is_any());
        assert!(!origins(&[]).allows_origin(b"https://a.example"));
    }

    #[test]
    fn refuses_what_is_no_pattern() {
        for pattern in [
            "",
            "**",
            "*.",
            "*a.example",
            "a.*.example",
            "*.*.example",
            "https://",
            "https://*",
            "https://a.example/",
            "https://a.example/x",
            "https://u@a.example",
            "a.example:80",
            "://a.example",
            "1a://b",
            "h ttp://b",
            "https://a.example:",
            "https://a.example:99999",
            "null x",
            "https://a.example?x",
            "[::1",
            "a b",
        ] {
            let got = Origins::parse([pattern]);
            assert!(matches!(got, Err(Error::Origin(_))), "{pattern}: {got:?}");
        }
        assert!(Origins::parse(vec!["a.example"; ORIGINS_MAX]).is_ok());
        assert!(Origins::parse(vec!["a.example"; ORIGINS_MAX + 1]).is_err());
    }

    #[test]
    fn referrers_are_judged_by_their_origin() {
        let list = origins(&["https://a.example", "*.b.example"]);
        for (referer, want) in [
            ("https://a.example", true),
            ("https://a.example/", true),
            ("https://a.example:443/x?y=https://c.example/#z", true),
            ("https://a.example?x", true),
            ("http://x.b.example:81/p", true),
            ("https://c.example/https://a.example/", false),
            ("https://a.example@c.example/", false),
            ("https://a.example\\@c.example/", false),
            ("https://c.example?https://a.example", false),
            ("//a.example/", false),
            ("/x", false),
            ("about:blank", false),
            ("", false),
        ] {
            assert_eq!(list.allows_referer(referer.as_bytes()), want, "{referer}");
        }
        // Its path may be any bytes.
        assert!(list.allows_referer(b"https://a.example/\xff"));
        assert!(Origins::any().allows_referer(b"anything"));
    }

    #[test]
    fn answers_any_or_the_one_that_asks() {
        let origin = Some(&b"https://a.example"[..]);
        assert_eq!(Origins::any().cors(origin), Cors::Any);
        assert_eq!(Origins::any().cors(None), Cors::Any);
        let list = origins(&["a.example"]);
        assert_eq!(list.cors(origin), Cors::Only("https://a.example"));
        assert_eq!(list.cors(None), Cors::Closed);
        assert_eq!(list.cors(Some(b"https://b.example")), Cors::Closed);
        assert_eq!(list.cors(Some(b"https://a.example\r\nX: y")), Cors::Closed);
    }
}
