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

/// Two workers on both cores against one. The client has to share the cores with two, so
/// throughput would measure the client: what counts is the processor time per request, and
/// two workers deliver twice what one does if it stays the same.
pub fn cores(bench: &Bench<'_>, raw: &mut Raw) -> Result<()> {
    let bodies = SEGMENTS.map(Body::Segment);
    let mut found = vec![(Vec::new(), Vec::new()); bodies.len()];
    for pair in 0..bench.options.pairs.max(1) {
        for workers in [1, 2] {
            let (peer, files) = bench.weir(workers)?;
            for (body, (one, two)) in bodies.into_iter().zip(&mut found) {
                let target = bench.target(&peer, &files, body, false)?;
                let measured = share(bench, &peer, &target, workers)?;
                let name = format!("cores-{}k", target.length / 1024);
                let server = format!("weir-{workers}");
                raw.add(&name, CORES_CONNECTIONS, pair + 1, &server, &measured)?;
                if workers == 1 { one } else { two }.push(measured);
            }
        }
    }
    let mut table = Table::new(&[
        "body",
        "1 worker us",
        "2 workers us",
        "2 deliver",
        "at least",
        "",
    ]);
    for (size, (one, two)) in SEGMENTS.into_iter().zip(found) {
        let cost = |runs: &[Measured]| runs.iter().map(Measured::cost).collect::<Series>();
        let (one, two) = (cost(&one), cost(&two));
        let times = one.over(&two).scaled(2.0);
        table.row(&[
            format!("{} KiB", size / 1024),
            one.show(2),
            two.show(2),
            times.show(2),
            format!("{CORES_MIN}"),
            verdict(times.median() >= CORES_MIN).into(),
        ]);
    }
    table.print(&format!(
        "http: two workers against one, {CORES_CONNECTIONS} connections: processor time per \
         request, and twice its ratio"
    ));
    Ok(())
}

/// With one worker the client has a core of its own; with two it lets the workers go first.
fn share(bench: &Bench<'_>, peer: &Peer, target: &Target, workers: usize) -> Result<Measured> {
    if workers > 1 {
        crate::cores::unpin()?;
    }
    let pids = peer.pids();
    let seconds = bench.seconds;
    let found = measure::own(&pids, target, CORES_CONNECTIONS, seconds, Waiting::Sleep);
    crate::cores::pin(crate::cores::client())?;
    found.map_err(|e| format!("{e}; {}", peer.complaints()))
}
