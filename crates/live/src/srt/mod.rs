//! SRT: publishers and players on one UDP port, and connections to other servers.
//!
//! Each worker has a socket of the port, and the kernel gives each datagram to the worker whose
//! number its destination has modulo the number of workers (`weir_net::udp`). What has no
//! destination yet, handshakes, comes to any worker, by the peer's address:
//!
//! ```text
//! handshake ─► Listener ─► policy, hook ─► Connection ─┬─► here, or at the stream's worker: publish
//!              port.rs     answer.rs                    └─► here: play
//! ```
//!
//! A listener keeps nothing of a peer whose address is not proved. A connection is a task; what
//! comes for it is put into its machine by the port's task, which wakes it: `line`.

mod answer;
mod bell;
pub mod board;
pub(crate) mod call;
mod counters;
pub(crate) mod line;
mod passphrase;
pub(crate) mod play;
pub(crate) mod port;
mod publish;

pub use board::Board;
pub use counters::Counters;
pub use passphrase::Passphrase;

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;
use weir_media::StreamName;
use weir_srt::{CookieKey, Seed};

/// What the workers' parts of the port have in common.
pub struct Srt {
    key: CookieKey,
    latency: Duration,
    passphrases: HashMap<StreamName, Passphrase>,
    /// What connections there are.
    pub board: Board,
}

impl Srt {
    /// A port whose connections wait `latency` for what is lost, at least, and where these streams
    /// are published and played with a passphrase only.
    ///
    /// # Errors
    /// If the system has no randomness.
    pub fn new(
        latency: Duration,
        passphrases: HashMap<StreamName, Passphrase>,
    ) -> Result<Self, &'static str> {
        let seed = seed().ok_or("the system has no randomness")?;
        Ok(Self {
            key: CookieKey::new(&seed),
            latency,
            passphrases,
            board: Board::default(),
        })
    }
}

impl fmt::Debug for Srt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Srt").finish_non_exhaustive()
    }
}

/// Random bytes for one connection.
pub(crate) fn seed() -> Option<Seed> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).ok()?;
    Some(Seed(bytes))
}
