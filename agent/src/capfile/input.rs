//! Inputs: files and spooled pipes, whole or in parts.

use std::{
    fs::File,
    io::{Read, Seek},
    ops::Range,
    path::PathBuf,
    sync::Arc,
};

use super::{
    Error, Facts, FrameReader, RecordReader,
    reader::{self, Format},
    source::{Store, StoreReader},
    split,
};

/// A capture to read: a file, or what came through a pipe. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Input {
    name: Arc<str>,
    store: Arc<Store>,
    size: u64,
    /// Bytes as offsets count them: those of the uncompressed file where it is in frames.
    length: u64,
    interface: Arc<str>,
}

impl Input {
    /// A file of this size.
    pub fn from_path(path: PathBuf, size: u64) -> Self {
        Self {
            name: path.to_string_lossy().into(),
            store: Arc::new(Store::path(path)),
            size,
            length: size,
            interface: Arc::default(),
        }
    }

    pub(super) fn from_store(name: &str, store: Store, size: u64) -> Self {
        Self {
            name: name.into(),
            store: Arc::new(store),
            size,
            length: size,
            interface: Arc::default(),
        }
    }

    /// An input that is in memory.
    pub fn from_bytes(name: &str, bytes: Vec<u8>) -> Self {
        let size = bytes.len() as u64;
        Self::from_store(name, Store::memory(bytes), size)
    }

    /// The first `size` bytes of an open file, under whatever name it goes by now.
    pub fn from_file(name: &str, file: File, size: u64) -> Self {
        Self::from_store(name, Store::open(file, size), size)
    }

    /// The first `length` bytes of a pcap file that is under the name `raw` or, in compressed
    /// frames ([`super::compress_frames`]), under the name `compressed`, whichever there is when
    /// it is opened. Offsets, parts and single packets are those of the uncompressed file. `size`
    /// is what it takes on the disk.
    pub fn from_forms(
        name: &str,
        raw: PathBuf,
        compressed: PathBuf,
        length: u64,
        size: u64,
    ) -> Self {
        let store = Store::forms(raw, compressed, length);
        Self {
            length,
            ..Self::from_store(name, store, size)
        }
    }

    /// A pcap file in compressed frames that is in memory, as [`Self::from_forms`].
    ///
    /// # Errors
    /// If zstd has no memory.
    pub fn from_frames(name: &str, bytes: Vec<u8>) -> Result<Self, Error> {
        let size = bytes.len() as u64;
        let (store, length) =
            Store::frames(bytes).map_err(|source| Error::io("read", name, source))?;
        Ok(Self {
            length,
            ..Self::from_store(name, store, size)
        })
    }

    /// The interface of the frames of a file that names none (every pcap).
    #[must_use]
    pub fn with_interface(mut self, interface: &str) -> Self {
        self.interface = interface.into();
        self
    }

    /// Name for messages: the path as given, or `standard input`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Stored size in bytes, before decompression, as it was when the input was found.
    pub fn size_bytes(&self) -> u64 {
        self.size
    }

    /// Length in bytes as offsets count them: of the uncompressed file where it is in frames,
    /// else as [`Self::size_bytes`].
    pub fn length(&self) -> u64 {
        self.length
    }

    /// What opening the file says of it now.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn facts(&self) -> Result<Facts, Error> {
        let facts = StoreReader::open(&self.store, 0, u64::MAX).and_then(|reader| reader.facts());
        facts.map_err(|source| Error::io("open", &self.name, source))
    }

    /// The bytes from the start, as offsets count them.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub fn bytes(&self) -> Result<impl Read + Seek + use<>, Error> {
        let reader = StoreReader::open(&self.store, 0, u64::MAX);
        reader.map_err(|source| Error::io("open", &self.name, source))
    }

    /// Reads the whole input.
    pub fn open(&self) -> Result<FrameReader, Error> {
        Ok(FrameReader::open(&self.store, &self.name)?.with_interface(&self.interface))
    }

    /// Reads single packets of a pcap file that is not compressed, or in frames, by the offsets of
    /// their records.
    pub fn open_records(&self) -> Result<RecordReader, Error> {
        RecordReader::open(&self.store, &self.name)
    }

    /// The interface of the frames of a file that names none.
    pub fn interface(&self) -> &str {
        &self.interface
    }

    /// The whole input as a part.
    pub fn whole(&self) -> Part {
        Part {
            input: self.clone(),
            range: 0..u64::MAX,
            format: None,
        }
    }

    /// Divides the input into at most `parts` parts of about the same size, whose frames one
    /// after another are those of the whole input. One part where it cannot be divided: small,
    /// compressed, or no place was found that is surely the start of a record.
    pub fn split(&self, parts: usize) -> Result<Vec<Part>, Error> {
        let (starts, format) = split::starts(self, parts)?;
        let format = format.map(Arc::new);
        let ends = starts.iter().skip(1).copied().chain([u64::MAX]);
        Ok(starts
            .iter()
            .zip(ends)
            .map(|(start, end)| Part {
                input: self.clone(),
                range: *start..end,
                format: format.clone(),
            })
            .collect())
    }

    /// The records of a pcap file that is not compressed, from one that starts at the first of the
    /// two offsets (or from the first of all) up to the second; what is compressed as a whole.
    pub fn records(&self, range: Range<u64>) -> Result<Part, Error> {
        let at_start = range.start == 0;
        if at_start && range.end == u64::MAX || self.is_compressed()? {
            return Ok(self.whole());
        }
        let format = Arc::new(self.open()?.into_format());
        Ok(Part {
            input: self.clone(),
            range,
            format: Some(format),
        })
    }

    fn is_compressed(&self) -> Result<bool, Error> {
        let found = reader::compression(&self.store);
        Ok(found
            .map_err(|source| Error::io("read", &self.name, source))?
            .is_some())
    }

    pub(super) fn store(&self) -> &Arc<Store> {
        &self.store
    }
}

/// A range of an input that one reader reads.
///
/// Whether the range ends at the start of a record is certain only after it has been read: a
/// file that is damaged or built to deceive can look as if a record started where none does. So
/// each part's reader reads records as a reader of the whole would, and checks that it comes to
/// stand exactly where the next part starts. If it does not, [`FrameReader::boundary_missed`]
/// says so, and the input has to be read unsplit.
#[derive(Clone, Debug)]
pub struct Part {
    input: Input,
    /// Byte offsets; the end is `u64::MAX` for the last part.
    range: Range<u64>,
    /// What the start of the file said; `None` if this is the whole input.
    format: Option<Arc<Format>>,
}

impl Part {
    /// The input that this is a part of.
    pub fn input(&self) -> &Input {
        &self.input
    }

    /// Byte offsets in the file; the last part ends at its end, however long that is by now.
    pub fn range(&self) -> Range<u64> {
        self.range.start..self.range.end.min(self.input.length.max(self.range.start))
    }

    /// Reads the part.
    pub fn open(&self) -> Result<FrameReader, Error> {
        let (store, name) = (&self.input.store, &self.input.name);
        let reader = match &self.format {
            None => FrameReader::open(store, name),
            Some(format) => FrameReader::open_part(store, name, self.range.clone(), format),
        };
        Ok(reader?.with_interface(&self.input.interface))
    }
}
