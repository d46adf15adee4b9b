//! Text of the running clock and the frame counter.

/// Characters of `HH:MM:SS.mmm`.
pub const CLOCK_CHARS: usize = 12;

/// Characters of `UTC FRAME 00000000`.
pub const COUNTER_CHARS: usize = 18;

/// Time of day as `HH:MM:SS.mmm`. `utc_us` counts microseconds since 1970 in UTC; any value does.
#[must_use]
pub fn clock_text(utc_us: i64) -> [u8; CLOCK_CHARS] {
    let millis = utc_us
        .div_euclid(1000)
        .rem_euclid(86_400_000)
        .unsigned_abs();
    let (hour, minute) = (millis / 3_600_000, millis / 60_000 % 60);
    let (second, milli) = (millis / 1000 % 60, millis % 1000);
    let mut text = *b"00:00:00.000";
    put_decimal(&mut text[0..2], hour);
    put_decimal(&mut text[3..5], minute);
    put_decimal(&mut text[6..8], second);
    put_decimal(&mut text[9..12], milli);
    text
}

/// The line below the clock. The counter shows the last eight digits: 38 days at 30 frames per
/// second.
#[must_use]
pub fn counter_text(frame_number: u64) -> [u8; COUNTER_CHARS] {
    let mut text = *b"UTC FRAME 00000000";
    put_decimal(&mut text[10..18], frame_number);
    text
}

/// Writes the last digits of `value` over the whole of `digits`.
fn put_decimal(digits: &mut [u8], mut value: u64) {
    for digit in digits.iter_mut().rev() {
        // The remainder is below ten, so the cast keeps it.
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clock_shows_time_of_day_in_utc() {
        // 2026-11-20 22:51:07.089999 UTC: the microseconds are cut off, not rounded.
        assert_eq!(&clock_text(1_795_215_067_089_999), b"22:51:07.089");
        assert_eq!(&clock_text(0), b"00:00:00.000");
        assert_eq!(&clock_text(-1), b"23:59:59.999");
        assert_eq!(&clock_text(i64::MAX), b"04:00:54.775");
        assert_eq!(&clock_text(i64::MIN), b"19:59:05.224");
    }

    #[test]
    fn counter_keeps_the_last_eight_digits() {
        assert_eq!(&counter_text(42), b"UTC FRAME 00000042");
        assert_eq!(&counter_text(1_234_567_890_123), b"UTC FRAME 67890123");
    }
}
