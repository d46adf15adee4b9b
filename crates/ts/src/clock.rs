//! When a PCR is written (ISO/IEC 13818-1 §2.7.2), in 90 kHz ticks.

use crate::limits::{PCR_FILL_MAX, PCR_INTERVAL_MAX};

/// By how much the PCR runs behind the decoding time, in 90 kHz ticks: 500 ms, the time a
/// receiver has to take in an access unit before it is due. Streams start at a decoding time
/// of 10 s, so it never goes below 0.
pub const PCR_DELAY: i64 = 45_000;

/// The PCR base for data that is due at `time`.
pub(crate) fn pcr_base(time: i64) -> i64 {
    time.saturating_sub(PCR_DELAY)
}

/// Times between two regular PCRs at which packets of their own carry one, because the two
/// are further apart than [`PCR_INTERVAL_MAX`].
#[derive(Debug, Default)]
pub(crate) struct PcrFill {
    next: i64,
    left: i64,
}

impl PcrFill {
    pub(crate) fn between(start: i64, end: i64) -> Self {
        let apart = end.saturating_sub(start);
        Self {
            next: start.saturating_add(PCR_INTERVAL_MAX),
            left: (apart.saturating_sub(1) / PCR_INTERVAL_MAX).clamp(0, PCR_FILL_MAX),
        }
    }

    /// How many are left.
    pub(crate) fn len(&self) -> usize {
        self.left as usize
    }

    /// Takes the next one that is before `until`.
    pub(crate) fn take_before(&mut self, until: i64) -> Option<i64> {
        let time = Some(self.next).filter(|&t| self.left > 0 && t < until)?;
        self.left -= 1;
        self.next = time.saturating_add(PCR_INTERVAL_MAX);
        Some(time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(start: i64, end: i64) -> Vec<i64> {
        let mut fill = PcrFill::between(start, end);
        let len = fill.len();
        let times: Vec<_> = std::iter::from_fn(|| fill.take_before(end)).collect();
        assert_eq!(times.len(), len);
        times
    }

    #[test]
    fn no_two_are_further_apart_than_the_interval() {
        assert_eq!(times(5, 5), []);
        assert_eq!(times(5, 9_005), []);
        assert_eq!(times(5, 9_006), [9_005]);
        assert_eq!(times(0, 27_000), [9_000, 18_000]);
        assert_eq!(times(0, -9_001), []);
    }

    #[test]
    fn a_false_duration_does_not_grow_the_output() {
        assert_eq!(PcrFill::between(0, i64::MAX).len(), 128);
        assert_eq!(PcrFill::between(i64::MIN, i64::MAX).len(), 128);
        assert_eq!(PcrFill::between(i64::MAX, i64::MIN).len(), 0);
    }
}
