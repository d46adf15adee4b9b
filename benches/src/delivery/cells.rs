//! What is measured: bodies, ways to ask for them, and the floors that were promised.

use crate::Result;
use std::fmt;
use std::str::FromStr;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Body {
    /// The media playlist of the whole, about 1 KB.
    Playlist,
    /// A segment of so many bytes.
    Segment(u64),
}

/// The segments of the broadcast, in the order of its playlist.
pub const SEGMENTS: [u64; 6] = [KIB, 16 * KIB, 64 * KIB, 512 * KIB, 2 * MIB, 6 * MIB];

/// Who asks, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Client {
    /// Ours: plain bodies are discarded in the kernel, it spins.
    Own,
    /// `wrk`, with its copying reads.
    Wrk,
    /// `h2load`: HTTP/2 over TLS.
    H2load,
}

/// One column of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cell {
    /// Who asks.
    pub client: Client,
    /// Over TLS 1.3; always with HTTP/2.
    pub tls: bool,
    /// For what.
    pub body: Body,
}

/// All cells, in the order of the report.
pub fn all() -> Vec<Cell> {
    let plain = [Body::Playlist]
        .into_iter()
        .chain(SEGMENTS.map(Body::Segment));
    let tls = [KIB, 64 * KIB, 2 * MIB].map(Body::Segment);
    let mut cells = Vec::new();
    for client in [Client::Own, Client::Wrk] {
        let cell = |tls| move |body| Cell { client, tls, body };
        cells.extend(plain.clone().map(cell(false)));
        cells.extend(tls.map(cell(true)));
    }
    cells.extend([64 * KIB, 2 * MIB].map(|size| Cell {
        client: Client::H2load,
        tls: true,
        body: Body::Segment(size),
    }));
    cells
}

impl Cell {
    /// CPU per request, nginx's over weir's, that is promised at least.
    pub fn floor(&self, connections: usize) -> Option<f64> {
        let many = connections >= 1000;
        let Body::Segment(size) = self.body else {
            return (self.client == Client::Own).then_some(1.6);
        };
        match (self.client, self.tls, size) {
            (Client::Wrk, ..) => None,
            (Client::H2load, ..) => Some(1.2),
            (_, false, KIB) => Some(1.6),
            (_, false, s) if s == 16 * KIB => Some(1.3),
            (_, false, s) if s == 64 * KIB => Some(if many { 1.2 } else { 1.3 }),
            (_, false, s) if s == 512 * KIB => Some(1.1),
            (_, false, _) => Some(1.0),
            (_, true, KIB) => Some(1.4),
            (_, true, s) if s == 64 * KIB => Some(1.8),
            (_, true, _) => Some(if many { 1.6 } else { 1.8 }),
        }
    }

    /// Microseconds per request below which no server of this design gets on the machine of
    /// `docs/performance.md`, which says how they were reasoned. Nothing is said where sendfile is
    /// the limit: nginx's own figure is it.
    pub fn limit(&self) -> Option<f64> {
        match (self.client, self.tls, self.body) {
            (Client::Own, false, Body::Playlist | Body::Segment(KIB)) => Some(3.1),
            (Client::Own, false, Body::Segment(size)) if size == 16 * KIB => Some(4.0),
            (Client::Own, false, Body::Segment(size)) if size == 64 * KIB => Some(6.5),
            (Client::Own, true, Body::Segment(KIB)) => Some(5.0),
            (Client::Own, true, Body::Segment(size)) if size == 64 * KIB => Some(18.0),
            (Client::Own, true, Body::Segment(_)) => Some(540.0),
            _ => None,
        }
    }

    /// The group that `--cells` may name instead.
    fn group(&self) -> &'static str {
        match (self.client, self.tls) {
            (Client::Own, false) => "plain",
            (Client::Own, true) => "tls",
            (Client::Wrk, _) => "wrk",
            (Client::H2load, _) => "h2",
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.client, self.tls) {
            (Client::Own, false) => "",
            (Client::Own, true) => "tls-",
            (Client::Wrk, false) => "wrk-",
            (Client::Wrk, true) => "wrk-tls-",
            (Client::H2load, _) => "h2-",
        })?;
        match self.body {
            Body::Playlist => f.write_str("playlist"),
            Body::Segment(size) if size < MIB => write!(f, "{}k", size / KIB),
            Body::Segment(size) => write!(f, "{}m", size / MIB),
        }
    }
}

/// What `--cells` names: a cell, a group of cells, or a measurement of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection(String);

/// The measurement of idle connections.
pub const IDLE: &str = "idle";

/// The measurement of slow peers.
pub const SLOW: &str = "slow";

/// The measurement of two workers against one.
pub const CORES: &str = "cores";

const GROUPS: [&str; 4] = ["plain", "tls", "wrk", "h2"];

impl Selection {
    /// Whether this cell was named.
    pub fn has(&self, cell: &Cell) -> bool {
        self.0 == cell.group() || self.0 == cell.to_string()
    }

    /// Whether this measurement was named.
    pub fn is(&self, name: &str) -> bool {
        self.0 == name
    }
}

impl FromStr for Selection {
    type Err = String;

    fn from_str(text: &str) -> Result<Self> {
        let names: Vec<String> = all().iter().map(Cell::to_string).collect();
        let known = || GROUPS.into_iter().chain([IDLE, SLOW, CORES]);
        if known().any(|name| name == text) || names.iter().any(|name| name == text) {
            return Ok(Self(text.to_owned()));
        }
        let groups: Vec<&str> = known().collect();
        let (groups, names) = (groups.join(" "), names.join(" "));
        Err(format!("none of: {groups} {names}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn each_cell_is_selected_by_its_name_and_its_group_only() {
        let cells = all();
        let names: HashSet<String> = cells.iter().map(Cell::to_string).collect();
        assert_eq!(names.len(), cells.len());
        let selected = |text: &str| -> Vec<String> {
            let selection: Selection = text.parse().unwrap();
            let cells = cells.iter().filter(|cell| selection.has(cell));
            cells.map(Cell::to_string).collect()
        };
        assert_eq!(selected("16k"), ["16k"]);
        assert_eq!(selected("tls"), ["tls-1k", "tls-64k", "tls-2m"]);
        assert_eq!(selected("h2"), ["h2-64k", "h2-2m"]);
        assert_eq!(selected("plain").len(), 7);
        assert_eq!(selected("wrk").len(), 10);
        assert!(selected("idle").is_empty());
        assert!("17k".parse::<Selection>().is_err());
    }

    #[test]
    fn floors_are_those_of_the_promise() {
        let floors = |group: &str, connections| -> Vec<Option<f64>> {
            let selection: Selection = group.parse().unwrap();
            let cells = all().into_iter().filter(|cell| selection.has(cell));
            cells.map(|cell| cell.floor(connections)).collect()
        };
        let some = |values: &[f64]| values.iter().copied().map(Some).collect::<Vec<_>>();
        assert_eq!(
            floors("plain", 64),
            some(&[1.6, 1.6, 1.3, 1.3, 1.1, 1.0, 1.0])
        );
        assert_eq!(
            floors("plain", 1000),
            some(&[1.6, 1.6, 1.3, 1.2, 1.1, 1.0, 1.0])
        );
        assert_eq!(floors("tls", 64), some(&[1.4, 1.8, 1.8]));
        assert_eq!(floors("tls", 1000), some(&[1.4, 1.8, 1.6]));
        assert_eq!(floors("h2", 64), some(&[1.2, 1.2]));
        assert!(floors("wrk", 64).iter().all(Option::is_none));
    }
}
