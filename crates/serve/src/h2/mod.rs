//! One HTTP/2 connection (RFC 9113), over TLS by ALPN. Without TLS, HTTP/2 is not spoken.
//!
//! ```text
//!   socket ─► pipe.rs ─► machine of the crate h2 ─► session.rs ─► head.rs ─► resolve, finish
//!   socket ◄─ pipe.rs ◄─ machine ◄─ body.rs, by priority.rs ◄───────────────────────┘
//! ```
//!
//! A connection has one task, which moves bytes between the socket and the machine, in turn: what
//! is to be sent is sent before anything more is received or made. So a peer that does not read
//! is not listened to, and what it makes us keep is one buffer. Bodies are given to the machine
//! as the socket takes them. Only what has to wait (content, a segment to be muxed, a cold disk)
//! has a task of its own.

mod body;
mod buffers;
mod head;
mod mail;
mod pipe;
mod priority;
mod session;

use crate::connection::{Connection, linger};
use crate::limits::{
    H2_HEADER_LIST_BYTES_MAX, H2_LOCAL_RESETS_MAX, H2_PENDING_RESETS_MAX, H2_STREAMS_MAX,
    H2_WINDOW_BYTES, HEAD_WAIT, IDLE_WAIT, LINGER_WAIT, SEND_PIECE_BYTES, SEND_PIECE_WAIT,
};
use crate::server::{Busy, Server};
use ::h2::Reason;
use ::h2::server::{Builder, Handshake};
use body::Chunk;
use bytes::Bytes;
use pipe::Pipe;
use session::Session;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tracing::debug;
use weir_net::Stream;
use weir_ring::Either;

/// The protocol's name in ALPN (RFC 9113 section 3.1).
pub(crate) const ALPN: &[u8] = b"h2";

/// How long a connection may stand still.
#[derive(Clone, Copy)]
struct Waits {
    /// With nothing to do.
    idle: Duration,
    /// With streams that its peer does not let proceed.
    progress: Duration,
}

const WAITS: Waits = Waits {
    idle: IDLE_WAIT,
    progress: SEND_PIECE_WAIT,
};

/// Serves a connection to its end.
pub(crate) async fn serve(connection: Connection, stream: Stream) {
    serve_within(connection, stream, WAITS).await;
}

async fn serve_within(connection: Connection, mut stream: Stream, waits: Waits) {
    let peer = connection.peer;
    match run(connection, &mut stream, waits).await {
        Ok(()) => linger(stream).await,
        Err(e) => debug!(%peer, "HTTP/2 connection ends: {e}"),
    }
}

async fn run(connection: Connection, stream: &mut Stream, waits: Waits) -> io::Result<()> {
    let server = connection.server.clone();
    let pipe = Pipe::default();
    let Some(machine) = preface(&server, stream, &pipe).await? else {
        return Ok(());
    };
    let mut session = Session::new(connection, pipe.clone(), machine);
    let mut pace = Pace::new(waits);
    loop {
        if server.is_stopping() && pace.stop() {
            session.end_gracefully();
        }
        session.proceed();
        pace.note(&server, &mut session);
        if let Some(output) = pipe.take_output() {
            send(&server, stream, output, waits).await?;
            if !pipe.is_unread()
                && let Some(received) = stream.try_recv()
            {
                pipe.receive(Some(received));
            }
            continue;
        }
        if session.is_over() {
            return Ok(());
        }
        let wait = pace.deadline.saturating_duration_since(Instant::now());
        let news = session.news.clone();
        let event = weir_ring::select(stream.recv(), news.arrived());
        match weir_ring::timeout(wait, event).await {
            Ok(Either::Left(received)) => {
                weir_ring::hurry();
                pipe.receive(received?);
            }
            Ok(Either::Right(())) => {}
            // Even its end does not end it.
            Err(_) if pace.is_ended => return Ok(()),
            Err(_) => {
                let is_stalled = session.is_busy();
                if is_stalled {
                    server.counters().stalled.inc();
                }
                session.end(match is_stalled {
                    true => Reason::CANCEL,
                    false => Reason::NO_ERROR,
                });
                pace.end();
            }
        }
    }
}

/// Settings go out, the peer's preface comes in. `None` if what came is none.
async fn preface(
    server: &Server,
    stream: &mut Stream,
    pipe: &Pipe,
) -> io::Result<Option<::h2::server::Connection<Pipe, Chunk>>> {
    let deadline = Instant::now() + HEAD_WAIT;
    let mut handshake = handshake(pipe);
    loop {
        let cx = &mut Context::from_waker(Waker::noop());
        let machine = Pin::new(&mut handshake).poll(cx);
        if let Some(output) = pipe.take_output() {
            send(server, stream, output, WAITS).await?;
        }
        match machine {
            Poll::Ready(Ok(machine)) => return Ok(Some(machine)),
            Poll::Ready(Err(e)) => {
                debug!("no HTTP/2 connection: {e}");
                return Ok(None);
            }
            Poll::Pending => {}
        }
        let wait = deadline.saturating_duration_since(Instant::now());
        match weir_ring::timeout(wait, stream.recv()).await {
            Ok(received) => pipe.receive(received?),
            Err(_) => {
                server.counters().stalled.inc();
                return Ok(None);
            }
        }
    }
}

fn handshake(pipe: &Pipe) -> Handshake<Pipe, Chunk> {
    Builder::new()
        .max_concurrent_streams(H2_STREAMS_MAX)
        .max_header_list_size(H2_HEADER_LIST_BYTES_MAX)
        .initial_window_size(H2_WINDOW_BYTES)
        .initial_connection_window_size(H2_WINDOW_BYTES)
        .max_pending_accept_reset_streams(H2_PENDING_RESETS_MAX)
        .max_local_error_reset_streams(Some(H2_LOCAL_RESETS_MAX))
        .handshake(pipe.clone())
}

async fn send(server: &Server, stream: &mut Stream, output: Bytes, waits: Waits) -> io::Result<()> {
    match weir_ring::timeout(waits.progress, stream.send_vectored([output])).await {
        Ok(sent) => sent,
        Err(_) => {
            server.counters().stalled.inc();
            Err(io::ErrorKind::TimedOut.into())
        }
    }
}

/// Whether a connection gets on.
struct Pace {
    waits: Waits,
    deadline: Instant,
    /// Bytes of bodies since the deadline was set.
    progress: u64,
    /// Present while streams are open: a drain waits for them.
    busy: Option<Busy>,
    /// No more streams are taken.
    is_ending: bool,
    /// The last was said.
    is_ended: bool,
}

impl Pace {
    fn new(waits: Waits) -> Self {
        Self {
            waits,
            deadline: Instant::now() + waits.idle,
            progress: 0,
            busy: None,
            is_ending: false,
            is_ended: false,
        }
    }

    /// The server stops: true when that is news.
    fn stop(&mut self) -> bool {
        !std::mem::replace(&mut self.is_ending, true)
    }

    /// The last was said; the peer has a moment to take it.
    fn end(&mut self) {
        self.is_ending = true;
        self.is_ended = true;
        self.deadline = weir_ring::now() + LINGER_WAIT;
    }

    fn note(&mut self, server: &Server, session: &mut Session) {
        let now = weir_ring::now();
        let progress = session.take_progress();
        self.progress += progress;
        match (session.is_busy(), self.busy.is_some()) {
            (true, false) => {
                self.busy = Some(server.busy());
                self.deadline = now + self.waits.progress;
                self.progress = 0;
            }
            (false, true) => {
                self.busy = None;
                self.deadline = now
                    + match self.is_ending {
                        true => LINGER_WAIT,
                        false => self.waits.idle,
                    };
            }
            (true, true) if self.progress >= SEND_PIECE_BYTES => {
                self.deadline = now + self.waits.progress;
                self.progress = 0;
            }
            _ => {}
        }
    }
}
