//! The 33-bit clocks of a program, unwrapped (ISO/IEC 13818-1 §2.4.3.7).

const WRAP: i64 = 1 << 33;

/// Largest step between two PCRs that is no jump, in 90 kHz ticks: 1 s, ten times what §2.7.2
/// allows.
const PCR_STEP_MAX: i64 = 90_000;

/// Turns times modulo 2^33 into a 64-bit timeline, by serial arithmetic from one to the next, of
/// whatever track it is: so a wrap between PTS and DTS, or between two tracks, is none. Jumps
/// are kept.
#[derive(Debug, Default)]
pub(super) struct Clock {
    last: Option<i64>,
    pcr: Option<u64>,
}

impl Clock {
    /// Place of a decoding time. The first stays as it is.
    pub(super) fn advance(&mut self, ticks: u64) -> i64 {
        let at = self.near(ticks);
        self.last = Some(at);
        at
    }

    /// Place of another time, which does not move the clock.
    pub(super) fn near(&self, ticks: u64) -> i64 {
        let ticks = ticks as i64 & (WRAP - 1);
        let Some(last) = self.last else {
            return ticks;
        };
        let step = ticks.wrapping_sub(last).rem_euclid(WRAP);
        let step = if step >= WRAP / 2 { step - WRAP } else { step };
        last.saturating_add(step)
    }

    /// The newest decoding time.
    pub(super) fn last(&self) -> Option<i64> {
        self.last
    }

    /// Takes a PCR base; whether it jumped. `is_new_base` says that it may.
    pub(super) fn handle_pcr(&mut self, base: u64, is_new_base: bool) -> bool {
        let last = self.pcr.replace(base).filter(|_| !is_new_base);
        last.is_some_and(|last| {
            let step = (base as i64 - last as i64).rem_euclid(WRAP);
            step > PCR_STEP_MAX
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wraps_both_ways_and_between_tracks() {
        let mut clock = Clock::default();
        let top = WRAP as u64 - 100;
        assert_eq!(clock.advance(top), WRAP - 100);
        assert_eq!(clock.near(200), WRAP + 200);
        assert_eq!(clock.advance(100), WRAP + 100);
        assert_eq!(clock.advance(top), WRAP - 100);
        assert_eq!(clock.advance(50), WRAP + 50);
    }

    #[test]
    fn days_add_up() {
        let mut clock = Clock::default();
        let mut expected = 12_345;
        for _ in 0..100 {
            assert_eq!(clock.advance(expected as u64 & (WRAP as u64 - 1)), expected);
            expected += 3 * WRAP / 8;
        }
        assert_eq!(clock.last(), Some(expected - 3 * WRAP / 8));
    }

    #[test]
    fn jumps_of_the_pcr_are_told() {
        let mut clock = Clock::default();
        assert!(!clock.handle_pcr(5, false));
        assert!(!clock.handle_pcr(90_005, false));
        assert!(clock.handle_pcr(180_006, false));
        assert!(clock.handle_pcr(180_005, false));
        assert!(!clock.handle_pcr(7, true));
        assert!(!clock.handle_pcr(WRAP as u64 - 1, true));
        assert!(!clock.handle_pcr(9, false));
    }
}
