//! What a log holds, from its bytes: pure functions, on whatever a crash has left.

use crate::datum::Datum;
use crate::format::datum::{DatumBuilder, DatumPiece};
use crate::format::record::{self, Records};
use crate::format::{EventCode, FormatError, Header, Record};
use crate::limits::{SEGMENT_CHUNKS_MAX, SEGMENT_SAMPLES_MAX};
use bytes::Bytes;
use std::sync::Arc;
use weir_media::limits::CONFIG_BYTES_MAX;
use weir_media::{CodecConfig, Sample, SampleFlags, TrackId, TrackKind, avc};
use weir_mp4::{Parsed, parse_fragment};

/// The valid part of an index.
#[derive(Debug, Clone)]
pub struct Replay {
    /// The header.
    pub header: Header,
    /// Init sections, in order.
    pub inits: Vec<ReplayedInit>,
    /// Segments and gaps, in order.
    pub segments: Vec<ReplayedSegment>,
    /// Data with a time, in order.
    pub data: Vec<Arc<Datum>>,
    /// Bytes of the data file that the index accounts for.
    pub data_len: u64,
    /// Records up to the end of the last complete group: what follows is to be cut off.
    pub records: u64,
    /// The file is complete.
    pub seal: Option<record::Seal>,
    /// The log says that recording stopped before the broadcast did.
    pub stopped: bool,
    /// Why the valid part ends where it does, if not with the file.
    pub damage: Option<FormatError>,
    /// The chunks of the last segment, and the position of the first record of its group.
    pub last: Option<LastSegment>,
}

/// An init section of [`Replay`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayedInit {
    /// Its place.
    pub init: record::Init,
    /// Its codec configuration record.
    pub config: Vec<u8>,
}

/// A segment of [`Replay`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplayedSegment {
    /// Its record.
    pub segment: record::Segment,
    /// It has no media.
    pub gap: bool,
    /// First byte in the data file.
    pub offset: u64,
    /// Its bytes.
    pub len: u64,
}

/// The end of an index, for a check against the data file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastSegment {
    /// Position of the first record of its group.
    pub first_record: u64,
    /// Its chunks.
    pub chunks: Vec<record::Chunk>,
}

/// Reads an index whose data file has `data_len` bytes. Everything that is returned lies
/// inside of them.
///
/// # Errors
/// Those of the header. Damage behind it only ends the valid part.
pub fn replay(index: &[u8], data_len: u64) -> Result<Replay, FormatError> {
    let (header, records) = Records::parse(index)?;
    let mut state = Replayer {
        data_max: data_len,
        data_end: 0,
        group: Group::default(),
        position: 0,
        next_sequence: header.media_sequence,
        out: Replay {
            header,
            inits: Vec::new(),
            segments: Vec::new(),
            data: Vec::new(),
            data_len: 0,
            records: 0,
            seal: None,
            stopped: false,
            damage: None,
            last: None,
        },
    };
    for record in records {
        let step = record.and_then(|record| {
            state.step(record).map_err(|what| FormatError::Record {
                offset: record::record_offset(state.position),
                what,
            })
        });
        if let Err(damage) = step {
            state.out.damage = Some(damage);
            break;
        }
        state.position += 1;
    }
    Ok(state.out)
}

struct Replayer {
    data_max: u64,
    /// End of the data that records so far account for.
    data_end: u64,
    group: Group,
    position: u64,
    next_sequence: u64,
    out: Replay,
}

/// Records that mean nothing until the last of their group is there.
#[derive(Default)]
struct Group {
    init: Option<ReplayedInit>,
    datum: Option<DatumBuilder>,
    chunks: Vec<record::Chunk>,
}

impl Replayer {
    fn step(&mut self, record: Record) -> Result<(), &'static str> {
        if self.out.seal.is_some_and(|s| s.end) {
            return Err("something follows the end of the broadcast");
        }
        if self.group.init.is_some() && !matches!(record, Record::Config(_)) {
            return Err("configuration is not complete");
        }
        if self.group.datum.is_some() && !matches!(record, Record::Datum(_)) {
            return Err("a datum is not complete");
        }
        if !matches!(record, Record::Event(_) | Record::Datum(_)) {
            // A file may go on behind a seal that is not the end.
            self.out.seal = None;
        }
        match record {
            Record::Init(init) => self.init(init),
            Record::Config(config) => self.config(&config),
            Record::Chunk(chunk) => self.chunk(chunk),
            Record::Segment(segment) => self.segment(segment, false),
            Record::Gap(segment) => self.segment(segment, true),
            Record::Discontinuity(_) | Record::Clock(_) => Ok(()),
            Record::Event(event) => {
                self.commit_outside()?;
                self.out.stopped |= event.code == EventCode::RecordingStopped;
                Ok(())
            }
            Record::Datum(piece) => self.datum(piece),
            Record::Seal(seal) => {
                self.commit_outside()?;
                self.out.seal = Some(seal);
                Ok(())
            }
        }
    }

    fn init(&mut self, init: record::Init) -> Result<(), &'static str> {
        if !self.group.chunks.is_empty() {
            return Err("init section inside a segment");
        }
        if init.config_len == 0 || init.config_len as usize > CONFIG_BYTES_MAX {
            return Err("impossible length of a configuration");
        }
        self.data_end = self.range(init.offset, init.len)?;
        self.group.init = Some(ReplayedInit {
            init,
            config: Vec::new(),
        });
        Ok(())
    }

    fn config(&mut self, piece: &record::Config) -> Result<(), &'static str> {
        let Some(open) = &mut self.group.init else {
            return Err("configuration of no init section");
        };
        let bytes = piece
            .bytes
            .get(..usize::from(piece.len))
            .unwrap_or_default();
        if piece.number != open.init.number || piece.at as usize != open.config.len() {
            return Err("configuration of another init section");
        }
        open.config.extend_from_slice(bytes);
        let (have, want) = (open.config.len(), open.init.config_len as usize);
        if bytes.is_empty() || have > want {
            return Err("impossible length of a configuration");
        }
        if have == want {
            self.out.inits.extend(self.group.init.take());
            self.commit();
        }
        Ok(())
    }

    fn datum(&mut self, piece: DatumPiece) -> Result<(), &'static str> {
        let builder = match self.group.datum.take() {
            None => DatumBuilder::new(piece)?,
            Some(mut builder) => {
                builder.add(&piece)?;
                builder
            }
        };
        if !builder.is_complete() {
            self.group.datum = Some(builder);
            return Ok(());
        }
        self.out.data.extend(builder.build());
        self.commit_outside()
    }

    fn chunk(&mut self, chunk: record::Chunk) -> Result<(), &'static str> {
        if let Some(first) = self.group.chunks.first()
            && first.media_sequence != chunk.media_sequence
        {
            return Err("chunk of another segment");
        }
        if self.group.chunks.len() >= SEGMENT_CHUNKS_MAX {
            return Err("too many chunks in a segment");
        }
        if chunk.head_len > chunk.len {
            return Err("impossible length of a chunk");
        }
        self.data_end = self.range(chunk.offset, chunk.len)?;
        self.group.chunks.push(chunk);
        Ok(())
    }

    fn segment(&mut self, segment: record::Segment, gap: bool) -> Result<(), &'static str> {
        if segment.media_sequence < self.next_sequence {
            return Err("media sequence goes back");
        }
        let first = self.group.chunks.first();
        if gap != first.is_none() {
            return Err("gap with chunks, or segment without");
        }
        if first.is_some_and(|c| c.media_sequence != segment.media_sequence) {
            return Err("segment with chunks of another");
        }
        let samples: u64 = self
            .group
            .chunks
            .iter()
            .map(|c| u64::from(c.sample_count))
            .sum();
        if samples != u64::from(segment.sample_count) || samples > SEGMENT_SAMPLES_MAX as u64 {
            return Err("wrong number of samples");
        }
        if !self.out.inits.iter().any(|i| i.init.number == segment.init) {
            return Err("segment of an unknown init section");
        }
        let offset = first.map_or(self.data_end, |c| c.offset);
        self.out.segments.push(ReplayedSegment {
            segment,
            gap,
            offset,
            len: self.data_end - offset,
        });
        self.next_sequence = segment.media_sequence.saturating_add(1);
        self.out.last = Some(LastSegment {
            first_record: self.out.records,
            chunks: std::mem::take(&mut self.group.chunks),
        });
        self.commit();
        Ok(())
    }

    /// Checks that a range starts where the last one ended and lies in the data file.
    fn range(&self, offset: u64, len: u32) -> Result<u64, &'static str> {
        if offset != self.data_end {
            return Err("hole or overlap in the data file");
        }
        let end = offset.saturating_add(u64::from(len));
        if len == 0 || end > self.data_max {
            return Err("points past the end of the data file");
        }
        Ok(end)
    }

    fn commit_outside(&mut self) -> Result<(), &'static str> {
        if !self.group.chunks.is_empty() {
            return Err("inside a segment");
        }
        self.commit();
        Ok(())
    }

    fn commit(&mut self) {
        self.out.records = self.position + 1;
        self.out.data_len = self.data_end;
    }
}

/// A whole chunk behind the indexed part of a data file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TailChunk {
    /// Bytes of `moof` and `mdat`.
    pub len: u32,
    /// Bytes of `moof` and of the `mdat` header.
    pub head_len: u32,
    /// Decoding time of its first sample, in ticks.
    pub decode_time: u64,
    /// Duration in ticks.
    pub duration: u32,
    /// Its samples, with the flags that the payload tells.
    pub samples: Vec<Sample>,
}

impl TailChunk {
    /// Starts with a random access point.
    #[must_use]
    pub fn independent(&self) -> bool {
        let first = self.samples.first();
        first.is_some_and(|s| s.flags.contains(SampleFlags::KEY))
    }
}

/// Why [`next_chunk`] returned none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoChunk {
    /// At least so many bytes from the start of the chunk are needed.
    Need(u64),
    /// The bytes are not a chunk of this track.
    Damaged,
}

/// Reads the chunk that `bytes` start with, and its whole payload.
///
/// # Errors
/// [`NoChunk`].
pub fn next_chunk(
    bytes: &[u8],
    track: TrackId,
    config: &CodecConfig,
) -> Result<TailChunk, NoChunk> {
    let fragment = match parse_fragment(bytes) {
        Ok(Parsed::Fragment(fragment)) => fragment,
        Ok(Parsed::Need(more)) => {
            return Err(NoChunk::Need(
                (bytes.len() as u64).saturating_add(more as u64),
            ));
        }
        Err(_) => return Err(NoChunk::Damaged),
    };
    let len = fragment.head_len.saturating_add(fragment.payload_len);
    let damaged = |_| NoChunk::Damaged;
    let chunk_len = u32::try_from(len).map_err(damaged)?;
    let ticks: u64 = fragment.samples.iter().map(|s| u64::from(s.duration)).sum();
    let duration = u32::try_from(ticks).map_err(damaged)?;
    if fragment.track != track
        || fragment.samples.is_empty()
        || fragment.samples.len() > SEGMENT_SAMPLES_MAX
    {
        return Err(NoChunk::Damaged);
    }
    let (Ok(head), Ok(end)) = (usize::try_from(fragment.head_len), usize::try_from(len)) else {
        return Err(NoChunk::Damaged);
    };
    let payload = bytes.get(head..end).ok_or(NoChunk::Need(len))?;
    let mut samples = fragment.samples;
    if config.kind() == TrackKind::Video {
        look_into(&mut samples, payload, config)?;
    }
    Ok(TailChunk {
        len: chunk_len,
        head_len: fragment.head_len as u32,
        decode_time: fragment.decode_time,
        duration,
        samples,
    })
}

/// Adds the flags that only the access units tell. Pages that a power cut left as zeros are
/// damage.
fn look_into(samples: &mut [Sample], payload: &[u8], config: &CodecConfig) -> Result<(), NoChunk> {
    let mut rest = payload;
    for sample in samples {
        let (unit, tail) = rest
            .split_at_checked(sample.size as usize)
            .ok_or(NoChunk::Damaged)?;
        rest = tail;
        let key = sample.flags.contains(SampleFlags::KEY);
        if unit.iter().all(|b| *b == 0) {
            return Err(NoChunk::Damaged);
        }
        // A unit that cannot be walked was sent like that: it is kept, as it was then.
        let plain = SampleFlags::of(key, false, false);
        sample.flags = config.sample_flags(unit, key).unwrap_or(plain);
    }
    Ok(())
}

/// Reads a codec configuration record back; `None` for codecs whose record alone does not
/// describe them: their init section does.
#[must_use]
pub fn codec_config(codec: [u8; 4], config: &[u8]) -> Option<CodecConfig> {
    let record = Bytes::copy_from_slice(config);
    match &codec {
        b"avc1" => avc::AvcConfig::parse(record).ok().map(CodecConfig::H264),
        b"mp4a" => weir_media::aac::AacConfig::parse(record)
            .ok()
            .map(CodecConfig::Aac),
        _ => None,
    }
}

/// Divides chunks found behind the index into segments: one, as a rule. After a power cut
/// there may be more; they are cut at random access points once they have the usual length,
/// and in any case before they exceed the target duration. Returns how many chunks each
/// segment has.
#[must_use]
pub fn divide(chunks: &[TailChunk], usual: u64, target: u64) -> Vec<usize> {
    let mut counts = Vec::new();
    let (mut count, mut elapsed, mut samples) = (0usize, 0u64, 0usize);
    for chunk in chunks {
        let after = elapsed.saturating_add(u64::from(chunk.duration));
        let due = usual > 0 && elapsed >= usual && chunk.independent();
        let over = target > 0 && after > target;
        let full =
            count >= SEGMENT_CHUNKS_MAX || samples + chunk.samples.len() > SEGMENT_SAMPLES_MAX;
        if count > 0 && (due || over || full) {
            counts.push(count);
            (count, elapsed, samples) = (0, 0, 0);
        }
        count += 1;
        samples += chunk.samples.len();
        elapsed = elapsed.saturating_add(u64::from(chunk.duration));
    }
    if count > 0 {
        counts.push(count);
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::{VIDEO, chunk, video_config};
    use crate::format::record::config_pieces;
    use crate::format::{FileKind, HEADER_BYTES, RECORD_BYTES};
    use weir_media::{TrackKind, Utc};

    fn header() -> Header {
        Header {
            track: VIDEO,
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

    fn segment(media_sequence: u64) -> record::Segment {
        record::Segment {
            media_sequence,
            decode_time: 0,
            program_date_time: Utc(0),
            discontinuity_sequence: 3,
            ts_packets_before: 0,
            duration: 90_000,
            init: 1,
            samples_offset: 128,
            sample_count: 20,
            target_duration: 4,
            independent: true,
            discontinuity: false,
        }
    }

    fn part(media_sequence: u64, offset: u64) -> Record {
        Record::Chunk(record::Chunk {
            media_sequence,
            offset,
            decode_time: 0,
            len: 100,
            head_len: 10,
            duration: 45_000,
            part: 0,
            sample_count: 10,
            independent: true,
        })
    }

    fn init() -> Vec<Record> {
        let config = [1; 60];
        let head = record::Init {
            number: 1,
            codec: *b"avc1",
            offset: 0,
            len: 50,
            config_len: 60,
        };
        let pieces = config_pieces(1, &config).map(Record::Config);
        std::iter::once(Record::Init(head)).chain(pieces).collect()
    }

    /// Two segments of two chunks, a gap, an event and a seal: 650 bytes less 200 of data.
    fn records() -> Vec<Record> {
        let mut records = init();
        records.extend([part(100, 50), part(100, 150), Record::Segment(segment(100))]);
        records.extend([
            part(101, 250),
            part(101, 350),
            Record::Segment(segment(101)),
        ]);
        records.push(Record::Gap(record::Segment {
            sample_count: 0,
            ..segment(102)
        }));
        records.push(Record::Seal(record::Seal {
            utc: Utc(0),
            data_len: 450,
            end: true,
        }));
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
    fn a_whole_index() {
        let found = replay(&index(&records()), 450).unwrap();
        assert_eq!(found.damage, None);
        assert_eq!((found.data_len, found.records), (450, 11));
        assert_eq!(found.inits[0].config, [1; 60]);
        let places: Vec<_> = found
            .segments
            .iter()
            .map(|s| (s.offset, s.len, s.gap))
            .collect();
        assert_eq!(
            places,
            [(50, 200, false), (250, 200, false), (450, 0, true)]
        );
        assert!(found.seal.unwrap().end);
    }

    #[test]
    fn every_prefix_gives_a_prefix_of_its_segments() {
        let (bytes, whole) = (index(&records()), replay(&index(&records()), 450).unwrap());
        for len in 0..bytes.len() {
            let Ok(found) = replay(&bytes[..len], 450) else {
                assert!(len < HEADER_BYTES);
                continue;
            };
            assert!(whole.segments.starts_with(&found.segments));
            assert!(found.records * RECORD_BYTES as u64 <= (len - HEADER_BYTES) as u64);
            assert!(found.seal.is_none());
        }
    }

    #[test]
    fn every_bit_flip_gives_a_prefix_or_an_error() {
        let (bytes, whole) = (index(&records()), replay(&index(&records()), 450).unwrap());
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            match replay(&flipped, 450) {
                Ok(found) => {
                    assert!(at >= HEADER_BYTES && found.damage.is_some());
                    assert!(whole.segments.starts_with(&found.segments));
                }
                Err(_) => assert!(at < HEADER_BYTES),
            }
        }
    }

    #[test]
    fn data_that_is_missing_ends_the_log_before_it() {
        for (data_len, segments) in [(449, 1), (250, 1), (249, 0), (49, 0)] {
            let found = replay(&index(&records()), data_len).unwrap();
            assert_eq!(found.segments.len(), segments);
            assert!(found.data_len <= data_len);
        }
    }

    /// Valid checksums, impossible stories.
    #[test]
    fn contradictions_end_the_log() {
        let with = |more: Vec<Record>| {
            let found = replay(&index(&[init(), more].concat()), 1 << 40).unwrap();
            assert!(found.segments.is_empty());
            match found.damage {
                Some(FormatError::Record { what, .. }) => what,
                other => panic!("{other:?}"),
            }
        };
        let whole = || vec![part(100, 50), part(100, 150)];
        let then = |r: Record| with([whole(), vec![r]].concat());
        assert!(with(vec![part(100, 51)]).contains("hole"));
        assert!(with(vec![part(100, u64::MAX)]).contains("hole"));
        assert!(then(part(101, 250)).contains("another segment"));
        assert!(then(Record::Segment(segment(101))).contains("chunks of another"));
        assert!(then(Record::Segment(segment(99))).contains("goes back"));
        assert!(then(Record::Gap(segment(100))).contains("gap with chunks"));
        assert!(with(vec![Record::Segment(segment(100))]).contains("segment without"));
        let mut wrong = segment(100);
        wrong.sample_count = 21;
        assert!(then(Record::Segment(wrong)).contains("samples"));
        let mut wrong = segment(100);
        wrong.init = 2;
        assert!(then(Record::Segment(wrong)).contains("unknown init"));
        assert!(then(init()[0]).contains("init section inside"));
        assert!(with(vec![init()[1]]).contains("no init"));
    }

    #[test]
    fn chunks_are_read_back_with_what_the_payload_tells() {
        let sent = chunk(TrackKind::Video, 5, 0, 3, 40);
        let mut bytes = sent.head.to_vec();
        sent.payload.iter().for_each(|p| bytes.extend_from_slice(p));
        let config = video_config(31);
        let found = next_chunk(&bytes, VIDEO, &config).unwrap();
        assert_eq!(found.samples, sent.samples);
        assert_eq!((found.decode_time, found.duration), (135_000, 45_000));
        assert_eq!(found.head_len as usize, sent.head.len());
        assert!(found.independent());
        for len in 0..bytes.len() {
            match next_chunk(&bytes[..len], VIDEO, &config) {
                Err(NoChunk::Need(n)) => assert!(n > len as u64 && n <= bytes.len() as u64),
                other => panic!("{len}: {other:?}"),
            }
        }
        assert_eq!(
            next_chunk(&bytes, TrackId(9), &config),
            Err(NoChunk::Damaged)
        );
        let last = bytes.len() - 44;
        bytes[last..].fill(0xff);
        assert!(next_chunk(&bytes, VIDEO, &config).is_ok());
        bytes[last..].fill(0);
        assert_eq!(next_chunk(&bytes, VIDEO, &config), Err(NoChunk::Damaged));
    }

    #[test]
    fn many_chunks_become_segments_that_keep_the_target() {
        let key = |part| {
            let sent = chunk(TrackKind::Video, 5, part, 0, 8);
            TailChunk {
                len: 1,
                head_len: 1,
                decode_time: 0,
                duration: 45_000,
                samples: sent.samples,
            }
        };
        let chunks: Vec<_> = [0, 1, 2, 3, 0, 1, 0, 1, 0].into_iter().map(key).collect();
        assert_eq!(divide(&chunks, 180_000, 360_000), [4, 4, 1]);
        assert_eq!(divide(&chunks, 0, 360_000), [8, 1]);
        assert_eq!(divide(&chunks, 0, 90_000), [2, 2, 2, 2, 1]);
        assert_eq!(divide(&chunks, 0, 1), [1; 9]);
        assert_eq!(divide(&[], 1, 1), [0; 0]);
    }
}
