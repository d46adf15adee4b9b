//! One worker's HTTP server: what its connections share.

use crate::cache::Cache;
use crate::connection;
use crate::counters::Counters;
use crate::limits::{
    DRAIN_TICK, DRAIN_WAIT, PLAYLIST_BYTES_MAX, PLAYLISTS_MAX, TS_CACHE_BYTES, TS_MUXING_MAX,
};
use crate::route::{Rendition, Span};
use crate::waiters::Waiters;
use bytes::Bytes;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use weir_http::HttpDate;
use weir_media::StreamName;
use weir_ring::net::TcpStream;
use weir_ring::{Permits, Receiver};
use weir_store::{BroadcastId, Library};

/// A rendered playlist, and the stamp of the view it was rendered from.
type Rendered = (u64, Bytes);
type PlaylistKey = (BroadcastId, Span, Rendition);
type TsKey = (BroadcastId, u64);

/// One worker's part. Cheap to clone; not `Send`.
#[derive(Clone)]
pub struct Server {
    inner: Rc<Inner>,
}

struct Inner {
    library: Arc<Library>,
    worker: usize,
    counters: Counters,
    waiters: Rc<Waiters>,
    playlists: RefCell<Cache<PlaylistKey, Rendered>>,
    ts_cache: RefCell<Cache<TsKey, Bytes>>,
    muxing: Permits,
    date: Cell<(u64, HttpDate)>,
    /// Connections that are not parked.
    busy: Cell<usize>,
    stopping: Cell<bool>,
}

impl Server {
    /// The part of worker `worker`.
    #[must_use]
    pub fn new(library: Arc<Library>, worker: usize, counters: Counters) -> Self {
        let inner = Inner {
            library,
            worker,
            counters,
            waiters: Rc::default(),
            playlists: RefCell::new(Cache::new(PLAYLISTS_MAX, PLAYLIST_BYTES_MAX)),
            ts_cache: RefCell::new(Cache::new(usize::MAX, TS_CACHE_BYTES)),
            muxing: Permits::new(TS_MUXING_MAX),
            date: Cell::new((0, HttpDate::from_unix(0))),
            busy: Cell::new(0),
            stopping: Cell::new(false),
        };
        Self {
            inner: Rc::new(inner),
        }
    }

    /// Starts what the worker does besides connections: waking requests that wait for the
    /// streams that `news` names.
    pub fn start(&self, mut news: Receiver<StreamName>) {
        let server = self.clone();
        weir_ring::spawn(async move {
            while let Some(name) = news.recv().await {
                server.inner.waiters.wake(&name);
            }
        });
    }

    /// Serves an accepted connection to its end. `guard` is held meanwhile.
    pub fn serve<G: 'static>(&self, stream: TcpStream, guard: G) {
        let counters = &self.inner.counters;
        counters.accepted.inc();
        let _ = stream.set_nodelay(true);
        let open = Open::new(counters.clone());
        connection::park(self.clone(), stream, (guard, open));
    }

    /// From now on answers end their connections; waits until those under way are sent, at
    /// most [`DRAIN_WAIT`].
    pub async fn drain(&self) {
        self.inner.stopping.set(true);
        let sent = async {
            while self.inner.busy.get() > 0 {
                weir_ring::sleep(DRAIN_TICK).await;
            }
        };
        let _ = weir_ring::timeout(DRAIN_WAIT, sent).await;
    }

    /// Counts a connection as busy with a request while the guard lives.
    pub(crate) fn busy(&self) -> Busy {
        self.inner.busy.set(self.inner.busy.get() + 1);
        Busy(self.inner.clone())
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

    pub(crate) fn waiters(&self) -> &Rc<Waiters> {
        &self.inner.waiters
    }

    pub(crate) fn playlists(&self) -> &RefCell<Cache<PlaylistKey, Rendered>> {
        &self.inner.playlists
    }

    pub(crate) fn ts_cache(&self) -> &RefCell<Cache<TsKey, Bytes>> {
        &self.inner.ts_cache
    }

    pub(crate) fn muxing(&self) -> &Permits {
        &self.inner.muxing
    }

    /// The present date, written once a second.
    pub(crate) fn date(&self) -> HttpDate {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| d.as_secs());
        let (second, date) = self.inner.date.get();
        if second == now {
            return date;
        }
        let date = HttpDate::from_unix(now);
        self.inner.date.set((now, date));
        date
    }
}

/// A connection that serves a request.
pub(crate) struct Busy(Rc<Inner>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.set(self.0.busy.get() - 1);
    }
}

/// Counts a connection as open while it lives.
struct Open(Counters);

impl Open {
    fn new(counters: Counters) -> Self {
        counters.connections.inc();
        Self(counters)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connections.dec();
    }
}
