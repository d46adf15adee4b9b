//! Processor and memory per viewer of frames as they come, weir and nginx-rtmp in alternating
//! pairs; and from the sending of a picture to its arrival.

mod players;
pub mod stamp;

use crate::clip::Clip;
use crate::publisher::Load;
use crate::server::{Kind, Purpose, Server};
use crate::table::{Series, Table, verdict};
use crate::usage::{Memory, Usage, busy};
use crate::{Options, Result, cores};
use players::{Players, Protocol};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Bit rate of the video.
const BIT_RATE: u64 = 2_000_000;

/// Seconds between keyframes.
const GOP_SECONDS: u64 = 2;

/// Seconds of a measurement unless `--seconds` says otherwise.
const SECONDS: u64 = 10;

/// Viewers at a time, rising within a run.
const PLAYERS: [usize; 2] = [200, 1000];

/// Viewers where the time to them is measured.
const FEW: usize = 10;

/// Of all viewers, those that look at what they get.
const LOOKING: usize = 8;

/// Viewers that connect at a time.
const CONNECTING: usize = 50;

/// From the last new viewer to the measurement: three groups of pictures, and more than a viewer may
/// lag.
const SETTLE: Duration = Duration::from_secs(3 * GOP_SECONDS);

/// What may be held for a viewer that keeps up, in bytes.
const VIEWER_BYTES_MAX: f64 = 8192.0;

/// weir's share of nginx-rtmp's processor time that is promised.
const RATIO_MAX: f64 = 0.5;

/// What is measured.
#[derive(Debug, Clone, Copy)]
struct Case {
    name: &'static str,
    kind: Kind,
    protocol: Protocol,
    /// weir's merge time.
    merge: &'static str,
    /// What a viewer may cost at most, in percent of a core, with the most of them.
    cost_max: Option<f64>,
    /// How late a picture may be at most.
    late_max: Option<f64>,
}

/// nginx-rtmp first: the others are compared with it.
const CASES: [Case; 5] = [
    Case {
        name: "nginx",
        kind: Kind::NginxRtmp,
        protocol: Protocol::Rtmp,
        merge: "",
        cost_max: None,
        late_max: None,
    },
    Case {
        name: "rtmp",
        kind: Kind::Weir,
        protocol: Protocol::Rtmp,
        merge: "35ms",
        cost_max: Some(0.013),
        late_max: Some(0.040),
    },
    Case {
        name: "flv",
        kind: Kind::Weir,
        protocol: Protocol::Flv,
        merge: "35ms",
        cost_max: Some(0.013),
        late_max: Some(0.040),
    },
    Case {
        name: "rtmp-300",
        kind: Kind::Weir,
        protocol: Protocol::Rtmp,
        merge: "300ms",
        cost_max: Some(0.006),
        late_max: None,
    },
    Case {
        name: "flv-300",
        kind: Kind::Weir,
        protocol: Protocol::Flv,
        merge: "300ms",
        cost_max: Some(0.006),
        late_max: None,
    },
];

/// Without merging, few viewers: how long a picture takes.
const QUICK: [Case; 3] = [
    Case {
        name: "quick-nginx",
        kind: Kind::NginxRtmp,
        protocol: Protocol::Rtmp,
        merge: "",
        cost_max: None,
        late_max: None,
    },
    Case {
        name: "quick-rtmp",
        kind: Kind::Weir,
        protocol: Protocol::Rtmp,
        merge: "0ms",
        cost_max: None,
        late_max: Some(0.001),
    },
    Case {
        name: "quick-flv",
        kind: Kind::Weir,
        protocol: Protocol::Flv,
        merge: "0ms",
        cost_max: None,
        late_max: Some(0.001),
    },
];

/// One measurement.
#[derive(Debug, Clone)]
struct Sample {
    players: usize,
    elapsed: Duration,
    /// Percent of a core per viewer, as billed to the process.
    billed: f64,
    /// The same by schedstat.
    run: f64,
    /// Percent of the server's core that others used.
    others: f64,
    /// Anonymous memory per viewer that came, in bytes: beyond what a few viewers share, and beyond
    /// what the stream takes more with each second, with viewers and without.
    memory: f64,
    /// Delays of pictures in seconds, sorted.
    late: Vec<f64>,
    /// Of what was sent to the viewers, the share that came.
    came: f64,
}

impl Sample {
    fn late(&self, share: f64) -> f64 {
        let rank = (share * self.late.len() as f64).ceil() as usize;
        let found = self.late.get(rank.saturating_sub(1));
        found.copied().unwrap_or(f64::NAN)
    }
}

/// Runs the benchmark and prints its tables.
pub fn run(options: &Options) -> Result<()> {
    let clip = Clip::new(BIT_RATE, GOP_SECONDS).map_err(|e| e.to_string())?;
    let clip = Arc::new(clip);
    for (cases, players) in [(&CASES[..], &PLAYERS[..]), (&QUICK[..], &[FEW][..])] {
        let wanted = |case: &&Case| {
            options.only.is_empty() || options.only.iter().any(|name| name == case.name)
        };
        let cases: Vec<Case> = cases.iter().filter(wanted).copied().collect();
        let mut found = vec![Vec::new(); cases.len()];
        for pair in 0..options.pairs.max(1) {
            // Who goes first alternates, so that a drift of the machine favours nobody.
            let order: Vec<usize> = match pair.is_multiple_of(2) {
                true => (0..cases.len()).collect(),
                false => (0..cases.len()).rev().collect(),
            };
            for i in order {
                let samples = one_run(&cases[i], players, options, &clip)?;
                report(pair, &cases[i], &samples);
                found[i].push(samples);
            }
        }
        print(&cases, &found);
    }
    Ok(())
}

fn one_run(
    case: &Case,
    counts: &[usize],
    options: &Options,
    clip: &Arc<Clip>,
) -> Result<Vec<Sample>> {
    let server = Server::start_for(case.kind, options, Purpose::Play { merge: case.merge })?;
    let address = match case.protocol {
        Protocol::Rtmp => server.rtmp,
        Protocol::Flv => server.http.ok_or("the server does not serve HTTP")?,
    };
    let mut bench = Bench {
        load: Load::new(),
        players: Players::new()?,
    };
    let start = Instant::now() + Duration::from_millis(100);
    bench
        .load
        .add(server.rtmp, "live".into(), clip, options.chunk_size, start)?;
    bench.load.stamp(0);
    bench.run_until(start + Duration::from_secs(GOP_SECONDS))?;
    let mut samples = Vec::new();
    bench.add(LOOKING, address, case, &server)?;
    for &count in counts {
        let (before, few, began) = (
            bench.anonymous(&server)?,
            bench.players.len(),
            Instant::now(),
        );
        bench.add(count, address, case, &server)?;
        let (after, joined) = (bench.anonymous(&server)?, began.elapsed());
        let mut sample = bench.measure(&server, options)?;
        let grown = (bench.anonymous(&server)? - after) / sample.elapsed.as_secs_f64();
        let more = (count - few).max(1) as f64;
        sample.memory = (after - before - grown * joined.as_secs_f64()) / more;
        samples.push(sample);
    }
    Ok(samples)
}

struct Bench {
    load: Load,
    players: Players,
}

impl Bench {
    /// Connects viewers until there are `count`, and lets them settle.
    fn add(
        &mut self,
        count: usize,
        address: SocketAddr,
        case: &Case,
        server: &Server,
    ) -> Result<()> {
        while self.players.len() < count {
            let looks = self.players.len() < LOOKING;
            let added = self.players.add(address, "live", case.protocol, looks);
            added.map_err(|e| format!("{e}; {}", server.said()))?;
            // A few at a time, so that the publisher and the others do not wait.
            while self.players.len().is_multiple_of(CONNECTING) && !self.players.all_play() {
                self.turn()?;
            }
            self.turn()?;
        }
        while !self.players.all_play() {
            self.turn()?;
        }
        self.run_until(Instant::now() + SETTLE)
    }

    /// The server's anonymous memory, in bytes.
    fn anonymous(&self, server: &Server) -> Result<f64> {
        Ok(Memory::of(&server.pids())?.anonymous as f64)
    }

    fn turn(&mut self) -> Result<()> {
        let now = Instant::now();
        self.load.turn()?;
        self.players.sent(self.load.pictures(0), now);
        self.players.turn()
    }

    fn run_until(&mut self, end: Instant) -> Result<()> {
        while Instant::now() < end {
            self.turn()?;
        }
        Ok(())
    }

    fn measure(&mut self, server: &Server, options: &Options) -> Result<Sample> {
        let pids = server.pids();
        self.load.take_lateness();
        self.players.take();
        let sent_before = self.load.sent();
        let (start, before) = (Instant::now(), Usage::of(&pids)?);
        let busy_before = busy(cores::server())?;
        self.run_until(start + Duration::from_secs(options.seconds.unwrap_or(SECONDS)))?;
        let (elapsed, after) = (start.elapsed(), Usage::of(&pids)?);
        let core = percent(busy(cores::server())?.saturating_sub(busy_before), elapsed);
        let billed = percent(after.billed.saturating_sub(before.billed), elapsed);
        let run = percent(after.run.saturating_sub(before.run), elapsed);
        let (late, bytes) = self.players.take();
        let players = self.players.len();
        let sent = (self.load.sent() - sent_before) * players as u64;
        Ok(Sample {
            players,
            billed: billed / players as f64,
            run: run / players as f64,
            others: core - billed,
            memory: 0.0,
            elapsed,
            late,
            came: bytes as f64 / sent as f64,
        })
    }
}

fn percent(part: Duration, of: Duration) -> f64 {
    part.as_secs_f64() / of.as_secs_f64() * 100.0
}

fn report(pair: usize, case: &Case, samples: &[Sample]) {
    for sample in samples {
        let ms = |share| sample.late(share) * 1000.0;
        eprintln!(
            "rtmp: pair {}, {:11} at {:4}: {:.4} % of a core per viewer ({:.4} by schedstat), \
             others {:.0} %, {:.1} KiB each, late {:.2}/{:.2}/{:.2} ms (50 %, 99 %, all), {:.0} % came",
            pair + 1,
            case.name,
            sample.players,
            sample.billed,
            sample.run,
            sample.others,
            sample.memory / 1024.0,
            ms(0.5),
            ms(0.99),
            ms(1.0),
            sample.came * 100.0,
        );
        if sample.came < 0.95 {
            eprintln!("VOID: what was published did not all come");
        }
    }
}

fn print(cases: &[Case], found: &[Vec<Vec<Sample>>]) {
    let mut table = Table::new(&[
        "case",
        "merge",
        "viewers",
        "% of a core each",
        "at most",
        "",
        "over nginx",
        "",
        "late ms 50 %",
        "99 %",
        "all",
        "",
        "KiB each",
        "",
    ]);
    let counts = found.first().and_then(|runs| runs.first());
    for i in 0..counts.map_or(0, Vec::len) {
        let of = |runs: &[Vec<Sample>], value: &dyn Fn(&Sample) -> f64| {
            let samples = runs.iter().filter_map(|run| run.get(i));
            samples.map(value).collect::<Series>()
        };
        let most = i + 1 == counts.map_or(0, Vec::len);
        let peer = cases.iter().position(|case| case.kind == Kind::NginxRtmp);
        let peer = peer.map(|at| of(&found[at], &|s| s.billed));
        for (case, runs) in cases.iter().zip(found) {
            let cost = of(runs, &|s| s.billed);
            let late = |share: f64| of(runs, &|s| s.late(share)).scaled(1000.0);
            let memory = of(runs, &|s| s.memory);
            let ratio = peer.as_ref().map(|peer| cost.over(peer));
            let ours = case.kind == Kind::Weir;
            let told = |reached: Option<bool>| reached.map_or("", verdict).to_owned();
            let limit = case.cost_max.filter(|_| most);
            let late_max = case
                .late_max
                .map(|max| late(LATE_SHARE).max() <= max * 1000.0);
            table.row(&[
                case.name.into(),
                case.merge.into(),
                runs.first()
                    .and_then(|run| run.get(i))
                    .map_or(0, |s| s.players)
                    .to_string(),
                cost.show(4),
                limit.map_or(String::new(), |max| format!("{max:.3}")),
                told(limit.map(|max| cost.median() <= max)),
                ratio.as_ref().map_or(String::new(), |r| r.show(2)),
                told(
                    ratio
                        .filter(|_| ours)
                        .map(|ratio| ratio.median() <= RATIO_MAX),
                ),
                late(0.5).show(2),
                late(0.99).show(2),
                late(1.0).show(1),
                told(late_max),
                of(runs, &|s| s.memory / 1024.0).show(1),
                told(ours.then(|| memory.median() <= VIEWER_BYTES_MAX)),
            ]);
        }
    }
    table.print(
        "rtmp: one stream of 2 Mbit/s to many viewers, percent of a core per viewer, and from a \
         picture's sending to its arrival; median (min..max)",
    );
}

/// Of the pictures, those that have to be in time: what the machine does to the rest is not the
/// server's.
const LATE_SHARE: f64 = 0.99;
