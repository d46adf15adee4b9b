//! The whole server: wiring, signals, the drain at the end.

use crate::config::{CertificateEntry, Listen, Settings};
use crate::ready::{self, Ready};
use crate::worker::{Parts, Worker};
use crate::{failovers, logging, metrics, policy, remotes, slates, srt};
use prometheus_client::registry::Registry;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tracing::{info, warn};
use weir_api::{Api, Teller, hooks};
use weir_auth::hook::{Call, Hooks};
use weir_auth::policy::Input;
use weir_auth::secrets::{DEMO_INPUT, Secrets};
use weir_hub::fanout::FanoutConfig;
use weir_live::{Handoff, Shared};
use weir_media::StreamName;
use weir_net::tls::{Acceptor, Identity};
use weir_net::udp::Steering;
use weir_serve::AccessLog;
use weir_store::limits::WORKERS_MAX;
use weir_store::{DiskSpace, Library, LibraryConfig};

/// Streams with news that one worker has not looked at yet. A name that does not fit is
/// dropped: its waiters look again when their time is up.
const NEWS_QUEUED_MAX: usize = 4096;

/// How long the end waits until the hook was told of the sessions that it ended.
const HOOKS_WAIT: Duration = Duration::from_secs(3);

/// How often appended segments are brought to the disk: what a power cut may cost.
const SYNC_TICK: Duration = Duration::from_secs(1);

/// How often retention looks at age and free disk.
const RETENTION_TICK: Duration = Duration::from_secs(10);

/// A running server.
pub struct Server {
    /// Where it listens and stores.
    pub ready: Ready,
    /// The stream key of the input `demo`.
    pub demo_key: String,
    workers: Vec<Worker>,
    stops: Vec<weir_ring::Sender<()>>,
    is_ready: Arc<AtomicBool>,
    delivery: Delivery,
    control: tokio::runtime::Runtime,
    /// What is still to be told to the hook.
    pending_hooks: Option<hooks::Pending>,
    library: Arc<Library>,
}

/// Runs `weir serve`.
///
/// # Errors
/// A text for the operator: what failed and what to do.
pub fn run(settings: &Settings) -> Result<(), String> {
    logging::start(settings)?;
    let server = Server::start(settings, Vec::new())?;
    server.announce();
    server.run_until_signal()
}

impl Server {
    /// Starts everything; returns once all listeners are bound and all workers run. `inputs`
    /// may be published besides those of the settings.
    ///
    /// # Errors
    /// A text for the operator: what failed and what to do.
    pub fn start(settings: &Settings, inputs: Vec<Input>) -> Result<Self, String> {
        raise_file_limit();
        weir_ring::probe().map_err(|e| e.to_string())?;
        let library = open_library(settings)?;
        let secrets =
            Secrets::load_or_create(&settings.data.join("secrets")).map_err(|e| e.to_string())?;
        let mut inputs = inputs;
        let demo = StreamName::parse(DEMO_INPUT).map_err(|e| e.to_string())?;
        inputs.push(Input::with_key(demo, secrets.demo_key.hash()));
        let policy = policy::policy(settings, inputs)?;
        let cpus = processors(settings.workers);
        let delivery = Delivery::new(settings)?;
        let listeners = Listeners::bind(settings, cpus.len(), &delivery)?;
        let ready = listeners.ready(absolute(settings));
        let mut registry = Registry::with_prefix("weir");
        metrics::register(&mut registry, library.clone());
        let (hooks, runner) = start_hooks(settings, &mut registry)?;
        if policy.is_open() && !hooks.has(Call::Publish) {
            warn!("open: whoever reaches the RTMP port can publish under any name");
        }
        let api = listeners.api()?;
        let ((hub, fanout), grace) = (streams(settings), settings.grace.0);
        let count = cpus.len();
        let shared = Shared::new(library.clone(), policy, hooks, hub, fanout, grace, count);
        let remotes = remotes::remotes(settings)?;
        metrics::register_outputs(&mut registry, &remotes);
        let _ = shared.0.remotes.set(remotes);
        let _ = shared.0.srt.set(Arc::new(srt::port(settings)?));
        let _ = shared.0.slates.set(slates::load(settings)?);
        let several = failovers::load(settings);
        failovers::register(&mut registry, &several);
        let _ = shared.0.failovers.set(several);
        delivery.hear_viewers(&shared.0);
        let (outputs, inputs) = (outputs_teller(&shared.0), inputs_teller(&shared.0));
        let watched = shared.0.clone();
        let shared_srt = shared.0.clone();
        let health = Arc::new(move |name: &StreamName| watched.health.health(name));
        let (workers, stops) = start_workers(shared, listeners, cpus, &mut registry, &delivery)?;
        let is_ready = Arc::new(AtomicBool::new(true));
        let answers = Api::new(Arc::new(registry), is_ready.clone(), health);
        let answers = answers.with_outputs(outputs).with_inputs(inputs);
        let answers = answers.with_srt(srt::teller(&shared_srt));
        let control = start_control(api, answers, library.clone())?;
        let pending_hooks = runner.map(|runner| {
            let pending = runner.pending();
            control.spawn(runner.run());
            pending
        });
        if let Some(path) = settings.ready_file() {
            let failed = |e| format!("cannot write ready file {}: {e}", path.display());
            ready.write(path).map_err(failed)?;
        }
        ready::notify("READY=1");
        let demo_key = secrets.demo_key.expose().to_owned();
        if secrets.is_new {
            info!(
                "made an API token and the input {DEMO_INPUT:?} in {}/secrets",
                ready.data
            );
        }
        Ok(Self {
            ready,
            demo_key,
            workers,
            stops,
            is_ready,
            delivery,
            control,
            pending_hooks,
            library,
        })
    }

    /// Logs where everything is.
    fn announce(&self) {
        let ready = &self.ready;
        info!(
            data = ready.data,
            workers = self.workers.len(),
            "weir {}",
            env!("CARGO_PKG_VERSION")
        );
        if let Some(rtmp) = &ready.rtmp {
            info!("publish to rtmp://{rtmp}/live with the stream key of an input");
        }
        if let Some(rtmps) = &ready.rtmps {
            info!("or, under TLS, to rtmps://{rtmps}/live by the name of a certificate");
        }
        if let Some(srt) = &ready.srt {
            info!("or over SRT to srt://{srt}?streamid=publish:KEY; play with streamid=read:NAME");
        }
        if let Some(http) = &ready.http {
            info!("watch at http://{http}/NAME/watch or /NAME/manifest/video.m3u8");
        }
        if let Some(https) = &ready.https {
            info!("watch at https://{https}/NAME/watch under the name of a certificate");
        }
        if let Some(api) = &ready.api {
            info!("metrics at http://{api}/metrics");
        }
    }

    /// Waits for SIGTERM or SIGINT, then drains: open segments are closed and written, and
    /// everything ends.
    ///
    /// # Errors
    /// If the signals cannot be listened for.
    pub fn run_until_signal(self) -> Result<(), String> {
        self.control
            .block_on(signal(&self.delivery))
            .map_err(|e| format!("cannot listen for signals: {e}"))?;
        info!("stopping; a second signal ends at once");
        self.is_ready.store(false, Ordering::Release);
        ready::notify("STOPPING=1");
        drop(self.stops);
        for worker in self.workers {
            worker.join();
        }
        self.delivery.finish_log();
        if let Some(pending) = self.pending_hooks {
            let told = async { tokio::time::timeout(HOOKS_WAIT, pending.none()).await };
            if self.control.block_on(told).is_err() {
                warn!("the hook was not told of every session's end");
            }
        }
        self.control.shutdown_background();
        if let Err(e) = self.library.sync() {
            warn!("the last segments may not be on the disk: {e}");
        }
        info!("stopped");
        Ok(())
    }
}

/// Waits for SIGTERM or SIGINT, and reloads at each SIGHUP. From then on another of the first two
/// ends the program at once.
async fn signal(delivery: &Delivery) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut term, mut int, mut hup) = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
        signal(SignalKind::hangup())?,
    );
    loop {
        tokio::select! {
            _ = term.recv() => break,
            _ = int.recv() => break,
            _ = hup.recv() => delivery.reload(),
        }
    }
    tokio::spawn(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        warn!("ended before everything was sent");
        std::process::exit(1);
    });
    Ok(())
}

fn warn_of(tls: &Acceptor) {
    for warning in tls.warnings() {
        warn!("{warning}");
    }
}

/// The certificates of the settings, if there are any, for the listener `at`.
fn acceptor(settings: &Settings, at: Listen, alpn: &[&[u8]]) -> Result<Option<Acceptor>, String> {
    if settings.certificates.is_empty() || at.0.socket().is_none() {
        return Ok(None);
    }
    let identity = |entry: &CertificateEntry| Identity {
        certificate: entry.certificate.clone(),
        key: entry.key.clone(),
    };
    let identities: Vec<_> = settings.certificates.iter().map(identity).collect();
    let tls = Acceptor::load(&identities, alpn).map_err(|e| e.to_string())?;
    Ok(Some(tls))
}

/// What the settings say of how streams are cut, and given to viewers as they come.
fn streams(settings: &Settings) -> (weir_hub::StreamConfig, FanoutConfig) {
    let hub = weir_hub::StreamConfig {
        segment: settings.segment.0,
        part: settings.part.0,
        ..weir_hub::StreamConfig::default()
    };
    let merge = settings.merge.0;
    (hub, FanoutConfig { merge })
}

/// What the settings say of HTTP delivery.
fn http_options(settings: &Settings) -> Result<weir_serve::Options, String> {
    let path = &settings.access_log;
    let access_log = (!path.as_os_str().is_empty())
        .then(|| AccessLog::open(path, settings.access_log_format.0))
        .transpose()
        .map_err(|e| format!("cannot open access_log {}: {e}", path.display()))?;
    let restricted = settings.inputs.iter().filter_map(|input| {
        let origins = input.allowed_origins.as_ref()?.0.clone();
        let name = input.name.0.clone();
        (!origins.is_any()).then(|| (name, Arc::new(origins)))
    });
    Ok(weir_serve::Options {
        trusted: settings.trusted_proxies.0.clone(),
        forwarded: settings.forwarded_field.0,
        proxy_protocol: settings.proxy_protocol,
        requests_per_second: u32::try_from(settings.requests_per_second).unwrap_or(0),
        access_log,
        wanted: weir_serve::Wanted::default(),
        players: weir_serve::Players::default(),
        part: settings.part.0,
        origins: restricted.collect(),
    })
}

/// The sockets of all listeners, one per worker but for `api`; none where one is off.
struct Listeners {
    rtmp: Vec<TcpListener>,
    rtmps: Vec<TcpListener>,
    srt: Vec<UdpSocket>,
    http: Vec<TcpListener>,
    https: Vec<TcpListener>,
    api: Vec<TcpListener>,
}

impl Listeners {
    fn bind(settings: &Settings, workers: usize, delivery: &Delivery) -> Result<Self, String> {
        Ok(Self {
            rtmp: bind(settings.rtmp, workers, "rtmp")?,
            rtmps: match delivery.rtmps {
                Some(_) => bind(settings.rtmps, workers, "rtmps")?,
                None => Vec::new(),
            },
            srt: bind_srt(settings.srt, workers)?,
            http: bind(settings.http, workers, "http")?,
            https: match delivery.https {
                Some(_) => bind(settings.https, workers, "https")?,
                None => Vec::new(),
            },
            api: bind(settings.api, 1, "api")?,
        })
    }

    /// The api listener, for the control plane.
    fn api(&self) -> Result<Option<TcpListener>, String> {
        let api = self.api.first().map(TcpListener::try_clone).transpose();
        api.map_err(|e| format!("cannot use the api listener: {e}"))
    }

    fn ready(&self, data: String) -> Ready {
        Ready {
            pid: std::process::id(),
            data,
            http: local(&self.http),
            https: local(&self.https),
            api: local(&self.api),
            rtmp: local(&self.rtmp),
            rtmps: local(&self.rtmps),
            srt: local_srt(&self.srt),
        }
    }
}

/// What all workers' listeners have in common.
struct Delivery {
    options: Arc<weir_serve::Options>,
    https: Option<Acceptor>,
    /// The same certificates as HTTPS, without its protocols.
    rtmps: Option<Acceptor>,
    connections: (usize, usize),
}

impl Delivery {
    fn new(settings: &Settings) -> Result<Self, String> {
        let https = acceptor(settings, settings.https, weir_serve::ALPN)?;
        let rtmps = acceptor(settings, settings.rtmps, &[])?;
        https.iter().chain(&rtmps).take(1).for_each(warn_of);
        Ok(Self {
            options: Arc::new(http_options(settings)?),
            https,
            rtmps,
            connections: (
                settings.connections_max,
                settings.connections_per_address_max,
            ),
        })
    }

    /// Tells `shared` which streams viewers ask for, and asks it who may play.
    fn hear_viewers(&self, shared: &Arc<Shared>) {
        let weak = Arc::downgrade(shared);
        self.options.wanted.set(move |name| {
            let shared = weak.upgrade();
            shared.is_some_and(|shared| shared.ask_for(name))
        });
        // Where all may play all, no request is held up by asking.
        if shared.policy.load().restricts_players() {
            let weak = Arc::downgrade(shared);
            self.options.players.set(move |name, client| {
                let shared = weak.upgrade();
                shared.is_some_and(|s| s.policy.load().admits_player(name, client).is_ok())
            });
        }
    }

    /// Has the access log's last lines written. The workers have ended.
    fn finish_log(&self) {
        if let Some(log) = &self.options.access_log
            && !log.finish()
        {
            warn!("the last lines of the access log are not written");
        }
    }

    /// Reads again what may have changed: certificates, and the access log's place.
    fn reload(&self) {
        if let Some(log) = &self.options.access_log {
            log.reopen();
        }
        for (of, tls) in [("HTTPS", &self.https), ("RTMPS", &self.rtmps)] {
            let Some(tls) = tls else { continue };
            match tls.reload() {
                Ok(()) => {
                    info!("{of}: certificates reloaded");
                    warn_of(tls);
                }
                Err(e) => warn!("{of}: certificates stay as they were: {e}"),
            }
        }
    }
}

/// The workers, and what stops each.
type Workers = (Vec<Worker>, Vec<weir_ring::Sender<()>>);

fn start_workers(
    (shared, handoffs): (Arc<Shared>, Vec<weir_ring::Receiver<Handoff>>),
    listeners: Listeners,
    cpus: Vec<Option<usize>>,
    registry: &mut Registry,
    delivery: &Delivery,
) -> Result<Workers, String> {
    let http_counters = weir_serve::Counters::new(cpus.len());
    shared.counters.register(registry);
    http_counters.register(registry);
    let (mut rtmp, mut http) = (listeners.rtmp.into_iter(), listeners.http.into_iter());
    let mut srt = listeners.srt.into_iter();
    let (mut https, mut rtmps) = (listeners.https.into_iter(), listeners.rtmps.into_iter());
    let (mut workers, mut stops) = (Vec::new(), Vec::new());
    for (index, (cpu, handoffs)) in cpus.into_iter().zip(handoffs).enumerate() {
        let (stop, stopped) = weir_ring::channel(1);
        let (news, news_queue) = weir_ring::channel::<StreamName>(NEWS_QUEUED_MAX);
        let wake = Box::new(move |name| drop(news.try_send(name)));
        shared
            .library
            .register_worker(index, wake)
            .map_err(|e| e.to_string())?;
        workers.push(Worker::start(Parts {
            index,
            cpu,
            shared: shared.clone(),
            http_counters: http_counters.clone(),
            http_options: delivery.options.clone(),
            rtmp: rtmp.next(),
            rtmps: rtmps.next().zip(delivery.rtmps.clone()),
            srt: srt.next(),
            http: http.next(),
            https: https.next().zip(delivery.https.clone()),
            connections: delivery.connections,
            handoffs,
            news: news_queue,
            stop: stopped,
        })?);
        stops.push(stop);
    }
    shared.resume_all();
    Ok((workers, stops))
}

/// The hooks of the settings, and what makes their calls on the control plane.
fn start_hooks(
    settings: &Settings,
    registry: &mut Registry,
) -> Result<(Arc<Hooks>, Option<hooks::Runner>), String> {
    let Some(config) = policy::hooks(&settings.hooks) else {
        return Ok((Hooks::none(), None));
    };
    let counters = hooks::Counters::default();
    counters.register(registry);
    let (hooks, runner) = hooks::Runner::new(config, counters)?;
    Ok((hooks, Some(runner)))
}

/// What the `api` listener tells of a stream's outputs.
fn outputs_teller(shared: &Arc<Shared>) -> Teller {
    let shared = Arc::downgrade(shared);
    Arc::new(move |name| {
        let shared = shared.upgrade()?;
        remotes::outputs(shared.remotes.get()?, name)
    })
}

/// What the `api` listener tells of a stream's inputs.
fn inputs_teller(shared: &Arc<Shared>) -> Teller {
    let shared = Arc::downgrade(shared);
    Arc::new(move |name| {
        let shared = shared.upgrade()?;
        failovers::inputs(shared.failovers.get()?, name)
    })
}

/// Starts the control plane: the api listener and retention.
fn start_control(
    listener: Option<TcpListener>,
    api: Api,
    library: Arc<Library>,
) -> Result<tokio::runtime::Runtime, String> {
    let control = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("control")
        .enable_all()
        .build()
        .map_err(|e| format!("cannot start the control plane: {e}"))?;
    if let Some(listener) = listener {
        control.spawn(async move {
            if let Err(e) = api.serve(listener).await {
                warn!("the api listener ends: {e}");
            }
        });
    }
    let synced = library.clone();
    background("sync", move || sync_forever(&synced))?;
    background("retention", move || retain_forever(&library))?;
    Ok(control)
}

fn open_library(settings: &Settings) -> Result<Arc<Library>, String> {
    let mut config = LibraryConfig::new(&settings.data);
    config.window = settings.window.0;
    config.keep = Some(settings.keep.0);
    Library::open(config, weir_live::clock::now()).map_err(|e| e.to_string())
}

/// A thread that ends with the program.
fn background(name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), String> {
    let thread = std::thread::Builder::new().name(name.into()).spawn(run);
    thread
        .map(drop)
        .map_err(|e| format!("cannot start the {name} thread: {e}"))
}

/// Brings segments to the disk; runs as long as the program.
fn sync_forever(library: &Library) {
    loop {
        std::thread::sleep(SYNC_TICK);
        if let Err(e) = library.sync() {
            warn!("a power cut would lose recordings: {e}");
        }
    }
}

/// Deletes what is too old, or what the disk has no room for; runs as long as the program.
fn retain_forever(library: &Library) {
    loop {
        std::thread::sleep(RETENTION_TICK);
        let data = &library.config().data;
        let disk = match rustix::fs::statvfs(data) {
            Ok(stat) => DiskSpace {
                free: stat.f_bavail.saturating_mul(stat.f_frsize),
                total: stat.f_blocks.saturating_mul(stat.f_frsize),
            },
            Err(e) => {
                warn!(
                    "cannot tell how full the disk of {} is: {e}",
                    data.display()
                );
                continue;
            }
        };
        for gone in library.retain(weir_live::clock::now(), disk) {
            let end = gone.end.to_rfc3339();
            info!(stream = %gone.name, broadcast = %gone.broadcast, end, bytes = gone.bytes, "deleted");
        }
    }
}

/// The processors that this process may run on, one per worker; `None` is not pinned, where
/// there are more workers than processors.
fn processors(workers: usize) -> Vec<Option<usize>> {
    let Ok(set) = rustix::thread::sched_getaffinity(None) else {
        return vec![None; workers.max(1)];
    };
    let allowed: Vec<usize> = (0..rustix::thread::CpuSet::MAX_CPU)
        .filter(|&cpu| set.is_set(cpu))
        .collect();
    let count = if workers == 0 {
        allowed.len().clamp(1, WORKERS_MAX)
    } else {
        workers
    };
    (0..count).map(|i| allowed.get(i).copied()).collect()
}

/// Every connection and log file is a descriptor: takes as many as the hard limit allows.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(e) = setrlimit(Resource::Nofile, wanted) {
        warn!("cannot raise the limit of open files: {e}");
    }
}

fn bind(listen: Listen, count: usize, flag: &'static str) -> Result<Vec<TcpListener>, String> {
    match listen.0.socket() {
        Some(address) => weir_net::bind(address, count, flag).map_err(|e| e.to_string()),
        None => Ok(Vec::new()),
    }
}

/// Where an SRT packet says which connection it is of (draft-sharabayko-srt-01 section 3).
const SRT_DESTINATION: Steering = Steering { offset: 12 };

fn bind_srt(listen: Listen, count: usize) -> Result<Vec<UdpSocket>, String> {
    match listen.0.socket() {
        Some(address) => {
            weir_net::udp::bind(address, count, "srt", SRT_DESTINATION).map_err(|e| e.to_string())
        }
        None => Ok(Vec::new()),
    }
}

fn local_srt(sockets: &[UdpSocket]) -> Option<String> {
    Some(sockets.first()?.local_addr().ok()?.to_string())
}

fn local(listeners: &[TcpListener]) -> Option<String> {
    let address: SocketAddr = listeners.first()?.local_addr().ok()?;
    Some(address.to_string())
}

fn absolute(settings: &Settings) -> String {
    let path = std::fs::canonicalize(&settings.data).unwrap_or_else(|_| settings.data.clone());
    path.display().to_string()
}
