//! What arrives per second, as acknowledgements tell it.

use std::time::Duration;
use weir_media::Mono;

/// A rate is measured over this time.
const WINDOW: Duration = Duration::from_millis(500);

/// Packets and bytes a second, of the last whole window.
#[derive(Debug)]
pub(super) struct Rate {
    start: Mono,
    packets: u64,
    bytes: u64,
    pub(super) packets_per_s: u32,
    pub(super) bytes_per_s: u32,
}

impl Rate {
    pub(super) fn new(now: Mono) -> Self {
        Self {
            start: now,
            packets: 0,
            bytes: 0,
            packets_per_s: 0,
            bytes_per_s: 0,
        }
    }

    pub(super) fn add(&mut self, bytes: usize) {
        self.packets += 1;
        self.bytes += bytes as u64;
    }

    /// Ends the window if it is over.
    pub(super) fn update(&mut self, now: Mono) {
        let elapsed = now.since(self.start);
        if elapsed < WINDOW {
            return;
        }
        let per_s = |n: u64| {
            let ms = elapsed.as_millis().max(1) as u64;
            u32::try_from(n.saturating_mul(1000) / ms).unwrap_or(u32::MAX)
        };
        self.packets_per_s = per_s(self.packets);
        self.bytes_per_s = per_s(self.bytes);
        self.start = now;
        self.packets = 0;
        self.bytes = 0;
    }
}
