//! Every capture of the shared set gives the totals that tshark gives.

use std::{
    collections::BTreeSet,
    env,
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

use crate::capfile::{FrameReader, Input, Problem, discover};

/// The folder of captures: FLOWSIFT_CAPTURES, else beside the repository; else tests skip, loudly.
pub(super) fn folder() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/captures");
    let folder = env::var_os("FLOWSIFT_CAPTURES").map_or(beside, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!(
        "SKIPPED: no captures at {}, set FLOWSIFT_CAPTURES",
        folder.display()
    );
    None
}

pub(super) fn open(path: &Path) -> FrameReader {
    let spec = path.to_str().unwrap().to_owned();
    discover(&[spec]).unwrap().remove(0).open().unwrap()
}

/// Totals of one file, as SUMMARY.tsv has them.
#[derive(Debug, PartialEq, Eq, Default)]
struct Totals {
    packets: u64,
    bytes: u64,
    captured_bytes: u64,
    first: Option<i128>,
    min: Option<i128>,
    max: Option<i128>,
}

fn totals(reader: &mut FrameReader) -> (Totals, BTreeSet<u16>) {
    let (mut totals, mut link_types) = (Totals::default(), BTreeSet::new());
    while let Some(frame) = reader.next_frame() {
        totals.packets += 1;
        totals.bytes += u64::from(frame.wire_len);
        totals.captured_bytes += frame.data.len() as u64;
        link_types.insert(frame.link_type.0);
        if let Some(time) = frame.time_ns.map(i128::from) {
            totals.first = totals.first.or(Some(time));
            totals.min = totals.min.min(Some(time)).or(Some(time));
            totals.max = totals.max.max(Some(time));
        }
    }
    (totals, link_types)
}

/// Seconds and a fraction in nanoseconds, which tshark prints as found even above a second.
fn time(text: &str) -> Option<i128> {
    let (seconds, fraction) = text.split_once('.')?;
    let (seconds, fraction): (i128, i128) = (seconds.parse().unwrap(), fraction.parse().unwrap());
    Some(seconds * 1_000_000_000 + fraction)
}

/// The captures of the set that are damaged, and the first damage of each.
fn damage(file: &str) -> Option<(u64, Problem)> {
    Some(match file {
        "pcapng/extra-two-sections.pcapng" => {
            let cut = Problem::Cut {
                what: "block",
                have: 1,
            };
            (12_400, cut)
        }
        "malformed/pcap-invalid-version-1.pcap" => (4, Problem::PcapVersion { major: 1, minor: 4 }),
        "malformed/shb-option-too-long.pcapng" => {
            // tshark stops at the options; the block's trailing length is damaged too.
            let (first, last) = (52, 0x3030_3030);
            (0, Problem::BlockTrailer { first, last })
        }
        _ => return None,
    })
}

#[test]
fn totals_are_those_of_tshark() {
    let Some(folder) = folder() else { return };
    let summary = fs::read_to_string(folder.join("expected/SUMMARY.tsv")).unwrap();
    let mut files = 0;
    for line in summary.lines().skip(1) {
        let column: Vec<&str> = line.split('\t').collect();
        let [
            file,
            format,
            link_types,
            packets,
            bytes,
            captured_bytes,
            first,
            min,
            max,
            ..,
        ] = column[..]
        else {
            panic!("short line: {line}");
        };
        let mut expected = Totals {
            packets: packets.parse().unwrap(),
            bytes: bytes.parse().unwrap(),
            captured_bytes: captured_bytes.parse().unwrap(),
            first: time(first),
            min: time(min),
            max: time(max),
        };
        if file == "malformed/timestamp_invalid_nano.pcap" {
            // tshark prints 1418145370 s + 2147483648 ns as a negative time; the field is unsigned.
            expected.min = expected.first;
            expected.max = Some(1_418_145_372_147_483_648);
        }
        let mut reader = open(&folder.join(file));
        let (found, found_types) = totals(&mut reader);
        assert_eq!(found, expected, "{file}");
        let warnings = reader.warnings();
        let first_damage = warnings.first().map(|w| (w.offset, w.problem.clone()));
        assert_eq!(first_damage, damage(file), "{file}");
        let table_types: BTreeSet<u16> = link_types
            .split([',', ' '])
            .map_while(|t| t.parse().ok())
            .collect();
        assert!(
            found_types.is_subset(&table_types),
            "{file}: {found_types:?}"
        );
        if found.packets > 0 && !link_types.contains("if)") {
            assert_eq!(found_types, table_types, "{file}");
        }
        check_format(&folder.join(file), format);
        files += 1;
    }
    assert!(files >= 112, "only {files} captures");
}

/// The table's words for a format against the magic number.
fn check_format(path: &Path, format: &str) {
    let mut magic = [0; 12];
    File::open(path).unwrap().read_exact(&mut magic).unwrap();
    let expected = match magic {
        [0x1f, 0x8b, ..] => "gz:pcap LE us",
        [0xd4, 0xc3, ..] => "pcap LE us",
        [0xa1, 0xb2, ..] if magic[3] == 0xd4 => "pcap BE us",
        [0x4d, 0x3c, ..] => "pcap LE ns",
        [0xa1, 0xb2, 0x3c, ..] => "pcap BE ns",
        [0x34, 0xcd, ..] => "pcap LE modified",
        [.., 0x4d, 0x3c, 0x2b, 0x1a] => "pcapng LE",
        _ => "pcapng BE",
    };
    assert!(format.starts_with(expected), "{}: {format}", path.display());
}

#[test]
fn every_compression_gives_the_same_frames() {
    let Some(folder) = folder() else { return };
    let plain = fs::read(folder.join("bittorrent/bt-tcp.pcap")).unwrap();
    let frames = |bytes: Vec<u8>| {
        let mut reader = Input::from_bytes("test", bytes).open().unwrap();
        let (totals, _) = totals(&mut reader);
        assert_eq!(reader.warnings(), []);
        totals
    };
    let expected = frames(plain.clone());
    assert_eq!(expected.packets, 8);
    for (name, compressed) in super::compressed(&plain) {
        assert!(compressed != plain);
        assert_eq!(frames(compressed), expected, "{name}");
    }
}
