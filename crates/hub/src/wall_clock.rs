//! The wall-clock time of segments (`EXT-X-PROGRAM-DATE-TIME`).
//!
//! It starts from the receive clock at the session's first leading frame and advances by media
//! time. At each boundary it is compared with the receive clock: if it would be ahead, it is
//! set back to it, since no segment may come from the future; if it is behind (the publisher's
//! clock runs slow, or the first frame came early), it catches up by at most 1/200 of the media
//! time since the last boundary. It never goes back: when the receive clock was set back, it
//! advances by a millisecond a segment until the clock has caught up.

use weir_media::Utc;

/// Least step between two segments of a track, in microseconds: what three decimals show.
const STEP_US_MIN: i64 = 1000;

/// Part of the media time by which the clock may catch up at a boundary.
const CATCH_UP: i64 = 200;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct WallClock {
    anchor: Option<(Utc, i64)>,
    last: Option<Utc>,
}

impl WallClock {
    /// A clock that goes on after `last`.
    pub(crate) fn after(last: Option<Utc>) -> Self {
        Self { anchor: None, last }
    }

    /// A new publish session: the next stamp is the receive clock's.
    pub(crate) fn restart(&mut self) {
        self.anchor = None;
    }

    /// The wall-clock time of a place in the stream, by the last segment's; `None` before the
    /// session has one.
    pub(crate) fn at(&self, time_90k: i64) -> Option<Utc> {
        let (_, anchor_90k) = self.anchor?;
        let since = us_of_90k(time_90k.saturating_sub(anchor_90k));
        Some(self.last?.plus_us(since))
    }

    /// Stamp of a segment that starts at `time_90k`, whose first frame was received at
    /// `received`.
    pub(crate) fn stamp(&mut self, time_90k: i64, received: Utc) -> Utc {
        let by_media = self.anchor.map_or(received, |(utc, time)| {
            let media_us = us_of_90k(time_90k.saturating_sub(time));
            let behind = received.0.saturating_sub(utc.plus_us(media_us).0);
            utc.plus_us(media_us)
                .plus_us(behind.min((media_us / CATCH_UP).max(0)))
        });
        self.anchor = Some((by_media, time_90k));
        let stamp = later(by_media, self.last);
        self.last = Some(stamp);
        stamp
    }
}

/// `stamp`, or just after `last` if that is later.
pub(crate) fn later(stamp: Utc, last: Option<Utc>) -> Utc {
    last.map_or(stamp, |last| stamp.max(last.plus_us(STEP_US_MIN)))
}

/// Microseconds of a span in ticks of 1/90,000 s.
pub(crate) fn us_of_90k(ticks: i64) -> i64 {
    weir_media::time::rescale(ticks, 90_000, 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000;

    #[test]
    fn advances_by_media_time_and_not_by_jitter() {
        let mut clock = WallClock::default();
        assert_eq!(clock.stamp(900_000, Utc(100 * S)), Utc(100 * S));
        // 4 s of media arrive 50 ms late: only 20 ms of that are believed.
        let stamp = clock.stamp(900_000 + 360_000, Utc(104 * S + 50_000));
        assert_eq!(stamp, Utc(104 * S + 20_000));
        let ahead = clock.at(900_000 + 450_000);
        assert_eq!(ahead, Some(Utc(105 * S + 20_000)));
    }

    #[test]
    fn is_never_ahead_of_the_receive_clock() {
        let mut clock = WallClock::default();
        clock.stamp(0, Utc(100 * S));
        assert_eq!(clock.stamp(900_000, Utc(102 * S)), Utc(102 * S));
        assert_eq!(clock.stamp(900_000 + 90_000, Utc(103 * S)), Utc(103 * S));
    }

    #[test]
    fn never_goes_back_when_the_clock_is_set_back() {
        let mut clock = WallClock::after(Some(Utc(500 * S)));
        assert_eq!(clock.stamp(0, Utc(100 * S)), Utc(500 * S + 1000));
        assert_eq!(clock.stamp(90_000, Utc(101 * S)), Utc(500 * S + 2000));
        clock.restart();
        assert_eq!(clock.stamp(180_000, Utc(600 * S)), Utc(600 * S));
    }
}
