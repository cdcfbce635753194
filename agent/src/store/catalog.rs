//! What a store holds at a moment: the files that a query reads, and how far.

use std::{
    fs::{self, File},
    io::{self, Read, Seek},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Error, Sidecar, Source, compress,
    layout::{self, ClosedName, Kind, Listing, active_name},
    records::{self, FILE_HEADER, FileHeader},
    sidecar, state,
    tuples::{self, TUPLE_RECORD},
};
use crate::{capfile::Input, frame::LinkType};

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

/// A capture file, or a file of tuples alone, as it was when the snapshot was taken.
#[derive(Clone, Debug)]
pub struct CaptureFile {
    /// Where it comes from.
    pub source: Arc<Source>,
    /// Number in the source's order of writing.
    pub sequence: u64,
    /// Path then; [`Self::input`] finds the file under its later name, too.
    pub path: PathBuf,
    /// Whether it was being written.
    pub active: bool,
    /// Whether packets were not stored, but their tuples alone: then it is its own sidecar.
    pub tuples_alone: bool,
    /// Bytes that belong to the snapshot: whole records, uncompressed; or a closed table.
    pub length: u64,
    /// Bytes of the file on the disk: other than `length` where it is compressed.
    pub stored_bytes: u64,
    /// Link type of all its packets.
    pub link_type: LinkType,
    /// Most bytes that are kept of a packet; 0 of tuples alone.
    pub snaplen: u32,
    /// Path of its sidecar, valid or not.
    pub sidecar: Option<PathBuf>,
    /// Lowest and highest time of its packets, in nanoseconds since 1970, where a range of times
    /// was asked for and its sidecar says so.
    pub times_ns: Option<(i64, i64)>,
    /// Tuples that were being written: the file goes when they are a table.
    active_tuples: Option<Arc<File>>,
    folder: Arc<PathBuf>,
}

impl CaptureFile {
    /// Opens its sidecar; `None` if it has none.
    ///
    /// # Errors
    /// Why the sidecar is not used, which is to be told; the file is then read itself.
    pub fn open_sidecar(&self) -> Option<Result<Sidecar, sidecar::Error>> {
        if self.tuples_alone {
            return None;
        }
        let path = self.sidecar.as_ref()?;
        Some(Sidecar::open(path, self.length))
    }

    /// The records of tuples alone that were being written.
    pub(super) fn tuples_being_written(&self) -> Option<&Arc<File>> {
        self.active_tuples.as_ref()
    }

    /// Opens the table of tuples alone; of those that were being written, it is made here.
    ///
    /// # Errors
    /// [`Error::Removed`] if retention took it; [`Error::Table`] if it is damaged.
    pub fn open_tuples(&self) -> Result<Sidecar, Error> {
        if let Some(active) = &self.active_tuples {
            return Ok(sidecar::table_of(active, 0..self.length, &self.path)?);
        }
        match Sidecar::open_alone(&self.path) {
            Ok(Some(table)) => Ok(table),
            Err(sidecar::Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Err(Error::Removed(self.path.clone()))
            }
            Ok(None) => Err(Error::Removed(self.path.clone())),
            Err(e) => Err(e.into()),
        }
    }

    /// The file as an input of exactly the snapshot's length, wherever it is by now.
    ///
    /// # Errors
    /// [`Error::Removed`] if retention took it, [`Error::TuplesAlone`] if it has no packets.
    pub fn input(&self) -> Result<Input, Error> {
        if self.tuples_alone {
            return Err(Error::TuplesAlone(self.path.clone()));
        }
        let input = self.input_later()?;
        match input.facts() {
            Err(e) if e.is_missing() => Err(Error::Removed(self.path.clone())),
            Err(e) => Err(e.into()),
            Ok(_) => Ok(input),
        }
    }

    /// As [`Self::input`], but a closed file is opened only by who reads it.
    ///
    /// # Errors
    /// [`Error::Removed`] if retention took a file that was being written.
    pub fn input_later(&self) -> Result<Input, Error> {
        let name = self.path.to_string_lossy();
        let of_forms = |raw: PathBuf, compressed: PathBuf| {
            Input::from_forms(&name, raw, compressed, self.length, self.stored_bytes)
        };
        let forms = |kind| compress::path_of(&self.path, kind);
        let input = match forms(Kind::Capture).zip(forms(Kind::Compressed)) {
            Some((raw, compressed)) => of_forms(raw, compressed),
            None => match File::open(&self.path) {
                Ok(file) => Input::from_file(&name, file, self.length),
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    let listing = Listing::read(&self.folder)?;
                    let set = listing.closed.get(&self.sequence);
                    let set = set.ok_or_else(|| Error::Removed(self.path.clone()))?;
                    let path = |kind| set.name.path(&self.folder, kind);
                    of_forms(path(Kind::Capture), path(Kind::Compressed))
                }
                Err(e) => return Err(Error::io("open", &self.path)(e)),
            },
        };
        Ok(input.with_interface(&self.source.interface))
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

impl CaptureFile {
    /// A closed capture file of which nothing is known yet.
    fn new(source: &Arc<Source>, folder: &Arc<PathBuf>, sequence: u64, path: PathBuf) -> Self {
        Self {
            source: Arc::clone(source),
            sequence,
            path,
            active: false,
            tuples_alone: false,
            length: 0,
            stored_bytes: 0,
            link_type: LinkType(0),
            snaplen: 0,
            sidecar: None,
            times_ns: None,
            active_tuples: None,
            folder: Arc::clone(folder),
        }
    }

    /// Whether packets can lie in the range asked for.
    fn may_have(&mut self, asked_ns: Option<(i64, i64)>) -> bool {
        if asked_ns.is_some() {
            let sidecar = self.open_sidecar().and_then(Result::ok);
            self.times_ns = sidecar.and_then(|sidecar| sidecar.times_ns);
        }
        self.is_within(asked_ns)
    }

    fn is_within(&self, asked_ns: Option<(i64, i64)>) -> bool {
        asked_ns
            .zip(self.times_ns)
            .is_none_or(|((from, to), (min, max))| max >= from && min < to)
    }

    /// Opens an active file of tuples and finds out how far its records go.
    fn measure_tuples(&mut self, live: Option<state::State>) -> io::Result<()> {
        let file = File::open(&self.path)?;
        let length = file.metadata()?.len();
        let Some(link_type) = tuples::read_header(&file)? else {
            // One just begun has no header yet.
            return match length < TUPLE_RECORD as u64 {
                true => Ok(()),
                false => Err(io::Error::other(
                    "it does not start as a file of tuples of the store does",
                )),
            };
        };
        self.link_type = link_type;
        self.length = tuples::whole(match live {
            Some(state) if state.sequence == self.sequence => state.length.min(length),
            Some(state) if state.sequence < self.sequence => 0,
            _ => length,
        });
        self.stored_bytes = length;
        self.active_tuples = Some(Arc::new(file));
        Ok(())
    }

    /// Finds out the lengths and the link type of a closed file.
    fn measure_closed(&mut self) -> Result<(), String> {
        let input = self.input_later().map_err(|e| e.to_string())?;
        let facts = input.facts().map_err(|e| e.to_string())?;
        self.take(header(input.bytes().map_err(|e| e.to_string())?)?);
        self.length = facts.length;
        self.stored_bytes = facts.stored;
        Ok(())
    }

    fn take(&mut self, header: FileHeader) {
        (self.link_type, self.snaplen) = (header.link_type, header.snaplen);
    }

    /// Finds out how far the whole records of an active file go, and its link type.
    fn measure(&mut self, live: Option<state::State>) -> Result<(), String> {
        self.length = u64::MAX;
        let input = self.input_later().map_err(|e| e.to_string())?;
        let length = input.facts().map_err(|e| e.to_string())?.length;
        self.length = 0;
        if length < FILE_HEADER as u64 {
            return Ok(());
        }
        let mut file = input.bytes().map_err(|e| e.to_string())?;
        let header = header(&mut file)?;
        self.take(header);
        self.length = match live {
            Some(state) if state.sequence == self.sequence => state.length.min(length),
            // A file that is being closed ends with a whole record; one just begun has none.
            Some(state) if state.sequence > self.sequence => length,
            Some(_) => 0,
            None => {
                let walk = records::walk(&mut file, header, length).map_err(|e| e.to_string())?;
                walk.end
            }
        };
        self.stored_bytes = self.length;
        Ok(())
    }
}

fn header(file: impl Read + Seek) -> Result<FileHeader, String> {
    match FileHeader::read(file) {
        Ok(Some(header)) => Ok(header),
        Ok(None) => Err("it does not start as a capture file of the store does".to_owned()),
        Err(e) => Err(format!("it cannot be read: {e}")),
    }
}

/// The name of a closed file, from its path.
pub fn closed_name(path: &Path) -> Option<ClosedName> {
    let (name, _) = ClosedName::parse(path.file_name()?.to_str()?)?;
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::{Folder, NOW, block};
    use crate::store::{SourceWriter, WriterOptions};

    fn count(file: &CaptureFile) -> usize {
        let mut reader = file.input().unwrap().open().unwrap();
        let mut count = 0;
        while reader.next_frame().is_some() {
            count += 1;
        }
        assert_eq!(reader.warnings(), []);
        count
    }

    #[test]
    fn a_snapshot_stays_what_it_was_while_the_writer_goes_on() {
        let folder = Folder::new();
        let (mut writer, _) =
            SourceWriter::open(folder.path(), WriterOptions::default(), NOW).unwrap();
        writer.append(&block(NOW, 10));
        writer.rotate();
        writer.append(&block(NOW + 1_000_000_000, 20));
        let before = Snapshot::take(folder.store(), &Filter::default()).unwrap();
        let total = |snapshot: &Snapshot| snapshot.files.iter().map(count).sum::<usize>();
        assert_eq!(total(&before), 30);
        writer.append(&block(NOW, 5));
        assert_eq!(total(&before), 30);
        writer.rotate();
        writer.append(&block(NOW, 7));
        let (_, stats, error) = writer.close(NOW);
        assert!(error.is_none());
        assert_eq!(stats.stored, 42);
        // The active file has another name by now, and is still the same 20 packets.
        assert_eq!(total(&before), 30);
        let after = Snapshot::take(folder.store(), &Filter::default()).unwrap();
        assert_eq!(total(&after), 42);
        assert!(after.files.iter().all(|file| !file.active));
        let sequences: Vec<u64> = after.files.iter().map(|file| file.sequence).collect();
        assert_eq!(sequences, [1, 2, 3]);
        fs::remove_file(&after.files[0].path).unwrap();
        assert!(matches!(after.files[0].input(), Err(Error::Removed(_))));
    }

    #[test]
    fn what_a_dead_writer_left_is_read_up_to_its_last_whole_record() {
        let folder = Folder::new();
        let (mut writer, _) =
            SourceWriter::open(folder.path(), WriterOptions::default(), NOW).unwrap();
        writer.append(&block(NOW, 10));
        drop(writer);
        let path = folder.path().join(active_name(1, Kind::Capture));
        let file = File::options().write(true).open(path).unwrap();
        let length = file.metadata().unwrap().len();
        file.set_len(length - 1).unwrap();
        let snapshot = Snapshot::take(folder.store(), &Filter::default()).unwrap();
        assert_eq!(snapshot.files.len(), 1);
        assert_eq!(count(&snapshot.files[0]), 9);
    }

    #[test]
    fn files_without_packets_in_the_range_are_left_out_if_a_sidecar_says_so() {
        let folder = Folder::new();
        let (mut writer, _) =
            SourceWriter::open(folder.path(), WriterOptions::default(), NOW).unwrap();
        for n in 0..3 {
            writer.append(&block(NOW + n * 1_000_000_000, 10));
            writer.rotate();
        }
        let (closed, ..) = writer.close(NOW);
        let paths: Vec<&PathBuf> = closed.iter().filter_map(|c| c.path.as_ref()).collect();
        let found = |from, to| {
            let filter = Filter {
                times_ns: Some((from, to)),
                ..Filter::default()
            };
            let snapshot = Snapshot::take(folder.store(), &filter).unwrap();
            snapshot
                .files
                .iter()
                .map(|f| f.sequence)
                .collect::<Vec<_>>()
        };
        assert_eq!(found(0, 1), [1, 2, 3]);
        for path in &paths[..2] {
            sidecar::build(path, 100).unwrap();
        }
        assert_eq!(found(0, 1), [3]);
        // The last packet of the first file, and the moment before its first.
        assert_eq!(found(NOW + 9_000, NOW + 9_001), [1, 3]);
        assert_eq!(found(NOW - 5, NOW), [3]);
        assert_eq!(found(NOW + 9_001, NOW + 1_000_000_001), [2, 3]);
        fs::write(paths[1].with_extension("parquet"), "damaged").unwrap();
        assert_eq!(found(0, 1), [2, 3]);
    }

    #[test]
    fn only_the_sources_asked_for() {
        let store = tempfile::tempdir().unwrap();
        for folder in ["pcap/lan0", "pcap/wan0=wan", "old/lan0"] {
            let folder = store.path().join(folder);
            let (mut writer, _) =
                SourceWriter::open(&folder, WriterOptions::default(), NOW).unwrap();
            writer.append(&block(NOW, 1));
            writer.close(NOW);
        }
        let names = |filter: &Filter<'_>| {
            let snapshot = Snapshot::take(store.path(), filter).unwrap();
            let name = |f: CaptureFile| format!("{}/{}", f.source.well, f.source.interface);
            snapshot.files.into_iter().map(name).collect::<Vec<_>>()
        };
        assert_eq!(
            names(&Filter::default()),
            ["old/lan0", "pcap/lan0", "pcap/wan0"]
        );
        let tags = ["pcap".to_owned()];
        let filter = Filter {
            tags: Some(&tags),
            ..Filter::default()
        };
        assert_eq!(names(&filter), ["pcap/lan0"]);
        let interfaces = ["lan0".to_owned()];
        let filter = Filter {
            interfaces: Some(&interfaces),
            ..Filter::default()
        };
        assert_eq!(names(&filter), ["old/lan0", "pcap/lan0"]);
        assert!(Snapshot::take(&store.path().join("no"), &Filter::default()).is_err());
    }
}
