//! Live congestion control (§5.1): how fast packets may leave.

use crate::packet::HEADER_BYTES;
use std::time::Duration;
use weir_media::Mono;

/// IP and UDP headers, in bytes: they count towards the bandwidth.
pub(crate) const LOWER_HEADERS_BYTES: usize = 28;

/// What may be made up for at once after a pause, so that timers need not be finer.
const BURST_NS: u64 = 2_000_000;

/// Input is measured over this time.
const SAMPLE: Duration = Duration::from_millis(500);

/// Input that pauses for so long is measured anew: a pause says nothing about what follows.
const PAUSE: Duration = Duration::from_millis(250);

/// Least rate that is allowed because of what is measured, in bytes a second: ten packets.
const MEASURED_MIN: u64 = 15_000;

/// One packet holds up the next for at most so long, where the rate is only measured.
const HELD_NS_MAX: u64 = 100_000_000;

/// How fast a connection may send, first and repeated packets together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bandwidth {
    /// At most so many bytes a second (`SRTO_MAXBW`).
    Max(u64),
    /// So much more than what is given to be sent: `floor` bytes a second (`SRTO_INPUTBW`, or
    /// `SRTO_MININPUTBW`) or what is measured, whichever is more, plus `overhead_percent`
    /// (`SRTO_OHEADBW`).
    Input {
        /// Least input that is assumed, in bytes a second.
        floor: u64,
        /// What may be added for repetitions.
        overhead_percent: u32,
    },
}

impl Default for Bandwidth {
    /// 1 Gbit/s, as libsrt has it.
    fn default() -> Self {
        Self::Max(125_000_000)
    }
}

#[derive(Debug)]
pub(super) struct Pacer {
    bandwidth: Bandwidth,
    bytes_per_s: u64,
    /// The next packet may leave at this time, in nanoseconds.
    free_ns: u64,
    sample_start: Mono,
    /// When a packet was last given to be sent.
    input_at: Option<Mono>,
    sample_bytes: u64,
}

impl Pacer {
    pub(super) fn new(bandwidth: Bandwidth, now: Mono) -> Self {
        let bytes_per_s = match bandwidth {
            Bandwidth::Max(bytes) => bytes,
            Bandwidth::Input { floor, .. } => allowed(floor, bandwidth),
        };
        Self {
            bandwidth,
            bytes_per_s: bytes_per_s.max(1),
            free_ns: 0,
            sample_start: now,
            input_at: None,
            sample_bytes: 0,
        }
    }

    pub(super) fn bytes_per_s(&self) -> u64 {
        self.bytes_per_s
    }

    /// A packet was given to be sent.
    pub(super) fn input(&mut self, payload_bytes: usize, now: Mono) {
        let Bandwidth::Input { floor, .. } = self.bandwidth else {
            return;
        };
        let before = self.input_at.replace(now);
        if before.is_none_or(|before| now.since(before) >= PAUSE) {
            // Each sample begins after its first packet.
            self.sample_start = now;
            self.sample_bytes = 0;
            return;
        }
        self.sample_bytes += wire_bytes(payload_bytes);
        let elapsed = now.since(self.sample_start);
        if elapsed >= SAMPLE {
            let ms = elapsed.as_millis().max(1) as u64;
            let rate = self.sample_bytes.saturating_mul(1000) / ms;
            self.bytes_per_s = allowed(rate.max(floor), self.bandwidth).max(MEASURED_MIN);
            self.sample_start = now;
            self.sample_bytes = 0;
            // What was reckoned by the old rate is over.
            self.free_ns = self.free_ns.min(now.0.saturating_mul(1000));
        }
    }

    pub(super) fn may_send(&self, now: Mono) -> bool {
        self.free_ns <= now.0.saturating_mul(1000)
    }

    pub(super) fn sent(&mut self, payload_bytes: usize, now: Mono) {
        let now_ns = now.0.saturating_mul(1000);
        let start = self.free_ns.max(now_ns.saturating_sub(BURST_NS));
        let took = wire_bytes(payload_bytes).saturating_mul(1_000_000_000) / self.bytes_per_s;
        let free = start.saturating_add(took);
        self.free_ns = match self.bandwidth {
            Bandwidth::Max(_) => free,
            Bandwidth::Input { .. } => free.min(now_ns.saturating_add(HELD_NS_MAX)),
        };
    }

    pub(super) fn due(&self) -> Mono {
        Mono(self.free_ns.div_ceil(1000))
    }
}

fn allowed(input: u64, bandwidth: Bandwidth) -> u64 {
    match bandwidth {
        // Until something is measured there is no limit but the usual one.
        Bandwidth::Input { .. } if input == 0 => 125_000_000,
        Bandwidth::Input {
            overhead_percent, ..
        } => input.saturating_mul(100 + u64::from(overhead_percent)) / 100,
        Bandwidth::Max(bytes) => bytes,
    }
}

fn wire_bytes(payload_bytes: usize) -> u64 {
    (payload_bytes + HEADER_BYTES + LOWER_HEADERS_BYTES) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packets that leave within a second, by a timer of one millisecond.
    fn in_a_second(pacer: &mut Pacer, start: Mono) -> u64 {
        let mut packets = 0;
        for ms in 0..1000 {
            let now = start + Duration::from_millis(ms);
            while pacer.may_send(now) {
                pacer.sent(1316, now);
                packets += 1;
            }
        }
        packets
    }

    #[test]
    fn packets_leave_at_the_rate_allowed() {
        let start = Mono(5_000_000);
        let mut pacer = Pacer::new(Bandwidth::Max(1_360_000), start);
        assert!((998..=1005).contains(&in_a_second(&mut pacer, start)));
        let mut pacer = Pacer::new(Bandwidth::Max(0), start);
        assert_eq!(in_a_second(&mut pacer, start), 1);
    }

    #[test]
    fn input_is_measured_and_given_its_overhead() {
        let mut pacer = Pacer::new(
            Bandwidth::Input {
                floor: 0,
                overhead_percent: 25,
            },
            Mono(0),
        );
        assert_eq!(pacer.bytes_per_s(), 125_000_000);
        for ms in 0..=2000 {
            pacer.input(1316, Mono(ms * 1000));
        }
        assert!((1_690_000..1_710_000).contains(&pacer.bytes_per_s()));
    }

    /// A stream that pauses is as fast afterwards as before.
    #[test]
    fn a_pause_is_not_measured() {
        let bandwidth = Bandwidth::Input {
            floor: 0,
            overhead_percent: 25,
        };
        let mut pacer = Pacer::new(bandwidth, Mono(0));
        let mut now = Mono(60_000_000);
        for pause in [0, 300, 3_000, 60_000, 600] {
            now = now + Duration::from_millis(pause);
            for _ in 0..1000 {
                now = now + Duration::from_millis(1);
                pacer.input(1316, now);
                pacer.sent(1316, now);
                assert!(pacer.bytes_per_s() >= 1_600_000, "{}", pacer.bytes_per_s());
                assert!(pacer.due() <= now + Duration::from_millis(2));
            }
        }
    }

    #[test]
    fn what_is_measured_never_stops_a_stream() {
        let bandwidth = Bandwidth::Input {
            floor: 0,
            overhead_percent: 0,
        };
        let mut pacer = Pacer::new(bandwidth, Mono(0));
        for n in 0..100 {
            let now = Mono(n * 240_000);
            pacer.input(1, now);
            pacer.sent(1316, now);
            assert!(pacer.due() <= now + Duration::from_millis(100));
        }
        assert_eq!(pacer.bytes_per_s(), 15_000);
    }
}
