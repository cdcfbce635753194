//! What a running agent knows of itself, put together from what its threads publish.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::options::SharedOptions;
use super::protocol::{
    Commit, Counts, GONE, Hello, Interface, LEFT, Loss, PROTOCOL, Report, Subscribers,
};
use crate::record::{Board, Committed, InterfaceState, Sample, Status};
use crate::store::Source;
use crate::store::loss::Reason;

/// Reports, one a second, over which rates are taken.
const REPORTS: usize = 6;

/// What is known; one part writes, any number reads.
#[derive(Debug)]
pub struct Agent {
    board: Arc<Board>,
    started_ns: i64,
    options: SharedOptions,
    reports: Mutex<Reports>,
    pub(super) listeners: Listeners,
}

/// Who listens, counted.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    pub(super) now: AtomicU64,
    pub(super) cut_off: AtomicU64,
    pub(super) refused: AtomicU64,
}

#[derive(Debug, Default)]
struct Reports {
    /// How many there were.
    number: u64,
    /// The latest is the last.
    latest: VecDeque<Status>,
}

impl Agent {
    /// An agent that began at this time (nanoseconds since 1970) and publishes its commits on
    /// `board`.
    #[must_use]
    pub fn new(board: Arc<Board>, started_ns: i64, options: SharedOptions) -> Self {
        Self {
            board,
            started_ns,
            options,
            reports: Mutex::default(),
            listeners: Listeners::default(),
        }
    }

    /// Takes note of how things are: once a second, and at the end.
    pub fn report(&self, status: &Status) {
        let mut reports = self.reports();
        reports.number += 1;
        if reports.latest.len() == REPORTS {
            reports.latest.pop_front();
        }
        reports.latest.push_back(status.clone());
    }

    /// How many reports there were.
    pub(super) fn reported(&self) -> u64 {
        self.reports().number
    }

    /// When it began, in nanoseconds since 1970.
    pub(super) fn started_ns(&self) -> i64 {
        self.started_ns
    }

    /// A panic elsewhere leaves a whole report in any case.
    fn reports(&self) -> MutexGuard<'_, Reports> {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn hello(&self, commits: &[(u32, Commit)]) -> Hello {
        Hello {
            protocol: PROTOCOL,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started_ns: self.started_ns,
            limits: self.options.get().limits,
            sources: commits.iter().map(|(_, commit)| commit.clone()).collect(),
        }
    }

    pub(super) fn complete_until_ns(&self) -> i64 {
        self.board.complete_until_ns()
    }

    /// The last commit of each source, by slot.
    pub(super) fn commits(&self) -> Vec<(u32, Commit)> {
        let commits = self.board.commits();
        commits
            .map(|(slot, source, committed)| (slot, commit(&source, committed)))
            .collect()
    }

    /// The latest counters of each interface.
    pub(super) fn losses(&self) -> Vec<Loss> {
        let reports = self.reports();
        let latest = reports.latest.back().into_iter();
        let states = latest.flat_map(|status| status.interfaces.values());
        states
            .map(|state| Loss {
                interface: state.name.clone(),
                tag: state.tag.clone(),
                time_ns: state.sample.time_ns,
                counts: counts(&state.sample),
            })
            .collect()
    }

    /// How things are.
    #[must_use]
    pub fn status(&self) -> Report {
        let reports = self.reports();
        let latest = reports.latest.back().cloned().unwrap_or_default();
        let interfaces = latest.interfaces.iter().map(|(slot, state)| {
            let earlier = reports.latest.iter();
            let earliest = earlier
                .filter_map(|status| status.interfaces.get(slot))
                // The slot may have been another one's.
                .find(|earlier| (&earlier.name, &earlier.tag) == (&state.name, &state.tag));
            let well = self.board.source(*slot).map(|source| source.well);
            interface(state, earliest.unwrap_or(state), well.unwrap_or_default())
        });
        let time_ns = latest
            .interfaces
            .values()
            .map(|state| state.sample.time_ns)
            .max();
        Report {
            time_ns: time_ns.unwrap_or_default(),
            complete_until_ns: self.complete_until_ns(),
            tuples: latest.tuples,
            interfaces: interfaces.collect(),
            ring_fill: latest.ring_fill,
            bytes_written: latest.bytes_written,
            unconfigured: latest.unconfigured,
            malformed: latest.malformed,
            subscribers: self.listeners.read(self.options.get().max_subscribers),
        }
    }
}

impl Listeners {
    pub(super) fn read(&self, max: usize) -> Subscribers {
        Subscribers {
            now: self.now.load(Relaxed),
            max: max as u64,
            cut_off: self.cut_off.load(Relaxed),
            refused: self.refused.load(Relaxed),
        }
    }
}

fn commit(source: &Source, committed: Committed) -> Commit {
    Commit {
        well: source.well.clone(),
        interface: source.interface.clone(),
        tag: source.tag.clone(),
        sequence: committed.sequence,
        length: committed.length,
        time_ns: committed.time_ns,
    }
}

fn interface(state: &InterfaceState, earliest: &InterfaceState, well: String) -> Interface {
    let (now, then) = (&state.sample, &earliest.sample);
    let seconds = now.time_ns.saturating_sub(then.time_ns) as f64 / 1e9;
    let rate = |now: u64, then: u64| match seconds > 0.0 {
        true => now.saturating_sub(then) as f64 / seconds,
        false => 0.0,
    };
    Interface {
        name: state.name.clone(),
        tag: state.tag.clone(),
        well,
        mode: match (state.mode, state.left) {
            (Some(mode), _) => mode.to_string(),
            (None, true) => LEFT.to_owned(),
            (None, false) => GONE.to_owned(),
        },
        packets_per_second: rate(now.kernel.seen, then.kernel.seen),
        bytes_per_second: rate(now.kernel.seen_bytes, then.kernel.seen_bytes),
        counts: counts(now),
    }
}

/// The counters under the names that the loss tables have.
fn counts(sample: &Sample) -> Counts {
    let (kernel, recorder) = (&sample.kernel, &sample.recorder);
    let named = |counts: &[(&str, u64)]| {
        let some = counts.iter().filter(|(_, count)| *count > 0);
        some.map(|(name, count)| ((*name).to_owned(), *count))
            .collect()
    };
    Counts {
        seen: kernel.seen,
        seen_bytes: kernel.seen_bytes,
        stored: recorder.stored,
        stored_bytes: recorder.stored_bytes,
        cut: sample.cut(),
        dropped: named(&[
            (Reason::RingFull.name(), sample.ring_full()),
            (Reason::DiskFull.name(), recorder.dropped_disk_full),
            (Reason::IoError.name(), recorder.dropped_write_error),
        ]),
        left_out: named(&[
            (Reason::Filter.name(), recorder.filtered),
            (Reason::Own.name(), recorder.own),
            ("beyond_count", recorder.beyond_count),
        ]),
        tuples_dropped: kernel.tuple_dropped,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::capture::Mode;

    /// The status after `seconds` of 100 packets of 60 bytes each second, ten of them lost.
    pub(in crate::serve) fn after(seconds: u64) -> Status {
        let mut sample = Sample {
            time_ns: 1_700_000_000_000_000_000 + seconds as i64 * 1_000_000_000,
            ..Sample::default()
        };
        sample.kernel.seen = 100 * seconds;
        sample.kernel.seen_bytes = 6_000 * seconds;
        sample.kernel.packet_dropped = 10 * seconds;
        sample.recorder.stored = 88 * seconds;
        sample.recorder.own = 2 * seconds;
        let mut status = Status {
            ring_fill: 0.25,
            bytes_written: 7_000 * seconds,
            ..Status::default()
        };
        let lan0 = InterfaceState {
            name: "lan0".to_owned(),
            tag: "pcap".to_owned(),
            mode: Some(Mode::Native),
            left: false,
            sample,
        };
        let wan0 = InterfaceState {
            name: "wan0".to_owned(),
            tag: "out\"side".to_owned(),
            mode: None,
            left: false,
            sample: Sample {
                time_ns: sample.time_ns,
                ..Sample::default()
            },
        };
        status.interfaces.extend([(0, lan0), (1, wan0)]);
        status
    }

    #[test]
    fn rates_are_of_the_last_seconds_and_counts_of_all() {
        let agent = Agent::new(Arc::default(), 5, SharedOptions::default());
        assert_eq!(
            (
                agent.status().interfaces.len(),
                agent.status().subscribers.max
            ),
            (0, 32)
        );
        (0..3).for_each(|_| agent.report(&after(0)));
        for second in 1..=20 {
            agent.report(&after(second));
        }
        let report = agent.status();
        assert_eq!(report.time_ns, 1_700_000_020_000_000_000);
        let [lan0, wan0] = &report.interfaces[..] else {
            panic!("{report:?}");
        };
        assert_eq!((lan0.mode.as_str(), wan0.mode.as_str()), ("native", "gone"));
        assert_eq!(
            (lan0.packets_per_second, lan0.bytes_per_second),
            (100.0, 6_000.0)
        );
        assert_eq!((lan0.counts.seen, lan0.counts.stored), (2_000, 1_760));
        assert_eq!(lan0.counts.dropped["ring_full"], 200);
        assert_eq!(lan0.counts.left_out["own"], 40);
        assert_eq!(lan0.counts.lost(), 200);
        assert_eq!(wan0.packets_per_second, 0.0);
        assert!(wan0.counts.dropped.is_empty());
        let mut later = after(21);
        later.tuples = true;
        if let Some(wan0) = later.interfaces.get_mut(&1) {
            wan0.left = true;
        }
        agent.report(&later);
        let report = agent.status();
        assert_eq!(report.interfaces[1].mode, "left");
        assert!(report.tuples);
        let losses = agent.losses();
        assert_eq!(losses.len(), 2);
        assert_eq!(losses[0].counts, report.interfaces[0].counts);
    }
}
