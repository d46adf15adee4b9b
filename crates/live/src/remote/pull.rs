//! A stream that comes from another server: one task per source, always there, whose connection
//! feeds the stream like a publisher's.
//!
//! A source never takes a stream from a publisher: it waits until that one has left.

use super::backoff::Backoff;
use super::demand::Demand;
use super::follow::follow;
use super::intake::Intake;
use super::link::{Failure, Link, Step};
use super::{Origin, Remote, Source, receive};
use crate::clock;
use crate::limits::{PULL_TICK, STABLE_AFTER};
use crate::srt::call;
use crate::transport::Sink;
use crate::worker::Live;
use std::sync::Arc;
use tracing::{info, warn};
use weir_ring::{Either, Receiver};
use weir_rtmp::Url;
use weir_rtmp::session::client::{Event, Mode};

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
                        let (from, pause_ms) = (&self.source.origin, pause.as_millis());
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
        let mut intake = Intake::new(live, &self.source, demand);
        let (failure, began) = match &self.source.origin {
            Origin::Rtmp(remote) => {
                let mut pull = Pull { intake, remote };
                let failure = follow(&remote.url, &mut pull, Pull::run).await;
                (failure, pull.intake.began)
            }
            Origin::Srt(remote) => {
                let failure = call::pull(&mut intake, remote).await;
                (failure, intake.began)
            }
            Origin::Listen(listen) => {
                let failure = receive::run(&mut intake, listen).await;
                (failure, intake.began)
            }
        };
        let stable = |began| clock::now().mono.since(began) >= STABLE_AFTER;
        if began.is_some_and(stable) {
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

/// One connection over RTMP.
struct Pull<'a> {
    intake: Intake<'a>,
    remote: &'a Remote,
}

impl Pull<'_> {
    async fn run(&mut self, url: Url) -> Failure {
        let Some(remotes) = self.intake.live.shared().remotes.get() else {
            return Failure::Unwanted;
        };
        let opened = Link::open(&remotes.dialer, self.remote, &url, Mode::Play).await;
        let mut link = match opened {
            Ok(link) => link,
            Err(failure) => return failure,
        };
        self.intake.connected();
        let failure = self.exchange(&mut link).await;
        // By whatever way the source leaves, its open segment is closed at once.
        self.intake.lease = None;
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
            if let Err(failure) = self.intake.check() {
                return failure;
            }
            let evicted = self.intake.evicted();
            match weir_ring::select(link.receive(deadline, PULL_TICK), evicted).await {
                Either::Left(Ok(())) => {}
                Either::Left(Err(failure)) => return failure,
                Either::Right(()) => return Failure::Taken,
            }
        }
    }

    fn handle(&mut self, event: Event) -> Result<(), Failure> {
        match event {
            Event::Metadata(metadata) => self.intake.describe(metadata),
            Event::Config { track, config } => self.intake.config(track, config)?,
            Event::Frame(frame) => self.intake.frame(frame)?,
            Event::Datum(datum) => self.intake.datum(datum),
            Event::TrackFault { fault, offset } => {
                self.intake.fault(&format_args!("{fault} at {offset}"))?;
            }
            Event::Ended => return Err(Failure::Ended),
            _ => {}
        }
        Ok(())
    }
}
