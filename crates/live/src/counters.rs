//! What this crate counts.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// Label of a reason; the values are fixed words of the code, never a peer's text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Reason {
    /// Why.
    pub reason: &'static str,
}

/// Counters of all workers. Cloning shares them.
#[derive(Debug, Clone, Default)]
pub struct Counters {
    /// RTMP connections that are open.
    pub connections: Gauge,
    /// RTMP connections accepted.
    pub accepted: Counter,
    /// RTMP connections ended for a fault, by reason.
    pub closed: Family<Reason, Counter>,
    /// Bytes received over RTMP.
    pub received: Counter,
    /// Publish sessions begun.
    pub published: Counter,
    /// Publish requests refused, by reason.
    pub refused: Family<Reason, Counter>,
    /// Sessions moved to the worker that owns their stream.
    pub moved: Counter,
    /// Streams with a broadcast, in grace included.
    pub streams: Gauge,
    /// Frames taken from publishers.
    pub frames: Counter,
    /// Things that happened to streams (repairs, forced cuts, missing keyframes, …).
    pub events: Family<Reason, Counter>,
    /// Segments closed, all tracks.
    pub segments: Counter,
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
    }

    pub(crate) fn refuse(&self, reason: &'static str) {
        self.refused.get_or_create(&Reason { reason }).inc();
    }

    pub(crate) fn event(&self, reason: &'static str) {
        self.events.get_or_create(&Reason { reason }).inc();
    }

    pub(crate) fn close(&self, reason: &'static str) {
        self.closed.get_or_create(&Reason { reason }).inc();
    }
}
