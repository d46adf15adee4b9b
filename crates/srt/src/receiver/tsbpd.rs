//! When a packet is due: timestamp-based packet delivery (§4.5).

use crate::limits::TIMESTAMP_AHEAD_MAX;
use crate::timing::us;
use std::time::Duration;
use weir_media::Mono;

/// Samples of which the drift is the mean: ten seconds of acknowledgements.
const DRIFT_SAMPLES: u32 = 1000;

/// The sender's clock as seen from here.
#[derive(Debug)]
pub(crate) struct Tsbpd {
    /// Our time at which a packet with timestamp zero arrives; timestamps wrap each 71 minutes,
    /// so that any multiple of that could be added.
    base_us: i64,
    latency: Duration,
    drift_sum_us: i64,
    drift_samples: u32,
    first_rtt_us: Option<u32>,
}

impl Tsbpd {
    /// A packet with `timestamp` has come at `now`.
    pub(crate) fn new(timestamp: u32, latency: Duration, now: Mono) -> Self {
        Self {
            base_us: signed(now) - i64::from(timestamp),
            latency,
            drift_sum_us: 0,
            drift_samples: 0,
            first_rtt_us: None,
        }
    }

    pub(crate) fn latency(&self) -> Duration {
        self.latency
    }

    /// When the packet with `timestamp` was sent, by our clock and plus the way; `newest` if
    /// it is newer than all others.
    pub(crate) fn sent_at(&mut self, timestamp: u32, newest: bool, now: Mono) -> Mono {
        let sent = self.local(timestamp, now);
        let ahead = sent - signed(now);
        let limit = us(TIMESTAMP_AHEAD_MAX) as i64;
        if ahead > limit || (newest && ahead < -limit) {
            return now;
        }
        Mono(u64::try_from(sent).unwrap_or(0))
    }

    /// Takes over the time of `other`, which follows the same clock by another path.
    pub(crate) fn align(&mut self, other: &Self) {
        self.base_us = other.base_us;
        self.drift_sum_us = 0;
        self.drift_samples = 0;
    }

    /// Our time for `timestamp`: the one nearest to now. What was heard last says nothing, it
    /// may be hours ago.
    fn local(&self, timestamp: u32, now: Mono) -> i64 {
        let expected = signed(now).wrapping_sub(self.base_us) as u32;
        signed(now) + i64::from(timestamp.wrapping_sub(expected) as i32)
    }

    /// An ACKACK with `timestamp` has come: it was sent at once, so it shows how the clocks
    /// drift.
    pub(crate) fn drift_sample(&mut self, timestamp: u32, rtt_us: u32, now: Mono) {
        let first_rtt_us = *self.first_rtt_us.get_or_insert(rtt_us);
        let late_us = signed(now) - self.local(timestamp, now);
        // A jump is no drift.
        if late_us.abs() > us(TIMESTAMP_AHEAD_MAX) as i64 {
            return;
        }
        self.drift_sum_us += late_us - (i64::from(rtt_us) - i64::from(first_rtt_us)) / 2;
        self.drift_samples += 1;
        if self.drift_samples == DRIFT_SAMPLES {
            self.base_us += self.drift_sum_us / i64::from(DRIFT_SAMPLES);
            self.drift_sum_us = 0;
            self.drift_samples = 0;
        }
    }
}

fn signed(time: Mono) -> i64 {
    i64::try_from(time.0).unwrap_or(i64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    #[test]
    fn timestamps_wrap() {
        let start = 100 * SECOND;
        let mut tsbpd = Tsbpd::new(u32::MAX - 500_000, Duration::ZERO, Mono(start));
        let sent = |tsbpd: &mut Tsbpd, after: u64| {
            let timestamp = (u32::MAX - 500_000).wrapping_add(after as u32);
            tsbpd.sent_at(timestamp, true, Mono(start + after)).0 - start
        };
        // Three times around, a minute a step; and back by half a minute.
        for minute in 0..220 {
            assert_eq!(sent(&mut tsbpd, minute * 60 * SECOND), minute * 60 * SECOND);
        }
        let back = 219 * 60 * SECOND - 30 * SECOND;
        assert_eq!(sent(&mut tsbpd, back), back);
    }

    /// With nothing but keep-alives for half a turn of the timestamp and more.
    #[test]
    fn silence_does_not_lose_the_turn_of_the_clock() {
        let mut tsbpd = Tsbpd::new(0, Duration::ZERO, Mono(SECOND));
        for minutes in [36, 36 + 50, 36 + 50 + 3 * 71] {
            let after = minutes * 60 * SECOND;
            let now = Mono(SECOND + after);
            assert_eq!(tsbpd.sent_at(after as u32, true, now), now, "{minutes}");
        }
    }

    #[test]
    fn a_clock_that_jumps_back_does_not_stall() {
        let latency = Duration::from_millis(120);
        let start = Mono(SECOND);
        let mut tsbpd = Tsbpd::new(600 * SECOND as u32, latency, start);
        let now = Mono(2 * SECOND);
        assert_eq!(tsbpd.sent_at(SECOND as u32, true, now), now);
        // What is only repeated keeps its time.
        let repeated = tsbpd.sent_at(580 * SECOND as u32, false, Mono(30 * SECOND));
        assert_eq!(repeated, Mono(0));
    }

    #[test]
    fn a_clock_that_jumps_ahead_does_not_stall() {
        let mut tsbpd = Tsbpd::new(0, Duration::from_millis(120), Mono(SECOND));
        let jumped = tsbpd.sent_at(600 * SECOND as u32, true, Mono(2 * SECOND));
        assert_eq!(jumped, Mono(2 * SECOND));
        assert_eq!(tsbpd.sent_at(0, false, Mono(2 * SECOND)), Mono(SECOND));
    }

    #[test]
    fn a_clock_that_drifts_is_followed() {
        let mut tsbpd = Tsbpd::new(0, Duration::ZERO, Mono(0));
        // 100 ppm slow: 1 ms in ten seconds.
        let late = |n: u64| n * 10_000 + n;
        for n in 1..=20_000 {
            tsbpd.drift_sample((n * 10_000) as u32, 40_000, Mono(late(n)));
        }
        let sent = tsbpd.sent_at((20_000 * 10_000) as u32, true, Mono(late(20_000)));
        assert!(late(20_000) - sent.0 < 2000);
        // A longer way for a while is no drift.
        let mut tsbpd = Tsbpd::new(0, Duration::ZERO, Mono(0));
        tsbpd.drift_sample(0, 40_000, Mono(0));
        for n in 1..1000 {
            tsbpd.drift_sample(n * 10_000, 100_000, Mono(u64::from(n) * 10_000 + 30_000));
        }
        let sent = tsbpd.sent_at(9_990_000, true, Mono(9_990_000));
        assert!(sent.0.abs_diff(9_990_000) < 100);
    }
}
