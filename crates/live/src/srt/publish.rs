//! A publisher over SRT: a transport stream whose messages become frames of a stream here.

use super::board::Shown;
use super::line::{Line, Over, Work};
use crate::admit::Admitted;
use crate::budget::Budget;
use crate::clock;
use crate::lease::Lease;
use crate::limits::{FAULTS_BURST, PULL_FIRST_MEDIA_WAIT, PULL_SILENCE_MAX};
use crate::reasons::Happened;
use crate::remote::Failure;
use crate::transport::{CONFIG_RATE, Sink, Transport};
use crate::worker::Live;
use bytes::Bytes;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tracing::{info, warn};
use weir_media::{CodecConfig, Datum, Frame, Mono, TrackId};
use weir_rtmp::Metadata;
use weir_srt::{Connection, Stats};

/// One publisher.
pub(super) struct Publisher {
    live: Live,
    /// Goes with the publisher: its end tells the hook.
    _admitted: Admitted,
    connection: u64,
    transport: Transport,
    feed: Feed,
    shown: Shown,
}

/// Where its media goes.
struct Feed {
    live: Live,
    connection: u64,
    lease: Lease,
    faults: Budget,
    heard: Mono,
    began: bool,
}

impl Publisher {
    pub(super) fn new(
        live: Live,
        connection: u64,
        admitted: Admitted,
        lease: Lease,
        shown: Shown,
    ) -> Self {
        let now = clock::now().mono;
        Self {
            live: live.clone(),
            _admitted: admitted,
            connection,
            transport: Transport::new(None),
            feed: Feed {
                live,
                connection,
                lease,
                faults: Budget::new(FAULTS_BURST, now),
                heard: now,
                began: false,
            },
            shown,
        }
    }

    /// Serves the connection to its end.
    pub(super) async fn serve(mut self, line: &Line) {
        let over = line.run(&mut self).await;
        let now = clock::now().mono;
        // The last picture ends where the stream does.
        let _ = self.transport.end(now, &mut self.feed);
        self.note(&line.stats());
        info!(connection = self.connection, stream = %self.feed.lease.name(), "SRT publisher: {over}");
    }

    fn note(&self, stats: &Stats) {
        let before = self.shown.update(stats);
        self.live.shared().counters.srt.add(&before, stats);
    }
}

impl Work for Publisher {
    fn message(&mut self, payload: &Bytes, now: Mono) -> Result<(), Over> {
        Ok(self.transport.handle(payload, now, &mut self.feed)?)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.feed.lease.evicted).poll(cx)
    }

    fn run(&mut self, _: &mut Connection, _: Mono) -> Result<(), Over> {
        Err(Failure::Taken.into())
    }

    fn tick(&mut self, stats: &Stats, now: Mono) -> Result<(), Over> {
        self.note(stats);
        let silence = match self.feed.began {
            true => PULL_SILENCE_MAX,
            false => PULL_FIRST_MEDIA_WAIT,
        };
        match now.since(self.feed.heard) >= silence {
            true => Err(Failure::Silent.into()),
            false => Ok(()),
        }
    }
}

impl Sink for Feed {
    fn describe(&mut self, metadata: Metadata) {
        self.lease.describe(&metadata);
    }

    fn config(&mut self, track: TrackId, config: CodecConfig) -> Result<(), Failure> {
        match self.lease.config(track, config) {
            true => Ok(()),
            false => Err(Failure::Media(CONFIG_RATE)),
        }
    }

    fn frame(&mut self, frame: Frame) -> Result<(), Failure> {
        self.heard = clock::now().mono;
        self.began = true;
        self.lease.frame(frame);
        Ok(())
    }

    fn datum(&mut self, datum: Datum) {
        self.lease.datum(datum);
    }

    fn fault(&mut self, fault: &dyn fmt::Display) -> Result<(), Failure> {
        self.live.shared().counters.event(Happened::Fault);
        warn!(connection = self.connection, stream = %self.lease.name(), "{fault}");
        match self.faults.take(clock::now().mono) {
            true => Ok(()),
            false => Err(Failure::Media("too much of what it sends is malformed")),
        }
    }
}
