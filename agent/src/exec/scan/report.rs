//! What a scan read and what it left out, readable while it runs.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::capfile::{Warning, merge_warnings};
use crate::frame::LinkType;
use crate::missed::Unanswered;
use crate::store::Skipped;

/// A file, and the times of what is read of it.
type Place = (String, Option<(i64, i64)>);

/// Counters of all scans of one query. Each packet read is either skipped or a row.
#[derive(Debug, Default)]
pub struct ScanReport {
    pub(super) files: AtomicU64,
    pub(super) bytes_total: AtomicU64,
    pub(super) bytes_read: AtomicU64,
    pub(super) packets: AtomicU64,
    pub(super) skipped: AtomicU64,
    pub(super) rows: AtomicU64,
    pub(super) portless_fragments: AtomicU64,
    pub(super) cut: AtomicU64,
    /// Packets in row groups that sidecars ruled out.
    pub(super) ruled_out: AtomicU64,
    pub(super) sidecars: AtomicU64,
    tuples_lost: Mutex<Vec<String>>,
    unanswered: Mutex<BTreeMap<Place, Unanswered>>,
    sidecar_problems: Mutex<Vec<String>>,
    removed: Mutex<Vec<String>>,
    unknown_links: Mutex<BTreeMap<u16, u64>>,
    warnings: Mutex<Vec<Warning>>,
    skipped_files: Mutex<Vec<Skipped>>,
}

impl ScanReport {
    /// Files that are or will be read.
    pub fn files(&self) -> u64 {
        self.files.load(Relaxed)
    }

    /// Stored bytes of those files (before decompression).
    pub fn bytes_total(&self) -> u64 {
        self.bytes_total.load(Relaxed)
    }

    /// Stored bytes read so far.
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Relaxed)
    }

    /// Packets read so far.
    pub fn packets_read(&self) -> u64 {
        self.packets.load(Relaxed)
    }

    /// Packets that pushed filters or the time range left out.
    pub fn packets_skipped(&self) -> u64 {
        self.skipped.load(Relaxed)
    }

    /// Stored packets that were not read, because their sidecars say that none of them matches.
    pub fn packets_ruled_out(&self) -> u64 {
        self.ruled_out.load(Relaxed)
    }

    /// Stored files that are read by their sidecars.
    pub fn sidecars(&self) -> u64 {
        self.sidecars.load(Relaxed)
    }

    /// Why sidecars are not used: their files are read themselves.
    pub fn sidecar_problems(&self) -> Vec<String> {
        lock(&self.sidecar_problems).clone()
    }

    /// Damage of tables of tuples without packets, and how many tuples it cost.
    pub fn tuples_lost(&self) -> Vec<String> {
        lock(&self.tuples_lost).clone()
    }

    pub(super) fn add_tuples_lost(&self, damage: &dyn std::fmt::Display, tuples: u64) {
        lock(&self.tuples_lost).push(format!("{damage}: {tuples} tuples are lost"));
    }

    /// Tuples that the answer does not have because the query needs more than they say.
    pub fn unanswered(&self) -> Vec<Unanswered> {
        let mut files: BTreeMap<String, Unanswered> = BTreeMap::new();
        for part in lock(&self.unanswered).values() {
            match files.entry(part.file.clone()) {
                Entry::Vacant(place) => {
                    place.insert(part.clone());
                }
                Entry::Occupied(mut place) => {
                    let file = place.get_mut();
                    file.packets = file.packets.saturating_add(part.packets);
                    let times = file.times_ns.into_iter().chain(part.times_ns);
                    file.times_ns = times.reduce(|(a, b), (c, d)| (a.min(c), b.max(d)));
                    file.fields.extend(part.fields.iter().cloned());
                }
            }
        }
        files.into_values().collect()
    }

    /// A file counts once, however often it is scanned; so does each part that a live query takes
    /// of it, which has times of its own.
    pub(super) fn add_unanswered(&self, unanswered: Unanswered) {
        let mut files = lock(&self.unanswered);
        match files.entry((unanswered.file.clone(), unanswered.times_ns)) {
            Entry::Vacant(place) => {
                place.insert(unanswered);
            }
            Entry::Occupied(mut place) => {
                let known = place.get_mut();
                known.packets = known.packets.max(unanswered.packets);
                known.fields.extend(unanswered.fields);
            }
        }
    }

    /// Stored files that were removed before they were read.
    pub fn removed(&self) -> Vec<String> {
        lock(&self.removed).clone()
    }

    pub(super) fn add_removed(&self, file: &str) {
        lock(&self.removed).push(file.to_owned());
    }

    pub(super) fn add_sidecar_problem(&self, problem: String) {
        lock(&self.sidecar_problems).push(problem);
    }

    /// Packets made into rows.
    pub fn rows(&self) -> u64 {
        self.rows.load(Relaxed)
    }

    /// Fragments other than the first, which have no ports (0 where no field was asked for).
    pub fn portless_fragments(&self) -> u64 {
        self.portless_fragments.load(Relaxed)
    }

    /// Packets read themselves (not by a sidecar) of which bytes were left out at capture.
    pub fn cut(&self) -> u64 {
        self.cut.load(Relaxed)
    }

    /// Link types that cannot be decoded, and how many packets had each.
    pub fn unknown_links(&self) -> Vec<(LinkType, u64)> {
        let links = lock(&self.unknown_links);
        links
            .iter()
            .map(|(link, n)| (LinkType(*link), *n))
            .collect()
    }

    /// Damage met so far: one warning a file.
    pub fn warnings(&self) -> Vec<Warning> {
        merge_warnings(lock(&self.warnings).iter().cloned())
    }

    /// Adds damage that was met on the way to the scan.
    pub fn add_warnings(&self, warnings: &[Warning]) {
        lock(&self.warnings).extend_from_slice(warnings);
    }

    /// Stored files that could not be read at all.
    pub fn skipped_files(&self) -> Vec<Skipped> {
        lock(&self.skipped_files).clone()
    }

    /// Adds stored files that the query was to read and cannot.
    pub fn add_skipped(&self, files: &[Skipped]) {
        lock(&self.skipped_files).extend_from_slice(files);
    }

    pub(super) fn add_unknown_links(&self, counts: &BTreeMap<u16, u64>) {
        let mut links = lock(&self.unknown_links);
        for (link, packets) in counts {
            *links.entry(*link).or_default() += packets;
        }
    }
}

/// Counters and lists are sound after every step, so that a panic elsewhere spoils nothing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
