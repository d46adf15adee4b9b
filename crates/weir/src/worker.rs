//! One worker: a pinned thread with its ring, its listeners, its part of live and serve.

use crate::live_flv::LiveFlv;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;
use tracing::{debug, error, warn};
use weir_live::{Handoff, Live, Shared};
use weir_media::StreamName;
use weir_net::tls::Acceptor;
use weir_net::{ConnectionGuard, ConnectionLimits, Refused};
use weir_ring::net::{TcpListener, TcpStream};
use weir_ring::{Config, Receiver, Runtime, Unavailable};
use weir_serve::{Limit, Server};

/// Pause after an accept that failed, so that a lasting fault does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a worker is made of.
pub struct Parts {
    /// Its number, from 0.
    pub index: usize,
    /// Processor to pin it to.
    pub cpu: Option<usize>,
    /// What it shares with the others.
    pub shared: Arc<Shared>,
    /// Counters of HTTP delivery.
    pub http_counters: weir_serve::Counters,
    /// Settings of HTTP delivery.
    pub http_options: Arc<weir_serve::Options>,
    /// Its listening sockets.
    pub rtmp: Option<std::net::TcpListener>,
    /// Likewise, with what they show.
    pub rtmps: Option<(std::net::TcpListener, Acceptor)>,
    /// Likewise.
    pub http: Option<std::net::TcpListener>,
    /// Likewise, with what they show.
    pub https: Option<(std::net::TcpListener, Acceptor)>,
    /// Its socket of the SRT port.
    pub srt: Option<std::net::UdpSocket>,
    /// Connections it may hold, in all and for one address.
    pub connections: (usize, usize),
    /// Sessions that come from other workers.
    pub handoffs: Receiver<Handoff>,
    /// Names of streams with news for waiting requests.
    pub news: Receiver<StreamName>,
    /// Ends the worker when something arrives, or when the sender is gone.
    pub stop: Receiver<()>,
}

/// A running worker.
pub struct Worker {
    thread: JoinHandle<()>,
}

impl Worker {
    /// Starts the thread; returns once its ring is set up.
    ///
    /// # Errors
    /// [`Unavailable`] as text: what is missing and what to change.
    pub fn start(parts: Parts) -> Result<Self, String> {
        let (started, outcome) = mpsc::sync_channel(1);
        let thread = std::thread::Builder::new()
            .name(format!("worker-{}", parts.index))
            .spawn(move || run(parts, &started))
            .map_err(|e| format!("cannot start a worker thread: {e}"))?;
        match outcome.recv() {
            Ok(Ok(())) => Ok(Self { thread }),
            Ok(Err(unavailable)) => Err(unavailable.to_string()),
            Err(_) => Err("a worker ended while it started".into()),
        }
    }

    /// Waits until the worker has drained and ended.
    pub fn join(self) {
        if self.thread.join().is_err() {
            error!("a worker panicked");
        }
    }
}

fn run(parts: Parts, started: &mpsc::SyncSender<Result<(), Unavailable>>) {
    let mut config = Config::default();
    config.cpu = parts.cpu;
    let mut runtime = match Runtime::new(config) {
        Ok(runtime) => runtime,
        Err(unavailable) => {
            let _ = started.send(Err(unavailable));
            return;
        }
    };
    runtime.block_on(work(parts, started));
}

async fn work(mut parts: Parts, started: &mpsc::SyncSender<Result<(), Unavailable>>) {
    let live = Live::new(parts.shared.clone(), parts.index);
    live.start(parts.handoffs);
    let counters = parts.http_counters;
    let server = Server::new(
        parts.shared.library.clone(),
        parts.index,
        counters.clone(),
        parts.http_options,
    );
    server.serve_live(Rc::new(LiveFlv(live.clone())));
    server.start(parts.news);
    let limits = ConnectionLimits::new(parts.connections.0, parts.connections.1);
    let refused = move |refused: Refused| {
        let limit = match refused {
            Refused::Address => Limit::ADDRESS,
            _ => Limit::TOTAL,
        };
        counters.refused.get_or_create(&limit).inc();
    };
    let mut accepting = Vec::new();
    if let Some(listener) = parts.rtmp {
        let live = live.clone();
        let serve = move |stream, peer, guard| live.serve_rtmp(stream, peer, guard, None);
        let admit = (limits.clone(), refused.clone());
        accepting.push(weir_ring::spawn(accept(listener, admit, serve)));
    }
    if let Some((listener, acceptor)) = parts.rtmps {
        let live = live.clone();
        let serve = move |stream, peer, guard| {
            live.serve_rtmp(stream, peer, guard, Some(&acceptor));
        };
        let admit = (limits.clone(), refused.clone());
        accepting.push(weir_ring::spawn(accept(listener, admit, serve)));
    }
    if let Some(socket) = parts.srt
        && let Err(e) = live.serve_srt(socket, limits.clone())
    {
        error!("SRT: cannot use the socket: {e}");
    }
    if let Some(listener) = parts.http {
        let server = server.clone();
        let serve = move |stream, peer, guard| server.serve(stream, peer, guard, None);
        let admit = (limits.clone(), refused.clone());
        accepting.push(weir_ring::spawn(accept(listener, admit, serve)));
    }
    if let Some((listener, acceptor)) = parts.https {
        let server = server.clone();
        let serve = move |stream, peer, guard| server.serve(stream, peer, guard, Some(&acceptor));
        accepting.push(weir_ring::spawn(accept(listener, (limits, refused), serve)));
    }
    let _ = started.send(Ok(()));
    let _ = parts.stop.recv().await;
    for task in accepting {
        task.abort();
    }
    live.drain().await;
    server.drain().await;
}

/// Accepts connections until the task is aborted.
async fn accept(
    listener: std::net::TcpListener,
    (limits, count): (ConnectionLimits, impl Fn(Refused)),
    serve: impl Fn(TcpStream, SocketAddr, ConnectionGuard),
) {
    let mut listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(e) => {
            error!("cannot listen: {e}");
            return;
        }
    };
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => match limits.admit(peer.ip()) {
                Ok(guard) => serve(stream, peer, guard),
                Err(refused) => {
                    count(refused);
                    debug!(%peer, "connection refused: {refused}");
                }
            },
            Err(e) => {
                warn!("cannot accept: {e}");
                weir_ring::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
