//! What is counted of SRT.

use prometheus_client::encoding::{EncodeLabelSet, LabelSetEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use std::fmt;
use weir_srt::{Reason, Stats};

/// Counters of all SRT connections. Cloning shares them.
#[derive(Debug, Clone, Default)]
pub struct Counters {
    /// Connections that are open.
    pub connections: Gauge,
    /// Calls refused, by the code on the wire.
    pub refused: Family<Code, Counter>,
    /// Datagrams that are nobody's.
    pub ignored: Counter,
    /// Packets received, each once.
    pub received: Counter,
    /// Bytes in them.
    pub received_bytes: Counter,
    /// Packets that were missing, and asked for.
    pub receive_lost: Counter,
    /// Packets that did not come in time.
    pub receive_dropped: Counter,
    /// Packets that could not be decrypted.
    pub undecrypted: Counter,
    /// Packets sent, each once.
    pub sent: Counter,
    /// Bytes in them.
    pub sent_bytes: Counter,
    /// Packets sent again.
    pub retransmitted: Counter,
    /// Packets given up, because they would come too late.
    pub send_dropped: Counter,
}

/// A rejection as the label `code`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Code(pub u32);

impl EncodeLabelSet for Code {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        [("code", self.0)].encode(encoder)
    }
}

impl Counters {
    pub(crate) fn register(&self, r: &mut Registry) {
        let counters = [
            (
                "srt_ignored_datagrams",
                "Datagrams that are nobody's",
                &self.ignored,
            ),
            (
                "srt_received_packets",
                "Packets received, each once",
                &self.received,
            ),
            (
                "srt_receive_lost_packets",
                "Packets that were missing",
                &self.receive_lost,
            ),
            (
                "srt_receive_dropped_packets",
                "Packets that did not come in time",
                &self.receive_dropped,
            ),
            (
                "srt_undecrypted_packets",
                "Packets that could not be decrypted",
                &self.undecrypted,
            ),
            ("srt_sent_packets", "Packets sent, each once", &self.sent),
            (
                "srt_retransmitted_packets",
                "Packets sent again",
                &self.retransmitted,
            ),
            (
                "srt_send_dropped_packets",
                "Packets given up, as too late",
                &self.send_dropped,
            ),
        ];
        for (name, help, counter) in counters {
            r.register(name, help, counter.clone());
        }
        r.register(
            "srt_connections",
            "Open SRT connections",
            self.connections.clone(),
        );
        r.register(
            "srt_refused",
            "SRT calls refused, by the code on the wire",
            self.refused.clone(),
        );
        for (name, help, counter) in [
            ("srt_received", "Received over SRT", &self.received_bytes),
            ("srt_sent", "Sent over SRT", &self.sent_bytes),
        ] {
            r.register_with_unit(name, help, Unit::Bytes, counter.clone());
        }
    }

    pub(crate) fn refuse(&self, reason: Reason) {
        // Ours and the protocol's: a bounded set.
        let code = Code(reason.0.saturating_add(1000));
        self.refused.get_or_create(&code).inc();
    }

    /// Adds what a connection did since `before`.
    pub(crate) fn add(&self, before: &Stats, now: &Stats) {
        for (counter, before, now) in [
            (
                &self.received,
                before.received_packets,
                now.received_packets,
            ),
            (
                &self.received_bytes,
                before.received_bytes,
                now.received_bytes,
            ),
            (
                &self.receive_lost,
                before.receive_lost_packets,
                now.receive_lost_packets,
            ),
            (
                &self.receive_dropped,
                before.receive_dropped_packets,
                now.receive_dropped_packets,
            ),
            (
                &self.undecrypted,
                before.undecrypted_packets,
                now.undecrypted_packets,
            ),
            (&self.sent, before.sent_packets, now.sent_packets),
            (&self.sent_bytes, before.sent_bytes, now.sent_bytes),
            (
                &self.retransmitted,
                before.retransmitted_packets,
                now.retransmitted_packets,
            ),
            (
                &self.send_dropped,
                before.send_dropped_packets,
                now.send_dropped_packets,
            ),
        ] {
            counter.inc_by(now.saturating_sub(before));
        }
    }
}
