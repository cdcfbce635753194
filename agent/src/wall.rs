//! The wall clock, in nanoseconds since 1970 UTC as all times of packets are.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Now; 0 on a clock before 1970.
pub fn now_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    nanos(since.unwrap_or_default())
}

/// A length of time in nanoseconds; one of more than 292 years is that.
pub fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn now_is_between_two_looks_at_the_clock() {
        let look = || nanos(SystemTime::now().duration_since(UNIX_EPOCH).unwrap());
        let (before, now, after) = (look(), now_ns(), look());
        assert!(before <= now && now <= after, "{before} {now} {after}");
        assert!(before > 1_700_000_000_000_000_000);
        assert_eq!(nanos(Duration::from_millis(5)), 5_000_000);
        assert_eq!(nanos(Duration::MAX), i64::MAX);
    }
}
