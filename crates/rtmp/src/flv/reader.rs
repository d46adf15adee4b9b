//! Reads FLV files and streams as they arrive.

use super::{TAG_HEADER_BYTES, TagKind};
use crate::error::{Error, Fault};
use crate::limits::{FIRST_RESERVE_BYTES, MESSAGE_BYTES_MAX};
use bytes::{Bytes, BytesMut};
use nom::bytes::complete::tag;
use nom::number::complete::{be_u8, be_u24, be_u32};
use nom::{IResult, Parser};

/// One tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// Where its header starts, in bytes from the start of the file.
    pub offset: u64,
    /// What the body is.
    pub kind: TagKind,
    /// Milliseconds, as 32 bits: `Timestamp` and `TimestampExtended`.
    pub timestamp: u32,
    /// The body.
    pub body: Bytes,
}

/// Takes a file in any pieces and gives its tags. Memory: one tag of at most
/// [`MESSAGE_BYTES_MAX`], grown as bytes arrive.
#[derive(Debug)]
pub struct Reader {
    state: State,
    /// Bytes of the current unit.
    unit: BytesMut,
    /// Bytes consumed so far.
    offset: u64,
    has_audio: bool,
    has_video: bool,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// In the file header.
    FileHeader,
    /// In bytes that are not looked at: what a longer file header adds, `PreviousTagSize`.
    Skip(u64),
    /// In a tag header.
    TagHeader,
    /// In a body.
    Body {
        offset: u64,
        kind: TagKind,
        timestamp: u32,
        size: usize,
    },
}

/// The parts of the file header that are needed: flags and the header's own length.
const HEADER_BYTES: usize = 9;
const PREVIOUS_TAG_SIZE_BYTES: usize = 4;

impl Default for Reader {
    fn default() -> Self {
        Self::new()
    }
}

impl Reader {
    /// A reader at the start of a file.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: State::FileHeader,
            unit: BytesMut::new(),
            offset: 0,
            has_audio: false,
            has_video: false,
        }
    }

    /// The flags of the file header: audio, video. A hint only.
    #[must_use]
    pub fn announced(&self) -> (bool, bool) {
        (self.has_audio, self.has_video)
    }

    /// Whether the input so far ends in the middle of a header or body.
    #[must_use]
    pub fn is_inside_unit(&self) -> bool {
        !matches!(self.state, State::TagHeader | State::Skip(_)) || !self.unit.is_empty()
    }

    /// Reads up to the end of the next tag, or all of `input`; `input` is moved on over what
    /// was read. `None` means that all was read and more is needed. `PreviousTagSize` is not
    /// checked: many files have it wrong, and nothing depends on it.
    ///
    /// # Errors
    /// No FLV header, an encrypted tag, or a tag above [`MESSAGE_BYTES_MAX`].
    pub fn next_tag(&mut self, input: &mut &[u8]) -> Result<Option<Tag>, Error> {
        loop {
            match self.state {
                State::FileHeader => {
                    if !self.fill(HEADER_BYTES, input) {
                        return Ok(None);
                    }
                    self.file_header()?;
                }
                State::Skip(left) => {
                    let n = usize::try_from(left).map_or(input.len(), |l| l.min(input.len()));
                    *input = &input[n..];
                    self.offset += n as u64;
                    let left = left - n as u64;
                    if left > 0 {
                        self.state = State::Skip(left);
                        return Ok(None);
                    }
                    self.state = State::TagHeader;
                }
                State::TagHeader => {
                    if !self.fill(TAG_HEADER_BYTES, input) {
                        return Ok(None);
                    }
                    self.tag_header()?;
                }
                State::Body {
                    offset,
                    kind,
                    timestamp,
                    size,
                } => {
                    if !self.fill(size, input) {
                        return Ok(None);
                    }
                    self.state = State::Skip(PREVIOUS_TAG_SIZE_BYTES as u64);
                    let body = std::mem::take(&mut self.unit).freeze();
                    return Ok(Some(Tag {
                        offset,
                        kind,
                        timestamp,
                        body,
                    }));
                }
            }
        }
    }

    /// Collects the unit up to `size` bytes; true when it is whole.
    fn fill(&mut self, size: usize, input: &mut &[u8]) -> bool {
        let n = (size - self.unit.len()).min(input.len());
        let (now, later) = input.split_at(n);
        if n > self.unit.capacity() - self.unit.len() {
            let wanted = FIRST_RESERVE_BYTES
                .max(self.unit.capacity() * 2)
                .max(self.unit.len() + n)
                .min(size);
            self.unit.reserve(wanted - self.unit.len());
        }
        self.unit.extend_from_slice(now);
        *input = later;
        self.offset += n as u64;
        self.unit.len() == size
    }

    fn error(&self, fault: Fault) -> Error {
        Error {
            offset: self.offset,
            fault,
        }
    }

    fn file_header(&mut self) -> Result<(), Error> {
        let fields: IResult<_, _> = (tag(&b"FLV\x01"[..]), be_u8, be_u32).parse(&self.unit[..]);
        let header = fields.ok().map(|(_, (_, flags, length))| (flags, length));
        let Some((flags, length)) = header.filter(|h| h.1 as usize >= HEADER_BYTES) else {
            return Err(self.error(Fault::FlvHeader));
        };
        (self.has_audio, self.has_video) = (flags & 4 != 0, flags & 1 != 0);
        self.unit.clear();
        let after_fields = u64::from(length) - HEADER_BYTES as u64;
        let rest = after_fields + PREVIOUS_TAG_SIZE_BYTES as u64;
        self.state = State::Skip(rest);
        Ok(())
    }

    fn tag_header(&mut self) -> Result<(), Error> {
        let offset = self.offset - TAG_HEADER_BYTES as u64;
        let fields: IResult<_, _> = (be_u8, be_u24, be_u24, be_u8).parse(&self.unit[..]);
        let Ok((_, (kind, size, low, high))) = fields else {
            return Err(self.error(Fault::Truncated("FLV tag header")));
        };
        if kind & 0x20 != 0 {
            return Err(self.error(Fault::FlvEncrypted));
        }
        if size > MESSAGE_BYTES_MAX {
            return Err(self.error(Fault::MessageTooLong(size)));
        }
        self.unit = BytesMut::new();
        self.state = State::Body {
            offset,
            kind: TagKind::from_wire(kind & 0x1f),
            timestamp: u32::from(high) << 24 | low,
            size: size as usize,
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{file_header, previous_tag_size, tag_header};
    use super::*;

    fn file() -> Vec<u8> {
        let mut out = file_header(true, false).to_vec();
        for (kind, timestamp, body) in [
            (TagKind::Script, 0, &b"meta"[..]),
            (TagKind::Audio, 0x0123_4567, b""),
            (TagKind::Video, u32::MAX, b"picture"),
        ] {
            out.extend(tag_header(kind, timestamp, body.len() as u32));
            out.extend(body);
            out.extend(previous_tag_size(body.len() as u32));
        }
        out
    }

    fn read(parts: &[&[u8]]) -> Result<Vec<Tag>, Error> {
        let mut reader = Reader::new();
        let mut tags = Vec::new();
        for mut part in parts.iter().copied() {
            while let Some(tag) = reader.next_tag(&mut part)? {
                tags.push(tag);
            }
        }
        Ok(tags)
    }

    #[test]
    fn tags_come_out_whole_at_every_split() {
        let file = file();
        let whole = read(&[&file]).unwrap();
        assert_eq!(whole.len(), 3);
        assert_eq!(whole[0].offset, 13);
        assert_eq!(whole[1].timestamp, 0x0123_4567);
        assert_eq!(
            (whole[2].kind, &whole[2].body[..], whole[2].timestamp),
            (TagKind::Video, &b"picture"[..], u32::MAX)
        );
        for at in 0..file.len() {
            let (a, b) = file.split_at(at);
            assert_eq!(read(&[a, b]).unwrap(), whole, "{at}");
        }
    }

    #[test]
    fn a_longer_file_header_is_skipped() {
        let mut file = file();
        file[8] = 12;
        file.splice(9..9, [1, 2, 3]);
        assert_eq!(read(&[&file]).unwrap()[0].offset, 16);
    }

    #[test]
    fn broken_files_are_refused() {
        let fault = |bytes: &[u8]| read(&[bytes]).unwrap_err();
        assert_eq!(fault(b"RIFF\x01\x05\0\0\0").fault, Fault::FlvHeader);
        assert_eq!(fault(b"FLV\x01\x05\0\0\0\x08").fault, Fault::FlvHeader);
        let mut encrypted = file();
        encrypted[13] |= 0x20;
        let error = fault(&encrypted);
        assert_eq!((error.fault, error.offset), (Fault::FlvEncrypted, 24));
        let mut long = file();
        long[14] = 0xff;
        assert!(matches!(fault(&long).fault, Fault::MessageTooLong(_)));
    }

    #[test]
    fn a_declared_size_reserves_little() {
        let mut reader = Reader::new();
        let mut bytes = &[
            &file_header(true, true)[..],
            &tag_header(TagKind::Video, 0, MESSAGE_BYTES_MAX)[..],
            b"x",
        ]
        .concat()[..];
        assert_eq!(reader.next_tag(&mut bytes).unwrap(), None);
        assert!(reader.unit.capacity() <= 2 * FIRST_RESERVE_BYTES);
        assert!(reader.is_inside_unit());
    }
}
