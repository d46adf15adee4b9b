//! What requests and answers share: the three-way result, the version, the field lines.

use crate::error::Error;
use crate::limits::HEAD_BYTES_MAX;

/// What a buffer turned out to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parsed<T> {
    /// A whole head.
    Head {
        /// The head, borrowing from the buffer.
        head: T,
        /// Its length in bytes; body bytes or the next message follow.
        len: usize,
    },
    /// So far a valid beginning: read more and parse again from the same first byte.
    NeedMore,
}

/// The protocol version of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// HTTP/1.0: connections close unless kept alive explicitly; no chunked coding.
    Http10,
    /// HTTP/1.1
    Http11,
}

/// The field lines of a head that was parsed, in order. Copying it copies a reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Headers<'b>(&'b [u8]);

impl<'b> Headers<'b> {
    /// `block` is what follows the first line, up to and with the empty line; every line is
    /// `name: value` CRLF, checked.
    pub(crate) const fn new(block: &'b [u8]) -> Self {
        Self(block)
    }

    /// Every field: name as sent, value without the white space around it.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = (&'b str, &'b [u8])> {
        self.0.split(|&b| b == b'\n').filter_map(|line| {
            let colon = line.iter().position(|&b| b == b':')?;
            let (name, value) = (line.get(..colon)?, line.get(colon + 1..)?);
            // The carriage return is white space to trim_ascii too.
            Some((std::str::from_utf8(name).ok()?, value.trim_ascii()))
        })
    }

    /// The values of every field called `name`, a token, whatever its case.
    pub fn values(self, name: &str) -> impl DoubleEndedIterator<Item = &'b [u8]> {
        // A name ends at the line's first colon, so one of the right length has it there.
        self.0.split(|&b| b == b'\n').filter_map(move |line| {
            let (field, rest) = line.split_at_checked(name.len())?;
            let value = rest.strip_prefix(b":")?;
            field
                .eq_ignore_ascii_case(name.as_bytes())
                .then(|| value.trim_ascii())
        })
    }

    /// The first value of the field called `name`, whatever its case.
    #[must_use]
    pub fn first(self, name: &str) -> Option<&'b [u8]> {
        self.values(name).next()
    }
}

/// The elements of a comma-separated list (RFC 9110 §5.6.1), without empty ones.
pub(crate) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value
        .split(|&b| b == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
}

/// The part of `buf` in which a head must end.
pub(crate) fn window(buf: &[u8]) -> &[u8] {
    buf.get(..HEAD_BYTES_MAX).unwrap_or(buf)
}

/// What follows the first line that is not empty.
pub(crate) fn field_lines(head: &[u8]) -> Option<&[u8]> {
    // A client may send an empty line after a body (RFC 9112 §2.2); httparse skipped it.
    let start = head.iter().position(|&b| b != b'\r' && b != b'\n')?;
    let rest = head.get(start..)?;
    let end = rest.iter().position(|&b| b == b'\n')?;
    rest.get(end + 1..)
}

/// Refuses a head in which a line feed stands without its carriage return, which httparse
/// takes for a line end. A lone carriage return it refuses itself.
pub(crate) fn check_line_ends(head: &[u8]) -> Result<(), Error> {
    // Counting compiles to vector code; looking at each line feed's neighbour does not.
    let (mut carriage_returns, mut line_feeds) = (0_usize, 0_usize);
    for block in head.chunks(255) {
        let (mut cr, mut lf) = (0_u8, 0_u8);
        for &byte in block {
            cr += u8::from(byte == b'\r');
            lf += u8::from(byte == b'\n');
        }
        carriage_returns += usize::from(cr);
        line_feeds += usize::from(lf);
    }
    // Each carriage return is followed by its line feed, so equal counts mean that each
    // line feed has one.
    if carriage_returns == line_feeds {
        Ok(())
    } else {
        Err(Error::LineEnd)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_in_order_and_trimmed() {
        let headers = Headers::new(b"A: 1\r\nb:\t2 \r\na:3\r\nEmpty:\r\n\r\n");
        let all: Vec<_> = headers.iter().collect();
        let want: [(&str, &[u8]); 4] = [("A", b"1"), ("b", b"2"), ("a", b"3"), ("Empty", b"")];
        assert_eq!(all, want);
        assert_eq!(headers.values("A").collect::<Vec<_>>(), [b"1", b"3"]);
        assert_eq!(headers.first("B"), Some(&b"2"[..]));
        assert_eq!(headers.first("c"), None);
    }

    #[test]
    fn counts_line_ends_past_a_block() {
        let mut head = b"x: y\r\n".repeat(500);
        assert_eq!(check_line_ends(&head), Ok(()));
        head.push(b'\n');
        assert_eq!(check_line_ends(&head), Err(Error::LineEnd));
    }
}
