//! The program's two clocks, read together.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use weir_media::{Mono, Now, Utc};

static START: OnceLock<Instant> = OnceLock::new();

/// Reads both clocks. Monotonic time counts from the first call in this process and is the
/// same for all threads.
#[must_use]
pub fn now() -> Now {
    let mono = START.get_or_init(Instant::now).elapsed();
    let utc = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    Now {
        mono: Mono(u64::try_from(mono.as_micros()).unwrap_or(u64::MAX)),
        utc: Utc(i64::try_from(utc.as_micros()).unwrap_or(i64::MAX)),
    }
}

/// How long from now until `deadline`; zero if it has passed.
#[must_use]
pub fn until(deadline: Mono) -> Duration {
    deadline.since(now().mono)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_clocks_advance() {
        let a = now();
        std::thread::sleep(Duration::from_millis(2));
        let b = now();
        assert!(b.mono > a.mono && b.utc > a.utc);
        assert!(a.utc.seconds() > 1_700_000_000);
        assert_eq!(until(a.mono), Duration::ZERO);
    }
}
