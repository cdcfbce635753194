use std::io::{Read as _, Seek as _, SeekFrom};

use proptest::prelude::*;

use super::{
    compress,
    read::Bytes,
    table::{SEEKABLE_MAGIC, Table},
};
use crate::capfile::Input;

/// A pcap file of the store's kind: packets of different lengths, that compress a little.
fn pcap(packets: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    for field in [0xa1b2_3c4d, 0x0004_0002, 0, 0, 262_144, 1] {
        bytes.extend_from_slice(&u32::to_le_bytes(field));
    }
    for n in 0..packets {
        let length = 60 + n * 7_919 % 1_400;
        for field in [1_795_543_200 + n / 1_000, n % 1_000, length, length] {
            bytes.extend_from_slice(&field.to_le_bytes());
        }
        let byte = |at: u32| ((n ^ at).wrapping_mul(2_654_435_761) >> 24) as u8;
        bytes.extend((0..length).map(|at| if at < 40 { 7 } else { byte(at) }));
    }
    bytes
}

fn compressed(raw: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let written = compress(raw, &mut bytes, 3).unwrap();
    assert_eq!(written, bytes.len() as u64);
    bytes
}

fn table(bytes: &[u8]) -> Table {
    Table::read(&Bytes::Memory(bytes.into())).unwrap()
}

/// The frames of an input, as offset and data, and its warnings as text.
fn frames(input: &Input) -> (Vec<(u64, Vec<u8>)>, Vec<String>) {
    let mut reader = input.open().unwrap();
    let mut frames = Vec::new();
    while let Some(frame) = reader.next_frame() {
        frames.push((frame.offset, frame.data.to_vec()));
    }
    let warnings = reader.warnings().iter().map(ToString::to_string);
    (frames, warnings.collect())
}

fn input(bytes: Vec<u8>) -> Input {
    Input::from_frames("x.pcap.zst", bytes).unwrap()
}

#[test]
fn frames_are_ordinary_zstd_and_end_between_packets() {
    let raw = pcap(2_000);
    let bytes = compressed(&raw);
    assert_eq!(zstd::decode_all(&bytes[..]).unwrap(), raw);
    let table = table(&bytes);
    assert_eq!(table.damage(), None);
    assert_eq!(table.length(), raw.len() as u64);
    assert!(table.frames.len() >= 5, "{}", table.frames.len());
    let places: Vec<u64> = frames(&Input::from_bytes("raw", raw))
        .0
        .iter()
        .map(|it| it.0)
        .collect();
    for frame in &table.frames {
        assert!(frame.bytes <= 256 << 10);
        assert!(frame.start == 0 || places.binary_search(&frame.start).is_ok());
    }
}

#[test]
fn what_is_no_capture_comes_back_as_it_was() {
    let noise: Vec<u8> = (0..700_001_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let huge = [
        &pcap(3)[..],
        &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 4, 0],
        &noise,
    ]
    .concat();
    let cut = pcap(900);
    for raw in [
        &[][..],
        &[1],
        &noise,
        &huge,
        &cut[..cut.len() - 5],
        &cut[..20],
    ] {
        let bytes = compressed(raw);
        assert_eq!(zstd::decode_all(&bytes[..]).unwrap(), raw);
        assert_eq!(table(&bytes).damage(), None);
        let mut back = Vec::new();
        input(bytes)
            .bytes()
            .unwrap()
            .read_to_end(&mut back)
            .unwrap();
        assert!(back == raw);
    }
}

#[test]
fn packets_are_read_by_their_offsets_in_any_order() {
    let raw = pcap(2_000);
    let stored = input(compressed(&raw));
    let (all, warnings) = frames(&stored);
    assert_eq!(warnings, Vec::<String>::new());
    assert!(all == frames(&Input::from_bytes("raw", raw.clone())).0);
    assert_eq!(stored.length(), raw.len() as u64);
    let mut records = stored.open_records().unwrap();
    for n in (0..all.len()).rev().chain((0..all.len()).step_by(97)) {
        let (offset, data) = &all[n];
        assert!(records.read(*offset, data.len() as u32).unwrap() == data);
    }
    assert_eq!(records.warnings(), []);
    assert_eq!(records.read(raw.len() as u64, 60), None);
    let [warning] = records.warnings() else {
        panic!("no warning");
    };
    let expected = format!(
        "x.pcap.zst: at byte {}: the file is cut short: it ends 0 bytes into a packet",
        raw.len()
    );
    assert_eq!(warning.to_string(), expected);
    let mut bytes = stored.bytes().unwrap();
    bytes.seek(SeekFrom::Start(raw.len() as u64 - 3)).unwrap();
    let mut last = Vec::new();
    bytes.read_to_end(&mut last).unwrap();
    assert_eq!(last, raw[raw.len() - 3..]);
}

#[test]
fn parts_together_are_the_whole() {
    let raw = pcap(20_000);
    let stored = input(compressed(&raw));
    let parts = stored.split(4).unwrap();
    assert!(parts.len() > 2, "{}", parts.len());
    let mut all = Vec::new();
    for part in &parts {
        let mut reader = part.open().unwrap();
        while let Some(frame) = reader.next_frame() {
            all.push((frame.offset, frame.data.to_vec()));
        }
        assert!(!reader.boundary_missed());
    }
    assert!(all == frames(&stored).0);
}

#[test]
fn every_cut_of_the_last_4_kib_gives_the_packets_before_it_and_says_so() {
    let raw = pcap(1_000);
    let bytes = compressed(&raw);
    let (all, _) = frames(&input(bytes.clone()));
    let frames_end = table(&bytes)
        .frames
        .last()
        .map(|it| it.at + u64::from(it.length));
    for cut in 1..=4_096.min(bytes.len()) {
        let rest = bytes.len() - cut;
        let (found, warnings) = frames(&input(bytes[..rest].to_vec()));
        let same = found.iter().zip(&all).take_while(|(a, b)| a == b).count();
        assert_eq!(same, found.len(), "{cut} of {}: {warnings:?}", all.len());
        assert_eq!(warnings.len(), 1, "{cut}");
        assert!(
            warnings[0].starts_with("x.pcap.zst: at byte "),
            "{}",
            warnings[0]
        );
        match frames_end.unwrap() <= rest as u64 {
            true => assert_eq!(found.len(), all.len(), "{cut}: {warnings:?}"),
            // At most the last frame goes.
            false => assert!(
                found.len() < all.len() && found.len() > all.len() / 2,
                "{cut}"
            ),
        }
    }
}

#[test]
fn a_damaged_frame_costs_its_own_packets_only() {
    let raw = pcap(2_000);
    let mut bytes = compressed(&raw);
    let table = table(&bytes);
    let hurt = table.frames[2];
    bytes[hurt.at as usize + hurt.length as usize / 2] ^= 0x40;
    let all = frames(&Input::from_bytes("raw", raw)).0;
    let (found, warnings) = frames(&input(bytes.clone()));
    let kept = |it: &&(u64, Vec<u8>)| !(hurt.start..hurt.end()).contains(&it.0);
    assert!(found.iter().eq(all.iter().filter(kept)));
    assert_eq!(warnings.len(), 1);
    let place = format!(
        "at byte {}: cannot read on: the zstd frame at byte {} of",
        hurt.start, hurt.at
    );
    assert!(warnings[0].contains(&place), "{}", warnings[0]);
    // One by one: the same packets and the same warning, once.
    let mut records = input(bytes).open_records().unwrap();
    for (offset, data) in &all {
        let kept = !(hurt.start..hurt.end()).contains(offset);
        let read = records.read(*offset, data.len() as u32);
        assert_eq!(read, kept.then_some(&data[..]), "{offset}");
    }
    let one_by_one: Vec<String> = records.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(one_by_one, warnings);
}

#[test]
fn sizes_are_compared_with_limits_before_they_are_believed() {
    let raw = pcap(1_000);
    let good = compressed(&raw);
    let last = good.len() - 9;
    // Each turns one number of the table into another one; the frames are found without it.
    for (at, value, reason) in [
        (last, u32::MAX, "claims 4294967295 frames, more than"),
        (last, 1 << 19, "more than the file has room for"),
        (last, 1, "no seek table starts"),
        (last - 4, 5 << 20, "uncompressed"),
        (last - 8, u32::MAX, "claims 4294967295 bytes for frame"),
        (last - 8, 77, "does not follow its last frame"),
        (last + 5, !SEEKABLE_MAGIC, "no seek table ends"),
    ] {
        let mut bytes = good.clone();
        bytes[at..at + 4].copy_from_slice(&u32::to_le_bytes(value));
        let table = table(&bytes);
        assert!(
            table.damage().unwrap().contains(reason),
            "{:?}",
            table.damage()
        );
        assert_eq!(table.length(), raw.len() as u64);
    }
    let mut reserved = good.clone();
    reserved[last + 4] = 4;
    assert!(table(&reserved).damage().unwrap().contains("reserved bits"));
    // A frame of 64 MiB is not read, whatever the table says.
    let bomb = zstd::bulk::compress(&vec![0; 64 << 20], 1).unwrap();
    let refused = table(&bomb);
    assert_eq!(refused.length(), 0);
    assert!(
        refused
            .damage()
            .unwrap()
            .contains("larger one than is read")
    );
    let mut liar = Table::default();
    liar.push(bomb.len() as u32, 1 << 20);
    let bytes = [bomb, liar.to_bytes().unwrap()].concat();
    assert_eq!(table(&bytes).damage(), None);
    let mut back = Vec::new();
    assert!(
        input(bytes)
            .bytes()
            .unwrap()
            .read_to_end(&mut back)
            .is_err()
    );
}

#[test]
fn a_table_with_check_sums_of_others_is_read() {
    let raw = pcap(1_000);
    let bytes = compressed(&raw);
    let ours = table(&bytes);
    let end = ours
        .frames
        .last()
        .map_or(0, |it| it.at + u64::from(it.length)) as usize;
    let mut entries = Vec::new();
    for frame in &ours.frames {
        for field in [frame.length, frame.bytes, 0x1234_5678] {
            entries.extend_from_slice(&field.to_le_bytes());
        }
    }
    let mut other = bytes[..end].to_vec();
    other.extend_from_slice(&0x184d_2a5e_u32.to_le_bytes());
    other.extend_from_slice(&(entries.len() as u32 + 9).to_le_bytes());
    other.extend_from_slice(&entries);
    other.extend_from_slice(&(ours.frames.len() as u32).to_le_bytes());
    other.push(0x80);
    other.extend_from_slice(&SEEKABLE_MAGIC.to_le_bytes());
    let read = table(&other);
    assert_eq!((read.damage(), &read.frames), (None, &ours.frames));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Any bytes, and any change of a good file: reading ends, takes no more memory than the
    /// limits say, and what it gives without a warning is what was written.
    #[test]
    fn any_change_is_read_to_its_end(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        at_end in any::<bool>(),
        noise in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let raw = pcap(500);
        let mut bytes = compressed(&raw);
        let all = frames(&input(bytes.clone())).0;
        for (at, byte) in changes {
            let room = if at_end { bytes.len().min(64) } else { bytes.len() };
            let at = bytes.len() - 1 - at.index(room);
            bytes[at] = byte;
        }
        let (found, warnings) = frames(&input(bytes.clone()));
        // A table that lies about a size moves what follows that frame.
        let known = |it: &(u64, Vec<u8>)| all.iter().any(|other| it.1 == other.1);
        prop_assert!(found.iter().all(known));
        prop_assert!(found == all || !warnings.is_empty());
        bytes.truncate(bytes.len() / 2);
        bytes.extend_from_slice(&noise);
        let _ = frames(&input(bytes));
        if let Ok(mut reader) = input(noise).open() {
            while reader.next_frame().is_some() {}
        }
    }
}
