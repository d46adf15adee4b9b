//! What this crate counts.

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use weir_http::Status;

/// How a body left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Way {
    /// There was none.
    None,
    /// One gather send from memory.
    Gather,
    /// `sendfile(2)` from the log.
    Sendfile,
}

/// Labels of an answered request.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// How the body left.
    pub way: Way,
}

/// Counters of all workers. Cloning shares them.
#[derive(Debug, Clone, Default)]
pub struct Counters {
    /// HTTP connections that are open.
    pub connections: Gauge,
    /// HTTP connections accepted.
    pub accepted: Counter,
    /// Requests answered.
    pub requests: Family<Answer, Counter>,
    /// Bytes of heads and bodies handed to the kernel.
    pub sent: Counter,
    /// Requests that wait for content.
    pub held: Gauge,
    /// Connections closed because the peer took nothing, or sent half a head.
    pub stalled: Counter,
    /// TS segments muxed.
    pub ts_muxed: Counter,
    /// TS segments found muxed.
    pub ts_cached: Counter,
}

impl Counters {
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
            "http_requests",
            "HTTP requests answered",
            self.requests.clone(),
        );
        r.register_with_unit(
            "http_sent",
            "Sent over HTTP",
            Unit::Bytes,
            self.sent.clone(),
        );
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
        r.register("ts_muxed", "TS segments muxed", self.ts_muxed.clone());
        r.register(
            "ts_cached",
            "TS segments found muxed",
            self.ts_cached.clone(),
        );
    }

    pub(crate) fn answered(&self, status: Status, way: Way, bytes: u64) {
        self.requests
            .get_or_create(&Answer {
                status: status.code(),
                way,
            })
            .inc();
        self.sent.inc_by(bytes);
    }
}
