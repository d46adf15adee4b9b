//! How much work a peer's loss reports may make.

use crate::limits::{REPEATS_PER_PACKET, REPEATS_SAVED_MAX, REPORTED_PACKETS_PER_MS};
use weir_media::Mono;

/// Repetitions that a new connection may make at once.
const REPEATS_AT_FIRST: u32 = 64;

/// What may be looked at and sent again for the peer's reports: in proportion to time and to
/// what is sent first, so that small reports do not draw large floods.
#[derive(Debug)]
pub(super) struct Repeats {
    window: u32,
    /// Packets that may be looked at now.
    looks: u32,
    filled_at: Mono,
    /// Packets that may be sent again now.
    saved: u32,
}

impl Repeats {
    pub(super) fn new(window: u32) -> Self {
        Self {
            window,
            looks: window,
            filled_at: Mono(0),
            saved: REPEATS_AT_FIRST,
        }
    }

    /// A packet was sent for the first time.
    pub(super) fn earn(&mut self) {
        self.saved = (self.saved + REPEATS_PER_PACKET).min(REPEATS_SAVED_MAX);
    }

    /// A packet is to be sent again. False if it may not.
    pub(super) fn spend(&mut self) -> bool {
        let left = self.saved.checked_sub(1);
        self.saved = left.unwrap_or(0);
        left.is_some()
    }

    /// How many of `n` packets may be looked at.
    pub(super) fn look_at(&mut self, n: usize, now: Mono) -> usize {
        let ms = now.since(self.filled_at).as_millis();
        if ms > 0 {
            let gained = u32::try_from(ms).unwrap_or(u32::MAX);
            let gained = gained.saturating_mul(REPORTED_PACKETS_PER_MS);
            self.looks = self.looks.saturating_add(gained).min(self.window);
            self.filled_at = now;
        }
        let n = n.min(self.looks as usize);
        self.looks -= n as u32;
        n
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetitions_are_in_proportion_to_what_is_sent() {
        let mut repeats = Repeats::new(1000);
        let all = |repeats: &mut Repeats| (0..100_000).filter(|_| repeats.spend()).count();
        assert_eq!(all(&mut repeats), 64);
        repeats.earn();
        assert_eq!(all(&mut repeats), 4);
        for _ in 0..100_000 {
            repeats.earn();
        }
        assert_eq!(all(&mut repeats), 8192);
    }

    #[test]
    fn reports_are_looked_through_for_so_long() {
        let mut repeats = Repeats::new(1500);
        assert_eq!(repeats.look_at(1400, Mono(100)), 1400);
        assert_eq!(repeats.look_at(1400, Mono(200)), 100);
        assert_eq!(repeats.look_at(1400, Mono(900)), 0);
        assert_eq!(repeats.look_at(1400, Mono(1300)), 1000);
        assert_eq!(repeats.look_at(5000, Mono(90_000)), 1500);
    }
}
