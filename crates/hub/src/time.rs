//! Times of tracks with different timescales, compared exactly.

use crate::limits::STREAM_TIMESCALE;
use std::cmp::Ordering;
use weir_media::time::rescale;

/// A decoding time in the stream, in ticks of its own timescale.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Time {
    /// Ticks since the origin of the stream.
    pub ticks: i64,
    /// Ticks per second; more than 0.
    pub scale: u32,
}

impl Time {
    /// Rounded to the nearest tick of another timescale.
    pub(crate) fn to(self, scale: u32) -> i64 {
        rescale(self.ticks, self.scale, scale)
    }

    /// Rounded to the nearest tick of 1/90,000 s.
    pub(crate) fn to_90k(self) -> i64 {
        self.to(STREAM_TIMESCALE)
    }

    /// Whether the time since `start` is more than `limit_90k` ticks of 1/90,000 s; exact.
    pub(crate) fn exceeds(self, start: Self, limit_90k: i64) -> bool {
        let (a, b) = (i128::from(self.scale), i128::from(start.scale));
        let since = i128::from(self.ticks) * b - i128::from(start.ticks) * a;
        since * i128::from(STREAM_TIMESCALE) > i128::from(limit_90k) * a * b
    }

    /// Exact order.
    pub(crate) fn order(self, other: Self) -> Ordering {
        let a = i128::from(self.ticks) * i128::from(other.scale);
        a.cmp(&(i128::from(other.ticks) * i128::from(self.scale)))
    }

    /// At or after `other`; exact.
    pub(crate) fn reaches(self, other: Self) -> bool {
        self.order(other) != Ordering::Less
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ticks: i64, scale: u32) -> Time {
        Time { ticks, scale }
    }

    #[test]
    fn order_is_exact_over_timescales() {
        // 1,024 samples at 44.1 kHz are 2,089.796 ticks of 90 kHz.
        assert_eq!(at(1024, 44_100).order(at(2090, 90_000)), Ordering::Less);
        assert!(!at(1024, 44_100).reaches(at(2090, 90_000)));
        assert!(at(1024, 44_100).reaches(at(2089, 90_000)));
        assert!(at(48_000, 48_000).reaches(at(90_000, 90_000)));
    }

    #[test]
    fn exceeds_is_strict_and_knows_negative_spans() {
        assert!(!at(48_000, 48_000).exceeds(at(0, 90_000), 90_000));
        assert!(at(48_001, 48_000).exceeds(at(0, 90_000), 90_000));
        assert!(!at(0, 48_000).exceeds(at(90_000, 90_000), 0));
        assert!(at(i64::MAX, 1).exceeds(at(i64::MIN, 90_000), i64::MAX / 2));
    }
}
