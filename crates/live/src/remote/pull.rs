//! A stream that comes from another server: one task per source, always there, whose connection
//! feeds the stream like a publisher's.
//!
//! A source never takes a stream from a publisher: it waits until that one has left.

use super::Source;
use super::backoff::Backoff;
use super::demand::Demand;
use super::follow::follow;
use super::link::{Failure, Link, Step};
use crate::budget::Budget;
use crate::clock;
use crate::lease::Lease;
use crate::limits::{
    FAULTS_BURST, PULL_FIRST_MEDIA_WAIT, PULL_SILENCE_MAX, PULL_TICK, STABLE_AFTER,
};
use crate::reasons::Happened;
use crate::worker::Live;
use std::sync::Arc;
use tracing::{info, warn};
use weir_media::Mono;
use weir_ring::{Either, Receiver};
use weir_rtmp::session::client::{Event, Mode};
use weir_rtmp::{Metadata, Url};

/// One source. It may be passed to another worker between connections.
pub(crate) struct Puller {
    source: Arc<Source>,
    /// Who wants it, and what rings when somebody begins to; none if it is pulled always.
    on_demand: Option<(Demand, Receiver<()>)>,
    backoff: Backoff,
}

impl Puller {
    pub(crate) fn new(source: Arc<Source>, on_demand: Option<(Demand, Receiver<()>)>) -> Self {
        Self {
            source,
            on_demand,
            backoff: Backoff::default(),
        }
    }

    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    /// Pulls until the worker stops, or until the stream turns out to be another worker's: then
    /// that one goes on.
    pub(crate) async fn run(mut self, live: Live) {
        while !live.is_stopping() {
            if let Some((demand, bell)) = &mut self.on_demand
                && !demand.is_wanted(clock::now().mono)
            {
                if bell.recv().await.is_none() {
                    return;
                }
                continue;
            }
            match live.who_has(&self.source.name) {
                Some(owner) if owner != live.index() => match live.pass_on_puller(owner, self) {
                    None => return,
                    Some(back) => self = back,
                },
                _ if live.is_published(&self.source.name) => {}
                _ => match self.attempt(&live).await {
                    Failure::Unwanted => {
                        info!(stream = %self.source.name, "nobody watches: the pull rests");
                        self.backoff.reset();
                        continue;
                    }
                    failure => {
                        let pause = self.backoff.next(random());
                        live.shared().counters.pull_failed(&failure);
                        let (from, pause_ms) = (&self.source.remote.url, pause.as_millis());
                        warn!(stream = %self.source.name, %from, pause_ms, "pull: {failure}");
                        weir_ring::sleep(pause).await;
                        continue;
                    }
                },
            }
            weir_ring::sleep(PULL_TICK).await;
        }
    }

    /// Pulls once; why it ended.
    async fn attempt(&mut self, live: &Live) -> Failure {
        let demand = self.on_demand.as_ref().map(|d| &d.0);
        let mut pull = Pull::new(live, &self.source, demand);
        let failure = follow(&self.source.remote.url, &mut pull, Pull::run).await;
        let stable = |began| clock::now().mono.since(began) >= STABLE_AFTER;
        if pull.began.is_some_and(stable) {
            self.backoff.reset();
        }
        failure
    }
}

/// Any number.
pub(super) fn random() -> u32 {
    let mut bytes = [0; 4];
    // Without randomness there is no jitter, which is no harm.
    let _ = getrandom::fill(&mut bytes);
    u32::from_ne_bytes(bytes)
}

/// One connection's worth of a stream.
struct Pull<'a> {
    live: &'a Live,
    source: &'a Source,
    demand: Option<&'a Demand>,
    lease: Option<Lease>,
    /// What it said of itself last.
    metadata: Option<Metadata>,
    /// When media began.
    began: Option<Mono>,
    /// When media came last, or the connection was made.
    heard: Mono,
    faults: Budget,
}

impl<'a> Pull<'a> {
    fn new(live: &'a Live, source: &'a Source, demand: Option<&'a Demand>) -> Self {
        let now = clock::now().mono;
        Self {
            live,
            source,
            demand,
            lease: None,
            metadata: None,
            began: None,
            heard: now,
            faults: Budget::new(FAULTS_BURST, now),
        }
    }

    async fn run(&mut self, url: Url) -> Failure {
        let Some(remotes) = self.live.shared().remotes.get() else {
            return Failure::Unwanted;
        };
        let opened = Link::open(&remotes.dialer, &self.source.remote, &url, Mode::Play).await;
        let mut link = match opened {
            Ok(link) => link,
            Err(failure) => return failure,
        };
        (self.heard, self.began) = (clock::now().mono, None);
        self.metadata = None;
        let failure = self.exchange(&mut link).await;
        // By whatever way the source leaves, its open segment is closed at once.
        self.lease = None;
        weir_ring::spawn(link.close());
        failure
    }

    async fn exchange(&mut self, link: &mut Link) -> Failure {
        loop {
            let deadline = match link.step().await {
                Ok(Step::Event(event)) => match self.handle(event) {
                    Ok(()) => continue,
                    Err(failure) => return failure,
                },
                Ok(Step::Idle(deadline)) => deadline,
                Err(failure) => return failure,
            };
            if let Err(failure) = self.check() {
                return failure;
            }
            let evicted = async {
                match &mut self.lease {
                    Some(lease) => (&mut lease.evicted).await,
                    None => std::future::pending().await,
                }
            };
            match weir_ring::select(link.receive(deadline, PULL_TICK), evicted).await {
                Either::Left(Ok(())) => {}
                Either::Left(Err(failure)) => return failure,
                Either::Right(()) => return Failure::Taken,
            }
        }
    }

    /// Whether it is worth going on.
    fn check(&self) -> Result<(), Failure> {
        let now = clock::now().mono;
        let silence = match self.began {
            Some(_) => PULL_SILENCE_MAX,
            None => PULL_FIRST_MEDIA_WAIT,
        };
        if now.since(self.heard) >= silence {
            return Err(Failure::Silent);
        }
        match self.demand.is_none_or(|demand| demand.is_wanted(now)) {
            true => Ok(()),
            false => Err(Failure::Unwanted),
        }
    }

    fn handle(&mut self, event: Event) -> Result<(), Failure> {
        match event {
            Event::Metadata(metadata) => {
                if let Some(lease) = &self.lease {
                    lease.describe(&metadata);
                }
                self.metadata = Some(metadata);
            }
            Event::Config { track, config } => {
                let lease = self.begin()?;
                if !lease.config(track, config) {
                    let why = "its codec configuration changes all the time";
                    return Err(Failure::Media(why));
                }
            }
            Event::Frame(frame) => {
                self.heard = clock::now().mono;
                self.began.get_or_insert(self.heard);
                self.begin()?.frame(frame);
            }
            Event::Datum(datum) => {
                if let Some(lease) = &self.lease {
                    lease.datum(datum);
                }
            }
            Event::TrackFault { fault, offset } => {
                self.live.shared().counters.event(Happened::Fault);
                warn!(stream = %self.source.name, offset, "pull: {fault}");
                if !self.faults.take(clock::now().mono) {
                    return Err(Failure::Media("too much of what it sends is malformed"));
                }
            }
            Event::Ended => return Err(Failure::Ended),
            _ => {}
        }
        Ok(())
    }

    /// The stream here, which begins with the first that is of use.
    fn begin(&mut self) -> Result<&mut Lease, Failure> {
        let lease = match self.lease.take() {
            Some(lease) => lease,
            None => {
                let name = &self.source.name;
                let lease = self.live.publish_if_free(name)?;
                self.live.shared().counters.published.inc();
                info!(stream = %name, from = %self.source.remote.url, "pulling");
                if let Some(metadata) = &self.metadata {
                    lease.describe(metadata);
                }
                lease
            }
        };
        Ok(self.lease.insert(lease))
    }
}
