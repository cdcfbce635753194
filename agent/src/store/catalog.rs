//! What a store holds at a moment: the files that a query reads, and how far.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    CaptureFile, Error, Sidecar, Source,
    layout::{self, ClosedName, Kind, Listing, active_name},
    records::FILE_HEADER,
    state,
    tuples::TUPLE_RECORD,
};
use crate::frame::LinkType;

/// Which sources a query asks for; `None` is all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filter<'a> {
    /// By the name of the well.
    pub wells: Option<&'a [String]>,
    /// By tag.
    pub tags: Option<&'a [String]>,
    /// By interface.
    pub interfaces: Option<&'a [String]>,
    /// By time: files whose sidecar says that no packet lies between these, the first inclusive
    /// and the second exclusive, in nanoseconds since 1970, are left out.
    pub times_ns: Option<(i64, i64)>,
}

impl Filter<'_> {
    /// Whether a source is among those asked for.
    pub fn takes(&self, source: &Source) -> bool {
        let among = |list: Option<&[String]>, name: &String| list.is_none_or(|l| l.contains(name));
        among(self.wells, &source.well)
            && among(self.tags, &source.tag)
            && among(self.interfaces, &source.interface)
    }
}

/// A file that is not among those of a snapshot though it looks like one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub reason: String,
}

/// The capture files of a store at a moment, by source and in the order of writing.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// The files.
    pub files: Vec<CaptureFile>,
    /// What could not be used.
    pub skipped: Vec<Skipped>,
}

impl Snapshot {
    /// Lists what is there now of the sources asked for. Packets stored later, also into the
    /// same files, do not belong to it. A store that is not there is an error, one without files
    /// is not.
    pub fn take(store: &Path, filter: &Filter<'_>) -> Result<Self, Error> {
        fs::metadata(store).map_err(Error::io("open the store", store))?;
        let mut snapshot = Self::default();
        let (sources, _) = layout::sources(store)?;
        for source in sources.into_iter().filter(|source| filter.takes(source)) {
            let folder = Arc::new(source.folder(store));
            snapshot.source(&Arc::new(source), &folder, 0, filter.times_ns)?;
        }
        Ok(snapshot)
    }

    /// Lists what is there now of one source, from this number in the order of writing on.
    pub(super) fn from(store: &Path, source: &Arc<Source>, first: u64) -> Result<Self, Error> {
        let mut snapshot = Self::default();
        let folder = Arc::new(source.folder(store));
        snapshot.source(source, &folder, first, None)?;
        Ok(snapshot)
    }

    fn source(
        &mut self,
        source: &Arc<Source>,
        folder: &Arc<PathBuf>,
        first: u64,
        times_ns: Option<(i64, i64)>,
    ) -> Result<(), Error> {
        let live = state::of_live_writer(folder);
        let listing = Listing::read(folder)?;
        // What was closed after the one that is being written is newer than this moment; what is
        // both was closed meanwhile. A file that cannot be closed may be active for long.
        let newest = live.map_or(u64::MAX, |state| state.sequence);
        for (_, set) in listing
            .closed
            .range(first..)
            .take_while(|(n, _)| **n <= newest)
        {
            if set.packets().is_some() {
                self.closed(source, folder, set, times_ns);
            } else if set.has(Kind::Sidecar) {
                let path = set.name.path(folder, Kind::Sidecar);
                self.closed_tuples(source, folder, set.name.sequence, path, times_ns);
            }
        }
        for (&sequence, kinds) in listing.active.range(first..) {
            // A loss table may have its proper name before its packets have.
            let closed = listing.closed.get(&sequence);
            let has_packets = closed.is_some_and(|set| set.packets().is_some());
            let has_table = closed.is_some_and(|set| set.has(Kind::Sidecar));
            if kinds.contains(&Kind::Capture) && !has_packets {
                self.active(source, folder, sequence, live);
            } else if kinds.contains(&Kind::Tuples) && !has_table {
                self.active_tuples(source, folder, sequence, live)?;
            }
        }
        Ok(())
    }

    /// A table without a capture file: of tuples alone, or the sidecar of one that is gone, which
    /// is nothing to a query.
    fn closed_tuples(
        &mut self,
        source: &Arc<Source>,
        folder: &Arc<PathBuf>,
        sequence: u64,
        path: PathBuf,
        asked_ns: Option<(i64, i64)>,
    ) {
        let table = match Sidecar::open_alone(&path) {
            Ok(Some(table)) => table,
            Ok(None) => return,
            Err(e) => {
                let reason = e.to_string();
                return self.skipped.push(Skipped { path, reason });
            }
        };
        let mut file = CaptureFile {
            tuples_alone: true,
            length: table.length(),
            stored_bytes: table.length(),
            link_type: table.link_type.unwrap_or(LinkType(1)),
            ..CaptureFile::new(source, folder, sequence, path)
        };
        if asked_ns.is_some() {
            file.times_ns = table.times_ns;
        }
        if file.is_within(asked_ns) {
            self.files.push(file);
        }
    }

    fn active_tuples(
        &mut self,
        source: &Arc<Source>,
        folder: &Arc<PathBuf>,
        sequence: u64,
        live: Option<state::State>,
    ) -> Result<(), Error> {
        let path = folder.join(active_name(sequence, Kind::Tuples));
        let mut found = CaptureFile {
            active: true,
            tuples_alone: true,
            ..CaptureFile::new(source, folder, sequence, path)
        };
        match found.measure_tuples(live) {
            Ok(()) if found.length > TUPLE_RECORD as u64 => self.files.push(found),
            // Nothing in it yet.
            Ok(()) => {}
            // It was closed since the folder was listed.
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let listing = Listing::read(folder)?;
                if let Some(set) = listing.closed.get(&sequence) {
                    let path = set.name.path(folder, Kind::Sidecar);
                    self.closed_tuples(source, folder, sequence, path, None);
                }
            }
            Err(e) => self.skipped.push(Skipped {
                path: found.path,
                reason: e.to_string(),
            }),
        }
        Ok(())
    }

    fn closed(
        &mut self,
        source: &Arc<Source>,
        folder: &Arc<PathBuf>,
        set: &layout::FileSet,
        asked_ns: Option<(i64, i64)>,
    ) {
        let kind = set.packets().unwrap_or(Kind::Capture);
        let has_sidecar = set.has(Kind::Sidecar);
        let sidecar = has_sidecar.then(|| set.name.path(folder, Kind::Sidecar));
        let mut file = CaptureFile {
            length: u64::MAX,
            sidecar,
            ..CaptureFile::new(
                source,
                folder,
                set.name.sequence,
                set.name.path(folder, kind),
            )
        };
        match file.measure_closed() {
            Ok(()) if file.may_have(asked_ns) => self.files.push(file),
            Ok(()) => {}
            Err(reason) => self.skipped.push(Skipped {
                path: file.path,
                reason,
            }),
        }
    }

    fn active(
        &mut self,
        source: &Arc<Source>,
        folder: &Arc<PathBuf>,
        sequence: u64,
        live: Option<state::State>,
    ) {
        let path = folder.join(active_name(sequence, Kind::Capture));
        let mut found = CaptureFile {
            active: true,
            ..CaptureFile::new(source, folder, sequence, path)
        };
        match found.measure(live) {
            Ok(()) if found.length > FILE_HEADER as u64 => self.files.push(found),
            // Nothing in it yet.
            Ok(()) => {}
            Err(reason) => self.skipped.push(Skipped {
                path: found.path,
                reason,
            }),
        }
    }
}

/// The name of a closed file, from its path.
pub fn closed_name(path: &Path) -> Option<ClosedName> {
    let (name, _) = ClosedName::parse(path.file_name()?.to_str()?)?;
    Some(name)
}

#[cfg(test)]
mod tests;
