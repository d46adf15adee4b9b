//! One measurement: one server, one cell, one number of connections.

use super::cells::{Cell, Client};
use super::load::{Load, Target, Waiting};
use super::peer::Peer;
use super::tools;
use crate::usage::{Usage, busy};
use crate::{Result, cores};
use std::path::Path;
use std::time::{Duration, Instant};

/// Before a measurement: caches, socket buffers and branches get warm.
const WARM_UP: Duration = Duration::from_millis(250);

/// When a warm-up ends though not every connection had an answer yet.
const WARM_UP_MAX: Duration = Duration::from_secs(4);

/// After a measurement: the server sees that its connections are gone.
const SETTLE: Duration = Duration::from_millis(50);

/// What was found.
#[derive(Debug, Clone, Copy)]
pub struct Measured {
    /// Requests that were answered; parts of answers count as parts.
    pub requests: f64,
    /// Of the server's processor.
    pub used: Used,
    /// From request to last byte; half of the requests take at most so long.
    pub p50: Duration,
    /// The same of 99 in 100.
    pub p99: Duration,
}

impl Measured {
    /// Microseconds of processor time per request.
    pub fn cost(&self) -> f64 {
        self.used.cpu().as_secs_f64() * 1e6 / self.requests
    }

    /// Requests per second.
    pub fn rate(&self) -> f64 {
        self.requests / self.used.elapsed.as_secs_f64()
    }
}

/// What a server used in a time.
#[derive(Debug, Clone, Copy)]
pub struct Used {
    /// As billed to the process, in ticks.
    pub billed: Duration,
    /// What its threads ran, by schedstat.
    pub run: Duration,
    /// By the clock on the wall.
    pub elapsed: Duration,
    /// What others used of the server's core.
    pub others: Duration,
}

impl Used {
    /// Processor time. Each clock may miss something: schedstat the threads that have ended,
    /// and what is billed a part of a tick.
    pub fn cpu(&self) -> Duration {
        self.billed.max(self.run)
    }

    /// What these processes use while `work` runs.
    pub fn during<T>(pids: &[u32], work: impl FnOnce() -> Result<T>) -> Result<(T, Self)> {
        let (start, busy_before) = (Instant::now(), busy(cores::server())?);
        let before = Usage::of(pids)?;
        let done = work()?;
        let after = Usage::of(pids)?;
        let (elapsed, busy) = (start.elapsed(), busy(cores::server())?);
        let run = after.run.saturating_sub(before.run);
        let used = Self {
            billed: after.billed.saturating_sub(before.billed),
            run,
            elapsed,
            others: busy.saturating_sub(busy_before).saturating_sub(run),
        };
        Ok((done, used))
    }
}

/// Measures `peer` at `target`, for so many seconds.
pub fn measure(
    peer: &Peer,
    target: &Target,
    cell: &Cell,
    connections: usize,
    seconds: u64,
    folder: &Path,
) -> Result<Measured> {
    let pids = peer.pids();
    let measured = match cell.client {
        Client::Own => own(&pids, target, connections, seconds, Waiting::Spin),
        Client::Wrk => {
            let work = || tools::wrk(target, connections, seconds);
            Used::during(&pids, work).map(|(report, used)| with(report, used))
        }
        Client::H2load => {
            let work = || tools::h2load(target, connections, seconds, folder);
            Used::during(&pids, work).map(|(report, used)| with(report, used))
        }
    };
    std::thread::sleep(SETTLE);
    let name = peer.kind.as_str();
    measured.map_err(|e| {
        format!(
            "{cell} at {connections} from {name}: {e}; {}",
            peer.complaints()
        )
    })
}

/// The same with our client.
pub fn own(
    pids: &[u32],
    target: &Target,
    connections: usize,
    seconds: u64,
    waiting: Waiting,
) -> Result<Measured> {
    let mut load = Load::connect(target.clone(), connections, waiting)?;
    load.ask_all()?;
    let (start, mut answers) = (Instant::now(), 0);
    while start.elapsed() < WARM_UP
        || (answers < connections as u64 && start.elapsed() < WARM_UP_MAX)
    {
        answers += load.run_for(WARM_UP)?.answers;
    }
    let work = || load.run_for(Duration::from_secs(seconds));
    let (tally, used) = Used::during(pids, work)?;
    Ok(Measured {
        requests: tally.requests(target.length),
        used,
        p50: tally.latency(0.5),
        p99: tally.latency(0.99),
    })
}

fn with(report: tools::Report, used: Used) -> Measured {
    Measured {
        requests: report.requests,
        used,
        p50: report.p50,
        p99: report.p99,
    }
}
