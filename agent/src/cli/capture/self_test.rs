//! `capture --self-test`: what this machine can record, as a table.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::parent::{ring_settings, wanted};
use super::{Hangup, Job, Signals, failed};
use crate::capture::{self, Patterns};
use crate::cli::error::Error;
use crate::record::self_test::{self, Costs, FRAME_BYTES, Plan, Rate, Report, SelfTestError};
use crate::store::{self, retention::free_bytes};
use crate::text::size;

/// Length of each measurement.
const TIME: Duration = Duration::from_secs(2);

/// Bytes that the header of a stored packet takes.
const RECORD_HEADER: f64 = store::RECORD_HEADER as f64;

/// How long the counters of the interfaces are watched.
const WATCH: Duration = Duration::from_secs(1);

/// Measures, and prints what was measured.
pub(super) fn run(job: &Job) -> Result<u8, Error> {
    let signals = Signals::register(Hangup::Stops)?;
    let folder = job.store.as_deref().map(existing);
    let link = (!job.interface.is_empty())
        .then(|| Link::watch(&job.interface))
        .transpose()?;
    let report = self_test::run(&Plan {
        rings: ring_settings(job),
        folder: folder.as_deref(),
        time: TIME,
        stop: Arc::clone(&signals.stop),
    })?;
    let mut text = costs(&report.costs) + "\n" + &rates(&report);
    match &folder {
        Some(folder) => text += &outlook(folder, free_bytes(folder)?, link.as_ref()),
        None => text += "\nThe disk was not measured: name a store by --store DIR.\n",
    }
    io::stdout().write_all(text.as_bytes())?;
    Ok(0)
}

/// The folder, or the nearest one above it that is there.
fn existing(store: &Path) -> PathBuf {
    let here = Path::new(".");
    let mut folders = store.ancestors().filter(|folder| folder.is_dir());
    folders.next().unwrap_or(here).to_owned()
}

fn costs(costs: &Costs) -> String {
    let mut text = format!(
        "kernel program, per packet             ns\n  {:<32} {:>6}\n",
        "the least: 64 bytes into a ring",
        costs.least.as_nanos()
    );
    for cost in &costs.ours {
        let ratio = cost.time.as_secs_f64() / costs.least.as_secs_f64().max(1e-9);
        let nanos = cost.time.as_nanos();
        let _ = writeln!(text, "  {:<32} {nanos:>6}  {ratio:.1} x", cost.name);
    }
    text
}

fn rates(report: &Report) -> String {
    let mut text = "no packet lost up to      ".to_owned();
    for bytes in FRAME_BYTES {
        let _ = write!(text, "{:>32}", format!("packets of {bytes} bytes"));
    }
    text.push('\n');
    row(&mut text, "ring", report.ring);
    if let Some(disk) = &report.disk {
        let rate = |bytes: u16| Rate {
            packets_per_second: disk.bytes_per_second / (f64::from(bytes) + RECORD_HEADER),
            limited_by_sender: false,
        };
        row(&mut text, "disk", FRAME_BYTES.map(rate));
    }
    if let Some(both) = report.both {
        row(&mut text, "ring and disk", both);
    }
    let all = report.ring.iter().chain(report.both.iter().flatten());
    if all.clone().any(|rate| rate.limited_by_sender) {
        text += "  (>= as fast as the test can send from one processor of this machine)\n";
    }
    text
}

fn row(text: &mut String, name: &str, rates: [Rate; 2]) {
    let _ = write!(text, "  {name:<24}");
    for (rate, bytes) in rates.iter().zip(FRAME_BYTES) {
        let _ = write!(text, "{:>32}", cell(*rate, bytes));
    }
    text.push('\n');
}

fn cell(rate: Rate, bytes: u16) -> String {
    if rate.packets_per_second <= 0.0 {
        return "lost at each rate tried".to_owned();
    }
    let sign = if rate.limited_by_sender { ">= " } else { "" };
    let bits = rate.packets_per_second * f64::from(bytes) * 8.0;
    format!(
        "{sign}{:.2} M/s, {:.1} Gbit/s",
        rate.packets_per_second / 1e6,
        bits / 1e9
    )
}

/// What interfaces carry now.
struct Link {
    names: Vec<String>,
    packets_per_second: f64,
    bytes_per_second: f64,
}

impl Link {
    /// Watches the received bytes and packets of all interfaces that are meant.
    fn watch(interfaces: &[String]) -> Result<Self, Error> {
        let patterns: Vec<_> = interfaces.iter().map(|text| wanted(text).pattern).collect();
        let patterns = Patterns::new(&patterns).map_err(|error| failed(&error, None))?;
        let listed = capture::list().map_err(|error| failed(&error, None))?;
        let names: Vec<_> = listed
            .into_iter()
            .map(|interface| interface.name)
            .filter(|name| patterns.position(name).is_some())
            .collect();
        if names.is_empty() {
            return Err(Error::Capture {
                message: format!("no interface matches {}", interfaces.join(", ")),
                hint: None,
            });
        }
        let (before, start) = (received(&names)?, Instant::now());
        std::thread::sleep(WATCH);
        let (after, seconds) = (received(&names)?, start.elapsed().as_secs_f64());
        let rate = |after: u64, before| after.saturating_sub(before) as f64 / seconds;
        Ok(Self {
            names,
            packets_per_second: rate(after.0, before.0),
            bytes_per_second: rate(after.1, before.1),
        })
    }
}

/// Packets and bytes that the interfaces have received so far.
fn received(names: &[String]) -> Result<(u64, u64), Error> {
    let counter = |name: &str, which: &str| {
        let path = format!("/sys/class/net/{name}/statistics/{which}");
        let text = std::fs::read_to_string(&path).map_err(|error| Error::Capture {
            message: format!("cannot read {path}: {error}"),
            hint: None,
        })?;
        Ok::<u64, Error>(text.trim().parse().unwrap_or(0))
    };
    names.iter().try_fold((0, 0), |(packets, bytes), name| {
        Ok((
            packets + counter(name, "rx_packets")?,
            bytes + counter(name, "rx_bytes")?,
        ))
    })
}

/// How long the disk lasts.
fn outlook(folder: &Path, free: u64, link: Option<&Link>) -> String {
    let mut text = format!("\n{} has {} free", folder.display(), size(free));
    let Some(link) = link else {
        return text + "; with -i IFACE, this says how long they last.\n";
    };
    let stored = link.bytes_per_second + link.packets_per_second * RECORD_HEADER;
    let _ = write!(
        text,
        ". {} receives {:.0} packets and {} a second now: ",
        link.names.join(", "),
        link.packets_per_second,
        size(link.bytes_per_second as u64),
    );
    if stored < 1.0 {
        return text + "nothing to fill it.\n";
    }
    let _ = writeln!(text, "full in {:.1} days.", free as f64 / stored / 86_400.0);
    text
}

impl From<SelfTestError> for Error {
    fn from(error: SelfTestError) -> Self {
        let hint = match &error {
            SelfTestError::Program(program) => program.hint(),
            SelfTestError::Network { .. } => {
                Some("run as root: the test makes a network namespace of its own")
            }
            _ => None,
        };
        failed(&error, hint.map(str::to_owned))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_says_whether_it_is_a_bound() {
        let rate = |packets_per_second, limited_by_sender| Rate {
            packets_per_second,
            limited_by_sender,
        };
        assert_eq!(cell(rate(1.5e6, true), 64), ">= 1.50 M/s, 0.8 Gbit/s");
        assert_eq!(cell(rate(5e5, false), 1_000), "0.50 M/s, 4.0 Gbit/s");
        assert_eq!(cell(rate(0.0, false), 64), "lost at each rate tried");
    }

    #[test]
    fn days_count_the_headers_of_records() {
        let link = Link {
            names: vec!["eth0".to_owned()],
            packets_per_second: 1_000.0,
            bytes_per_second: 984_000.0,
        };
        let text = outlook(Path::new("/s"), 86_400 * 2_000_000, Some(&link));
        assert_eq!(
            text,
            "\n/s has 172.8 GB free. eth0 receives 1000 packets and 984.0 kB a second now: full in 2.0 days.\n"
        );
        let idle = Link {
            packets_per_second: 0.0,
            bytes_per_second: 0.0,
            ..link
        };
        assert!(outlook(Path::new("/s"), 1, Some(&idle)).ends_with("nothing to fill it.\n"));
    }

    #[test]
    fn a_store_that_is_not_there_is_measured_where_it_would_be() {
        assert_eq!(
            existing(Path::new("/proc/self/none/such")),
            Path::new("/proc/self")
        );
        assert_eq!(existing(Path::new("none")), Path::new("."));
    }
}
