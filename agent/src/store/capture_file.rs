//! One file of a snapshot: how far it goes, and how it is opened wherever it is by now.

use std::{
    fs::File,
    io::{self, Read, Seek},
    path::PathBuf,
    sync::Arc,
};

use super::{
    Error, Sidecar, Source, compress,
    layout::{Kind, Listing},
    records::{self, FILE_HEADER, FileHeader},
    sidecar, state,
    tuples::{self, TUPLE_RECORD},
};
use crate::{capfile::Input, frame::LinkType};

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
    pub(super) active_tuples: Option<Arc<File>>,
    pub(super) folder: Arc<PathBuf>,
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

impl CaptureFile {
    /// A closed capture file of which nothing is known yet.
    pub(super) fn new(
        source: &Arc<Source>,
        folder: &Arc<PathBuf>,
        sequence: u64,
        path: PathBuf,
    ) -> Self {
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
    pub(super) fn may_have(&mut self, asked_ns: Option<(i64, i64)>) -> bool {
        if asked_ns.is_some() {
            let sidecar = self.open_sidecar().and_then(Result::ok);
            self.times_ns = sidecar.and_then(|sidecar| sidecar.times_ns);
        }
        self.is_within(asked_ns)
    }

    pub(super) fn is_within(&self, asked_ns: Option<(i64, i64)>) -> bool {
        asked_ns
            .zip(self.times_ns)
            .is_none_or(|((from, to), (min, max))| max >= from && min < to)
    }

    /// Opens an active file of tuples and finds out how far its records go.
    pub(super) fn measure_tuples(&mut self, live: Option<state::State>) -> io::Result<()> {
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
    pub(super) fn measure_closed(&mut self) -> Result<(), String> {
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
    pub(super) fn measure(&mut self, live: Option<state::State>) -> Result<(), String> {
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
