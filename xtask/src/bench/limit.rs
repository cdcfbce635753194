//! `bench limit`: the reference query as a bare loop, which no general program can beat by much.
//!
//! One thread walks the mapped file and does only what the query needs: Ethernet,
//! VLAN tags, IPv4, the TCP destination port, a hash set of tuples, a count per source.

use std::fs::File;
use std::path::Path;

use memmap2::Mmap;

use super::answer::{self, Row};
use crate::Result;

/// The answer of the reference query over the little-endian Ethernet pcap `file`.
pub(crate) fn answer(file: &Path) -> Result<Vec<Row>> {
    let describe = |e| format!("cannot map {}: {e}", file.display());
    let opened = File::open(file).map_err(describe)?;
    // SAFETY: the map is only read. Another process that cuts the file meanwhile would kill
    // this one by SIGBUS, which a benchmark may risk.
    let map = unsafe { Mmap::map(&opened) }.map_err(describe)?;
    let records = records_of(&map).ok_or("not a little-endian Ethernet pcap file")?;
    Ok(answer::top(count_tuples(records).sources()))
}

/// What follows the file header, if it is one that this loop reads.
fn records_of(file: &[u8]) -> Option<&[u8]> {
    let (header, records) = file.split_at_checked(24)?;
    let little_endian = matches!(u32_le(header, 0)?, 0xa1b2_c3d4 | 0xa1b2_3c4d);
    (little_endian && u32_le(header, 20)? == 1).then_some(records)
}

fn count_tuples(mut records: &[u8]) -> TupleSet {
    let mut set = TupleSet::new();
    while let Some((header, rest)) = records.split_at_checked(16) {
        let Some(captured) = u32_le(header, 8) else {
            break;
        };
        let Some((frame, rest)) = rest.split_at_checked(captured as usize) else {
            break;
        };
        if let Some(tuple) = tuple_of(frame) {
            set.insert(tuple);
        }
        records = rest;
    }
    set
}

/// The tuple of a frame that passes the filter of the query.
fn tuple_of(frame: &[u8]) -> Option<Tuple> {
    let mut at = 12;
    let mut ethertype = u16_be(frame, at)?;
    while matches!(ethertype, 0x8100 | 0x88a8) {
        at += 4;
        ethertype = u16_be(frame, at)?;
    }
    let ip = frame.get(at + 2..)?;
    let (&first, &protocol) = (ip.first()?, ip.get(9)?);
    if ethertype != 0x0800 || first >> 4 != 4 || protocol != 6 {
        return None;
    }
    let destination = u32_be(ip, 16)?;
    let first_fragment = u16_be(ip, 6)? & 0x1fff == 0;
    if destination >> 24 == 10 || !first_fragment {
        return None;
    }
    let port = u16_be(ip, usize::from(first & 0x0f) * 4 + 2)?;
    Some(Tuple {
        source: u32_be(ip, 12)?,
        destination,
        port,
        used: true,
    })
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Tuple {
    source: u32,
    destination: u32,
    port: u16,
    /// False marks a free slot.
    used: bool,
}

impl Tuple {
    fn hash(self) -> u64 {
        let addresses = u64::from(self.source) << 32 | u64::from(self.destination);
        let mixed = (addresses ^ u64::from(self.port) << 17).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed ^ (mixed >> 32)
    }
}

/// A set by open addressing with linear probing, at most half full.
struct TupleSet {
    slots: Vec<Tuple>,
    len: usize,
}

impl TupleSet {
    fn new() -> Self {
        Self {
            slots: vec![Tuple::default(); 1 << 16],
            len: 0,
        }
    }

    fn insert(&mut self, tuple: Tuple) {
        if self.len * 2 >= self.slots.len() {
            self.grow();
        }
        self.len += usize::from(place(&mut self.slots, tuple));
    }

    fn grow(&mut self) {
        let mut slots = vec![Tuple::default(); self.slots.len() * 2];
        for tuple in self.slots.iter().filter(|tuple| tuple.used) {
            place(&mut slots, *tuple);
        }
        self.slots = slots;
    }

    /// Each source and how many tuples it has.
    fn sources(&self) -> Vec<Row> {
        let mut sources: Vec<u32> = self
            .slots
            .iter()
            .filter(|tuple| tuple.used)
            .map(|tuple| tuple.source)
            .collect();
        sources.sort_unstable();
        sources
            .chunk_by(|a, b| a == b)
            .filter_map(|same| Some(((*same.first()?).into(), same.len() as u64)))
            .collect()
    }
}

/// Whether the tuple was new. The caller keeps free slots, so that the probe ends.
fn place(slots: &mut [Tuple], tuple: Tuple) -> bool {
    let mask = slots.len() - 1;
    let mut at = tuple.hash() as usize & mask;
    loop {
        let slot = &mut slots[at];
        if !slot.used {
            *slot = tuple;
            return true;
        }
        if *slot == tuple {
            return false;
        }
        at = (at + 1) & mask;
    }
}

fn u16_be(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_be(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_le(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::super::answer::{difference, parse_tsv};
    use super::super::generate;
    use super::*;

    #[test]
    fn the_loop_finds_the_true_answer() {
        let folder = std::env::temp_dir().join(format!("flowsift-xtask-{}", std::process::id()));
        let file = folder.join("small.pcap");
        generate::write_capture(&file, 200_000).unwrap();
        let truth = std::fs::read_to_string(generate::answer_path(&file)).unwrap();
        let got = answer(&file).unwrap();
        std::fs::remove_dir_all(folder).unwrap();
        assert_eq!(got.len(), 20);
        assert_eq!(difference(&parse_tsv(&truth).unwrap(), &got), None);
    }

    #[test]
    fn other_files_are_refused() {
        assert!(records_of(b"short").is_none());
        assert!(records_of(&[0; 24]).is_none());
    }
}
