//! What a caller wants: the stream id (SRT access control guidelines).
//!
//! Three forms are read:
//!
//! - `#!::r=live/one,m=publish,u=name,s=secret`, the standard one. A `#` that arrives as `%23`
//!   was escaped once too often.
//! - `publish:PATH[:USER:PASSWORD][:QUERY]` and `read:…`, as MediaMTX has it, after which
//!   StreamToStudio writes `#feedbackplay`.
//! - anything else: a plain name; the listener decides what to do with it.

use std::borrow::Cow;

/// What is to be done with the stream (`m`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The caller receives. The standard form's default.
    Request,
    /// The caller sends.
    Publish,
    /// Both.
    Bidirectional,
}

/// A stream id in parts. All are as the caller sent them: nothing is checked to be a name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StreamId {
    /// The resource (`r`), or the plain name; empty if there is none.
    pub resource: String,
    /// The mode (`m`); `None` in a plain name, or if it is unknown.
    pub mode: Option<Mode>,
    /// The user (`u`).
    pub user: Option<String>,
    /// A session identifier or password (`s`).
    pub session: Option<String>,
    /// The host (`h`).
    pub host: Option<String>,
    /// The type of content (`t`): `stream` if absent.
    pub kind: Option<String>,
    /// What follows the name in the short form.
    pub query: Option<String>,
    /// The mode was named, but is none of those known: to be refused.
    pub unknown_mode: bool,
}

const STANDARD: &str = "#!::";
const ESCAPED: &str = "%23!::";
const FEEDBACK: &str = "#feedbackplay";

impl StreamId {
    /// Reads a stream id. `None` if it is empty, holds control characters, or is a standard
    /// form without `key=value`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_suffix(FEEDBACK).unwrap_or(text);
        if text.is_empty() || text.contains(char::is_control) {
            return None;
        }
        for start in [STANDARD, ESCAPED] {
            if let Some(pairs) = text.strip_prefix(start) {
                return Self::standard(pairs);
            }
        }
        for (start, mode) in [("publish:", Mode::Publish), ("read:", Mode::Request)] {
            if let Some(rest) = text.strip_prefix(start) {
                return Some(Self::short(rest, mode));
            }
        }
        Some(Self {
            resource: text.to_owned(),
            ..Self::default()
        })
    }

    fn standard(pairs: &str) -> Option<Self> {
        let mut id = Self {
            mode: Some(Mode::Request),
            ..Self::default()
        };
        for pair in pairs.split(',').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=')?;
            let value = unescape_hash(value).into_owned();
            match key {
                "r" => id.resource = value,
                "u" => id.user = Some(value),
                "s" => id.session = Some(value),
                "h" => id.host = Some(value),
                "t" => id.kind = Some(value),
                "m" => {
                    id.mode = match &value[..] {
                        "request" => Some(Mode::Request),
                        "publish" => Some(Mode::Publish),
                        "bidirectional" => Some(Mode::Bidirectional),
                        _ => None,
                    };
                    id.unknown_mode = id.mode.is_none();
                }
                // Others' own keys.
                _ => {}
            }
        }
        Some(id)
    }

    fn short(rest: &str, mode: Mode) -> Self {
        let mut id = Self {
            mode: Some(mode),
            ..Self::default()
        };
        let parts: Vec<&str> = rest.splitn(4, ':').collect();
        let text = |i: usize| parts.get(i).map(|part| (*part).to_owned());
        id.resource = text(0).unwrap_or_default();
        match parts.len() {
            0 | 1 => {}
            2 => id.query = text(1),
            _ => {
                id.user = text(1);
                id.session = text(2);
                id.query = text(3);
            }
        }
        id
    }
}

/// `%23` within a value, as `#`.
fn unescape_hash(value: &str) -> Cow<'_, str> {
    if value.contains("%23") {
        value.replace("%23", "#").into()
    } else {
        value.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> StreamId {
        StreamId::parse(text).unwrap()
    }

    #[test]
    fn the_standard_form_is_pairs() {
        let id = parse("#!::u=admin,r=live/one,m=publish,s=a=b,h=host,t=stream,x=1");
        assert_eq!(id.resource, "live/one");
        assert_eq!(id.mode, Some(Mode::Publish));
        assert_eq!(id.user.as_deref(), Some("admin"));
        assert_eq!(id.session.as_deref(), Some("a=b"));
        assert_eq!(id.host.as_deref(), Some("host"));
        assert_eq!(id.kind.as_deref(), Some("stream"));
        assert_eq!(parse("%23!::r=one").mode, Some(Mode::Request));
        assert_eq!(parse("#!::r=a%23b,").resource, "a#b");
        let unknown = parse("#!::r=one,m=steal");
        assert!(unknown.unknown_mode && unknown.mode.is_none());
        assert_eq!(StreamId::parse("#!::nonsense"), None);
        assert_eq!(parse("#!::").resource, "");
    }

    #[test]
    fn the_short_form_has_its_parts_in_order() {
        assert_eq!(parse("publish:live/one").resource, "live/one");
        assert_eq!(parse("publish:one").mode, Some(Mode::Publish));
        assert_eq!(parse("read:one").mode, Some(Mode::Request));
        assert_eq!(parse("read:one:k=v").query.as_deref(), Some("k=v"));
        let id = parse("publish:one:user:pass:k=v:w#feedbackplay");
        assert_eq!(id.user.as_deref(), Some("user"));
        assert_eq!(id.session.as_deref(), Some("pass"));
        assert_eq!(id.query.as_deref(), Some("k=v:w"));
    }

    #[test]
    fn anything_else_is_a_plain_name() {
        for text in ["one", "live/one?x=y", "#!:r=one", "Publish:one"] {
            let id = parse(text);
            assert_eq!((&id.resource[..], id.mode), (text, None));
        }
        let dots = "%00../".repeat(85);
        assert_eq!(parse(&dots).resource, dots);
        for text in ["", "#feedbackplay", "a\0b", "a\nb"] {
            assert_eq!(StreamId::parse(text), None);
        }
    }
}
