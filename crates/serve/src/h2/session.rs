//! The requests of one connection, between the machine of HTTP/2 and the server.

use crate::connection::Connection;
use crate::delivery::Way;
use crate::h2::body::{Chunk, Cold, Fed, Transfers};
use crate::h2::head;
use crate::h2::mail::Mail;
use crate::h2::pipe::Pipe;
use crate::h2::priority::Priority;
use crate::h2::update::Applied;
use crate::limits::{
    H2_CHUNK_BYTES, H2_FRAME_BYTES_MAX, H2_FRAME_HEAD_BYTES, H2_RESETS_MAX, H2_RESETS_TIME,
    SMALL_TLS_BYTES_MAX,
};
use crate::resolve::{Hints, Resolved};
use crate::response::{Outgoing, Piece, Response};
use ::h2::Reason;
use ::h2::server::SendResponse;
use bytes::Bytes;
use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;
use tracing::debug;
use weir_http::{Parsed, Status, request};
use weir_ring::Notify;

/// What is known of a request while it is answered.
pub(super) struct Exchange {
    pub(super) priority: Priority,
    /// When its head was there.
    began: Instant,
    client: IpAddr,
    /// Its head as HTTP/1.1, for the access log.
    head: Vec<u8>,
    /// Status and length of the answer.
    summary: (Status, u64),
}

/// A request that waits for content.
struct Held {
    respond: SendResponse<Chunk>,
    exchange: Exchange,
    /// Ends the task that waits.
    gone: Notify,
}

/// What a task of a connection has for it.
pub(super) enum News {
    /// The answer to a held request.
    Answer(u32, io::Result<Outgoing>),
    /// A part of a body that was cold.
    Read(u32, io::Result<Bytes>),
}

/// A connection whose preface was right.
pub(super) struct Session {
    connection: Connection,
    pipe: Pipe,
    machine: ::h2::server::Connection<Pipe, Chunk>,
    transfers: Transfers,
    held: Vec<Held>,
    pub(super) news: Rc<Mail<News>>,
    resets: Resets,
    /// Of bodies, since [`Session::take_progress`].
    progress: u64,
    /// The highest stream that began.
    latest: u32,
    /// The machine has said and heard its last.
    is_over: bool,
}

/// Streams that the peer has reset in a while.
struct Resets {
    count: u32,
    since: Instant,
}

impl Session {
    pub(super) fn new(
        connection: Connection,
        pipe: Pipe,
        machine: ::h2::server::Connection<Pipe, Chunk>,
    ) -> Self {
        Self {
            connection,
            pipe,
            machine,
            transfers: Transfers::default(),
            held: Vec::new(),
            news: Rc::new(Mail::new()),
            resets: Resets {
                count: 0,
                since: weir_ring::now(),
            },
            progress: 0,
            latest: 0,
            is_over: false,
        }
    }

    /// Goes as far as one can without the socket.
    pub(super) fn proceed(&mut self) {
        for news in self.news.take() {
            match news {
                News::Answer(stream, answer) => self.handle_answer(stream, answer),
                News::Read(stream, read) => {
                    if let Some(exchange) = self.transfers.handle_read(stream, read) {
                        self.note(&exchange);
                    }
                }
            }
        }
        loop {
            self.drive();
            self.prioritize();
            if self.is_over || !self.feed() {
                return;
            }
        }
    }

    /// Lets the machine read and write, and takes the requests that came.
    fn drive(&mut self) {
        // Whoever has something for the machine drives it afterwards: it need not wake anybody.
        let cx = &mut Context::from_waker(Waker::noop());
        let was_unread = self.pipe.is_unread();
        while !self.is_over {
            match self.machine.poll_accept(cx) {
                Poll::Ready(Some(Ok((request, respond)))) => {
                    // Bodies of requests have no meaning here. Without a reader the machine reads
                    // them over, up to the stream's window, and resets the stream when it is
                    // answered (RFC 9113 section 8.1).
                    let (parts, _body) = request.into_parts();
                    self.handle_request(&parts, respond);
                }
                Poll::Ready(Some(Err(e))) => {
                    debug!(peer = %self.connection.peer, "HTTP/2 connection ends: {e}");
                    self.is_over = true;
                }
                Poll::Ready(None) => self.is_over = true,
                Poll::Pending => break,
            }
        }
        if was_unread {
            self.remove_reset();
        }
    }

    /// Applies the priorities that frames asked for.
    fn prioritize(&mut self) {
        let (transfers, held, latest) = (&mut self.transfers, &mut self.held, self.latest);
        let fault = self.pipe.with_updates(|updates| {
            updates.apply(|stream, priority| {
                let mut held = held.iter_mut();
                let held = held.find(|held| held.respond.stream_id().as_u32() == stream);
                if let Some(held) = held {
                    held.exchange.priority = priority;
                } else if !transfers.prioritize(stream, priority) && stream > latest {
                    return Applied::NotYet;
                }
                Applied::Done
            });
            updates.take_fault()
        });
        if let Some(reason) = fault {
            debug!(peer = %self.connection.peer, "an HTTP/2 peer sends a wrong PRIORITY_UPDATE");
            self.end(reason);
        }
    }

    /// Gives the machine a part of a body; false if none can be given.
    fn feed(&mut self) -> bool {
        let room = self.pipe.room();
        // Each frame has a head.
        let heads = (room / H2_FRAME_BYTES_MAX + 1) * H2_FRAME_HEAD_BYTES;
        match self.transfers.feed(room.saturating_sub(heads)) {
            Fed::Some(len) => self.progress += len as u64,
            Fed::Last(exchange) => {
                self.progress += H2_CHUNK_BYTES as u64;
                self.note(&exchange);
            }
            Fed::Cold(cold) => self.read(cold),
            Fed::None => return false,
        }
        true
    }

    /// Has a cold range read, by the ring's kernel threads.
    fn read(&self, cold: Cold) {
        let server = self.connection.server.clone();
        let news = self.news.clone();
        server.counters().cold.inc();
        weir_ring::spawn(async move {
            let _permit = server.cold_reads().acquire().await;
            let read = cold.file.read_at(cold.len, cold.offset).await;
            news.post(News::Read(cold.stream, read));
        });
    }

    fn handle_request(&mut self, parts: &http::request::Parts, mut respond: SendResponse<Chunk>) {
        let server = self.connection.server.clone();
        let stream = respond.stream_id().as_u32();
        self.latest = self.latest.max(stream);
        // What a frame says holds against the field (RFC 9218 section 7).
        let updated = self.pipe.with_updates(|updates| updates.take_for(stream));
        let lines = parts.headers.get_all("priority").iter();
        let mut exchange = Exchange {
            priority: updated
                .unwrap_or_else(|| Priority::parse(lines.map(|value| value.as_bytes()))),
            began: weir_ring::now(),
            client: self.connection.peer,
            head: Vec::new(),
            summary: (Status::BadRequest, 0),
        };
        let head = match head::request(parts) {
            Ok(head) => head,
            Err(why) => {
                let response = Response::error(Status::BadRequest, why);
                let outgoing = server.finish(response, None, true);
                return self.answer(respond, outgoing, exchange);
            }
        };
        let request = match request::parse(&head) {
            Ok(Parsed::Head { head, .. }) => head,
            Ok(Parsed::NeedMore) => return,
            Err(e) => {
                let response = Response::error(e.status(), &e.to_string());
                let outgoing = server.finish(response, None, true);
                return self.answer(respond, outgoing, exchange);
            }
        };
        exchange.client = server.client(&request, self.connection.peer);
        let resolved = match server.limited(exchange.client) {
            Some(refusal) => refusal.into(),
            None => server.resolve(&request, exchange.client, Hints::default()),
        };
        match resolved {
            Resolved::Answer(response) => {
                let outgoing = server.finish(response, Some(&request), true);
                exchange.head = head;
                self.answer(respond, outgoing, exchange);
            }
            // Its end would be its connection's (RFC 9113 section 7): browsers come back.
            Resolved::Live(_) => respond.send_reset(Reason::HTTP_1_1_REQUIRED),
            later => {
                exchange.head.clone_from(&head);
                self.hold(respond, exchange, head, later);
            }
        }
    }

    /// Has a request wait for its answer in a task.
    fn hold(
        &mut self,
        respond: SendResponse<Chunk>,
        exchange: Exchange,
        head: Vec<u8>,
        later: Resolved,
    ) {
        let server = self.connection.server.clone();
        let news = self.news.clone();
        let client = exchange.client;
        let stream = respond.stream_id().as_u32();
        let gone = Notify::new();
        let notified = gone.notified();
        self.held.push(Held {
            respond,
            exchange,
            gone,
        });
        weir_ring::spawn(async move {
            let answer = server.answer((&head, client), later, true, notified).await;
            news.post(News::Answer(stream, answer));
        });
    }

    fn handle_answer(&mut self, stream: u32, answer: io::Result<Outgoing>) {
        let mut held = self.held.iter();
        let Some(place) = held.position(|held| held.respond.stream_id().as_u32() == stream) else {
            return;
        };
        let mut held = self.held.swap_remove(place);
        match answer {
            Ok(outgoing) => self.answer(held.respond, outgoing, held.exchange),
            Err(_) => held.respond.send_reset(Reason::INTERNAL_ERROR),
        }
    }

    /// Begins an answer.
    fn answer(
        &mut self,
        mut respond: SendResponse<Chunk>,
        mut outgoing: Outgoing,
        mut exchange: Exchange,
    ) {
        if let [Piece::File { file, offset, len }] = &outgoing.body[..]
            && *len <= SMALL_TLS_BYTES_MAX
            && let Some(bytes) = self.connection.server.small(file, *offset, *len)
        {
            outgoing.body = vec![Piece::Memory(bytes)];
        }
        let way = match outgoing.way() {
            // Read, and sealed with its frame's head.
            Way::Sendfile => Way::Sealed,
            way => way,
        };
        self.connection.answered(&outgoing, way, exchange.began);
        exchange.summary = outgoing.summary();
        let response = head::response(&outgoing.head.slice(..outgoing.head_len));
        let inlined = outgoing.head.slice(outgoing.head_len..);
        let is_empty = outgoing.body_len() == 0;
        match respond.send_response(response, is_empty) {
            Ok(send) if !is_empty => {
                let pieces = std::iter::once(Piece::Memory(inlined)).chain(outgoing.body);
                self.transfers.add(send, pieces, exchange);
            }
            // Without a body, or for a stream that was reset meanwhile.
            _ => self.note(&exchange),
        }
    }

    /// Writes an answered request into the access log.
    fn note(&self, exchange: &Exchange) {
        if let Some(log) = self.connection.server.log() {
            let Exchange {
                head,
                client,
                summary,
                began,
                ..
            } = exchange;
            log.note(head, "HTTP/2.0", *client, true, *summary, *began);
        }
    }

    /// Frees what belongs to streams that were reset, and ends a connection that does little
    /// else.
    fn remove_reset(&mut self) {
        let cx = &mut Context::from_waker(Waker::noop());
        let mut removed = Vec::new();
        self.transfers
            .remove_reset(cx, |exchange| removed.push(exchange));
        for exchange in &removed {
            self.note(exchange);
        }
        let mut count = removed.len();
        self.held.retain_mut(|held| {
            let is_reset = held.respond.poll_reset(cx).is_ready();
            if is_reset {
                held.gone.notify_all();
                count += 1;
            }
            !is_reset
        });
        let now = weir_ring::now();
        if now.saturating_duration_since(self.resets.since) > H2_RESETS_TIME {
            self.resets = Resets {
                count: 0,
                since: now,
            };
        }
        self.resets.count += u32::try_from(count).unwrap_or(u32::MAX);
        if self.resets.count > H2_RESETS_MAX {
            debug!(peer = %self.connection.peer, "an HTTP/2 peer resets too many streams");
            self.end(Reason::ENHANCE_YOUR_CALM);
        }
    }

    /// Ends the connection as soon as that was said.
    pub(super) fn end(&mut self, reason: Reason) {
        self.machine.abrupt_shutdown(reason);
        self.transfers = Transfers::default();
        self.release_held();
    }

    /// Lets the streams end that are open, and takes no more.
    pub(super) fn end_gracefully(&mut self) {
        self.machine.graceful_shutdown();
    }

    fn release_held(&mut self) {
        for held in self.held.drain(..) {
            held.gone.notify_all();
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Whether streams are open.
    pub(super) fn is_busy(&self) -> bool {
        self.machine.has_streams() || !self.transfers.is_empty() || !self.held.is_empty()
    }

    /// Bytes of bodies given to the machine since this was last asked. What ends one counts as a
    /// whole chunk.
    pub(super) fn take_progress(&mut self) -> u64 {
        std::mem::take(&mut self.progress)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.release_held();
    }
}
