//! Where the stored bytes of an input are, and reading a range of them.
//!
//! Files are read, not mapped: a file that is cut while it is mapped kills the process.

use std::{
    fs::File,
    io::{self, ErrorKind, Read, Seek, SeekFrom, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use super::seekable::{Bytes, FrameBytes, Table};

/// Bytes of a pipe that are kept in memory; more go to an unlinked temporary file.
const SPOOL_MEMORY: u64 = 64 << 20;

/// The stored bytes of an input, readable from any place, by any number of readers.
#[derive(Debug)]
pub(super) struct Store {
    place: Place,
    /// Nothing behind this offset is read: a file that is being written may end there in the
    /// middle of a record.
    end: u64,
}

#[derive(Debug)]
enum Place {
    /// A file, opened by each reader.
    Path(PathBuf),
    /// Bytes in memory.
    Memory(Vec<u8>),
    /// A file that is open: unlinked, or one that may be renamed while it is read.
    Open(File),
    /// A file that is compressed at some time, whose offsets are those of the uncompressed file.
    Forms {
        raw: PathBuf,
        compressed: PathBuf,
        /// Of the compressed file, once it was read.
        table: OnceLock<Arc<Table>>,
    },
    /// A compressed file in memory.
    Frames(Bytes, Arc<Table>),
}

impl Store {
    /// A file, opened by each reader.
    pub(super) fn path(path: PathBuf) -> Self {
        let (place, end) = (Place::Path(path), u64::MAX);
        Self { place, end }
    }

    /// Bytes in memory.
    pub(super) fn memory(bytes: Vec<u8>) -> Self {
        let (place, end) = (Place::Memory(bytes), u64::MAX);
        Self { place, end }
    }

    /// An open file, up to an offset.
    pub(super) fn open(file: File, end: u64) -> Self {
        let place = Place::Open(file);
        Self { place, end }
    }

    /// A file that is under one name or, compressed, under another one, up to an offset in the
    /// uncompressed file. Which it is, each reader finds when it opens it.
    pub(super) fn forms(raw: PathBuf, compressed: PathBuf, end: u64) -> Self {
        let place = Place::Forms {
            raw,
            compressed,
            table: OnceLock::new(),
        };
        Self { place, end }
    }

    /// A compressed file in memory, and the length of the uncompressed one.
    pub(super) fn frames(bytes: Vec<u8>) -> io::Result<(Self, u64)> {
        let bytes = Bytes::Memory(bytes.into());
        let table = Table::read(&bytes)?;
        let end = table.length();
        let place = Place::Frames(bytes, Arc::new(table));
        Ok((Self { place, end }, end))
    }

    /// Takes in all of a pipe, so that it can be read more than once.
    pub(super) fn spool(pipe: &mut dyn Read) -> io::Result<(Self, u64)> {
        Self::spool_above(pipe, SPOOL_MEMORY)
    }

    fn spool_above(pipe: &mut dyn Read, memory: u64) -> io::Result<(Self, u64)> {
        let mut start = Vec::new();
        let size = pipe.take(memory).read_to_end(&mut start)? as u64;
        if size < memory {
            return Ok((Self::memory(start), size));
        }
        let mut file = tempfile::tempfile()?;
        file.write_all(&start)?;
        drop(start);
        let size = size + io::copy(pipe, &mut file)?;
        Ok((Self::open(file, u64::MAX), size))
    }
}

/// What a reader has open.
#[derive(Debug)]
enum Opened {
    /// What the store holds: memory, or a file that is open.
    Held,
    File(File),
    Frames(Box<FrameBytes>),
}

impl Opened {
    fn open(store: &Store) -> io::Result<Self> {
        match &store.place {
            Place::Path(path) => Ok(Self::File(File::open(path)?)),
            Place::Memory(_) | Place::Open(_) => Ok(Self::Held),
            Place::Frames(bytes, table) => {
                let frames = FrameBytes::new(bytes.clone(), Arc::clone(table))?;
                Ok(Self::Frames(Box::new(frames)))
            }
            Place::Forms {
                raw,
                compressed,
                table,
            } => match File::open(raw) {
                // The compressed file has its name before the other one goes.
                Err(e) if e.kind() == ErrorKind::NotFound => {
                    Self::compressed(compressed, table, store.end)
                }
                other => other.map(Self::File),
            },
        }
    }

    fn compressed(path: &Path, known: &OnceLock<Arc<Table>>, end: u64) -> io::Result<Self> {
        let bytes = Bytes::File(Arc::new(File::open(path)?));
        let table = match known.get() {
            Some(table) => Arc::clone(table),
            None => {
                let table = Arc::new(Table::read(&bytes)?.expecting(end));
                Arc::clone(known.get_or_init(|| table))
            }
        };
        Ok(Self::Frames(Box::new(FrameBytes::new(bytes, table)?)))
    }
}

/// Reads the stored bytes from a place on, and counts them.
#[derive(Debug)]
pub(super) struct StoreReader {
    store: Arc<Store>,
    opened: Opened,
    at: u64,
    /// No single read passes this offset: a part's reader needs little after its end.
    soft_end: u64,
    shared: Shared,
}

/// What a reader tells whoever reads through it.
#[derive(Clone, Debug, Default)]
pub(super) struct Shared {
    /// Stored bytes read so far.
    pub(super) read: Arc<AtomicU64>,
    /// After a read that failed: the offset where reading can go on, 0 if it cannot.
    pub(super) resume: Arc<AtomicU64>,
}

impl StoreReader {
    pub(super) fn open(store: &Arc<Store>, at: u64, soft_end: u64) -> io::Result<Self> {
        Self::open_after(store, at, soft_end, Shared::default())
    }

    /// One that goes on counting.
    pub(super) fn open_after(
        store: &Arc<Store>,
        at: u64,
        soft_end: u64,
        shared: Shared,
    ) -> io::Result<Self> {
        Ok(Self {
            opened: Opened::open(store)?,
            store: Arc::clone(store),
            at,
            soft_end,
            shared,
        })
    }

    /// Goes to another place.
    pub(super) fn go_to(&mut self, at: u64) {
        self.at = at;
    }

    /// What it tells, from now on, too.
    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Bytes that the stored bytes take on the disk, as offsets count them, and what is wrong
    /// behind them, if that is known without reading them.
    pub(super) fn facts(&self) -> io::Result<Facts> {
        let file = |file: &File| file.metadata().map(|metadata| metadata.len());
        let (stored, length, damage) = match (&self.opened, &self.store.place) {
            (Opened::File(opened), _) | (Opened::Held, Place::Open(opened)) => {
                let length = file(opened)?;
                (length, length, None)
            }
            (Opened::Frames(frames), _) => (
                frames.stored()?,
                frames.table().length(),
                frames.table().damage().map(str::to_owned),
            ),
            (Opened::Held, Place::Memory(bytes)) => {
                let length = bytes.len() as u64;
                (length, length, None)
            }
            (Opened::Held, _) => (0, 0, None),
        };
        Ok(Facts {
            stored,
            length: length.min(self.store.end),
            damage,
        })
    }

    fn read_frames(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let Opened::Frames(frames) = &mut self.opened else {
            return Ok(0);
        };
        let mut taken = 0;
        let result = frames.read_at(buf, self.at, &mut taken);
        self.shared.read.fetch_add(taken, Ordering::Relaxed);
        let resume = match &result {
            Ok(_) => None,
            Err(_) => frames.after_damage(self.at),
        };
        let resume = resume.unwrap_or(0);
        self.shared.resume.store(resume, Ordering::Relaxed);
        result
    }
}

/// What opening a file says of it.
#[derive(Debug)]
pub struct Facts {
    /// Bytes on the disk.
    pub stored: u64,
    /// Bytes that can be read, as offsets count them.
    pub length: u64,
    /// What is wrong behind them.
    pub damage: Option<String>,
}

impl Read for StoreReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let to_soft_end = self.soft_end.saturating_sub(self.at);
        let wanted = match usize::try_from(to_soft_end) {
            Ok(n) if n > 0 => n.min(buf.len()),
            _ => buf.len(),
        };
        let to_end = usize::try_from(self.store.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let n = match (&self.opened, &self.store.place) {
            (Opened::Frames(frames), _) => {
                // What is wrong behind the last frame is told by a read at the end.
                let wanted = match frames.table().length() <= self.at {
                    true => wanted,
                    false => wanted.min(to_end),
                };
                self.read_frames(buf.get_mut(..wanted).unwrap_or_default())?
            }
            (opened, place) => {
                let buf = buf.get_mut(..wanted.min(to_end)).unwrap_or_default();
                let n = match (opened, place) {
                    (Opened::File(file), _) | (_, Place::Open(file)) => {
                        file.read_at(buf, self.at)?
                    }
                    (_, Place::Memory(bytes)) => {
                        let at = usize::try_from(self.at).unwrap_or(usize::MAX);
                        bytes.get(at..).unwrap_or_default().read(buf)?
                    }
                    _ => 0,
                };
                self.shared.read.fetch_add(n as u64, Ordering::Relaxed);
                n
            }
        };
        self.at += n as u64;
        Ok(n)
    }
}

impl Seek for StoreReader {
    /// Offsets of the uncompressed file; from the end it cannot.
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = match to {
            SeekFrom::Start(at) => at,
            SeekFrom::Current(by) => self
                .at
                .checked_add_signed(by)
                .ok_or(ErrorKind::InvalidInput)?,
            SeekFrom::End(_) => return Err(ErrorKind::Unsupported.into()),
        };
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spooled_pipe_is_the_same_in_memory_and_on_disk() {
        let bytes: Vec<u8> = (0..10_000_u32).flat_map(u32::to_le_bytes).collect();
        for memory in [1, 4_000, 40_000, 40_001, 1 << 20] {
            let (store, size) = Store::spool_above(&mut bytes.as_slice(), memory).unwrap();
            assert_eq!(size, 40_000);
            assert_eq!(matches!(store.place, Place::Memory(_)), memory > 40_000);
            let mut read = Vec::new();
            let mut reader = StoreReader::open(&Arc::new(store), 100, 5_000).unwrap();
            reader.read_to_end(&mut read).unwrap();
            assert_eq!(read, &bytes[100..]);
            assert_eq!(reader.shared().read.load(Ordering::Relaxed), 39_900);
        }
    }
}
