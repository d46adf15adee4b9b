//! Index records: 64 bytes each.
//!
//! ```text
//!  0  type 1     4  fields 56, zero-filled
//!  1  flags 1   60  CRC-32
//!  2  small 2
//! ```
//! `small` is the target duration of a segment, the length of a piece of configuration or of a
//! datum, or the code of an event.

use super::datum::DatumPiece;
use super::header::{FileKind, HEADER_BYTES, Header};
use super::{FormatError, Put, Take};
use weir_media::Utc;

/// Bytes of a record.
pub const RECORD_BYTES: usize = 64;

/// Bytes of configuration that fit into one [`Config`] record.
pub const CONFIG_PIECE_BYTES: usize = 48;

const CHECKED_BYTES: usize = RECORD_BYTES - 4;

const INDEPENDENT: u8 = 1;
const DISCONTINUITY: u8 = 2;
const FINAL: u8 = 4;

/// One entry of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record {
    /// An init section; its [`Config`] records follow.
    Init(Init),
    /// A piece of the codec configuration record of the init section before it.
    Config(Config),
    /// A chunk. Chunks stand before the segment they belong to.
    Chunk(Chunk),
    /// A segment of all chunks since the last segment.
    Segment(Segment),
    /// A discontinuity before the segment that follows.
    Discontinuity(Discontinuity),
    /// Which wall-clock time a decoding time is.
    Clock(Clock),
    /// Something an operator may look for.
    Event(Event),
    /// A segment without media.
    Gap(Segment),
    /// Nothing follows in this file.
    Seal(Seal),
    /// A piece of data with a time.
    Datum(DatumPiece),
}

/// An init section in the data file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Init {
    /// Its number in the track.
    pub number: u32,
    /// Sample entry type (`avc1`, `mp4a`), which tells how the configuration is read.
    pub codec: [u8; 4],
    /// First byte in the data file.
    pub offset: u64,
    /// Its bytes.
    pub len: u32,
    /// Bytes of the codec configuration record.
    pub config_len: u32,
}

/// Up to 48 bytes of a codec configuration record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Number of the init section.
    pub number: u32,
    /// Position in the configuration record.
    pub at: u32,
    /// How many of `bytes` count.
    pub len: u16,
    /// The bytes, zero-filled.
    pub bytes: [u8; CONFIG_PIECE_BYTES],
}

/// A chunk in the data file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// Segment it belongs to.
    pub media_sequence: u64,
    /// First byte in the data file.
    pub offset: u64,
    /// Decoding time of its first sample, in ticks.
    pub decode_time: u64,
    /// Bytes of `moof` and `mdat`.
    pub len: u32,
    /// Bytes of `moof` and the `mdat` header.
    pub head_len: u32,
    /// Duration in ticks.
    pub duration: u32,
    /// Position in its segment, from 0.
    pub part: u32,
    /// Number of samples.
    pub sample_count: u32,
    /// Starts with a random access point.
    pub independent: bool,
}

/// A segment, or a gap in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Its number.
    pub media_sequence: u64,
    /// Decoding time of its first sample, in ticks.
    pub decode_time: u64,
    /// Wall-clock time of its first sample.
    pub program_date_time: Utc,
    /// Discontinuities before its first sample.
    pub discontinuity_sequence: u64,
    /// Transport stream packets of this track before it.
    pub ts_packets_before: u64,
    /// Duration in ticks.
    pub duration: u32,
    /// Number of its init section.
    pub init: u32,
    /// First byte of its block in the sample file.
    pub samples_offset: u32,
    /// Number of samples.
    pub sample_count: u32,
    /// Target duration of the broadcast, in seconds.
    pub target_duration: u16,
    /// Starts with a random access point.
    pub independent: bool,
    /// A discontinuity lies before it.
    pub discontinuity: bool,
}

/// A discontinuity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Discontinuity {
    /// Segment it is before.
    pub media_sequence: u64,
    /// Discontinuities up to and with this one.
    pub discontinuity_sequence: u64,
    /// Decoding time after it, in ticks.
    pub decode_time: u64,
}

/// A pair of times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// Decoding time in ticks.
    pub decode_time: u64,
    /// The wall-clock time it stands for.
    pub utc: Utc,
}

/// What happened to a broadcast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventCode {
    /// The publisher left.
    PublisherGone,
    /// A publisher came back.
    PublisherBack,
    /// Recording stopped: an append failed or took too long.
    RecordingStopped,
    /// The log was recovered; the value is the number of bytes dropped.
    Recovered,
    /// Another of the stream's inputs was taken; the value is its place.
    InputSwitched,
    /// A code of a later version of the program.
    Other(u16),
}

impl EventCode {
    fn code(self) -> u16 {
        match self {
            Self::PublisherGone => 1,
            Self::PublisherBack => 2,
            Self::RecordingStopped => 3,
            Self::Recovered => 4,
            Self::InputSwitched => 5,
            Self::Other(code) => code,
        }
    }

    fn of(code: u16) -> Self {
        match code {
            1 => Self::PublisherGone,
            2 => Self::PublisherBack,
            3 => Self::RecordingStopped,
            4 => Self::Recovered,
            5 => Self::InputSwitched,
            other => Self::Other(other),
        }
    }
}

/// An event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// What happened.
    pub code: EventCode,
    /// When.
    pub utc: Utc,
    /// Depends on the code; 0 if it says nothing.
    pub value: u64,
}

/// The end of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seal {
    /// When it was sealed.
    pub utc: Utc,
    /// Bytes of the data file.
    pub data_len: u64,
    /// The broadcast ends here; otherwise the next file goes on.
    pub end: bool,
}

impl Record {
    /// The record's bytes at `position` (0 for the first record) of an index whose header
    /// has the CRC `seed`.
    #[must_use]
    pub fn encode(&self, seed: u32, position: u64) -> [u8; RECORD_BYTES] {
        let mut bytes = [0; RECORD_BYTES];
        let (record_type, flags, small) = self.prefix();
        let mut put = Put(&mut bytes);
        put.u8(record_type).u8(flags).u16(small);
        self.put_fields(&mut put);
        let crc = checksum(seed, position, &bytes[..CHECKED_BYTES]);
        Put(&mut bytes[CHECKED_BYTES..]).u32(crc);
        bytes
    }

    fn prefix(&self) -> (u8, u8, u16) {
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        let of_segment =
            |s: &Segment| flag(s.independent, INDEPENDENT) | flag(s.discontinuity, DISCONTINUITY);
        match self {
            Self::Init(_) => (1, 0, 0),
            Self::Config(c) => (2, 0, c.len),
            Self::Chunk(c) => (3, flag(c.independent, INDEPENDENT), 0),
            Self::Segment(s) => (4, of_segment(s), s.target_duration),
            Self::Discontinuity(_) => (5, 0, 0),
            Self::Clock(_) => (6, 0, 0),
            Self::Event(e) => (7, 0, e.code.code()),
            Self::Gap(s) => (8, of_segment(s), s.target_duration),
            Self::Seal(s) => (9, flag(s.end, FINAL), 0),
            Self::Datum(d) => (10, d.kind, d.len),
        }
    }

    fn put_fields(&self, put: &mut Put<'_>) {
        match self {
            Self::Init(i) => put
                .u32(i.number)
                .bytes(&i.codec)
                .u64(i.offset)
                .u32(i.len)
                .u32(i.config_len),
            Self::Config(c) => put.u32(c.number).u32(c.at).bytes(&c.bytes),
            Self::Chunk(c) => put
                .u64(c.media_sequence)
                .u64(c.offset)
                .u64(c.decode_time)
                .u32(c.len)
                .u32(c.head_len)
                .u32(c.duration)
                .u32(c.part)
                .u32(c.sample_count),
            Self::Segment(s) | Self::Gap(s) => put
                .u64(s.media_sequence)
                .u64(s.decode_time)
                .i64(s.program_date_time.0)
                .u64(s.discontinuity_sequence)
                .u64(s.ts_packets_before)
                .u32(s.duration)
                .u32(s.init)
                .u32(s.samples_offset)
                .u32(s.sample_count),
            Self::Discontinuity(d) => put
                .u64(d.media_sequence)
                .u64(d.discontinuity_sequence)
                .u64(d.decode_time),
            Self::Clock(c) => put.u64(c.decode_time).i64(c.utc.0),
            Self::Event(e) => put.i64(e.utc.0).u64(e.value),
            Self::Seal(s) => put.i64(s.utc.0).u64(s.data_len),
            Self::Datum(d) => d.put(put),
        };
    }

    /// Reads the record at `position` of an index.
    ///
    /// # Errors
    /// A wrong length, checksum, type, or an impossible field.
    pub fn decode(bytes: &[u8], seed: u32, position: u64) -> Result<Self, FormatError> {
        let offset = record_offset(position);
        if bytes.len() != RECORD_BYTES {
            return Err(FormatError::RecordTruncated { offset });
        }
        let (checked, crc) = bytes.split_at(CHECKED_BYTES);
        if Take(crc).u32() != checksum(seed, position, checked) {
            return Err(FormatError::RecordChecksum { offset });
        }
        let mut t = Take(checked);
        let (record_type, flags, small) = (t.u8(), t.u8(), t.u16());
        Ok(match record_type {
            1 => Self::Init(Init {
                number: t.u32(),
                codec: t.array(),
                offset: t.u64(),
                len: t.u32(),
                config_len: t.u32(),
            }),
            2 => Self::Config(Config {
                number: t.u32(),
                at: t.u32(),
                len: config_len(small, offset)?,
                bytes: t.array(),
            }),
            3 => Self::Chunk(Chunk {
                media_sequence: t.u64(),
                offset: t.u64(),
                decode_time: t.u64(),
                len: t.u32(),
                head_len: t.u32(),
                duration: t.u32(),
                part: t.u32(),
                sample_count: t.u32(),
                independent: flags & INDEPENDENT != 0,
            }),
            4 => Self::Segment(Segment::take(&mut t, flags, small)),
            5 => Self::Discontinuity(Discontinuity {
                media_sequence: t.u64(),
                discontinuity_sequence: t.u64(),
                decode_time: t.u64(),
            }),
            6 => Self::Clock(Clock {
                decode_time: t.u64(),
                utc: Utc(t.i64()),
            }),
            7 => Self::Event(Event {
                code: EventCode::of(small),
                utc: Utc(t.i64()),
                value: t.u64(),
            }),
            8 => Self::Gap(Segment::take(&mut t, flags, small)),
            9 => Self::Seal(Seal {
                utc: Utc(t.i64()),
                data_len: t.u64(),
                end: flags & FINAL != 0,
            }),
            10 => Self::Datum(DatumPiece::take(&mut t, flags, small, offset)?),
            record_type => {
                return Err(FormatError::RecordType {
                    offset,
                    record_type,
                });
            }
        })
    }
}

impl Segment {
    fn take(t: &mut Take<'_>, flags: u8, target_duration: u16) -> Self {
        Self {
            media_sequence: t.u64(),
            decode_time: t.u64(),
            program_date_time: Utc(t.i64()),
            discontinuity_sequence: t.u64(),
            ts_packets_before: t.u64(),
            duration: t.u32(),
            init: t.u32(),
            samples_offset: t.u32(),
            sample_count: t.u32(),
            target_duration,
            independent: flags & INDEPENDENT != 0,
            discontinuity: flags & DISCONTINUITY != 0,
        }
    }
}

/// The pieces of a codec configuration record.
pub fn config_pieces(number: u32, record: &[u8]) -> impl Iterator<Item = Config> + '_ {
    record
        .chunks(CONFIG_PIECE_BYTES)
        .enumerate()
        .map(move |(i, piece)| {
            let mut bytes = [0; CONFIG_PIECE_BYTES];
            bytes[..piece.len()].copy_from_slice(piece);
            Config {
                number,
                at: (i * CONFIG_PIECE_BYTES) as u32,
                len: piece.len() as u16,
                bytes,
            }
        })
}

/// The records of an index, after its header. Ends at the first one that is not valid,
/// which it yields as an error.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    bytes: &'a [u8],
    seed: u32,
    position: u64,
}

impl<'a> Records<'a> {
    /// Reads the header of a whole index file, and the records behind it one by one.
    ///
    /// # Errors
    /// As [`Header::decode`].
    pub fn parse(index: &'a [u8]) -> Result<(Header, Self), FormatError> {
        let header = Header::decode(index, FileKind::Index)?;
        let records = Self {
            bytes: index.get(HEADER_BYTES..).unwrap_or_default(),
            seed: header.seed(),
            position: 0,
        };
        Ok((header, records))
    }
}

impl Iterator for Records<'_> {
    type Item = Result<Record, FormatError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.bytes.is_empty() {
            return None;
        }
        let (head, tail) = self.bytes.split_at(self.bytes.len().min(RECORD_BYTES));
        let record = Record::decode(head, self.seed, self.position);
        self.position += 1;
        self.bytes = if record.is_ok() { tail } else { &[] };
        Some(record)
    }
}

/// Offset of a record in the index file.
#[must_use]
pub fn record_offset(position: u64) -> u64 {
    position
        .saturating_mul(RECORD_BYTES as u64)
        .saturating_add(HEADER_BYTES as u64)
}

fn config_len(len: u16, offset: u64) -> Result<u16, FormatError> {
    if usize::from(len) > CONFIG_PIECE_BYTES {
        return Err(FormatError::Record {
            offset,
            what: "configuration piece is longer than a record",
        });
    }
    Ok(len)
}

fn checksum(seed: u32, position: u64, checked: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&seed.to_be_bytes());
    hasher.update(&position.to_be_bytes());
    hasher.update(checked);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_media::{TrackId, TrackKind};

    pub(crate) fn header() -> Header {
        Header {
            track: TrackId(1),
            kind: TrackKind::Video,
            timescale: 90_000,
            file_number: 1,
            broadcast: [7; 16],
            started: Utc(5),
            media_sequence: 100,
            discontinuity_sequence: 3,
            ts_packets_before: 0,
            target_duration: 4,
        }
    }

    fn each() -> Vec<Record> {
        let segment = Segment {
            media_sequence: 1 << 40,
            decode_time: 1 << 50,
            program_date_time: Utc(-5),
            discontinuity_sequence: 1 << 41,
            ts_packets_before: 1 << 42,
            duration: 360_000,
            init: 3,
            samples_offset: 0xffff_fff0,
            sample_count: 120,
            target_duration: 10,
            independent: true,
            discontinuity: true,
        };
        let mut records: Vec<_> = config_pieces(9, &[0xab; 100]).map(Record::Config).collect();
        records.extend([
            Record::Init(Init {
                number: 9,
                codec: *b"avc1",
                offset: 77,
                len: 800,
                config_len: 100,
            }),
            Record::Chunk(Chunk {
                media_sequence: 5,
                offset: 1 << 31,
                decode_time: 1 << 60,
                len: 1000,
                head_len: 100,
                duration: 45_000,
                part: 7,
                sample_count: 15,
                independent: false,
            }),
            Record::Segment(segment),
            Record::Gap(Segment {
                independent: false,
                ..segment
            }),
            Record::Discontinuity(Discontinuity {
                media_sequence: 1,
                discontinuity_sequence: 2,
                decode_time: 3,
            }),
            Record::Clock(Clock {
                decode_time: 4,
                utc: Utc(5),
            }),
            Record::Event(Event {
                code: EventCode::Other(900),
                utc: Utc(6),
                value: 7,
            }),
            Record::Seal(Seal {
                utc: Utc(8),
                data_len: 9,
                end: true,
            }),
            Record::Datum(DatumPiece {
                number: 1 << 30,
                kind: 2,
                at: 56,
                total: 84,
                time_90k: -1,
                utc: Utc(10),
                len: 28,
                bytes: [0xee; 28],
            }),
        ]);
        records
    }

    fn index(records: &[Record]) -> Vec<u8> {
        let mut bytes = header().encode(FileKind::Index).to_vec();
        for (position, record) in (0..).zip(records) {
            bytes.extend(record.encode(header().seed(), position));
        }
        bytes
    }

    #[test]
    fn every_record_survives_a_round_trip() {
        let bytes = index(&each());
        let (found, records) = Records::parse(&bytes).unwrap();
        assert_eq!(found, header());
        let records: Result<Vec<_>, _> = records.collect();
        assert_eq!(records.unwrap(), each());
    }

    #[test]
    fn every_prefix_gives_the_records_in_it() {
        let bytes = index(&each());
        for len in HEADER_BYTES..bytes.len() {
            let (_, records) = Records::parse(&bytes[..len]).unwrap();
            let whole = (len - HEADER_BYTES) / RECORD_BYTES;
            let found: Vec<_> = records.clone().map_while(Result::ok).collect();
            assert_eq!(found, each()[..whole]);
            let torn = !(len - HEADER_BYTES).is_multiple_of(RECORD_BYTES);
            let offset = record_offset(whole as u64);
            let error = Err(FormatError::RecordTruncated { offset });
            assert_eq!(records.clone().last() == Some(error), torn);
        }
    }

    #[test]
    fn every_bit_flip_is_found_and_ends_the_log_there() {
        let bytes = index(&each());
        for at in HEADER_BYTES..bytes.len() {
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                let (_, records) = Records::parse(&flipped).unwrap();
                let found: Vec<_> = records.collect();
                let good = (at - HEADER_BYTES) / RECORD_BYTES;
                assert_eq!(found.len(), good + 1, "{at}.{bit}");
                let offset = record_offset(good as u64);
                assert_eq!(found[good], Err(FormatError::RecordChecksum { offset }));
            }
        }
    }

    #[test]
    fn a_record_is_invalid_elsewhere() {
        let record = each()[0];
        let bytes = record.encode(1, 5);
        assert_eq!(Record::decode(&bytes, 1, 5), Ok(record));
        assert!(Record::decode(&bytes, 1, 6).is_err());
        assert!(Record::decode(&bytes, 2, 5).is_err());
    }
}
