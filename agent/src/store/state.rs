//! The file `writer.state` of a source: its lock, and how far its writer has come.
//!
//! 20 bytes: sequence number of the active file and its committed length in bytes (little-endian,
//! 8 bytes each), CRC-32 of the two. The committed length lets a reader know where the last
//! whole record of a file ends that is being written, without reading it.

use std::{
    fs::{File, OpenOptions, TryLockError},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use super::{Error, layout::STATE_FILE};

const LENGTH: usize = 20;
/// A reader that looks whether there is a writer holds the lock for a moment.
const TRIES: u32 = 20;
const BETWEEN_TRIES: Duration = Duration::from_millis(5);

/// How far a writer has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    /// Sequence number of the active file, or the last one.
    pub(super) sequence: u64,
    /// Bytes of it that are whole records.
    pub(super) length: u64,
}

impl State {
    fn to_bytes(self) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        let (body, check) = bytes.split_at_mut(16);
        let (sequence, length) = body.split_at_mut(8);
        sequence.copy_from_slice(&self.sequence.to_le_bytes());
        length.copy_from_slice(&self.length.to_le_bytes());
        check.copy_from_slice(&crc(body).to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8; LENGTH]) -> Option<Self> {
        let (body, check) = bytes.split_at_checked(16)?;
        let (sequence, length) = body.split_at_checked(8)?;
        if u32::from_le_bytes(check.try_into().ok()?) != crc(body) {
            return None;
        }
        Some(Self {
            sequence: u64::from_le_bytes(sequence.try_into().ok()?),
            length: u64::from_le_bytes(length.try_into().ok()?),
        })
    }
}

/// CRC-32 as gzip has it.
pub(super) fn crc(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// The lock of a source, held until it is dropped (or the process ends in any way).
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock, or says that another writer has it.
    pub(super) fn take(source_folder: &Path) -> Result<Self, Error> {
        let path = source_folder.join(STATE_FILE);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(Error::io("open", &path))?;
        for _ in 0..TRIES {
            match file.try_lock() {
                Ok(()) => return Ok(Self { file }),
                Err(TryLockError::WouldBlock) => thread::sleep(BETWEEN_TRIES),
                Err(TryLockError::Error(e)) => return Err(Error::io("lock", &path)(e)),
            }
        }
        Err(Error::Locked(source_folder.to_path_buf()))
    }

    /// What the last writer left.
    pub(super) fn read(&self) -> Option<State> {
        read(&self.file)
    }

    /// Publishes the state. A failure leaves an older, shorter length, which is also true.
    pub(super) fn write(&self, state: State) -> std::io::Result<()> {
        self.file.write_all_at(&state.to_bytes(), 0)
    }
}

fn read(file: &File) -> Option<State> {
    // A writer may be half through: then the check sum is wrong and the next look is right.
    (0..TRIES).find_map(|_| {
        let mut bytes = [0; LENGTH];
        file.read_exact_at(&mut bytes, 0).ok()?;
        State::from_bytes(&bytes)
    })
}

/// The state of the writer that has the source now; `None` if none has, or none can be seen.
pub(super) fn of_live_writer(source_folder: &Path) -> Option<State> {
    let last = of_last_writer(source_folder)?;
    last.is_live.then_some(last.state)
}

/// What the last writer of a source said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Last {
    /// How far it has come.
    pub(super) state: State,
    /// Whether it has the source now.
    pub(super) is_live: bool,
}

/// What the last writer of a source said; `None` if there was none, or none can be seen.
pub(super) fn of_last_writer(source_folder: &Path) -> Option<Last> {
    let path: PathBuf = source_folder.join(STATE_FILE);
    let file = File::open(path).ok()?;
    // Dropping the file gives the lock back.
    let is_live = file.try_lock_shared().is_err();
    let state = read(&file)?;
    Some(Last { state, is_live })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_has_one_writer() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(of_live_writer(folder.path()), None);
        let lock = Lock::take(folder.path()).unwrap();
        assert!(matches!(Lock::take(folder.path()), Err(Error::Locked(_))));
        let state = State {
            sequence: 7,
            length: 99,
        };
        lock.write(state).unwrap();
        assert_eq!(of_live_writer(folder.path()), Some(state));
        drop(lock);
        assert_eq!(of_live_writer(folder.path()), None);
        let lock = Lock::take(folder.path()).unwrap();
        assert_eq!(lock.read(), Some(state));
        lock.file.write_all_at(&[1], 8).unwrap();
        assert_eq!(lock.read(), None);
    }
}
