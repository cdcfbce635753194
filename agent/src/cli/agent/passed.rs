//! The configuration's text as the two processes share it: the worker may not open the file, and
//! is to know what the parent knows.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt as _;

use rustix::fs::{MemfdFlags, memfd_create};

/// The descriptor's name.
pub(super) const NAME: &str = "config";

/// Texts one after the other, in memory. What was written once does not change.
pub(super) struct Passed {
    file: File,
    length: u64,
}

impl Passed {
    /// The parent's, with the first text.
    pub(super) fn new(text: &str) -> io::Result<Self> {
        let file = File::from(memfd_create("flowsift-config", MemfdFlags::CLOEXEC)?);
        let mut passed = Self { file, length: 0 };
        passed.add(text)?;
        Ok(passed)
    }

    /// Adds a text; its place.
    pub(super) fn add(&mut self, text: &str) -> io::Result<(u64, u64)> {
        let (offset, bytes) = (self.length, text.len() as u64);
        self.file.write_all_at(text.as_bytes(), offset)?;
        self.length += bytes;
        Ok((offset, bytes))
    }

    /// The worker's, and the first text.
    pub(super) fn take(fd: OwnedFd) -> io::Result<(Self, String)> {
        let file = File::from(fd);
        let length = file.metadata()?.len();
        let passed = Self { file, length };
        let text = passed.read(0, length)?;
        Ok((passed, text))
    }

    /// The text at a place.
    pub(super) fn read(&self, offset: u64, bytes: u64) -> io::Result<String> {
        let end = self.file.metadata()?.len();
        if offset.checked_add(bytes).is_none_or(|last| last > end) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut text = vec![0; usize::try_from(bytes).map_err(io::Error::other)?];
        self.file.read_exact_at(&mut text, offset)?;
        String::from_utf8(text).map_err(io::Error::other)
    }
}

impl AsFd for Passed {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_is_where_it_was_put() {
        let mut passed = Passed::new("one").unwrap();
        let (other, first) = Passed::take(passed.as_fd().try_clone_to_owned().unwrap()).unwrap();
        assert_eq!(first, "one");
        assert_eq!(passed.add("three").unwrap(), (3, 5));
        assert_eq!(other.read(3, 5).unwrap(), "three");
        assert_eq!(other.read(0, 3).unwrap(), "one");
        assert!(other.read(3, 6).is_err());
        assert!(other.read(u64::MAX, 2).is_err());
    }
}
