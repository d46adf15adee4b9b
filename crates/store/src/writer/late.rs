//! How often the log tells of late segments: a disk that hangs makes every segment of every
//! stream late, and a line for each would be written to the same disk.

use crate::limits::LATE_LOG_INTERVAL;
use std::time::Instant;

/// What the log was told of one broadcast. The counter of unstored segments has them all.
#[derive(Debug, Default)]
pub(super) struct LateLog {
    told_at: Option<Instant>,
    suppressed: u64,
}

impl LateLog {
    /// A segment is late. Returns how many were since the last line if a line is due, not
    /// counting this one.
    pub(super) fn handle_late(&mut self, now: Instant) -> Option<u64> {
        let too_soon = |at: Instant| now.saturating_duration_since(at) < LATE_LOG_INTERVAL;
        if self.told_at.is_some_and(too_soon) {
            self.suppressed = self.suppressed.saturating_add(1);
            return None;
        }
        self.told_at = Some(now);
        Some(std::mem::take(&mut self.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn the_first_is_told_and_then_one_per_interval() {
        let (mut log, start) = (LateLog::default(), Instant::now());
        assert_eq!(log.handle_late(start), Some(0));
        for second in 0..10 {
            assert_eq!(log.handle_late(start + Duration::from_secs(second)), None);
        }
        assert_eq!(log.handle_late(start + LATE_LOG_INTERVAL), Some(10));
        assert_eq!(log.handle_late(start + LATE_LOG_INTERVAL), None);
        assert_eq!(log.handle_late(start + 3 * LATE_LOG_INTERVAL), Some(1));
        assert_eq!(log.handle_late(start + 4 * LATE_LOG_INTERVAL), Some(0));
    }
}
