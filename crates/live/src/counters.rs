//! What this crate counts.

use crate::health::FaultLabel;
use crate::reasons::{
    Closed, DatumLabel, Happened, PlayRefused, Protocol, Refused, RemoteFailure, SwitchReason,
    ViewerClosed,
};
use crate::remote::Failure;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use std::hash::Hash;
use weir_hub::doctor::Fault;

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
    /// Data with a time taken into streams, by kind.
    pub data: Family<DatumLabel, Counter>,
    /// Segments closed, all tracks.
    pub segments: Counter,
    /// Failures of connections to sources, by reason.
    pub pull_failures: Family<RemoteFailure, Counter>,
    /// Bytes received of transport streams, over UDP and RTP.
    pub ts_received: Counter,
    /// Packets of RTP that never came.
    pub rtp_lost: Counter,
    /// Packets of RTP recovered by forward error correction.
    pub rtp_recovered: Counter,
    /// Datagrams dropped because another sender has their port.
    pub ts_foreign: Counter,
    /// What happens over SRT.
    pub srt: crate::srt::Counters,
    /// Viewers of live frames there are, by protocol.
    pub viewers: Family<Protocol, Gauge>,
    /// Bytes given to viewers of live frames, by protocol.
    pub viewers_sent: Family<Protocol, Counter>,
    /// Times that a viewer who lagged was moved on to a later random access point.
    pub viewer_skips: Counter,
    /// Viewers let go, by reason.
    pub viewers_closed: Family<ViewerClosed, Counter>,
    /// Play requests refused, by reason.
    pub play_refused: Family<PlayRefused, Counter>,
    /// Streams that have a fault now, by fault.
    pub findings: Family<FaultLabel, Gauge>,
    /// Times that another input of a stream was taken, by reason.
    pub input_switches: Family<SwitchReason, Counter>,
    /// Failures of connections to outputs, by reason.
    pub output_failures: Family<RemoteFailure, Counter>,
}

/// One viewer among those counted; no longer when it is dropped.
#[derive(Debug)]
pub struct Viewer {
    here: Gauge,
    sent: Counter,
    counters: Counters,
}

impl Viewer {
    pub(crate) fn sent(&self, bytes: usize) {
        if bytes > 0 {
            self.sent.inc_by(bytes as u64);
        }
    }

    pub(crate) fn skipped(&self, times: u64) {
        if times > 0 {
            self.counters.viewer_skips.inc_by(times);
        }
    }

    pub(crate) fn closed(&self, why: ViewerClosed) {
        self.counters.viewers_closed.get_or_create(&why).inc();
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.here.dec();
    }
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
        r.register(
            "pull_failures",
            "Failures of connections to sources",
            self.pull_failures.clone(),
        );
        r.register(
            "stream_findings",
            "Streams whose publisher has a fault now",
            self.findings.clone(),
        );
        r.register(
            "output_failures",
            "Failures of connections to outputs",
            self.output_failures.clone(),
        );
        self.register_transport(r);
        self.srt.register(r);
        self.register_streams(r);
        self.register_viewers(r);
    }

    fn register_transport(&self, r: &mut Registry) {
        r.register_with_unit(
            "ts_received",
            "Received of transport streams over UDP and RTP",
            Unit::Bytes,
            self.ts_received.clone(),
        );
        r.register(
            "rtp_lost_packets",
            "Packets of RTP that never came",
            self.rtp_lost.clone(),
        );
        r.register(
            "rtp_recovered_packets",
            "Packets of RTP recovered by forward error correction",
            self.rtp_recovered.clone(),
        );
        r.register(
            "ts_foreign_datagrams",
            "Datagrams dropped because another sender has their port",
            self.ts_foreign.clone(),
        );
    }

    fn register_streams(&self, r: &mut Registry) {
        r.register(
            "input_switches",
            "Times that another input of a stream was taken, by reason",
            self.input_switches.clone(),
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
            "stream_data",
            "Data with a time taken into streams, by kind",
            self.data.clone(),
        );
    }

    fn register_viewers(&self, r: &mut Registry) {
        r.register(
            "live_viewers",
            "Viewers of live frames, by protocol",
            self.viewers.clone(),
        );
        r.register_with_unit(
            "live_sent",
            "Given to viewers of live frames, by protocol",
            Unit::Bytes,
            self.viewers_sent.clone(),
        );
        r.register(
            "live_viewer_skips",
            "Times that a viewer who lagged was moved on",
            self.viewer_skips.clone(),
        );
        r.register(
            "live_viewers_closed",
            "Viewers of live frames let go, by reason",
            self.viewers_closed.clone(),
        );
        r.register(
            "play_refused",
            "Play requests refused, by reason",
            self.play_refused.clone(),
        );
    }

    pub(crate) fn fault(&self, fault: Fault) -> Gauge {
        self.findings.get_or_create(&FaultLabel(fault)).clone()
    }

    /// Counts a viewer as there while the value lives.
    pub(crate) fn viewer(&self, protocol: Protocol) -> Viewer {
        let here = self.viewers.get_or_create(&protocol).clone();
        here.inc();
        Viewer {
            here,
            sent: self.viewers_sent.get_or_create(&protocol).clone(),
            counters: self.clone(),
        }
    }

    pub(crate) fn pull_failed(&self, failure: &Failure) {
        self.pull_failures.get_or_create(&failure.reason()).inc();
    }

    pub(crate) fn refuse_play(&self, reason: PlayRefused) {
        self.play_refused.get_or_create(&reason).inc();
    }

    pub(crate) fn output_failed(&self, failure: &Failure) {
        self.output_failures.get_or_create(&failure.reason()).inc();
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
            data: at_zero(DatumLabel::ALL),
            segments: Counter::default(),
            pull_failures: at_zero(RemoteFailure::ALL),
            ts_received: Counter::default(),
            srt: crate::srt::Counters::default(),
            ts_foreign: Counter::default(),
            rtp_lost: Counter::default(),
            rtp_recovered: Counter::default(),
            viewers: at_zero(Protocol::ALL),
            viewers_sent: at_zero(Protocol::ALL),
            viewer_skips: Counter::default(),
            viewers_closed: at_zero(ViewerClosed::ALL),
            play_refused: at_zero(PlayRefused::ALL),
            findings: at_zero(&FaultLabel::ALL),
            input_switches: at_zero(&SwitchReason::ALL),
            output_failures: at_zero(RemoteFailure::ALL),
        }
    }
}

/// A family with a metric for each of `reasons`.
fn at_zero<R, M>(reasons: &[R]) -> Family<R, M>
where
    R: Copy + Eq + Hash,
    M: Default,
{
    let family = Family::<R, M>::default();
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
        let known = Closed::ALL.len()
            + Refused::ALL.len()
            + Happened::ALL.len()
            + 2 * RemoteFailure::ALL.len()
            + SwitchReason::ALL.len();
        let of_viewers = ViewerClosed::ALL.len() + PlayRefused::ALL.len();
        assert_eq!(
            labelled,
            known + of_viewers,
            "the words of each are different"
        );
    }
}
