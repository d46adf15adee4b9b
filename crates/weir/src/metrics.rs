//! Metrics of crates that count without a metrics library.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use std::fmt;
use std::sync::Arc;
use weir_live::{Output, OutputState, OutputStatus, Remotes};
use weir_media::StreamName;
use weir_store::Library;

/// Registers the store's counters and the process's own.
pub fn register(registry: &mut Registry, library: Arc<Library>) {
    registry.register_collector(Box::new(Store(library)));
}

/// Registers what each output does.
pub fn register_outputs(registry: &mut Registry, remotes: &Remotes) {
    let all = remotes.all_outputs();
    let all = all.map(|(name, output)| (name.clone(), output.clone()));
    registry.register_collector(Box::new(Outputs(all.collect())));
}

struct Outputs(Vec<(StreamName, Arc<Output>)>);

impl fmt::Debug for Outputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outputs")
    }
}

impl Collector for Outputs {
    fn encode(&self, mut to: DescriptorEncoder<'_>) -> fmt::Result {
        let all = || {
            self.0.iter().map(|(stream, output)| {
                let labels = [
                    ("stream", stream.as_str()),
                    ("output", output.name.as_str()),
                ];
                (labels, output.status())
            })
        };
        let help = "Whether a server takes the stream";
        let mut live = to.encode_descriptor("output_live", help, None, MetricType::Gauge)?;
        for (labels, status) in all() {
            let is_live = i64::from(status.state == OutputState::Live);
            ConstGauge::new(is_live).encode(live.encode_family(&labels)?)?;
        }
        let mut counter = |name, help, unit, value: fn(OutputStatus) -> u64| {
            let mut counter = to.encode_descriptor(name, help, unit, MetricType::Counter)?;
            for (labels, status) in all() {
                ConstCounter::new(value(status)).encode(counter.encode_family(&labels)?)?;
            }
            Ok(())
        };
        let bytes = Some(&Unit::Bytes);
        counter("output_sent", "Media sent to a server", bytes, |s| s.sent)?;
        let help = "Times that a server lagged and was moved on";
        counter("output_skips", help, None, |s| s.skips)
    }
}

struct Store(Arc<Library>);

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Store")
    }
}

impl Collector for Store {
    fn encode(&self, mut to: DescriptorEncoder<'_>) -> fmt::Result {
        let stats = self.0.stats();
        let mut counter = |name, help, unit: Option<&Unit>, value: u64| {
            let encoder = to.encode_descriptor(name, help, unit, MetricType::Counter)?;
            ConstCounter::new(value).encode(encoder)
        };
        counter("store_appends", "Appends completed", None, stats.appends)?;
        let bytes = Some(&Unit::Bytes);
        counter(
            "store_appended",
            "Appended to logs",
            bytes,
            stats.append_bytes,
        )?;
        counter(
            "store_append_errors",
            "Appends that failed",
            None,
            stats.append_errors,
        )?;
        counter("store_segments", "Segments listed", None, stats.segments)?;
        let help = "Segments listed before their append completed";
        counter(
            "store_segments_unstored",
            help,
            None,
            stats.segments_unstored,
        )?;
        let help = "Broadcasts whose recording stopped early";
        counter(
            "store_recordings_stopped",
            help,
            None,
            stats.recordings_stopped,
        )?;
        counter("store_syncs", "Syncs at segment ends", None, stats.syncs)?;
        counter(
            "store_files_deleted",
            "Files deleted by retention",
            None,
            stats.files_deleted,
        )?;
        let help = "Waiting to be appended";
        let encoder = to.encode_descriptor("store_queue", help, bytes, MetricType::Gauge)?;
        ConstGauge::new(i64::try_from(stats.queue_bytes).unwrap_or(i64::MAX)).encode(encoder)
    }
}
