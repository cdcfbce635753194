//! What the tests of the store share: a source's folder, packets, and reading them back.

use std::path::{Path, PathBuf};

use super::{
    RecordBlock,
    layout::{ClosedName, Kind},
};
use crate::capfile::Input;

/// 2026-11-24 18:00 UTC, in nanoseconds since 1970.
pub(super) const NOW: i64 = 1_795_543_200_000_000_000;

/// A temporary folder of a source, `STORE/pcap/lan0`.
pub(super) struct Folder {
    root: tempfile::TempDir,
    source: PathBuf,
}

impl Folder {
    pub(super) fn new() -> Self {
        Self::below(tempfile::tempdir().unwrap())
    }

    /// On a file system in memory where there is one, for tests that wait much for the disk.
    pub(super) fn in_memory() -> Self {
        match tempfile::tempdir_in("/dev/shm") {
            Ok(root) => Self::below(root),
            Err(_) => Self::new(),
        }
    }

    fn below(root: tempfile::TempDir) -> Self {
        let source = root.path().join("pcap/lan0");
        std::fs::create_dir_all(&source).unwrap();
        Self { root, source }
    }

    pub(super) fn store(&self) -> &Path {
        self.root.path()
    }

    pub(super) fn path(&self) -> &Path {
        &self.source
    }

    /// Path of a closed capture file.
    pub(super) fn closed(&self, sequence: u64, time_ns: i64) -> PathBuf {
        ClosedName { time_ns, sequence }.path(&self.source, Kind::Capture)
    }
}

/// Packets from `first_ns` on, a microsecond apart, of different lengths.
pub(super) fn block(first_ns: i64, count: usize) -> RecordBlock {
    let mut block = RecordBlock::default();
    for n in 0..count {
        let data: Vec<u8> = (0..60 + n % 90).map(|i| (i * 7 + n) as u8).collect();
        block.push(first_ns + n as i64 * 1_000, 1_500, &data);
    }
    block
}

/// Times and data of the packets of a file; it may be damaged.
pub(super) fn packets_of(path: &Path) -> Vec<(i64, Vec<u8>)> {
    let file = std::fs::File::open(path).unwrap();
    let length = file.metadata().unwrap().len();
    let input = Input::from_file(&path.to_string_lossy(), file, length);
    let mut reader = input.open().unwrap();
    let mut packets = Vec::new();
    while let Some(frame) = reader.next_frame() {
        packets.push((frame.time_ns.unwrap(), frame.data.to_vec()));
    }
    packets
}

/// Captures to test with: those shipped, and the full set where it is (FLOWSIFT_CAPTURES, else
/// beside the repository).
pub(super) fn captures() -> Vec<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let beside = here.join("../../shared/captures");
    let all = std::env::var_os("FLOWSIFT_CAPTURES").map_or(beside, PathBuf::from);
    let mut folders = vec![here.join("../tests/captures")];
    match all.is_dir() {
        true => folders.push(all),
        false => eprintln!("SKIPPED: no captures at {}", all.display()),
    }
    let mut found = Vec::new();
    for folder in folders {
        let spec = folder.to_str().unwrap().to_owned();
        let inputs = crate::capfile::discover(&[spec]).unwrap();
        found.extend(inputs.iter().map(|input| PathBuf::from(input.name())));
    }
    found
}
