//! Drives one RTMP connection: bytes into the machine, its answers out, its events to the
//! stream.

use crate::admit::{self, Admitted, Asker};
use crate::budget::Budget;
use crate::clock;
use crate::gather::Gather;
use crate::lease::Lease;
use crate::limits::{
    LINGER_BYTES_MAX, LINGER_WAIT, PLAY_WAIT, RECEIVE_BATCH_MAX, REQUESTS_BURST, SEND_WAIT,
    TRANSMIT_BATCH_MAX, VIEWER_STALLED_WAIT,
};
use crate::owners::Claim;
use crate::play::{self, Over, Plays};
use crate::reasons::{Closed, Happened, PlayRefused, Refused, ViewerClosed};
use crate::secure;
use crate::worker::{Asked, Live};
use bytes::Bytes;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;
use tracing::{debug, info, warn};
use weir_auth::hook::{Client, Permit};
use weir_media::Mono;
use weir_net::stream::Received;
use weir_net::tls::Acceptor;
use weir_net::{ConnectionGuard, Detached, Stream};
use weir_ring::net::TcpStream;
use weir_ring::{Alarm, Notified};
use weir_rtmp::handshake::RANDOM_BYTES;
use weir_rtmp::session::server::{Event, Refusal, ServerConfig, ServerSession};
use weir_rtmp::session::{Output, Target};

/// A session that was authorised on a worker other than its stream's owner.
pub(crate) struct Travelling {
    socket: Detached,
    machine: ServerSession,
    peer: SocketAddr,
    connection: u64,
    client: Client,
    publish: Publish,
    /// Keeps the name for the worker that it goes to.
    claim: Claim,
    /// Times it was passed on.
    pub(crate) hops: u8,
    guard: ConnectionGuard,
}

impl fmt::Debug for Travelling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "session of connection {} for {}",
            self.connection, self.publish.admitted.name
        )
    }
}

impl Travelling {
    /// The worker that it goes to.
    pub(crate) fn owner(&self) -> usize {
        self.claim.worker()
    }
}

/// A publish request that may begin.
struct Publish {
    stream_id: u32,
    admitted: Admitted,
}

/// Why a session ended.
enum End {
    /// The peer closed, or was told to.
    Closed,
    /// It goes on at another worker.
    Moved,
    /// It was at fault, or the network was.
    Fault(Closed, String),
}

/// What a session waited for.
enum Woken {
    Received(io::Result<Option<Received>>),
    Media,
    Deadline,
    /// A newer publisher took the stream.
    Evicted,
    /// The worker is about to stop.
    Leaving,
}

struct Session {
    live: Live,
    machine: ServerSession,
    peer: SocketAddr,
    connection: u64,
    hops: u8,
    /// Counts the connection as open; goes with it to another worker.
    guard: Option<ConnectionGuard>,
    /// What the peer said of itself, for the hook; empty where there is none.
    client: Client,
    publishing: Option<Lease>,
    /// Goes with `publishing`: its end tells the hook.
    permit: Option<Permit>,
    plays: Plays,
    /// The machine's deadline, and that of a send.
    alarm: Alarm,
    /// Room for what is sent of the plays.
    media: Vec<Bytes>,
    gather: Gather,
    /// Requests to publish or play. Each may ask a hook, and wait for a stream.
    requests: Budget,
    /// The worker is about to stop; `None` once the client was told.
    leaving: Option<Notified>,
    /// Counts the client among those that were asked to connect elsewhere.
    asked: Option<Asked>,
}

/// Serves an accepted connection, under TLS if `tls` is given.
pub(crate) async fn serve(
    live: Live,
    stream: TcpStream,
    peer: SocketAddr,
    connection: u64,
    guard: ConnectionGuard,
    tls: Option<Acceptor>,
) {
    let counters = live.shared().counters.clone();
    counters.accepted.inc();
    let _ = stream.set_nodelay(true);
    let stream = match tls {
        None => Stream::from(stream),
        Some(acceptor) => match Box::pin(secure::accept(&acceptor, stream)).await {
            Ok(stream) => stream,
            Err(why) => {
                counters.close(Closed::Tls);
                warn!(connection, %peer, "{why}");
                return;
            }
        },
    };
    let mut random = Box::new([0; RANDOM_BYTES]);
    if getrandom::fill(&mut random[..]).is_err() {
        warn!("the system has no randomness; refusing a connection");
        return;
    }
    let machine = ServerSession::new(ServerConfig::new(random), clock::now().mono);
    let session = Session::new(live, machine, peer, connection, 0, guard);
    debug!(connection, %peer, tls = stream.is_tls(), "RTMP connection");
    // A task of its own, so that what only its beginning needs is not kept to its end.
    weir_ring::spawn(session.run(stream, None));
}

/// Continues a session that was moved here.
pub(crate) async fn take_over(live: Live, session: Travelling) {
    let Travelling {
        socket,
        machine,
        peer,
        connection,
        client,
        publish,
        // Held until the session has claimed the name itself.
        claim: _claim,
        hops,
        guard,
    } = session;
    let stream = match Stream::attach(socket) {
        Ok(stream) => stream,
        Err(e) => {
            warn!(connection, %peer, "cannot take over the connection: {e}");
            return;
        }
    };
    let mut session = Session::new(live, machine, peer, connection, hops, guard);
    session.client = client;
    weir_ring::spawn(session.run(stream, Some(publish)));
}

impl Session {
    fn new(
        live: Live,
        machine: ServerSession,
        peer: SocketAddr,
        connection: u64,
        hops: u8,
        guard: ConnectionGuard,
    ) -> Box<Self> {
        let now = clock::now().mono;
        let leaving = Some(live.leaving());
        Box::new(Self {
            live,
            leaving,
            asked: None,
            machine,
            peer,
            connection,
            hops,
            guard: Some(guard),
            client: Client::default(),
            publishing: None,
            permit: None,
            plays: Plays::default(),
            alarm: Alarm::default(),
            media: Vec::new(),
            gather: Gather::new(now),
            requests: Budget::new(REQUESTS_BURST, now),
        })
    }

    /// Runs the connection to its end; `publish` is a request that is authorised already.
    async fn run(mut self: Box<Self>, stream: Stream, publish: Option<Publish>) {
        let connections = self.live.shared().counters.connections.clone();
        connections.inc();
        let (connection, peer) = (self.connection, self.peer);
        let counters = self.live.shared().counters.clone();
        match self.exchange(stream, publish).await {
            End::Closed => debug!(connection, %peer, "RTMP connection closed"),
            End::Moved => debug!(connection, %peer, "RTMP session moved"),
            End::Fault(reason, why) => {
                counters.close(reason);
                warn!(connection, %peer, offset = self.machine.bytes_received(), "{why}");
            }
        }
        connections.dec();
    }

    /// Futures of what is rare are boxed: this one's memory is held for each viewer.
    async fn exchange(&mut self, mut stream: Stream, mut publish: Option<Publish>) -> End {
        loop {
            if let Some(publish) = publish.take() {
                match Box::pin(self.begin(stream, publish)).await {
                    Ok(back) => stream = back,
                    Err(end) => return end,
                }
            }
            let deadline = match self.drain(&mut stream).await {
                Ok(Drained::Idle(deadline)) => deadline,
                Ok(Drained::Publish(admitted)) => {
                    publish = Some(admitted);
                    continue;
                }
                Ok(Drained::Close) => {
                    Box::pin(stream.linger(LINGER_WAIT, LINGER_BYTES_MAX)).await;
                    return End::Closed;
                }
                Err(end) => return end,
            };
            let woken = match self.wait(&mut stream, deadline).await {
                Woken::Media => self.forward(&mut stream).await,
                Woken::Received(received) => self.receive(received, &mut stream),
                Woken::Deadline => self.time_out(&stream),
                Woken::Evicted => Err(End::Closed),
                Woken::Leaving => {
                    self.leaving = None;
                    if self.machine.request_reconnect() {
                        info!(connection = self.connection, peer = %self.peer, "asked to connect again");
                        self.asked = Some(self.live.asked());
                    }
                    Ok(())
                }
            };
            if let Err(end) = woken {
                return end;
            }
        }
    }

    /// Waits for bytes, media to send, the machine's deadline or a newer publisher.
    async fn wait(&mut self, stream: &mut Stream, deadline: Option<Mono>) -> Woken {
        let wait = deadline.map_or(Duration::from_secs(3600), clock::until);
        let wait = self.gather.wait().map_or(wait, |gather| gather.min(wait));
        let deadline = weir_ring::now() + wait;
        let Self {
            publishing,
            plays,
            alarm,
            leaving,
            ..
        } = self;
        let mut received = pin!(stream.recv());
        poll_fn(|cx| {
            if let Poll::Ready(received) = received.as_mut().poll(cx) {
                return Poll::Ready(Woken::Received(received));
            }
            if plays.poll_ready(cx).is_ready() {
                return Poll::Ready(Woken::Media);
            }
            if let Some(lease) = publishing
                && Pin::new(&mut lease.evicted).poll(cx).is_ready()
            {
                return Poll::Ready(Woken::Evicted);
            }
            if let Some(leaving) = leaving
                && Pin::new(leaving).poll(cx).is_ready()
            {
                return Poll::Ready(Woken::Leaving);
            }
            alarm.poll_at(cx, deadline).map(|()| Woken::Deadline)
        })
        .await
    }

    fn time_out(&mut self, stream: &Stream) -> Result<(), End> {
        let now = clock::now().mono;
        self.gather.stop(stream, now);
        let handled = self.machine.handle_timeout(now);
        handled.map_err(|e| End::Fault(Closed::Protocol, e.to_string()))
    }

    fn receive(
        &mut self,
        received: io::Result<Option<Received>>,
        stream: &mut Stream,
    ) -> Result<(), End> {
        match received {
            Ok(Some(bytes)) => {
                let is_first = self.machine.bytes_received() == 0;
                if is_first && !stream.is_tls() && secure::is_tls(&bytes) {
                    let why = "TLS on the RTMP port: use the RTMPS port, or rtmp://";
                    return Err(End::Fault(Closed::Tls, why.into()));
                }
                let taken = self.take(&bytes, stream);
                taken.map_err(|e| End::Fault(Closed::Protocol, e.to_string()))
            }
            Ok(None) => Err(End::Closed),
            // Encoders rarely say `close_notify`; that RTMP can be cut is nothing new.
            Err(e) if stream.is_tls() && e.kind() == io::ErrorKind::UnexpectedEof => {
                Err(End::Closed)
            }
            Err(_) if !self.plays.is_empty() => Err(End::Closed),
            Err(e) => Err(End::Fault(Closed::Socket, e.to_string())),
        }
    }

    /// Feeds what came, and what else is there already: a picture often comes in several
    /// receives, and one drain serves them all.
    fn take(&mut self, first: &[u8], stream: &mut Stream) -> Result<(), weir_rtmp::Error> {
        let now = clock::now().mono;
        let mut received = first.len();
        let mut handled = self.machine.handle_input(first, now);
        for _ in 1..RECEIVE_BATCH_MAX {
            let Some(bytes) = stream.try_recv().filter(|_| handled.is_ok()) else {
                break;
            };
            received += bytes.len();
            handled = self.machine.handle_input(&bytes, now);
        }
        let counter = &self.live.shared().counters.received;
        counter.inc_by(received as u64);
        let gathers = self
            .publishing
            .as_ref()
            .is_some_and(|lease| !lease.is_watched());
        self.gather.received(stream, received, gathers, now);
        handled
    }

    /// Does all that the machine has to say, and sends its answers.
    async fn drain(&mut self, stream: &mut Stream) -> Result<Drained, End> {
        let mut answers = Vec::new();
        loop {
            match self.machine.poll_output() {
                Output::Transmit(bytes) => {
                    answers.push(bytes);
                    if answers.len() >= TRANSMIT_BATCH_MAX {
                        send(stream, &mut answers).await?;
                    }
                }
                Output::Event(Event::Publish {
                    stream_id,
                    target,
                    kind,
                }) => {
                    send(stream, &mut answers).await?;
                    self.spend_request()?;
                    if !self.machine.awaits_publish(stream_id) {
                        continue;
                    }
                    let authorised = Box::pin(self.authorise(stream_id, &target, kind)).await;
                    if let Some(publish) = authorised {
                        return Ok(Drained::Publish(publish));
                    }
                }
                Output::Event(Event::Play { stream_id, target }) => {
                    send(stream, &mut answers).await?;
                    self.spend_request()?;
                    // What it asks for takes the place of what played there, also if that was taken back.
                    self.plays.remove(stream_id);
                    if !self.machine.awaits_play(stream_id) {
                        continue;
                    }
                    Box::pin(self.play(stream_id, &target)).await;
                }
                Output::Event(event) => self.handle(event)?,
                Output::Close => {
                    send(stream, &mut answers).await?;
                    return Ok(Drained::Close);
                }
                Output::Timeout(deadline) => {
                    send(stream, &mut answers).await?;
                    return Ok(Drained::Idle(deadline));
                }
            }
        }
    }

    /// Checks a publish request; refuses it towards the peer if it may not be.
    ///
    /// A hook is waited for, and nothing is read meanwhile: what the peer sends waits in the
    /// ring's few buffers of this connection, and then in the kernel.
    async fn authorise(
        &mut self,
        stream_id: u32,
        target: &Target,
        kind: String,
    ) -> Option<Publish> {
        let asker = Asker {
            address: self.peer.ip(),
            connection: self.connection,
            client: &self.client,
        };
        match admit::publish(self.live.shared(), asker, target, kind).await {
            Ok(admitted) => Some(Publish {
                stream_id,
                admitted,
            }),
            Err(denied) => {
                let reason = denied.reason();
                let answer = match reason {
                    Refused::Key | Refused::Name | Refused::Signature => Refusal::BadName,
                    Refused::HookFailed => Refusal::Rejected,
                    _ => Refusal::Denied,
                };
                self.refuse(stream_id, reason, answer, &denied);
                None
            }
        }
    }

    /// Answers a play request: the stream, if it is there or comes soon.
    async fn play(&mut self, stream_id: u32, target: &Target) {
        let (connection, peer) = (self.connection, self.peer);
        let asker = Asker {
            address: self.peer.ip(),
            connection: self.connection,
            client: &self.client,
        };
        let admitted = admit::play(self.live.shared(), asker, target).await;
        let admitted = match admitted {
            Ok(admitted) => admitted,
            Err(denied) => {
                let reason = denied.play_reason();
                let answer = match reason {
                    PlayRefused::Name => Refusal::BadName,
                    PlayRefused::HookFailed => Refusal::Rejected,
                    _ => Refusal::Denied,
                };
                self.live.shared().counters.refuse_play(reason);
                info!(connection, %peer, "play refused: {denied}");
                return self.machine.refuse_play(stream_id, answer);
            }
        };
        let start = play::start(target.query.as_deref());
        let name = admitted.name.clone();
        match self.live.subscribe(&name, start, PLAY_WAIT).await {
            Some(subscription) => {
                debug!(connection, %peer, stream = %name, "playing");
                self.machine.accept_play(stream_id);
                let counters = &self.live.shared().counters;
                let capabilities = self.machine.capabilities();
                self.plays
                    .add(stream_id, admitted, subscription, capabilities, counters);
            }
            None => {
                let counters = &self.live.shared().counters;
                counters.refuse_play(PlayRefused::NotFound);
                info!(connection, %peer, stream = %name, "play refused: not live");
                self.machine.refuse_play(stream_id, Refusal::BadName);
            }
        }
    }

    /// Sends what the streams that are played have.
    async fn forward(&mut self, stream: &mut Stream) -> Result<(), End> {
        let mut out = std::mem::take(&mut self.media);
        let over = self.plays.read(&mut out);
        let sent = send_media(stream, &mut out, &mut self.alarm).await;
        self.media = out;
        if let Err(end) = sent {
            let counters = &self.live.shared().counters;
            if matches!(end, End::Fault(Closed::Stalled, _)) {
                let stalled = ViewerClosed::Stalled;
                counters.viewers_closed.get_or_create(&stalled).inc();
            }
            return Err(match end {
                // How players leave.
                End::Fault(Closed::Socket, _) => End::Closed,
                end => end,
            });
        }
        self.machine.note_progress(clock::now().mono);
        for Over {
            stream_id,
            name,
            why,
        } in over
        {
            if why == ViewerClosed::Slow {
                let why = format!("too slow for {name}");
                return Err(End::Fault(Closed::Stalled, why));
            }
            if why == ViewerClosed::Codec {
                self.machine.refuse_play(stream_id, Refusal::Codec);
                continue;
            }
            self.machine.end_play(stream_id);
        }
        Ok(())
    }

    fn refuse(&mut self, stream_id: u32, reason: Refused, answer: Refusal, why: &dyn fmt::Display) {
        self.live.shared().counters.refuse(reason);
        // What is our own fault is not counted against encoders that may share an address.
        let ours = [Refused::Busy, Refused::Store, Refused::HookFailed];
        if !ours.contains(&reason) {
            self.live.note_refusal(self.peer.ip());
        }
        warn!(connection = self.connection, peer = %self.peer, "publish refused: {why}");
        self.machine.refuse_publish(stream_id, answer);
    }

    /// Takes a request of the connection's budget.
    fn spend_request(&mut self) -> Result<(), End> {
        match self.requests.take(clock::now().mono) {
            true => Ok(()),
            false => {
                let why = "too many requests to publish or play on one connection";
                Err(End::Fault(Closed::Requests, why.into()))
            }
        }
    }

    /// Begins an authorised publish session here, or moves it to the stream's owner.
    async fn begin(&mut self, stream: Stream, publish: Publish) -> Result<Stream, End> {
        let stream_id = publish.stream_id;
        if !self.plays.is_empty() {
            // What it plays is of this worker, the stream may be of another.
            let why = "the connection plays a stream";
            self.refuse(stream_id, Refused::Denied, Refusal::Rejected, &why);
            return Ok(stream);
        }
        let Some(claim) = self.live.claim(&publish.admitted.name) else {
            self.refuse(
                stream_id,
                Refused::Busy,
                Refusal::Rejected,
                &"all workers are full",
            );
            return Ok(stream);
        };
        if claim.worker() == self.live.index() {
            self.begin_here(publish);
            return Ok(stream);
        }
        let Some(guard) = self.guard.take() else {
            return Err(End::Fault(
                Closed::Internal,
                "the session was moved twice".into(),
            ));
        };
        self.gather.stop(&stream, clock::now().mono);
        let socket = match stream.detach().await {
            Ok(socket) => socket,
            Err(e) => return Err(End::Fault(Closed::Socket, e.to_string())),
        };
        let placeholder = ServerConfig::new(Box::new([0; RANDOM_BYTES]));
        let placeholder = ServerSession::new(placeholder, clock::now().mono);
        let travelling = Travelling {
            socket,
            machine: std::mem::replace(&mut self.machine, placeholder),
            peer: self.peer,
            connection: self.connection,
            client: std::mem::take(&mut self.client),
            publish,
            claim,
            hops: self.hops,
            guard,
        };
        let Some(back) = self.live.pass_on(travelling) else {
            return Err(End::Moved);
        };
        self.machine = back.machine;
        self.client = back.client;
        self.guard = Some(back.guard);
        let stream =
            Stream::attach(back.socket).map_err(|e| End::Fault(Closed::Socket, e.to_string()))?;
        self.refuse(
            stream_id,
            Refused::Busy,
            Refusal::Rejected,
            &"the stream's worker is busy",
        );
        Ok(stream)
    }

    fn begin_here(&mut self, publish: Publish) {
        let Publish {
            stream_id,
            admitted,
        } = publish;
        // A second publish on one connection replaces the first.
        self.unpublish();
        match self.live.publish(&admitted.name) {
            Ok(lease) => {
                self.live.shared().counters.published.inc();
                info!(
                    connection = self.connection,
                    peer = %self.peer,
                    stream = %admitted.name,
                    "publishing"
                );
                self.publishing = Some(lease);
                self.permit = Some(admitted.permit);
                self.machine.accept_publish(stream_id);
            }
            Err(e) => self.refuse(stream_id, Refused::Store, Refusal::Rejected, &e),
        }
    }

    fn unpublish(&mut self) -> Option<Lease> {
        self.permit = None;
        self.publishing.take()
    }

    /// An event that needs no answer of ours beyond the machine's own.
    fn handle(&mut self, event: Event) -> Result<(), End> {
        match event {
            Event::Connect {
                app,
                tc_url,
                flash_ver,
                swf_url,
                page_url,
            } => {
                debug!(
                    connection = self.connection,
                    app = app.split('/').next(),
                    encoder = flash_ver,
                    "connect"
                );
                if self.live.shared().hooks.has_any() {
                    let client = Client {
                        app,
                        flash_ver,
                        swf_url,
                        tc_url,
                        page_url,
                    };
                    self.client = client.cut();
                }
            }
            Event::StopPlay { stream_id } => self.plays.remove(stream_id),
            Event::Pause { stream_id, paused } => self.plays.set_paused(stream_id, paused),
            Event::Receive {
                stream_id,
                kind,
                wanted,
            } => self.plays.set_wanted(stream_id, kind, wanted),
            Event::Metadata(metadata) => {
                if let Some(lease) = &self.publishing {
                    lease.describe(&metadata);
                }
            }
            Event::Config { track, config } => {
                if let Some(lease) = &mut self.publishing
                    && !lease.config(track, config)
                {
                    let why = "codec configuration changes more than once a second";
                    return Err(End::Fault(Closed::ConfigRate, why.into()));
                }
            }
            Event::Frame(frame) => {
                if let Some(lease) = &self.publishing {
                    lease.frame(frame);
                }
            }
            Event::Datum(datum) => self.publishing.iter().for_each(|l| l.datum(datum.clone())),
            Event::TrackFault { fault, offset } => self.fault(&fault, offset),
            Event::DataFault { fault, offset } => self.fault(&fault, offset),
            Event::SmallChunkSize(size) => {
                info!(
                    connection = self.connection,
                    size, "suspiciously small chunks"
                );
            }
            Event::Unpublish { .. } => {
                if let Some(lease) = self.unpublish() {
                    info!(connection = self.connection, stream = %lease.name(), "unpublished");
                }
            }
            // Taken where they can be waited for.
            Event::Publish { .. } | Event::Play { .. } => {}
        }
        Ok(())
    }

    /// Notes a fault that the connection survives; the machine ends it if there are many.
    fn fault(&self, fault: &dyn fmt::Display, offset: u64) {
        self.live.shared().counters.event(Happened::Fault);
        warn!(connection = self.connection, peer = %self.peer, offset, "{fault}");
    }
}

/// Where a drain stopped.
enum Drained {
    /// Nothing more to do before the deadline.
    Idle(Option<Mono>),
    /// A publish request was authorised; the machine may have more to say after it.
    Publish(Publish),
    /// The connection is to be closed.
    Close,
}

async fn send_media(
    stream: &mut Stream,
    media: &mut Vec<Bytes>,
    alarm: &mut Alarm,
) -> Result<(), End> {
    let deadline = weir_ring::now() + VIEWER_STALLED_WAIT;
    match stream.send_by(media, deadline, alarm).await {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::TimedOut => Err(End::Fault(
            Closed::Stalled,
            "the player takes nothing".into(),
        )),
        Err(e) => Err(End::Fault(Closed::Socket, e.to_string())),
    }
}

async fn send(stream: &mut Stream, answers: &mut Vec<Bytes>) -> Result<(), End> {
    if answers.is_empty() {
        return Ok(());
    }
    let sending = stream.send_vectored(std::mem::take(answers));
    match Box::pin(weir_ring::timeout(SEND_WAIT, sending)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(e)) => Err(End::Fault(Closed::Socket, e.to_string())),
        Err(_) => Err(End::Fault(
            Closed::Stalled,
            "the peer takes no answers".into(),
        )),
    }
}
