//! Where the stored bytes of an input are, and reading a range of them.
//!
//! Files are read, not mapped: a file that is cut while it is mapped kills the process.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::unix::fs::FileExt,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

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

/// Reads the stored bytes from a place on, and counts them.
#[derive(Debug)]
pub(super) struct StoreReader {
    store: Arc<Store>,
    file: Option<File>,
    at: u64,
    /// No single read passes this offset: a part's reader needs little after its end.
    soft_end: u64,
    read: Arc<AtomicU64>,
}

impl StoreReader {
    pub(super) fn open(store: &Arc<Store>, at: u64, soft_end: u64) -> io::Result<Self> {
        let file = match &store.place {
            Place::Path(path) => Some(File::open(path)?),
            Place::Memory(_) | Place::Open(_) => None,
        };
        Ok(Self {
            store: Arc::clone(store),
            file,
            at,
            soft_end,
            read: Arc::default(),
        })
    }

    /// Goes to another place.
    pub(super) fn seek(&mut self, at: u64) {
        self.at = at;
    }

    /// Number of stored bytes read so far, shared with the reader.
    pub(super) fn counter(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.read)
    }
}

impl Read for StoreReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let to_soft_end = self.soft_end.saturating_sub(self.at);
        let wanted = match usize::try_from(to_soft_end) {
            Ok(n) if n > 0 => n.min(buf.len()),
            _ => buf.len(),
        };
        let to_end = usize::try_from(self.store.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let wanted = wanted.min(to_end);
        let buf = buf.get_mut(..wanted).unwrap_or_default();
        let n = match (&self.file, &self.store.place) {
            (Some(file), _) | (None, Place::Open(file)) => file.read_at(buf, self.at)?,
            (None, Place::Memory(bytes)) => {
                let at = usize::try_from(self.at).unwrap_or(usize::MAX);
                bytes.get(at..).unwrap_or_default().read(buf)?
            }
            (None, Place::Path(_)) => 0,
        };
        self.at += n as u64;
        self.read.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
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
            assert_eq!(reader.counter().load(Ordering::Relaxed), 39_900);
        }
    }
}
