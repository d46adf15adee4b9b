//! How many connections may be open, in all and per address.

use crate::peer::Peer;
use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counts open connections. Cheap to clone; clones count together.
///
/// A worker has its own. The lock is taken once when a connection opens and once when it
/// closes, and is contended only if the connection has moved to another worker meanwhile.
#[derive(Debug, Clone)]
pub struct ConnectionLimits(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    total_max: usize,
    per_address_max: usize,
    open: Mutex<Open>,
}

/// What is open. Every entry of the table is at least one open connection, so the table has
/// at most `total_max` entries.
#[derive(Debug, Default)]
struct Open {
    total: usize,
    per_address: HashMap<Peer, usize>,
    refused: u64,
}

/// Why a connection is not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// The worker has as many connections as it may.
    Total,
    /// The address has as many connections as it may.
    Address,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Total => "too many connections",
            Self::Address => "too many connections from this address",
        })
    }
}

impl std::error::Error for Refused {}

impl ConnectionLimits {
    /// At most `total_max` connections, and `per_address_max` from one IPv4 address or one
    /// /64 of IPv6. A table entry takes about 32 bytes.
    #[must_use]
    pub fn new(total_max: usize, per_address_max: usize) -> Self {
        Self(Arc::new(Shared {
            total_max,
            per_address_max,
            open: Mutex::default(),
        }))
    }

    /// Counts a connection from `address` until the guard is dropped.
    ///
    /// # Errors
    /// [`Refused`], which is counted: close the connection.
    pub fn admit(&self, address: IpAddr) -> Result<ConnectionGuard, Refused> {
        let peer = Peer::from(address);
        let mut open = self.0.open();
        let from_peer = open.per_address.get(&peer).copied().unwrap_or(0);
        let refused = if open.total >= self.0.total_max {
            Refused::Total
        } else if from_peer >= self.0.per_address_max {
            Refused::Address
        } else {
            open.total += 1;
            open.per_address.insert(peer, from_peer + 1);
            return Ok(ConnectionGuard {
                shared: Arc::clone(&self.0),
                peer,
            });
        };
        open.refused += 1;
        Err(refused)
    }

    /// Connections open now.
    #[must_use]
    pub fn open(&self) -> usize {
        self.0.open().total
    }

    /// Connections refused since the start.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.0.open().refused
    }
}

impl Shared {
    fn open(&self) -> MutexGuard<'_, Open> {
        // Nothing panics while it holds the lock, and counts would be sound if it did.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One admitted connection. May move to another thread with it.
#[derive(Debug)]
#[must_use = "the connection counts only as long as this lives"]
pub struct ConnectionGuard {
    shared: Arc<Shared>,
    peer: Peer,
}

impl ConnectionGuard {
    /// Counts the connection as one from `address` from now on: that of a proxy, once it has said
    /// whose connection it passes on.
    ///
    /// # Errors
    /// [`Refused::Address`], which is counted: close the connection.
    pub fn reassign(&mut self, address: IpAddr) -> Result<(), Refused> {
        let peer = Peer::from(address);
        let mut open = self.shared.open();
        let from_peer = open.per_address.get(&peer).copied().unwrap_or(0);
        if peer == self.peer {
            return Ok(());
        }
        if from_peer >= self.shared.per_address_max {
            open.refused += 1;
            return Err(Refused::Address);
        }
        open.per_address.insert(peer, from_peer + 1);
        open.leave(self.peer);
        self.peer = peer;
        Ok(())
    }
}

impl Open {
    fn leave(&mut self, peer: Peer) {
        if let Some(count) = self.per_address.get_mut(&peer) {
            *count -= 1;
            if *count == 0 {
                self.per_address.remove(&peer);
            }
        }
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        let mut open = self.shared.open();
        open.total = open.total.saturating_sub(1);
        open.leave(self.peer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn limits_hold_per_address_and_in_all() {
        let limits = ConnectionLimits::new(3, 2);
        let a1 = limits.admit(ip("192.0.2.1")).unwrap();
        let _a2 = limits.admit(ip("::ffff:192.0.2.1")).unwrap();
        assert_eq!(limits.admit(ip("192.0.2.1")).unwrap_err(), Refused::Address);
        let _b = limits.admit(ip("2001:db8::1")).unwrap();
        assert_eq!(limits.admit(ip("192.0.2.9")).unwrap_err(), Refused::Total);
        assert_eq!((limits.open(), limits.refused()), (3, 2));

        drop(a1);
        assert_eq!(limits.open(), 2);
        assert!(limits.admit(ip("192.0.2.1")).is_ok());
    }

    #[test]
    fn a_proxy_says_whose_connection_it_is() {
        let limits = ConnectionLimits::new(10, 2);
        let proxy = ip("10.0.0.1");
        let passed: Vec<_> = (1..=3)
            .map(|last| {
                let mut guard = limits.admit(proxy).unwrap();
                guard.reassign(IpAddr::from([192, 0, 2, last])).unwrap();
                guard
            })
            .collect();
        let mut greedy = limits.admit(proxy).unwrap();
        assert_eq!(greedy.reassign(proxy), Ok(()));
        greedy.reassign(ip("192.0.2.1")).unwrap();
        let mut refused = limits.admit(proxy).unwrap();
        assert_eq!(refused.reassign(ip("192.0.2.1")), Err(Refused::Address));
        assert_eq!((limits.open(), limits.refused()), (5, 1));
        drop((passed, greedy, refused));
        assert_eq!(limits.open(), 0);
        assert!(limits.0.open().per_address.is_empty());
    }

    #[test]
    fn a_closed_connection_leaves_nothing_behind() {
        let limits = ConnectionLimits::new(10, 10);
        for last in 0..=255 {
            drop(limits.admit(IpAddr::from([192, 0, 2, last])).unwrap());
        }
        let guard = limits.admit(ip("192.0.2.1")).unwrap();
        std::thread::spawn(move || drop(guard)).join().unwrap();
        assert_eq!(limits.open(), 0);
        assert!(limits.0.open().per_address.is_empty());
    }
}
