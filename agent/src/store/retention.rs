//! Retention: which closed files go, by age, by size and by free space, oldest first.
//!
//! The order is that of writing: within a source by sequence number, between the sources of a
//! well by the time of closing. Times of packets play no part, and a wrong modification time
//! moves nothing: a file is taken to be closed no earlier than those before it, and a time in
//! the future, or before there was any store, is none.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use super::{
    Error, Retention, Source, Wells, close,
    layout::{self, FileSet, Kind, Listing},
};

/// Clocks differ by so much between machines that write to and look at one store.
const FUTURE: Duration = Duration::from_secs(86_400);
/// No file of a store was closed before (2020-01-01, in time since 1970): a clock that had not
/// been set said so.
const FIRST: Duration = Duration::from_secs(1_577_836_800);

/// Why a file went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It was closed longer ago than `max_age`.
    Age,
    /// The well had more bytes than `max_size`.
    Size,
    /// The file system had fewer free bytes than `min_free`.
    Free,
}

/// A capture file that was removed, with its sidecar and loss table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// Its source.
    pub source: Source,
    /// Its number.
    pub sequence: u64,
    /// Path that the capture file (or the loss table alone) had.
    pub path: PathBuf,
    /// Bytes of all its files.
    pub bytes: u64,
    /// Why it went.
    pub why: Why,
}

/// What a look at the store's limits did.
#[derive(Debug, Default)]
pub struct Enforced {
    /// What was removed, in order.
    pub removed: Vec<Removed>,
    /// What could not be removed: others went instead, as far as limits said.
    pub failed: Vec<Error>,
}

/// The files of a closed capture and when they were closed.
struct Candidate {
    name: layout::ClosedName,
    kinds: Vec<Kind>,
    bytes: u64,
    /// As the file system says; `None` if that cannot be.
    modified: Option<SystemTime>,
    /// No earlier than that of the file before it.
    closed: SystemTime,
}

/// The closed captures of a source, the oldest last.
struct Queue {
    source: Source,
    folder: PathBuf,
    candidates: Vec<Candidate>,
}

/// Removes what every well's own retention says at the time `now`.
pub fn enforce_all(store: &Path, wells: &Wells, now: SystemTime) -> Result<Enforced, Error> {
    let mut all = Enforced::default();
    for (name, well) in wells.iter() {
        let of_well = enforce(store, name, &well.retention, now)?;
        all.removed.extend(of_well.removed);
        all.failed.extend(of_well.failed);
    }
    Ok(all)
}

/// Removes what a well's retention says at the time `now`. What cannot be removed stays, and
/// holds up nothing.
pub fn enforce(
    store: &Path,
    well: &str,
    retention: &Retention,
    now: SystemTime,
) -> Result<Enforced, Error> {
    let mut enforced = Enforced::default();
    if *retention == Retention::default() {
        return Ok(enforced);
    }
    let (mut queues, mut total) = queues(store, well, now)?;
    let mut free = match retention.min_free {
        Some(_) => free_bytes(store)?,
        None => 0,
    };
    while let Some(queue) = oldest(&mut queues) {
        let Some(candidate) = queue.candidates.last() else {
            break;
        };
        let age = now.duration_since(candidate.closed).unwrap_or_default();
        let why = if retention.max_age.is_some_and(|max| age > max) {
            Why::Age
        } else if retention.max_size.is_some_and(|max| total > max) {
            Why::Size
        } else if retention.min_free.is_some_and(|min| free < min) {
            Why::Free
        } else {
            break;
        };
        match remove(queue, why) {
            Ok(removed) => {
                total = total.saturating_sub(removed.bytes);
                free = free.saturating_add(removed.bytes);
                enforced.removed.push(removed);
            }
            Err(error) => enforced.failed.push(error),
        }
        queue.candidates.pop();
    }
    Ok(enforced)
}

/// The sources of a well, and the bytes of all files in it.
fn queues(store: &Path, well: &str, now: SystemTime) -> Result<(Vec<Queue>, u64), Error> {
    let (mut queues, mut total) = (Vec::new(), 0);
    let (sources, _) = layout::sources(store)?;
    for source in sources.into_iter().filter(|source| source.well == well) {
        let folder = source.folder(store);
        let listing = Listing::read(&folder)?;
        for (&sequence, kinds) in &listing.active {
            for &kind in kinds {
                let path = folder.join(layout::active_name(sequence, kind));
                total += size(&path)?.map_or(0, |found| found.0);
            }
        }
        let mut candidates = Vec::new();
        for set in listing.closed.values() {
            let candidate = candidate(&folder, set, now)?;
            total += candidate.bytes;
            candidates.push(candidate);
        }
        order(&mut candidates);
        candidates.reverse();
        queues.push(Queue {
            source,
            folder,
            candidates,
        });
    }
    Ok((queues, total))
}

fn candidate(folder: &Path, set: &FileSet, now: SystemTime) -> Result<Candidate, Error> {
    let mut candidate = Candidate {
        name: set.name,
        kinds: set.kinds.clone(),
        bytes: 0,
        modified: None,
        closed: now,
    };
    // The capture file says when, else the loss table; a sidecar may be made again at any time.
    candidate.kinds.sort_by_key(|kind| match kind {
        Kind::Capture | Kind::Compressed => 0,
        Kind::Counters => 1,
        Kind::Sidecar | Kind::Tuples => 2,
    });
    let kinds = candidate.kinds.clone();
    for kind in kinds {
        if let Some((bytes, modified)) = size(&set.name.path(folder, kind))? {
            candidate.bytes += bytes;
            candidate.modified = candidate.modified.or(Some(modified));
        }
    }
    let possible = SystemTime::UNIX_EPOCH + FIRST..=now + FUTURE;
    candidate.modified = candidate.modified.filter(|time| possible.contains(time));
    Ok(candidate)
}

/// Length and modification time; `None` if it is gone.
fn size(path: &Path) -> Result<Option<(u64, SystemTime)>, Error> {
    match fs::metadata(path).and_then(|m| Ok((m.len(), m.modified()?))) {
        Ok(found) => Ok(Some(found)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::io("read", path)(e)),
    }
}

/// Says when each was closed, in the order of writing: none before the one before it, those
/// without a time with the next that has one.
fn order(candidates: &mut [Candidate]) {
    let mut next = None;
    for candidate in candidates.iter_mut().rev() {
        next = candidate.modified.or(next);
        candidate.closed = next.unwrap_or(candidate.closed);
    }
    let mut latest = SystemTime::UNIX_EPOCH;
    for candidate in candidates {
        latest = latest.max(candidate.closed);
        candidate.closed = latest;
    }
}

/// The source whose oldest file was closed first.
fn oldest(queues: &mut [Queue]) -> Option<&mut Queue> {
    queues
        .iter_mut()
        .filter(|queue| !queue.candidates.is_empty())
        .min_by_key(|queue| queue.candidates.last().map(|candidate| candidate.closed))
}

fn remove(queue: &Queue, why: Why) -> Result<Removed, Error> {
    let Some(candidate) = queue.candidates.last() else {
        return Err(Error::Removed(queue.folder.clone()));
    };
    // The capture file first: what is left of the others after a crash belongs to nothing.
    let path = |kind| candidate.name.path(&queue.folder, kind);
    if candidate.kinds.iter().any(|kind| kind.has_packets()) {
        // Whichever form it has by now. Who just compresses it removes what came of it.
        close::remove(&path(Kind::Capture))?;
        close::remove(&path(Kind::Compressed))?;
    }
    for &kind in &candidate.kinds {
        close::remove(&path(kind))?;
    }
    let first = candidate.kinds.first().copied().unwrap_or(Kind::Capture);
    let day = candidate.name.folder(&queue.folder);
    for folder in day.ancestors().take(3) {
        // A folder that holds other files stays, which is the usual case.
        if fs::remove_dir(folder).is_err() {
            break;
        }
    }
    Ok(Removed {
        source: queue.source.clone(),
        sequence: candidate.name.sequence,
        path: path(first),
        bytes: candidate.bytes,
        why,
    })
}

/// Bytes that are free for us on the file system of a path.
pub fn free_bytes(path: &Path) -> Result<u64, Error> {
    let found = rustix::fs::statvfs(path).map_err(io::Error::from);
    let found = found.map_err(Error::io("read the free space of", path))?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

#[cfg(test)]
mod tests;
