//! How long to wait before the next attempt.

use crate::limits::{BACKOFF_FIRST, BACKOFF_MAX};
use std::time::Duration;

/// Pauses that double from [`BACKOFF_FIRST`] to [`BACKOFF_MAX`], each shortened by up to a half by
/// chance, so that those who failed together do not come back together.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The pause after one more failure. `random` is any number.
    pub(crate) fn next(&mut self, random: u32) -> Duration {
        let factor = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        self.failures = (self.failures + 1).min(31);
        let most = BACKOFF_FIRST.saturating_mul(factor).min(BACKOFF_MAX);
        let half = most / 2;
        half + half.mul_f64(f64::from(random) / f64::from(u32::MAX))
    }

    /// It went well: the next failure is the first again.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_begin_anew() {
        let mut backoff = Backoff::default();
        let mut longest = Duration::ZERO;
        for _ in 0..1000 {
            let pause = backoff.next(u32::MAX);
            assert!(pause >= longest && pause <= BACKOFF_MAX);
            longest = pause;
        }
        assert_eq!(longest, BACKOFF_MAX);
        assert_eq!(backoff.next(0), BACKOFF_MAX / 2);
        backoff.reset();
        assert_eq!(backoff.next(u32::MAX), BACKOFF_FIRST);
        assert_eq!(backoff.next(0), BACKOFF_FIRST);
    }
}
