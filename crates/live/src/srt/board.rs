//! What SRT connections there are, for whoever asks.
//!
//! The task of a connection stores its figures once a second; nobody asks a worker. The board is
//! locked when a connection begins or ends, once a second by each, and when somebody looks.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use weir_media::{StreamName, Utc};
use weir_srt::Stats;

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// The peer publishes here.
    Publish,
    /// The peer plays.
    Play,
    /// We play from the peer.
    Pull,
    /// We publish to the peer.
    Push,
}

impl Role {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Play => "play",
            Self::Pull => "pull",
            Self::Push => "push",
        }
    }
}

/// A connection and its figures.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its number, as in the log.
    pub connection: u64,
    /// The stream.
    pub name: StreamName,
    /// What it is for.
    pub role: Role,
    /// Who is at the other end.
    pub peer: SocketAddr,
    /// Since when.
    pub since: Utc,
    /// How it does, a second ago at most.
    pub stats: Stats,
}

/// All connections. Cheap to clone; clones are the same board.
#[derive(Debug, Clone, Default)]
pub struct Board(Arc<Mutex<BTreeMap<u64, Entry>>>);

impl Board {
    /// The connections there are, the oldest first.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        self.lock().values().cloned().collect()
    }

    /// Shows a connection for as long as the value lives.
    pub(crate) fn show(&self, entry: Entry) -> Shown {
        let connection = entry.connection;
        self.lock().insert(connection, entry);
        Shown {
            board: self.clone(),
            connection,
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Entry>> {
        // Nothing runs under the lock that could panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection on the board.
#[derive(Debug)]
pub(crate) struct Shown {
    board: Board,
    connection: u64,
}

impl Shown {
    /// Notes how it does; returns how it did.
    pub(crate) fn update(&self, stats: &Stats) -> Stats {
        match self.board.lock().get_mut(&self.connection) {
            Some(entry) => std::mem::replace(&mut entry.stats, *stats),
            None => *stats,
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.board.lock().remove(&self.connection);
    }
}
