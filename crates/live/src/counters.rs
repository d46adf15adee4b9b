//! What this crate counts.

use crate::reasons::{Closed, Happened, Refused, RemoteFailure};
use crate::remote::Failure;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use std::hash::Hash;

/// Counters of all workers. Cloning shares them.
#[derive(Debug, Clone)]
pub struct Counters {
    /// RTMP connections that are open.
    pub connections: Gauge,
    /// RTMP connections accepted.
    pub accepted: Counter,
    /// RTMP connections ended for a fault, by reason.
    pub closed: Family<Closed, Counter>,
    /// Bytes received over RTMP.
    pub received: Counter,
    /// Publish sessions begun.
    pub published: Counter,
    /// Publish requests refused, by reason.
    pub refused: Family<Refused, Counter>,
    /// Sessions moved to the worker that owns their stream.
    pub moved: Counter,
    /// Streams with a broadcast, in grace included.
    pub streams: Gauge,
    /// Frames taken from publishers.
    pub frames: Counter,
    /// Things that happened to streams (repairs, forced cuts, missing keyframes, …).
    pub events: Family<Happened, Counter>,
    /// Segments closed, all tracks.
    pub segments: Counter,
    /// Failures of connections to sources, by reason.
    pub pull_failures: Family<RemoteFailure, Counter>,
}

impl Counters {
    /// Registers all of them under `weir_`.
    pub fn register(&self, registry: &mut Registry) {
        let r = registry;
        r.register(
            "rtmp_connections",
            "Open RTMP connections",
            self.connections.clone(),
        );
        r.register(
            "rtmp_accepted",
            "RTMP connections accepted",
            self.accepted.clone(),
        );
        r.register(
            "rtmp_closed",
            "RTMP connections ended for a fault",
            self.closed.clone(),
        );
        r.register_with_unit(
            "rtmp_received",
            "Received over RTMP",
            Unit::Bytes,
            self.received.clone(),
        );
        r.register(
            "publish_sessions",
            "Publish sessions begun",
            self.published.clone(),
        );
        r.register(
            "publish_refused",
            "Publish requests refused",
            self.refused.clone(),
        );
        r.register(
            "sessions_moved",
            "Sessions moved to their owner",
            self.moved.clone(),
        );
        r.register("streams", "Streams with a broadcast", self.streams.clone());
        r.register(
            "frames",
            "Frames taken from publishers",
            self.frames.clone(),
        );
        r.register(
            "stream_events",
            "Repairs and notable events",
            self.events.clone(),
        );
        r.register(
            "segments",
            "Segments closed, all tracks",
            self.segments.clone(),
        );
        r.register(
            "pull_failures",
            "Failures of connections to sources",
            self.pull_failures.clone(),
        );
    }

    pub(crate) fn pull_failed(&self, failure: &Failure) {
        self.pull_failures.get_or_create(&failure.reason()).inc();
    }

    pub(crate) fn refuse(&self, reason: Refused) {
        self.refused.get_or_create(&reason).inc();
    }

    pub(crate) fn event(&self, reason: Happened) {
        self.events.get_or_create(&reason).inc();
    }

    pub(crate) fn close(&self, reason: Closed) {
        self.closed.get_or_create(&reason).inc();
    }
}

impl Default for Counters {
    /// All at zero, each reason too.
    fn default() -> Self {
        Self {
            connections: Gauge::default(),
            accepted: Counter::default(),
            closed: at_zero(Closed::ALL),
            received: Counter::default(),
            published: Counter::default(),
            refused: at_zero(Refused::ALL),
            moved: Counter::default(),
            streams: Gauge::default(),
            frames: Counter::default(),
            events: at_zero(Happened::ALL),
            segments: Counter::default(),
            pull_failures: at_zero(RemoteFailure::ALL),
        }
    }
}

/// A family with a counter for each of `reasons`.
fn at_zero<R: Copy + Eq + Hash>(reasons: &[R]) -> Family<R, Counter> {
    let family = Family::<R, Counter>::default();
    for reason in reasons {
        drop(family.get_or_create(reason));
    }
    family
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_there_before_its_first_event() {
        let (counters, mut registry) = (Counters::default(), Registry::with_prefix("weir"));
        counters.register(&mut registry);
        counters.refuse(Refused::Key);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "weir_rtmp_closed_total{reason=\"config_rate\"} 0",
            "weir_publish_refused_total{reason=\"key\"} 1",
            "weir_publish_refused_total{reason=\"rate\"} 0",
            "weir_stream_events_total{reason=\"forced_cut\"} 0",
        ] {
            assert!(text.lines().any(|l| l == line), "{line:?} is not in {text}");
        }
        let labelled = text.lines().filter(|l| l.contains("{reason=")).count();
        let known =
            Closed::ALL.len() + Refused::ALL.len() + Happened::ALL.len() + RemoteFailure::ALL.len();
        assert_eq!(labelled, known, "the words of each are different");
    }
}
