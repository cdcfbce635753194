//! Progress of a long query on the terminal: bytes, packets and rate, on one line of standard error.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::exec::scan::ScanReport;

/// Short queries show nothing.
const FIRST_AFTER: Duration = Duration::from_millis(700);
const EVERY: Duration = Duration::from_millis(200);

/// Shows progress until dropped.
pub(super) struct Progress {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// Starts showing `report`, if `enabled`.
    pub(super) fn start(report: Arc<ScanReport>, enabled: bool) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let thread = enabled.then(|| {
            let stop = Arc::clone(&stop);
            thread::spawn(move || show(&report, &stop))
        });
        Self { stop, thread }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // The thread only prints; if it panicked there is nothing to undo.
            let _ = thread.join();
        }
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
    let percent = if total == 0 {
        0
    } else {
        (done.saturating_mul(100) / total).min(100)
    };
    let seconds = elapsed.as_secs_f64().max(0.001);
    format!(
        "{percent:3} %  {} of {}  {packets} packets  {}/s",
        bytes(done as f64),
        bytes(total as f64),
        bytes(done as f64 / seconds),
    )
}

/// A size for people.
pub(super) fn bytes(value: f64) -> String {
    let mut value = value;
    for unit in ["B", "kB", "MB", "GB"] {
        if value < 1000.0 {
            return if unit == "B" {
                format!("{value:.0} B")
            } else {
                format!("{value:.1} {unit}")
            };
        }
        value /= 1000.0;
    }
    format!("{value:.1} TB")
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn sizes_for_people() {
        assert_eq!(bytes(999.0), "999 B");
        assert_eq!(bytes(1_500.0), "1.5 kB");
        assert_eq!(bytes(1_300_000_000.0), "1.3 GB");
    }
}
