//! What a capture says while it runs and at its end, on standard error.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

use super::worker::Teller;
use crate::record::{Sample, Status};

/// Prints notes, the status line and the statistics.
pub(super) struct Reporter {
    /// Whether there is a line that the next one overwrites.
    live: bool,
    shown: bool,
    /// Whether packets are counted and not kept.
    counted: bool,
    /// Set by `SIGUSR1`.
    report: Arc<AtomicBool>,
    last: Option<(Instant, u64)>,
}

impl Reporter {
    pub(super) fn new(quiet: bool, counted: bool, report: &Arc<AtomicBool>) -> Self {
        Self {
            live: !quiet && io::stderr().is_terminal(),
            shown: false,
            counted,
            report: Arc::clone(report),
            last: None,
        }
    }
}

impl Teller for Reporter {
    fn note(&mut self, note: &str) {
        self.clear();
        eprintln!("note: {note}");
    }

    fn status(&mut self, status: &Status) {
        if self.report.swap(false, Relaxed) {
            self.clear();
            eprint!("{}", statistics(status, self.counted));
        }
        let seen = total(status, |sample| sample.kernel.seen);
        let now = Instant::now();
        let rate = self.last.map_or(0.0, |(then, before)| {
            seen.saturating_sub(before) as f64 / now.duration_since(then).as_secs_f64().max(1e-3)
        });
        self.last = Some((now, seen));
        if self.live {
            eprint!("\r\x1b[K{}", line(status, seen, rate));
            // Nothing depends on the line.
            let _ = io::stderr().flush();
            self.shown = true;
        }
    }

    fn finish(&mut self, status: &Status) {
        self.clear();
        eprint!("{}", statistics(status, self.counted));
    }
}

impl Reporter {
    fn clear(&mut self) {
        if std::mem::take(&mut self.shown) {
            eprint!("\r\x1b[K");
        }
    }
}

fn total(status: &Status, count: impl Fn(&Sample) -> u64) -> u64 {
    status.samples().map(count).sum()
}

fn line(status: &Status, seen: u64, rate: f64) -> String {
    let dropped = total(status, Sample::dropped);
    let attached = status
        .interfaces
        .values()
        .filter(|state| state.mode.is_some())
        .count();
    format!(
        "{seen} packets  {rate:.0}/s  {dropped} dropped  ring {:.0} %  {} written  {attached} of {} interfaces",
        status.ring_fill * 100.0,
        crate::text::size(status.bytes_written),
        status.interfaces.len(),
    )
}

/// A line per interface, and one per reason for which packets are missing.
pub(in crate::cli) fn statistics(status: &Status, counted: bool) -> String {
    let mut text = String::new();
    let kept = match (counted, status.tuples) {
        (true, _) => "counted",
        (false, true) => "stored as tuples",
        (false, false) => "stored",
    };
    let former = match status.former.interfaces {
        0 => None,
        1 => Some(("1 earlier interface".to_owned(), &status.former.sample)),
        count => Some((format!("{count} earlier interfaces"), &status.former.sample)),
    };
    let interfaces = status.interfaces.values();
    let interfaces = interfaces.map(|state| (state.name.clone(), &state.sample));
    for (name, sample) in former.into_iter().chain(interfaces) {
        let (kernel, recorder) = (&sample.kernel, &sample.recorder);
        let _ = writeln!(
            text,
            "{name}: {} packets seen, {} {kept}, {} dropped",
            kernel.seen,
            recorder.stored,
            sample.dropped(),
        );
        let parts = [
            (
                sample.ring_full(),
                match (status.tuples, status.sockets) {
                    (true, _) => "dropped: the tuple ring was full",
                    (false, true) => "dropped: the socket ring was full",
                    (false, false) => "dropped: the packet ring was full",
                },
            ),
            (recorder.dropped_disk_full, "dropped: the disk was full"),
            (recorder.dropped_write_error, "dropped: writing failed"),
            (recorder.filtered, "left out by the capture filter"),
            (recorder.own, "left out: the agent's own connections"),
            (
                recorder.beyond_count,
                "came after the last one that was asked for",
            ),
            (sample.cut(), "cut to the snap length"),
            (
                if status.tuples {
                    0
                } else {
                    kernel.tuple_dropped
                },
                "without a tuple: the tuple ring was full",
            ),
        ];
        for (count, what) in parts.into_iter().filter(|(count, _)| *count > 0) {
            let _ = writeln!(text, "  {count} {what}");
        }
        let missing = sample.on_their_way();
        if missing != 0 && (kernel.packet_emitted > 0 || status.tuples) {
            let _ = writeln!(text, "  {missing} not accounted for: please report this");
        }
    }
    if status.unconfigured > 0 {
        let _ = writeln!(
            text,
            "{} packets passed while an interface was attached or detached",
            status.unconfigured
        );
    }
    if status.malformed > 0 {
        let _ = writeln!(
            text,
            "{} records of a wrong length: please report this",
            status.malformed
        );
    }
    text
}
