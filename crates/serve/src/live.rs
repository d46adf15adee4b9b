//! Frames as they come: FLV that ends when its stream does (`design.md` §6, `/{id}/live.flv`).
//!
//! This crate knows HTTP; who has the frames is joined to it by the program through
//! [`LiveSource`]. An answer has no length and ends with its connection, in HTTP/1.1 too: every
//! client takes that, and the bytes of a send are the same for all viewers. On a `WebSocket` what
//! is sent at once is one binary message. HTTP/2 has no such
//! answers here: its client is told to come back with HTTP/1.1.

use crate::connection::Connection;
use crate::delivery::{Watching, Way};
use crate::limits::{LIVE_STALLED_WAIT, LIVE_TRAILING_BYTES_MAX};
use crate::resolve::not_found;
use crate::response::Response;
use crate::send::send;
use bytes::{Bytes, BytesMut};
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;
use tracing::debug;
use weir_http::origin::{Cors, Origins};
use weir_http::websocket::{self, Heard, Listener};
use weir_http::{Head, Parsed, Status, request};
use weir_media::StreamName;
use weir_net::{Stream, stream::Received};
use weir_ring::Alarm;

/// Whoever has live frames. One for each worker.
pub trait LiveSource {
    /// Opens a stream for a viewer; may wait a bounded time for it to be there.
    fn open(&self, request: LiveRequest) -> Opening;
}

/// The future of [`LiveSource::open`].
pub type Opening = Pin<Box<dyn Future<Output = Result<Box<dyn LiveBody>, LiveRefusal>>>>;

/// What a viewer asks for.
#[derive(Debug, Clone)]
pub struct LiveRequest {
    /// The stream, as the path names it.
    pub id: String,
    /// The query, without its question mark.
    pub query: Option<String>,
    /// Who asks.
    pub client: IpAddr,
    /// Whether it leaves as messages of a `WebSocket`.
    pub websocket: bool,
}

/// The body of an answer, while its stream is live.
pub trait LiveBody {
    /// Ready when [`LiveBody::read`] has something, or the end.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// Appends what is next; false when nothing follows it.
    fn read(&mut self, out: &mut Vec<Bytes>) -> bool;

    /// The viewer took nothing for so long that it is let go.
    fn stalled(&mut self);
}

/// Why a viewer does not get a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LiveRefusal {
    /// Nothing is live under that name.
    NotFound,
    /// The viewer may not have it.
    Denied,
    /// Whether the viewer may have it cannot be told now.
    Unavailable,
}

impl LiveRefusal {
    fn response(self) -> Response {
        match self {
            Self::NotFound => not_found("nothing is live under this name"),
            Self::Denied => {
                let why = "this stream may not be played so";
                Response::error(Status::Forbidden, why)
            }
            Self::Unavailable => {
                let why = "who may play this cannot be asked now; try again later";
                Response::error(Status::ServiceUnavailable, why)
            }
        }
    }
}

/// A request for live frames that may be served.
pub(crate) struct LiveWanted {
    pub(crate) id: String,
    pub(crate) query: Option<String>,
    pub(crate) is_head: bool,
    /// `Sec-WebSocket-Accept`, if a `WebSocket` is opened.
    pub(crate) accept: Option<String>,
    /// The sites that may play it, if not all may.
    pub(crate) origins: Option<Arc<Origins>>,
}

impl fmt::Debug for LiveWanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "live frames of {}", self.id)
    }
}

/// An answer under way.
struct Answer {
    connection: Connection,
    stream: Stream,
    client: IpAddr,
    /// The request's head, for the access log, if there is one.
    head: Vec<u8>,
    began: Instant,
    status: Status,
    bytes: u64,
    /// Bytes that came behind the request.
    said: usize,
    /// Reads the peer's frames on a `WebSocket`.
    websocket: Option<Listener>,
    alarm: Alarm,
}

/// Serves a viewer to its end. `head` is its request's.
pub(crate) async fn serve(
    connection: Connection,
    stream: Stream,
    head: Vec<u8>,
    wanted: LiveWanted,
    client: IpAddr,
) {
    let mut answer = Answer {
        connection,
        stream,
        client,
        head,
        began: weir_ring::now(),
        status: Status::Ok,
        bytes: 0,
        said: 0,
        websocket: None,
        alarm: Alarm::default(),
    };
    if let Err(e) = answer.run(wanted).await {
        debug!("live viewer ends: {e}");
    }
    answer.note();
    Box::pin(answer.stream.close()).await;
}

impl Answer {
    /// Futures of what is rare are boxed: this one's memory is held for each viewer.
    async fn run(&mut self, wanted: LiveWanted) -> io::Result<()> {
        let Some(mut body) = Box::pin(self.open(&wanted)).await? else {
            return Ok(());
        };
        let server = self.connection.server.clone();
        let name = StreamName::parse(&wanted.id).ok();
        drop(wanted);
        let watching = name.map(|name| Watching::new(server.delivery(), &name));
        let mut out = Vec::new();
        loop {
            match wait(&mut self.stream, body.as_mut()).await {
                Woken::Media => {
                    let goes_on = body.read(&mut out);
                    self.send(&mut out, body.as_mut(), watching.as_ref())
                        .await?;
                    if !goes_on {
                        return Box::pin(self.stream.shutdown(std::net::Shutdown::Write)).await;
                    }
                }
                Woken::Received(received) => match received? {
                    Some(bytes) if self.has_said(bytes.len()) => {
                        if !Box::pin(self.hear(&bytes)).await? {
                            return Ok(());
                        }
                    }
                    _ => return Ok(()),
                },
            }
        }
    }

    /// Opens the stream and sends the head of the answer; `None` if that was all.
    async fn open(&mut self, wanted: &LiveWanted) -> io::Result<Option<Box<dyn LiveBody>>> {
        let server = self.connection.server.clone();
        let Some(source) = server.live() else {
            return self.refuse(LiveRefusal::NotFound).await;
        };
        let request = LiveRequest {
            id: wanted.id.clone(),
            query: wanted.query.clone(),
            client: self.client,
            websocket: wanted.accept.is_some(),
        };
        self.websocket = wanted.accept.as_ref().map(|_| Listener::default());
        let opening = source.open(request);
        let opened = weir_ring::select(opening, gone(&mut self.stream)).await;
        let body = match opened {
            weir_ring::Either::Left(Ok(body)) => body,
            weir_ring::Either::Left(Err(refusal)) => return self.refuse(refusal).await,
            weir_ring::Either::Right(()) => return Err(io::ErrorKind::ConnectionAborted.into()),
        };
        if wanted.accept.is_some() {
            self.status = Status::SwitchingProtocols;
        }
        // At once: the first frame may be long in coming, after a publisher left.
        self.stream.send_vectored([self.head(wanted)]).await?;
        if server.log().is_none() {
            self.head = Vec::new();
        }
        Ok((!wanted.is_head).then_some(body))
    }

    /// Takes what the peer says; false when it closes. Without a `WebSocket` it has no meaning.
    async fn hear(&mut self, mut bytes: &[u8]) -> io::Result<bool> {
        let Some(listener) = &mut self.websocket else {
            return Ok(true);
        };
        let mut answers = Vec::new();
        loop {
            match listener.next_heard(&mut bytes) {
                Ok(None) => break,
                Ok(Some(Heard::Ping(pong))) => answers.push(Bytes::from(pong)),
                Ok(Some(Heard::Close)) => {
                    let close = [Bytes::from_static(&websocket::CLOSE)];
                    self.stream.send_vectored(close).await?;
                    return Ok(false);
                }
                Err(e) => return Err(io::Error::other(e)),
            }
        }
        let sending = self.stream.send_vectored(answers);
        let sent = weir_ring::timeout(LIVE_STALLED_WAIT, sending).await;
        sent.map_err(|_| io::ErrorKind::TimedOut)??;
        Ok(true)
    }

    /// Counts what the peer says behind its request; false if that is too much.
    fn has_said(&mut self, bytes: usize) -> bool {
        self.said = self.said.saturating_add(bytes);
        self.said <= LIVE_TRAILING_BYTES_MAX
    }

    async fn send(
        &mut self,
        out: &mut Vec<Bytes>,
        body: &mut dyn LiveBody,
        watching: Option<&Watching>,
    ) -> io::Result<()> {
        let mut bytes: usize = out.iter().map(Bytes::len).sum();
        if self.websocket.is_some() && bytes > 0 {
            // What is sent at once is a message.
            let (header, used) = websocket::binary_header(bytes);
            let header = Bytes::copy_from_slice(header.get(..used).unwrap_or_default());
            out.insert(0, header);
            bytes += used;
        }
        let deadline = weir_ring::now() + LIVE_STALLED_WAIT;
        if let Err(e) = self.stream.send_by(out, deadline, &mut self.alarm).await {
            if e.kind() == io::ErrorKind::TimedOut {
                body.stalled();
                self.connection.server.counters().stalled.inc();
            }
            return Err(e);
        }
        self.bytes += bytes as u64;
        self.connection.server.delivery().sent(bytes as u64);
        if let Some(watching) = watching {
            watching.stream.sent(bytes as u64);
        }
        Ok(())
    }

    fn head(&self, wanted: &LiveWanted) -> Bytes {
        let mut out = BytesMut::with_capacity(512);
        let origin = match request::parse(&self.head) {
            Ok(Parsed::Head { head, .. }) => head.headers.first("origin"),
            _ => None,
        };
        let cors = match &wanted.origins {
            Some(origins) => origins.cors(origin),
            None => Cors::Any,
        };
        if let Some(accept) = &wanted.accept {
            let date = self.connection.server.date();
            Head::start(&mut out, Status::SwitchingProtocols, &date)
                .field("Upgrade", "websocket")
                .field("Connection", "Upgrade")
                .field("Sec-WebSocket-Accept", accept)
                .end();
            return out.freeze();
        }
        Head::start(&mut out, Status::Ok, &self.connection.server.date())
            .content_type("video/x-flv")
            .cache_control("no-store")
            .cors_for(cors)
            .connection(false)
            .end();
        out.freeze()
    }

    async fn refuse<T>(&mut self, refusal: LiveRefusal) -> io::Result<Option<T>> {
        let response = refusal.response();
        self.status = response.status;
        let server = self.connection.server.clone();
        let outgoing = server.finish(response, None, false);
        let way = Connection::way(&self.stream, &outgoing);
        self.connection.answered(&outgoing, way, self.began);
        send(&server, &mut self.stream, &outgoing).await?;
        self.stream.shutdown(std::net::Shutdown::Write).await?;
        Ok(None)
    }

    /// Notes the answer once it is over.
    fn note(&self) {
        let server = &self.connection.server;
        if matches!(self.status, Status::Ok | Status::SwitchingProtocols) {
            // Its bytes were counted as they went.
            let delivery = server.delivery();
            delivery.answered(self.status, Way::Gather, self.bytes, 0);
        }
        if let Some(log) = server.log() {
            let summary = (self.status, self.bytes);
            let tls = self.stream.is_tls();
            let began = self.began;
            log.note(&self.head, "HTTP/1.1", self.client, tls, summary, began);
        }
    }
}

enum Woken {
    Media,
    Received(io::Result<Option<Received>>),
}

/// Waits for media, or for the peer.
async fn wait(stream: &mut Stream, body: &mut dyn LiveBody) -> Woken {
    let mut received = pin!(stream.recv());
    poll_fn(|cx| {
        if let Poll::Ready(received) = received.as_mut().poll(cx) {
            return Poll::Ready(Woken::Received(received));
        }
        body.poll_ready(cx).map(|()| Woken::Media)
    })
    .await
}

/// Completes when the peer is gone, or says more than it may.
async fn gone(stream: &mut Stream) {
    let mut said = 0_usize;
    while said <= LIVE_TRAILING_BYTES_MAX
        && let Ok(Some(bytes)) = stream.recv().await
    {
        said = said.saturating_add(bytes.len());
    }
}
