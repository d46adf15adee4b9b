//! What a frame costs a worker from the socket to the log: a publisher on loopback sends 5 Mbit/s
//! of video and AAC as fast as they are taken. Figures are processor time of the worker's thread,
//! kernel work for its socket included; the log is in memory where there is such a directory.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "../tests/common/mod.rs"]
mod common;

use common::Publisher;
use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use weir_auth::Policy;
use weir_live::{Live, Shared, clock};
use weir_ring::{Config, Runtime};
use weir_store::DiskSpace;

/// Frames that are sent before the measurement: files are made, tracks are settled.
const WARM_UP: u64 = 400;

/// Frames of an iteration, ten seconds of media: a stream begins and ends with each sample, which
/// must not be all that is done.
const FRAMES: u64 = 770;

/// Bytes that may wait for the log between rounds: sent without a pause, they would grow past
/// what the store lets wait.
const BEHIND_MAX: u64 = 4 << 20;

/// How often it is looked whether all frames have come.
const LOOK: Duration = Duration::from_micros(200);

/// Processor time that this thread has used.
fn spent() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let nanos = text.split(' ').next().and_then(|n| n.parse().ok());
    Duration::from_nanos(nanos.unwrap())
}

/// Takes `rounds` times [`FRAMES`] of a new stream.
async fn publish(shared: &Arc<Shared>, server: SocketAddr, rounds: u64) -> Duration {
    let frames = &shared.counters.frames;
    let (start, stream) = (frames.get(), shared.counters.published.get());
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let publisher = std::thread::spawn(move || {
        let mut publisher = Publisher::connect(server, &format!("s{stream}")).unwrap();
        publisher.configure();
        publisher.frames(WARM_UP);
        // It stays until everything was taken.
        while gone.recv().is_ok() {
            publisher.frames(FRAMES);
        }
    });
    let taken = async |all| {
        let is_behind = || shared.library.stats().queue_bytes > BEHIND_MAX;
        while frames.get() < start + all || is_behind() {
            weir_ring::sleep(LOOK).await;
        }
    };
    taken(WARM_UP).await;
    let before = spent();
    for round in 1..=rounds {
        go.send(()).unwrap();
        taken(WARM_UP + round * FRAMES).await;
    }
    let spent = spent() - before;
    drop(go);
    publisher.join().unwrap();
    // Without a grace time the stream ends, and what was recorded makes room.
    while shared.counters.streams.get() > 0 {
        weir_ring::sleep(LOOK).await;
    }
    let full = DiskSpace {
        free: 0,
        total: u64::MAX,
    };
    shared.library.retain(clock::now(), full);
    assert_eq!(shared.library.stats().recordings_stopped, 0);
    spent
}

fn ingest(c: &mut Criterion) {
    let dir = common::temp_dir();
    let policy = Policy::new(true, Vec::new()).unwrap();
    let (shared, mut handoffs) = common::shared(dir.path(), policy, 1);
    let mut runtime = Runtime::new(Config::default()).unwrap();
    let server = runtime.block_on(async {
        let live = Live::new(shared.clone(), 0);
        live.start(handoffs.remove(0));
        common::listen(live)
    });
    let mut group = c.benchmark_group("ingest");
    group.sample_size(10);
    group.warm_up_time(Duration::from_secs(1));
    group.measurement_time(Duration::from_secs(2));
    group.sampling_mode(SamplingMode::Flat);
    group.throughput(Throughput::Elements(FRAMES));
    group.bench_function("frames", |b| {
        b.iter_custom(|rounds| runtime.block_on(publish(&shared, server, rounds)));
    });
    group.finish();
}

criterion_group!(benches, ingest);
criterion_main!(benches);
