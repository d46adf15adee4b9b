//! Byte ranges (RFC 9110 §14), one at a time, also of what still grows (RFC 8673).
//!
//! A `Range` that is malformed, in another unit, or asks for several ranges is ignored, so
//! that the whole representation is sent: RFC 9110 §14.2 allows it, players ask for one, and
//! many small or overlapping ranges are an attack (§17.15).

use crate::conditional::strong_match;
use crate::limits::OPEN_END_MIN;
use crate::request::{Method, Request};

/// The last position that LL-HLS clients send for "as far as it grows" (RFC 8673 §4): 2^53 - 1,
/// the largest integer of JavaScript. Others are understood too; see [`Growing::Open`].
pub const OPEN_END: u64 = 9_007_199_254_740_991;

/// One range as asked for, before the length of the representation is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteRange {
    /// `first-last`, both inclusive.
    FromTo {
        /// First byte.
        first: u64,
        /// Last byte, not before `first`.
        last: u64,
    },
    /// `first-`: to the end.
    From(u64),
    /// `-length`: that many bytes before the end.
    Suffix(u64),
}

/// The bytes to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolved {
    /// Everything, with 200.
    Whole,
    /// Bytes `first` to `last`, both inclusive and inside the representation, with 206.
    Part {
        /// First byte.
        first: u64,
        /// Last byte.
        last: u64,
    },
    /// Nothing: 416 with `Content-Range: bytes */length`.
    Unsatisfiable,
}

/// The bytes to send of a representation that still grows, so that its length is not known
/// (RFC 8673).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Growing {
    /// Everything there is and all that comes, with 200 and chunked.
    Whole,
    /// Bytes `first` to `last`, which are there, with 206, `Content-Length` and
    /// `Content-Range: bytes first-last/*`.
    Part {
        /// First byte.
        first: u64,
        /// Last byte.
        last: u64,
    },
    /// What there is from `first` on and all that comes, with 206, chunked and `Content-Range:
    /// bytes first-last/*`: the client's own `last`, repeated, says that more will come
    /// (RFC 8673 §2.2). If the representation ends, so does the body.
    Open {
        /// First byte: at most the number of bytes that are there, so that at worst the next
        /// byte is waited for.
        first: u64,
        /// The last position as asked for, far behind any end.
        last: u64,
    },
    /// Nothing: 416 with `Content-Range: bytes */available`.
    Unsatisfiable,
}

impl ByteRange {
    /// Reads the value of a `Range` field; `None` if it is to be ignored.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (unit, set) = value.split_at_checked(6)?;
        if !unit.eq_ignore_ascii_case(b"bytes=") {
            return None;
        }
        // The list may have empty elements around its one range (RFC 9110 §5.6.1).
        let mut ranges = crate::headers::list(set);
        let (range, None) = (ranges.next()?, ranges.next()) else {
            return None;
        };
        let dash = range.iter().position(|&b| b == b'-')?;
        let (first, last) = (range.get(..dash)?, range.get(dash + 1..)?);
        match (first, last) {
            (b"", last) => Some(Self::Suffix(position(last)?)),
            (first, b"") => Some(Self::From(position(first)?)),
            (first, last) => {
                let (first, last) = (position(first)?, position(last)?);
                (first <= last).then_some(Self::FromTo { first, last })
            }
        }
    }

    /// Cuts the range to a representation of `length` bytes.
    #[must_use]
    pub const fn resolve(self, length: u64) -> Resolved {
        let (first, last) = match self {
            Self::FromTo { first, last } => (first, last),
            Self::From(first) => (first, u64::MAX),
            Self::Suffix(0) => return Resolved::Unsatisfiable,
            // It asks for everything there is, which is nothing: no `Content-Range` can say
            // that.
            Self::Suffix(_) if length == 0 => return Resolved::Whole,
            Self::Suffix(bytes) => (length.saturating_sub(bytes), u64::MAX),
        };
        if first >= length {
            return Resolved::Unsatisfiable;
        }
        let end = length - 1;
        Resolved::Part {
            first,
            last: if last < end { last } else { end },
        }
    }

    /// Cuts the range to a representation that still grows, of which `available` bytes are
    /// there.
    ///
    /// A last position of at least [`OPEN_END_MIN`] asks for what will come, and needs not be
    /// [`OPEN_END`]; one that 64 bits cannot hold would have to be repeated digit by digit,
    /// and gets what is there, as from a server without RFC 8673. A suffix has no end to be
    /// counted from yet, and is ignored.
    #[must_use]
    pub const fn resolve_growing(self, available: u64) -> Growing {
        match self {
            Self::Suffix(_) => Growing::Whole,
            Self::FromTo { first, last } if last >= OPEN_END_MIN && last < u64::MAX => {
                if first <= available {
                    Growing::Open { first, last }
                } else {
                    Growing::Unsatisfiable
                }
            }
            Self::From(_) | Self::FromTo { .. } => match self.resolve(available) {
                Resolved::Part { first, last } => Growing::Part { first, last },
                Resolved::Whole => Growing::Whole,
                Resolved::Unsatisfiable => Growing::Unsatisfiable,
            },
        }
    }
}

/// The range that a request asks for, if there is one and it counts: only in `GET`, and with
/// `If-Range` only if that holds the representation's present, strong entity tag. A date in
/// `If-Range` never matches, for a second is too coarse to be a strong validator here.
#[must_use]
pub fn requested(request: &Request<'_>, etag: Option<&str>) -> Option<ByteRange> {
    match request.method {
        Method::Get => in_either(request, etag),
        _ => None,
    }
}

/// As [`requested`], for a representation that still grows: there a range counts in `HEAD`
/// too, by which a client learns how much there is (RFC 8673 §2.1).
#[must_use]
pub fn requested_growing(request: &Request<'_>, etag: Option<&str>) -> Option<ByteRange> {
    match request.method {
        Method::Get | Method::Head => in_either(request, etag),
        _ => None,
    }
}

fn in_either(request: &Request<'_>, etag: Option<&str>) -> Option<ByteRange> {
    let range = request.range?;
    if let Some(condition) = request.if_range
        && !etag.is_some_and(|etag| strong_match(condition, etag.as_bytes()))
    {
        return None;
    }
    ByteRange::parse(range)
}

/// A position of any size: one that needs more than 64 bits is past every end.
fn position(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0_u64, |n, &digit| {
        n.saturating_mul(10).saturating_add(u64::from(digit - b'0'))
    }))
}
