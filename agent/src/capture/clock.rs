//! From the kernel program's monotonic times to wall-clock time.

use std::time::Duration;

/// More than the clocks drift apart between two measurements: both are slewed alike, so only a
/// step of the wall clock, or a sleep of the machine, moves one against the other.
const TOLERANCE_NS: u64 = 1_000_000;

/// Readings per measurement; the one with the least time between its two monotonic readings counts.
const READINGS: usize = 5;

/// The wall clock cannot be read, or is before 1970.
#[derive(Debug, thiserror::Error)]
#[error("cannot measure the wall clock against the monotonic clock")]
pub struct ClockError;

/// The offset between the clocks, as last measured.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Wall-clock time, as nanoseconds since 1970 UTC, less monotonic time.
    offset_ns: i64,
}

/// A step of the wall clock between two measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jump {
    /// Nanoseconds; more than zero is forward.
    pub by_ns: i64,
}

impl Clock {
    /// Measures the offset.
    pub fn new() -> Result<Self, ClockError> {
        measure().map(|offset_ns| Self { offset_ns })
    }

    /// Nanoseconds since 1970 UTC of a monotonic time.
    #[must_use]
    pub const fn wall_ns(&self, monotonic_ns: u64) -> u64 {
        monotonic_ns.saturating_add_signed(self.offset_ns)
    }

    /// Nanoseconds since 1970 UTC of now, as a packet of now has them.
    #[must_use]
    pub fn now_ns(&self) -> u64 {
        self.wall_ns(monotonic_ns())
    }

    /// Measures again; do so every second or so. Says if the wall clock jumped, by more than a
    /// millisecond. Times given from here on are by the new offset.
    pub fn measure_again(&mut self) -> Result<Option<Jump>, ClockError> {
        measure().map(|offset_ns| self.adopt(offset_ns))
    }

    fn adopt(&mut self, offset_ns: i64) -> Option<Jump> {
        let by_ns = offset_ns.saturating_sub(self.offset_ns);
        self.offset_ns = offset_ns;
        (by_ns.unsigned_abs() > TOLERANCE_NS).then_some(Jump { by_ns })
    }
}

/// `CLOCK_MONOTONIC`, in nanoseconds: the clock of all records.
#[must_use]
pub(super) fn monotonic_ns() -> u64 {
    read(libc::CLOCK_MONOTONIC).map_or(0, |time| time.as_nanos() as u64)
}

fn measure() -> Result<i64, ClockError> {
    let mut best: Option<(u64, i64)> = None;
    for _ in 0..READINGS {
        let before = monotonic_ns();
        let wall = read(libc::CLOCK_REALTIME).ok_or(ClockError)?;
        let width = monotonic_ns().saturating_sub(before);
        let wall_ns = i64::try_from(wall.as_nanos()).map_err(|_| ClockError)?;
        let offset = wall_ns.saturating_sub_unsigned(before + width / 2);
        if best.is_none_or(|(least, _)| width < least) {
            best = Some((width, offset));
        }
    }
    best.map(|(_, offset)| offset).ok_or(ClockError)
}

fn read(clock: libc::clockid_t) -> Option<Duration> {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the kernel writes one `timespec`, which is ours.
    let result = unsafe { libc::clock_gettime(clock, &raw mut time) };
    let seconds = u64::try_from(time.tv_sec).ok()?;
    let nanos = u32::try_from(time.tv_nsec).ok()?;
    (result == 0).then(|| Duration::new(seconds, nanos))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn now_is_now_on_both_clocks() {
        let mut clock = Clock::new().unwrap();
        let wall = clock.wall_ns(monotonic_ns());
        let system = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap()
            .as_nanos() as u64;
        assert!(system.abs_diff(wall) < 1_000_000_000, "{system} {wall}");
        assert_eq!(clock.measure_again().unwrap(), None);
    }

    #[test]
    fn a_step_is_a_jump_and_drift_is_none() {
        let mut clock = Clock { offset_ns: 500 };
        assert_eq!(clock.adopt(1_000_500), None);
        assert_eq!(clock.wall_ns(1), 1_000_501);
        assert_eq!(clock.adopt(0), Some(Jump { by_ns: -1_000_500 }));
        assert_eq!(
            clock.adopt(3_600_000_000_000).unwrap().by_ns,
            3_600_000_000_000
        );
        assert_eq!(clock.wall_ns(7), 3_600_000_000_007);
    }
}
