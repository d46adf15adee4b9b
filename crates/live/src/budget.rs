//! How often something may happen.

use std::time::Duration;
use weir_media::Mono;

/// A token bucket of one token a second.
pub(crate) struct Budget {
    burst: u32,
    left: u32,
    filled: Mono,
}

impl Budget {
    pub(crate) fn new(burst: u32, now: Mono) -> Self {
        Self {
            burst,
            left: burst,
            filled: now,
        }
    }

    /// Takes a token; false if there is none.
    pub(crate) fn take(&mut self, now: Mono) -> bool {
        let seconds = now.since(self.filled).as_secs();
        if seconds > 0 {
            self.left = self
                .left
                .saturating_add(u32::try_from(seconds).unwrap_or(u32::MAX));
            self.left = self.left.min(self.burst);
            self.filled = self.filled + Duration::from_secs(seconds);
        }
        let had = self.left > 0;
        self.left = self.left.saturating_sub(1);
        had
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_refills_by_one_a_second() {
        let mut budget = Budget::new(2, Mono(0));
        assert!(budget.take(Mono(0)) && budget.take(Mono(0)) && !budget.take(Mono(900_000)));
        assert!(budget.take(Mono(1_000_000)) && !budget.take(Mono(1_900_000)));
        assert!(budget.take(Mono(100_000_000)) && budget.take(Mono(100_000_000)));
        assert!(!budget.take(Mono(100_000_000)));
    }
}
