//! What comes from a source, on its way into the stream: the same rules for each protocol.

use super::Source;
use super::demand::Demand;
use super::link::Failure;
use crate::budget::Budget;
use crate::clock;
use crate::lease::Lease;
use crate::limits::{FAULTS_BURST, PULL_FIRST_MEDIA_WAIT, PULL_SILENCE_MAX};
use crate::reasons::Happened;
use crate::transport::{CONFIG_RATE, Sink};
use crate::worker::Live;
use std::fmt;
use tracing::{info, warn};
use weir_media::{CodecConfig, Datum, Frame, Mono, TrackId};
use weir_rtmp::Metadata;

/// One connection's worth of a stream.
pub(crate) struct Intake<'a> {
    pub(crate) live: &'a Live,
    pub(crate) source: &'a Source,
    demand: Option<&'a Demand>,
    pub(crate) lease: Option<Lease>,
    /// What it said of itself last.
    metadata: Option<Metadata>,
    /// When media began.
    pub(crate) began: Option<Mono>,
    /// When media came last, or the connection was made.
    pub(crate) heard: Mono,
    faults: Budget,
}

impl<'a> Intake<'a> {
    pub(crate) fn new(live: &'a Live, source: &'a Source, demand: Option<&'a Demand>) -> Self {
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

    /// A connection was made.
    pub(crate) fn connected(&mut self) {
        (self.heard, self.began) = (clock::now().mono, None);
        self.metadata = None;
    }

    /// Completes when somebody else took the stream.
    pub(crate) async fn evicted(&mut self) {
        match &mut self.lease {
            Some(lease) => (&mut lease.evicted).await,
            None => std::future::pending().await,
        }
    }

    /// The source has left, and may come back: the open segment is closed at once.
    pub(crate) fn leave(&mut self) {
        (self.lease, self.began, self.metadata) = (None, None, None);
        self.faults = Budget::new(FAULTS_BURST, clock::now().mono);
    }

    /// Whether it is worth going on.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        let now = clock::now().mono;
        let silence = match self.began {
            Some(_) => PULL_SILENCE_MAX,
            None => PULL_FIRST_MEDIA_WAIT,
        };
        if now.since(self.heard) >= silence {
            return Err(Failure::Silent);
        }
        self.check_wanted()
    }

    /// Whether anybody wants it.
    pub(crate) fn check_wanted(&self) -> Result<(), Failure> {
        let now = clock::now().mono;
        match self.demand.is_none_or(|demand| demand.is_wanted(now)) {
            true => Ok(()),
            false => Err(Failure::Unwanted),
        }
    }

    /// The stream here, which begins with the first that is of use.
    fn begin(&mut self) -> Result<&mut Lease, Failure> {
        let lease = match self.lease.take() {
            Some(lease) => lease,
            None => {
                let name = &self.source.name;
                let lease = self.live.publish_if_free(name)?;
                self.live.shared().counters.published.inc();
                info!(stream = %name, from = %self.source.origin, "pulling");
                if let Some(metadata) = &self.metadata {
                    lease.describe(metadata);
                }
                lease
            }
        };
        Ok(self.lease.insert(lease))
    }
}

impl Sink for Intake<'_> {
    fn describe(&mut self, metadata: Metadata) {
        if let Some(lease) = &self.lease {
            lease.describe(&metadata);
        }
        self.metadata = Some(metadata);
    }

    fn config(&mut self, track: TrackId, config: CodecConfig) -> Result<(), Failure> {
        match self.begin()?.config(track, config) {
            true => Ok(()),
            false => Err(Failure::Media(CONFIG_RATE)),
        }
    }

    fn frame(&mut self, frame: Frame) -> Result<(), Failure> {
        self.heard = clock::now().mono;
        self.began.get_or_insert(self.heard);
        self.begin()?.frame(frame);
        Ok(())
    }

    /// It is of no use before the frames.
    fn datum(&mut self, datum: Datum) {
        if let Some(lease) = &self.lease {
            lease.datum(datum);
        }
    }

    /// Something was malformed; a few such things are survived.
    fn fault(&mut self, fault: &dyn fmt::Display) -> Result<(), Failure> {
        self.live.shared().counters.event(Happened::Fault);
        warn!(stream = %self.source.name, "pull: {fault}");
        match self.faults.take(clock::now().mono) {
            true => Ok(()),
            false => Err(Failure::Media("too much of what it sends is malformed")),
        }
    }
}
