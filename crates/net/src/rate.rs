//! How often something may happen per address: a token bucket each.

use crate::peer::Peer;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;
use weir_media::Mono;

/// A token bucket per IPv4 address or /64 of IPv6, meant for refused publishes: ask
/// [`RateLimit::is_exhausted`] when somebody comes, call [`RateLimit::take`] when they fail.
/// Whoever does not fail never notices it.
#[derive(Debug)]
pub struct RateLimit {
    burst: u32,
    interval: Duration,
    addresses_max: usize,
    buckets: HashMap<Peer, Bucket>,
    /// The keys of `buckets`, each once, in the order they were added.
    order: VecDeque<Peer>,
}

/// Kept as the time at which the bucket is full again: one number, which needs no upkeep.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    full_at: Mono,
}

impl RateLimit {
    /// `burst` at once, then one per `interval`. `addresses_max` addresses are remembered;
    /// past it the one that was added first is forgotten.
    #[must_use]
    pub fn new(burst: u32, interval: Duration, addresses_max: usize) -> Self {
        Self {
            burst,
            interval,
            addresses_max,
            buckets: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    /// Whether `address` has no token left at `now`.
    #[must_use]
    pub fn is_exhausted(&self, address: IpAddr, now: Mono) -> bool {
        match self.buckets.get(&Peer::from(address)) {
            Some(bucket) => !self.has_token(bucket.full_at, now),
            None => self.burst == 0,
        }
    }

    /// Takes a token of `address`; false if there was none.
    pub fn take(&mut self, address: IpAddr, now: Mono) -> bool {
        if self.is_exhausted(address, now) {
            return false;
        }
        let peer = Peer::from(address);
        let full_at = match self.buckets.get(&peer) {
            Some(bucket) => bucket.full_at.max(now),
            None => {
                self.make_room(now);
                self.order.push_back(peer);
                now
            }
        };
        let full_at = full_at + self.interval;
        self.buckets.insert(peer, Bucket { full_at });
        true
    }

    fn has_token(&self, full_at: Mono, now: Mono) -> bool {
        // One more token may be missing, and then no more than all of them.
        let missing = full_at.since(now).saturating_add(self.interval);
        missing <= self.interval.saturating_mul(self.burst)
    }

    /// Forgets addresses whose buckets are full, which is the same as unknown, and then, if
    /// the table is still full, the oldest.
    fn make_room(&mut self, now: Mono) {
        while let Some(oldest) = self.order.front() {
            let is_full = self.buckets.get(oldest).is_none_or(|b| b.full_at <= now);
            if !is_full && self.order.len() < self.addresses_max {
                break;
            }
            self.buckets.remove(oldest);
            self.order.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn ip(n: u32) -> IpAddr {
        IpAddr::from(n.to_be_bytes())
    }

    fn at(ms: u64) -> Mono {
        Mono(ms * 1000)
    }

    #[test]
    fn a_burst_then_one_per_interval() {
        let mut limit = RateLimit::new(3, SECOND, 10);
        for _ in 0..3 {
            assert!(!limit.is_exhausted(ip(1), at(0)));
            assert!(limit.take(ip(1), at(0)));
        }
        assert!(limit.is_exhausted(ip(1), at(0)));
        assert!(!limit.take(ip(1), at(999)));
        assert!(limit.take(ip(1), at(1000)));
        assert!(!limit.take(ip(1), at(1000)));
        assert!(!limit.is_exhausted(ip(2), at(1000)));

        // A long silence fills the bucket, and not past its size.
        let taken = (0..10).filter(|_| limit.take(ip(1), at(3_600_000))).count();
        assert_eq!(taken, 3);
    }

    #[test]
    fn asking_takes_nothing() {
        let mut limit = RateLimit::new(1, SECOND, 10);
        assert!((0..100).all(|_| !limit.is_exhausted(ip(1), at(0))));
        assert!(limit.take(ip(1), at(0)));
        assert!(limit.is_exhausted(ip(1), at(0)));
    }

    #[test]
    fn the_table_is_bounded_and_forgets_the_oldest() {
        let mut limit = RateLimit::new(1, SECOND, 10);
        for n in 0..1000 {
            assert!(limit.take(ip(n), at(0)));
            assert!(limit.buckets.len() <= 10);
            assert_eq!(limit.order.len(), limit.buckets.len());
        }
        assert!(limit.is_exhausted(ip(990), at(0)));
        assert!(!limit.is_exhausted(ip(989), at(0)));
        // Full buckets go as soon as somebody new comes.
        assert!(limit.take(ip(1), at(5000)));
        assert_eq!(limit.buckets.len(), 1);
    }

    #[test]
    fn a_burst_of_none_allows_nothing() {
        let mut limit = RateLimit::new(0, SECOND, 10);
        assert!(!limit.take(ip(1), at(0)));
        assert!(limit.buckets.is_empty());
    }

    #[test]
    fn no_time_overflows() {
        let mut limit = RateLimit::new(2, Duration::MAX, 10);
        assert!(limit.take(ip(1), Mono(u64::MAX - 1)));
        assert!(limit.take(ip(1), Mono(u64::MAX)));
        assert!(limit.take(ip(2), Mono(0)));
    }
}
