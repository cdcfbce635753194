//! What a scan read and what it left out, readable while it runs.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::capfile::{Warning, merge_warnings};
use crate::frame::LinkType;

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
    unknown_links: Mutex<BTreeMap<u16, u64>>,
    warnings: Mutex<Vec<Warning>>,
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

    /// Packets made into rows.
    pub fn rows(&self) -> u64 {
        self.rows.load(Relaxed)
    }

    /// Fragments other than the first, which have no ports (0 where no field was asked for).
    pub fn portless_fragments(&self) -> u64 {
        self.portless_fragments.load(Relaxed)
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

    pub(super) fn add_warnings(&self, warnings: &[Warning]) {
        lock(&self.warnings).extend_from_slice(warnings);
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
