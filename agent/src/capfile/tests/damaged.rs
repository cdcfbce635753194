//! Damaged files: each good packet before the damage is kept, and after it where one is found.

use proptest::prelude::*;

use super::{
    build::{epb, file_header, idb, record, shb},
    frames_of,
};
use crate::capfile::{Error, Input, Problem, Warning};

/// Seconds of the frames, and the warning.
fn read(bytes: &[u8]) -> (Vec<i64>, Option<Warning>) {
    let mut reader = Input::from_bytes("test", bytes.to_vec()).open().unwrap();
    let frames = frames_of(&mut reader);
    let seconds = frames.iter().map(|f| f.0.unwrap_or(0) / 1_000_000_000);
    (seconds.collect(), reader.warnings().first().cloned())
}

/// A packet of 60 bytes that look like no header.
fn packet(n: u32) -> Vec<u8> {
    vec![0x80 | n as u8; 60]
}

const FIRST: u32 = 1_600_000_000;

fn pcap(packets: u32) -> Vec<u8> {
    let records = (0..packets).flat_map(|n| record(FIRST + n, &packet(n)));
    file_header().into_iter().chain(records).collect()
}

fn pcapng(packets: u32) -> Vec<u8> {
    let blocks = (0..packets).flat_map(|n| epb(u64::from(FIRST + n), &packet(n)));
    [shb(), idb()].concat().into_iter().chain(blocks).collect()
}

/// The times of the packets but those left out.
fn without(packets: u32, lost: &[u32]) -> Vec<i64> {
    (0..packets)
        .filter(|n| !lost.contains(n))
        .map(|n| i64::from(FIRST + n))
        .collect()
}

const RECORD: usize = 16 + 60;
const BLOCK: usize = 32 + 60;

/// Name, bytes to damage, ... as the loops below take them apart.
type Case = (&'static str, usize, Vec<u8>, &'static [u32], u64, Problem);
/// The same with the number of damages.
type CountedCase = (
    &'static str,
    usize,
    Vec<u8>,
    &'static [u32],
    u64,
    Problem,
    u64,
);

#[test]
fn every_prefix_gives_a_prefix_of_the_frames() {
    let mut modified = file_header();
    modified[..2].copy_from_slice(&[0x34, 0xcd]);
    modified.extend(record(FIRST, &[[0; 8].as_slice(), &packet(0)].concat()));
    modified[24 + 8] = 60;
    let mut two_sections = pcapng(2);
    two_sections.extend(pcapng(3));
    for (whole, boundaries) in [
        (
            pcap(5),
            (0..=5).map(|n| 24 + n * RECORD).collect::<Vec<_>>(),
        ),
        (
            pcapng(4),
            [28, 48]
                .into_iter()
                .chain((1..=4).map(|n| 48 + n * BLOCK))
                .collect(),
        ),
        (modified, vec![24, 24 + 24 + 60]),
        (
            two_sections,
            vec![28, 48, 140, 232, 260, 280, 372, 464, 556],
        ),
    ] {
        let (all, warning) = read(&whole);
        assert_eq!(warning, None);
        for cut in 0..=whole.len() {
            let (frames, warning) = read(&whole[..cut]);
            assert!(all.starts_with(&frames), "cut at {cut}");
            let complete = boundaries.iter().filter(|b| **b <= cut).count();
            assert!(
                frames.len() <= complete && complete <= frames.len() + 4,
                "cut at {cut}"
            );
            assert_eq!(
                warning.is_none(),
                boundaries.contains(&cut),
                "cut at {cut}: {warning:?}"
            );
        }
    }
}

#[test]
fn a_file_of_no_byte_is_a_warning() {
    assert_eq!(
        read(&[]).1.unwrap().to_string(),
        "test: at byte 0: the file is empty"
    );
}

/// Overwrites bytes of a pcap: what is read, where the damage is, what it is.
#[test]
fn damaged_pcap_goes_on_at_the_next_record() {
    let at = |n: usize| 24 + n * RECORD;
    let too_long = Problem::RecordLength {
        length: 0xffff_ffff,
        limit: 262_144,
    };
    let cases: [CountedCase; 5] = [
        (
            "length",
            at(3) + 8,
            vec![0xff; 4],
            &[3],
            at(3) as u64,
            too_long.clone(),
            0,
        ),
        (
            "first length",
            at(0) + 8,
            vec![0xff; 4],
            &[0],
            24,
            too_long.clone(),
            0,
        ),
        (
            "header and packet",
            at(4),
            vec![0xff; RECORD],
            &[4],
            at(4) as u64,
            too_long.clone(),
            0,
        ),
        (
            "zeros",
            at(2),
            vec![0; 3 * RECORD],
            &[2, 3, 4],
            at(2) as u64,
            Problem::ZeroRecord,
            0,
        ),
        (
            "last length",
            at(9) + 8,
            vec![0xff; 4],
            &[9],
            at(9) as u64,
            too_long,
            0,
        ),
    ];
    for (name, place, new, lost, offset, problem, further) in cases {
        let mut bytes = pcap(10);
        bytes[place..place + new.len()].copy_from_slice(&new);
        let (frames, warning) = read(&bytes);
        assert_eq!(frames, without(10, lost), "{name}");
        let expected = Warning {
            file: "test".into(),
            offset,
            problem,
            further,
        };
        assert_eq!(warning, Some(expected), "{name}");
    }
}

#[test]
fn further_damage_is_counted() {
    let mut bytes = pcap(20);
    for n in [2, 9] {
        let at = 24 + n * RECORD + 8;
        bytes[at..at + 4].fill(0xff);
    }
    bytes.truncate(bytes.len() - 7);
    let (frames, warning) = read(&bytes);
    assert_eq!(frames, without(20, &[2, 9, 19]));
    assert_eq!(
        warning.unwrap().to_string(),
        "test: at byte 176: a record claims 4294967295 captured bytes, more than 262144 \
         (and 2 more damaged places)"
    );
}

#[test]
fn missing_bytes_in_the_middle_lose_one_packet_or_two() {
    let mut bytes = pcap(12);
    bytes.drain(24 + 3 * RECORD + 30..24 + 3 * RECORD + 41);
    let (frames, warning) = read(&bytes);
    // The cut packet swallows the start of the next one; the rest is found.
    let seconds = without(12, &[4]);
    assert_eq!(frames, seconds);
    assert!(matches!(
        warning.unwrap().problem,
        Problem::RecordLength { .. }
    ));
}

#[test]
fn damaged_pcapng_goes_on_at_the_next_block() {
    let at = |n: usize| 48 + n * BLOCK;
    let trailer = |first, last| Problem::BlockTrailer { first, last };
    let cases: [Case; 8] = [
        (
            "trailer",
            at(3) + 88,
            vec![0xff; 4],
            &[3],
            at(3) as u64,
            trailer(92, u32::MAX),
        ),
        (
            "length",
            at(3) + 4,
            vec![0xff; 4],
            &[3],
            at(3) as u64,
            Problem::BlockLength(u32::MAX),
        ),
        (
            "small length",
            at(3) + 4,
            vec![9, 0],
            &[3],
            at(3) as u64,
            Problem::BlockLength(9),
        ),
        (
            "wrong length",
            at(3) + 4,
            vec![96, 0],
            &[3],
            at(3) as u64,
            trailer(96, 6),
        ),
        (
            "all of it",
            at(5),
            vec![0; BLOCK],
            &[5],
            at(5) as u64,
            Problem::BlockLength(0),
        ),
        (
            "interface",
            at(2) + 8,
            vec![7],
            &[2],
            at(2) as u64,
            Problem::UnknownInterface(7),
        ),
        (
            "captured",
            at(2) + 20,
            vec![61],
            &[2],
            at(2) as u64,
            Problem::PacketLength(61),
        ),
        (
            "last trailer",
            at(9) + 88,
            vec![0; 4],
            &[9],
            at(9) as u64,
            trailer(92, 0),
        ),
    ];
    for (name, place, new, lost, offset, problem) in cases {
        let mut bytes = pcapng(10);
        bytes[place..place + new.len()].copy_from_slice(&new);
        let (frames, warning) = read(&bytes);
        assert_eq!(frames, without(10, lost), "{name}");
        let expected = Warning {
            file: "test".into(),
            offset,
            problem,
            further: 0,
        };
        assert_eq!(warning, Some(expected), "{name}");
    }
}

#[test]
fn a_damaged_section_header_is_skipped_up_to_the_next() {
    for (place, new, problem) in [
        (8, [0; 4], Problem::SectionMagic),
        (
            12,
            [9, 0, 7, 0],
            Problem::SectionVersion { major: 9, minor: 7 },
        ),
        (
            12,
            [1, 0, 1, 0],
            Problem::SectionVersion { major: 1, minor: 1 },
        ),
    ] {
        let mut bytes = pcapng(3);
        bytes.splice(0..0, pcapng(2));
        bytes[place..place + 4].copy_from_slice(&new);
        let (frames, warning) = read(&bytes);
        let warning = warning.unwrap();
        assert_eq!((warning.offset, warning.problem), (0, problem.clone()));
        if problem != Problem::SectionMagic {
            assert_eq!((frames, warning.further), (without(3, &[]), 0));
        } else {
            // The lengths are still good, so its packets are found too.
            assert_eq!(frames, [without(2, &[]), without(3, &[])].concat());
        }
    }
}

#[test]
fn times_out_of_range_are_the_nearest() {
    let mut bytes = pcapng(1);
    bytes[48 + 12..48 + 16].fill(0xff);
    let mut reader = Input::from_bytes("test", bytes).open().unwrap();
    assert_eq!(frames_of(&mut reader)[0].0, Some(i64::MAX));
    assert_eq!(reader.warnings()[0].problem, Problem::TimeRange);
}

#[test]
fn cut_compressed_files_keep_what_came_out() {
    let plain = pcap(2_000);
    for (name, compressed) in super::compressed(&plain) {
        let (frames, warning) = read(&compressed[..compressed.len() - 9]);
        let all = without(2_000, &[]);
        assert!(all.starts_with(&frames), "{name}");
        assert!(warning.is_some() || frames == all, "{name}");
    }
}

#[test]
fn a_claimed_length_is_not_allocated() {
    // A D-Bus record may be long, and a block longer; nothing of it is there.
    let mut bytes = file_header();
    bytes[20] = 231;
    bytes.extend(record(FIRST, &packet(0)));
    bytes[24 + 8..24 + 12].copy_from_slice(&(100_u32 << 20).to_le_bytes());
    let (frames, warning) = read(&bytes);
    assert_eq!(frames, [0_i64; 0]);
    assert!(matches!(
        warning.unwrap().problem,
        Problem::Cut { have: 76, .. }
    ));
}

/// Longer record headers under a magic number that says others.
#[test]
fn record_headers_of_other_lengths() {
    for (magic, length) in [
        (0xc3d4_u16, 16),
        (0xc3d4, 20),
        (0xc3d4, 24),
        (0xcd34, 24),
        (0xcd34, 28),
    ] {
        let mut bytes = file_header();
        bytes[..2].copy_from_slice(&magic.to_le_bytes());
        for n in 0..5 {
            let record = record(FIRST + n, &packet(n));
            bytes.extend(&record[..16]);
            bytes.extend(vec![0x81; length - 16]);
            bytes.extend(&record[16..]);
        }
        assert_eq!(read(&bytes), (without(5, &[]), None), "{length}");
        // Of fewer records than there may be, too, if they end where the file does.
        bytes.truncate(24 + 2 * (length + 60));
        assert_eq!(read(&bytes), (without(2, &[]), None), "{length}");
    }
}

#[test]
fn lengths_of_other_versions() {
    for ([major, minor], captured, wire, known) in [
        ([2_u16, 4], 3, 9, true),
        ([2, 3], 9, 3, true),
        ([2, 3], 3, 9, true),
        ([2, 2], 9, 3, true),
        ([543, 0], 9, 3, true),
        ([2, 5], 3, 9, false),
        ([2, 99], 3, 9, false),
        ([3, 0], 3, 9, false),
    ] {
        let mut bytes = file_header();
        bytes[4..6].copy_from_slice(&major.to_le_bytes());
        bytes[6..8].copy_from_slice(&minor.to_le_bytes());
        bytes.extend(
            [FIRST, 0, captured, wire]
                .iter()
                .flat_map(|f| f.to_le_bytes()),
        );
        bytes.extend([1, 2, 3]);
        let mut reader = Input::from_bytes("test", bytes).open().unwrap();
        let frame = reader.next_frame().unwrap();
        assert_eq!(
            (frame.wire_len, frame.data),
            (9, &[1, 2, 3][..]),
            "{major}.{minor}"
        );
        let warning = reader.warnings().first().map(|w| w.problem.clone());
        let newer = Problem::PcapNewer { major, minor };
        assert_eq!(warning, Some(newer).filter(|_| !known));
    }
}

fn never_panics(bytes: Vec<u8>) {
    let size = bytes.len();
    match Input::from_bytes("random", bytes).open() {
        Ok(mut reader) => {
            let frames = frames_of(&mut reader);
            assert!(frames.iter().all(|f| f.5.len() <= size));
            assert!(reader.next_frame().is_none());
        }
        Err(e) => assert!(matches!(e, Error::NotACapture { .. })),
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        never_panics(bytes.clone());
        never_panics([file_header(), bytes.clone()].concat());
        never_panics([shb(), idb(), bytes].concat());
    }

    #[test]
    fn random_damage_never_panics(
        places in proptest::collection::vec((0_usize..900, any::<u8>()), 1..20),
        cut in 0_usize..900,
    ) {
        for mut bytes in [pcap(8), pcapng(8)] {
            for (place, value) in &places {
                if let Some(byte) = bytes.get_mut(*place) {
                    *byte = *value;
                }
            }
            bytes.truncate(cut);
            never_panics(bytes);
        }
    }
}
