//! One direction between two ends.

use crate::random::Random;

/// What happens to datagrams on their way.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Path {
    /// Share that is lost, from 0 to 1.
    pub loss: f64,
    /// Times in which more is lost.
    pub burst: Option<Burst>,
    /// Share that arrives twice.
    pub repeat: f64,
    /// Time that each takes at least, in microseconds.
    pub delay_us: u64,
    /// Time that each may take on top: enough to overtake others.
    pub jitter_us: u64,
    /// Capacity, in bytes a second.
    pub bytes_per_s: Option<u64>,
    /// Bytes that wait for capacity at most; more are lost.
    pub queue_bytes: u64,
}

/// Two states (Gilbert and Elliott): in the bad one, more is lost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Burst {
    /// Chance for each datagram to begin a bad time.
    pub enter: f64,
    /// Chance for each datagram to end it.
    pub leave: f64,
    /// Share that is lost in it.
    pub loss: f64,
}

impl Default for Path {
    /// Nothing is lost, and nothing takes time.
    fn default() -> Self {
        Self {
            loss: 0.0,
            burst: None,
            repeat: 0.0,
            delay_us: 0,
            jitter_us: 0,
            bytes_per_s: None,
            queue_bytes: 256 * 1024,
        }
    }
}

#[derive(Debug)]
pub(crate) struct State {
    path: Path,
    bad: bool,
    /// When all that waits for capacity has left.
    free_us: u64,
}

impl State {
    pub(crate) fn new(path: Path) -> Self {
        Self {
            path,
            bad: false,
            free_us: 0,
        }
    }

    /// When a datagram arrives, if it does.
    pub(crate) fn admit(&mut self, bytes: usize, now_us: u64, random: &mut Random) -> Option<u64> {
        if let Some(burst) = self.path.burst {
            let change = if self.bad { burst.leave } else { burst.enter };
            self.bad ^= random.chance(change);
            if self.bad && random.chance(burst.loss) {
                return None;
            }
        }
        if random.chance(self.path.loss) {
            return None;
        }
        let mut left_us = now_us;
        if let Some(rate) = self.path.bytes_per_s {
            let rate = rate.max(1);
            let waits = self.free_us.saturating_sub(now_us) * rate / 1_000_000;
            if waits > self.path.queue_bytes {
                return None;
            }
            left_us = self.free_us.max(now_us) + bytes as u64 * 1_000_000 / rate;
            self.free_us = left_us;
        }
        Some(left_us + self.path.delay_us + self.jitter(random))
    }

    pub(crate) fn repeats(&self, random: &mut Random) -> bool {
        random.chance(self.path.repeat)
    }

    pub(crate) fn jitter(&self, random: &mut Random) -> u64 {
        random.below(self.path.jitter_us + 1)
    }
}
