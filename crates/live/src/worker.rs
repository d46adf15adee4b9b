//! One worker's streams and sessions, and what the workers share.

use crate::clock;
use crate::counters::Counters;
use crate::failover::{Failover, Failovers, Group};
use crate::feed::{self, FeedItem, Relay, Subscription};
use crate::health::Board;
use crate::lease::Lease;
use crate::limits::{
    DATAGRAMS_PASSED_MAX, DEMAND_WAIT, DRAIN_WAIT, HANDOFF_HOPS_MAX, HANDOFFS_QUEUED_MAX,
    RECONNECT_WAIT, RESUME_WAIT, SLATE_AFTER, STREAM_TICK,
};
use crate::owners::{Claim, Owners};
use crate::reasons::Refused;
use crate::refusals::Refusals;
use crate::remote::pull::Puller;
use crate::remote::{Failure, Remotes, push};
use crate::session::{self, Travelling};
use crate::slate::{self, Slate};
use crate::srt::port::Port;
use crate::srt::{Srt, play, port};
use crate::stream::{LiveStream, StreamLease};
use arc_swap::ArcSwap;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tracing::{info, warn};
use weir_auth::Policy;
use weir_auth::hook::Hooks;
use weir_hub::fanout::{FanoutConfig, Start};
use weir_media::codec::VIDEO_TIMESCALE;
use weir_media::time::rescale;
use weir_media::{Now, StreamName};
use weir_net::tls::Acceptor;
use weir_net::{ConnectionGuard, ConnectionLimits};
use weir_ring::net::{TcpStream, UdpSocket};
use weir_ring::{Notified, Notify, Receiver, Sender};
use weir_store::{Library, ResumeInfo, ResumeTrack, Writer};

/// What the workers have in common. One per program.
pub struct Shared {
    /// Where streams are stored and found.
    pub library: Arc<Library>,
    /// Who may publish; replaced as a whole when it changes.
    pub policy: ArcSwap<Policy>,
    /// Who is asked besides.
    pub hooks: Arc<Hooks>,
    /// Counters of all workers.
    pub counters: Counters,
    /// How the streams are.
    pub health: Board,
    hub: weir_hub::StreamConfig,
    fanout: FanoutConfig,
    grace: Duration,
    pub(crate) owners: Arc<Owners>,
    refusals: Refusals,
    /// Other servers; set before the workers start.
    pub remotes: OnceLock<Remotes>,
    /// The SRT port, if there is one; set before the workers start.
    pub srt: OnceLock<Arc<Srt>>,
    /// What streams show while nobody publishes; set before the workers start.
    pub slates: OnceLock<HashMap<StreamName, Slate>>,
    /// Streams with several inputs; set before the workers start.
    pub failovers: OnceLock<Failovers>,
    pub(crate) workers: Vec<Sender<Handoff>>,
    connections: AtomicU64,
    /// Datagrams on their way to another worker.
    datagrams_passed: AtomicUsize,
}

/// A session on its way to another worker, or a stream found in grace at start.
#[derive(Debug)]
pub struct Handoff(pub(crate) Parcel);

pub(crate) enum Parcel {
    /// An authorised publish session.
    Session(Box<Travelling>),
    /// A broadcast that was not sealed when the program last ended.
    Resume(Claim),
    /// A source of a stream that this worker owns.
    Pull(Box<Puller>),
    /// A worker with viewers of a stream wants its pieces.
    Watch(StreamName, Sender<FeedItem>),
    /// An accepted publisher over SRT.
    Srt(Box<port::Travelling>),
    /// A datagram for a connection of this worker.
    Datagram(port::Passed),
}

impl fmt::Debug for Parcel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Session(session) => session.fmt(f),
            Self::Resume(claim) => write!(f, "unsealed {}", claim.name()),
            Self::Pull(puller) => write!(f, "source of {}", puller.source().name),
            Self::Watch(name, _) => write!(f, "viewers of {name}"),
            Self::Srt(travelling) => travelling.fmt(f),
            Self::Datagram(passed) => passed.fmt(f),
        }
    }
}

impl Shared {
    /// A viewer asks for a stream: true if it is one that is pulled on demand.
    pub fn ask_for(&self, name: &str) -> bool {
        let demand = self.remotes.get().and_then(|r| r.demands.get(name));
        demand.inspect(|demand| demand.ask()).is_some()
    }

    /// Makes the shared part, and a receiver of handoffs for each worker.
    #[must_use]
    pub fn new(
        library: Arc<Library>,
        policy: Policy,
        hooks: Arc<Hooks>,
        hub: weir_hub::StreamConfig,
        fanout: FanoutConfig,
        grace: Duration,
        workers: usize,
    ) -> (Arc<Self>, Vec<Receiver<Handoff>>) {
        let (senders, receivers) = (0..workers)
            .map(|_| weir_ring::channel(HANDOFFS_QUEUED_MAX))
            .unzip();
        let shared = Self {
            library,
            policy: ArcSwap::from_pointee(policy),
            hooks,
            counters: Counters::default(),
            health: Board::default(),
            hub,
            fanout,
            grace,
            owners: Owners::new(workers),
            refusals: Refusals::new(),
            remotes: OnceLock::new(),
            srt: OnceLock::new(),
            slates: OnceLock::new(),
            failovers: OnceLock::new(),
            workers: senders,
            connections: AtomicU64::new(0),
            datagrams_passed: AtomicUsize::new(0),
        };
        (Arc::new(shared), receivers)
    }

    /// Gives the broadcasts that were found unsealed to their workers, which wait for their
    /// publishers through the grace time and then seal them.
    pub fn resume_all(&self) {
        for name in self.library.unsealed() {
            let sent = self.owners.claim(&name).is_some_and(|claim| {
                let deadline = Instant::now() + RESUME_WAIT;
                let owner = claim.worker();
                let mut handoff = Handoff(Parcel::Resume(claim));
                loop {
                    match self.workers[owner].try_send(handoff) {
                        Ok(()) => break true,
                        Err(full) if Instant::now() < deadline => handoff = full.into_inner(),
                        Err(_) => break false,
                    }
                    std::thread::sleep(Duration::from_millis(1));
                }
            });
            if !sent {
                warn!(stream = %name, "too many unsealed streams; this one ends at its next start");
            }
        }
    }

    /// Number of a new connection, for logs.
    pub(crate) fn connection(&self) -> u64 {
        self.connections.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// One worker's part. Cheap to clone; not `Send`.
#[derive(Clone)]
pub struct Live {
    inner: Rc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    index: usize,
    streams: RefCell<HashMap<StreamName, Rc<LiveStream>>>,
    /// Inputs of those of them that have several, by the stream's name.
    groups: RefCell<HashMap<StreamName, Rc<Group>>>,
    /// Windows of streams that other workers own, while they have viewers here.
    relays: RefCell<HashMap<StreamName, Rc<Relay>>>,
    /// Streams whose broadcast is being sealed: their names are not free yet.
    sealing: RefCell<HashSet<StreamName>>,
    stopping: Cell<bool>,
    /// Told when the worker is about to stop.
    leaving: Notify,
    /// Clients that were asked to connect elsewhere and are still here.
    asked: Rc<Cell<usize>>,
    /// This worker's part of the SRT port, if there is one.
    srt: OnceCell<Port>,
    /// Streams that are played over SRT here.
    ts_relays: RefCell<HashMap<StreamName, Rc<play::Relay>>>,
}

/// One of the clients that were asked to connect elsewhere.
pub(crate) struct Asked(Rc<Cell<usize>>);

impl Drop for Asked {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

impl Live {
    /// The part of worker `index`.
    #[must_use]
    pub fn new(shared: Arc<Shared>, index: usize) -> Self {
        let inner = Inner {
            shared,
            index,
            streams: RefCell::default(),
            groups: RefCell::default(),
            relays: RefCell::default(),
            sealing: RefCell::default(),
            stopping: Cell::new(false),
            leaving: Notify::new(),
            asked: Rc::default(),
            srt: OnceCell::new(),
            ts_relays: RefCell::default(),
        };
        Self {
            inner: Rc::new(inner),
        }
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.inner.shared
    }

    /// Starts what the worker does besides connections: taking over sessions, and the
    /// streams' clock.
    pub fn start(&self, handoffs: Receiver<Handoff>) {
        let shared = self.shared();
        if let Some(remotes) = shared.remotes.get() {
            for puller in remotes.take(self.inner.index, shared.workers.len()) {
                weir_ring::spawn(puller.run(self.clone()));
            }
        }
        weir_ring::spawn(self.clone().take_over(handoffs));
        weir_ring::spawn(self.clone().run_clock());
    }

    /// Serves one accepted RTMP connection to its end, under TLS if `tls` is given. `guard` is
    /// held meanwhile.
    ///
    /// An address that was refused too often lately is closed unheard.
    pub fn serve_rtmp(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        guard: ConnectionGuard,
        tls: Option<&Acceptor>,
    ) {
        let refusals = &self.shared().refusals;
        if refusals.is_exhausted(peer.ip(), clock::now().mono) {
            self.shared().counters.refuse(Refused::Rate);
            return;
        }
        let connection = self.shared().connection();
        weir_ring::spawn(session::serve(
            self.clone(),
            stream,
            peer,
            connection,
            guard,
            tls.cloned(),
        ));
    }

    /// A publish request from this address was refused.
    pub(crate) fn note_refusal(&self, address: IpAddr) {
        self.shared().refusals.note(address, clock::now().mono);
    }

    async fn take_over(self, mut handoffs: Receiver<Handoff>) {
        while let Some(Handoff(parcel)) = handoffs.recv().await {
            match parcel {
                Parcel::Session(session) => {
                    weir_ring::spawn(session::take_over(self.clone(), *session));
                }
                Parcel::Resume(claim) => {
                    // A publisher may have been faster.
                    let known = self.inner.streams.borrow().contains_key(claim.name());
                    if !known {
                        self.resume(claim.name());
                    }
                }
                Parcel::Pull(puller) => {
                    weir_ring::spawn(puller.run(self.clone()));
                }
                Parcel::Srt(travelling) => {
                    if let Some(port) = self.inner.srt.get() {
                        port.take_over(*travelling);
                    }
                }
                Parcel::Datagram(passed) => {
                    let waiting = &self.shared().datagrams_passed;
                    waiting.fetch_sub(1, Ordering::Relaxed);
                    if let Some(port) = self.inner.srt.get() {
                        port.take(passed, clock::now().mono);
                    }
                }
                // Without the stream the queue is dropped, which is the end for its reader.
                Parcel::Watch(name, to) => {
                    let stream = self.inner.streams.borrow().get(&name).cloned();
                    if let Some(stream) = stream {
                        stream.feed(to);
                    }
                }
            }
        }
    }

    /// Serves this worker's socket of the SRT port, on which datagrams are steered by their
    /// destination modulo the number of workers. `limits` are those of its connections.
    ///
    /// # Errors
    /// If the socket cannot be used.
    pub fn serve_srt(
        &self,
        socket: std::net::UdpSocket,
        limits: ConnectionLimits,
    ) -> std::io::Result<()> {
        let Some(srt) = self.shared().srt.get() else {
            return Ok(());
        };
        let socket = UdpSocket::from_std(socket)?;
        let port = Port::new(self.clone(), srt.clone(), socket, limits);
        weir_ring::spawn(port.clone().run());
        let _ = self.inner.srt.set(port);
        Ok(())
    }

    /// How many workers there are.
    pub(crate) fn workers(&self) -> usize {
        self.shared().workers.len().max(1)
    }

    /// The worker that datagrams of this SRT connection come to.
    pub(crate) fn srt_owner(&self, id: u32) -> usize {
        usize::try_from(id).unwrap_or(0) % self.workers()
    }

    /// Passes a publisher on to `owner`; false if that worker's queue is full.
    pub(crate) fn pass_on_srt(&self, owner: usize, travelling: port::Travelling) -> bool {
        let handoff = Handoff(Parcel::Srt(Box::new(travelling)));
        let worker = self.shared().workers.get(owner);
        let passed = worker.is_some_and(|worker| worker.try_send(handoff).is_ok());
        self.shared().counters.moved.inc_by(u64::from(passed));
        passed
    }

    /// Passes a datagram on to `owner`; false if that worker's queue is full.
    pub(crate) fn pass_on_datagram(&self, owner: usize, passed: port::Passed) -> bool {
        let shared = self.shared();
        // Strangers can send what is passed on: it may not fill the queue that sessions need.
        if shared.datagrams_passed.fetch_add(1, Ordering::Relaxed) >= DATAGRAMS_PASSED_MAX {
            shared.datagrams_passed.fetch_sub(1, Ordering::Relaxed);
            return false;
        }
        let handoff = Handoff(Parcel::Datagram(passed));
        let worker = shared.workers.get(owner);
        let sent = worker.is_some_and(|worker| worker.try_send(handoff).is_ok());
        if !sent {
            shared.datagrams_passed.fetch_sub(1, Ordering::Relaxed);
        }
        sent
    }

    /// Whether an address was refused too often lately.
    pub(crate) fn is_refused_often(&self, address: IpAddr) -> bool {
        let now = clock::now().mono;
        self.shared().refusals.is_exhausted(address, now)
    }

    /// A publish request from this address was refused, unless it is our own fault: encoders may
    /// share an address.
    pub(crate) fn note_refused(&self, reason: Refused, address: IpAddr) {
        let ours = [Refused::Busy, Refused::Store, Refused::HookFailed];
        if !ours.contains(&reason) {
            self.note_refusal(address);
        }
    }

    /// A stream that is played over SRT here already.
    pub(crate) fn ts_relay(&self, name: &StreamName) -> Option<Rc<play::Relay>> {
        let relays = self.inner.ts_relays.borrow();
        relays.get(name).filter(|relay| !relay.has_ended()).cloned()
    }

    pub(crate) fn add_ts_relay(&self, name: &StreamName, relay: Rc<play::Relay>) {
        let mut relays = self.inner.ts_relays.borrow_mut();
        relays.insert(name.clone(), relay);
    }

    pub(crate) fn remove_ts_relay(&self, name: &StreamName, relay: &Rc<play::Relay>) {
        let mut relays = self.inner.ts_relays.borrow_mut();
        if relays.get(name).is_some_and(|r| Rc::ptr_eq(r, relay)) {
            relays.remove(name);
        }
    }

    /// This worker's number.
    pub(crate) fn index(&self) -> usize {
        self.inner.index
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.inner.stopping.get()
    }

    /// The worker that owns `name`, if one does.
    pub(crate) fn who_has(&self, name: &StreamName) -> Option<usize> {
        self.shared().owners.find(self.stream_of(name))
    }

    /// Whether a stream of this worker has a publisher.
    pub(crate) fn is_published(&self, name: &StreamName) -> bool {
        if let Some((failover, input)) = self.failover(name) {
            let groups = self.inner.groups.borrow();
            let group = groups.get(&failover.inputs[0]);
            return group.is_some_and(|g| g.is_sent(input));
        }
        let streams = self.inner.streams.borrow();
        streams.get(name).is_some_and(|s| s.is_published())
    }

    /// Passes a source on to `owner`; gives it back if that worker's queue is full.
    pub(crate) fn pass_on_puller(&self, owner: usize, puller: Puller) -> Option<Puller> {
        let handoff = Handoff(Parcel::Pull(Box::new(puller)));
        match self.shared().workers.get(owner)?.try_send(handoff) {
            Ok(()) => None,
            Err(refused) => match refused.into_inner().0 {
                Parcel::Pull(puller) => Some(*puller),
                _ => None,
            },
        }
    }

    /// Begins a publish session on a stream that nobody publishes and no other worker owns.
    pub(crate) fn publish_if_free(&self, name: &StreamName) -> Result<Lease, Failure> {
        if self.is_stopping() || self.is_published(name) {
            return Err(Failure::Taken);
        }
        let stream = self.stream_of(name);
        let Some(claim) = self.shared().owners.claim_for(stream, self.inner.index) else {
            return Err(Failure::Ours("this worker is full".into()));
        };
        if claim.worker() != self.inner.index {
            // The next attempt is made there.
            return Err(Failure::Taken);
        }
        self.publish(name).map_err(|e| Failure::Ours(e.to_string()))
    }

    /// A place in a live stream, for one that reads frames as they come: a viewer, or an output
    /// to another server. Waits up to `wait` for the stream to be there; `None` if it is not,
    /// or if the worker stops.
    pub async fn subscribe(
        &self,
        name: &StreamName,
        start: Start,
        wait: Duration,
    ) -> Option<Subscription> {
        let remotes = self.shared().remotes.get();
        let demand = remotes.and_then(|r| r.demands.get(name));
        let (watching, wait) = match demand {
            Some(demand) => (Some(demand.watch()), wait.max(DEMAND_WAIT)),
            None => (None, wait),
        };
        let deadline = clock::now().mono + wait;
        loop {
            if let Some(relay) = self.relay(name) {
                let mut subscription = relay.subscribe(start);
                let synced = subscription.synced();
                if let Ok(true) = weir_ring::timeout(clock::until(deadline), synced).await {
                    return Some(subscription.keep(watching));
                }
            }
            if clock::now().mono >= deadline || self.inner.stopping.get() {
                return None;
            }
            weir_ring::sleep(STREAM_TICK).await;
        }
    }

    /// The window of a stream on this worker.
    fn relay(&self, name: &StreamName) -> Option<Rc<Relay>> {
        if let Some(stream) = self.inner.streams.borrow().get(name) {
            return Some(stream.relay().clone());
        }
        let known = self.inner.relays.borrow().get(name).cloned();
        if let Some(relay) = known.filter(|relay| !relay.has_ended()) {
            return Some(relay);
        }
        let owner = self.shared().owners.find(name)?;
        if owner == self.inner.index {
            return None;
        }
        let (to, feed) = feed::feed();
        let watch = Handoff(Parcel::Watch(name.clone(), to));
        self.shared().workers.get(owner)?.try_send(watch).ok()?;
        let relay = Relay::new(true);
        self.inner
            .relays
            .borrow_mut()
            .insert(name.clone(), relay.clone());
        let (live, name, running) = (self.clone(), name.clone(), relay.clone());
        weir_ring::spawn(async move {
            running.run(feed).await;
            let mut relays = live.inner.relays.borrow_mut();
            if relays.get(&name).is_some_and(|r| Rc::ptr_eq(r, &running)) {
                relays.remove(&name);
            }
        });
        Some(relay)
    }

    /// Claims `name`, or the stream that it is an input of, for the worker that owns it. `None` if all are full or the worker is
    /// stopping.
    pub(crate) fn claim(&self, name: &StreamName) -> Option<Claim> {
        match self.inner.stopping.get() {
            true => None,
            false => self.shared().owners.claim(self.stream_of(name)),
        }
    }

    /// Passes a session on to its stream's owner; gives it back if that worker's queue is full or
    /// the session was passed on too often.
    pub(crate) fn pass_on(&self, mut session: Travelling) -> Option<Travelling> {
        let owner = session.owner();
        session.hops += 1;
        if session.hops > HANDOFF_HOPS_MAX {
            return Some(session);
        }
        let handoff = Handoff(Parcel::Session(Box::new(session)));
        match self.shared().workers[owner].try_send(handoff) {
            Ok(()) => {
                self.shared().counters.moved.inc();
                None
            }
            Err(refused) => match refused.into_inner().0 {
                Parcel::Session(session) => Some(*session),
                _ => None,
            },
        }
    }

    /// The stream that a name is an input of, and which.
    fn failover(&self, name: &StreamName) -> Option<(&Arc<Failover>, usize)> {
        self.shared().failovers.get()?.find(name)
    }

    /// The stream that is fed by who publishes a name.
    fn stream_of<'a>(&'a self, name: &'a StreamName) -> &'a StreamName {
        let failover = self.failover(name);
        failover.map_or(name, |(failover, _)| &failover.inputs[0])
    }

    /// Begins a publish session on a stream, or an input of one, that this worker owns; or says
    /// why not.
    pub(crate) fn publish(&self, name: &StreamName) -> Result<Lease, weir_store::Error> {
        let Some((failover, input)) = self.failover(name) else {
            return self.publish_stream(name).map(Lease::of_stream);
        };
        let stream = &failover.inputs[0];
        let known = self.inner.groups.borrow().get(stream).cloned();
        let group = match known {
            Some(group) => group,
            None => {
                let claim = self.shared().owners.claim_for(stream, self.inner.index);
                let claim = claim.ok_or_else(|| weir_store::Error::StillOpen(stream.clone()))?;
                let group = Group::new(failover.clone(), self.clone(), claim);
                let mut groups = self.inner.groups.borrow_mut();
                groups.insert(stream.clone(), group.clone());
                group
            }
        };
        Ok(Lease::of_input(group.publish(input)))
    }

    /// Nobody sends an input of a stream any more.
    pub(crate) fn forget_group(&self, stream: &StreamName) {
        self.inner.groups.borrow_mut().remove(stream);
    }

    /// Begins a publish session on a stream that this worker owns, by a claim or because it is
    /// there; or says why not.
    pub(crate) fn publish_stream(
        &self,
        name: &StreamName,
    ) -> Result<(StreamLease, Notified), weir_store::Error> {
        if let Some(stream) = self.inner.streams.borrow().get(name) {
            return Ok(stream.publish());
        }
        if self.inner.sealing.borrow().contains(name) {
            return Err(weir_store::Error::StillOpen(name.clone()));
        }
        let stream = match self.resume(name) {
            Some(stream) => stream,
            None => self.begin(name)?,
        };
        Ok(stream.publish())
    }

    fn begin(&self, name: &StreamName) -> Result<Rc<LiveStream>, weir_store::Error> {
        let shared = self.shared();
        let now = clock::now();
        let start = shared.library.next_sequence(name, now.utc);
        let writer = shared.library.begin(name, start, now)?;
        let origin = weir_hub::Origin {
            media_sequence: start.media_sequence,
            discontinuity_sequence: start.discontinuity_sequence,
        };
        let hub = weir_hub::Stream::new(shared.hub, origin, now);
        info!(stream = %name, broadcast = %writer.broadcast().id(), "broadcast begins");
        Ok(self.insert(name, hub, writer))
    }

    /// Continues a broadcast that the library still holds in grace.
    fn resume(&self, name: &StreamName) -> Option<Rc<LiveStream>> {
        let shared = self.shared();
        let (writer, found) = shared.library.resume(name)?;
        let now = clock::now();
        let hub = weir_hub::Stream::resume(shared.hub, hub_resume(found, now), now);
        info!(stream = %name, broadcast = %writer.broadcast().id(), "broadcast found in grace");
        Some(self.insert(name, hub, writer))
    }

    fn insert(&self, name: &StreamName, hub: weir_hub::Stream, writer: Writer) -> Rc<LiveStream> {
        let counters = self.shared().counters.clone();
        counters.streams.inc();
        let fanout = self.shared().fanout;
        let segment = self.shared().hub.bounded().segment;
        let exam = self.shared().health.open(name, segment, &counters);
        let stream = LiveStream::new(name.clone(), hub, writer, fanout, counters, exam);
        self.shared().owners.settle(name);
        weir_ring::spawn(stream.clone().run_fanout());
        if let Some(remotes) = self.shared().remotes.get() {
            let outputs = remotes.outputs(name.as_str()).iter();
            for output in outputs.filter(|output| output.enabled) {
                let (live, stream) = (self.clone(), stream.clone());
                weir_ring::spawn(push::run(live, stream, output.clone()));
            }
        }
        self.inner
            .streams
            .borrow_mut()
            .insert(name.clone(), stream.clone());
        stream
    }

    /// Looks at the streams' deadlines, and ends those whose grace has run out.
    async fn run_clock(self) {
        loop {
            weir_ring::sleep(STREAM_TICK).await;
            let groups: Vec<_> = self.inner.groups.borrow().values().cloned().collect();
            groups.iter().for_each(|group| group.tick());
            let grace = self.shared().grace;
            let mut over = Vec::new();
            for stream in self.inner.streams.borrow().values() {
                stream.tick();
                if self.shows_slate(stream, grace) {
                    continue;
                }
                let gone = stream.gone_since();
                if gone.is_some_and(|since| clock::now().mono.since(since) >= grace) {
                    over.push(stream.clone());
                }
            }
            for stream in over {
                info!(stream = %stream.name, "broadcast ends");
                self.inner.streams.borrow_mut().remove(&stream.name);
                let name = stream.name.clone();
                self.inner.sealing.borrow_mut().insert(name);
                weir_ring::spawn(self.clone().end(stream));
            }
        }
    }

    /// Begins to show the slate of a stream that nobody publishes, if it is time.
    fn shows_slate(&self, stream: &Rc<LiveStream>, grace: Duration) -> bool {
        let slate = self.shared().slates.get().and_then(|s| s.get(&stream.name));
        let (Some(slate), Some(since)) = (slate, stream.wants_slate_since()) else {
            return false;
        };
        if self.is_stopping() || clock::now().mono.since(since) < SLATE_AFTER.min(grace) {
            return false;
        }
        weir_ring::spawn(slate::show(stream.clone(), slate.clone()));
        true
    }

    /// Seals a stream's broadcast; only then is its name free for another one.
    async fn end(self, stream: Rc<LiveStream>) {
        stream.seal().await;
        self.inner.sealing.borrow_mut().remove(&stream.name);
        self.shared().health.close(&stream.name);
        self.shared().owners.release(&stream.name);
        self.shared().counters.streams.dec();
    }

    /// Completes when the worker is about to stop.
    pub(crate) fn leaving(&self) -> Notified {
        self.inner.leaving.notified()
    }

    /// Counts a client that was asked to connect elsewhere.
    pub(crate) fn asked(&self) -> Asked {
        self.inner.asked.set(self.inner.asked.get() + 1);
        Asked(self.inner.asked.clone())
    }

    /// Asks RTMP clients to connect elsewhere, or later, and serves them until they leave, at
    /// most [`RECONNECT_WAIT`]. Those who do not know of it are not asked, nor waited for.
    async fn send_away(&self) {
        self.inner.leaving.notify_all();
        // Sessions are tasks, and ask in their next turn.
        weir_ring::sleep(STREAM_TICK).await;
        let deadline = clock::now().mono + RECONNECT_WAIT;
        while self.inner.asked.get() > 0 && clock::now().mono < deadline {
            weir_ring::sleep(STREAM_TICK).await;
        }
    }

    /// Stops publishing on this worker: clients that would are asked to connect again, open
    /// segments are closed, and what was appended reaches the disk, within [`DRAIN_WAIT`].
    /// Broadcasts stay unsealed, so that a publisher who returns to the restarted program
    /// continues them.
    pub async fn drain(&self) {
        self.inner.stopping.set(true);
        self.send_away().await;
        let groups: Vec<_> = self.inner.groups.borrow_mut().drain().collect();
        groups.iter().for_each(|(_, group)| group.stop());
        let streams: Vec<_> = self.inner.streams.borrow().values().cloned().collect();
        for stream in &streams {
            stream.stop();
        }
        let flush = async {
            for stream in &streams {
                stream.flush().await;
            }
        };
        if weir_ring::timeout(DRAIN_WAIT, flush).await.is_err() {
            warn!("some appends did not reach the disk before the end");
        }
    }
}

/// What the hub needs to go on with a broadcast that the library found.
fn hub_resume(found: ResumeInfo, now: Now) -> weir_hub::Resume {
    let end_90k = |t: &ResumeTrack| {
        let end = i64::try_from(t.end_decode_time).unwrap_or(i64::MAX);
        rescale(end, t.config.timescale(), VIDEO_TIMESCALE)
    };
    let newest = found
        .tracks
        .iter()
        .filter(|t| t.end_time.is_some())
        .max_by_key(|t| end_90k(t));
    weir_hub::Resume {
        media_sequence: found.media_sequence,
        discontinuity_sequence: found.discontinuity_sequence,
        target_duration: found.target_duration,
        utc: newest.and_then(|t| t.end_time).unwrap_or(now.utc),
        decode_time_90k: newest.map_or(0, end_90k),
        program_date_time: newest.and_then(|t| t.end_time),
        tracks: found
            .tracks
            .iter()
            .map(|t| weir_hub::ResumeTrack {
                id: t.id,
                config: (*t.config).clone(),
                init_number: t.init,
                end_time: i64::try_from(t.end_decode_time).unwrap_or(i64::MAX),
            })
            .collect(),
    }
}
