//! Loads one file set. One that was not sealed is brought to a state as if the server had
//! ended its last segment: whole chunks behind the index are listed, a torn end is cut off.
//!
//! Nothing here syncs: that is done once for all logs, see `scan`. A power cut before it may
//! keep any part of a repair. Whichever it keeps, the next start finds the log unsealed,
//! checks it against its data again, and comes to the same result:
//! - Records without the chunks that they list: what points past the end of the data ends the
//!   index, and the chunks of the last segment are read and compared. A crash of the server
//!   leaves no more than one segment behind the index, because a segment is indexed before the
//!   next one is begun. Where there are more, a power cut took the index, and what then is
//!   read of the data comes from the disk.
//! - Records without sample tables: the tables are built from the chunks again.
//! - An appended file that was not cut before: a torn end is no chunk, and is cut again. An old
//!   record behind new ones counts only if it has the checksum of its position and goes on
//!   where they end.
//!
//! A seal is what stops all these checks, and so it has to wait for the sync.

use super::Library;
use super::scan::End;
use super::tail::{Patch, list_tail, packets};
use crate::core::CurrentFile;
use crate::datum::Datum;
use crate::error::Error;
use crate::file::{LogFile, Part, path};
use crate::format::record::{Event, RECORD_BYTES, Seal, record_offset};
use crate::format::samples::{BLOCK_HEADER_BYTES, SAMPLE_BYTES, decode_block, encode_block};
use crate::format::{EventCode, FileKind, FormatError, HEADER_BYTES, Header, Record};
use crate::limits::{CHUNK_BYTES_MAX, INDEX_BYTES_MAX, RECOVERY_WINDOW_BYTES};
use crate::recover::{
    NoChunk, Replay, ReplayedSegment, TailChunk, codec_config, next_chunk, replay,
};
use crate::segment::{Place, Segment, SegmentInfo};
use crate::view::Init;
use bytes::Bytes;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use weir_media::time::rescale;
use weir_media::{Now, Sample};

/// A set as it is after loading.
pub(super) struct Loaded {
    pub(super) log: Arc<LogFile>,
    pub(super) header: Header,
    pub(super) inits: Vec<Init>,
    pub(super) segments: Vec<Segment>,
    pub(super) data: Vec<Arc<Datum>>,
    pub(super) data_len: u64,
    pub(super) samples_len: u64,
    pub(super) records: u64,
    /// Transport stream packets up to its end.
    pub(super) ts_packets: u64,
    pub(super) target_duration: u32,
    pub(super) stopped: bool,
    /// It could not be repaired, so nothing may be appended.
    pub(super) unwritable: bool,
    seal: Option<Seal>,
}

impl Loaded {
    /// The broadcast ends with this set.
    pub(super) fn is_end(&self) -> bool {
        self.seal.is_some_and(|s| s.end)
    }

    /// Where its media ends; `None` if it has none.
    pub(super) fn end(&self) -> Option<End> {
        let info = self.segments.last()?.info;
        let us = rescale(i64::from(info.duration), self.header.timescale, 1_000_000);
        Some(End {
            time: info.program_date_time.plus_us(us),
            decode_time: info.decode_time.saturating_add(u64::from(info.duration)),
            info,
            target_duration: self.target_duration,
        })
    }
}

/// Loads a set. `before` is where the set before it ends.
///
/// `None` if a crash came between creating its files, which are then removed.
///
/// # Errors
/// It cannot be read, or is not understood.
pub(super) fn load_set(
    library: &Library,
    dir: &Arc<Path>,
    number: u32,
    before: Option<End>,
    now: Now,
) -> Result<Option<Loaded>, Error> {
    let index_path = path(dir, number, Part::Index);
    let index = read_index(&index_path)?;
    let data_path = path(dir, number, Part::Data);
    let data = open_data(&data_path)?;
    let data_len = match &data {
        Some(file) => file
            .metadata()
            .map_err(|e| Error::io("read", &data_path, e))?
            .len(),
        None => 0,
    };
    let replayed = match replay(&index, data_len) {
        Ok(replayed) => replayed,
        // Cut short before the first chunk came.
        Err(FormatError::HeaderTruncated) if data_len == 0 => {
            library.unlink_set(dir, number);
            return Ok(None);
        }
        Err(source) => {
            let path = index_path;
            return Err(Error::Format { path, source });
        }
    };
    let Some(data) = data else {
        library.unlink_set(dir, number);
        return Ok(None);
    };
    let log = LogFile::new(Arc::clone(dir), number, Arc::clone(library.cache()));
    let set = Set {
        log,
        data,
        data_len,
        index,
        now,
    };
    let sealed = replayed
        .seal
        .is_some_and(|s| s.data_len == data_len && s.data_len == replayed.data_len)
        && replayed.damage.is_none();
    if sealed {
        return set.as_it_is(replayed).map(Some);
    }
    let repaired = set.repair(replayed, before)?;
    library.mark_unsynced();
    Ok(Some(repaired))
}

/// Writes a seal behind the records of a file, unless it has one; true if it wrote. What it
/// seals must be on the disk, and the seal is not yet.
pub(super) fn seal_if_open(index: &Path, file: &CurrentFile, seal: Record) -> Result<bool, Error> {
    let count = file.records.load(Ordering::Relaxed);
    let bytes = read_index(index)?;
    let sealed = replay(&bytes, file.data_len).is_ok_and(|r| r.seal.is_some_and(|s| s.end));
    if sealed {
        return Ok(false);
    }
    let record = seal.encode(file.header.seed(), count);
    let opened = OpenOptions::new().write(true).open(index);
    opened
        .and_then(|f| f.write_all_at(&record, record_offset(count)))
        .map_err(|e| Error::io_at("append", index, record_offset(count), e))?;
    file.records.fetch_add(1, Ordering::Relaxed);
    Ok(true)
}

fn read_index(path: &Path) -> Result<Vec<u8>, Error> {
    let failed = |e| Error::io("read", path, e);
    let len = std::fs::metadata(path).map_err(failed)?.len();
    if len > INDEX_BYTES_MAX {
        return Err(failed(io::ErrorKind::FileTooLarge.into()));
    }
    std::fs::read(path).map_err(failed)
}

fn open_data(path: &Path) -> Result<Option<File>, Error> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io("read", path, e)),
    }
}

/// A set that is being loaded.
struct Set {
    log: Arc<LogFile>,
    data: File,
    data_len: u64,
    index: Vec<u8>,
    now: Now,
}

impl Set {
    fn as_it_is(&self, replayed: Replay) -> Result<Loaded, Error> {
        let inits = self.inits(&replayed)?;
        Ok(self.loaded(replayed, inits))
    }

    fn loaded(&self, replayed: Replay, inits: Vec<Init>) -> Loaded {
        let header = replayed.header;
        let segments: Vec<_> = replayed
            .segments
            .iter()
            .map(|s| segment_of(s, &self.log))
            .collect();
        let last = replayed.segments.last();
        let target = last.map_or(header.target_duration, |s| {
            u32::from(s.segment.target_duration)
        });
        Loaded {
            log: Arc::clone(&self.log),
            header,
            inits,
            samples_len: samples_end(&replayed.segments),
            segments,
            data: replayed.data,
            data_len: replayed.data_len,
            records: replayed.records,
            ts_packets: last.map_or(header.ts_packets_before, |s| s.segment.ts_packets_before),
            target_duration: target,
            stopped: replayed.stopped,
            unwritable: false,
            seal: replayed.seal,
        }
    }

    /// Reads the init sections that an index lists.
    fn inits(&self, replayed: &Replay) -> Result<Vec<Init>, Error> {
        let mut inits = Vec::new();
        for found in &replayed.inits {
            let mut data = vec![0; found.init.len as usize];
            self.read(&mut data, found.init.offset)?;
            let data = Bytes::from(data);
            let config = codec_config(found.init.codec, &found.config)
                .or_else(|| weir_mp4::init_config(&data))
                .ok_or(Error::Format {
                    path: self.log.data_path(),
                    source: FormatError::HeaderField("codec configuration"),
                })?;
            inits.push(Init {
                number: found.init.number,
                config: Arc::new(config),
                data,
            });
        }
        Ok(inits)
    }

    fn read(&self, buffer: &mut [u8], offset: u64) -> Result<(), Error> {
        let read = self.data.read_exact_at(buffer, offset);
        read.map_err(|e| Error::io_at("read", &self.log.data_path(), offset, e))
    }

    /// Brings the set to a consistent state, in memory and on disk.
    fn repair(&self, mut replayed: Replay, before: Option<End>) -> Result<Loaded, Error> {
        let inits = self.inits(&replayed)?;
        self.check_last(&mut replayed, &inits)?;
        let tail = match inits.last() {
            Some(init) => self.tail(&replayed, init)?,
            None => Vec::new(),
        };
        let tail_len: u64 = tail.iter().map(|c| u64::from(c.len)).sum();
        let data_end = replayed.data_len + tail_len;
        let mut out = Patch::default();
        let last_samples = self.check_samples(&replayed, &inits, &mut out)?;
        let mut loaded = self.loaded(replayed, inits);
        if let (Some(last), Some(samples)) = (loaded.segments.last(), last_samples) {
            loaded.ts_packets += packets(&loaded.inits, &last.info, &samples);
        }
        let first_record = loaded.records;
        list_tail(&mut loaded, tail, before, &mut out);
        let torn = self.data_len - data_end;
        if tail_len > 0 || torn > 0 {
            out.records.push(Record::Event(Event {
                code: EventCode::Recovered,
                utc: self.now.utc,
                value: torn,
            }));
            tracing::info!(
                path = %self.log.data_path().display(),
                bytes = tail_len,
                dropped = torn,
                "recovered a log"
            );
        }
        loaded.records = first_record + out.records.len() as u64;
        loaded.data_len = data_end;
        if let Err(error) = self.write(&loaded, first_record, &out) {
            tracing::error!(%error, "a log cannot be repaired, and will not go on");
            loaded.unwritable = true;
        }
        Ok(loaded)
    }

    /// A power cut may keep the index and lose data that it points to. The last segment's
    /// chunks are looked at; what was synced before them is trusted.
    fn check_last(&self, replayed: &mut Replay, inits: &[Init]) -> Result<(), Error> {
        while let Some(last) = &replayed.last {
            let Some(segment) = replayed.segments.last() else {
                return Ok(());
            };
            let init = inits.iter().find(|i| i.number == segment.segment.init);
            let mut whole = true;
            for chunk in &last.chunks {
                let mut bytes = vec![0; (chunk.len as usize).min(CHUNK_BYTES_MAX)];
                self.read(&mut bytes, chunk.offset)?;
                let track = replayed.header.track;
                let found = init.map(|i| next_chunk(&bytes, track, &i.config));
                whole &= matches!(found, Some(Ok(c)) if c.len == chunk.len
                    && c.decode_time == chunk.decode_time);
            }
            if whole {
                return Ok(());
            }
            let keep = usize::try_from(record_offset(last.first_record)).unwrap_or(usize::MAX);
            let index = self.index.get(..keep).unwrap_or(&self.index);
            *replayed = replay(index, self.data_len).map_err(|source| Error::Format {
                path: self.log.data_path(),
                source,
            })?;
        }
        Ok(())
    }

    /// Whole chunks behind the part that the index accounts for.
    fn tail(&self, replayed: &Replay, init: &Init) -> Result<Vec<TailChunk>, Error> {
        let mut chunks = Vec::new();
        let mut at = replayed.data_len;
        let mut window = Vec::new();
        let mut window_at = at;
        let mut want = RECOVERY_WINDOW_BYTES;
        while at < self.data_len {
            let start = usize::try_from(at - window_at).unwrap_or(usize::MAX);
            let bytes = window.get(start..).unwrap_or_default();
            match next_chunk(bytes, replayed.header.track, &init.config) {
                Ok(chunk) => {
                    at += u64::from(chunk.len);
                    chunks.push(chunk);
                    want = RECOVERY_WINDOW_BYTES;
                }
                Err(NoChunk::Damaged) => break,
                Err(NoChunk::Need(len)) => {
                    let left = self.data_len - at;
                    if len > left || len > CHUNK_BYTES_MAX as u64 {
                        break;
                    }
                    want = want.max(usize::try_from(len).unwrap_or(CHUNK_BYTES_MAX));
                    let size = (want as u64).min(left) as usize;
                    window.resize(size, 0);
                    self.read(&mut window, at)?;
                    window_at = at;
                }
            }
        }
        Ok(chunks)
    }

    /// Rebuilds sample tables that a power cut has lost. Returns that of the last segment.
    fn check_samples(
        &self,
        replayed: &Replay,
        inits: &[Init],
        out: &mut Patch,
    ) -> Result<Option<Vec<Sample>>, Error> {
        let path = self.log.data_path().with_extension("samples");
        let file = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(Error::io("read", &path, e)),
        };
        let header_ok = Header::decode(&file, FileKind::Samples) == Ok(replayed.header);
        if !header_ok {
            let header = replayed.header.encode(FileKind::Samples);
            out.samples.push((0, header.to_vec()));
        }
        let mut last = None;
        for segment in replayed.segments.iter().filter(|s| !s.gap) {
            let record = &segment.segment;
            let at = record.samples_offset as usize;
            let block = decode_block(file.get(at..).unwrap_or_default(), at as u64);
            let fits = |b: &crate::format::samples::Block| {
                b.media_sequence == record.media_sequence
                    && b.samples.len() == record.sample_count as usize
            };
            last = Some(match block {
                Ok(block) if fits(&block) => block.samples,
                _ => self
                    .samples_of(segment, replayed, inits)
                    .inspect(|samples| {
                        let block = encode_block(record.media_sequence, samples);
                        out.samples.push((at as u64, block));
                    })
                    // The segment can be served all the same, but for transport streams.
                    .inspect_err(|error| tracing::warn!(%error, "a sample table is lost"))
                    .unwrap_or_default(),
            });
        }
        Ok(last)
    }

    /// The sample table of a segment, from its chunks.
    fn samples_of(
        &self,
        segment: &ReplayedSegment,
        replayed: &Replay,
        inits: &[Init],
    ) -> Result<Vec<Sample>, Error> {
        let damaged = || Error::Format {
            path: self.log.data_path(),
            source: FormatError::Samples {
                offset: segment.offset,
            },
        };
        let init = inits.iter().find(|i| i.number == segment.segment.init);
        let init = init.ok_or_else(damaged)?;
        let mut bytes = vec![0; usize::try_from(segment.len).map_err(|_| damaged())?];
        self.read(&mut bytes, segment.offset)?;
        let mut rest = &bytes[..];
        let mut samples = Vec::new();
        while !rest.is_empty() {
            let chunk = next_chunk(rest, replayed.header.track, &init.config);
            let chunk = chunk.map_err(|_| damaged())?;
            samples.extend(chunk.samples);
            rest = rest.get(chunk.len as usize..).unwrap_or_default();
        }
        Ok(samples)
    }

    /// Cuts the files to what is whole, and appends what was found.
    fn write(&self, loaded: &Loaded, first_record: u64, out: &Patch) -> Result<(), Error> {
        let dir = self.log.dir();
        let on = |part| {
            let path = path(&dir, self.log.number(), part);
            let mut options = OpenOptions::new();
            let options = options
                .write(true)
                .create(part == Part::Samples)
                .truncate(false);
            options
                .open(&path)
                .map(|file| (file, path.clone()))
                .map_err(|e| Error::io("append", &path, e))
        };
        let (data, data_path) = on(Part::Data)?;
        let cut = |e| Error::io("append", &data_path, e);
        data.set_len(loaded.data_len).map_err(cut)?;
        let (samples, samples_path) = on(Part::Samples)?;
        let failed = |e| Error::io("append", &samples_path, e);
        for (offset, bytes) in &out.samples {
            samples.write_all_at(bytes, *offset).map_err(failed)?;
        }
        samples
            .set_len(loaded.samples_len.max(HEADER_BYTES as u64))
            .map_err(failed)?;
        let (index, index_path) = on(Part::Index)?;
        let failed = |e| Error::io("append", &index_path, e);
        let offset = record_offset(first_record);
        index.set_len(offset).map_err(failed)?;
        let mut bytes = Vec::with_capacity(out.records.len() * RECORD_BYTES);
        for (position, record) in (first_record..).zip(&out.records) {
            bytes.extend_from_slice(&record.encode(loaded.header.seed(), position));
        }
        index.write_all_at(&bytes, offset).map_err(failed)
    }
}

fn segment_of(replayed: &ReplayedSegment, log: &Arc<LogFile>) -> Segment {
    let s = &replayed.segment;
    Segment {
        info: SegmentInfo {
            media_sequence: s.media_sequence,
            init: s.init,
            decode_time: s.decode_time,
            duration: s.duration,
            independent: s.independent,
            discontinuity: s.discontinuity,
            discontinuity_sequence: s.discontinuity_sequence,
            program_date_time: s.program_date_time,
            gap: replayed.gap,
            len: replayed.len,
            ts_packets_before: s.ts_packets_before,
        },
        place: Some(Place {
            file: Arc::clone(log),
            offset: u32::try_from(replayed.offset).unwrap_or(u32::MAX),
            samples_offset: s.samples_offset,
            sample_count: s.sample_count,
        }),
        chunks: Arc::default(),
        samples: None,
    }
}

/// Bytes of a sample file with the tables of these segments.
fn samples_end(segments: &[ReplayedSegment]) -> u64 {
    let ends = segments.iter().filter(|s| !s.gap).map(|s| {
        let block = BLOCK_HEADER_BYTES + SAMPLE_BYTES * s.segment.sample_count as usize;
        u64::from(s.segment.samples_offset) + block as u64
    });
    ends.max().unwrap_or(HEADER_BYTES as u64)
}
