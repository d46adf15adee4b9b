//! What this crate counts.

use crate::delivery::{Delivery, Totals};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::sync::Arc;

/// Label of a limit that a connection met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Limit {
    /// Which one.
    pub limit: &'static str,
}

impl Limit {
    /// The worker has as many connections as it may.
    pub const TOTAL: Self = Self { limit: "total" };
    /// The address has as many connections as it may.
    pub const ADDRESS: Self = Self { limit: "address" };
    /// The PROXY header was missing, broken or late.
    pub const PROXY: Self = Self { limit: "proxy" };
    /// The TLS handshake failed or took too long.
    pub const TLS: Self = Self { limit: "tls" };
}

/// Counters of all workers. Cloning shares them.
#[derive(Debug, Clone, Default)]
pub struct Counters {
    /// HTTP connections that are open.
    pub connections: Gauge,
    /// HTTP connections accepted.
    pub accepted: Counter,
    /// Connections refused, by the limit that they met.
    pub refused: Family<Limit, Counter>,
    /// Requests refused because their address sent too many.
    pub limited: Counter,
    /// Requests that wait for content.
    pub held: Gauge,
    /// Connections closed because the peer took nothing, or sent half a head.
    pub stalled: Counter,
    /// Pieces of segments that had to be read from the disk first.
    pub cold: Counter,
    /// TS segments muxed.
    pub ts_muxed: Counter,
    /// TS segments found muxed.
    pub ts_cached: Counter,
    /// Access-log lines dropped because the disk did not take them.
    pub log_dropped: Counter,
    workers: Vec<Arc<Delivery>>,
}

impl Counters {
    /// Counters for `workers` workers.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        let counters = Self {
            workers: (0..workers).map(|_| Arc::default()).collect(),
            ..Self::default()
        };
        // There from the start, so that an alert can be written before the first refusal.
        for limit in [Limit::TOTAL, Limit::ADDRESS, Limit::PROXY, Limit::TLS] {
            drop(counters.refused.get_or_create(&limit));
        }
        counters
    }

    /// The counts of one worker.
    pub(crate) fn delivery(&self, worker: usize) -> Arc<Delivery> {
        self.workers.get(worker).cloned().unwrap_or_default()
    }

    /// Registers all of them under `weir_`.
    pub fn register(&self, registry: &mut Registry) {
        let r = registry;
        r.register(
            "http_connections",
            "Open HTTP connections",
            self.connections.clone(),
        );
        r.register(
            "http_accepted",
            "HTTP connections accepted",
            self.accepted.clone(),
        );
        r.register(
            "http_refused",
            "HTTP connections refused, by the limit they met",
            self.refused.clone(),
        );
        r.register(
            "http_limited",
            "HTTP requests refused because their address sent too many, or waits for too much",
            self.limited.clone(),
        );
        r.register_collector(Box::new(Totals(self.workers.clone())));
        r.register(
            "http_held",
            "Requests waiting for content",
            self.held.clone(),
        );
        r.register(
            "http_stalled",
            "Connections closed for no progress",
            self.stalled.clone(),
        );
        r.register(
            "access_log_dropped",
            "Access-log lines dropped because the log did not take them",
            self.log_dropped.clone(),
        );
        r.register(
            "http_cold_reads",
            "Pieces of segments that were not in the page cache",
            self.cold.clone(),
        );
        r.register("ts_muxed", "TS segments muxed", self.ts_muxed.clone());
        r.register(
            "ts_cached",
            "TS segments found muxed",
            self.ts_cached.clone(),
        );
    }
}
