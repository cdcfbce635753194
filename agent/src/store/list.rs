//! What a store holds, for people: files of a source with their packets, bytes and times.

use std::{fs, path::Path};

use super::{
    Error, Filter, Sidecar, Snapshot, Source,
    layout::{self, Kind, Listing},
};

/// A source and what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The source.
    pub source: Source,
    /// Capture files and files of tuples alone, those being written included.
    pub files: u64,
    /// Of these, files of tuples alone.
    pub tuples_alone: u64,
    /// Files being written.
    pub active: u64,
    /// Bytes of these files, as they are on the disk.
    pub capture_bytes: u64,
    /// Bytes of sidecars and loss tables.
    pub other_bytes: u64,
    /// Packets in the files that have a sidecar.
    pub packets: u64,
    /// Files whose packets are not counted: being written, or without a valid sidecar.
    pub uncounted_files: u64,
    /// Lowest and highest time of the packets counted, in nanoseconds since 1970.
    pub times_ns: Option<(i64, i64)>,
}

/// Lists the sources asked for.
pub fn list(store: &Path, filter: &Filter<'_>) -> Result<Vec<Held>, Error> {
    let snapshot = Snapshot::take(store, filter)?;
    let (sources, _) = layout::sources(store)?;
    let asked = sources.into_iter().filter(|source| filter.takes(source));
    asked.map(|source| held(store, source, &snapshot)).collect()
}

fn held(store: &Path, source: Source, snapshot: &Snapshot) -> Result<Held, Error> {
    let folder = source.folder(store);
    let mut held = Held {
        other_bytes: other_bytes(&folder)?,
        source,
        files: 0,
        tuples_alone: 0,
        active: 0,
        capture_bytes: 0,
        packets: 0,
        uncounted_files: 0,
        times_ns: None,
    };
    for file in &snapshot.files {
        if *file.source != held.source {
            continue;
        }
        held.files += 1;
        held.active += u64::from(file.active);
        held.capture_bytes += file.stored_bytes;
        if file.tuples_alone {
            held.tuples_alone += 1;
            match file.open_tuples() {
                Ok(table) => held.count(&table),
                Err(_) => held.uncounted_files += 1,
            }
            if !file.active {
                // It was counted as a sidecar, too.
                held.other_bytes = held.other_bytes.saturating_sub(file.stored_bytes);
            }
            continue;
        }
        match file.open_sidecar() {
            Some(Ok(sidecar)) => held.count(&sidecar),
            _ => held.uncounted_files += 1,
        }
    }
    Ok(held)
}

impl Held {
    fn count(&mut self, sidecar: &Sidecar) {
        self.packets += sidecar.packets;
        self.times_ns = match (self.times_ns, sidecar.times_ns) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (a, b) => a.or(b),
        };
    }
}

fn other_bytes(folder: &Path) -> Result<u64, Error> {
    let listing = Listing::read(folder)?;
    let mut bytes = 0;
    for set in listing.closed.values() {
        for kind in [Kind::Sidecar, Kind::Counters] {
            let path = set.name.path(folder, kind);
            bytes += fs::metadata(path).map_or(0, |metadata| metadata.len());
        }
    }
    Ok(bytes)
}
