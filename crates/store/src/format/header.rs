//! The header of index and sample files.
//!
//! ```text
//!   0  magic 8           40  started, us since 1970 (8)
//!   8  version 2         48  first media sequence 8
//!  10  track kind 1      56  first discontinuity sequence 8
//!  11  0                 64  TS packets before 8
//!  12  track id 2        72  target duration, s (4), 0 unknown
//!  14  0                 76  0 …
//!  16  timescale 4      124  CRC-32 over 0..124
//!  20  file number 4
//!  24  broadcast id 16
//! ```

use super::{FormatError, Put, Take, VERSION};
use weir_media::{TrackId, TrackKind, Utc};

/// Bytes of a header.
pub const HEADER_BYTES: usize = 128;

const CHECKED_BYTES: usize = HEADER_BYTES - 4;

/// Which file of a set a header starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// `.index`
    Index,
    /// `.samples`
    Samples,
}

impl FileKind {
    fn magic(self) -> [u8; 8] {
        match self {
            Self::Index => *b"weirIDX\0",
            Self::Samples => *b"weirSMP\0",
        }
    }
}

/// What a file says of itself, so that it can be read without its neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Track it is of.
    pub track: TrackId,
    /// Kind of the track.
    pub kind: TrackKind,
    /// Ticks per second of all times in the file.
    pub timescale: u32,
    /// Number of the file set within the broadcast, from 1.
    pub file_number: u32,
    /// The broadcast.
    pub broadcast: [u8; 16],
    /// When the broadcast began.
    pub started: Utc,
    /// Number of the first segment in the file.
    pub media_sequence: u64,
    /// Discontinuities before that segment.
    pub discontinuity_sequence: u64,
    /// Transport stream packets of this track before that segment.
    pub ts_packets_before: u64,
    /// Target duration of the broadcast in seconds; 0 if no segment was listed yet.
    pub target_duration: u32,
}

impl Header {
    /// The header's bytes.
    #[must_use]
    pub fn encode(&self, file: FileKind) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        let kind = match self.kind {
            TrackKind::Video => 1,
            TrackKind::Audio => 2,
        };
        Put(&mut bytes)
            .bytes(&file.magic())
            .u16(VERSION)
            .u8(kind)
            .u8(0)
            .u16(self.track.0)
            .u16(0)
            .u32(self.timescale)
            .u32(self.file_number)
            .bytes(&self.broadcast)
            .i64(self.started.0)
            .u64(self.media_sequence)
            .u64(self.discontinuity_sequence)
            .u64(self.ts_packets_before)
            .u32(self.target_duration);
        let crc = crc32fast::hash(&bytes[..CHECKED_BYTES]);
        Put(&mut bytes[CHECKED_BYTES..]).u32(crc);
        bytes
    }

    /// Reads the header at the start of a file.
    ///
    /// # Errors
    /// The variants of [`FormatError`] that speak of headers.
    pub fn decode(bytes: &[u8], file: FileKind) -> Result<Self, FormatError> {
        let bytes = bytes
            .get(..HEADER_BYTES)
            .ok_or(FormatError::HeaderTruncated)?;
        let mut t = Take(bytes);
        if t.array() != file.magic() {
            return Err(FormatError::Magic);
        }
        if checksum(bytes) != crc32fast::hash(&bytes[..CHECKED_BYTES]) {
            return Err(FormatError::HeaderChecksum);
        }
        let version = t.u16();
        if version != VERSION {
            return Err(FormatError::Version(version));
        }
        let kind = match t.u8() {
            1 => TrackKind::Video,
            2 => TrackKind::Audio,
            _ => return Err(FormatError::HeaderField("track kind")),
        };
        t.u8();
        let track = TrackId(t.u16());
        t.u16();
        let timescale = t.u32();
        if timescale == 0 {
            return Err(FormatError::HeaderField("timescale"));
        }
        Ok(Self {
            track,
            kind,
            timescale,
            file_number: t.u32(),
            broadcast: t.array(),
            started: Utc(t.i64()),
            media_sequence: t.u64(),
            discontinuity_sequence: t.u64(),
            ts_packets_before: t.u64(),
            target_duration: t.u32(),
        })
    }

    /// The CRC of the encoded index header, which seeds those of its records.
    #[must_use]
    pub fn seed(&self) -> u32 {
        checksum(&self.encode(FileKind::Index))
    }
}

fn checksum(header: &[u8]) -> u32 {
    Take(header.get(CHECKED_BYTES..).unwrap_or_default()).u32()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            track: TrackId(2),
            kind: TrackKind::Audio,
            timescale: 44_100,
            file_number: 3,
            broadcast: *b"0123456789abcdef",
            started: Utc(1_763_678_400_000_000),
            media_sequence: 1_763_678_400,
            discontinuity_sequence: 1_763_678_401,
            ts_packets_before: 77,
            target_duration: 4,
        }
    }

    #[test]
    fn round_trip_and_kinds_differ() {
        let bytes = header().encode(FileKind::Index);
        assert_eq!(Header::decode(&bytes, FileKind::Index), Ok(header()));
        assert_eq!(
            Header::decode(&bytes, FileKind::Samples),
            Err(FormatError::Magic)
        );
    }

    #[test]
    fn every_bit_flip_and_prefix_is_an_error() {
        let bytes = header().encode(FileKind::Index);
        for n in 0..HEADER_BYTES {
            let prefix = Header::decode(&bytes[..n], FileKind::Index);
            assert_eq!(prefix, Err(FormatError::HeaderTruncated));
            for bit in 0..8 {
                let mut flipped = bytes;
                flipped[n] ^= 1 << bit;
                assert!(
                    Header::decode(&flipped, FileKind::Index).is_err(),
                    "{n}.{bit}"
                );
            }
        }
    }

    #[test]
    fn a_later_version_says_so() {
        let mut bytes = header().encode(FileKind::Index);
        bytes[9] = 2;
        let crc = crc32fast::hash(&bytes[..CHECKED_BYTES]);
        bytes[CHECKED_BYTES..].copy_from_slice(&crc.to_be_bytes());
        assert_eq!(
            Header::decode(&bytes, FileKind::Index),
            Err(FormatError::Version(2))
        );
    }
}
