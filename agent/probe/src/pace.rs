//! So many frames at such a rate.

use std::io;
use std::time::{Duration, Instant};

use crate::{Pair, Program};

/// Longest time between two bursts: frames come in bursts, as they do from a card.
const BURST: Duration = Duration::from_millis(2);

/// Frames a call at most, so that a stop is soon noticed.
const MOST: u64 = 1 << 18;

/// How fast to send.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rate {
    /// So many frames a second.
    PerSecond(f64),
    /// As fast as one processor can.
    Full,
}

/// What was sent.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// Frames.
    pub frames: u64,
    /// How long it took.
    pub took: Duration,
}

impl Sent {
    /// Frames a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.frames as f64 / self.took.as_secs_f64().max(1e-9)
    }
}

/// Sends frames for as long as `left`, given what was sent, says that so many are to come.
///
/// # Errors
/// As [`Program::run_live`].
pub fn send(
    program: &Program,
    frame: &[u8],
    pair: &Pair,
    rate: Rate,
    mut left: impl FnMut(&Sent) -> u64,
) -> io::Result<Sent> {
    let start = Instant::now();
    let mut sent = Sent {
        frames: 0,
        took: Duration::ZERO,
    };
    loop {
        let left = left(&sent).min(MOST);
        if left == 0 {
            return Ok(sent);
        }
        let due = match rate {
            Rate::PerSecond(rate) => ((start.elapsed() + BURST).as_secs_f64() * rate) as u64,
            Rate::Full => u64::MAX,
        };
        let burst = due.saturating_sub(sent.frames).clamp(1, left);
        program.run_live(frame, burst as u32, pair.far)?;
        sent.frames += burst;
        if let Rate::PerSecond(rate) = rate {
            let until = Duration::from_secs_f64(sent.frames as f64 / rate);
            std::thread::sleep(until.saturating_sub(start.elapsed()));
        }
        sent.took = start.elapsed();
    }
}
