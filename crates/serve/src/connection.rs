//! One HTTP/1.1 connection.
//!
//! Between requests it is parked in the ring: no task, no buffer. A request's first bytes
//! start a task; the head is parsed in the receive buffer, which goes back to the ring
//! before anything is sent, so that a slow reader does not keep it.

use crate::limits::{
    DRAIN_BYTES_MAX, HEAD_WAIT, HOLD_WAIT, IDLE_WAIT, LINGER_BYTES_MAX, LINGER_WAIT,
    SEND_PIECE_BYTES, SEND_PIECE_WAIT,
};
use crate::resolve::{Hints, Resolved};
use crate::response::{Outgoing, Piece, Response};
use crate::server::Server;
use crate::ts;
use bytes::Bytes;
use std::io;
use std::net::Shutdown;
use std::time::Instant;
use tracing::debug;
use weir_http::body::Drain;
use weir_http::limits::HEAD_BYTES_MAX;
use weir_http::{BodyLength, Parsed, request};
use weir_ring::net::{Readiness, TcpStream};
use weir_ring::{Either, RecvBuf};

/// Parks a connection that has no request. `guard` counts the connection as open.
pub(crate) fn park<G: 'static>(server: Server, stream: TcpStream, guard: G) {
    let deadline = Instant::now() + IDLE_WAIT;
    stream.when_readable(Some(deadline), move |stream, readiness| {
        if readiness == Readiness::Data {
            weir_ring::spawn(run(server, stream, guard));
        }
    });
}

/// Serves requests until the connection is idle or over.
async fn run<G: 'static>(server: Server, mut stream: TcpStream, guard: G) {
    let busy = server.busy();
    let mut input = Input::default();
    loop {
        weir_ring::hurry();
        match serve_one(&server, &mut stream, &mut input).await {
            Ok(After::Next) if input.is_empty() => {
                drop(busy);
                return park(server, stream, guard);
            }
            Ok(After::Next) => {}
            Ok(After::Close) => {
                let _ = weir_ring::timeout(LINGER_WAIT, linger(&mut stream)).await;
                stream.close().await;
                return;
            }
            Err(e) => {
                debug!("HTTP connection ends: {e}");
                return;
            }
        }
    }
}

/// Whether another request may follow.
enum After {
    Next,
    Close,
}

/// Received bytes that belong to requests not yet served.
#[derive(Default)]
struct Input {
    /// Bytes that came in an earlier buffer.
    partial: Vec<u8>,
    current: Option<RecvBuf>,
}

impl Input {
    fn is_empty(&self) -> bool {
        self.partial.is_empty() && self.current.as_ref().is_none_or(|b| b.is_empty())
    }

    fn bytes(&self) -> &[u8] {
        match &self.current {
            Some(current) => current,
            None => &self.partial,
        }
    }

    /// Takes a new buffer; what was there before is joined with it.
    fn add(&mut self, received: RecvBuf) {
        self.release();
        if self.partial.is_empty() {
            self.current = Some(received);
        } else {
            self.partial.extend_from_slice(&received);
        }
    }

    fn consume(&mut self, len: usize) {
        match &mut self.current {
            Some(current) => current.advance(len),
            None => drop(self.partial.drain(..len)),
        }
    }

    /// Gives the receive buffer back to the ring; what is left of it is copied.
    fn release(&mut self) {
        if let Some(current) = self.current.take() {
            self.partial.extend_from_slice(&current);
        }
    }
}

async fn serve_one(
    server: &Server,
    stream: &mut TcpStream,
    input: &mut Input,
) -> io::Result<After> {
    let Some(len) = read_head(server, stream, input).await? else {
        return Ok(After::Close);
    };
    let head = input.bytes().get(..len).unwrap_or_default();
    // `read_head` found a whole head in these bytes.
    let Ok(Parsed::Head { head: request, .. }) = request::parse(head) else {
        return Ok(After::Close);
    };
    let body = request.body;
    // A body that is not read over, or that waits for a 100, ends the connection.
    let readable = match body {
        BodyLength::None => true,
        BodyLength::Length(bytes) => bytes <= DRAIN_BYTES_MAX && !request.expect_continue,
        BodyLength::Chunked => false,
    };
    let keep_alive = request.keep_alive && readable && !server.is_stopping();
    let outgoing = match server.resolve(&request, Hints::default()) {
        Resolved::Answer(response) => {
            let outgoing = response.finish(Some(&request), &server.date(), keep_alive);
            input.consume(len);
            input.release();
            outgoing
        }
        later => {
            let head = head.to_vec();
            input.consume(len);
            input.release();
            answer_later(server, stream, input, &head, later, keep_alive).await?
        }
    };
    let drained = match body {
        BodyLength::None => true,
        _ if !readable => false,
        _ => drain(stream, input, body).await?,
    };
    send(server, stream, &outgoing).await?;
    Ok(if outgoing.keep_alive && drained {
        After::Next
    } else {
        After::Close
    })
}

/// Receives until a whole head is there; its length. `None` if the peer closed, or was
/// answered with an error.
async fn read_head(
    server: &Server,
    stream: &mut TcpStream,
    input: &mut Input,
) -> io::Result<Option<usize>> {
    let deadline = Instant::now() + HEAD_WAIT;
    loop {
        if !input.is_empty() {
            match request::parse(input.bytes()) {
                Ok(Parsed::Head { len, .. }) => return Ok(Some(len)),
                Ok(Parsed::NeedMore) => {}
                Err(e) => {
                    let response = Response::error(e.status(), &e.to_string());
                    send(
                        server,
                        stream,
                        &response.finish(None, &server.date(), false),
                    )
                    .await?;
                    return Ok(None);
                }
            }
        }
        input.release();
        let wait = deadline.saturating_duration_since(Instant::now());
        match weir_ring::timeout(wait, stream.recv()).await {
            Ok(received) => match received? {
                Some(bytes) => input.add(bytes),
                None => return Ok(None),
            },
            Err(_) => {
                server.counters().stalled.inc();
                let status = weir_http::Status::RequestTimeout;
                let response = Response::error(status, "the request's head took too long");
                send(
                    server,
                    stream,
                    &response.finish(None, &server.date(), false),
                )
                .await?;
                return Ok(None);
            }
        }
    }
}

/// Answers a request that has to wait for content, or for a segment to be muxed.
async fn answer_later(
    server: &Server,
    stream: &mut TcpStream,
    input: &mut Input,
    head: &[u8],
    mut later: Resolved,
    keep_alive: bool,
) -> io::Result<Outgoing> {
    let Ok(Parsed::Head { head: request, .. }) = request::parse(head) else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    let deadline = Instant::now() + HOLD_WAIT;
    loop {
        let hints = match later {
            Resolved::Answer(response) => {
                return Ok(response.finish(Some(&request), &server.date(), keep_alive));
            }
            Resolved::Wait(place) => {
                server.counters().held.inc();
                let wait = deadline.saturating_duration_since(Instant::now());
                let news = weir_ring::select(place.news(), gone(stream, input));
                let news = weir_ring::timeout(wait, news).await;
                server.counters().held.dec();
                match news {
                    Ok(Either::Left(())) => Hints::default(),
                    Ok(Either::Right(())) => return Err(io::ErrorKind::ConnectionAborted.into()),
                    Err(_) => Hints {
                        no_wait: true,
                        ts: None,
                    },
                }
            }
            Resolved::Mux(wanted) => Hints {
                no_wait: true,
                ts: Some(ts::segment(server, &wanted).await),
            },
        };
        later = server.resolve(&request, hints);
    }
}

/// Completes when the peer has closed while its request waits. What it sends meanwhile is
/// kept for later, up to the length of a head.
async fn gone(stream: &mut TcpStream, input: &mut Input) {
    while input.bytes().len() < HEAD_BYTES_MAX {
        match stream.recv().await {
            Ok(Some(bytes)) => {
                input.add(bytes);
                input.release();
            }
            Ok(None) | Err(_) => return,
        }
    }
    std::future::pending().await
}

/// Reads over a request's body. False if it is too long or broken: the connection cannot be
/// used further.
async fn drain(stream: &mut TcpStream, input: &mut Input, length: BodyLength) -> io::Result<bool> {
    let Ok(mut drain) = Drain::new(length, DRAIN_BYTES_MAX) else {
        return Ok(false);
    };
    let deadline = Instant::now() + HEAD_WAIT;
    loop {
        match drain.handle_bytes(input.bytes()) {
            Ok(drained) => {
                input.consume(drained.consumed);
                if drained.done {
                    input.release();
                    return Ok(true);
                }
            }
            Err(_) => return Ok(false),
        }
        input.release();
        let wait = deadline.saturating_duration_since(Instant::now());
        match weir_ring::timeout(wait, stream.recv()).await {
            Ok(received) => match received? {
                Some(bytes) => input.add(bytes),
                None => return Ok(false),
            },
            Err(_) => return Ok(false),
        }
    }
}

/// Ends our side and reads the peer's to its end: bytes that were never read would turn the
/// close into a reset, which can take the answer with it.
async fn linger(stream: &mut TcpStream) {
    if stream.shutdown(Shutdown::Write).is_err() {
        return;
    }
    let mut read = 0;
    while read < LINGER_BYTES_MAX {
        match stream.recv().await {
            Ok(Some(bytes)) => read += bytes.len(),
            Ok(None) | Err(_) => return,
        }
    }
}

/// Sends an answer, each piece under a deadline of its own.
async fn send(server: &Server, stream: &mut TcpStream, outgoing: &Outgoing) -> io::Result<()> {
    let mut memory = vec![outgoing.head.clone()];
    let mut bytes = outgoing.head.len() as u64;
    for piece in &outgoing.body {
        bytes += piece.len();
        match piece {
            Piece::Memory(part) => memory.push(part.clone()),
            Piece::File { file, offset, len } => {
                let handle = file.data().map_err(io::Error::other)?;
                for before in memory.drain(..) {
                    in_time(server, stream.send_more(before)).await?;
                }
                let (mut at, end) = (*offset, offset + len);
                while at < end {
                    let part = SEND_PIECE_BYTES.min(end - at);
                    let sent = in_time(server, stream.sendfile(&handle, at, part)).await?;
                    if sent != part {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    at += part;
                }
            }
        }
    }
    for batch in batches(memory) {
        in_time(server, stream.send_vectored(batch)).await?;
    }
    server
        .counters()
        .answered(outgoing.status, outgoing.way(), bytes);
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
                room = SEND_PIECE_BYTES as usize;
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

async fn in_time<T>(
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
    fn memory_is_sent_in_bounded_batches() {
        let big = Bytes::from(vec![1u8; SEND_PIECE_BYTES as usize * 2 + 10]);
        let all = batches(vec![Bytes::from_static(b"head"), big.clone(), Bytes::new()]);
        assert_eq!(all.len(), 3);
        let total: usize = all.iter().flatten().map(Bytes::len).sum();
        assert_eq!(total, big.len() + 4);
        for batch in &all {
            assert!(batch.iter().map(Bytes::len).sum::<usize>() <= SEND_PIECE_BYTES as usize);
        }
        assert!(batches(vec![Bytes::new()]).is_empty());
    }
}
