//! One worker's HTTP server: what its connections share.

use crate::accept;
use crate::access::{AccessLog, WorkerLog};
use crate::cache::Cache;
use crate::counters::Counters;
use crate::delivery::Delivery;
use crate::hls;
use crate::limits::{
    COLD_READS_MAX, DRAIN_TICK, DRAIN_WAIT, PLAYLIST_BYTES_MAX, PLAYLISTS_MAX, RATE_ADDRESSES_MAX,
    SMALL_CACHE_BYTES, SMALL_CACHE_MAX, TS_CACHE_BYTES, TS_MUXING_MAX,
};
use crate::live::LiveSource;
use crate::playlist::Playlist;
use crate::response::{Outgoing, Response};
use crate::route::{Rendition, Span};
use crate::send::Hot;
use crate::waiters::Waiters;
use bytes::{Bytes, BytesMut};
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use weir_http::forwarded::{self, Field};
use weir_http::network::Network;
use weir_http::origin::Origins;
use weir_http::{HttpDate, Request, Status};
use weir_media::{Mono, StreamName, TrackId};
use weir_net::tls::Acceptor;
use weir_net::{ConnectionGuard, RateLimit};
use weir_ring::net::TcpStream;
use weir_ring::{Notify, Permits, Receiver};
use weir_store::{BroadcastId, Library, LogFile};

/// A playlist of a broadcast: multivariant (of CMAF or TS), or of media.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum PlaylistKey {
    Multivariant(BroadcastId, hls::Form),
    Media(BroadcastId, Span, Rendition),
    /// Delta update of a low-latency one.
    Delta(BroadcastId, TrackId),
}
/// Address of a log file, offset, length.
type SmallKey = (usize, u64, u64);
/// A range of it in memory.
type Small = (Arc<LogFile>, Bytes);
type TsKey = (BroadcastId, u64);

/// What the operator may set. The same for all workers.
#[derive(Debug, Default)]
pub struct Options {
    /// Proxies in front of this server: what they say of the client's address is believed.
    pub trusted: Vec<Network>,
    /// The field that they say it in.
    pub forwarded: Field,
    /// Connections from them begin with a PROXY header (version 1 or 2).
    pub proxy_protocol: bool,
    /// Requests per second that one address may send to one worker, over a burst of twice as
    /// many; 0 is no limit.
    pub requests_per_second: u32,
    /// Where requests are logged, if anywhere.
    pub access_log: Option<AccessLog>,
    /// Told which stream a viewer asks for; whether it will come because of that.
    pub wanted: Wanted,
    /// Who may play which stream.
    pub players: Players,
    /// Longest part of a stream, by which it is cut (PART-TARGET).
    pub part: Duration,
    /// The sites that may play a stream, where not all may.
    pub origins: HashMap<StreamName, Arc<Origins>>,
}

/// Hears the name of a stream, and says whether it will come.
type Hear = Box<dyn Fn(&str) -> bool + Send + Sync>;

/// Who is told what viewers ask for. Nobody at first.
#[derive(Default)]
pub struct Wanted(OnceLock<Hear>);

impl Wanted {
    /// Tells `hear` from now on, for each request of a playlist, on the worker that serves it: it
    /// may not wait. A second one is not told.
    pub fn set(&self, hear: impl Fn(&str) -> bool + Send + Sync + 'static) {
        let _ = self.0.set(Box::new(hear));
    }

    /// A viewer asks for `name`: whether it will come.
    pub(crate) fn ask(&self, name: &str) -> bool {
        self.0.get().is_some_and(|hear| hear(name))
    }
}

impl fmt::Debug for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wanted")
    }
}

type Admits = Box<dyn Fn(&str, IpAddr) -> bool + Send + Sync>;

/// Who may play which stream, by the client's address. Everybody at first.
#[derive(Default)]
pub struct Players(OnceLock<Admits>);

impl Players {
    /// Asks `admits` from now on, for each request below a stream's name, on the worker that serves
    /// it: it may not wait. A second one is not asked.
    pub fn set(&self, admits: impl Fn(&str, IpAddr) -> bool + Send + Sync + 'static) {
        let _ = self.0.set(Box::new(admits));
    }

    pub(crate) fn admit(&self, name: &str, client: IpAddr) -> bool {
        self.0.get().is_none_or(|admits| admits(name, client))
    }
}

impl fmt::Debug for Players {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Players")
    }
}

/// One worker's part. Cheap to clone; not `Send`.
#[derive(Clone)]
pub struct Server {
    inner: Rc<Inner>,
}

struct Inner {
    library: Arc<Library>,
    worker: usize,
    options: Arc<Options>,
    counters: Counters,
    delivery: Arc<Delivery>,
    log: Option<WorkerLog>,
    rate: Option<RefCell<RateLimit>>,
    started: Instant,
    waiters: Rc<Waiters>,
    live: OnceCell<Rc<dyn LiveSource>>,
    playlists: RefCell<Cache<PlaylistKey, Rc<Playlist>>>,
    ts_cache: RefCell<Cache<TsKey, Bytes>>,
    muxing: Permits,
    hot: Hot,
    small: RefCell<Cache<SmallKey, Small>>,
    cold_reads: Permits,
    /// Where heads are written.
    arena: RefCell<BytesMut>,
    /// When it was looked at, by the clock of the ring, its second, and its text.
    date: Cell<(Option<Instant>, u64, HttpDate)>,
    /// Connections that a drain waits for.
    busy: Cell<usize>,
    stopping: Cell<bool>,
    /// Tells HTTP/2 connections at rest that the server stops.
    stop: Notify,
}

impl Server {
    /// The part of worker `worker`.
    #[must_use]
    pub fn new(
        library: Arc<Library>,
        worker: usize,
        counters: Counters,
        options: Arc<Options>,
    ) -> Self {
        let log = options.access_log.clone();
        let per_second = options.requests_per_second;
        let rate = (per_second > 0).then(|| {
            let interval = Duration::from_secs(1) / per_second;
            let burst = per_second.saturating_mul(2);
            RefCell::new(RateLimit::new(burst, interval, RATE_ADDRESSES_MAX))
        });
        let inner = Inner {
            library,
            worker,
            options,
            delivery: counters.delivery(worker),
            log: log.map(|log| WorkerLog::new(log, counters.clone())),
            rate,
            started: Instant::now(),
            counters,
            live: OnceCell::new(),
            waiters: Waiters::new(),
            playlists: RefCell::new(Cache::new(PLAYLISTS_MAX, PLAYLIST_BYTES_MAX)),
            ts_cache: RefCell::new(Cache::new(usize::MAX, TS_CACHE_BYTES)),
            muxing: Permits::new(TS_MUXING_MAX),
            hot: Hot::new(),
            small: RefCell::new(Cache::new(SMALL_CACHE_MAX, SMALL_CACHE_BYTES)),
            cold_reads: Permits::new(COLD_READS_MAX),
            arena: RefCell::default(),
            date: Cell::new((None, 0, HttpDate::from_unix(0))),
            busy: Cell::new(0),
            stopping: Cell::new(false),
            stop: Notify::new(),
        };
        Self {
            inner: Rc::new(inner),
        }
    }

    /// Serves live frames from `source` from now on. Without one no stream has any.
    pub fn serve_live(&self, source: Rc<dyn LiveSource>) {
        // A second one would be a fault of the program, and is not used.
        let _ = self.inner.live.set(source);
    }

    pub(crate) fn live(&self) -> Option<&Rc<dyn LiveSource>> {
        self.inner.live.get()
    }

    /// Starts what the worker does besides connections: waking requests that wait for the
    /// streams that `news` names.
    pub fn start(&self, mut news: Receiver<StreamName>) {
        if self.inner.log.is_some() {
            let server = self.clone();
            weir_ring::spawn(async move {
                if let Some(log) = server.log() {
                    log.flush_forever().await;
                }
            });
        }
        let server = self.clone();
        weir_ring::spawn(async move {
            while let Some(name) = news.recv().await {
                server.inner.waiters.wake(&name);
            }
        });
    }

    /// Serves an accepted connection to its end, under TLS if `tls` is given. `guard` is held
    /// meanwhile.
    pub fn serve(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        guard: ConnectionGuard,
        tls: Option<&Acceptor>,
    ) {
        self.inner.counters.accepted.inc();
        let _ = stream.set_nodelay(true);
        accept::accept(self, stream, peer, guard, tls);
    }

    /// The client of a request: the peer, or whom a trusted proxy names.
    pub(crate) fn client(&self, request: &Request<'_>, peer: IpAddr) -> IpAddr {
        let options = &self.inner.options;
        if options.trusted.is_empty() {
            return peer;
        }
        forwarded::client(request.headers, options.forwarded, peer, &options.trusted)
    }

    /// Takes a request of the client's rate; the refusal, if it has sent too many.
    pub(crate) fn limited(&self, client: IpAddr) -> Option<Response> {
        let rate = self.inner.rate.as_ref()?;
        let since = weir_ring::now().saturating_duration_since(self.inner.started);
        let now = Mono(u64::try_from(since.as_micros()).unwrap_or(u64::MAX));
        if rate.borrow_mut().take(client, now) {
            return None;
        }
        Some(self.too_many("this address sends too many requests"))
    }

    /// Refuses a request of a client that has too many.
    pub(crate) fn too_many(&self, why: &str) -> Response {
        self.inner.counters.limited.inc();
        let mut response = Response::error(Status::TooManyRequests, why);
        response.retry_after = Some(1);
        response
    }

    /// Writes an answer's head.
    pub(crate) fn finish(
        &self,
        response: Response,
        request: Option<&Request<'_>>,
        keep_alive: bool,
    ) -> Outgoing {
        let arena = &mut self.inner.arena.borrow_mut();
        response.finish(request, &self.date(), keep_alive, arena)
    }

    /// From now on answers end their connections, and HTTP/2 connections are told to go; waits
    /// until what is under way is sent, at most [`DRAIN_WAIT`].
    pub async fn drain(&self) {
        self.inner.stopping.set(true);
        self.inner.stop.notify_all();
        let sent = async {
            while self.inner.busy.get() > 0 || sending() {
                weir_ring::sleep(DRAIN_TICK).await;
            }
        };
        let _ = weir_ring::timeout(DRAIN_WAIT, sent).await;
        if let Some(log) = self.log() {
            log.flush();
        }
    }

    /// Counts a connection as open while the guard lives.
    pub(crate) fn opened(&self) -> Open {
        self.inner.counters.connections.inc();
        Open(self.inner.clone())
    }

    /// Has a drain wait for a connection while the guard lives: it serves a request, or speaks
    /// HTTP/2.
    pub(crate) fn busy(&self) -> Busy {
        self.inner.busy.set(self.inner.busy.get() + 1);
        Busy(self.inner.clone())
    }

    /// Completes when the server stops, unless it did so before this was called.
    pub(crate) fn stopped(&self) -> impl Future<Output = ()> + use<> {
        self.inner.stop.notified()
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.inner.stopping.get()
    }

    pub(crate) fn library(&self) -> &Library {
        &self.inner.library
    }

    pub(crate) fn worker(&self) -> usize {
        self.inner.worker
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.inner.counters
    }

    pub(crate) fn options(&self) -> &Options {
        &self.inner.options
    }

    pub(crate) fn delivery(&self) -> &Delivery {
        &self.inner.delivery
    }

    pub(crate) fn log(&self) -> Option<&WorkerLog> {
        self.inner.log.as_ref()
    }

    pub(crate) fn hot(&self) -> &Hot {
        &self.inner.hot
    }

    pub(crate) fn small_bodies(&self) -> &RefCell<Cache<SmallKey, Small>> {
        &self.inner.small
    }

    pub(crate) fn cold_reads(&self) -> &Permits {
        &self.inner.cold_reads
    }

    pub(crate) fn waiters(&self) -> &Rc<Waiters> {
        &self.inner.waiters
    }

    pub(crate) fn playlists(&self) -> &RefCell<Cache<PlaylistKey, Rc<Playlist>>> {
        &self.inner.playlists
    }

    pub(crate) fn ts_cache(&self) -> &RefCell<Cache<TsKey, Bytes>> {
        &self.inner.ts_cache
    }

    pub(crate) fn muxing(&self) -> &Permits {
        &self.inner.muxing
    }

    /// The present date, written once a second, and looked at once per turn of the ring.
    pub(crate) fn date(&self) -> HttpDate {
        let turn = Some(weir_ring::now());
        let (looked, second, date) = self.inner.date.get();
        if looked == turn {
            return date;
        }
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| d.as_secs());
        let date = match second == now {
            true => date,
            false => HttpDate::from_unix(now),
        };
        self.inner.date.set((turn, now, date));
        date
    }
}

/// A connection that a drain waits for.
pub(crate) struct Busy(Rc<Inner>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.set(self.0.busy.get() - 1);
    }
}

/// Counts a connection as open while it lives.
pub(crate) struct Open(Rc<Inner>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.counters.connections.dec();
    }
}

/// Whether answers of parked connections are on their way.
fn sending() -> bool {
    let stats = weir_ring::stats();
    stats.parked_sends > stats.parked_sends_over
}
