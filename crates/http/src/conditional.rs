//! Conditional requests (RFC 9110 §13).

use crate::date;
use crate::request::Request;

/// What is known of the representation that a request would be answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Validators<'a> {
    /// Its entity tag as it stands in `ETag`: quoted, with `W/` before it if weak.
    pub etag: Option<&'a str>,
    /// When it last changed, in seconds since 1970-01-01T00:00:00Z.
    pub last_modified: Option<u64>,
}

/// What the conditions of a request ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Answer as if there were no conditions; see [`crate::range::requested`] for ranges.
    Proceed,
    /// Answer 304 with the same `ETag`, `Cache-Control`, `Vary` and CORS fields.
    NotModified,
    /// Answer 412.
    PreconditionFailed,
}

/// Evaluates the conditions in the order of RFC 9110 §13.2.2, for a representation that
/// exists. A field that makes no sense is ignored.
#[must_use]
pub fn evaluate(request: &Request<'_>, validators: &Validators<'_>) -> Outcome {
    if request.if_match.is_some() {
        if !any_tag_matches(request, "if-match", validators, strong_match) {
            return Outcome::PreconditionFailed;
        }
    } else if let (Some(since), Some(modified)) =
        (request.if_unmodified_since, validators.last_modified)
        && date::parse(since).is_some_and(|since| is_later(modified, since))
    {
        return Outcome::PreconditionFailed;
    }
    if request.if_none_match.is_some() {
        return match any_tag_matches(request, "if-none-match", validators, weak_match) {
            true if request.method.is_read() => Outcome::NotModified,
            true => Outcome::PreconditionFailed,
            false => Outcome::Proceed,
        };
    }
    match (request.if_modified_since, validators.last_modified) {
        (Some(since), Some(modified))
            if request.method.is_read()
                && date::parse(since).is_some_and(|since| !is_later(modified, since)) =>
        {
            Outcome::NotModified
        }
        _ => Outcome::Proceed,
    }
}

/// Whether two entity tags are equal and both strong (RFC 9110 §8.8.3.2).
#[must_use]
pub(crate) fn strong_match(a: &[u8], b: &[u8]) -> bool {
    a == b && a.first() == Some(&b'"')
}

fn weak_match(a: &[u8], b: &[u8]) -> bool {
    opaque(a) == opaque(b)
}

fn opaque(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

fn is_later(modified: u64, than: i64) -> bool {
    i64::try_from(modified).map_or(true, |modified| modified > than)
}

fn any_tag_matches(
    request: &Request<'_>,
    name: &str,
    validators: &Validators<'_>,
    matches: fn(&[u8], &[u8]) -> bool,
) -> bool {
    // The field may be spread over several lines, which then are one list.
    request.headers.values(name).any(|value| {
        value == b"*"
            || validators
                .etag
                .is_some_and(|etag| EntityTags(value).any(|tag| matches(tag, etag.as_bytes())))
    })
}

/// The tags of a list (RFC 9110 §8.8.3), up to the first that is malformed.
struct EntityTags<'a>(&'a [u8]);

impl<'a> Iterator for EntityTags<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let is_between = |b: &u8| matches!(b, b',' | b' ' | b'\t');
        let start = self.0.iter().position(|b| !is_between(b))?;
        let tag = self.0.get(start..)?;
        let quoted = opaque(tag).strip_prefix(b"\"")?;
        // A tag has no escapes: it ends at the next quote.
        let inner = quoted.iter().position(|&b| b == b'"')?;
        let len = tag.len() - quoted.len() + inner + 1;
        let (tag, rest) = tag.split_at_checked(len)?;
        if rest.first().is_some_and(|b| !is_between(b)) {
            return None;
        }
        self.0 = rest;
        Some(tag)
    }
}
