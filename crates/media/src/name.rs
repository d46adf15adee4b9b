//! Names that may stand in a URL path and in a file path.

use crate::error::Error;
use crate::limits::NAME_BYTES_MAX;
use std::fmt;
use std::sync::Arc;

/// A stream's name: one path segment of `[0-9A-Za-z_.-]`, 1 to 128 bytes, and not `.`, `..`
/// or `s` (which is taken by `/s/{key}/`). Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamName(Arc<str>);

impl StreamName {
    /// Checks `text`, which must already be percent-decoded exactly once.
    ///
    /// # Errors
    /// [`Error::Name`] with the rule that was broken.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.is_empty() {
            return Err(Error::Name("is empty"));
        }
        if text.len() > NAME_BYTES_MAX {
            return Err(Error::Name("is longer than 128 bytes"));
        }
        if !text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
        {
            return Err(Error::Name("has a character outside 0-9 A-Z a-z _ . -"));
        }
        if matches!(text, "." | ".." | "s") {
            return Err(Error::Name("is reserved"));
        }
        Ok(Self(Arc::from(text)))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for StreamName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for StreamName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_one_safe_path_segment_only() {
        for good in ["a", "live_1", "A.b-c", &"x".repeat(128), "..."] {
            assert!(StreamName::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            ".",
            "..",
            "s",
            "a/b",
            "../x",
            "a\0b",
            "a b",
            "é",
            &"x".repeat(129),
        ] {
            assert!(StreamName::parse(bad).is_err(), "{bad:?}");
        }
    }
}
