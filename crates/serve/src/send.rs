//! Sending an answer: from memory, from the page cache, or from a disk that makes us wait.

use crate::limits::{
    COLD_READ_BYTES, HOT_ENTRIES, HOT_WAIT, SEND_BATCH_BYTES, SEND_PIECE_BYTES, SEND_PIECE_WAIT,
};
use crate::response::{Outgoing, Piece};
use crate::server::Server;
use bytes::Bytes;
use std::cell::RefCell;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;
use weir_net::Stream;
use weir_net::limits::SEND_PER_TURN;
use weir_net::tls::TlsStream;
use weir_ring::fs::{File, Nowait, Residency};
use weir_ring::net::TcpStream;
use weir_store::LogFile;

/// Ranges that were in the page cache a moment ago, so that a segment which many viewers ask for
/// is probed once a second and not once per request. A table of hashes: two ranges that meet in a
/// place only cost a probe more.
pub(crate) struct Hot {
    entries: RefCell<Vec<(u64, Option<Instant>)>>,
}

impl Hot {
    pub(crate) fn new() -> Self {
        Self {
            entries: RefCell::new(vec![(0, None); HOT_ENTRIES]),
        }
    }

    fn hash(file: &Arc<LogFile>, at: u64, len: u64) -> u64 {
        // The file's address names it: whoever holds it now is in the page cache just as well, or
        // is found out a second later. The length counts: what is behind a short range may be cold.
        Self::mix(Arc::as_ptr(file) as u64, at, len)
    }

    /// Each word reaches all bits before the next one comes: the pieces of one answer differ in few
    /// high bits of `at`, and must not drive each other out.
    fn mix(file: u64, at: u64, len: u64) -> u64 {
        [at, len, 0].into_iter().fold(file, |hash, word| {
            let mixed = (hash ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            mixed ^ mixed >> 32
        })
    }

    fn place(hash: u64) -> usize {
        (hash >> 32) as usize % HOT_ENTRIES
    }

    fn is_known(&self, file: &Arc<LogFile>, at: u64, len: u64, now: Instant) -> bool {
        let hash = Self::hash(file, at, len);
        let entries = self.entries.borrow();
        let (of, until) = entries[Self::place(hash)];
        of == hash && until.is_some_and(|until| now < until)
    }

    fn note(&self, file: &Arc<LogFile>, at: u64, len: u64, now: Instant) {
        let hash = Self::hash(file, at, len);
        let mut entries = self.entries.borrow_mut();
        entries[Self::place(hash)] = (hash, Some(now + HOT_WAIT));
    }
}

impl Server {
    /// Whether a range can be sent without waiting for the disk, as far as one can tell.
    pub(crate) fn is_hot(&self, log: &Arc<LogFile>, file: &File, at: u64, len: u64) -> bool {
        let now = weir_ring::now();
        if self.hot().is_known(log, at, len, now) {
            return true;
        }
        let resident = file.residency(at, len) == Residency::Resident;
        if resident {
            self.hot().note(log, at, len, now);
        }
        resident
    }

    /// Brings a range into the page cache without stalling the worker: the ring's kernel threads
    /// wait for the disk. So many at once that the log's appends, which use them too, go on.
    async fn warm(&self, log: &Arc<LogFile>, file: &File, at: u64, len: u64) -> io::Result<()> {
        if self.is_hot(log, file, at, len) {
            return Ok(());
        }
        self.counters().cold.inc();
        let _permit = self.cold_reads().acquire().await;
        let end = at + len;
        let mut position = at;
        while position < end {
            let part = COLD_READ_BYTES.min(end - position);
            // What was read is dropped: it is in the page cache now, and waits there for a slow
            // viewer at no cost of ours.
            let read = file.read_at(part as usize, position).await?;
            if read.len() as u64 != part {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            position += part;
        }
        self.hot().note(log, at, len, weir_ring::now());
        Ok(())
    }
}

impl Server {
    /// A small range of a log, in memory: from this worker's cache, or from the page cache.
    pub(crate) fn small(&self, log: &Arc<LogFile>, at: u64, len: u64) -> Option<Bytes> {
        let key = (Arc::as_ptr(log) as usize, at, len);
        let mut small = self.small_bodies().borrow_mut();
        if let Some((_, bytes)) = small.get(&key) {
            return Some(bytes);
        }
        let mut bytes = vec![0; usize::try_from(len).ok()?];
        let file = log.data().ok()?;
        match file.try_read_nowait(&mut bytes, at) {
            Ok(Nowait::Read(read)) if read == bytes.len() => {}
            // It is cold, or was cut: the slow way finds out.
            _ => return None,
        }
        let bytes = Bytes::from(bytes);
        // The log is kept with them, so that its address names no other.
        let value = (Arc::clone(log), bytes.clone());
        small.put(key, value, bytes.len());
        Some(bytes)
    }
}

/// Sends an answer, each piece under a deadline of its own.
pub(crate) async fn send(
    server: &Server,
    stream: &mut Stream,
    outgoing: &Outgoing,
) -> io::Result<()> {
    if outgoing.corked {
        stream.set_cork(true)?;
    }
    send_pieces(server, stream, outgoing).await?;
    if outgoing.corked {
        stream.set_cork(false)?;
    }
    Ok(())
}

async fn send_pieces(server: &Server, stream: &mut Stream, outgoing: &Outgoing) -> io::Result<()> {
    let mut memory = vec![outgoing.head.clone()];
    let mut sent = outgoing.sent;
    for piece in &outgoing.body {
        match piece {
            Piece::Memory(part) => memory.push(part.clone()),
            Piece::File { file, offset, len } => {
                let handle = file.data().map_err(io::Error::other)?;
                for before in memory.drain(..) {
                    in_time(server, stream.send_more(before)).await?;
                }
                let range = *offset..offset + len;
                send_file(server, stream, (file, &handle), range, sent).await?;
                sent = 0;
            }
        }
    }
    for batch in batches(memory) {
        in_time(server, stream.send_vectored(batch)).await?;
    }
    Ok(())
}

/// Sends a range of a log file, of which so many bytes are sent already. It is looked for in the
/// page cache by pieces from its start on, wherever a viewer is in them: so that they are the same
/// for all, and what was found for one is known for the next.
async fn send_file(
    server: &Server,
    stream: &mut Stream,
    (log, file): (&Arc<LogFile>, &File),
    range: Range<u64>,
    sent: u64,
) -> io::Result<()> {
    let mut start = range.start;
    let mut at = range.start + sent;
    while start < range.end {
        let end = range.end.min(start + SEND_PIECE_BYTES);
        if at < end {
            // Under TLS too: it would read cold pages through the ring by itself, but as many at
            // once as there are connections.
            server.warm(log, file, start, end - start).await?;
            match stream {
                Stream::Plain(stream) => sendfile(server, stream, file, at, end).await?,
                Stream::Tls(stream) => seal(server, stream, file, at, end).await?,
            }
            at = end;
        }
        start = end;
    }
    Ok(())
}

/// Sends a range that is in the page cache. Time is kept only while the peer takes nothing.
async fn sendfile(
    server: &Server,
    stream: &mut TcpStream,
    file: &File,
    mut at: u64,
    end: u64,
) -> io::Result<()> {
    let mut was_writable = false;
    loop {
        let sent = stream.try_sendfile(file, at, end - at)?;
        at += sent;
        if at == end {
            return Ok(());
        }
        if sent == 0 && was_writable {
            // The socket takes more, and the file has no more.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // A short count means that the socket is full: to ask again would be told so.
        in_time(server, stream.writable()).await?;
        was_writable = true;
    }
}

/// Sends a range under TLS, each step under a deadline of its own.
async fn seal(
    server: &Server,
    stream: &mut TlsStream,
    file: &File,
    mut at: u64,
    end: u64,
) -> io::Result<()> {
    let mut unyielded = 0;
    while at < end {
        let sent = in_time(server, stream.sendfile_step(file, at, end - at)).await?;
        at += sent;
        unyielded += sent;
        if unyielded >= SEND_PER_TURN {
            weir_ring::yield_now().await;
            unyielded = 0;
        }
    }
    Ok(())
}

/// Groups of memory pieces that are sent under one deadline each.
fn batches(pieces: Vec<Bytes>) -> Vec<Vec<Bytes>> {
    let mut batches: Vec<Vec<Bytes>> = Vec::new();
    let mut room = 0;
    for mut piece in pieces {
        while !piece.is_empty() {
            if room == 0 {
                batches.push(Vec::new());
                room = SEND_BATCH_BYTES;
            }
            let part = piece.split_to(room.min(piece.len()));
            room -= part.len();
            if let Some(batch) = batches.last_mut() {
                batch.push(part);
            }
        }
    }
    batches
}

/// Ends what the peer does not let proceed.
pub(crate) async fn in_time<T>(
    server: &Server,
    sending: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    match weir_ring::timeout(SEND_PIECE_WAIT, sending).await {
        Ok(sent) => sent,
        Err(_) => {
            server.counters().stalled.inc();
            Err(io::ErrorKind::TimedOut.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pieces_of_answers_have_places_of_their_own() {
        // A hundred answers of 12 MiB from two files.
        let answers = (0..50_u64).flat_map(|n| [(0x7f00_1230_4560, n), (0x7f00_1230_4760, n)]);
        let pieces = answers.flat_map(|(file, n)| {
            let piece = move |i| (file, (n * 6 + i) * SEND_PIECE_BYTES);
            (0..6).map(piece)
        });
        let place = |(file, at)| Hot::place(Hot::mix(file, at, SEND_PIECE_BYTES));
        let places: Vec<usize> = pieces.map(place).collect();
        let distinct: std::collections::HashSet<_> = places.iter().collect();
        assert_eq!(places.len(), 600);
        // By chance 557 of 4,096.
        assert!(distinct.len() > 520, "{} places", distinct.len());
    }

    #[test]
    fn memory_is_sent_in_bounded_batches() {
        let big = Bytes::from(vec![1u8; SEND_BATCH_BYTES * 2 + 10]);
        let all = batches(vec![Bytes::from_static(b"head"), big.clone(), Bytes::new()]);
        assert_eq!(all.len(), 3);
        let total: usize = all.iter().flatten().map(Bytes::len).sum();
        assert_eq!(total, big.len() + 4);
        for batch in &all {
            assert!(batch.iter().map(Bytes::len).sum::<usize>() <= SEND_BATCH_BYTES);
        }
        assert!(batches(vec![Bytes::new()]).is_empty());
    }
}
