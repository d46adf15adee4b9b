//! The log's bytes, version 1. Pure: no files, no clock.
//!
//! A track's directory holds numbered sets of three files, each set readable on its own:
//!
//! ```text
//! NNNNNN.cmaf      init section, chunks …, further init sections and chunks as served
//! NNNNNN.index     header 128 B, records of 64 B
//! NNNNNN.samples   header 128 B, one block per segment
//! ```
//!
//! All integers are big-endian, as in the boxes they describe. Every record ends with a
//! CRC-32 (ISO-HDLC) over the header's CRC, the record's position and its first 60 bytes,
//! so that a record of another file, or at another place, is as invalid as a torn one.
//!
//! A reader takes the longest valid prefix. An index never points past what was appended
//! to the data file before it: per segment, data goes first, then its records.

pub mod datum;
pub mod header;
pub mod record;
pub mod samples;

pub use datum::DatumPiece;
pub use header::{FileKind, HEADER_BYTES, Header};
pub use record::{
    Chunk, Clock, Config, Discontinuity, Event, EventCode, Init, RECORD_BYTES, Record, Seal,
    Segment,
};

use std::fmt;

/// Format version in the headers. A change of meaning raises it.
pub const VERSION: u16 = 1;

/// Why bytes are not a log's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FormatError {
    /// The file ends inside its header.
    HeaderTruncated,
    /// The file does not start with the magic number of its kind.
    Magic,
    /// The file was written by a later version.
    Version(u16),
    /// The header's checksum is wrong.
    HeaderChecksum,
    /// A header field has no meaning; the text names it.
    HeaderField(&'static str),
    /// The file ends inside a record.
    RecordTruncated {
        /// Offset of the record.
        offset: u64,
    },
    /// A record's checksum is wrong.
    RecordChecksum {
        /// Offset of the record.
        offset: u64,
    },
    /// A record has an unknown type.
    RecordType {
        /// Offset of the record.
        offset: u64,
        /// The type.
        record_type: u8,
    },
    /// A record contradicts those before it, or the data file.
    Record {
        /// Offset of the record.
        offset: u64,
        /// What does not fit.
        what: &'static str,
    },
    /// A block of the sample file is torn, has a wrong checksum, or belongs to another
    /// segment.
    Samples {
        /// Offset of the block.
        offset: u64,
    },
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HeaderTruncated => f.write_str("ends inside its header"),
            Self::Magic => f.write_str("is not a track log file"),
            Self::Version(v) => write!(f, "has format version {v}, which is not {VERSION}"),
            Self::HeaderChecksum => f.write_str("has a damaged header"),
            Self::HeaderField(field) => write!(f, "has a header whose {field} means nothing"),
            Self::RecordTruncated { offset } => write!(f, "ends inside the record at {offset}"),
            Self::RecordChecksum { offset } => write!(f, "record at {offset} is damaged"),
            Self::RecordType {
                offset,
                record_type,
            } => write!(f, "record at {offset} has unknown type {record_type}"),
            Self::Record { offset, what } => write!(f, "record at {offset}: {what}"),
            Self::Samples { offset } => write!(f, "sample table at {offset} is damaged"),
        }
    }
}

impl std::error::Error for FormatError {}

/// Writes fields from the front. The caller's arrays are large enough by construction.
struct Put<'a>(&'a mut [u8]);

impl Put<'_> {
    fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        let rest = std::mem::take(&mut self.0);
        let (head, tail) = rest.split_at_mut(bytes.len().min(rest.len()));
        head.copy_from_slice(&bytes[..head.len()]);
        self.0 = tail;
        self
    }

    fn u8(&mut self, v: u8) -> &mut Self {
        self.bytes(&[v])
    }

    fn u16(&mut self, v: u16) -> &mut Self {
        self.bytes(&v.to_be_bytes())
    }

    fn u32(&mut self, v: u32) -> &mut Self {
        self.bytes(&v.to_be_bytes())
    }

    fn u64(&mut self, v: u64) -> &mut Self {
        self.bytes(&v.to_be_bytes())
    }

    fn i64(&mut self, v: i64) -> &mut Self {
        self.bytes(&v.to_be_bytes())
    }
}

/// Reads fields from the front; zeros behind the end, which callers exclude by cutting
/// their input to a fixed size first.
struct Take<'a>(&'a [u8]);

impl Take<'_> {
    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        let n = N.min(self.0.len());
        let (head, tail) = self.0.split_at(n);
        out[..n].copy_from_slice(head);
        self.0 = tail;
        out
    }

    fn u8(&mut self) -> u8 {
        u8::from_be_bytes(self.array())
    }

    fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.array())
    }

    fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.array())
    }

    fn u64(&mut self) -> u64 {
        u64::from_be_bytes(self.array())
    }

    fn i64(&mut self) -> i64 {
        i64::from_be_bytes(self.array())
    }
}
