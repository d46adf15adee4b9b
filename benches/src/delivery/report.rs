//! The tables, and the file that keeps each measurement.

use super::cells::{Cell, Client};
use super::measure::Measured;
use super::peer::Kind;
use crate::Result;
use crate::table::{Series, Table, verdict};
use serde_json::json;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// The measurements of one cell at one number of connections, in pairs.
#[derive(Debug)]
pub struct Pairs {
    /// Which.
    pub cell: Cell,
    /// At so many.
    pub connections: usize,
    /// weir's.
    pub weir: Vec<Measured>,
    /// nginx's, in the same order.
    pub nginx: Vec<Measured>,
}

impl Pairs {
    fn ratio(&self) -> Series {
        let cost = |runs: &[Measured]| runs.iter().map(Measured::cost).collect::<Series>();
        cost(&self.nginx).over(&cost(&self.weir))
    }
}

/// A file with a line of JSON per measurement.
#[derive(Debug)]
pub struct Raw {
    file: File,
    path: PathBuf,
}

impl Raw {
    /// Creates it in `folder`, named after the time.
    pub fn create(folder: &Path) -> Result<Self> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let path = folder.join(format!("http-{}.jsonl", since.map_or(0, |d| d.as_secs())));
        let file = File::create(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(Self { file, path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a measurement, and shows it.
    pub fn add(
        &mut self,
        cell: &str,
        connections: usize,
        pair: usize,
        server: &str,
        found: &Measured,
    ) -> Result<()> {
        let used = &found.used;
        let micros = |d: std::time::Duration| d.as_secs_f64() * 1e6;
        let line = json!({
            "cell": cell, "connections": connections, "pair": pair, "server": server,
            "requests": found.requests, "cpu_us_per_request": found.cost(),
            "billed_us": micros(used.billed), "run_us": micros(used.run),
            "elapsed_us": micros(used.elapsed), "others_us": micros(used.others),
            "p50_us": micros(found.p50), "p99_us": micros(found.p99),
        });
        writeln!(self.file, "{line}").map_err(|e| format!("{}: {e}", self.path.display()))?;
        let share = |d: std::time::Duration| 100.0 * d.as_secs_f64() / used.elapsed.as_secs_f64();
        eprintln!(
            "http: {cell:>9} at {connections:5}, pair {pair}, {server:6} {:8.2} us per request, \
             {:9.0} /s, p99 {:.2?}, core {:.0} %, others {:.0} %",
            found.cost(),
            found.rate(),
            found.p99,
            share(used.cpu()),
            share(used.others),
        );
        Ok(())
    }
}

/// Prints the ratios at a glance, then all figures.
pub fn print(all: &[Pairs]) {
    for client in [Client::Own, Client::Wrk, Client::H2load] {
        glance(all, client);
    }
    let mut table = Table::new(&[
        "cell",
        "conns",
        "weir us",
        "nginx us",
        "limit us",
        "nginx/weir",
        "floor",
        "",
        "p99 weir ms",
        "nginx ms",
        "",
        "weir /s",
        "nginx /s",
    ]);
    for pairs in all {
        let series = |runs: &[Measured], value: fn(&Measured) -> f64| -> Series {
            runs.iter().map(value).collect()
        };
        let median =
            |runs, value, decimals: usize| format!("{:.decimals$}", series(runs, value).median());
        let p99 = |m: &Measured| m.p99.as_secs_f64() * 1e3;
        let (ours, theirs) = (series(&pairs.weir, p99), series(&pairs.nginx, p99));
        let ratio = pairs.ratio();
        let floor = pairs.cell.floor(pairs.connections);
        let limit = pairs.cell.limit();
        table.row(&[
            pairs.cell.to_string(),
            pairs.connections.to_string(),
            median(&pairs.weir, Measured::cost, 2),
            median(&pairs.nginx, Measured::cost, 2),
            limit.map_or(String::new(), |limit| format!("{limit:.1}")),
            ratio.show(2),
            floor.map_or(String::new(), |floor| format!("{floor:.1}")),
            floor
                .map_or("", |floor| verdict(ratio.median() >= floor))
                .into(),
            format!("{:.2}", ours.median()),
            format!("{:.2}", theirs.median()),
            floor
                .map_or("", |_| verdict(ours.median() <= theirs.median()))
                .into(),
            median(&pairs.weir, Measured::rate, 0),
            median(&pairs.nginx, Measured::rate, 0),
        ]);
    }
    table.print(
        "http: processor time per request (median), nginx's over weir's of each pair (median, \
         min..max), latency and throughput (median)",
    );
}

/// A row per number of connections, a column per body.
fn glance(all: &[Pairs], client: Client) {
    let of_client = || all.iter().filter(|pairs| pairs.cell.client == client);
    let mut cells: Vec<Cell> = Vec::new();
    let mut rows: Vec<usize> = Vec::new();
    for pairs in of_client() {
        if !cells.contains(&pairs.cell) {
            cells.push(pairs.cell);
        }
        if !rows.contains(&pairs.connections) {
            rows.push(pairs.connections);
        }
    }
    if cells.is_empty() {
        return;
    }
    let heads = cells.iter().map(Cell::to_string);
    let heads: Vec<String> = ["connections".into()].into_iter().chain(heads).collect();
    let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
    let mut table = Table::new(&heads);
    for connections in rows {
        let ratio = |cell: &Cell| {
            let found = of_client().find(|p| p.cell == *cell && p.connections == connections);
            found.map_or("-".into(), |p| format!("{:.2}", p.ratio().median()))
        };
        let row = [connections.to_string()].into_iter();
        table.row(&row.chain(cells.iter().map(ratio)).collect::<Vec<_>>());
    }
    let client = match client {
        Client::Own => "our client, which discards plain bodies in the kernel",
        Client::Wrk => "wrk, which copies them",
        Client::H2load => "h2load, HTTP/2 over TLS",
    };
    table.print(&format!(
        "http: processor time per request, {}'s over {}'s, by {client}",
        Kind::Nginx.as_str(),
        Kind::Weir.as_str()
    ));
}

#[cfg(test)]
mod tests {
    use super::super::cells::Body;
    use super::super::measure::Used;
    use super::*;
    use std::time::Duration;

    fn measured(requests: f64, billed_ms: u64, run_ms: u64) -> Measured {
        Measured {
            requests,
            used: Used {
                billed: Duration::from_millis(billed_ms),
                run: Duration::from_millis(run_ms),
                elapsed: Duration::from_secs(2),
                others: Duration::ZERO,
            },
            p50: Duration::ZERO,
            p99: Duration::from_millis(1),
        }
    }

    #[test]
    fn costs_are_of_the_larger_clock_and_ratios_of_pairs() {
        let (ours, theirs) = (measured(1e6, 900, 1000), measured(5e5, 1500, 800));
        assert!((ours.cost() - 1.0).abs() < 1e-9);
        assert!((theirs.cost() - 3.0).abs() < 1e-9);
        assert_eq!(ours.rate(), 5e5);
        let pairs = Pairs {
            cell: Cell {
                client: Client::Own,
                tls: false,
                body: Body::Playlist,
            },
            connections: 64,
            weir: vec![ours, ours],
            nginx: vec![theirs, ours],
        };
        assert_eq!(pairs.ratio().show(1), "2.0 (1.0..3.0)");
    }

    #[test]
    fn each_measurement_is_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let mut raw = Raw::create(folder.path()).unwrap();
        raw.add("1k", 64, 1, "weir", &measured(4e5, 1000, 900))
            .unwrap();
        raw.add("1k", 64, 1, "nginx", &measured(2e5, 1000, 900))
            .unwrap();
        let text = std::fs::read_to_string(raw.path()).unwrap();
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[1]["server"], "nginx");
        assert_eq!(lines[0]["cpu_us_per_request"], 2.5);
        assert_eq!(lines[0]["p99_us"], 1000.0);
    }
}
