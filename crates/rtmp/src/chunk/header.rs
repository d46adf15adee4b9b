//! Chunk headers on the wire, §5.3.1: streaming parsers.

use super::EXTENDED;
use nom::number::streaming::{be_u8, be_u24, be_u32, le_u16, le_u32};
use nom::{IResult, Needed, Parser};

/// The message header of a type 0, 1 or 2 chunk; what it leaves out is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MessageHeader {
    /// Timestamp (type 0) or delta, with the extended field applied.
    pub(super) time: u32,
    /// Whether the extended field was there.
    pub(super) extended: bool,
    /// Length and type id (types 0 and 1).
    pub(super) length_and_type: Option<(u32, u8)>,
    /// Message stream (type 0).
    pub(super) stream_id: Option<u32>,
}

/// `fmt` and chunk stream id, §5.3.1.1.
#[inline]
pub(super) fn basic(input: &[u8]) -> IResult<&[u8], (u8, u32)> {
    let (rest, first) = be_u8(input)?;
    let (rest, csid) = match first & 0x3f {
        0 => {
            let (rest, second) = be_u8(rest)?;
            (rest, u32::from(second) + 64)
        }
        1 => {
            // The third byte is the higher one.
            let (rest, both) = le_u16(rest)?;
            (rest, u32::from(both) + 64)
        }
        csid => (rest, u32::from(csid)),
    };
    Ok((rest, (first >> 6, csid)))
}

/// Message header and extended timestamp of a chunk that is not of type 3, §5.3.1.2.
#[inline]
pub(super) fn message(fmt: u8, input: &[u8]) -> IResult<&[u8], MessageHeader> {
    let (mut rest, field) = be_u24(input)?;
    let (mut length_and_type, mut stream_id) = (None, None);
    if fmt < 2 {
        let (r, both) = (be_u24, be_u8).parse(rest)?;
        (rest, length_and_type) = (r, Some(both));
    }
    if fmt == 0 {
        let (r, id) = le_u32(rest)?;
        (rest, stream_id) = (r, Some(id));
    }
    let extended = field == EXTENDED;
    let (rest, time) = if extended {
        be_u32(rest)?
    } else {
        (rest, field)
    };
    Ok((
        rest,
        MessageHeader {
            time,
            extended,
            length_and_type,
            stream_id,
        },
    ))
}

/// The extended timestamp of a type 3 chunk, which may be missing: it is taken only if it is
/// what the sender should repeat. Payload that looks the same has a chance of 2^-32.
#[inline]
pub(super) fn repeated(expected: u32, input: &[u8]) -> IResult<&[u8], ()> {
    let expected = expected.to_be_bytes();
    let n = input.len().min(4);
    if input[..n] != expected[..n] {
        Ok((input, ()))
    } else if n < 4 {
        Err(nom::Err::Incomplete(Needed::new(4 - n)))
    } else {
        Ok((&input[4..], ()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunk_stream_ids_in_all_three_forms() {
        assert_eq!(basic(&[0xc3]), Ok((&[][..], (3, 3))));
        assert_eq!(basic(&[0x3f]), Ok((&[][..], (0, 63))));
        assert_eq!(basic(&[0x40, 0]), Ok((&[][..], (1, 64))));
        assert_eq!(basic(&[0x00, 255]), Ok((&[][..], (0, 319))));
        assert_eq!(basic(&[0x01, 1, 2]), Ok((&[][..], (0, 2 * 256 + 1 + 64))));
        assert_eq!(basic(&[0x81, 255, 255]), Ok((&[][..], (2, 65_599))));
        assert!(basic(&[0x01, 1]).is_err_and(|e| e.is_incomplete()));
    }

    #[test]
    fn extended_is_needed_only_at_the_limit() {
        let (rest, h) = message(2, &[0xff, 0xff, 0xfe, 9]).unwrap();
        assert_eq!((rest, h.time, h.extended), (&[9][..], 0xff_fffe, false));
        let (rest, h) = message(2, &[0xff, 0xff, 0xff, 1, 2, 3, 4]).unwrap();
        assert_eq!((rest.len(), h.time, h.extended), (0, 0x0102_0304, true));
        assert!(message(2, &[0xff, 0xff, 0xff, 1, 2]).is_err());
    }

    #[test]
    fn a_repeated_timestamp_waits_only_while_it_may_be_one() {
        assert_eq!(repeated(0x0102_0304, &[1, 2, 3, 4, 5]), Ok((&[5][..], ())));
        assert_eq!(repeated(0x0102_0304, &[1, 9]), Ok((&[1, 9][..], ())));
        assert!(repeated(0x0102_0304, &[1, 2, 3]).is_err_and(|e| e.is_incomplete()));
    }
}
