//! How full the rings of a running capture are, for those who read its store meanwhile.
//!
//! Files `capture-N.fill` in the store's folder, one per capture that writes to it, locked by that
//! capture for as long as it runs. 16 bytes: a counter that grows with each writing (8 bytes), the
//! fullest ring's share in thousandths (4 bytes), CRC-32 of the two; little-endian. They are not
//! removed: the next capture takes one that nobody holds.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::Error;
use super::state::crc;

const LENGTH: usize = 16;
/// Captures that may write to one store at a time.
const MOST: u32 = 64;
const SCALE: f64 = 1_000.0;

/// A writer that has not written for so long says nothing any more.
pub const STALE_AFTER: Duration = Duration::from_millis(500);
/// How often it is looked whether another capture began.
const LIST_EVERY: Duration = Duration::from_secs(1);

/// Whether a file of the store's folder is one of these.
pub(super) fn is_fill_name(name: &str) -> bool {
    let number = name.strip_prefix("capture-");
    let number = number.and_then(|name| name.strip_suffix(".fill"));
    number.is_some_and(|number| number.parse::<u32>().is_ok_and(|number| number < MOST))
}

/// Says how full the rings are.
#[derive(Debug)]
pub struct Publisher {
    file: File,
    count: u64,
}

impl Publisher {
    /// Takes a file of its own in the store's folder.
    ///
    /// # Errors
    /// If none can be made.
    pub fn create(store: &Path) -> Result<Self, Error> {
        let mut failed = None;
        for number in 0..MOST {
            let path = store.join(format!("capture-{number}.fill"));
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false);
            match options.open(&path) {
                Ok(file) if file.try_lock().is_ok() => {
                    let mut publisher = Self { file, count: 0 };
                    publisher.publish(0.0).map_err(Error::io("write", &path))?;
                    return Ok(publisher);
                }
                Ok(_) => {}
                // Of another user, perhaps.
                Err(error) => failed = Some(Error::io("open", &path)(error)),
            }
        }
        Err(failed.unwrap_or_else(|| Error::Locked(store.to_owned())))
    }

    /// Publishes the fullest ring's share, 0 to 1.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn publish(&mut self, share: f64) -> std::io::Result<()> {
        self.count = self.count.wrapping_add(1);
        let share = (share.clamp(0.0, 1.0) * SCALE).round() as u32;
        let mut bytes = [0; LENGTH];
        let (body, check) = bytes.split_at_mut(12);
        let (count, fill) = body.split_at_mut(8);
        count.copy_from_slice(&self.count.to_le_bytes());
        fill.copy_from_slice(&share.to_le_bytes());
        check.copy_from_slice(&crc(body).to_le_bytes());
        self.file.write_all_at(&bytes, 0)
    }
}

/// Looks at the captures that write to a store.
#[derive(Debug)]
pub struct Watch {
    store: PathBuf,
    listed: Option<Instant>,
    captures: Vec<Seen>,
}

/// A capture, as it was seen.
#[derive(Debug)]
struct Seen {
    path: PathBuf,
    file: File,
    count: u64,
    /// When the counter was first seen at this.
    since: Instant,
}

impl Watch {
    /// Watches a store; one that cannot be read has no capture.
    pub fn new(store: &Path) -> Self {
        Self {
            store: store.to_owned(),
            listed: None,
            captures: Vec::new(),
        }
    }

    /// Whether a capture writes to it now.
    pub fn is_live(&mut self) -> bool {
        self.fullest().is_some()
    }

    /// The share of the fullest ring of all captures, 0 to 1; `None` where none runs, or none
    /// has said anything for [`STALE_AFTER`].
    pub fn fullest(&mut self) -> Option<f64> {
        if self.listed.is_none_or(|at| at.elapsed() >= LIST_EVERY) {
            self.listed = Some(Instant::now());
            self.list();
        }
        let mut fullest = None;
        self.captures.retain_mut(|capture| {
            // Dropping a lock that could be had gives it back; the file is looked at again when
            // the folder is.
            if capture.file.try_lock_shared().is_ok() {
                return false;
            }
            if let Some(share) = capture.share() {
                fullest = Some(fullest.unwrap_or(0.0_f64).max(share));
            }
            true
        });
        fullest
    }

    fn list(&mut self) {
        let entries = fs::read_dir(&self.store).into_iter().flatten().flatten();
        for entry in entries {
            let path = entry.path();
            let named = entry.file_name().to_str().is_some_and(is_fill_name);
            if !named || self.captures.iter().any(|seen| seen.path == path) {
                continue;
            }
            if let Ok(file) = File::open(&path) {
                self.captures.push(Seen {
                    path,
                    file,
                    count: 0,
                    since: Instant::now(),
                });
            }
        }
    }
}

impl Seen {
    /// What the capture last said, unless that was long ago. A reading in the middle of a writing
    /// is none: the next one is right.
    fn share(&mut self) -> Option<f64> {
        let mut bytes = [0; LENGTH];
        self.file.read_exact_at(&mut bytes, 0).ok()?;
        let (body, check) = bytes.split_at_checked(12)?;
        let (count, share) = body.split_at_checked(8)?;
        if u32::from_le_bytes(check.try_into().ok()?) != crc(body) {
            return None;
        }
        let count = u64::from_le_bytes(count.try_into().ok()?);
        if count != self.count {
            (self.count, self.since) = (count, Instant::now());
        }
        let share = f64::from(u32::from_le_bytes(share.try_into().ok()?)) / SCALE;
        (self.since.elapsed() < STALE_AFTER).then_some(share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_is_seen_until_its_capture_ends() {
        let folder = tempfile::tempdir().unwrap();
        let mut watch = Watch::new(folder.path());
        assert_eq!(watch.fullest(), None);
        let mut first = Publisher::create(folder.path()).unwrap();
        let mut second = Publisher::create(folder.path()).unwrap();
        let mut watch = Watch::new(folder.path());
        assert_eq!(watch.fullest(), Some(0.0));
        first.publish(0.25).unwrap();
        second.publish(0.9).unwrap();
        assert_eq!(watch.fullest(), Some(0.9));
        drop(second);
        assert_eq!(watch.fullest(), Some(0.25));
        assert!(watch.is_live());
        // Its file is there, and is taken again.
        let again = Publisher::create(folder.path()).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
        drop((first, again));
        assert_eq!(watch.fullest(), None);
        assert_eq!(Watch::new(folder.path()).fullest(), None);
        let names = fs::read_dir(folder.path()).unwrap();
        assert!(
            names
                .flatten()
                .all(|entry| is_fill_name(entry.file_name().to_str().unwrap()))
        );
    }

    #[test]
    fn a_capture_that_says_nothing_any_more_counts_no_longer() {
        let folder = tempfile::tempdir().unwrap();
        let mut publisher = Publisher::create(folder.path()).unwrap();
        publisher.publish(0.9).unwrap();
        let mut watch = Watch::new(folder.path());
        assert_eq!(watch.fullest(), Some(0.9));
        std::thread::sleep(STALE_AFTER + Duration::from_millis(50));
        assert_eq!(watch.fullest(), None);
        publisher.publish(0.8).unwrap();
        assert_eq!(watch.fullest(), Some(0.8));
        // A damaged one says nothing.
        publisher.file.write_all_at(&[7], 8).unwrap();
        assert_eq!(watch.fullest(), None);
    }
}
