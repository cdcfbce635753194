//! A hash that tells whether the kernel object's sources have changed.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;

/// FNV-1a with 128 bits (<http://www.isthe.com/chongo/tech/comp/fnv/>): against
/// forgetting to rebuild, not against forgery.
struct Fnv(u128);

impl Fnv {
    fn new() -> Self {
        Self(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d)
    }

    fn update(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u128::from(*byte))
                .wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
        }
    }
}

pub(super) fn of_bytes(bytes: &[u8]) -> u128 {
    let mut hash = Fnv::new();
    hash.update(bytes);
    hash.0
}

/// The hash of all that the object is made from: both packages and the lock file, names included.
pub(super) fn of_sources(root: &Path) -> Result<u128> {
    let mut files: Vec<PathBuf> = [
        "agent-ebpf/Cargo.toml",
        "agent-ebpf/Cargo.lock",
        "agent-common/Cargo.toml",
    ]
    .map(PathBuf::from)
    .into();
    for folder in ["agent-ebpf/src", "agent-common/src"] {
        files.extend(rust_files(root, Path::new(folder))?);
    }
    files.sort();
    let mut hash = Fnv::new();
    for file in files {
        let bytes = fs::read(root.join(&file)).map_err(|e| format!("{}: {e}", file.display()))?;
        hash.update(file.as_os_str().as_encoded_bytes());
        hash.update(&(bytes.len() as u64).to_le_bytes());
        hash.update(&bytes);
    }
    Ok(hash.0)
}

/// The sources in a folder and below, named from the repository's root.
fn rust_files(root: &Path, folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(root.join(folder))? {
        let entry = entry?;
        let path = folder.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            files.extend(rust_files(root, &path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_published_one() {
        // draft-eastlake-fnv, test vectors for 128 bits: "", "a" and "foobar".
        assert_eq!(of_bytes(b""), 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d);
        assert_eq!(of_bytes(b"a"), 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964);
        assert_eq!(
            of_bytes(b"foobar"),
            0x343e_1662_793c_64bf_6f0d_3597_ba44_6f18
        );
    }
}
