//! Whether the wall clock can be trusted for the ages of files: not soon after it was set.
//!
//! A clock that jumps years ahead (a wrong time server, a dead battery) would make every file too
//! old at once. So after a jump nothing is removed for its age until somebody had a day to see it.

use std::fmt;
use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, clock_gettime};

/// Time servers correct by less, unless the clock was wrong.
const JUMP: Duration = Duration::from_secs(3_600);
/// How long a clock that jumped is not trusted.
const HOLD: Duration = Duration::from_secs(86_400);

/// Watches the wall clock.
#[derive(Debug)]
pub(super) struct Steady {
    /// Time since the machine was started and wall clock, when both were last read.
    last: (Duration, SystemTime),
    /// Time since the machine was started until which the clock is not trusted.
    held_until: Option<Duration>,
}

/// By how much a clock was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moved {
    seconds: u64,
    ahead: bool,
}

impl fmt::Display for Moved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direction = match self.ahead {
            true => "ahead",
            false => "back",
        };
        write!(f, "{direction} by {} s", self.seconds)
    }
}

impl Steady {
    pub(super) fn new() -> Self {
        Self {
            last: (since_boot(), SystemTime::now()),
            held_until: None,
        }
    }

    /// Reads the clocks; by how much the wall clock was set since the last time, if it was.
    pub(super) fn look(&mut self) -> Option<Moved> {
        self.at(since_boot(), SystemTime::now())
    }

    fn at(&mut self, since_boot: Duration, wall: SystemTime) -> Option<Moved> {
        let (last_boot, last_wall) = std::mem::replace(&mut self.last, (since_boot, wall));
        let expected = last_wall + since_boot.saturating_sub(last_boot);
        let (moved, ahead) = match wall.duration_since(expected) {
            Ok(moved) => (moved, true),
            Err(back) => (back.duration(), false),
        };
        if moved > JUMP {
            self.held_until = Some(since_boot.saturating_add(HOLD));
            let seconds = moved.as_secs();
            return Some(Moved { seconds, ahead });
        }
        self.held_until = self.held_until.filter(|until| since_boot < *until);
        None
    }

    /// Whether ages can be told by the wall clock, as it was last read.
    pub(super) fn is_steady(&self) -> bool {
        self.held_until.is_none()
    }
}

/// Also counts while the machine is suspended, as the wall clock does.
fn since_boot() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::from_secs(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_jumps_is_not_trusted_for_a_day() {
        let wall = |seconds: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + seconds);
        let boot = Duration::from_secs;
        let mut steady = Steady {
            last: (boot(0), wall(0)),
            held_until: None,
        };
        // Half an hour in all, by a time server.
        assert_eq!(steady.at(boot(10), wall(1_810)), None);
        assert!(steady.is_steady());
        let year = 31_536_000;
        let moved = steady.at(boot(20), wall(year + 1_820)).unwrap();
        assert_eq!(moved.to_string(), "ahead by 31536000 s");
        assert_eq!(steady.at(boot(30), wall(year + 1_830)), None);
        assert!(!steady.is_steady());
        let moved = steady.at(boot(40), wall(40)).unwrap();
        assert_eq!((moved.ahead, moved.seconds), (false, year + 1_800));
        assert_eq!(steady.at(boot(86_439), wall(86_439)), None);
        assert!(!steady.is_steady());
        assert_eq!(steady.at(boot(86_440), wall(86_440)), None);
        assert!(steady.is_steady());
    }
}
