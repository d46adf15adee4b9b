//! Segments and chunks, and where their bytes are.

use crate::error::Error;
use crate::file::LogFile;
use crate::format::record::{self, Record};
use crate::format::samples::{BLOCK_HEADER_BYTES, SAMPLE_BYTES, decode_block};
use arc_swap::ArcSwapOption;
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use weir_media::{Sample, Utc};

/// What a playlist says of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Its number.
    pub media_sequence: u64,
    /// Number of the init section it needs.
    pub init: u32,
    /// Decoding time of its first sample, in ticks.
    pub decode_time: u64,
    /// Duration in ticks.
    pub duration: u32,
    /// Starts with a random access point.
    pub independent: bool,
    /// A discontinuity lies before it.
    pub discontinuity: bool,
    /// Discontinuities before its first sample.
    pub discontinuity_sequence: u64,
    /// Wall-clock time of its first sample.
    pub program_date_time: Utc,
    /// It has no media (`EXT-X-GAP`).
    pub gap: bool,
    /// Bytes of its body.
    pub len: u64,
    /// Transport stream packets that the payload of this track takes before it, from the
    /// start of the broadcast: continuity counters follow from it.
    pub ts_packets_before: u64,
}

/// A closed segment.
#[derive(Debug, Clone)]
pub struct Segment {
    /// What a playlist says of it.
    pub info: SegmentInfo,
    pub(crate) place: Option<Place>,
    pub(crate) chunks: Arc<[Arc<Chunk>]>,
    pub(crate) samples: Option<Arc<[Sample]>>,
}

/// Where a segment lies in the log.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) file: Arc<LogFile>,
    pub(crate) offset: u32,
    pub(crate) samples_offset: u32,
    pub(crate) sample_count: u32,
}

impl Segment {
    /// Its bytes. Empty for a gap.
    #[must_use]
    pub fn body(&self) -> Body {
        if self.chunks.is_empty() {
            return match &self.place {
                Some(place) if !self.info.gap => Body::File {
                    file: Arc::clone(&place.file),
                    offset: u64::from(place.offset),
                    len: self.info.len,
                },
                _ => Body::Memory(Vec::new()),
            };
        }
        Body::of_chunks(&self.chunks)
    }

    /// Its chunks in order. Empty for segments that left the live window a while ago; their
    /// chunks are the `moof` and `mdat` pairs of the body.
    #[must_use]
    pub fn chunks(&self) -> &[Arc<Chunk>] {
        &self.chunks
    }

    /// Whether all of it is in the log.
    pub(crate) fn is_stored(&self) -> bool {
        self.place.is_some() && self.chunks.iter().all(|c| c.is_stored())
    }

    /// The sample table, if it is in memory: always for segments of the live window.
    #[must_use]
    pub fn samples_in_memory(&self) -> Option<&Arc<[Sample]>> {
        self.samples.as_ref()
    }

    /// Where the sample table of an older segment lies: file, byte offset and length. The
    /// bytes are read back with [`Segment::decode_samples`].
    #[must_use]
    pub fn samples_place(&self) -> Option<(&Arc<LogFile>, u64, usize)> {
        let place = self.place.as_ref()?;
        let len = BLOCK_HEADER_BYTES + SAMPLE_BYTES * place.sample_count as usize;
        Some((&place.file, u64::from(place.samples_offset), len))
    }

    /// Reads the sample table from the bytes at [`Segment::samples_place`].
    ///
    /// # Errors
    /// [`Error::Format`] if they are not this segment's table.
    pub fn decode_samples(&self, bytes: &[u8]) -> Result<Arc<[Sample]>, Error> {
        let path = || match &self.place {
            Some(place) => place.file.data_path().with_extension("samples"),
            None => std::path::PathBuf::new(),
        };
        let wrong = |source| Error::Format {
            path: path(),
            source,
        };
        let block = decode_block(bytes, 0).map_err(wrong)?;
        if block.media_sequence != self.info.media_sequence {
            return Err(wrong(crate::format::FormatError::Samples { offset: 0 }));
        }
        Ok(block.samples.into())
    }
}

/// One `moof` and `mdat` of a segment that is open or was closed lately: an LL-HLS part.
#[derive(Debug)]
pub struct Chunk {
    /// Position in its segment, from 0.
    pub part: u32,
    /// Offset in its data file, in bytes.
    pub offset: u64,
    /// Bytes of `moof` and `mdat`.
    pub len: u32,
    /// Bytes of `moof` and of the `mdat` header.
    pub head_len: u32,
    /// Decoding time of its first sample, in ticks.
    pub decode_time: u64,
    /// Duration in ticks.
    pub duration: u32,
    /// Number of samples.
    pub sample_count: u32,
    /// Starts with a random access point.
    pub independent: bool,
    pub(crate) file: Option<Arc<LogFile>>,
    pub(crate) memory: ArcSwapOption<Vec<Bytes>>,
    pub(crate) stored: AtomicBool,
}

impl Chunk {
    /// Its bytes.
    #[must_use]
    pub fn body(&self) -> Body {
        if let Some(memory) = &*self.memory.load() {
            return Body::Memory(memory.to_vec());
        }
        match &self.file {
            Some(file) => Body::File {
                file: Arc::clone(file),
                offset: self.offset,
                len: u64::from(self.len),
            },
            None => Body::Memory(Vec::new()),
        }
    }

    /// Whether its append completed, so that its bytes come from the file.
    #[must_use]
    pub fn is_stored(&self) -> bool {
        self.stored.load(Ordering::Acquire)
    }

    pub(crate) fn record(&self, media_sequence: u64) -> Record {
        Record::Chunk(record::Chunk {
            media_sequence,
            offset: self.offset,
            decode_time: self.decode_time,
            len: self.len,
            head_len: self.head_len,
            duration: self.duration,
            part: self.part,
            sample_count: self.sample_count,
            independent: self.independent,
        })
    }

    /// The append completed: the file has the bytes now, memory may go.
    pub(crate) fn store_done(&self) {
        self.stored.store(true, Ordering::Release);
        self.memory.store(None);
    }
}

/// Where bytes are.
#[derive(Debug, Clone)]
pub enum Body {
    /// A range of a data file: every append completed.
    File {
        /// The file.
        file: Arc<LogFile>,
        /// First byte.
        offset: u64,
        /// Number of bytes.
        len: u64,
    },
    /// In memory, in order; appends have not completed. Empty for a gap.
    Memory(Vec<Bytes>),
    /// Some chunks are stored and later ones are not yet, or never will be. Only of
    /// segments whose append failed or took too long.
    Mixed(Vec<Piece>),
}

/// A part of [`Body::Mixed`].
#[derive(Debug, Clone)]
pub enum Piece {
    /// A range of a data file.
    File {
        /// The file.
        file: Arc<LogFile>,
        /// First byte.
        offset: u64,
        /// Number of bytes.
        len: u64,
    },
    /// Bytes in memory.
    Memory(Bytes),
}

impl Body {
    /// Number of bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        let of = |b: &Bytes| b.len() as u64;
        match self {
            Self::File { len, .. } => *len,
            Self::Memory(parts) => parts.iter().map(of).sum(),
            Self::Mixed(pieces) => pieces
                .iter()
                .map(|piece| match piece {
                    Piece::File { len, .. } => *len,
                    Piece::Memory(bytes) => of(bytes),
                })
                .sum(),
        }
    }

    /// Whether there are no bytes, as in a gap.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of consecutive chunks. Neighbouring ranges of a file become one.
    pub(crate) fn of_chunks(chunks: &[Arc<Chunk>]) -> Self {
        let mut pieces: Vec<Piece> = Vec::new();
        for chunk in chunks {
            match chunk.body() {
                Self::Memory(parts) => pieces.extend(parts.into_iter().map(Piece::Memory)),
                Self::File { file, offset, len } => push_range(&mut pieces, file, offset, len),
                Self::Mixed(more) => pieces.extend(more),
            }
        }
        if let [Piece::File { file, offset, len }] = &pieces[..] {
            return Self::File {
                file: Arc::clone(file),
                offset: *offset,
                len: *len,
            };
        }
        if pieces.iter().all(|p| matches!(p, Piece::Memory(_))) {
            return Self::Memory(
                pieces
                    .into_iter()
                    .filter_map(|piece| match piece {
                        Piece::Memory(bytes) => Some(bytes),
                        Piece::File { .. } => None,
                    })
                    .collect(),
            );
        }
        Self::Mixed(pieces)
    }
}

fn push_range(pieces: &mut Vec<Piece>, file: Arc<LogFile>, offset: u64, len: u64) {
    if let Some(Piece::File {
        file: last,
        offset: start,
        len: so_far,
    }) = pieces.last_mut()
        && Arc::ptr_eq(last, &file)
        && *start + *so_far == offset
    {
        *so_far += len;
    } else {
        pieces.push(Piece::File { file, offset, len });
    }
}
