//! One worker's part of the port: who calls, and what comes for whom.

use super::answer::{self, Wanted};
use super::board::{Entry, Role, Shown};
use super::line::{Line, each};
use super::play::{self, Player};
use super::publish::Publisher;
use super::{Srt, seed};
use crate::admit::{self, Admitted, Asker};
use crate::clock;
use crate::limits::{
    PLAY_WAIT, RECEIVES_PER_TURN, SRT_CALLER_KEPT, SRT_CALLERS_MAX, SRT_REQUEST_INTERVAL,
    SRT_REQUESTS_BURST, SRT_SOCKET_PAUSE,
};
use crate::owners::Claim;
use crate::reasons::{PlayRefused, Refused};
use crate::worker::Live;
use bytes::Bytes;
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use tracing::{debug, info, warn};
use weir_auth::hook::Client;
use weir_hub::fanout::Start;
use weir_media::{Mono, StreamName};
use weir_net::limits::RATE_ADDRESSES_MAX;
use weir_net::{ConnectionGuard, ConnectionLimits, RateLimit};
use weir_ring::net::UdpSocket;
use weir_srt::{Config, Connection, Incoming, Listener, Reason, Request, SocketId, Transmit, peek};

/// Most identifiers have 30 bits: the rest marks groups.
const ID_MASK: u32 = 0x3fff_ffff;

/// One worker's part. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Port(Rc<Inner>);

struct Inner {
    live: Live,
    srt: Arc<Srt>,
    socket: Rc<UdpSocket>,
    listener: Listener,
    limits: ConnectionLimits,
    /// Calls that are looked at, per address.
    calls: RefCell<RateLimit>,
    lines: RefCell<HashMap<u32, Rc<Line>>>,
    callers: RefCell<HashMap<(SocketAddr, u32), Caller>>,
}

/// A caller whose address is proved.
struct Caller {
    since: Mono,
    answer: Answer,
}

/// What is said to a caller, who may ask again because it did not hear it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Deciding,
    /// What its connection is called here.
    Accepted(u32),
    Refused(Reason),
}

/// A datagram that another worker received.
pub(crate) struct Passed {
    /// The connection that it is of.
    id: u32,
    from: SocketAddr,
    datagram: Bytes,
}

impl fmt::Debug for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "datagram from {}", self.from)
    }
}

/// An accepted publisher on its way to the worker that owns the stream.
pub(crate) struct Travelling {
    accepted: Accepted,
    machine: Connection,
    /// Keeps the stream's name for that worker meanwhile.
    _claim: Claim,
}

/// What goes with a connection.
struct Accepted {
    connection: u64,
    admitted: Admitted,
    guard: ConnectionGuard,
}

impl fmt::Debug for Travelling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Accepted {
            connection,
            admitted,
            ..
        } = &self.accepted;
        write!(f, "SRT connection {connection} for {}", admitted.name)
    }
}

impl Port {
    pub(crate) fn new(
        live: Live,
        srt: Arc<Srt>,
        socket: UdpSocket,
        limits: ConnectionLimits,
    ) -> Self {
        let calls = RateLimit::new(SRT_REQUESTS_BURST, SRT_REQUEST_INTERVAL, RATE_ADDRESSES_MAX);
        Self(Rc::new(Inner {
            live,
            listener: Listener::new(srt.key.clone()),
            srt,
            socket: Rc::new(socket),
            limits,
            calls: RefCell::new(calls),
            lines: RefCell::default(),
            callers: RefCell::default(),
        }))
    }

    /// Receives for as long as the worker runs.
    pub(crate) async fn run(self) {
        let inner = &self.0;
        let mut swept = clock::now().mono;
        loop {
            match inner.socket.recv().await {
                Ok(first) => {
                    let now = clock::now().mono;
                    each(&first, |datagram| {
                        self.handle(datagram, first.source(), now)
                    });
                    for _ in 1..RECEIVES_PER_TURN {
                        let Some(more) = inner.socket.try_recv() else {
                            break;
                        };
                        each(&more, |datagram| self.handle(datagram, more.source(), now));
                    }
                    inner.socket.flush();
                    if now.since(swept) >= SRT_CALLER_KEPT {
                        swept = now;
                        let kept = |c: &Caller| {
                            c.answer == Answer::Deciding || now.since(c.since) < SRT_CALLER_KEPT
                        };
                        inner.callers.borrow_mut().retain(|_, caller| kept(caller));
                    }
                }
                Err(e) => {
                    warn!("SRT: the socket fails: {e}");
                    weir_ring::sleep(SRT_SOCKET_PAUSE).await;
                }
            }
            // Connections, and others, before the next ones.
            weir_ring::yield_now().await;
        }
    }

    /// Takes a datagram.
    fn handle(&self, datagram: Bytes, from: SocketAddr, now: Mono) {
        let inner = &self.0;
        let Some(peeked) = peek(&datagram) else {
            inner.live.shared().counters.srt.ignored.inc();
            return;
        };
        if peeked.destination != SocketId(0) {
            return self.route(peeked.destination.0, datagram, from, now);
        }
        let caller = peeked.handshake_from.and_then(|id| {
            let callers = inner.callers.borrow();
            callers.get(&(from, id.0)).map(|caller| caller.answer)
        });
        match caller {
            Some(Answer::Deciding) => return,
            // It did not hear the answer.
            Some(Answer::Accepted(id)) => return self.route(id, datagram, from, now),
            // Its cookie is looked at first.
            Some(Answer::Refused(_)) | None => {}
        }
        match inner.listener.handle(datagram, from, now) {
            Incoming::Induction(answer) => self.send(from, &answer),
            Incoming::Request(request) => self.request(request, now),
            Incoming::Refused(answer, reason) => {
                debug!(peer = %from, "SRT call refused: {reason}");
                inner.live.shared().counters.srt.refuse(reason);
                self.send(from, &answer);
            }
            _ => {
                inner.live.shared().counters.srt.ignored.inc();
            }
        }
    }

    /// Gives a datagram to its connection, here or at the worker that has it.
    fn route(&self, id: u32, datagram: Bytes, from: SocketAddr, now: Mono) {
        let inner = &self.0;
        let line = inner.lines.borrow().get(&id).cloned();
        if let Some(line) = line {
            return line.handle(datagram, from, now);
        }
        let owner = inner.live.srt_owner(id);
        // The kernel steers by the same rule, so this is for what names nobody, and for datagrams
        // that it joined though they are of several connections.
        let passed = owner != inner.live.index()
            && inner
                .live
                .pass_on_datagram(owner, Passed { id, from, datagram });
        if !passed {
            inner.live.shared().counters.srt.ignored.inc();
        }
    }

    /// Takes a datagram that another worker received. It is of a connection that is here, or of
    /// none: a call that was accepted elsewhere may not be taken for another.
    pub(crate) fn take(&self, passed: Passed, now: Mono) {
        let line = self.0.lines.borrow().get(&passed.id).cloned();
        match line {
            Some(line) => line.handle(passed.datagram, passed.from, now),
            None => {
                self.0.live.shared().counters.srt.ignored.inc();
            }
        }
    }

    fn send(&self, to: SocketAddr, transmit: &Transmit) {
        self.0
            .socket
            .queue(to, &[transmit.head(), transmit.payload()]);
    }

    /// Somebody calls whose address is proved.
    fn request(&self, request: Box<Request>, now: Mono) {
        let inner = &self.0;
        let (peer, shared) = (request.peer(), inner.live.shared());
        let caller = (peer, request.socket_id().0);
        let known = inner.callers.borrow().get(&caller).map(|c| c.answer);
        if let Some(Answer::Refused(reason)) = known {
            // It did not hear that; nobody is asked again.
            return self.send(peer, &request.refuse(reason));
        }
        // Who calls in a loop is not answered: an answer would make it call again at once.
        let refused_often = inner.live.is_refused_often(peer.ip());
        if refused_often || !inner.calls.borrow_mut().take(peer.ip(), now) {
            shared.counters.refuse(Refused::Rate);
            return;
        }
        let mut callers = inner.callers.borrow_mut();
        let guard = inner.limits.admit(peer.ip());
        let Ok(guard) = guard
            .map_err(drop)
            .and_then(|guard| (callers.len() < SRT_CALLERS_MAX).then_some(guard).ok_or(()))
        else {
            drop(callers);
            shared.counters.srt.refuse(Reason::OVERLOAD);
            return self.send(peer, &request.refuse(Reason::OVERLOAD));
        };
        let deciding = Caller {
            since: now,
            answer: Answer::Deciding,
        };
        callers.insert(caller, deciding);
        drop(callers);
        weir_ring::spawn(self.clone().decide(request, guard));
    }

    async fn decide(self, request: Box<Request>, guard: ConnectionGuard) {
        let (peer, id) = (request.peer(), request.socket_id().0);
        let connection = self.0.live.shared().connection();
        let decided = match answer::wanted(request.stream_id()) {
            Ok(wanted) if wanted.publish => self.publish(&request, wanted, connection, guard).await,
            Ok(wanted) => self.play(&request, wanted, connection, guard).await,
            Err(reason) => Err(reason),
        };
        let answer = match decided {
            Ok(here) => Answer::Accepted(here),
            Err(reason) => Answer::Refused(reason),
        };
        if let Some(caller) = self.0.callers.borrow_mut().get_mut(&(peer, id)) {
            caller.answer = answer;
            caller.since = clock::now().mono;
        }
        match decided {
            Ok(_) => {}
            Err(reason) => {
                info!(connection, %peer, "SRT call refused: {reason}");
                self.0.live.shared().counters.srt.refuse(reason);
                self.send(peer, &request.refuse(reason));
                self.0.socket.flush();
            }
        }
    }

    /// Begins to publish, here or at the stream's worker. What the connection is called, or why not.
    async fn publish(
        &self,
        request: &Request,
        wanted: Wanted,
        connection: u64,
        guard: ConnectionGuard,
    ) -> Result<u32, Reason> {
        let (live, peer) = (&self.0.live, request.peer());
        let client = client(request);
        let asker = Asker {
            address: peer.ip(),
            connection,
            client: &client,
        };
        let admitted = admit::publish(live.shared(), asker, &wanted.target, "live".into()).await;
        let admitted = admitted.map_err(|denied| {
            let reason = denied.reason();
            live.shared().counters.refuse(reason);
            live.note_refused(reason, peer.ip());
            warn!(connection, %peer, "publish refused: {denied}");
            answer::publish_denied(&denied)
        })?;
        let Some(claim) = live.claim(&admitted.name) else {
            live.shared().counters.refuse(Refused::Busy);
            return Err(Reason::OVERLOAD);
        };
        let owner = claim.worker();
        let machine = self.accept(request, owner, &admitted.name)?;
        let id = machine.id().0;
        let accepted = Accepted {
            connection,
            admitted,
            guard,
        };
        let travelling = Travelling {
            accepted,
            machine,
            _claim: claim,
        };
        if owner == live.index() {
            self.take_over(travelling);
        } else if !live.pass_on_srt(owner, travelling) {
            live.shared().counters.refuse(Refused::Busy);
            return Err(Reason::OVERLOAD);
        }
        Ok(id)
    }

    /// Serves a publisher that may publish a stream of this worker.
    pub(crate) fn take_over(&self, travelling: Travelling) {
        let Travelling {
            accepted,
            machine,
            _claim,
        } = travelling;
        let Accepted {
            connection,
            admitted,
            guard,
        } = accepted;
        let (live, peer) = (self.0.live.clone(), machine.peer());
        // It hears nothing, and comes back: with another number, or to another server.
        if live.is_stopping() || self.0.lines.borrow().contains_key(&machine.id().0) {
            live.shared().counters.refuse(Refused::Busy);
            return;
        }
        let lease = match live.publish(&admitted.name) {
            Ok(lease) => lease,
            // It hears nothing, and comes back.
            Err(e) => {
                live.shared().counters.refuse(Refused::Store);
                warn!(connection, %peer, "publish refused: {e}");
                return;
            }
        };
        live.shared().counters.published.inc();
        info!(connection, %peer, stream = %admitted.name, "publishing over SRT");
        let shown = self.show(connection, &admitted.name, Role::Publish, &machine);
        let publisher = Publisher::new(live, connection, admitted, lease, shown);
        self.begin(machine, guard, async move |line| {
            publisher.serve(line).await
        });
    }

    /// Begins to play.
    async fn play(
        &self,
        request: &Request,
        wanted: Wanted,
        connection: u64,
        guard: ConnectionGuard,
    ) -> Result<u32, Reason> {
        let (live, peer) = (&self.0.live, request.peer());
        let client = client(request);
        let asker = Asker {
            address: peer.ip(),
            connection,
            client: &client,
        };
        let counters = &live.shared().counters;
        let admitted = admit::play(live.shared(), asker, &wanted.target).await;
        let admitted = admitted.map_err(|denied| {
            counters.refuse_play(denied.play_reason());
            info!(connection, %peer, "play refused: {denied}");
            answer::play_denied(&denied)
        })?;
        let name = admitted.name.clone();
        // First of all whether it has the passphrase: nothing is fetched for who has not.
        let machine = self.accept(request, live.index(), &name)?;
        let relay = play::relay(live, &name, Start::Cached, PLAY_WAIT).await;
        let relay = relay.ok_or_else(|| {
            counters.refuse_play(PlayRefused::NotFound);
            Reason::NOT_FOUND
        })?;
        let id = machine.id().0;
        info!(connection, %peer, stream = %name, "playing over SRT");
        let shown = self.show(connection, &name, Role::Play, &machine);
        let player = Player::new(live.clone(), connection, admitted, relay, shown);
        self.begin(machine, guard, async move |line| player.serve(line).await);
        Ok(id)
    }

    /// Makes a connection whose datagrams come to worker `owner`.
    fn accept(
        &self,
        request: &Request,
        owner: usize,
        name: &StreamName,
    ) -> Result<Connection, Reason> {
        let Inner { live, srt, .. } = &*self.0;
        let passphrase = srt.passphrases.get(name);
        let config = Config {
            latency: srt.latency,
            passphrase: passphrase.and_then(|p| p.machine()),
            ..Config::default()
        };
        let seed = seed().ok_or(Reason::SYSTEM)?;
        let id = self.fresh_id(owner).ok_or(Reason::RESOURCE)?;
        let accepted = request.accept(config, SocketId(id), &seed, clock::now().mono);
        accepted.map_err(|(_, reason)| {
            if [Reason::BAD_SECRET, Reason::UNSECURE].contains(&reason) {
                live.note_refused(Refused::Key, request.peer().ip());
            }
            reason
        })
    }

    /// An identifier that nobody has here, and that is steered to worker `owner`.
    fn fresh_id(&self, owner: usize) -> Option<u32> {
        let lines = self.0.lines.borrow();
        let workers = u32::try_from(self.0.live.workers()).ok()?;
        let owner = u32::try_from(owner).ok()?;
        for _ in 0..64 {
            let mut random = [0; 4];
            getrandom::fill(&mut random).ok()?;
            let random = u32::from_ne_bytes(random) & ID_MASK;
            let id = random - random % workers + owner;
            if id != 0 && id <= ID_MASK && !lines.contains_key(&id) {
                return Some(id);
            }
        }
        None
    }

    fn show(&self, connection: u64, name: &StreamName, role: Role, machine: &Connection) -> Shown {
        let entry = Entry {
            connection,
            name: name.clone(),
            role,
            peer: machine.peer(),
            since: clock::now().utc,
            stats: machine.stats(),
        };
        self.0.srt.board.show(entry)
    }

    /// Starts a connection's task.
    fn begin(
        &self,
        machine: Connection,
        guard: ConnectionGuard,
        serve: impl AsyncFnOnce(&Line) + 'static,
    ) {
        let (port, id) = (self.clone(), machine.id().0);
        let line = Line::shared(machine, self.0.socket.clone());
        let counters = self.0.live.shared().counters.srt.clone();
        self.0.lines.borrow_mut().insert(id, line.clone());
        counters.connections.inc();
        weir_ring::spawn(async move {
            serve(&line).await;
            counters.connections.dec();
            let mut lines = port.0.lines.borrow_mut();
            if lines.get(&id).is_some_and(|other| Rc::ptr_eq(other, &line)) {
                lines.remove(&id);
            }
            drop(guard);
        });
    }
}

/// What a caller says of itself, for the hook.
fn client(request: &Request) -> Client {
    let version = request.version();
    let [_, major, minor, patch] = version.to_be_bytes();
    Client {
        flash_ver: format!("SRT/{major}.{minor}.{patch}"),
        ..Client::default()
    }
}
