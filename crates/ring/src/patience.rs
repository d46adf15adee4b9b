//! When a ring may sleep past its first completion.
//!
//! Many slow sources, such as publishers of 30 pictures a second, wake a thread for each of their
//! messages, and a wake-up costs more than the message. A *patient* ring asks the kernel for several
//! completions, or for those there are after a moment (`min_wait`, Linux 6.12). It is so only while
//! completions come often enough for that to gather some, and while nobody is in a [`hurry`].

use std::time::{Duration, Instant};

use crate::limits::{HURRY, PATIENT_RATE, SMOOTHING};
use crate::local::Local;

/// The rate of completions, and who is in a hurry.
#[derive(Debug)]
pub(crate) struct Patience {
    /// Zero where the ring is never patient.
    wait: Duration,
    /// Completions per `wait`, smoothed.
    rate: f32,
    last: Instant,
    hurry_until: Instant,
}

impl Patience {
    pub(crate) fn new(wait: Duration, now: Instant) -> Self {
        Self {
            wait,
            rate: 0.0,
            last: now,
            hurry_until: now,
        }
    }

    /// Notes a visit to the kernel that found `completions`.
    pub(crate) fn visited(&mut self, completions: usize, now: Instant) {
        if self.wait.is_zero() || completions == 0 {
            return;
        }
        let gap = now.saturating_duration_since(self.last).as_secs_f32();
        self.last = now;
        // Weighed by time, so that the rate is the same whether a burst was taken in one visit or
        // in twenty: else patience would end itself.
        let total = gap + SMOOTHING.as_secs_f32();
        let new = completions as f32 * self.wait.as_secs_f32();
        self.rate = (self.rate * SMOOTHING.as_secs_f32() + new) / total;
    }

    /// How long to wait for more than one completion, if at all.
    pub(crate) fn wait(&self, now: Instant) -> Option<Duration> {
        (self.rate >= PATIENT_RATE && now >= self.hurry_until).then_some(self.wait)
    }

    pub(crate) fn hurry(&mut self, now: Instant) {
        self.hurry_until = now + HURRY;
    }
}

/// Says that somebody waits for what this thread does next: for the next 20 ms its ring is not
/// patient ([`crate::Config::patience_us`]). Cheap enough for each request.
///
/// # Panics
/// Outside of [`crate::Runtime::block_on`].
pub fn hurry() {
    let local = Local::current();
    local.patience.borrow_mut().hurry(local.now.get());
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAIT: Duration = Duration::from_millis(2);

    /// Visits `gap` apart until the rate has settled.
    fn settled(completions: usize, gap: Duration) -> (Patience, Instant) {
        let mut now = Instant::now();
        let mut patience = Patience::new(WAIT, now);
        // At least a second, five times what it is smoothed over.
        let visits = 1_000_000 / gap.as_micros().max(10);
        for _ in 0..visits {
            now += gap;
            patience.visited(completions, now);
        }
        (patience, now)
    }

    #[test]
    fn a_busy_ring_is_patient_and_stays_so() {
        let (patience, now) = settled(1, Duration::from_micros(600));
        assert_eq!(patience.wait(now), Some(WAIT));
        let (patience, now) = settled(3, Duration::from_millis(2));
        assert_eq!(patience.wait(now), Some(WAIT));
        // The pictures of twenty publishers, all at once.
        let (patience, now) = settled(20, Duration::from_millis(33));
        assert_eq!(patience.wait(now), Some(WAIT));
    }

    #[test]
    fn a_quiet_one_or_one_in_a_hurry_is_not() {
        let (patience, now) = settled(1, Duration::from_millis(5));
        assert_eq!(patience.wait(now), None);
        let (patience, now) = settled(3, Duration::from_millis(33));
        assert_eq!(patience.wait(now), None);
        let (mut patience, now) = settled(1, Duration::from_micros(100));
        patience.hurry(now);
        assert_eq!(patience.wait(now + Duration::from_millis(19)), None);
        assert_eq!(patience.wait(now + HURRY), Some(WAIT));
        let (patience, now) = settled(1, Duration::ZERO);
        assert!(patience.rate.is_finite());
        assert_eq!(patience.wait(now), Some(WAIT));
        assert_eq!(Patience::new(Duration::ZERO, now).wait(now), None);
    }
}
