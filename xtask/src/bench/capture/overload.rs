//! More than can be stored: every packet is accounted for, tuples survive, memory stays flat.

use agent_probe::Rate;

use super::lab::Lab;
use super::recorders::{self, STORE, number_before};
use crate::Result;

/// Long enough that the copying and the disk are the limit, not the number of packets.
const FRAME: u16 = 1_000;

/// Growth of memory in the second half of the run that is still called flat, in bytes.
const FLAT: u64 = 4 << 20;

/// What became of the frames.
pub(super) struct Overload {
    pub(super) sent: u64,
    pub(super) rate: f64,
    pub(super) arrived: u64,
    pub(super) seen: u64,
    pub(super) stored: u64,
    pub(super) dropped: u64,
    pub(super) tuples: u64,
    /// Greatest memory beside rings in the first and in the second half, in bytes.
    pub(super) memory: (u64, u64),
    unaccounted: bool,
}

pub(super) fn measure(lab: &Lab, frames: u64) -> Result<Overload> {
    eprintln!("overload: {frames} frames of {FRAME} bytes");
    let outcome = lab.run(STORE, Rate::Full, frames, FRAME)?;
    let said = outcome.last_words()?;
    let number = |words| number_before(said, words).ok_or_else(|| format!("it said: {said}"));
    let (first, second) = outcome.memory.split_at(outcome.memory.len() / 2);
    let greatest = |half: &[u64]| half.iter().copied().max().unwrap_or(0);
    Ok(Overload {
        sent: outcome.sent.frames,
        rate: outcome.sent.rate(),
        arrived: outcome.arrived,
        seen: number(" packets seen")?,
        stored: number(" stored")?,
        dropped: number(" dropped\n")?,
        tuples: recorders::tuples(said).unwrap_or(0),
        memory: (greatest(first), greatest(second)),
        unaccounted: said.contains("not accounted for"),
    })
}

impl Overload {
    /// Fails where a measure does not hold.
    pub(super) fn check(&self) -> Result<()> {
        let checks = [
            (
                self.arrived <= self.seen,
                "packets arrived that were not seen",
            ),
            (
                self.seen == self.stored + self.dropped,
                "seen is not stored + dropped",
            ),
            (!self.unaccounted, "packets are not accounted for"),
            (self.tuples == self.seen, "tuples were lost"),
            (self.memory.1 <= self.memory.0 + FLAT, "memory grew"),
        ];
        match checks.iter().find(|(holds, _)| !holds) {
            Some((_, what)) => Err(format!("overload: {what}").into()),
            None => Ok(()),
        }
    }
}
