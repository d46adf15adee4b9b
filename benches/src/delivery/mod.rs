//! Delivery: weir's segment server beside nginx, on the same files.
//!
//! ```text
//! mod.rs ── library.rs   a data directory with one sealed broadcast
//!        ├─ peer.rs      weir and nginx, on the server's core
//!        ├─ cells.rs     what is measured, and the floors
//!        ├─ measure.rs   one measurement, by
//!        │    ├─ load.rs     our client: answer.rs checks, tls.rs deciphers
//!        │    └─ tools.rs    wrk and h2load
//!        ├─ extra.rs     idle connections; two workers against one
//!        ├─ slow.rs      peers that do not read, or not finish what they send
//!        └─ report.rs    tables, and the raw lines
//! ```

mod answer;
pub mod cells;
mod extra;
mod library;
mod load;
mod measure;
mod peer;
mod report;
mod slow;
mod tls;
mod tools;

use crate::http::{Client, resolve};
use crate::{Options, Result, cores};
use cells::{Body, Cell};
use load::Target;
use peer::{Kind, Peer, Place};
use report::{Pairs, Raw};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustls::ClientConfig;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;
use tls::Certificate;

/// Seconds of a measurement unless `--seconds` says otherwise.
const SECONDS: u64 = 3;

/// Open files: 10,000 connections and what a program needs beside them.
const FILES: u64 = 20_000;

/// Part of each program that was built with overflow checks, so of a debug build.
const DEBUG_MARK: &[u8] = b"attempt to add with overflow";

/// Runs the benchmark and prints its tables.
pub fn run(options: &Options) -> Result<()> {
    refuse_debug_builds(&options.weir()?)?;
    raise_file_limit()?;
    cores::pin(cores::client())?;
    let data = options.data()?;
    let folder = TempDir::with_prefix_in("bench-", &data);
    let folder = folder.map_err(|e| format!("cannot write to {}: {e}", data.display()))?;
    let bench = Bench::prepare(options, folder.path())?;
    let mut raw = Raw::create(&data)?;
    bench.cells(&mut raw)?;
    if options.wants_cell(cells::IDLE) {
        extra::idle(&bench)?;
    }
    if options.wants_cell(cells::SLOW) {
        slow::run(&bench)?;
    }
    if options.wants_cell(cells::CORES) {
        extra::cores(&bench, &mut raw)?;
    }
    println!("\nraw figures: {}", raw.path().display());
    Ok(())
}

/// What all measurements share.
struct Bench<'a> {
    options: &'a Options,
    place: Place,
    seconds: u64,
    client: Arc<ClientConfig>,
}

/// Something that both servers serve under the same path. weir derives the paths of media
/// anew at each start.
struct Served {
    body: Body,
    path: String,
    length: u64,
}

impl<'a> Bench<'a> {
    /// Records the broadcast.
    fn prepare(options: &'a Options, folder: &Path) -> Result<Self> {
        let place = Place {
            folder: folder.to_owned(),
            certificate: Certificate::make(folder)?,
        };
        library::write(&place.data())?;
        let client = place.certificate.client()?;
        Ok(Self {
            options,
            place,
            seconds: options.seconds.unwrap_or(SECONDS),
            client,
        })
    }

    /// Starts weir, and copies what it serves for nginx.
    fn weir(&self, workers: usize) -> Result<(Peer, Vec<Served>)> {
        let weir = Peer::weir(self.options, &self.place, workers)?;
        let files = copy(&weir, &self.place.root())?;
        Ok((weir, files))
    }

    /// Starts nginx, which must serve `files`.
    fn nginx(&self, files: &[Served]) -> Result<Peer> {
        let nginx = Peer::nginx(&self.place)?;
        compare(&nginx, files, &self.place.root())?;
        Ok(nginx)
    }

    /// Measures and reports all cells that were asked for.
    fn cells(&self, raw: &mut Raw) -> Result<()> {
        let cells = cells::all().into_iter();
        let cells: Vec<Cell> = cells.filter(|cell| self.options.selects(cell)).collect();
        if cells.is_empty() {
            return Ok(());
        }
        let (weir, files) = self.weir(1)?;
        let nginx = self.nginx(&files)?;
        if weir.https.is_none() && cells.iter().any(|cell| cell.tls) {
            println!("TLS is left out: this weir has no listener for it");
        }
        let mut all = Vec::new();
        for cell in cells {
            if cell.tls && weir.https.is_none() {
                continue;
            }
            for &connections in &self.options.connections {
                all.push(self.pairs(cell, connections, [&weir, &nginx], &files, raw)?);
            }
        }
        report::print(&all);
        for peer in [weir, nginx] {
            let complaints = peer.complaints();
            if !complaints.is_empty() {
                println!("{} complained:\n{complaints}", peer.kind.as_str());
            }
        }
        Ok(())
    }

    fn pairs(
        &self,
        cell: Cell,
        connections: usize,
        peers: [&Peer; 2],
        files: &[Served],
        raw: &mut Raw,
    ) -> Result<Pairs> {
        let mut pairs = Pairs {
            cell,
            connections,
            weir: Vec::new(),
            nginx: Vec::new(),
        };
        for pair in 0..self.options.pairs.max(1) {
            // Who goes first alternates, so that a drift of the machine favours nobody.
            let mut turns = peers;
            if !pair.is_multiple_of(2) {
                turns.reverse();
            }
            for peer in turns {
                let target = self.target(peer, files, cell.body, cell.tls)?;
                let folder = &self.place.folder;
                let found =
                    measure::measure(peer, &target, &cell, connections, self.seconds, folder)?;
                let server = peer.kind.as_str();
                raw.add(&cell.to_string(), connections, pair + 1, server, &found)?;
                match peer.kind {
                    Kind::Weir => pairs.weir.push(found),
                    Kind::Nginx => pairs.nginx.push(found),
                }
            }
        }
        Ok(pairs)
    }

    /// Where `body` is had from `peer`.
    fn target(&self, peer: &Peer, files: &[Served], body: Body, tls: bool) -> Result<Target> {
        let found = files.iter().find(|served| served.body == body);
        let served = found.ok_or("nothing is served in this size")?;
        let https = || peer.https.ok_or("the server has no listener for TLS");
        Ok(Target {
            address: if tls { https()? } else { peer.http },
            path: served.path.clone(),
            length: served.length,
            tls: tls.then(|| Arc::clone(&self.client)),
        })
    }
}

/// Fetches the playlist of the whole and its segments from weir, as a viewer finds them, and
/// writes them below `root` under the same paths.
fn copy(weir: &Peer, root: &Path) -> Result<Vec<Served>> {
    let mut client = Client::connect(weir.http)?;
    let mut fetch = |path: &str| {
        let answer = client.fetch(path)?;
        if answer.status == 200 {
            Ok(answer.body)
        } else {
            Err(format!("weir answers {} for {path}", answer.status))
        }
    };
    let multivariant = format!("/{}/manifest/video.m3u8", library::NAME);
    let text = fetch(&multivariant)?;
    let playlist = m3u8_rs::parse_master_playlist_res(&text);
    let playlist = playlist.map_err(|e| format!("{multivariant}: {e}"))?;
    let variant = playlist.variants.first().ok_or("no variant")?;
    let media = resolve(&multivariant, &variant.uri);
    let text = fetch(&media)?;
    let playlist = m3u8_rs::parse_media_playlist_res(&text);
    let playlist = playlist.map_err(|e| format!("{media}: {e}"))?;
    let segments = playlist.segments.iter().zip(cells::SEGMENTS);
    let segments =
        segments.map(|(segment, size)| (Body::Segment(size), resolve(&media, &segment.uri)));
    let mut files = Vec::new();
    for (body, path) in segments.chain([(Body::Playlist, media.clone())]) {
        let bytes = fetch(&path)?;
        let length = bytes.len() as u64;
        if let Body::Segment(size) = body
            && size != length
        {
            return Err(format!("{path} has {length} bytes, not {size}"));
        }
        let file = root.join(path.trim_start_matches('/'));
        let folder = file.parent().unwrap_or(root);
        fs::create_dir_all(folder)
            .and_then(|()| fs::write(&file, bytes))
            .map_err(|e| format!("cannot write {}: {e}", file.display()))?;
        files.push(Served { body, path, length });
    }
    Ok(files)
}

/// Whether nginx serves the same bytes.
fn compare(nginx: &Peer, files: &[Served], root: &Path) -> Result<()> {
    let mut client = Client::connect(nginx.http)?;
    for Served { path, .. } in files {
        let answer = client.fetch(path)?;
        let file = root.join(path.trim_start_matches('/'));
        let bytes = fs::read(&file).map_err(|e| format!("{}: {e}", file.display()))?;
        if answer.status != 200 || answer.body != bytes {
            return Err(format!("nginx serves something else as {path}"));
        }
    }
    Ok(())
}

/// Figures of a debug build say nothing.
fn refuse_debug_builds(weir: &Path) -> Result<()> {
    let again = "build both with --release";
    if cfg!(debug_assertions) {
        return Err(format!("this benchmark is a debug build: {again}"));
    }
    let program = fs::read(weir).map_err(|e| format!("{}: {e}", weir.display()))?;
    if is_debug_build(&program) {
        return Err(format!("{} is a debug build: {again}", weir.display()));
    }
    Ok(())
}

fn is_debug_build(program: &[u8]) -> bool {
    let Some((&first, _)) = DEBUG_MARK.split_first() else {
        return false;
    };
    let starts = program
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == first);
    let mut starts = starts.map(|(at, _)| at);
    starts.any(|at| {
        program
            .get(at..)
            .is_some_and(|rest| rest.starts_with(DEBUG_MARK))
    })
}

/// Lets this program, and the servers it starts, hold enough connections.
fn raise_file_limit() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|files| files >= FILES) {
        return Ok(());
    }
    let raised = Rlimit {
        current: Some(FILES),
        maximum: limit.maximum.map(|files| files.max(FILES)),
    };
    setrlimit(Resource::Nofile, raised)
        .map_err(|e| format!("cannot open {FILES} files (ulimit -n): {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_are_told_apart() {
        let mark = [b"xx attempt ".as_slice(), DEBUG_MARK].concat();
        assert!(is_debug_build(&mark));
        assert!(!is_debug_build(&mark[..mark.len() - 1]));
    }
}
