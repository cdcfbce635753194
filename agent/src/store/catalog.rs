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

/// A capture file as it was when the snapshot was taken.
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
    /// Bytes that belong to the snapshot: whole records, uncompressed.
    pub length: u64,
    /// Bytes of the file on the disk: other than `length` where it is compressed.
    pub stored_bytes: u64,
    /// Link type of all its packets.
    pub link_type: LinkType,
    /// Path of its sidecar, valid or not.
    pub sidecar: Option<PathBuf>,
    /// Lowest and highest time of its packets, in nanoseconds since 1970, where a range of times
    /// was asked for and its sidecar says so.
    pub times_ns: Option<(i64, i64)>,
    folder: Arc<PathBuf>,
}

impl CaptureFile {
    /// Opens its sidecar; `None` if it has none.
    ///
    /// # Errors
    /// Why the sidecar is not used, which is to be told; the file is then read itself.
    pub fn open_sidecar(&self) -> Option<Result<Sidecar, sidecar::Error>> {
        let path = self.sidecar.as_ref()?;
        Some(Sidecar::open(path, self.length))
    }

    /// The file as an input of exactly the snapshot's length, wherever it is by now.
    ///
    /// # Errors
    /// [`Error::Removed`] if retention took it.
    pub fn input(&self) -> Result<Input, Error> {
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
#[derive(Debug)]
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
            snapshot.source(&Arc::new(source), &folder, filter.times_ns)?;
        }
        Ok(snapshot)
    }

    fn source(
        &mut self,
        source: &Arc<Source>,
        folder: &Arc<PathBuf>,
        times_ns: Option<(i64, i64)>,
    ) -> Result<(), Error> {
        let live = state::of_live_writer(folder);
        let listing = Listing::read(folder)?;
        // What was closed later than the newest active file was started is newer than this
        // moment; what is both was closed meanwhile.
        let newest = listing.active.keys().next_back().copied();
        let closed = listing.closed.values().filter(|set| {
            set.packets().is_some() && newest.is_none_or(|newest| set.name.sequence <= newest)
        });
        for set in closed {
            self.closed(source, folder, set, times_ns);
        }
        for (&sequence, kinds) in &listing.active {
            if kinds.contains(&Kind::Capture) && !listing.closed.contains_key(&sequence) {
                self.active(source, folder, sequence, live);
            }
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
            source: Arc::clone(source),
            sequence: set.name.sequence,
            path: set.name.path(folder, kind),
            active: false,
            length: u64::MAX,
            stored_bytes: 0,
            link_type: LinkType(0),
            sidecar,
            times_ns: None,
            folder: Arc::clone(folder),
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
            source: Arc::clone(source),
            sequence,
            path,
            active: true,
            length: 0,
            stored_bytes: 0,
            link_type: LinkType(0),
            sidecar: None,
            times_ns: None,
            folder: Arc::clone(folder),
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
    /// Whether packets can lie in the range asked for.
    fn may_have(&mut self, asked_ns: Option<(i64, i64)>) -> bool {
        let Some((from, to)) = asked_ns else {
            return true;
        };
        let sidecar = self.open_sidecar().and_then(Result::ok);
        self.times_ns = sidecar.and_then(|sidecar| sidecar.times_ns);
        self.times_ns
            .is_none_or(|(min, max)| max >= from && min < to)
    }

    /// Finds out the lengths and the link type of a closed file.
    fn measure_closed(&mut self) -> Result<(), String> {
        let input = self.input_later().map_err(|e| e.to_string())?;
        let facts = input.facts().map_err(|e| e.to_string())?;
        self.link_type = header(input.bytes().map_err(|e| e.to_string())?)?.link_type;
        self.length = facts.length;
        self.stored_bytes = facts.stored;
        Ok(())
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
        self.link_type = header.link_type;
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
