//! Whole-program benchmarks: weir beside its peers, by the method of `docs/performance.md`.
//!
//! ```text
//! main.rs ── conditions.rs   network namespace, congestion control, what the machine is
//!         ├─ ingest.rs       processor and memory per RTMP stream, weir and nginx-rtmp
//!         ├─ fanout/         processor, memory and delay per viewer of frames as they come
//!         ├─ delivery/       processor per request, weir and nginx
//!         ├─ srt/            processor per delivered megabyte from SRT to SRT, weir and libsrt
//!         ├─ start.rs        from the first keyframe to the first playable playlist
//!         └─ mux.rs          segments and fragments from frames in memory
//!
//! clip.rs       the frames that are published       server.rs   weir and nginx as children
//! publisher.rs  many RTMP publishers, one thread    usage.rs    what a process used
//! cores.rs      who runs where                      http.rs     a viewer's requests
//! table.rs      medians and the report              process.rs  a child, from start to end
//! ```
//!
//! Not covered: figures of single functions, which are the crates' own `cargo bench`.
#![forbid(unsafe_code)]

mod clip;
mod conditions;
mod cores;
mod delivery;
mod fanout;
mod http;
mod ingest;
mod mux;
mod process;
mod publisher;
mod server;
mod srt;
mod start;
mod table;
mod usage;

use crate::delivery::cells::{Cell, Selection};
use clap::{Parser, ValueEnum};
use std::path::PathBuf;
use std::process::ExitCode;

/// A text for whoever runs the benchmark.
type Result<T> = std::result::Result<T, String>;

/// Whole-program benchmarks of weir beside its peers
#[derive(Debug, Clone, Parser)]
#[command(max_term_width = 100)]
struct Options {
    /// What to measure
    #[arg(value_enum, default_value_t = Which::All)]
    which: Which,
    /// The program to measure; by default the one built beside this one
    #[arg(long, value_name = "FILE")]
    weir: Option<PathBuf>,
    /// Where the servers write; by default beside this program, on its disk
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Alternating pairs of runs
    #[arg(long, value_name = "N", default_value_t = 5)]
    pairs: usize,
    /// Seconds of each measurement; a multiple of the segment keeps its phase out of it
    /// [default: 3 for http, 10 for rtmp and srt, 20 for ingest]
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
    /// RTMP chunk size of the publishers, in bytes: OBS sends 4096, ffmpeg 60000
    #[arg(long, value_name = "N", default_value_t = 4096)]
    chunk_size: u32,
    /// What of http to measure: cells (1k, tls-64k, wrk-2m, h2-2m, …), groups of them (plain,
    /// tls, wrk, h2), idle, slow, cores; by default all
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    cells: Vec<Selection>,
    /// What of rtmp to measure: nginx, rtmp, flv, rtmp-300, flv-300, quick-nginx, quick-rtmp,
    /// quick-flv; or whom of srt: weir, libsrt; by default all
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// Round trip of srt's connections, in milliseconds
    #[arg(long, value_name = "N", default_value_t = 20)]
    rtt: u64,
    /// Connections of http's cells
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [64, 1000])]
    connections: Vec<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Which {
    /// Everything
    All,
    /// Muxing from frames in memory
    Mux,
    /// From the first keyframe to the first playable playlist
    Start,
    /// Processor and memory per RTMP stream into HLS, beside nginx-rtmp
    Ingest,
    /// Processor per HTTP request, beside nginx
    Http,
    /// Processor, memory and delay per viewer over RTMP and HTTP-FLV, beside nginx-rtmp
    Rtmp,
    /// Processor per delivered megabyte from SRT to SRT, beside libsrt
    Srt,
}

impl Options {
    fn wants(&self, which: Which) -> bool {
        self.which == Which::All || self.which == which
    }

    /// Whether this measurement of http, which is no cell, was asked for.
    fn wants_cell(&self, name: &str) -> bool {
        self.cells.is_empty() || self.cells.iter().any(|selection| selection.is(name))
    }

    /// Whether this cell of http was asked for.
    fn selects(&self, cell: &Cell) -> bool {
        self.cells.is_empty() || self.cells.iter().any(|selection| selection.has(cell))
    }

    /// Where the servers write.
    fn data(&self) -> Result<PathBuf> {
        match &self.data {
            Some(dir) => Ok(dir.clone()),
            None => beside(""),
        }
    }

    /// The program to measure.
    fn weir(&self) -> Result<PathBuf> {
        let program = match &self.weir {
            Some(program) => program.clone(),
            None => beside("weir")?,
        };
        if program.is_file() {
            return Ok(program);
        }
        let program = program.display();
        Err(format!(
            "there is no {program}: cargo build --release -p weir"
        ))
    }
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("{text}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    let network = conditions::enter_namespace()?;
    conditions::print(options, &network)?;
    if options.wants(Which::Mux) {
        mux::run()?;
    }
    if options.wants(Which::Start) {
        start::run(options)?;
    }
    if options.wants(Which::Ingest) {
        ingest::run(options)?;
    }
    if options.wants(Which::Rtmp) {
        fanout::run(options)?;
    }
    if options.wants(Which::Srt) {
        srt::run(options)?;
    }
    if options.wants(Which::Http) {
        delivery::run(options)?;
    }
    Ok(())
}

/// The path of `name` in the folder of this program.
fn beside(name: &str) -> Result<PathBuf> {
    let program = std::env::current_exe().map_err(|e| format!("where am I? {e}"))?;
    let folder = program.parent().unwrap_or(&program);
    Ok(folder.join(name))
}
