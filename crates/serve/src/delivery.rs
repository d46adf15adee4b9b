//! What one worker delivered, counted without sharing a cache line with another worker.

use crate::limits::{STATUS_MAX, STREAMS_COUNTED_MAX};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use weir_http::Status;
use weir_media::StreamName;

/// How a body left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    /// There was none.
    None,
    /// One gather send from memory.
    Gather,
    /// `sendfile(2)` from the log.
    Sendfile,
    /// Read from the log and encrypted.
    Sealed,
}

const WAYS: [(Way, &str); 4] = [
    (Way::None, "none"),
    (Way::Gather, "gather"),
    (Way::Sendfile, "sendfile"),
    (Way::Sealed, "sealed"),
];

/// Upper bounds of the classes of body size, in bytes; the last class has none.
const SIZES: [(u64, &str); 7] = [
    (0, "0"),
    (4 << 10, "4KiB"),
    (16 << 10, "16KiB"),
    (64 << 10, "64KiB"),
    (512 << 10, "512KiB"),
    (2 << 20, "2MiB"),
    (u64::MAX, "+Inf"),
];

/// Upper bounds of the histogram of times to the first byte, in microseconds.
const FIRST_BYTE_US: [u64; 15] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000,
    2_500_000, 10_000_000,
];

/// Answers of one status, by class of size and way.
type Answers = [[AtomicU64; WAYS.len()]; SIZES.len()];

/// One worker's counts. Written by that worker, read by whoever asks for the metrics.
#[derive(Debug, Default)]
pub struct Delivery {
    /// The statuses seen, in the order they were; 0 is a place still free.
    statuses: [AtomicU16; STATUS_MAX],
    answers: [Answers; STATUS_MAX],
    sent: AtomicU64,
    first_byte: [AtomicU64; FIRST_BYTE_US.len() + 1],
    first_byte_us: AtomicU64,
    streams: Mutex<HashMap<StreamName, Arc<StreamDelivery>>>,
}

/// What one worker delivered of one stream.
#[derive(Debug, Default)]
pub(crate) struct StreamDelivery {
    sent: AtomicU64,
    /// Connections whose last request was for it.
    connections: AtomicI64,
}

/// Only the owner writes, so this needs no locked instruction.
fn add(counter: &AtomicU64, n: u64) {
    let value = counter.load(Ordering::Relaxed);
    counter.store(value.wrapping_add(n), Ordering::Relaxed);
}

impl Delivery {
    /// Notes an answer of which `body` bytes, and `all` with its head, were handed to the kernel.
    pub(crate) fn answered(&self, status: Status, way: Way, body: u64, all: u64) {
        add(&self.sent, all);
        let class = SIZES.iter().position(|(max, _)| body <= *max).unwrap_or(0);
        let code = status.code();
        for (place, answers) in self.statuses.iter().zip(&self.answers) {
            match place.load(Ordering::Relaxed) {
                0 => place.store(code, Ordering::Relaxed),
                known if known == code => {}
                _ => continue,
            }
            return add(&answers[class][way as usize], 1);
        }
    }

    /// Notes bytes of an answer that has no end yet.
    pub(crate) fn sent(&self, bytes: u64) {
        add(&self.sent, bytes);
    }

    /// Notes how long a request took from its head to the first byte of its answer.
    pub(crate) fn first_byte(&self, after: Duration) {
        let us = u64::try_from(after.as_micros()).unwrap_or(u64::MAX);
        let bucket = FIRST_BYTE_US.partition_point(|max| *max < us);
        add(&self.first_byte[bucket], 1);
        add(&self.first_byte_us, us);
    }

    fn streams(&self) -> MutexGuard<'_, HashMap<StreamName, Arc<StreamDelivery>>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The counts of a stream; what is over the limit is counted nowhere. Asked for when a
    /// connection turns to another stream.
    pub(crate) fn stream(&self, name: &StreamName) -> Arc<StreamDelivery> {
        let mut streams = self.streams();
        if let Some(known) = streams.get(name) {
            return Arc::clone(known);
        }
        let new = Arc::<StreamDelivery>::default();
        if streams.len() >= STREAMS_COUNTED_MAX {
            // Their totals begin anew, as after a restart, if they are watched again.
            streams.retain(|_, s| s.connections.load(Ordering::Relaxed) > 0);
        }
        if streams.len() < STREAMS_COUNTED_MAX {
            streams.insert(name.clone(), Arc::clone(&new));
        }
        new
    }
}

impl StreamDelivery {
    pub(crate) fn sent(&self, bytes: u64) {
        add(&self.sent, bytes);
    }
}

/// One connection's place among those of a stream.
#[derive(Debug)]
pub(crate) struct Watching {
    name: StreamName,
    pub(crate) stream: Arc<StreamDelivery>,
}

impl Watching {
    pub(crate) fn new(delivery: &Delivery, name: &StreamName) -> Self {
        let stream = delivery.stream(name);
        stream.connections.fetch_add(1, Ordering::Relaxed);
        Self {
            name: name.clone(),
            stream,
        }
    }

    pub(crate) fn is_of(&self, name: &StreamName) -> bool {
        self.name == *name
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.stream.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Writes the counts of all workers, added up.
#[derive(Debug)]
pub(crate) struct Totals(pub(crate) Vec<Arc<Delivery>>);

impl Collector for Totals {
    fn encode(&self, mut to: DescriptorEncoder<'_>) -> fmt::Result {
        self.requests(&mut to)?;
        let sum = |of: fn(&Delivery) -> &AtomicU64| -> u64 {
            self.0.iter().map(|d| of(d).load(Ordering::Relaxed)).sum()
        };
        let bytes = Some(&Unit::Bytes);
        let help = "Sent over HTTP";
        let encoder = to.encode_descriptor("http_sent", help, bytes, MetricType::Counter)?;
        ConstCounter::new(sum(|d| &d.sent)).encode(encoder)?;
        self.first_bytes(&mut to, sum(|d| &d.first_byte_us))?;
        self.streams(&mut to)
    }
}

impl Totals {
    fn requests(&self, to: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mut requests = BTreeMap::<(u16, usize, usize), u64>::new();
        for delivery in &self.0 {
            for (place, answers) in delivery.statuses.iter().zip(&delivery.answers) {
                let status = place.load(Ordering::Relaxed);
                for (size, ways) in answers.iter().enumerate() {
                    for (way, count) in ways.iter().enumerate() {
                        let count = count.load(Ordering::Relaxed);
                        if count > 0 {
                            *requests.entry((status, size, way)).or_default() += count;
                        }
                    }
                }
            }
        }
        let help =
            "HTTP requests answered, by status, largest size of the class of the body, and way out";
        let mut family = to.encode_descriptor("http_requests", help, None, MetricType::Counter)?;
        for ((status, size, way), count) in requests {
            let labels = [
                ("status", status.to_string()),
                ("size", SIZES[size].1.to_owned()),
                ("way", WAYS[way].1.to_owned()),
            ];
            ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn first_bytes(&self, to: &mut DescriptorEncoder<'_>, sum_us: u64) -> fmt::Result {
        let mut buckets = Vec::with_capacity(FIRST_BYTE_US.len() + 1);
        let mut all = 0;
        for i in 0..=FIRST_BYTE_US.len() {
            let of_all = self
                .0
                .iter()
                .map(|d| d.first_byte[i].load(Ordering::Relaxed));
            let count: u64 = of_all.sum();
            all += count;
            let bound = FIRST_BYTE_US.get(i).map_or(f64::MAX, |us| *us as f64 / 1e6);
            buckets.push((bound, count));
        }
        let help = "From a request's head to the first byte of its answer";
        let unit = Some(&Unit::Seconds);
        let mut encoder =
            to.encode_descriptor("http_first_byte", help, unit, MetricType::Histogram)?;
        encoder.encode_histogram::<[(&str, &str); 0]>(sum_us as f64 / 1e6, all, &buckets, None)
    }

    fn streams(&self, to: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mut streams = BTreeMap::<StreamName, (u64, i64)>::new();
        for delivery in &self.0 {
            for (name, stream) in delivery.streams().iter() {
                let total = streams.entry(name.clone()).or_default();
                total.0 += stream.sent.load(Ordering::Relaxed);
                total.1 += stream.connections.load(Ordering::Relaxed);
            }
        }
        let (bytes, help) = (Some(&Unit::Bytes), "Sent over HTTP, by stream");
        let mut family =
            to.encode_descriptor("http_stream_sent", help, bytes, MetricType::Counter)?;
        for (name, (sent, _)) in &streams {
            let labels = [("stream", name.as_str())];
            ConstCounter::new(*sent).encode(family.encode_family(&labels)?)?;
        }
        let help = "Open connections whose last request was for the stream";
        let mut family =
            to.encode_descriptor("http_stream_connections", help, None, MetricType::Gauge)?;
        for (name, (_, connections)) in &streams {
            let labels = [("stream", name.as_str())];
            ConstGauge::new(*connections).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::registry::Registry;

    fn text(deliveries: Vec<Arc<Delivery>>) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Totals(deliveries)));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        text
    }

    #[test]
    fn workers_are_added_up() {
        let workers: Vec<_> = (0..2).map(|_| Arc::<Delivery>::default()).collect();
        let name = StreamName::parse("cam").unwrap();
        for worker in &workers {
            worker.answered(Status::Ok, Way::Sendfile, 65_536, 65_800);
            worker.answered(Status::NotFound, Way::Gather, 20, 300);
            worker.first_byte(Duration::from_micros(60));
            worker.stream(&name).sent(7);
        }
        let watching = Watching::new(&workers[0], &name);
        assert!(watching.is_of(&name));
        let out = text(workers.clone());
        let lines = [
            "http_requests_total{status=\"200\",size=\"64KiB\",way=\"sendfile\"} 2",
            "http_requests_total{status=\"404\",size=\"4KiB\",way=\"gather\"} 2",
            "http_sent_bytes_total 132200",
            "http_first_byte_seconds_count 2",
            "http_first_byte_seconds_bucket{le=\"0.0001\"} 2",
            "http_stream_sent_bytes_total{stream=\"cam\"} 14",
            "http_stream_connections{stream=\"cam\"} 1",
        ];
        for line in lines {
            assert!(out.lines().any(|l| l == line), "{line} is not in\n{out}");
        }
        drop(watching);
        assert!(text(workers).contains("http_stream_connections{stream=\"cam\"} 0"));
    }

    #[test]
    fn streams_are_bounded_and_those_watched_stay() {
        let delivery = Delivery::default();
        let kept = StreamName::parse("kept").unwrap();
        let _watching = Watching::new(&delivery, &kept);
        for i in 0..STREAMS_COUNTED_MAX + 10 {
            delivery.stream(&StreamName::parse(&format!("s{i}")).unwrap());
        }
        let streams = delivery.streams();
        assert!(streams.len() <= STREAMS_COUNTED_MAX && streams.contains_key(&kept));
    }
}
