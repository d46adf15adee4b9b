//! From messages to chunks.

use super::{CHUNK_SIZE_INITIAL, EXTENDED};
use crate::gather::Gather;
use crate::limits::{CHUNK_SIZE_MAX, REFERENCE_BYTES_MIN};
use crate::message::TypeId;
use bytes::{Buf, Bytes};

/// What a message's header says; its length comes from the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Chunk stream, 2 to 65,599.
    pub csid: u32,
    /// Milliseconds, modulo 2^32.
    pub timestamp: u32,
    /// What the payload is.
    pub type_id: TypeId,
    /// Message stream; 0 for the connection itself.
    pub stream_id: u32,
}

/// Cuts messages into chunks with the shortest headers. It remembers one header for each
/// chunk stream it has written on, so the caller must keep to a fixed set of them.
#[derive(Debug)]
pub struct Writer {
    chunk_size: u32,
    last: Vec<Last>,
}

/// The previous message on a chunk stream.
#[derive(Debug)]
struct Last {
    header: Header,
    length: u32,
    /// What a type 3 chunk would add, if the reader is sure to know it: after type 1 or 2.
    delta: Option<u32>,
}

impl Default for Writer {
    fn default() -> Self {
        Self::new()
    }
}

impl Writer {
    /// A writer at the start of the chunk stream, after the handshake.
    #[must_use]
    pub fn new() -> Self {
        Self {
            chunk_size: CHUNK_SIZE_INITIAL,
            last: Vec::new(),
        }
    }

    /// Payload bytes per chunk from now on, after Set Chunk Size was written.
    pub fn set_chunk_size(&mut self, size: u32) {
        self.chunk_size = size.clamp(1, CHUNK_SIZE_MAX);
    }

    /// Writes a message whose payload is `prefix` and `payload` together. Runs of `payload`
    /// that are large enough are shared with `out`, the rest is copied.
    ///
    /// A message longer than 16,777,215 bytes cannot be said and is not written; nothing in
    /// this crate makes one.
    pub fn write(&mut self, header: Header, prefix: &[u8], payload: &Bytes, out: &mut Gather) {
        let Some(length) = u32::try_from(prefix.len() + payload.len())
            .ok()
            .filter(|n| *n <= CHUNK_SIZE_MAX)
        else {
            return;
        };
        let extended = self.write_header(header, length, out);
        let mut room = self.chunk_size as usize;
        let mut parts = [Part::Copied(prefix), Part::Shared(payload.clone())];
        let mut left = length as usize;
        for part in &mut parts {
            while part.len() > 0 {
                if room == 0 {
                    write_basic(3, header.csid, out);
                    if let Some(value) = extended {
                        out.put_slice(&value.to_be_bytes());
                    }
                    room = self.chunk_size as usize;
                }
                let n = part.len().min(room);
                part.put(n, out);
                room -= n;
                left -= n;
            }
        }
        debug_assert_eq!(left, 0);
    }

    /// Writes the first chunk's header; returns the extended timestamp, which the following
    /// chunks repeat.
    fn write_header(&mut self, header: Header, length: u32, out: &mut Gather) -> Option<u32> {
        let position = self.last.iter().position(|l| l.header.csid == header.csid);
        let (fmt, time) = match position.map(|i| &self.last[i]) {
            Some(last) if last.header.stream_id == header.stream_id => {
                let delta = header.timestamp.wrapping_sub(last.header.timestamp);
                let same = last.length == length && last.header.type_id == header.type_id;
                match (delta.cast_signed() < 0, same) {
                    (true, _) => (0, header.timestamp),
                    (false, false) => (1, delta),
                    (false, true) if last.delta == Some(delta) => (3, delta),
                    (false, true) => (2, delta),
                }
            }
            _ => (0, header.timestamp),
        };
        let this = Last {
            header,
            length,
            delta: (fmt != 0).then_some(time),
        };
        match position {
            Some(i) => self.last[i] = this,
            None => self.last.push(this),
        }
        write_basic(fmt, header.csid, out);
        let field = time.min(EXTENDED);
        if fmt < 3 {
            out.put_slice(&field.to_be_bytes()[1..]);
        }
        if fmt < 2 {
            out.put_slice(&length.to_be_bytes()[1..]);
            out.put_slice(&[header.type_id.0]);
        }
        if fmt == 0 {
            out.put_slice(&header.stream_id.to_le_bytes());
        }
        let extended = (field == EXTENDED).then_some(time);
        if let Some(value) = extended {
            out.put_slice(&value.to_be_bytes());
        }
        extended
    }
}

/// A run of payload that is being written.
enum Part<'a> {
    Copied(&'a [u8]),
    Shared(Bytes),
}

impl Part<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Copied(bytes) => bytes.len(),
            Self::Shared(bytes) => bytes.len(),
        }
    }

    fn put(&mut self, n: usize, out: &mut Gather) {
        match self {
            Self::Copied(bytes) => {
                let (now, later) = bytes.split_at(n);
                out.put_slice(now);
                *bytes = later;
            }
            Self::Shared(bytes) if n < REFERENCE_BYTES_MIN => {
                out.put_slice(&bytes[..n]);
                bytes.advance(n);
            }
            Self::Shared(bytes) => out.put_bytes(bytes.split_to(n)),
        }
    }
}

fn write_basic(fmt: u8, csid: u32, out: &mut Gather) {
    let fmt = fmt << 6;
    match csid {
        0..64 => out.put_slice(&[fmt | csid as u8]),
        64..320 => out.put_slice(&[fmt, (csid - 64) as u8]),
        _ => {
            let [low, high, ..] = (csid - 64).to_le_bytes();
            out.put_slice(&[fmt | 1, low, high]);
        }
    }
}
