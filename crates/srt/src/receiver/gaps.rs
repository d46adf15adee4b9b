//! Which packets far ahead of the newest are believed.

use crate::limits::{GAP_PACKETS_PER_MS, RESUME_PACKETS_MAX};
use crate::seq::Seq;
use weir_media::Mono;

/// A place for each missing packet costs us more than it costs the peer to skip its number.
#[derive(Debug)]
pub(super) struct Gaps {
    capacity: u32,
    /// Places for missing packets that may be made now.
    room: u32,
    filled_at: Mono,
    /// Newest packet that was too far ahead.
    beyond: Option<Seq>,
}

impl Gaps {
    pub(super) fn new(capacity: u32) -> Self {
        Self {
            capacity,
            room: capacity,
            filled_at: Mono(0),
            beyond: None,
        }
    }

    /// Whether `n` more missing packets are plausible.
    pub(super) fn take(&mut self, n: usize, now: Mono) -> bool {
        if n == 0 {
            return true;
        }
        let ms = now.since(self.filled_at).as_millis();
        if ms > 0 {
            let gained = u32::try_from(ms).unwrap_or(u32::MAX);
            let gained = gained.saturating_mul(GAP_PACKETS_PER_MS);
            self.room = self.room.saturating_add(gained).min(self.capacity);
            self.filled_at = now;
        }
        let left = u32::try_from(n).ok().and_then(|n| self.room.checked_sub(n));
        self.room = left.unwrap_or(self.room);
        left.is_some()
    }

    /// `seq` is too far ahead. True if it follows another that was: a single one may be damaged.
    pub(super) fn confirms(&mut self, seq: Seq) -> bool {
        let before = self.beyond.replace(seq);
        before.is_some_and(|before| (1..=RESUME_PACKETS_MAX).contains(&seq.since(before)))
    }
}
