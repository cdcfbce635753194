//! Inputs: files and spooled pipes, whole or in parts.

use std::{fs::File, ops::Range, path::PathBuf, sync::Arc};

use super::{Error, FrameReader, RecordReader, reader::Format, source::Store, split};

/// A capture to read: a file, or what came through a pipe. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Input {
    name: Arc<str>,
    store: Arc<Store>,
    size: u64,
    interface: Arc<str>,
}

impl Input {
    /// A file of this size.
    pub fn from_path(path: PathBuf, size: u64) -> Self {
        Self {
            name: path.to_string_lossy().into(),
            store: Arc::new(Store::path(path)),
            size,
            interface: Arc::default(),
        }
    }

    pub(super) fn from_store(name: &str, store: Store, size: u64) -> Self {
        Self {
            name: name.into(),
            store: Arc::new(store),
            size,
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

    /// Reads the whole input.
    pub fn open(&self) -> Result<FrameReader, Error> {
        Ok(FrameReader::open(&self.store, &self.name)?.with_interface(&self.interface))
    }

    /// Reads single packets of a pcap file that is not compressed, by the offsets of their records.
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
        self.range.start..self.range.end.min(self.input.size.max(self.range.start))
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
