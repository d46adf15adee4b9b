//! Requests that are answered where their bytes arrive, without a task.
//!
//! Nearly all are: a whole head in one receive, for something in memory or in the page cache. The
//! answer is handed to the kernel at once, and the connection parked again. Whatever is not so
//! simple goes to [`crate::connection`], which starts over from the same bytes.

use crate::connection::{self, Connection, idle_deadline, may_keep};
use crate::input::Input;
use crate::limits::{
    INLINE_BYTES_MAX, QUICK_BYTES_MAX, SEND_PIECE_BYTES, SMALL_BYTES_MAX, SMALL_TLS_BYTES_MAX,
};
use crate::resolve::{Hints, Resolved};
use crate::response::{Outgoing, Piece};
use crate::send::send;
use bytes::Buf;
use std::time::Instant;
use tracing::debug;
use weir_http::{BodyLength, Parsed, request};
use weir_net::Stream;
use weir_ring::limits::IOV_MAX;
use weir_ring::net::{Readiness, TcpStream};

/// A parked connection has news.
pub(crate) fn readable(mut connection: Box<Connection>, mut stream: Stream, readiness: Readiness) {
    if readiness != Readiness::Data {
        return;
    }
    let Some(received) = stream.try_recv() else {
        // Part of a record, whose rest is waited for; in the clear there is nothing.
        return match stream.is_tls() {
            true => drop(weir_ring::spawn(connection::run(
                connection,
                stream,
                Input::default(),
            ))),
            false => connection.park(stream),
        };
    };
    match answer(&mut connection, &received, stream.is_tls()) {
        Some((outgoing, began)) => {
            // The buffer goes back before anything is sent.
            drop(received);
            leave(connection, stream, outgoing, began);
        }
        None => {
            let input = Input::from(received);
            weir_ring::spawn(connection::run(connection, stream, input));
        }
    }
}

/// The answer to a request that is all of `received`, if it is a simple one.
fn answer(
    connection: &mut Connection,
    received: &[u8],
    is_tls: bool,
) -> Option<(Outgoing, Instant)> {
    let Ok(Parsed::Head { head: request, len }) = request::parse(received) else {
        return None;
    };
    let server = &connection.server;
    let simple = len == received.len()
        && request.body == BodyLength::None
        && may_keep(&request)
        && !server.is_stopping();
    if !simple {
        return None;
    }
    let began = weir_ring::now();
    let client = server.client(&request, connection.peer);
    let mut response = match server.limited(client) {
        Some(refusal) => refusal,
        None => match server.resolve(&request, client, Hints::default()) {
            Resolved::Answer(response) => response,
            Resolved::Wait(_) | Resolved::Mux(_) | Resolved::Live(_) => {
                connection.taken = true;
                return None;
            }
        },
    };
    // Before the head is written, so that the body is written behind it.
    if let [Piece::File { file, offset, len }] = &response.body[..]
        && *len <= INLINE_BYTES_MAX as u64
        && let Some(bytes) = server.small(file, *offset, *len)
    {
        response.body = vec![Piece::Memory(bytes)];
    }
    let outgoing = server.finish(response, Some(&request), true);
    if let Some(log) = server.log() {
        let summary = outgoing.summary();
        log.note(received, "HTTP/1.1", client, is_tls, summary, began);
    }
    Some((outgoing, began))
}

/// Hands an answer to the kernel, as much as it takes, and the rest to a task.
fn leave(mut connection: Box<Connection>, stream: Stream, mut outgoing: Outgoing, began: Instant) {
    let small = match stream.is_tls() {
        true => SMALL_TLS_BYTES_MAX,
        false => SMALL_BYTES_MAX,
    };
    if let [Piece::File { file, offset, len }] = &outgoing.body[..]
        && *len <= small
        && let Some(bytes) = connection.server.small(file, *offset, *len)
    {
        outgoing.body = vec![Piece::Memory(bytes)];
    }
    connection.answered(&outgoing, Connection::way(&stream, &outgoing), began);
    let in_memory = |piece: &Piece| matches!(piece, Piece::Memory(_));
    let stream = match (stream, &outgoing.body[..]) {
        (Stream::Plain(stream), [Piece::File { .. }]) => {
            return leave_file(connection, stream, outgoing);
        }
        (stream, _) => stream,
    };
    if outgoing.body_len() <= QUICK_BYTES_MAX
        && outgoing.body.len() < IOV_MAX
        && outgoing.body.iter().all(in_memory)
    {
        let body = std::mem::take(&mut outgoing.body);
        let body = body.into_iter().filter_map(Piece::into_memory);
        let bufs = std::iter::once(outgoing.head).chain(body);
        stream.send_and_park(bufs, Some(idle_deadline()), move |stream, readiness| {
            if readiness == Readiness::TimedOut && stream.is_broken() {
                connection.server.counters().stalled.inc();
            }
            readable(connection, stream, readiness);
        });
    } else {
        leave_later(connection, stream, outgoing);
    }
}

/// The head, and what the socket takes of a range that is in the page cache.
fn leave_file(connection: Box<Connection>, mut stream: TcpStream, mut outgoing: Outgoing) {
    let [Piece::File { file, offset, len }] = &outgoing.body[..] else {
        return;
    };
    let Ok(handle) = file.data() else {
        // Deleted since: its answer promised a body, so that nothing can be said any more.
        return;
    };
    let part = SEND_PIECE_BYTES.min(*len);
    if connection.server.is_hot(file, &handle, *offset, part) {
        let corked = outgoing.corked;
        let sent = stream.try_send(&outgoing.head, true).and_then(|head| {
            let whole = head == outgoing.head.len();
            outgoing.head.advance(head);
            if corked {
                stream.set_cork(true)?;
            }
            match whole {
                true => stream.try_sendfile(&handle, *offset, part),
                false => Ok(0),
            }
        });
        match sent {
            Ok(sent) if sent == *len => {
                if corked && let Err(e) = stream.set_cork(false) {
                    return debug!("HTTP connection ends: {e}");
                }
                return connection.park(stream.into());
            }
            Ok(sent) => outgoing.sent = sent,
            Err(e) => return debug!("HTTP connection ends: {e}"),
        }
    }
    leave_later(connection, stream.into(), outgoing);
}

/// Sends what is left of an answer from a task.
fn leave_later(connection: Box<Connection>, mut stream: Stream, outgoing: Outgoing) {
    weir_ring::spawn(async move {
        let server = connection.server.clone();
        let _busy = server.busy();
        match send(&server, &mut stream, &outgoing).await {
            Ok(()) => connection.park(stream),
            Err(e) => debug!("HTTP connection ends: {e}"),
        }
    });
}
