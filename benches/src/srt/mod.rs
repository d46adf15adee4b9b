//! Relaying over SRT: processor per delivered megabyte and what is delivered, of weir and of
//! libsrt's `srt-live-transmit`, at several losses, in the clear and encrypted.
//!
//! ```text
//! source.rs ─► srt-live-transmit ─► lossy.rs ─► server ─► lossy.rs ─► srt-live-transmit ─► count.rs
//!              (publisher)                                            (reader)
//! ```
//!
//! The server is alone on its core; all else shares the other. What counts as delivered is the
//! payload of the video, since weir muxes the transport stream anew.

mod count;
mod lossy;
mod peer;
mod source;

use crate::server::{Kind, Purpose, Server};
use crate::table::{Series, Table, verdict};
use crate::usage::Usage;
use crate::{Options, Result, cores};
use count::Count;
use lossy::Lossy;
pub use peer::SRT_LIVE_TRANSMIT;
use peer::{Peer, Reader};
use source::Source;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Bit rate of the transport stream.
const BIT_RATE: u64 = 100_000_000;

/// Datagrams of a hundred that get lost, on each leg and in each direction.
const LOSSES: [u32; 3] = [0, 1, 5];

/// Receive latency that all connections ask for, in milliseconds.
const LATENCY_MS: u32 = 120;

/// Encrypts with AES-128 where that is asked for.
const PASSPHRASE: &str = "bench of a relay over SRT";

/// Seconds of a measurement unless `--seconds` says otherwise.
const SECONDS: u64 = 10;

/// From the first bytes that the reader has to the measurement.
const SETTLE: Duration = Duration::from_secs(3);

/// How long the first bytes may take.
const FIRST_BYTES: Duration = Duration::from_secs(30);

/// weir's share of the peer's processor time per delivered megabyte that is promised.
const RATIO_MAX: f64 = 0.5;

/// What AES-128 may add to weir's.
const CIPHER_MAX: f64 = 1.2;

/// Share of the video that has to be delivered: all but what a window's edges cut.
const DELIVERED_MIN: f64 = 0.995;

const MEGABYTE: f64 = 1e6;

/// One measurement.
#[derive(Debug, Clone, Copy)]
struct Sample {
    /// Milliseconds of processor time per delivered megabyte.
    cost: f64,
    /// The same by schedstat.
    cost_run: f64,
    /// Percent of a core.
    core: f64,
    /// Delivered part of what was sent.
    share: f64,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cell {
    loss: u32,
    encrypted: bool,
}

impl Cell {
    fn name(self) -> String {
        let cipher = if self.encrypted { ", AES-128" } else { "" };
        format!("{} % loss{cipher}", self.loss)
    }
}

/// Runs the benchmark and prints its table.
pub fn run(options: &Options) -> Result<()> {
    let weir = options.weir()?;
    if cfg!(debug_assertions) || weir.components().any(|c| c.as_os_str() == "debug") {
        return Err("srt: a debug build measures nothing; use --release".into());
    }
    let only = |name: &str| options.only.is_empty() || options.only.iter().any(|o| o == name);
    let (with_weir, with_peer) = (only("weir"), only("libsrt"));
    let cells = [false, true].into_iter().flat_map(|encrypted| {
        let of = move |loss| Cell { loss, encrypted };
        LOSSES.map(of)
    });
    let mut results = Vec::new();
    for cell in cells {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for pair in 0..options.pairs.max(1) {
            // Who goes first alternates, so that a drift of the machine favours nobody.
            for is_weir in [pair.is_multiple_of(2), !pair.is_multiple_of(2)] {
                if is_weir && with_weir {
                    ours.push(one_run(pair, true, cell, options)?);
                } else if !is_weir && with_peer {
                    theirs.push(one_run(pair, false, cell, options)?);
                }
            }
        }
        results.push((cell, ours, theirs));
    }
    print(&results, options.rtt);
    Ok(())
}

/// The server under test.
enum Subject {
    Weir(Server),
    Peer(Peer),
}

impl Subject {
    fn start(is_weir: bool, cell: Cell, options: &Options) -> Result<Self> {
        let passphrase = cell.encrypted.then_some(PASSPHRASE);
        if is_weir {
            let purpose = Purpose::Srt { passphrase };
            return Server::start_for(Kind::Weir, options, purpose).map(Self::Weir);
        }
        cores::pin(cores::server())?;
        let peer = Peer::start(options, passphrase);
        cores::pin(cores::client())?;
        peer.map(Self::Peer)
    }

    fn pids(&self) -> Vec<u32> {
        match self {
            Self::Weir(server) => server.pids(),
            Self::Peer(peer) => peer.pids(),
        }
    }

    /// Where is published, and where is played.
    fn addresses(&self) -> Result<[SocketAddr; 2]> {
        match self {
            Self::Weir(server) => {
                let srt = server.srt.ok_or("this weir has no SRT listener")?;
                Ok([srt, srt])
            }
            Self::Peer(peer) => Ok([peer.input, peer.output]),
        }
    }
}

fn one_run(pair: usize, is_weir: bool, cell: Cell, options: &Options) -> Result<Sample> {
    let name = if is_weir { "weir" } else { "libsrt" };
    let subject = Subject::start(is_weir, cell, options)?;
    let [input, output] = subject.addresses()?;
    let passphrase = cell.encrypted.then_some(PASSPHRASE);
    let seed = 1 + pair as u64;
    let delay = Duration::from_millis(options.rtt) / 2;
    let (to_server, to_reader) = (
        Lossy::start(input, cell.loss, delay, seed)?,
        Lossy::start(output, cell.loss, delay, seed + 100)?,
    );
    let source = Source::start(
        BIT_RATE,
        &peer::caller(to_server.address, "publish:show", passphrase),
    )?;
    let reader = Reader::start(&peer::caller(to_reader.address, "read:show", passphrase))?;
    let end = Instant::now() + FIRST_BYTES;
    while reader.count().video == 0 {
        if Instant::now() > end {
            return Err(format!("{name}, {}: nothing arrives", cell.name()));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(SETTLE);
    let sample = measure(&subject.pids(), &source, &reader, options)?;
    // The raw figures: what the table is made of.
    eprintln!(
        "srt: pair {}, {name:6}, {:18}: {:.3} ms per MB ({:.3} by schedstat), {:.1} % of a core, \
         {:.2} % delivered; lossy relays passed {} and dropped {}",
        pair + 1,
        cell.name(),
        sample.cost,
        sample.cost_run,
        sample.core,
        sample.share * 100.0,
        to_server.passed() + to_reader.passed(),
        to_server.dropped() + to_reader.dropped(),
    );
    Ok(sample)
}

fn measure(pids: &[u32], source: &Source, reader: &Reader, options: &Options) -> Result<Sample> {
    let (start, before) = (Instant::now(), Usage::of(pids)?);
    let (sent, got): (Count, Count) = (source.count(), reader.count());
    let seconds = options.seconds.unwrap_or(SECONDS);
    std::thread::sleep(Duration::from_secs(seconds));
    let (elapsed, after) = (start.elapsed(), Usage::of(pids)?);
    let sent = source.count().video - sent.video;
    let got = reader.count().video - got.video;
    let expected = BIT_RATE as f64 / 8.0 * elapsed.as_secs_f64();
    if (sent as f64) < expected * 0.9 {
        eprintln!("VOID: the source sent {sent} bytes of video only, of about {expected:.0}");
    }
    let per_megabyte = |used: Duration| used.as_secs_f64() * 1000.0 / (got as f64 / MEGABYTE);
    let billed = after.billed.saturating_sub(before.billed);
    Ok(Sample {
        cost: per_megabyte(billed),
        cost_run: per_megabyte(after.run.saturating_sub(before.run)),
        core: billed.as_secs_f64() / elapsed.as_secs_f64() * 100.0,
        share: got as f64 / sent.max(1) as f64,
    })
}

type Results = [(Cell, Vec<Sample>, Vec<Sample>)];

fn print(results: &Results, rtt: u64) {
    let mut table = Table::new(&[
        "cell",
        "weir, ms/MB",
        "libsrt, ms/MB",
        "weir/libsrt",
        "",
        "weir delivers, %",
        "libsrt delivers, %",
        "",
    ]);
    let series = |samples: &[Sample], value: fn(&Sample) -> f64| {
        samples.iter().map(value).collect::<Series>()
    };
    for (cell, ours, theirs) in results {
        let (weir, libsrt) = (series(ours, |s| s.cost), series(theirs, |s| s.cost));
        let (ratio, share) = (weir.over(&libsrt), series(ours, |s| s.share));
        let judged = |is_there: bool, reached: bool| match is_there {
            true => verdict(reached),
            false => "",
        };
        table.row(&[
            cell.name(),
            weir.show(2),
            libsrt.show(2),
            ratio.show(2),
            judged(!ratio.median().is_nan(), ratio.median() <= RATIO_MAX).into(),
            share.scaled(100.0).show(1),
            series(theirs, |s| s.share).scaled(100.0).show(1),
            judged(!ours.is_empty(), share.min() >= DELIVERED_MIN).into(),
        ]);
    }
    table.print(&format!(
        "srt: processor time per delivered MB of 100 Mbit/s from SRT to SRT, latency {LATENCY_MS} \
         ms, round trip {rtt} ms, median (min..max), at most half of libsrt's, all delivered"
    ));
    let of = |encrypted| {
        let cell = Cell { loss: 0, encrypted };
        let found = results.iter().find(|r| r.0 == cell);
        found.map_or(f64::NAN, |r| series(&r.1, |s| s.cost).median())
    };
    let cipher = of(true) / of(false);
    if !cipher.is_nan() {
        let word = verdict(cipher <= CIPHER_MAX);
        println!("\n  AES-128 costs weir {cipher:.2} of the clear; at most {CIPHER_MAX}: {word}");
    }
}
