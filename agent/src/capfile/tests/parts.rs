//! The parts of a capture give the frames of the whole, whatever the capture carries.

use super::{
    build::{epb, file_header, idb, record, shb},
    captures, frames_of,
};
use crate::capfile::{FrameReader, Input, Problem, discover};

/// Frames of all parts one after another, the number of parts, and whether a boundary was missed.
fn frames_of_parts(input: &Input, parts: usize) -> (Vec<super::Owned>, usize, bool) {
    let parts = input.split(parts).unwrap();
    let readers: Vec<FrameReader> = parts.iter().map(|p| p.open().unwrap()).collect();
    let (mut frames, mut missed) = (Vec::new(), false);
    for mut reader in readers {
        frames.extend(frames_of(&mut reader));
        missed |= reader.boundary_missed();
    }
    (frames, parts.len(), missed)
}

fn assert_parts_are_the_whole(input: &Input, most: usize) {
    let mut whole = input.open().unwrap();
    let frames = frames_of(&mut whole);
    assert!(!whole.boundary_missed());
    for parts in [2, 3, most] {
        let (found, number, missed) = frames_of_parts(input, parts);
        assert_eq!(number, parts, "{}: not split as asked", input.name());
        assert!(!missed);
        assert!(found == frames, "{} in {parts} parts", input.name());
    }
}

/// Packets whose bytes are believable records of the same kind, at every alignment; now and then
/// one of zeros, of noise, and a very long one.
fn nested(size: usize, start: Vec<u8>, record: impl Fn(usize, &[u8]) -> Vec<u8>) -> Vec<u8> {
    let mut file = start;
    let inner: Vec<u8> = (0..700).flat_map(|n| record(n, &[n as u8; 60])).collect();
    let noise: Vec<u8> = (0..9_000_u32)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    let mut n = 0;
    while file.len() < size {
        let data = match n % 7 {
            0 | 3 => &inner[n % 61..],
            1 => &[0; 1_400][..],
            2 => &noise[n % 999..],
            4 => &inner[76 * (n % 13)..76 * (n % 13 + 17)],
            _ => &noise[..n % 90 + 1],
        };
        file.extend(record(n, data));
        n += 1;
    }
    file
}

fn nested_pcap(size: usize) -> Vec<u8> {
    nested(size, file_header(), |n, data| {
        record(1_600_000_000 + n as u32, data)
    })
}

fn nested_pcapng(size: usize) -> Vec<u8> {
    nested(size, [shb(), idb()].concat(), |n, data| {
        epb(1_600_000_000 + n as u64, data)
    })
}

#[test]
fn a_pcap_inside_packets_deceives_no_part() {
    assert_parts_are_the_whole(&Input::from_bytes("nested", nested_pcap(13 << 20)), 6);
}

#[test]
fn a_pcapng_inside_packets_deceives_no_part() {
    assert_parts_are_the_whole(&Input::from_bytes("nested", nested_pcapng(13 << 20)), 6);
}

#[test]
fn parts_of_real_captures() {
    let Some(folder) = captures::folder() else {
        return;
    };
    for (name, parts) in [
        ("zeek-echo-connections", 3),
        ("goprobe-default", 2),
        ("example", 2),
    ] {
        let path = folder.join(format!("bulk/{name}.pcap"));
        let input = discover(&[path.to_str().unwrap().to_owned()])
            .unwrap()
            .remove(0);
        let most = (input.size_bytes() >> 21) as usize;
        if most >= parts {
            let frames = frames_of(&mut input.open().unwrap());
            let (found, number, missed) = frames_of_parts(&input, parts);
            assert!(number == parts && !missed && found == frames, "{name}");
        }
    }
}

#[test]
fn small_and_compressed_inputs_stay_whole() {
    let large = nested_pcap(6 << 20);
    let inputs = [
        nested_pcap(3 << 20),
        zstd::encode_all(large.as_slice(), 1).unwrap(),
        b"not a capture".to_vec(),
    ];
    for bytes in inputs {
        let parts = Input::from_bytes("test", bytes).split(8).unwrap();
        assert_eq!(parts.len(), 1);
    }
}

/// Damage that a part's reader meets is its own; only where the place of a split is damaged, or
/// what the next part relies on changes, must the file be read again.
#[test]
fn damage_in_parts_is_told_or_the_boundary_is_missed() {
    let clean = nested_pcap(9 << 20);
    let input = Input::from_bytes("clean", clean.clone());
    let boundary = input.split(2).unwrap()[1].range().start as usize;
    // The captured length of a record in the first part.
    let early = frames_of(&mut input.open().unwrap())[300].3 as usize + 8;
    for (at, expect_missed) in [(early, false), (boundary - 1, false), (boundary + 8, false)] {
        let mut bytes = clean.clone();
        bytes[at..at + 4].fill(0xff);
        let damaged = Input::from_bytes("damaged", bytes);
        let whole = frames_of(&mut damaged.open().unwrap());
        let (found, _, missed) = frames_of_parts(&damaged, 2);
        assert_eq!(missed, expect_missed, "at {at}");
        assert!(found == whole, "at {at}");
    }
}

#[test]
fn a_section_in_the_middle_misses_the_boundary() {
    let first = nested_pcapng(5 << 20);
    let input = Input::from_bytes("two sections", [first.clone(), first].concat());
    let parts = input.split(4).unwrap();
    assert_eq!(parts.len(), 4);
    let missed: Vec<bool> = parts
        .iter()
        .map(|part| {
            let mut reader = part.open().unwrap();
            frames_of(&mut reader);
            let told = reader
                .warnings()
                .iter()
                .any(|w| w.problem == Problem::PartBoundary);
            assert_eq!(told, reader.boundary_missed());
            told
        })
        .collect();
    assert!(missed.contains(&true), "{missed:?}");
}
