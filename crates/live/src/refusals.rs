//! Addresses that were refused lately: who guesses keys is slowed down, at whichever worker
//! its connections arrive.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use weir_media::Mono;
use weir_net::RateLimit;
use weir_net::limits::{RATE_ADDRESSES_MAX, REFUSAL_INTERVAL, REFUSALS_BURST};

/// The longest that a refusal is remembered: an empty bucket is full again after it.
const MEMORY: Duration = REFUSAL_INTERVAL.saturating_mul(REFUSALS_BURST);

/// The rate limit of all workers. Locked when a publish is refused, and at an accept only
/// while a refusal is remembered.
#[derive(Debug)]
pub(crate) struct Refusals {
    limit: Mutex<RateLimit>,
    /// From this time on, in microseconds of [`Mono`], every bucket is full.
    forgotten_at: AtomicU64,
}

impl Refusals {
    pub(crate) fn new() -> Self {
        let limit = RateLimit::new(REFUSALS_BURST, REFUSAL_INTERVAL, RATE_ADDRESSES_MAX);
        Self {
            limit: Mutex::new(limit),
            forgotten_at: AtomicU64::new(0),
        }
    }

    /// Whether `address` was refused too often lately.
    pub(crate) fn is_exhausted(&self, address: IpAddr, now: Mono) -> bool {
        // A refusal of this very moment at another worker may be missed, which costs nothing.
        now.0 < self.forgotten_at.load(Ordering::Relaxed) && self.limit().is_exhausted(address, now)
    }

    /// A request from `address` was refused.
    pub(crate) fn note(&self, address: IpAddr, now: Mono) {
        self.limit().take(address, now);
        self.forgotten_at
            .fetch_max((now + MEMORY).0, Ordering::Relaxed);
    }

    fn limit(&self) -> MutexGuard<'_, RateLimit> {
        // Nothing that the lock guards can panic midway.
        self.limit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_forgotten_no_earlier_than_the_bucket_is_full() {
        let (refusals, address) = (Refusals::new(), IpAddr::from([192, 0, 2, 1]));
        assert!(!refusals.is_exhausted(address, Mono(1)));
        for _ in 0..REFUSALS_BURST {
            assert!(!refusals.is_exhausted(address, Mono(1)));
            refusals.note(address, Mono(1));
        }
        let just_before = Mono(1) + REFUSAL_INTERVAL - Duration::from_micros(1);
        assert!(refusals.is_exhausted(address, Mono(1)));
        assert!(refusals.is_exhausted(address, just_before));
        assert!(!refusals.is_exhausted(address, Mono(1) + REFUSAL_INTERVAL));
        assert!(!refusals.is_exhausted(IpAddr::from([192, 0, 2, 2]), Mono(1)));

        // Refused again and again, it stays exhausted for as long as the lock is looked at.
        let mut now = Mono(1);
        for _ in 0..3 * REFUSALS_BURST {
            now = now + REFUSAL_INTERVAL;
            refusals.note(address, now);
            assert!(refusals.is_exhausted(address, now));
        }
        assert!(!refusals.is_exhausted(address, now + MEMORY));
    }
}
