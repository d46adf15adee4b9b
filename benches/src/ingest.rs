//! Processor and memory per RTMP stream into HLS, weir and nginx-rtmp in alternating pairs.

use crate::clip::Clip;
use crate::publisher::Load;
use crate::server::{Kind, Server};
use crate::table::{Series, Table, verdict};
use crate::usage::{Memory, Usage, busy};
use crate::{Options, Result, cores};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Publishers at a time, rising within a run.
const PUBLISHERS: [usize; 2] = [20, 100];

/// Seconds of a measurement unless `--seconds` says otherwise: five segments.
const SECONDS: u64 = 20;

/// Bit rate of each one's video.
const BIT_RATE: u64 = 5_000_000;

/// Seconds between keyframes; new publishers are spread over so long.
const GOP_SECONDS: u64 = 2;

/// From the last new publisher's first frame to the measurement.
const SETTLE: Duration = Duration::from_millis(500);

/// weir's share of nginx-rtmp's processor time that is promised.
const RATIO_MAX: f64 = 0.5;

/// Length of weir's live window by default.
const WINDOW: Duration = Duration::from_secs(60);

/// What a stream may hold beside its live window, in bytes.
const BESIDE_WINDOW_MAX: f64 = 4.0 * MIB;

const MIB: f64 = 1048576.0;

/// A publisher that is later than this did not send in real time.
const LATENESS_MAX: Duration = Duration::from_millis(500);

/// One measurement.
#[derive(Debug, Clone, Copy)]
struct Sample {
    /// Percent of a core per stream, as billed to the process.
    billed: f64,
    /// The same by schedstat.
    run: f64,
    memory: Memory,
    /// Percent of the server's core that others used.
    others: f64,
    lateness: Duration,
}

/// One server's run.
#[derive(Debug)]
struct Run {
    /// Before the first publisher.
    idle: Memory,
    /// At each of [`PUBLISHERS`].
    samples: Vec<Sample>,
    /// At the most publishers with the live window full, if asked for.
    full: Option<Sample>,
}

/// Runs the benchmark and prints its tables.
pub fn run(options: &Options) -> Result<()> {
    let clip = Clip::new(BIT_RATE, GOP_SECONDS).map_err(|e| e.to_string())?;
    let clip = Arc::new(clip);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for pair in 0..options.pairs.max(1) {
        let last = pair + 1 == options.pairs.max(1);
        // Who goes first alternates, so that a drift of the machine favours nobody.
        for turn in [pair.is_multiple_of(2), !pair.is_multiple_of(2)] {
            let kind = if turn { Kind::Weir } else { Kind::NginxRtmp };
            let run = one_run(kind, options, &clip, last)?;
            report_run(pair, kind, &run);
            match kind {
                Kind::Weir => ours.push(run),
                Kind::NginxRtmp => theirs.push(run),
            }
        }
    }
    print_processor(&ours, &theirs);
    print_memory(&ours, &theirs);
    Ok(())
}

fn one_run(kind: Kind, options: &Options, clip: &Arc<Clip>, fill: bool) -> Result<Run> {
    let server = Server::start(kind, options)?;
    let mut load = Load::new();
    let mut run = Run {
        idle: Memory::of(&server.pids())?,
        samples: Vec::new(),
        full: None,
    };
    let mut count = 0;
    let mut started = Instant::now();
    for publishers in PUBLISHERS {
        let new = (publishers - count) as u32;
        let spread = Duration::from_secs(GOP_SECONDS);
        started = Instant::now() + Duration::from_millis(100);
        for i in 0..new {
            let start = started + spread * i / new;
            let name = format!("stream-{count}");
            load.add(server.rtmp, name, clip, options.chunk_size, start)?;
            count += 1;
            // Accepted and answered before the next: a listen queue is not the subject.
            load.turn()?;
        }
        load.run_until(started + spread + SETTLE)?;
        run.samples
            .push(measure(&server, &mut load, options, publishers)?);
    }
    if fill && kind == Kind::Weir {
        load.run_until(started + WINDOW + Duration::from_secs(GOP_SECONDS) + SETTLE)?;
        run.full = Some(measure(&server, &mut load, options, count)?);
    }
    complain(kind, &server, &load, count);
    Ok(run)
}

/// Says what makes the figures void: a server that did not do the whole work.
fn complain(kind: Kind, server: &Server, load: &Load, streams: usize) {
    let name = kind.as_str();
    // Not on the disk yet: the open segment of 4 s, and what waits to be appended.
    let open = streams as u64 * BIT_RATE / 8 * 6;
    let (sent, written) = (load.sent(), server.written());
    if written < sent.saturating_sub(open) * 9 / 10 {
        eprintln!("VOID: {name} took {sent} bytes and wrote {written} only");
    }
    let complaints = server.complaints();
    if let Some(first) = complaints.first() {
        eprintln!(
            "{name} complained {} times, first: {first}",
            complaints.len()
        );
    }
}

fn measure(server: &Server, load: &mut Load, options: &Options, streams: usize) -> Result<Sample> {
    let pids = server.pids();
    load.take_lateness();
    let (start, before) = (Instant::now(), Usage::of(&pids)?);
    let busy_before = busy(cores::server())?;
    load.run_until(start + Duration::from_secs(options.seconds.unwrap_or(SECONDS)))?;
    let (elapsed, after) = (start.elapsed(), Usage::of(&pids)?);
    let core = percent(busy(cores::server())?.saturating_sub(busy_before), elapsed);
    let billed = percent(after.billed.saturating_sub(before.billed), elapsed);
    let run = percent(after.run.saturating_sub(before.run), elapsed);
    let lateness = load.take_lateness();
    if lateness > LATENESS_MAX {
        eprintln!("frames were late by up to {lateness:?}: the machine is too busy");
    }
    Ok(Sample {
        billed: billed / streams as f64,
        run: run / streams as f64,
        memory: Memory::of(&pids)?,
        others: core - billed,
        lateness,
    })
}

fn percent(part: Duration, of: Duration) -> f64 {
    part.as_secs_f64() / of.as_secs_f64() * 100.0
}

fn report_run(pair: usize, kind: Kind, run: &Run) {
    let full = run
        .full
        .map(|full| (PUBLISHERS[PUBLISHERS.len() - 1], full));
    for (streams, sample) in PUBLISHERS
        .into_iter()
        .zip(run.samples.iter().copied())
        .chain(full)
    {
        eprintln!(
            "ingest: pair {}, {:10} at {streams:3}: {:.4} % of a core per stream ({:.4} by \
             schedstat), {:.1} MiB resident per stream, others {:.0} % of the core, late {:?}",
            pair + 1,
            kind.as_str(),
            sample.billed,
            sample.run,
            per_stream(sample.memory.resident, run.idle.resident, streams) / MIB,
            sample.others,
            sample.lateness,
        );
    }
}

fn print_processor(ours: &[Run], theirs: &[Run]) {
    let mut table = Table::new(&[
        "publishers",
        "clock",
        "weir",
        "nginx-rtmp",
        "weir/nginx",
        "",
    ]);
    for (i, publishers) in PUBLISHERS.into_iter().enumerate() {
        let clocks = [
            ("billed", (|s| s.billed) as fn(&Sample) -> f64),
            ("schedstat", |s| s.run),
        ];
        for (clock, value) in clocks {
            let series = |runs: &[Run]| {
                let samples = runs.iter().filter_map(|run| run.samples.get(i));
                samples.map(value).collect::<Series>()
            };
            let (weir, nginx) = (series(ours), series(theirs));
            let ratio = weir.over(&nginx);
            table.row(&[
                publishers.to_string(),
                clock.into(),
                weir.show(4),
                nginx.show(4),
                ratio.show(2),
                verdict(ratio.median() <= RATIO_MAX).into(),
            ]);
        }
    }
    table.print(
        "ingest: percent of a core per RTMP stream of 5 Mbit/s into HLS, median (min..max), at \
         most half of nginx-rtmp's",
    );
}

fn print_memory(ours: &[Run], theirs: &[Run]) {
    let streams = PUBLISHERS[PUBLISHERS.len() - 1];
    let mut table = Table::new(&["server", "RSS", "RssAnon", "at most", ""]);
    let rates = (BIT_RATE + 128_000) / 8;
    let limit = (rates * WINDOW.as_secs()) as f64 + BESIDE_WINDOW_MAX;
    if let Some((run, full)) = ours.last().and_then(|run| Some((run, run.full?))) {
        let anonymous = per_stream(full.memory.anonymous, run.idle.anonymous, streams);
        let resident = per_stream(full.memory.resident, run.idle.resident, streams);
        table.row(&[
            format!("weir, window full ({:.4} % of a core)", full.billed),
            format!("{:.1}", resident / MIB),
            format!("{:.1}", anonymous / MIB),
            format!("{:.1}", limit / MIB),
            verdict(resident <= limit).into(),
        ]);
    }
    if let Some((run, sample)) = theirs
        .last()
        .and_then(|run| Some((run, run.samples.last()?)))
    {
        let anonymous = per_stream(sample.memory.anonymous, run.idle.anonymous, streams);
        let resident = per_stream(sample.memory.resident, run.idle.resident, streams);
        let (resident, anonymous) = (resident / MIB, anonymous / MIB);
        table.row(&[
            "nginx-rtmp".into(),
            format!("{resident:.1}"),
            format!("{anonymous:.1}"),
            String::new(),
            String::new(),
        ]);
    }
    table.print(&format!(
        "ingest: MiB of memory per stream, (at {streams} publishers - idle) / {streams}"
    ));
}

fn per_stream(loaded: u64, idle: u64, streams: usize) -> f64 {
    loaded.saturating_sub(idle) as f64 / streams as f64
}
