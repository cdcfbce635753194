//! Who may move a capture file from one form to the other, and who lists meanwhile: a lock on the
//! folder that both names are in.

use std::{
    fs::{File, TryLockError},
    path::Path,
    thread,
    time::Duration,
};

use super::Error;

/// Others hold the lock for moments; one who holds it longer was stopped.
const TRIES: u32 = 200;
const BETWEEN_TRIES: Duration = Duration::from_millis(5);

/// Held until it is dropped.
#[derive(Debug)]
pub(super) struct Held(#[expect(dead_code, reason = "holds the lock")] File);

/// For who lists the folder. Without it a list could lack a file that is just changing its form,
/// which is better than no list: `None` after a second, and where there are no locks.
pub(super) fn shared(folder: &Path) -> Option<Held> {
    let file = File::open(folder).ok()?;
    for _ in 0..TRIES {
        match file.try_lock_shared() {
            Ok(()) => return Some(Held(file)),
            Err(TryLockError::WouldBlock) => thread::sleep(BETWEEN_TRIES),
            Err(TryLockError::Error(_)) => return None,
        }
    }
    None
}

/// For who changes the form of a file.
pub(super) fn exclusive(folder: &Path) -> Result<Held, Error> {
    let file = File::open(folder).map_err(Error::io("open", folder))?;
    let mut tries = 0;
    loop {
        tries += 1;
        match file.try_lock() {
            Ok(()) => return Ok(Held(file)),
            Err(TryLockError::WouldBlock) if tries < TRIES => thread::sleep(BETWEEN_TRIES),
            Err(e) => return Err(Error::io("lock", folder)(e.into())),
        }
    }
}
