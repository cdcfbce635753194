//! Capture files, read and written without the program's own reader.

use std::fs;
use std::path::{Path, PathBuf};

/// A packet of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) time_ns: u64,
    pub(crate) wire_len: u32,
    pub(crate) data: Vec<u8>,
}

/// The packets of a file as this machine's tcpdump and the store write them: any damage fails.
pub(crate) fn read(path: &Path) -> Vec<Packet> {
    let bytes = fs::read(path).unwrap();
    parse(&bytes).unwrap_or_else(|at| panic!("{}: damaged at byte {at}", path.display()))
}

/// The packets; else the offset of the damage.
pub(crate) fn parse(bytes: &[u8]) -> Result<Vec<Packet>, usize> {
    let word = |at: usize| {
        let bytes = bytes.get(at..)?.first_chunk()?;
        Some(u32::from_le_bytes(*bytes))
    };
    let nanoseconds = match word(0) {
        Some(0xa1b2_3c4d) => 1,
        Some(0xa1b2_c3d4) => 1_000,
        _ => return Err(0),
    };
    let (mut at, mut packets) = (24, Vec::new());
    while at < bytes.len() {
        let field = |n: usize| word(at + 4 * n).ok_or(at);
        let (seconds, fraction) = (field(0)?, field(1)?);
        let (captured, wire_len) = (field(2)?, field(3)?);
        let end = at + 16 + captured as usize;
        packets.push(Packet {
            time_ns: u64::from(seconds) * 1_000_000_000 + u64::from(fraction) * nanoseconds,
            wire_len,
            data: bytes.get(at + 16..end).ok_or(at)?.to_vec(),
        });
        at = end;
    }
    Ok(packets)
}

/// Writes a file of Ethernet packets.
pub(crate) fn write(path: &Path, packets: &[Packet]) {
    let mut bytes = Vec::new();
    for word in [0xa1b2_3c4d, 0x0004_0002, 0, 0, 262_144, 1] {
        bytes.extend(u32::to_le_bytes(word));
    }
    for packet in packets {
        let seconds = (packet.time_ns / 1_000_000_000) as u32;
        let fraction = (packet.time_ns % 1_000_000_000) as u32;
        for word in [seconds, fraction, packet.data.len() as u32, packet.wire_len] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(&packet.data);
    }
    fs::write(path, bytes).unwrap();
}

/// The files of a folder whose names end so, by name.
pub(crate) fn files_by_name(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> = entries
        .filter(|path| path.extension().is_some_and(|e| e == extension))
        .collect();
    found.sort();
    found
}

/// All files below a folder whose names end so, by their numbers in the order of writing.
pub(crate) fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false if path.extension().is_some_and(|e| e == extension) => found.push(path),
                false => {}
            }
        }
    }
    found.sort_by_key(|path| {
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let number = stem.rsplit('-').next().unwrap().parse::<u64>();
        number.unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    });
    found
}

/// The packets of a source's capture files, in the order of writing.
pub(crate) fn stored(source: &Path) -> Vec<Packet> {
    let files = files(source, "pcap");
    files.iter().flat_map(|path| read(path)).collect()
}
