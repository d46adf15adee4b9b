//! Open bitstream units, AV1 specification §5.3: the low-overhead format.

use crate::error::Error;
use crate::limits::OBUS_PER_TEMPORAL_UNIT_MAX;
use bytes::{BufMut, BytesMut};

/// `obu_type` values, §6.2.2.
pub mod obu_type {
    /// `OBU_SEQUENCE_HEADER`.
    pub const SEQUENCE_HEADER: u8 = 1;
    /// `OBU_TEMPORAL_DELIMITER`.
    pub const TEMPORAL_DELIMITER: u8 = 2;
    /// `OBU_FRAME_HEADER`.
    pub const FRAME_HEADER: u8 = 3;
    /// `OBU_FRAME`.
    pub const FRAME: u8 = 6;
}

/// One open bitstream unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Obu<'a> {
    /// `obu_type`.
    pub kind: u8,
    /// What follows header and size.
    pub data: &'a [u8],
    /// Where it ends in the bytes that are walked.
    pub end: usize,
}

/// Walks open bitstream units; the walk ends after an error. The last one may have no size.
#[derive(Debug, Clone)]
pub struct Obus<'a> {
    bytes: &'a [u8],
    at: usize,
    count: usize,
}

impl<'a> Obus<'a> {
    /// Starts at the first header.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            count: 0,
        }
    }

    fn read(&mut self) -> Result<Obu<'a>, Error> {
        let header = self.bytes[self.at];
        if header & 0x80 != 0 {
            return Err(Error::Field("obu_forbidden_bit"));
        }
        let (extension, has_size) = (header & 4 != 0, header & 2 != 0);
        let mut at = self.at + 1 + usize::from(extension);
        let rest = self.bytes.get(at..).ok_or(Error::Truncated("obu_size"))?;
        let size = if has_size {
            let (size, bytes) = leb128(rest)?;
            at += bytes;
            size
        } else {
            rest.len() as u64
        };
        let end = usize::try_from(size).ok().and_then(|s| at.checked_add(s));
        let data = end.and_then(|end| Some((end, self.bytes.get(at..end)?)));
        let (end, data) = data.ok_or(Error::ObuSize(size))?;
        self.at = end;
        Ok(Obu {
            kind: header >> 3 & 0xf,
            data,
            end,
        })
    }
}

impl<'a> Iterator for Obus<'a> {
    type Item = Result<Obu<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.bytes.len() {
            return None;
        }
        self.count += 1;
        let obu = match self.count {
            n if n > OBUS_PER_TEMPORAL_UNIT_MAX => Err(Error::TooManyNals),
            _ => self.read(),
        };
        if obu.is_err() {
            self.at = self.bytes.len();
        }
        Some(obu)
    }
}

/// An unsigned number of at most 32 bits in groups of seven, §4.10.5; with its length in bytes.
fn leb128(bytes: &[u8]) -> Result<(u64, usize), Error> {
    let mut value = 0u64;
    for (i, byte) in bytes.iter().take(8).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            return match u32::try_from(value) {
                Ok(_) => Ok((value, i + 1)),
                Err(_) => Err(Error::ObuSize(value)),
            };
        }
    }
    Err(Error::Truncated("obu_size"))
}

/// Writes a unit with its size.
pub(super) fn put(out: &mut BytesMut, kind: u8, data: &[u8]) {
    out.put_u8(kind << 3 | 2);
    let mut size = data.len();
    while size > 0x7f {
        out.put_u8(0x80 | (size & 0x7f) as u8);
        size >>= 7;
    }
    out.put_u8(size as u8);
    out.put_slice(data);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_extensions_and_a_last_one_without_size() {
        let bytes = [0x12, 0, 0x36, 0x08, 2, 7, 8, 0x30, 9, 10];
        let obus: Vec<Obu<'_>> = Obus::new(&bytes).collect::<Result<_, _>>().unwrap();
        assert_eq!(obus.len(), 3);
        assert_eq!((obus[1].kind, obus[1].data), (6, &[7u8, 8][..]));
        assert_eq!((obus[2].kind, obus[2].data), (6, &[9u8, 10][..]));
    }

    #[test]
    fn the_walk_is_bounded() {
        let empty = [0x12, 0].repeat(OBUS_PER_TEMPORAL_UNIT_MAX + 1);
        assert_eq!(Obus::new(&empty).last(), Some(Err(Error::TooManyNals)));
        assert_eq!(
            Obus::new(&[0x92, 0]).next(),
            Some(Err(Error::Field("obu_forbidden_bit")))
        );
    }

    #[test]
    fn sizes_round_trip() {
        for len in [0usize, 1, 127, 128, 300, 20_000] {
            let mut out = BytesMut::new();
            put(&mut out, 5, &vec![7; len]);
            let obu = Obus::new(&out).next().unwrap().unwrap();
            assert_eq!((obu.kind, obu.data.len(), obu.end), (5, len, out.len()));
        }
    }
}
