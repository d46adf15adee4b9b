//! Cutting bytes into boxes and boxes into fields.
//!
//! Headers at the top level are read with nom's streaming parsers, which can say how much
//! more they need; inside a box the length is known, and the complete ones are used.

use crate::error::{BoxPath, Error, Place};
use crate::four_cc::FourCc;
use bytes::Bytes;
use nom::number::{complete, streaming};
use nom::{IResult, Parser};

/// Bytes of the longest box header without a user type: with `largesize`.
pub(crate) const HEADER_BYTES_MAX: u64 = 16;

/// Header of a box, ISO/IEC 14496-12 §4.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) four_cc: FourCc,
    /// Size of the box with its header; `None` means up to the end of the file.
    pub(crate) size: Option<u64>,
    /// Bytes of the header: 8, or 16 with `largesize`.
    pub(crate) len: u64,
}

impl Header {
    /// Reads a header; nom's `Incomplete` tells how many bytes are missing.
    pub(crate) fn parse(input: &[u8]) -> IResult<&[u8], Self> {
        let (rest, (size, four_cc)) = (streaming::be_u32, four_cc).parse(input)?;
        match size {
            0 => Ok((
                rest,
                Self {
                    four_cc,
                    size: None,
                    len: 8,
                },
            )),
            1 => {
                let (rest, size) = streaming::be_u64(rest)?;
                Ok((
                    rest,
                    Self {
                        four_cc,
                        size: Some(size),
                        len: HEADER_BYTES_MAX,
                    },
                ))
            }
            n => Ok((
                rest,
                Self {
                    four_cc,
                    size: Some(u64::from(n)),
                    len: 8,
                },
            )),
        }
    }

    /// Checks the size against its header and the bytes there are, counted from the first
    /// byte of the box. `open_ended` allows a size up to the end.
    pub(crate) fn checked_size(
        &self,
        at: Place,
        room: u64,
        open_ended: bool,
    ) -> Result<u64, Error> {
        match self.size {
            None if open_ended => Ok(room),
            None => Err(Error::BoxSize { at, size: 0 }),
            Some(size) if size < self.len => Err(Error::BoxSize { at, size }),
            Some(size) if size > room => Err(Error::BoxPastEnd { at, size, room }),
            Some(size) => Ok(size),
        }
    }
}

fn four_cc(input: &[u8]) -> IResult<&[u8], FourCc> {
    streaming::be_u32
        .map(|v| FourCc(v.to_be_bytes()))
        .parse(input)
}

/// Place of a box inside `parent`.
fn place_in(parent: Place, four_cc: FourCc, offset: u64) -> Result<Place, Error> {
    match parent.path.join(four_cc) {
        Some(path) => Ok(Place { path, offset }),
        None => Err(Error::TooMany {
            at: parent,
            what: "nested boxes",
            max: crate::limits::NESTING_MAX as u64,
        }),
    }
}

/// Place of a top-level box.
pub(crate) fn top_level(four_cc: FourCc, offset: u64) -> Place {
    Place {
        path: BoxPath::default().join(four_cc).unwrap_or_default(),
        offset,
    }
}

/// A box whose bytes are all there.
#[derive(Debug, Clone)]
pub(crate) struct BoxBody {
    pub(crate) four_cc: FourCc,
    pub(crate) at: Place,
    /// Offset of the first byte of `body` in the file.
    body_offset: u64,
    /// What follows the header.
    body: Bytes,
}

impl BoxBody {
    /// A box at the top level of a file, `body` being what follows its header.
    pub(crate) fn top_level(header: &Header, offset: u64, body: Bytes) -> Self {
        Self {
            four_cc: header.four_cc,
            at: top_level(header.four_cc, offset),
            body_offset: offset.saturating_add(header.len),
            body,
        }
    }

    /// The fields of the box from its beginning.
    pub(crate) fn fields(&self) -> Fields<'_> {
        Fields {
            of: self,
            rest: &self.body,
        }
    }

    /// The boxes in a box that holds nothing else.
    pub(crate) fn children(&self) -> Children<'_> {
        self.fields().children()
    }

    /// First child of a name.
    pub(crate) fn child(&self, four_cc: [u8; 4]) -> Result<Self, Error> {
        for child in self.children() {
            let child = child?;
            if child.four_cc.0 == four_cc {
                return Ok(child);
            }
        }
        Err(self.missing(four_cc))
    }

    pub(crate) fn missing(&self, four_cc: [u8; 4]) -> Error {
        Error::Missing {
            at: self.at,
            four_cc: FourCc(four_cc),
        }
    }
}

/// Reads the fields of a box one after the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'a> {
    of: &'a BoxBody,
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    fn number<T>(
        &mut self,
        field: &'static str,
        parser: impl Fn(&'a [u8]) -> IResult<&'a [u8], T, ()>,
    ) -> Result<T, Error> {
        let (rest, value) = parser(self.rest).map_err(|_| self.truncated(field))?;
        self.rest = rest;
        Ok(value)
    }

    fn truncated(&self, field: &'static str) -> Error {
        Error::Truncated {
            at: self.of.at,
            field,
        }
    }

    pub(crate) fn u8(&mut self, field: &'static str) -> Result<u8, Error> {
        self.number(field, complete::be_u8)
    }

    pub(crate) fn u16(&mut self, field: &'static str) -> Result<u16, Error> {
        self.number(field, complete::be_u16)
    }

    pub(crate) fn u32(&mut self, field: &'static str) -> Result<u32, Error> {
        self.number(field, complete::be_u32)
    }

    pub(crate) fn i32(&mut self, field: &'static str) -> Result<i32, Error> {
        self.number(field, complete::be_i32)
    }

    pub(crate) fn u64(&mut self, field: &'static str) -> Result<u64, Error> {
        self.number(field, complete::be_u64)
    }

    /// A number of 64 bits in version 1 of a box, of 32 bits before.
    pub(crate) fn u32_or_u64(&mut self, wide: bool, field: &'static str) -> Result<u64, Error> {
        if wide {
            self.u64(field)
        } else {
            self.u32(field).map(u64::from)
        }
    }

    pub(crate) fn four_cc(&mut self, field: &'static str) -> Result<FourCc, Error> {
        self.u32(field).map(|v| FourCc(v.to_be_bytes()))
    }

    pub(crate) fn skip(&mut self, bytes: usize, field: &'static str) -> Result<(), Error> {
        self.rest = self
            .rest
            .get(bytes..)
            .ok_or_else(|| self.truncated(field))?;
        Ok(())
    }

    /// The next `bytes` as fields of their own.
    pub(crate) fn cut(&mut self, bytes: usize, field: &'static str) -> Result<Self, Error> {
        let (cut, rest) = self
            .rest
            .split_at_checked(bytes)
            .ok_or_else(|| self.truncated(field))?;
        self.rest = rest;
        Ok(Self {
            of: self.of,
            rest: cut,
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Version and flags of a full box.
    pub(crate) fn version_and_flags(&mut self) -> Result<(u8, u32), Error> {
        let word = self.u32("version")?;
        Ok(((word >> 24) as u8, word & 0xff_ffff))
    }

    /// Version and flags, if the version is at most `max`.
    pub(crate) fn version_up_to(&mut self, max: u8) -> Result<(u8, u32), Error> {
        let (version, flags) = self.version_and_flags()?;
        if version > max {
            let at = self.of.at;
            return Err(Error::Version { at, version });
        }
        Ok((version, flags))
    }

    /// `entries` table entries of `entry_bytes` each. Nothing is copied.
    pub(crate) fn table(&self, entries: u32, entry_bytes: usize) -> Result<Bytes, Error> {
        usize::try_from(entries)
            .ok()
            .and_then(|n| n.checked_mul(entry_bytes))
            .and_then(|len| self.rest.get(..len))
            .map(|table| self.of.body.slice_ref(table))
            .ok_or(Error::EntryCount {
                at: self.of.at,
                entries,
                room: self.rest.len() as u64,
            })
    }

    /// The fields that are left, as bytes. Nothing is copied.
    pub(crate) fn rest(&self) -> Bytes {
        self.of.body.slice_ref(self.rest)
    }

    /// The boxes that follow the fields read so far.
    pub(crate) fn children(&self) -> Children<'a> {
        Children {
            parent: self.of,
            rest: self.rest,
        }
    }
}

/// The boxes inside a box. After an error it ends.
#[derive(Debug, Clone)]
pub(crate) struct Children<'a> {
    parent: &'a BoxBody,
    rest: &'a [u8],
}

impl Children<'_> {
    fn read(&mut self) -> Result<BoxBody, Error> {
        let parent = self.parent;
        let position = parent.body.len() - self.rest.len();
        let offset = parent.body_offset.saturating_add(position as u64);
        let Ok((after, header)) = Header::parse(self.rest) else {
            let (at, field) = (parent.at, "size");
            return Err(Error::Truncated { at, field });
        };
        let at = place_in(parent.at, header.four_cc, offset)?;
        let size = header.checked_size(at, self.rest.len() as u64, false)?;
        // The size was found to lie between the header's and that of the rest.
        let body = (size - header.len) as usize;
        let (body, rest) = after.split_at(body.min(after.len()));
        self.rest = rest;
        Ok(BoxBody {
            four_cc: header.four_cc,
            at,
            body_offset: offset.saturating_add(header.len),
            body: parent.body.slice_ref(body),
        })
    }
}

impl Iterator for Children<'_> {
    type Item = Result<BoxBody, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        // QuickTime ends some lists of boxes with 32 zero bits (QuickTime File Format,
        // "User data atoms" and "Sample description extensions").
        if self.rest.len() < 8 && self.rest.iter().all(|&b| b == 0) {
            return None;
        }
        let result = self.read();
        if result.is_err() {
            self.rest = &[];
        }
        Some(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed(body: &'static [u8]) -> BoxBody {
        let header = Header {
            four_cc: FourCc(*b"moov"),
            size: None,
            len: 8,
        };
        BoxBody::top_level(&header, 100, Bytes::from_static(body))
    }

    #[test]
    fn a_header_says_how_much_it_needs() {
        let bytes = b"\0\0\0\x01mdat\0\0\0\x01\0\0\0\x10rest";
        for n in 0..16 {
            assert!(Header::parse(&bytes[..n]).unwrap_err().is_incomplete());
        }
        let (rest, header) = Header::parse(bytes).unwrap();
        assert_eq!((rest, header.len), (&b"rest"[..], 16));
        assert_eq!(header.size, Some(0x1_0000_0010));
    }

    #[test]
    fn children_stay_inside_their_parent() {
        let b = boxed(b"\0\0\0\x09freeX\0\0\0\x0afreeXX\0\0\0\0");
        let found: Vec<_> = b.children().map(Result::unwrap).collect();
        assert_eq!(found.len(), 2);
        assert_eq!(found[1].at.offset, 117);
        assert_eq!(found[1].at.to_string(), "moov/free at 117");

        let faults = [
            (
                &b"\0\0\0\x0bfreeXX"[..],
                "moov/free at 108: 11 bytes claimed where 10 are left",
            ),
            (
                b"\0\0\0\x07freeXX",
                "moov/free at 108: a box cannot have 7 bytes",
            ),
            (
                b"\0\0\0\0freeXX",
                "moov/free at 108: a box cannot have 0 bytes",
            ),
            (b"\0\0\0\x01free\0\0\0\0", "moov at 100: ends before size"),
            (
                b"\0\0\0\x01free\0\0\0\0\0\0\0\x0f",
                "moov/free at 108: a box cannot have 15 bytes",
            ),
            (b"fre", "moov at 100: ends before size"),
        ];
        for (body, fault) in faults {
            let b = boxed(body);
            let mut children = b.children();
            assert_eq!(children.next().unwrap().unwrap_err().to_string(), fault);
            assert!(children.next().is_none());
        }
    }

    #[test]
    fn a_table_is_never_longer_than_its_box() {
        let b = boxed(&[0; 24]);
        let mut fields = b.fields();
        fields.skip(4, "version").unwrap();
        assert_eq!(fields.table(5, 4).unwrap().len(), 20);
        assert_eq!(
            fields.table(u32::MAX, 12).unwrap_err(),
            Error::EntryCount {
                at: b.at,
                entries: u32::MAX,
                room: 20
            }
        );
    }

    #[test]
    fn nesting_ends_at_the_limit() {
        let mut at = Place::default();
        for _ in 0..crate::limits::NESTING_MAX {
            at = place_in(at, FourCc(*b"free"), 0).unwrap();
        }
        assert!(matches!(
            place_in(at, FourCc(*b"free"), 0),
            Err(Error::TooMany {
                what: "nested boxes",
                ..
            })
        ));
    }
}
