//! Round-trip time (§4.10).

use crate::timing::REPEAT_PERIOD_MIN;
use std::time::Duration;

const INITIAL_US: u32 = 100_000;
const INITIAL_VARIANCE_US: u32 = 50_000;
/// A longer one is a lie or a broken link; it only makes us ask more slowly.
const MAX_US: u32 = 10_000_000;

/// Smoothed round-trip time and its variance.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rtt {
    smoothed_us: u32,
    variance_us: u32,
    measured: bool,
    /// Measured by us or told by the peer: no guess any more.
    known: bool,
}

impl Default for Rtt {
    fn default() -> Self {
        Self {
            smoothed_us: INITIAL_US,
            variance_us: INITIAL_VARIANCE_US,
            measured: false,
            known: false,
        }
    }
}

impl Rtt {
    /// A sample of our own.
    pub(crate) fn sample(&mut self, sample: Duration) {
        let sample = u32::try_from(sample.as_micros()).map_or(MAX_US, |us| us.min(MAX_US));
        if !self.measured {
            self.measured = true;
            self.known = true;
            self.smoothed_us = sample;
            self.variance_us = sample / 2;
            return;
        }
        let difference = self.smoothed_us.abs_diff(sample);
        self.variance_us = (3 * self.variance_us + difference) / 4;
        self.smoothed_us = (7 * self.smoothed_us + sample) / 8;
    }

    /// What the receiver measured and smoothed: taken as it is while we measure nothing
    /// ourselves.
    pub(crate) fn told(&mut self, smoothed_us: u32, variance_us: u32) {
        let guess = smoothed_us == INITIAL_US && variance_us == INITIAL_VARIANCE_US;
        if !self.measured && !guess {
            self.known = true;
            self.smoothed_us = smoothed_us.min(MAX_US);
            self.variance_us = variance_us.min(MAX_US);
        }
    }

    pub(crate) fn smoothed_us(&self) -> u32 {
        self.smoothed_us
    }

    pub(crate) fn variance_us(&self) -> u32 {
        self.variance_us
    }

    /// A packet sent again within this time may still be on its way: most of a round trip, or
    /// while that is a guess, and in any case, most of the shortest time between two reports.
    pub(crate) fn patience(&self) -> Duration {
        let us = self.smoothed_us - self.smoothed_us / 8;
        Duration::from_micros(if self.known { u64::from(us) } else { 0 }).max(REPEAT_PERIOD_MIN)
    }

    /// Mean plus four variances: an answer that takes longer is lost.
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_micros(u64::from(self.smoothed_us) + 4 * u64::from(self.variance_us))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_is_not_for_the_peer_to_take_away() {
        let mut rtt = Rtt::default();
        assert_eq!(rtt.patience(), REPEAT_PERIOD_MIN);
        rtt.told(0, 0);
        assert_eq!(rtt.patience(), REPEAT_PERIOD_MIN);
        rtt.told(80_000, 0);
        assert_eq!(rtt.patience(), Duration::from_millis(70));
    }

    #[test]
    fn the_first_sample_replaces_the_guess() {
        let mut rtt = Rtt::default();
        rtt.told(7000, 100);
        assert_eq!((rtt.smoothed_us(), rtt.variance_us()), (7000, 100));
        rtt.sample(Duration::from_millis(20));
        assert_eq!((rtt.smoothed_us(), rtt.variance_us()), (20_000, 10_000));
        rtt.told(1, 1);
        for _ in 0..100 {
            rtt.sample(Duration::from_millis(40));
        }
        assert!((39_900..=40_000).contains(&rtt.smoothed_us()));
        assert!(rtt.timeout() < Duration::from_millis(41));
        rtt.sample(Duration::from_secs(u64::MAX));
        assert!(rtt.smoothed_us() < 2_000_000);
    }
}
