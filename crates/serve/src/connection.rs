//! One HTTP/1.1 connection.
//!
//! Between requests it is parked in the ring: no task, no buffer. What is simple is answered where
//! its bytes arrive ([`crate::quick`]); the rest gets a task, here. The head is parsed in the
//! receive buffer, which goes back to the ring before anything is sent, so that a slow reader does
//! not keep it.

use crate::delivery::{Watching, Way};
use crate::input::Input;
use crate::limits::{DRAIN_BYTES_MAX, HEAD_WAIT, IDLE_WAIT, LINGER_BYTES_MAX, LINGER_WAIT};
use crate::live::{self, LiveWanted};
use crate::quick;
use crate::resolve::{Hints, Resolved};
use crate::response::{Outgoing, Response};
use crate::send::send;
use crate::server::{Open, Server};
use crate::ts;
use bytes::Bytes;
use std::io;
use std::net::{IpAddr, Shutdown};
use std::time::Instant;
use tracing::debug;
use weir_http::body::Drain;
use weir_http::limits::HEAD_BYTES_MAX;
use weir_http::{BodyLength, Parsed, Request, Status, request};
use weir_net::{ConnectionGuard, Refused, Stream};
use weir_ring::Either;

/// What is known of a connection beside its socket.
pub(crate) struct Connection {
    pub(crate) server: Server,
    /// The peer's address, or what its PROXY header says.
    pub(crate) peer: IpAddr,
    /// The request at hand was taken of its client's rate already.
    pub(crate) taken: bool,
    /// The stream that was last asked for.
    watching: Option<Watching>,
    guard: ConnectionGuard,
    _open: Open,
}

impl Connection {
    pub(crate) fn new(server: Server, peer: IpAddr, guard: ConnectionGuard) -> Self {
        let open = server.opened();
        Self {
            server,
            peer,
            taken: false,
            watching: None,
            guard,
            _open: open,
        }
    }

    /// A proxy says whose connection it passes on.
    ///
    /// # Errors
    /// That address has as many as it may.
    pub(crate) fn reassign(&mut self, client: IpAddr) -> Result<(), Refused> {
        self.guard.reassign(client)?;
        self.peer = client;
        Ok(())
    }

    /// Parks a connection that has no request. It is boxed, since it moves with each.
    pub(crate) fn park(self: Box<Self>, stream: Stream) {
        stream.when_readable(Some(idle_deadline()), move |stream, readiness| {
            quick::readable(self, stream, readiness);
        });
    }

    /// Counts an answer whose head and body were, or are being, handed to the kernel. `began` is
    /// when its request's head was there.
    pub(crate) fn answered(&mut self, outgoing: &Outgoing, way: Way, began: Instant) {
        let delivery = self.server.delivery();
        let body = outgoing.body_len();
        let all = body + outgoing.head_len as u64;
        delivery.answered(outgoing.status, way, body, all);
        delivery.first_byte(began.elapsed());
        if let Some(broadcast) = &outgoing.of {
            let name = broadcast.name();
            if self.watching.as_ref().is_none_or(|w| !w.is_of(name)) {
                self.watching = None;
                self.watching = Some(Watching::new(delivery, name));
            }
            if let Some(watching) = &self.watching {
                watching.stream.sent(all);
            }
        }
    }

    /// How a body leaves over this stream.
    pub(crate) fn way(stream: &Stream, outgoing: &Outgoing) -> Way {
        match outgoing.way() {
            Way::Sendfile if stream.is_tls() => Way::Sealed,
            way => way,
        }
    }
}

/// When a connection without a request, or one that takes no answer, is given up.
pub(crate) fn idle_deadline() -> Instant {
    weir_ring::now() + IDLE_WAIT
}

/// Serves requests until the connection is idle or over.
pub(crate) async fn run(mut connection: Box<Connection>, mut stream: Stream, mut input: Input) {
    let busy = connection.server.busy();
    loop {
        match serve_one(&mut connection, &mut stream, &mut input).await {
            Ok(After::Next) if input.is_empty() => {
                drop(busy);
                return connection.park(stream);
            }
            Ok(After::Next) => {}
            Ok(After::Close) => return linger(stream).await,
            Ok(After::Live(head, wanted, client)) => {
                // A task of its own: this one's is larger, and a viewer stays long.
                drop(busy);
                weir_ring::spawn(live::serve(*connection, stream, head, wanted, client));
                return;
            }
            Err(e) => {
                debug!("HTTP connection ends: {e}");
                return;
            }
        }
    }
}

/// What follows an answer.
enum After {
    /// Another request may.
    Next,
    /// The connection's end.
    Close,
    /// The connection is a viewer's until it ends: the request's head, what it asks for, and who.
    Live(Vec<u8>, LiveWanted, IpAddr),
}

async fn serve_one(
    connection: &mut Connection,
    stream: &mut Stream,
    input: &mut Input,
) -> io::Result<After> {
    let Some(len) = read_head(connection, stream, input).await? else {
        return Ok(After::Close);
    };
    let began = weir_ring::now();
    let head = input.bytes().get(..len).unwrap_or_default();
    // `read_head` found a whole head in these bytes.
    let Ok(Parsed::Head { head: request, .. }) = request::parse(head) else {
        return Ok(After::Close);
    };
    let server = connection.server.clone();
    let body = request.body;
    let keep_alive = may_keep(&request) && !server.is_stopping();
    // What is needed of the head after the receive buffer went back.
    let mut kept = None;
    let client = server.client(&request, connection.peer);
    let refusal = match std::mem::take(&mut connection.taken) {
        true => None,
        false => server.limited(client),
    };
    let resolved = match refusal {
        Some(refusal) => refusal.into(),
        None => server.resolve(&request, client, Hints::default()),
    };
    let outgoing = match resolved {
        Resolved::Answer(response) => {
            if server.log().is_some() {
                kept = Some(head.to_vec());
            }
            let outgoing = server.finish(response, Some(&request), keep_alive);
            input.consume(len);
            input.release();
            outgoing
        }
        Resolved::Live(wanted) => {
            let head = head.to_vec();
            input.consume(len);
            input.release();
            return Ok(After::Live(head, wanted, client));
        }
        later => {
            let head = kept.insert(head.to_vec());
            input.consume(len);
            input.release();
            let gone = gone(stream, input);
            server
                .answer((head, client), later, keep_alive, gone)
                .await?
        }
    };
    let drained = match body {
        BodyLength::None => true,
        _ if !outgoing.keep_alive => false,
        _ => drain(stream, input, body).await?,
    };
    let way = Connection::way(stream, &outgoing);
    connection.answered(&outgoing, way, began);
    let sent = send(&server, stream, &outgoing).await;
    if let (Some(log), Some(head)) = (server.log(), &kept) {
        let tls = stream.is_tls();
        log.note(head, "HTTP/1.1", client, tls, outgoing.summary(), began);
    }
    sent?;
    Ok(if outgoing.keep_alive && drained {
        After::Next
    } else {
        After::Close
    })
}

/// Whether a request leaves its connection usable. A body that is too long to read over, or that
/// waits for a 100, ends it.
pub(crate) fn may_keep(request: &Request<'_>) -> bool {
    let readable = match request.body {
        BodyLength::None => true,
        BodyLength::Length(bytes) => bytes <= DRAIN_BYTES_MAX && !request.expect_continue,
        BodyLength::Chunked => !request.expect_continue,
    };
    request.keep_alive && readable
}

/// Receives until a whole head is there; its length. `None` if the peer closed, or was
/// answered with an error.
async fn read_head(
    connection: &mut Connection,
    stream: &mut Stream,
    input: &mut Input,
) -> io::Result<Option<usize>> {
    let deadline = Instant::now() + HEAD_WAIT;
    // A head ends with a line: bytes that end none are not worth another look, or a peer that
    // sends single bytes would have its whole head read for each.
    let mut look = true;
    loop {
        if look && !input.is_empty() {
            match request::parse(input.bytes()) {
                Ok(Parsed::Head { len, .. }) => return Ok(Some(len)),
                Ok(Parsed::NeedMore) => {}
                Err(e) => {
                    let response = Response::error(e.status(), &e.to_string());
                    refuse(connection, stream, response).await?;
                    return Ok(None);
                }
            }
        }
        input.release();
        let wait = deadline.saturating_duration_since(Instant::now());
        match weir_ring::timeout(wait, stream.recv()).await {
            Ok(received) => match received? {
                Some(bytes) => {
                    let len = input.bytes().len() + bytes.len();
                    look = bytes.contains(&b'\n') || len > HEAD_BYTES_MAX;
                    input.add(bytes);
                }
                None => return Ok(None),
            },
            Err(_) => {
                connection.server.counters().stalled.inc();
                let why = "the request's head took too long";
                let response = Response::error(Status::RequestTimeout, why);
                refuse(connection, stream, response).await?;
                return Ok(None);
            }
        }
    }
}

/// Answers a request that was not understood.
async fn refuse(
    connection: &mut Connection,
    stream: &mut Stream,
    response: Response,
) -> io::Result<()> {
    let server = connection.server.clone();
    let outgoing = server.finish(response, None, false);
    let way = Connection::way(stream, &outgoing);
    connection.answered(&outgoing, way, weir_ring::now());
    if let Some(log) = server.log() {
        let (tls, summary) = (stream.is_tls(), outgoing.summary());
        log.note(&[], "", connection.peer, tls, summary, weir_ring::now());
    }
    send(&server, stream, &outgoing).await
}

impl Server {
    /// Answers a request, of a head and who sent it, that has to wait for content, or for a segment
    /// to be muxed. `gone` completes when nobody waits for the answer any more.
    ///
    /// # Errors
    /// `ConnectionAborted` when `gone` completed.
    pub(crate) async fn answer(
        &self,
        (head, client): (&[u8], IpAddr),
        mut later: Resolved,
        keep_alive: bool,
        gone: impl Future<Output = ()>,
    ) -> io::Result<Outgoing> {
        let Ok(Parsed::Head { head: request, .. }) = request::parse(head) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let mut gone = std::pin::pin!(gone);
        let began = Instant::now();
        loop {
            let hints = match later {
                Resolved::Answer(response) => {
                    return Ok(self.finish(response, Some(&request), keep_alive));
                }
                Resolved::Wait(mut place) => {
                    self.counters().held.inc();
                    let wait = place.longest.saturating_sub(began.elapsed());
                    let news = weir_ring::select(place.news(), gone.as_mut());
                    let news = weir_ring::timeout(wait, news).await;
                    self.counters().held.dec();
                    match news {
                        Ok(Either::Left(())) => Hints::default(),
                        Ok(Either::Right(())) => {
                            return Err(io::ErrorKind::ConnectionAborted.into());
                        }
                        Err(_) => Hints {
                            no_wait: true,
                            ts: None,
                        },
                    }
                }
                // Taken where the connection can be: here it cannot.
                Resolved::Live(_) => return Err(io::ErrorKind::Unsupported.into()),
                Resolved::Mux(wanted) => {
                    // Who leaves while others are muxed for is muxed for no more.
                    let permit = weir_ring::select(self.muxing().acquire(), gone.as_mut());
                    let Either::Left(permit) = permit.await else {
                        return Err(io::ErrorKind::ConnectionAborted.into());
                    };
                    let ts = Some(ts::segment(self, &wanted, permit).await);
                    Hints { no_wait: true, ts }
                }
            };
            later = self.resolve(&request, client, hints);
        }
    }
}

/// Completes when the peer has closed, or ended its side, while its request waits. What it sends
/// meanwhile is kept for later, up to the length of a head.
async fn gone(stream: &mut Stream, input: &mut Input) {
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
async fn drain(stream: &mut Stream, input: &mut Input, length: BodyLength) -> io::Result<bool> {
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

/// Ends our side, reads the peer's to its end, and closes.
pub(crate) async fn linger(stream: Stream) {
    match stream {
        Stream::Plain(stream) => stream.linger(LINGER_WAIT, LINGER_BYTES_MAX).await,
        Stream::Tls(mut stream) => {
            let read_over = async {
                let mut read = 0;
                if stream.shutdown(Shutdown::Write).await.is_err() {
                    return;
                }
                while read < LINGER_BYTES_MAX
                    && let Ok(Some(bytes)) = stream.recv().await
                {
                    read += Bytes::len(&bytes);
                }
            };
            let _ = weir_ring::timeout(LINGER_WAIT, read_over).await;
            stream.close().await;
        }
    }
}

#[cfg(test)]
mod growing;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::TS_MUXING_MAX;
    use crate::{Counters, Options};
    use std::sync::Arc;
    use weir_media::{Mono, Now, StreamName, Utc};
    use weir_store::{Library, LibraryConfig, Start};

    #[test]
    fn who_left_is_not_muxed_for() {
        let mut runtime = weir_ring::Runtime::new(weir_ring::Config::default()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let now = Now {
            mono: Mono(0),
            utc: Utc(0),
        };
        runtime.block_on(async {
            let library = Library::open(LibraryConfig::new(dir.path()), now).unwrap();
            let start = Start {
                media_sequence: 1,
                discontinuity_sequence: 1,
            };
            let name = StreamName::parse("cam").unwrap();
            let writer = library.begin(&name, start, now).unwrap();
            let broadcast = writer.broadcast().clone();
            let options = Arc::new(Options::default());
            let server = Server::new(library, 0, Counters::new(1), options);
            let mut permits = Vec::new();
            for _ in 0..TS_MUXING_MAX {
                permits.push(server.muxing().acquire().await);
            }
            let wanted = ts::Wanted {
                view: broadcast.view(),
                broadcast,
                media_sequence: 1,
            };
            let head = b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n";
            let (gone, client) = (std::future::ready(()), [192, 0, 2, 1].into());
            let answer = server.answer((head, client), Resolved::Mux(wanted), true, gone);
            let answer = weir_ring::timeout(LINGER_WAIT, answer).await;
            let refused = answer.expect("nobody waits for it").err();
            assert_eq!(
                refused.map(|e| e.kind()),
                Some(io::ErrorKind::ConnectionAborted)
            );
        });
    }
}
