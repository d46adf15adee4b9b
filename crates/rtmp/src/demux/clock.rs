//! The 32-bit millisecond clock of a connection, unwrapped.

use crate::limits::WRAP_31_MARGIN_MS;

/// Turns timestamps modulo 2^32 into a 64-bit timeline, by serial arithmetic from one to the
/// next. Steps back and jumps are kept: what they mean is decided elsewhere.
///
/// Senders that mask to 31 bits, as FLV's signed field suggests, wrap at 2^31: a step of
/// almost exactly that size, either way, is taken as their wrap.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock {
    /// The last timestamp and its place on the timeline.
    last: Option<(u32, i64)>,
}

impl Clock {
    /// Place of `timestamp` on the timeline, in milliseconds. The first stays as it is.
    pub fn unwrap_ms(&mut self, timestamp: u32) -> i64 {
        const HALF: i64 = 1 << 31;
        let ms = match self.last {
            None => i64::from(timestamp),
            Some((last, at)) => {
                let step = i64::from(timestamp.wrapping_sub(last).cast_signed());
                let step = if step >= HALF - WRAP_31_MARGIN_MS {
                    step - HALF
                } else if step <= WRAP_31_MARGIN_MS - HALF {
                    step + HALF
                } else {
                    step
                };
                at.saturating_add(step)
            }
        };
        self.last = Some((timestamp, ms));
        ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unwrapped(timestamps: &[u32]) -> Vec<i64> {
        let mut clock = Clock::default();
        timestamps.iter().map(|t| clock.unwrap_ms(*t)).collect()
    }

    #[test]
    fn wraps_at_32_bits_both_ways() {
        let top = i64::from(u32::MAX);
        assert_eq!(
            unwrapped(&[u32::MAX - 20, 20, u32::MAX, 60]),
            [top - 20, top + 21, top, top + 61]
        );
    }

    #[test]
    fn wraps_at_31_bits_both_ways() {
        let half = 1i64 << 31;
        assert_eq!(
            unwrapped(&[0x7fff_fff0, 10, 0x7fff_ffff, 30, 2000]),
            [half - 16, half + 10, half - 1, half + 30, half + 2000]
        );
    }

    #[test]
    fn passes_31_bits_when_the_sender_does() {
        let half = 1i64 << 31;
        assert_eq!(
            unwrapped(&[0x7fff_fff0, 0x8000_0010, 0x8000_0030]),
            [half - 16, half + 16, half + 48]
        );
    }

    #[test]
    fn steps_are_kept() {
        assert_eq!(
            unwrapped(&[1000, 400, 90_000_000, 90_000_040, 0]),
            [1000, 400, 90_000_000, 90_000_040, 0]
        );
    }
}
