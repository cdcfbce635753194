//! Rising rates: what each recorder loses at each.

use agent_probe::Rate;

use super::lab::{Lab, Outcome};
use super::recorders::Recorder;
use crate::Result;

/// At full speed: enough to last as long as the fastest sender that was seen needs.
const FULL: f64 = 2e6;

/// What one recorder did at one rate.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    /// Frames a second, as they were sent.
    pub(super) rate: f64,
    /// Share of the frames that arrived and were not recorded, one value a run.
    pub(super) losses: Vec<f64>,
    /// Share of the frames that the wire's queue lost before anything could record them.
    pub(super) wire: f64,
    /// The greatest memory beside rings, in bytes.
    pub(super) memory: u64,
}

/// One recorder at all rates.
pub(super) struct Line {
    pub(super) name: &'static str,
    pub(super) cells: Vec<Cell>,
}

/// Round after round, so that a slow spell of the machine meets all alike.
pub(super) fn measure(
    lab: &Lab,
    recorders: &[&Recorder],
    rates: &[Option<f64>],
    runs: usize,
    seconds: f64,
    bytes: u16,
) -> Result<Vec<Line>> {
    let empty = Cell {
        rate: 0.0,
        losses: Vec::new(),
        wire: 0.0,
        memory: 0,
    };
    let mut lines: Vec<_> = recorders
        .iter()
        .map(|recorder| Line {
            name: recorder.name,
            cells: vec![empty.clone(); rates.len()],
        })
        .collect();
    for run in 0..runs {
        for (at, rate) in rates.iter().enumerate() {
            let millions = rate.map_or_else(|| "full".to_owned(), |rate| format!("{rate} M/s"));
            eprintln!("run {} of {runs}, {millions}", run + 1);
            let frames = rate.map_or(FULL, |rate| rate * 1e6) * seconds;
            let rate = rate.map_or(Rate::Full, |rate| Rate::PerSecond(rate * 1e6));
            for (recorder, line) in recorders.iter().zip(&mut lines) {
                let outcome = lab.run(recorder, rate, frames as u64, bytes)?;
                line.cells[at].add(recorder, &outcome)?;
            }
        }
    }
    Ok(lines)
}

impl Cell {
    fn add(&mut self, recorder: &Recorder, outcome: &Outcome) -> Result<()> {
        let Some(printed) = &outcome.printed else {
            return Ok(());
        };
        let recorded = (recorder.recorded)(printed)
            .ok_or_else(|| format!("{} said: {printed}", recorder.name))?;
        let (sent, arrived) = (outcome.sent.frames as f64, outcome.arrived as f64);
        let runs = self.losses.len() as f64;
        self.rate = (self.rate * runs + outcome.sent.rate()) / (runs + 1.0);
        self.wire = self.wire.max(1.0 - arrived / sent);
        // A stray frame of the system may be recorded too.
        self.losses
            .push((1.0 - recorded as f64 / arrived.max(1.0)).max(0.0));
        self.memory = outcome.memory.iter().copied().fold(self.memory, u64::max);
        Ok(())
    }

    /// The middle of the runs that came to their end; `None` if none did.
    pub(super) fn loss(&self) -> Option<f64> {
        let mut sorted = self.losses.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len().saturating_sub(1) / 2).copied()
    }
}

impl Line {
    /// The highest rate up to which no run lost anything by the median.
    pub(super) fn lossless(&self) -> Option<f64> {
        let cells = self
            .cells
            .iter()
            .take_while(|cell| cell.loss() == Some(0.0));
        cells.last().map(|cell| cell.rate)
    }
}
