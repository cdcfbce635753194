//! Queries without end beside a capture: whether they cost packets that it stores alone.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;

use agent_probe::Rate;

use super::lab::{Lab, Outcome};
use super::recorders::{STORE, number_before};
use crate::Result;

/// Frames a second, in millions, among which the highest lossless one is looked for.
const RATES: [f64; 11] = [0.05, 0.1, 0.15, 0.2, 0.25, 0.35, 0.5, 0.75, 1.0, 1.25, 1.5];

/// Share of that rate at which queries must cost nothing.
const SHARE: f64 = 0.8;

/// Reads every packet itself; no sidecar has a payload.
const QUERY: &str = "tag=pcap packet ipv4.SrcIP ipv4.DstIP udp.Payload \
     | count by SrcIP,DstIP,Payload | count by SrcIP | table -nt SrcIP count";

/// What queries cost.
pub(super) struct Beside {
    /// Frames a second up to which the capture alone lost nothing.
    pub(super) lossless: f64,
    /// Frames a second at which it was compared, as they were sent.
    pub(super) rate: f64,
    /// Frames that arrived and were not stored, of all that arrived, a run: alone.
    pub(super) alone: Vec<(u64, u64)>,
    /// And beside queries.
    pub(super) beside: Vec<(u64, u64)>,
    /// Queries that were answered meanwhile.
    pub(super) answered: u64,
    /// Seconds that they say they gave way.
    pub(super) gave_way: f64,
}

pub(super) fn measure(lab: &Lab, runs: usize, seconds: f64, bytes: u16) -> Result<Beside> {
    let mut lossless = None;
    for rate in RATES.map(|millions| millions * 1e6) {
        eprintln!("queries beside: {:.2} M/s alone", rate / 1e6);
        let frames = (rate * seconds) as u64;
        let outcome = lab.run(STORE, Rate::PerSecond(rate), frames, bytes)?;
        if lost(&outcome)? > 0 {
            break;
        }
        lossless = Some(outcome.sent.rate());
    }
    let lossless = lossless.ok_or("the store loses packets at the lowest rate: too busy here")?;
    let rate = Rate::PerSecond(lossless * SHARE);
    let frames = (lossless * SHARE * seconds) as u64;
    let mut result = Beside {
        lossless,
        rate: 0.0,
        alone: Vec::new(),
        beside: Vec::new(),
        answered: 0,
        gave_way: 0.0,
    };
    for run in 0..runs {
        eprintln!("queries beside: run {} of {runs}", run + 1);
        let alone = lab.run(STORE, rate, frames, bytes)?;
        result.alone.push((lost(&alone)?, alone.arrived));
        let stop = AtomicBool::new(false);
        let (program, store) = (&lab.program, lab.store());
        let (outcome, asked) = thread::scope(|scope| {
            let asking = scope.spawn(|| ask(program, &store, &stop));
            let outcome = lab.run(STORE, rate, frames, bytes);
            stop.store(true, SeqCst);
            (outcome, asking.join())
        });
        let outcome = outcome?;
        let (answered, gave_way) = asked.map_err(|_| "the asking thread failed")?;
        result.beside.push((lost(&outcome)?, outcome.arrived));
        result.rate = outcome.sent.rate();
        result.answered += answered;
        result.gave_way += gave_way;
    }
    Ok(result)
}

fn lost(outcome: &Outcome) -> Result<u64> {
    let said = outcome.last_words()?;
    let stored = number_before(said, " stored").ok_or_else(|| format!("it said: {said}"))?;
    Ok(outcome.arrived.saturating_sub(stored))
}

/// Asks one query after the other; how many were answered, and for how many seconds they gave way.
fn ask(program: &Path, store: &Path, stop: &AtomicBool) -> (u64, f64) {
    let (mut answered, mut gave_way) = (0, 0.0);
    while !stop.load(SeqCst) {
        let output = Command::new(program)
            .args(["query", "--format", "tsv", "--store"])
            .arg(store)
            .arg(QUERY)
            .stdout(Stdio::null())
            .output();
        // Before there is a store, and after, it is an error.
        let Some(output) = output.ok().filter(|output| output.status.success()) else {
            thread::sleep(std::time::Duration::from_millis(50));
            continue;
        };
        answered += 1;
        let said = String::from_utf8_lossy(&output.stderr);
        let waited = said.split_once("gave way for ").and_then(|(_, rest)| {
            let seconds = rest.split_whitespace().next()?;
            seconds.parse::<f64>().ok()
        });
        gave_way += waited.unwrap_or(0.0);
    }
    (answered, gave_way)
}

impl Beside {
    /// As a paragraph of the report.
    pub(super) fn text(&self, bytes: u16) -> String {
        let runs = |runs: &[(u64, u64)]| {
            let runs = runs.iter().map(|(lost, of)| format!("{lost} of {of}"));
            runs.collect::<Vec<_>>().join(", ")
        };
        format!(
            "Queries without end beside `--store`, frames of {bytes} bytes: lossless alone to {:.2} M a \
             second; at {:.2} M a second not stored alone {}; beside queries {}. {} queries were \
             answered and say that they gave way for {:.1} s.\n",
            self.lossless / 1e6,
            self.rate / 1e6,
            runs(&self.alone),
            runs(&self.beside),
            self.answered,
            self.gave_way,
        )
    }
}
