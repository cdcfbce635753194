//! A cpio archive of the `newc` format, which the kernel unpacks as its first file system
//! (Documentation/driver-api/early-userspace/buffer-format.rst).

use std::collections::BTreeSet;

/// `st_mode` of a folder, and of a file that can be run.
const FOLDER: u32 = 0o040_755;
const FILE: u32 = 0o100_755;

/// An archive being written.
#[derive(Default)]
pub(super) struct Archive {
    bytes: Vec<u8>,
    folders: BTreeSet<String>,
    entries: u32,
}

impl Archive {
    /// Adds a file by its path without the leading slash, and the folders above it.
    pub(super) fn file(&mut self, path: &str, content: &[u8]) {
        if let Some((folder, _)) = path.rsplit_once('/') {
            self.folder(folder);
        }
        self.entry(path, FILE, content);
    }

    /// Adds a folder, and those above it.
    pub(super) fn folder(&mut self, path: &str) {
        if !self.folders.insert(path.to_owned()) {
            return;
        }
        if let Some((above, _)) = path.rsplit_once('/') {
            self.folder(above);
        }
        self.entry(path, FOLDER, &[]);
    }

    /// The whole archive.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[]);
        self.bytes
    }

    fn entry(&mut self, path: &str, mode: u32, content: &[u8]) {
        self.entries += 1;
        // Inode, mode, owner, group, links, time, size, device and its like twice, name, check.
        let name_bytes = path.len() as u32 + 1;
        let numbers = [
            self.entries,
            mode,
            0,
            0,
            1,
            0,
            content.len() as u32,
            0,
            0,
            0,
            0,
            name_bytes,
            0,
        ];
        self.bytes.extend(b"070701");
        for number in numbers {
            self.bytes.extend(format!("{number:08x}").bytes());
        }
        self.bytes.extend(path.bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_come_once_and_before_their_files() {
        let mut archive = Archive::default();
        archive.file("a/b/c", b"12345");
        archive.file("a/b/d", b"");
        let bytes = archive.finish();
        let text = String::from_utf8(bytes.clone()).unwrap();
        let names = ["a\0", "a/b\0", "a/b/c\0", "a/b/d\0", "TRAILER!!!\0"];
        let places: Vec<_> = names
            .iter()
            .map(|name| {
                text.find(&format!("{:08x}00000000{name}", name.len()))
                    .unwrap()
            })
            .collect();
        assert!(places.is_sorted() && bytes.len().is_multiple_of(4));
        assert_eq!(text.matches("070701").count(), names.len());
        let content = text.find("12345").unwrap();
        assert!(content.is_multiple_of(4) && text[..content].contains("00000005"));
    }
}
