//! Bodies on their way into the machine of HTTP/2, the most urgent first.
//!
//! The machine serves its streams in turn, a frame each, and keeps what the peer does not take.
//! So it is given only what may leave at once: one chunk, of the stream whose turn it is.

use crate::h2::buffers::Buffer;
use crate::h2::priority::Priority;
use crate::h2::session::Exchange;
use crate::limits::{H2_CHUNK_BYTES, H2_COLD_READS_MAX, H2_OUTPUT_BYTES_MAX};
use crate::response::Piece;
use ::h2::{Reason, SendStream};
use bytes::{Buf, Bytes};
use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::task::Context;
use tracing::debug;
use weir_ring::fs::{File, Nowait};

/// Bytes in memory that were given to the machine.
pub(super) struct Chunk {
    parts: VecDeque<Bytes>,
    left: usize,
    _given: Given,
}

/// Counts a chunk until the machine has written it, or thrown it away.
struct Given {
    len: usize,
    all: Rc<Cell<usize>>,
}

impl Drop for Given {
    fn drop(&mut self) {
        self.all.set(self.all.get() - self.len);
    }
}

impl Chunk {
    fn new(parts: VecDeque<Bytes>, all: &Rc<Cell<usize>>) -> Self {
        let left = parts.iter().map(Bytes::len).sum();
        all.set(all.get() + left);
        Self {
            parts,
            left,
            _given: Given {
                len: left,
                all: all.clone(),
            },
        }
    }
}

impl Buf for Chunk {
    fn remaining(&self) -> usize {
        self.left
    }

    fn chunk(&self) -> &[u8] {
        self.parts.front().map_or(&[], |part| part)
    }

    fn chunks_vectored<'a>(&'a self, into: &mut [IoSlice<'a>]) -> usize {
        let mut count = 0;
        for (slice, part) in into.iter_mut().zip(&self.parts) {
            *slice = IoSlice::new(part);
            count += 1;
        }
        count
    }

    fn advance(&mut self, mut count: usize) {
        self.left = self.left.saturating_sub(count);
        while let Some(first) = self.parts.front_mut() {
            let part = count.min(first.len());
            first.advance(part);
            count -= part;
            if !first.is_empty() {
                return;
            }
            self.parts.pop_front();
        }
    }
}

/// A range of a log that is not in the page cache.
pub(super) struct Cold {
    pub(super) stream: u32,
    pub(super) file: File,
    pub(super) offset: u64,
    pub(super) len: usize,
}

/// What feeding came to.
pub(super) enum Fed {
    /// The machine has so many bytes more.
    Some(usize),
    /// And they were the body's last, or the body cannot go on.
    Last(Exchange),
    /// Nothing can be given now.
    None,
    /// Nothing until this was read; [`Transfers::handle_read`] takes it.
    Cold(Cold),
}

/// Where a body stands among the others: by urgency, then by when it was its turn. One that is
/// incremental goes behind the others after each chunk.
type Turn = (u8, u64);

/// The bodies of a connection.
#[derive(Default)]
pub(super) struct Transfers {
    by_turn: BTreeMap<Turn, Transfer>,
    turns: u64,
    given: Rc<Cell<usize>>,
}

struct Transfer {
    send: SendStream<Chunk>,
    pieces: VecDeque<Piece>,
    /// Bytes of all pieces.
    left: u64,
    /// What was cold, and comes before the pieces.
    read: Option<Bytes>,
    is_reading: bool,
    exchange: Exchange,
}

impl Transfers {
    pub(super) fn is_empty(&self) -> bool {
        self.by_turn.is_empty()
    }

    /// Takes an answer's body, which is not empty.
    pub(super) fn add(
        &mut self,
        send: SendStream<Chunk>,
        pieces: impl IntoIterator<Item = Piece>,
        exchange: Exchange,
    ) {
        let turn = (exchange.priority.urgency, self.next_turn());
        let pieces = pieces.into_iter().filter(|piece| piece.len() > 0);
        let pieces: VecDeque<Piece> = pieces.collect();
        let transfer = Transfer {
            send,
            left: pieces.iter().map(Piece::len).sum(),
            pieces,
            read: None,
            is_reading: false,
            exchange,
        };
        self.by_turn.insert(turn, transfer);
    }

    /// Gives the body of a stream another priority; false if there is none.
    pub(super) fn prioritize(&mut self, stream: u32, priority: Priority) -> bool {
        let mut transfers = self.by_turn.iter();
        let Some((&turn, _)) = transfers.find(|(_, transfer)| transfer.id() == stream) else {
            return false;
        };
        if let Some(mut transfer) = self.by_turn.remove(&turn) {
            transfer.exchange.priority = priority;
            self.by_turn.insert((priority.urgency, turn.1), transfer);
        }
        true
    }

    fn next_turn(&mut self) -> u64 {
        self.turns += 1;
        self.turns
    }

    /// Gives the machine up to `room` bytes of the most urgent body that its peer has a window
    /// for.
    pub(super) fn feed(&mut self, room: usize) -> Fed {
        if room == 0 || self.given.get() >= H2_OUTPUT_BYTES_MAX {
            return Fed::None;
        }
        let cold = self.by_turn.values().filter(|t| t.is_cold()).count();
        let may_read = cold < H2_COLD_READS_MAX;
        let next = self.by_turn.iter_mut().find_map(|(turn, transfer)| {
            let next = transfer.next(room, may_read).transpose()?;
            Some((*turn, next))
        });
        let Some((turn, next)) = next else {
            return Fed::None;
        };
        let Some(mut transfer) = self.by_turn.remove(&turn) else {
            return Fed::None;
        };
        let parts = match next {
            Ok(Next::Parts(parts)) => parts,
            Ok(Next::Cold(cold)) => {
                transfer.is_reading = true;
                self.by_turn.insert(turn, transfer);
                return Fed::Cold(cold);
            }
            Err(e) => {
                debug!("an HTTP/2 answer breaks off: {e}");
                // The length was promised: all that can be said is that it will not be kept.
                transfer.send.send_reset(Reason::INTERNAL_ERROR);
                return Fed::Last(transfer.exchange);
            }
        };
        let chunk = Chunk::new(parts, &self.given);
        let len = chunk.remaining();
        let is_last = transfer.left == 0;
        if transfer.send.send_data(chunk, is_last).is_err() || is_last {
            return Fed::Last(transfer.exchange);
        }
        // What is left of the connection's window is for whoever comes first the next time.
        transfer.send.reserve_capacity(0);
        let turn = match transfer.exchange.priority.incremental {
            true => (turn.0, self.next_turn()),
            false => turn,
        };
        self.by_turn.insert(turn, transfer);
        Fed::Some(len)
    }

    /// Takes what was read for a body, if it is still wanted. What is returned cannot go on.
    pub(super) fn handle_read(&mut self, stream: u32, read: io::Result<Bytes>) -> Option<Exchange> {
        let mut transfers = self.by_turn.iter_mut();
        let (turn, transfer) = transfers.find(|(_, t)| t.is_reading && t.id() == stream)?;
        if transfer.handle_read(read) {
            return None;
        }
        let turn = *turn;
        transfer.send.send_reset(Reason::INTERNAL_ERROR);
        Some(self.by_turn.remove(&turn)?.exchange)
    }

    /// Removes the bodies of streams that were reset.
    pub(super) fn remove_reset(&mut self, cx: &mut Context<'_>, mut removed: impl FnMut(Exchange)) {
        let mut gone = |transfer: &mut Transfer| transfer.send.poll_reset(cx).is_ready();
        let gone = self.by_turn.extract_if(.., |_, transfer| gone(transfer));
        for (_, transfer) in gone {
            removed(transfer.exchange);
        }
    }
}

/// What is next of a body.
enum Next {
    Parts(VecDeque<Bytes>),
    Cold(Cold),
}

impl Transfer {
    fn id(&self) -> u32 {
        self.send.stream_id().as_u32()
    }

    fn is_cold(&self) -> bool {
        self.is_reading || self.read.is_some()
    }

    /// What comes next, if the peer has a window for it.
    fn next(&mut self, room: usize, may_read: bool) -> io::Result<Option<Next>> {
        if self.is_reading {
            return Ok(None);
        }
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        let wanted = room.min(left).min(H2_CHUNK_BYTES);
        self.send.reserve_capacity(wanted);
        let len = self.send.capacity().min(wanted);
        if len == 0 {
            // The connection's window is not kept from the others.
            self.send.reserve_capacity(0);
            return Ok(None);
        }
        let next = self.take(len, may_read)?;
        match &next {
            Some(Next::Parts(parts)) => {
                let taken: usize = parts.iter().map(Bytes::len).sum();
                self.left = self.left.saturating_sub(taken as u64);
            }
            _ => self.send.reserve_capacity(0),
        }
        Ok(next)
    }

    /// Takes up to `len` bytes from the front.
    fn take(&mut self, len: usize, may_read: bool) -> io::Result<Option<Next>> {
        let mut parts = VecDeque::new();
        if let Some(mut read) = self.read.take() {
            parts.push_back(read.split_to(len.min(read.len())));
            self.read = Some(read).filter(|read| !read.is_empty());
        } else if let Some(Piece::File {
            file,
            offset,
            len: left,
        }) = self.pieces.front_mut()
        {
            let handle = file.data().map_err(io::Error::other)?;
            let len = usize::try_from(*left).unwrap_or(usize::MAX).min(len);
            let Some(bytes) = read_cached(&handle, *offset, len)? else {
                let cold = Cold {
                    stream: self.send.stream_id().as_u32(),
                    file: handle,
                    offset: *offset,
                    len: usize::try_from(*left)
                        .unwrap_or(usize::MAX)
                        .min(H2_CHUNK_BYTES),
                };
                return Ok(may_read.then_some(Next::Cold(cold)));
            };
            *offset += bytes.len() as u64;
            *left -= bytes.len() as u64;
            if *left == 0 {
                self.pieces.pop_front();
            }
            parts.push_back(bytes);
        } else {
            let mut room = len;
            while room > 0
                && let Some(Piece::Memory(bytes)) = self.pieces.front_mut()
            {
                let part = bytes.split_to(room.min(bytes.len()));
                room -= part.len();
                parts.push_back(part);
                if bytes.is_empty() {
                    self.pieces.pop_front();
                }
            }
        }
        Ok(Some(Next::Parts(parts)))
    }

    /// False if nothing can follow.
    fn handle_read(&mut self, read: io::Result<Bytes>) -> bool {
        self.is_reading = false;
        let (Some(Piece::File { offset, len, .. }), Ok(read)) = (self.pieces.front_mut(), read)
        else {
            return false;
        };
        let read_len = read.len() as u64;
        if read.is_empty() || read_len > *len {
            return false;
        }
        *offset += read_len;
        *len -= read_len;
        if *len == 0 {
            self.pieces.pop_front();
        }
        self.read = Some(read);
        true
    }
}

/// Up to `len` bytes that are in the page cache; `None` if the first are not.
fn read_cached(file: &File, offset: u64, len: usize) -> io::Result<Option<Bytes>> {
    let mut buffer = Buffer::new();
    let mut is_cold = false;
    buffer.fill(len, |room| match file.try_read_nowait(room, offset) {
        Ok(Nowait::Read(read)) => Ok(read),
        Ok(Nowait::Eof) => Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(Nowait::Cold) => {
            is_cold = true;
            Ok(0)
        }
        Err(e) if e.kind() == io::ErrorKind::Unsupported => {
            is_cold = true;
            Ok(0)
        }
        Err(e) => Err(e),
    })?;
    Ok((!is_cold).then(|| buffer.into_bytes()))
}
