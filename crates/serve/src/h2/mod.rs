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
mod update;

use crate::connection::{Connection, linger};
use crate::limits::{
    H2_CHUNK_BYTES, H2_HEADER_LIST_BYTES_MAX, H2_LOCAL_RESETS_MAX, H2_PENDING_RESETS_MAX,
    H2_STREAMS_MAX, H2_WINDOW_BYTES, HEAD_WAIT, IDLE_WAIT, LINGER_WAIT, SEND_PIECE_WAIT,
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
    /// With streams of which no answer ends, and none gets a chunk further.
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
    let mut busy = None;
    match run(connection, &mut stream, waits, &mut busy).await {
        Ok(()) => linger(stream).await,
        Err(e) => debug!(%peer, "HTTP/2 connection ends: {e}"),
    }
}

/// `busy` is set once HTTP/2 is spoken: a drain says goodbye to those that rest too, so that it
/// waits for all.
async fn run(
    connection: Connection,
    stream: &mut Stream,
    waits: Waits,
    busy: &mut Option<Busy>,
) -> io::Result<()> {
    let server = connection.server.clone();
    let pipe = Pipe::default();
    let Some(machine) = preface(&server, stream, &pipe).await? else {
        return Ok(());
    };
    *busy = Some(server.busy());
    let mut session = Session::new(connection, pipe.clone(), machine);
    let mut pace = Pace::new(waits);
    let mut stopped = std::pin::pin!(server.stopped());
    loop {
        if server.is_stopping() && pace.stop() {
            session.end_gracefully();
        }
        session.proceed();
        pace.note(&mut session);
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
        let is_ending = pace.is_ending;
        let stop = async {
            match is_ending {
                true => std::future::pending().await,
                false => stopped.as_mut().await,
            }
        };
        let event = weir_ring::select(stream.recv(), weir_ring::select(news.arrived(), stop));
        match weir_ring::timeout(wait, event).await {
            Ok(Either::Left(received)) => pipe.receive(received?),
            Ok(Either::Right(_)) => {}
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
    /// Bytes of bodies since the deadline was set; an answer's end counts as a chunk.
    progress: u64,
    /// Streams are open.
    is_busy: bool,
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
            is_busy: false,
            is_ending: false,
            is_ended: false,
        }
    }

    /// The server stops: true when that is news. A peer that rests has a moment to take it.
    fn stop(&mut self) -> bool {
        let is_news = !std::mem::replace(&mut self.is_ending, true);
        if is_news && !self.is_busy {
            self.deadline = weir_ring::now() + LINGER_WAIT;
        }
        is_news
    }

    /// The last was said; the peer has a moment to take it.
    fn end(&mut self) {
        self.is_ending = true;
        self.is_ended = true;
        self.deadline = weir_ring::now() + LINGER_WAIT;
    }

    fn note(&mut self, session: &mut Session) {
        let now = weir_ring::now();
        let progress = session.take_progress();
        self.progress += progress;
        let was_busy = std::mem::replace(&mut self.is_busy, session.is_busy());
        match (self.is_busy, was_busy) {
            (true, false) => {
                self.deadline = now + self.waits.progress;
                self.progress = 0;
            }
            (false, true) => {
                self.deadline = now
                    + match self.is_ending {
                        true => LINGER_WAIT,
                        false => self.waits.idle,
                    };
            }
            (true, true) if self.progress >= H2_CHUNK_BYTES as u64 => {
                self.deadline = now + self.waits.progress;
                self.progress = 0;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Counters, Options};
    use std::sync::Arc;
    use weir_media::{Mono, Now, Utc};
    use weir_net::ConnectionLimits;
    use weir_ring::net::{TcpListener, TcpStream};
    use weir_store::{Library, LibraryConfig};

    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const GOAWAY: u8 = 7;
    /// Longer than a test takes.
    const LONG: Duration = Duration::from_secs(60);

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        bytes.extend_from_slice(&[kind, flags]);
        bytes.extend_from_slice(&stream.to_be_bytes());
        bytes.extend_from_slice(payload);
        bytes
    }

    /// A GET for the player, with the static table's fields (RFC 7541 appendix A).
    fn get(stream: u32) -> Vec<u8> {
        let path = b"/s/player/hls-1.7.4.min.js";
        let head = [
            &[0x82, 0x87, 0x04, path.len() as u8],
            &path[..],
            &[0x01, 1, b'h'],
        ]
        .concat();
        frame(1, 5, stream, &head)
    }

    /// Serves one connection in the clear, to which `bytes` are sent; what it sends, and its
    /// counters. It must end by itself.
    fn ends(bytes: &[u8], waits: Waits) -> (Vec<u8>, Counters) {
        let mut runtime = weir_ring::Runtime::new(weir_ring::Config::default()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let counters = Counters::new(1);
        let now = Now {
            mono: Mono(0),
            utc: Utc(0),
        };
        let library = Library::open(LibraryConfig::new(dir.path()), now).unwrap();
        let options = Arc::new(Options::default());
        let server = Server::new(library, 0, counters.clone(), options);
        let received = runtime.block_on(async {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let mut listener = TcpListener::from_std(listener).unwrap();
            let mut client = TcpStream::connect(address).await.unwrap();
            let (stream, peer) = listener.accept().await.unwrap();
            let guard = ConnectionLimits::new(1, 1).admit(peer.ip()).unwrap();
            let connection = Connection::new(server, peer.ip(), guard);
            weir_ring::spawn(serve_within(connection, stream.into(), waits));
            let bytes = Bytes::copy_from_slice(bytes);
            client.send(bytes).await.unwrap();
            let mut received = Vec::new();
            while let Some(bytes) = client.recv().await.unwrap() {
                received.extend_from_slice(&bytes);
            }
            client.close().await;
            while counters.connections.get() > 0 {
                weir_ring::yield_now().await;
            }
            received
        });
        (received, counters)
    }

    /// Types of frames, with the code of a GOAWAY.
    fn kinds(mut bytes: &[u8]) -> Vec<(u8, Option<u8>)> {
        let mut kinds = Vec::new();
        while let [0, a, b, kind, _, _, _, _, _, rest @ ..] = bytes {
            let (payload, next) = rest.split_at(usize::from(*a) << 8 | usize::from(*b));
            kinds.push((*kind, payload.get(7).copied().filter(|_| *kind == GOAWAY)));
            bytes = next;
        }
        kinds
    }

    #[test]
    fn a_peer_that_pins_its_windows_is_left() {
        let pinned = frame(4, 0, 0, &[0, 4, 0, 0, 0, 0]);
        let requests: Vec<u8> = (0..100).flat_map(|i| get(2 * i + 1)).collect();
        let bytes = [PREFACE, &pinned, &requests].concat();
        let waits = Waits {
            idle: LONG,
            progress: Duration::from_millis(100),
        };
        let (received, counters) = ends(&bytes, waits);
        assert_eq!(counters.stalled.get(), 1);
        let kinds = kinds(&received);
        // A hundred heads, no body, and the end.
        assert_eq!(kinds.iter().filter(|(kind, _)| *kind == 1).count(), 100);
        assert!(kinds.iter().all(|(kind, _)| *kind != 0));
        assert_eq!(kinds.last(), Some(&(GOAWAY, Some(8))));
    }

    #[test]
    fn a_peer_that_asks_for_nothing_is_left() {
        let settings = frame(4, 0, 0, &[]);
        let bytes = [PREFACE, &settings, &frame(6, 0, 0, &[0; 8])].concat();
        let waits = Waits {
            idle: Duration::from_millis(100),
            progress: LONG,
        };
        let (received, counters) = ends(&bytes, waits);
        assert_eq!(counters.stalled.get(), 0);
        assert_eq!(kinds(&received).last(), Some(&(GOAWAY, Some(0))));
    }
}
