//! From chunks to messages.

use super::{CHUNK_SIZE_INITIAL, HEADER_BYTES_MAX, header};
use crate::error::Fault;
use crate::limits::{
    CHUNK_STREAMS_MAX, FIRST_RESERVE_BYTES, MESSAGE_BYTES_MAX, NEGATIVE_DELTA_MS_MAX,
    PARTIAL_BYTES_MAX,
};
use crate::message::{Abort, Message, SetChunkSize, TypeId};
use bytes::BytesMut;

/// Puts messages together. Set Chunk Size and Abort Message are obeyed here and not handed
/// on.
///
/// A payload byte is copied once, into the memory of its message. That memory grows as bytes
/// arrive and never exceeds [`PARTIAL_BYTES_MAX`] for all incomplete messages together.
/// After an error the reader must not be used again.
#[derive(Debug)]
pub struct Reader {
    chunk_size: u32,
    streams: Vec<ChunkStream>,
    /// Capacity of all partial payloads.
    reserved: usize,
    /// The chunk whose payload is being read.
    chunk: Option<Chunk>,
    /// The start of a header that the input cut.
    cut: [u8; HEADER_BYTES_MAX],
    cut_len: usize,
}

/// A chunk whose header was read.
#[derive(Debug, Clone, Copy)]
struct Chunk {
    /// Index into the chunk streams.
    index: usize,
    /// Payload bytes of it that are still to come.
    left: usize,
}

/// What later headers on a chunk stream may leave out, and its message in progress.
#[derive(Debug)]
struct ChunkStream {
    csid: u32,
    timestamp: u32,
    /// What a type 3 chunk adds when it starts a message; 0 after type 0.
    delta: u32,
    /// The value of the extended field, if the last header had one.
    extended: Option<u32>,
    length: u32,
    type_id: u8,
    stream_id: u32,
    in_message: bool,
    payload: BytesMut,
}

impl Default for Reader {
    fn default() -> Self {
        Self::new()
    }
}

impl Reader {
    /// A reader at the start of the chunk stream, after the handshake.
    #[must_use]
    pub fn new() -> Self {
        Self {
            chunk_size: CHUNK_SIZE_INITIAL,
            streams: Vec::new(),
            reserved: 0,
            chunk: None,
            cut: [0; HEADER_BYTES_MAX],
            cut_len: 0,
        }
    }

    /// Payload bytes per chunk that the peer announced.
    #[must_use]
    pub fn chunk_size(&self) -> u32 {
        self.chunk_size
    }

    /// Memory held for incomplete messages, in bytes.
    #[must_use]
    pub fn reserved_bytes(&self) -> usize {
        self.reserved
    }

    /// Gives memory back that is not in use.
    pub fn shrink(&mut self) {
        self.streams.shrink_to_fit();
    }

    /// Reads up to the end of the next message, or all of `input`; `input` is moved on over
    /// what was read. `None` means that all was read and more is needed.
    ///
    /// # Errors
    /// A broken rule of §5.3 or §5.4, or a limit; see [`Fault`].
    pub fn next_message(&mut self, input: &mut &[u8]) -> Result<Option<Message>, Fault> {
        loop {
            let chunk = match self.chunk.take() {
                Some(chunk) => chunk,
                None if input.is_empty() => return Ok(None),
                None => match self.header(input)? {
                    Some(chunk) => chunk,
                    None => return Ok(None),
                },
            };
            self.chunk = self.payload(chunk, input)?;
            if self.chunk.is_some() {
                return Ok(None);
            }
            if let Some(message) = self.finish(chunk.index)
                && let Some(message) = self.obey(message)?
            {
                return Ok(Some(message));
            }
        }
    }

    /// Reads payload up to the end of a chunk, and beyond it over the one-byte headers that
    /// most often follow. Returns the chunk that is not complete, if the input ended in it.
    #[inline]
    fn payload(&mut self, chunk: Chunk, input: &mut &[u8]) -> Result<Option<Chunk>, Fault> {
        let Chunk { index, mut left } = chunk;
        loop {
            let n = left.min(input.len());
            let (now, later) = input.split_at(n);
            *input = later;
            self.store(index, now)?;
            if n < left {
                let left = left - n;
                return Ok(Some(Chunk { index, left }));
            }
            let stream = &self.streams[index];
            let missing = stream.length as usize - stream.payload.len();
            match later.split_first() {
                Some((first, after))
                    if missing > 0
                        && stream.extended.is_none()
                        && self.cut_len == 0
                        && *first >= 0xc0
                        && u32::from(*first & 0x3f) == stream.csid =>
                {
                    *input = after;
                    left = missing.min(self.chunk_size as usize);
                }
                _ => return Ok(None),
            }
        }
    }

    /// Reads a chunk header, which may have begun in an earlier input.
    #[inline]
    fn header(&mut self, input: &mut &[u8]) -> Result<Option<Chunk>, Fault> {
        if self.cut_len == 0 {
            return match self.parse(input)? {
                Some((used, chunk)) => {
                    *input = &input[used..];
                    Ok(Some(chunk))
                }
                None => {
                    // Incomplete, so shorter than the longest header.
                    self.cut[..input.len()].copy_from_slice(input);
                    self.cut_len = input.len();
                    *input = &[];
                    Ok(None)
                }
            };
        }
        let had = self.cut_len;
        let more = input.len().min(HEADER_BYTES_MAX - had);
        self.cut[had..had + more].copy_from_slice(&input[..more]);
        let cut = self.cut;
        match self.parse(&cut[..had + more])? {
            // What was kept was not enough for a header, with one exception: the start of a
            // repeated timestamp that turned out to be payload.
            Some((used, chunk)) if used >= had => {
                *input = &input[used - had..];
                self.cut_len = 0;
                Ok(Some(chunk))
            }
            Some((used, Chunk { index, left })) => {
                self.cut_len = 0;
                let kept = &cut[used..had];
                let n = kept.len().min(left);
                self.store(index, &kept[..n])?;
                self.cut[..kept.len() - n].copy_from_slice(&kept[n..]);
                self.cut_len = kept.len() - n;
                Ok(Some(Chunk {
                    index,
                    left: left - n,
                }))
            }
            None => {
                self.cut_len = had + more;
                *input = &input[more..];
                Ok(None)
            }
        }
    }

    /// Parses a header and applies it. Returns its length and the chunk, or `None` if it is
    /// incomplete.
    #[inline]
    fn parse(&mut self, bytes: &[u8]) -> Result<Option<(usize, Chunk)>, Fault> {
        // The streaming parsers fail in no other way than by wanting more.
        let Ok((rest, (fmt, csid))) = header::basic(bytes) else {
            return Ok(None);
        };
        let known = self.streams.iter().position(|s| s.csid == csid);
        let (rest, index) = if fmt == 3 {
            let index = known.ok_or(Fault::FirstChunk { csid, fmt })?;
            let stream = &mut self.streams[index];
            let rest = match stream.extended {
                None => rest,
                Some(expected) => match header::repeated(expected, rest) {
                    Ok((rest, ())) => rest,
                    Err(_) => return Ok(None),
                },
            };
            if !stream.in_message {
                stream.timestamp = stream.timestamp.wrapping_add(stream.delta);
                stream.in_message = true;
            }
            (rest, index)
        } else {
            if known.is_some_and(|i| self.streams[i].in_message) {
                return Err(Fault::HeaderInsideMessage { csid, fmt });
            }
            let Ok((rest, header)) = header::message(fmt, rest) else {
                return Ok(None);
            };
            let index = match known {
                Some(index) => index,
                None => self.open(csid, fmt)?,
            };
            self.streams[index].start(header)?;
            (rest, index)
        };
        let stream = &self.streams[index];
        let left = stream.length as usize - stream.payload.len();
        let left = left.min(self.chunk_size as usize);
        Ok(Some((bytes.len() - rest.len(), Chunk { index, left })))
    }

    fn open(&mut self, csid: u32, fmt: u8) -> Result<usize, Fault> {
        if fmt > 1 {
            return Err(Fault::FirstChunk { csid, fmt });
        }
        if self.streams.len() == CHUNK_STREAMS_MAX {
            return Err(Fault::TooManyChunkStreams(csid));
        }
        self.streams.push(ChunkStream {
            csid,
            timestamp: 0,
            delta: 0,
            extended: None,
            length: 0,
            type_id: 0,
            stream_id: 0,
            in_message: false,
            payload: BytesMut::new(),
        });
        Ok(self.streams.len() - 1)
    }

    /// Appends payload, growing the memory if needed.
    #[inline]
    fn store(&mut self, index: usize, bytes: &[u8]) -> Result<(), Fault> {
        let payload = &mut self.streams[index].payload;
        if bytes.len() > payload.capacity() - payload.len() {
            self.grow(index, bytes.len())?;
        }
        self.streams[index].payload.extend_from_slice(bytes);
        Ok(())
    }

    /// Makes room for `n` bytes more: twice what there is, but not more than the message
    /// declares, nor less than what is at hand.
    #[cold]
    fn grow(&mut self, index: usize, n: usize) -> Result<(), Fault> {
        let stream = &mut self.streams[index];
        let (len, before) = (stream.payload.len(), stream.payload.capacity());
        let declared = stream.length as usize;
        let wanted = declared.min(FIRST_RESERVE_BYTES.max(before * 2).max(len + n));
        if self.reserved - before + wanted > PARTIAL_BYTES_MAX {
            return Err(Fault::PartialBytes);
        }
        let mut grown = BytesMut::with_capacity(wanted);
        grown.extend_from_slice(&stream.payload);
        stream.payload = grown;
        self.reserved = self.reserved - before + stream.payload.capacity();
        Ok(())
    }

    /// Takes the message if it is complete.
    #[inline]
    fn finish(&mut self, index: usize) -> Option<Message> {
        let stream = &mut self.streams[index];
        if stream.payload.len() < stream.length as usize {
            return None;
        }
        stream.in_message = false;
        self.reserved -= stream.payload.capacity();
        Some(Message {
            timestamp: stream.timestamp,
            type_id: TypeId(stream.type_id),
            stream_id: stream.stream_id,
            payload: std::mem::take(&mut stream.payload).freeze(),
        })
    }

    /// Carries out what concerns chunks, and hands back any other message.
    #[inline]
    fn obey(&mut self, message: Message) -> Result<Option<Message>, Fault> {
        match message.type_id {
            TypeId::SET_CHUNK_SIZE => {
                self.chunk_size = SetChunkSize::parse(&message.payload)?.size();
                Ok(None)
            }
            TypeId::ABORT => {
                let Abort { csid } = Abort::parse(&message.payload)?;
                // An unknown chunk stream has nothing to abort.
                if let Some(stream) = self.streams.iter_mut().find(|s| s.csid == csid) {
                    stream.in_message = false;
                    self.reserved -= stream.payload.capacity();
                    stream.payload = BytesMut::new();
                }
                Ok(None)
            }
            _ => Ok(Some(message)),
        }
    }
}

impl ChunkStream {
    /// Applies the header of a new message.
    fn start(&mut self, header: header::MessageHeader) -> Result<(), Fault> {
        if let Some((length, type_id)) = header.length_and_type {
            if length > MESSAGE_BYTES_MAX {
                return Err(Fault::MessageTooLong(length));
            }
            (self.length, self.type_id) = (length, type_id);
        }
        if let Some(stream_id) = header.stream_id {
            self.stream_id = stream_id;
            self.timestamp = header.time;
            self.delta = 0;
        } else {
            let signed = header.time.cast_signed();
            if signed < 0 && signed.unsigned_abs() > NEGATIVE_DELTA_MS_MAX {
                return Err(Fault::TimestampDelta(signed));
            }
            self.delta = header.time;
            self.timestamp = self.timestamp.wrapping_add(header.time);
        }
        self.extended = header.extended.then_some(header.time);
        self.in_message = true;
        Ok(())
    }
}
