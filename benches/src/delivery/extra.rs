//! What is not a cell: memory of idle connections, and two workers against one.

use super::Bench;
use super::cells::{Body, SEGMENTS};
use super::load::{Load, Target, Waiting};
use super::measure::{self, Measured};
use super::peer::{Kind, Peer};
use super::report::Raw;
use crate::Result;
use crate::table::{Series, Table, verdict};
use crate::usage::Memory;
use std::time::Duration;

/// Connections that are kept without a request.
const IDLE: usize = 10_000;

/// Bytes of user memory that each may take in weir.
const IDLE_BYTES_MAX: f64 = 1024.0;

/// What two workers deliver at least, in units of one.
const CORES_MIN: f64 = 1.9;

/// Connections for it.
const CORES_CONNECTIONS: usize = 256;

/// After the last answer, so that both have tidied up.
const QUIET: Duration = Duration::from_millis(500);

/// Memory of fresh servers with connections that had an answer each and then are idle.
pub fn idle(bench: &Bench<'_>) -> Result<()> {
    let mut table = Table::new(&["server", "RSS", "RssAnon", "at most", ""]);
    let (weir, files) = bench.weir(1)?;
    let nginx = bench.nginx(&files)?;
    for peer in [weir, nginx] {
        let first = SEGMENTS.first().copied().unwrap_or_default();
        let target = bench.target(&peer, &files, Body::Segment(first), false)?;
        // What the first request of all needs is not a connection's.
        let mut one = Load::connect(target.clone(), 1, Waiting::Spin)?;
        one.ask_all()?;
        one.finish()?;
        drop(one);
        std::thread::sleep(QUIET);
        let before = Memory::of(&peer.pids())?;
        let mut load = Load::connect(target, IDLE, Waiting::Spin)?;
        load.ask_all()?;
        load.finish()?;
        std::thread::sleep(QUIET);
        let after = Memory::of(&peer.pids())?;
        let each = |after: u64, before: u64| after.saturating_sub(before) as f64 / IDLE as f64;
        let resident = each(after.resident, before.resident);
        let (limit, reached) = match peer.kind {
            Kind::Weir => (
                format!("{IDLE_BYTES_MAX:.0}"),
                verdict(resident <= IDLE_BYTES_MAX),
            ),
            Kind::Nginx => (String::new(), ""),
        };
        table.row(&[
            peer.kind.as_str().into(),
            format!("{resident:.0}"),
            format!("{:.0}", each(after.anonymous, before.anonymous)),
            limit,
            reached.into(),
        ]);
    }
    table.print(&format!(
        "http: bytes of user memory per idle connection, {IDLE} that had an answer each, over \
         the server before them"
    ));
    Ok(())
}

/// Two workers on two cores against one on one. The client has no third core, so it shares:
/// one thread of it on each core that the server has, with half of the connections, in both
/// cases. What counts is the throughput of server and client together.
pub fn cores(bench: &Bench<'_>, raw: &mut Raw) -> Result<()> {
    let bodies = SEGMENTS.map(Body::Segment);
    let mut found = vec![(Vec::new(), Vec::new()); bodies.len()];
    for pair in 0..bench.options.pairs.max(1) {
        for workers in [1, 2] {
            let (peer, files) = bench.weir(workers)?;
            for (body, (one, two)) in bodies.into_iter().zip(&mut found) {
                let target = bench.target(&peer, &files, body, false)?;
                let measured = share(bench, &peer, &target, workers)
                    .map_err(|e| format!("{e}; {}", peer.complaints()))?;
                let name = format!("cores-{}k", target.length / 1024);
                let server = format!("weir-{workers}");
                raw.add(&name, CORES_CONNECTIONS, pair + 1, &server, &measured)?;
                if workers == 1 { one } else { two }.push(measured);
            }
        }
    }
    let mut table = Table::new(&["body", "1 core /s", "2 cores /s", "ratio", "at least", ""]);
    for (size, (one, two)) in SEGMENTS.into_iter().zip(found) {
        let rate = |runs: &[Measured]| runs.iter().map(Measured::rate).collect::<Series>();
        let (one, two) = (rate(&one), rate(&two));
        let times = two.over(&one);
        table.row(&[
            format!("{} KiB", size / 1024),
            one.show(0),
            two.show(0),
            times.show(2),
            format!("{CORES_MIN}"),
            verdict(times.median() >= CORES_MIN).into(),
        ]);
    }
    table.print(&format!(
        "http: weir on two cores against one, {CORES_CONNECTIONS} connections, a thread of the \
         client on each core of the server: requests per second"
    ));
    Ok(())
}

/// A client's thread on each of the server's cores. The latencies are the slower thread's.
fn share(bench: &Bench<'_>, peer: &Peer, target: &Target, workers: usize) -> Result<Measured> {
    let pids = peer.pids();
    let cores = [crate::cores::server(), crate::cores::client()];
    let on = |core: usize| {
        let (pids, target) = (&pids, target);
        move || {
            crate::cores::pin(core)?;
            let connections = CORES_CONNECTIONS / workers;
            measure::own(pids, target, connections, bench.seconds, Waiting::Sleep)
        }
    };
    let found = std::thread::scope(|scope| {
        let threads = cores.into_iter().take(workers);
        let threads: Vec<_> = threads.map(|core| scope.spawn(on(core))).collect();
        let joined = threads.into_iter().map(|thread| match thread.join() {
            Ok(found) => found,
            Err(_) => Err("a client panicked".into()),
        });
        joined.collect::<Result<Vec<Measured>>>()
    })?;
    let sum = found.iter().copied().reduce(|a, b| Measured {
        requests: a.requests + b.requests,
        p50: a.p50.max(b.p50),
        p99: a.p99.max(b.p99),
        used: a.used,
    });
    sum.ok_or_else(|| "the server has no core".into())
}
