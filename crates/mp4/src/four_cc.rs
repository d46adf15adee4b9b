//! The four-character code that names boxes, brands, handlers and codecs.

use std::fmt;

/// Four bytes that name a box, a brand, a handler or a sample entry (ISO/IEC 14496-12
/// §4.2). Usually ASCII, but nothing forces a file to keep to that.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct FourCc(pub [u8; 4]);

impl fmt::Display for FourCc {
    /// The code as text; what is not printable ASCII is written as `\xNN`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for FourCc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{self}'")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unprintable_bytes_are_escaped() {
        assert_eq!(FourCc(*b"avc1").to_string(), "avc1");
        assert_eq!(FourCc(*b"\xa9nam").to_string(), "\\xa9nam");
    }
}
