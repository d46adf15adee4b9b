//! Fewer, larger receives from a publisher whom nobody watches frame by frame.
//!
//! An encoder sends 80 messages a second, each of which wakes the worker, is received by itself
//! and acknowledged by a packet. A playlist's viewer sees none of that: what it gets are chunks of
//! half a second. So the socket is told to wake us only once it holds what arrives in
//! [`GATHER_SPAN`] (`SO_RCVLOWAT`), by the rate of the last second. A publisher who falls silent
//! meanwhile is heard after [`GATHER_WAIT`], and with a viewer of live frames every byte counts
//! again.

use crate::limits::{GATHER_BYTES_MAX, GATHER_BYTES_MIN, GATHER_SPAN, GATHER_WAIT};
use std::time::Duration;
use weir_media::Mono;
use weir_net::Stream;

/// How often the rate is taken.
const RATE_WINDOW: Duration = Duration::from_secs(1);

/// What one connection waits for.
pub(crate) struct Gather {
    /// Bytes that the socket gathers before it wakes us. 1: none.
    low_water: usize,
    since: Mono,
    received: u64,
}

impl Gather {
    pub(crate) fn new(now: Mono) -> Self {
        Self {
            low_water: 1,
            since: now,
            received: 0,
        }
    }

    /// Longest wait for the next receive; `None` if nothing is gathered.
    pub(crate) fn wait(&self) -> Option<Duration> {
        (self.low_water > 1).then_some(GATHER_WAIT)
    }

    /// Counts a receive. `wanted` tells whether gathering is right for the connection now.
    pub(crate) fn received(&mut self, stream: &Stream, bytes: usize, wanted: bool, now: Mono) {
        if !wanted {
            return self.stop(stream, now);
        }
        self.received += bytes as u64;
        let span = now.since(self.since);
        if span < RATE_WINDOW {
            return;
        }
        let target = self.target(span);
        (self.since, self.received) = (now, 0);
        // Rates waver; a change that saves little is not worth the call.
        if target.abs_diff(self.low_water) > self.low_water / 8 {
            self.set(stream, target);
        }
    }

    /// Receives whatever comes, from now on and until the rate is known again.
    pub(crate) fn stop(&mut self, stream: &Stream, now: Mono) {
        (self.since, self.received) = (now, 0);
        if self.low_water > 1 {
            self.set(stream, 1);
        }
    }

    fn target(&self, span: Duration) -> usize {
        let bytes = u128::from(self.received) * GATHER_SPAN.as_micros() / span.as_micros().max(1);
        match usize::try_from(bytes).unwrap_or(usize::MAX) {
            few if few < GATHER_BYTES_MIN => 1,
            bytes => bytes.min(GATHER_BYTES_MAX),
        }
    }

    fn set(&mut self, stream: &Stream, bytes: usize) {
        if stream.set_receive_low_water(bytes).is_ok() {
            self.low_water = bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_arrives_in_the_span_is_gathered() {
        let mut gather = Gather::new(Mono(0));
        let second = Duration::from_secs(1);
        gather.received = 625_000;
        assert_eq!(gather.target(second), 37_500);
        gather.received = 100_000_000;
        assert_eq!(gather.target(second), GATHER_BYTES_MAX);
        // Audio alone is heard at once.
        gather.received = 16_000;
        assert_eq!(gather.target(second), 1);
        assert_eq!(gather.wait(), None);
    }
}
