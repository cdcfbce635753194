//! Progress of a long query on the terminal: bytes, packets and rate, on one line of standard error.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::exec::scan::ScanReport;
use crate::text;

/// Short queries show nothing.
const FIRST_AFTER: Duration = Duration::from_millis(700);
const EVERY: Duration = Duration::from_millis(200);

/// Shows progress of one scan at a time, if enabled.
pub(super) struct Progress {
    enabled: bool,
    shown: Option<Shown>,
}

struct Shown {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Progress {
    pub(super) fn new(enabled: bool) -> Self {
        Self {
            enabled,
            shown: None,
        }
    }

    /// Starts showing `report`, and no other.
    pub(super) fn watch(&mut self, report: Arc<ScanReport>) {
        self.stop();
        if self.enabled {
            let stop = Arc::new(AtomicBool::new(false));
            let until = Arc::clone(&stop);
            let thread = thread::spawn(move || show(&report, &until));
            self.shown = Some(Shown { stop, thread });
        }
    }

    /// Clears the line.
    pub(super) fn stop(&mut self) {
        if let Some(Shown { stop, thread }) = self.shown.take() {
            stop.store(true, Ordering::Relaxed);
            thread.thread().unpark();
            // The thread only prints; if it panicked there is nothing to undo.
            let _ = thread.join();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.stop();
    }
}

fn show(report: &ScanReport, stop: &AtomicBool) {
    let started = Instant::now();
    let mut shown = false;
    thread::park_timeout(FIRST_AFTER);
    while !stop.load(Ordering::Relaxed) {
        let _ = write!(io::stderr(), "\r\x1b[K{}", line(report, started.elapsed()));
        let _ = io::stderr().flush();
        shown = true;
        thread::park_timeout(EVERY);
    }
    if shown {
        let _ = write!(io::stderr(), "\r\x1b[K");
        let _ = io::stderr().flush();
    }
}

fn line(report: &ScanReport, elapsed: Duration) -> String {
    let (done, total, packets) = (
        report.bytes_read(),
        report.bytes_total(),
        report.packets_read(),
    );
    let percent = done
        .saturating_mul(100)
        .checked_div(total)
        .unwrap_or(0)
        .min(100);
    let seconds = elapsed.as_secs_f64().max(0.001);
    format!(
        "{percent:3} %  {} of {}  {packets} packets  {}/s",
        text::size(done),
        text::size(total),
        text::size((done as f64 / seconds) as u64),
    )
}
