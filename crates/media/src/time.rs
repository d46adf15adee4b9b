//! Time as an argument: two clocks, neither of which this crate reads.

use std::ops::{Add, Sub};
use std::time::Duration;

/// Monotonic time in microseconds since some start of the program. Never goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Mono(pub u64);

/// Wall-clock time in microseconds since 1970-01-01T00:00:00Z, without leap seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Utc(pub i64);

/// One reading of both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// Monotonic clock: for waits, rates and gaps.
    pub mono: Mono,
    /// Wall clock: for what is shown and stored (`EXT-X-PROGRAM-DATE-TIME`).
    pub utc: Utc,
}

impl Mono {
    /// Time since `earlier`, or zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Mono {
    type Output = Self;
    fn add(self, d: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(d.as_micros()).unwrap_or(u64::MAX)),
        )
    }
}

impl Sub<Duration> for Mono {
    type Output = Self;
    fn sub(self, d: Duration) -> Self {
        Self(
            self.0
                .saturating_sub(u64::try_from(d.as_micros()).unwrap_or(u64::MAX)),
        )
    }
}

impl Utc {
    /// Whole seconds since the epoch, rounded down; zero before it.
    #[must_use]
    pub fn seconds(self) -> u64 {
        u64::try_from(self.0.div_euclid(1_000_000)).unwrap_or(0)
    }

    /// This time moved by `us` microseconds.
    #[must_use]
    pub fn plus_us(self, us: i64) -> Self {
        Self(self.0.saturating_add(us))
    }

    /// RFC 3339 with milliseconds, in UTC: `2026-11-20T22:46:01.250Z`.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        let ms = self.0.div_euclid(1000);
        let (days, ms_of_day) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
        let (year, month, day) = civil_from_days(days);
        let (s, milli) = (ms_of_day / 1000, ms_of_day % 1000);
        format!(
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{milli:03}Z",
            s / 3600,
            s / 60 % 60,
            s % 60
        )
    }
}

/// Rescales `ticks` from one timescale to another, rounded to the nearest tick.
///
/// The product is taken in 128 bits, so it cannot overflow; the result saturates. A
/// timescale of 0 is treated as 1.
#[must_use]
pub fn rescale(ticks: i64, from: u32, to: u32) -> i64 {
    if from == to {
        return ticks;
    }
    let (from, to) = (i128::from(from.max(1)), i128::from(to));
    let scaled = (i128::from(ticks) * to + from / 2).div_euclid(from);
    i64::try_from(scaled).unwrap_or(if ticks < 0 { i64::MIN } else { i64::MAX })
}

/// Proleptic Gregorian date of a day number counted from 1970-01-01: years are counted
/// from March, so that the leap day is the last day of its year.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3339_matches_known_dates() {
        assert_eq!(Utc(0).to_rfc3339(), "1970-01-01T00:00:00.000Z");
        assert_eq!(
            Utc(951_782_400_000_000).to_rfc3339(),
            "2000-02-29T00:00:00.000Z"
        );
        assert_eq!(
            Utc(1_795_214_761_250_999).to_rfc3339(),
            "2026-11-20T22:46:01.250Z"
        );
        assert_eq!(Utc(-1000).to_rfc3339(), "1969-12-31T23:59:59.999Z");
    }

    #[test]
    fn rescale_rounds_and_saturates() {
        assert_eq!(rescale(1, 1000, 90_000), 90);
        assert_eq!(rescale(23, 1000, 44_100), 1014);
        assert_eq!(rescale(-23, 1000, 44_100), -1014);
        assert_eq!(rescale(i64::MAX, 1, 90_000), i64::MAX);
        assert_eq!(rescale(5, 0, 10), 50);
    }

    #[test]
    fn mono_never_underflows() {
        assert_eq!(Mono(5).since(Mono(9)), Duration::ZERO);
        assert_eq!(Mono(5) - Duration::from_secs(1), Mono(0));
        assert_eq!(Mono(u64::MAX) + Duration::from_secs(1), Mono(u64::MAX));
    }
}
