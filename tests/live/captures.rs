//! Every Ethernet capture, sent over a veth pair: stored byte for byte in order, and answered as
//! tshark answers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::pcap::{self, Packet};
use crate::program::Capture;
use crate::queries::{self, FAMILIES, From, Table};
use crate::room::{alone, folder, lost_by_veth, path, root, say, veth};
use crate::sender::tcpreplay;

/// The most that an interface can have.
pub(crate) const MTU: u32 = 65_535;
/// Shorter frames are refused by the kernel's packet sockets, as are longer ones.
const SENDABLE: std::ops::RangeInclusive<usize> = 14..=MTU as usize + 14;

/// The query that the program is for, in an order of its own.
pub(crate) const REFERENCE: &str = "tag=pcap packet ipv4.DstIP !~ 10.0.0.0/8 ipv4.SrcIP tcp.DstPort \
    | require DstPort | count by SrcIP,DstIP,DstPort | count by SrcIP | sort by count desc SrcIP asc \
    | table -nt SrcIP count";

/// What is known of a capture beforehand decides what can be asked of its copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    /// All packets are sent as they were on the wire: the answers are tshark's.
    Whole,
    /// Some were cut when they were captured, and are sent so: tshark's answers but for bytes.
    Cut,
    /// Some cannot be sent: the packets are compared alone.
    Part,
}

/// A capture to be sent.
pub(crate) struct Piece {
    /// Its table of tshark's.
    pub(crate) expected: PathBuf,
    pub(crate) group: Group,
    /// The file that is sent: itself, or what of it can be sent.
    pub(crate) file: PathBuf,
    pub(crate) packets: Vec<Packet>,
}

/// Files and packets that are not sent, by reason.
pub(crate) type Excluded = BTreeMap<&'static str, u64>;

#[test]
fn every_capture_is_stored_byte_for_byte_in_order() {
    if alone(&every_capture_is_stored_byte_for_byte_in_order) {
        check("native");
    }
}

#[test]
fn every_capture_is_stored_byte_for_byte_in_order_in_generic_mode() {
    if alone(&every_capture_is_stored_byte_for_byte_in_order_in_generic_mode) {
        check("generic");
    }
}

#[test]
fn every_capture_is_stored_byte_for_byte_in_order_by_packet_sockets() {
    if alone(&every_capture_is_stored_byte_for_byte_in_order_by_packet_sockets) {
        check("packet-socket");
    }
}

fn check(mode: &str) {
    let work = folder();
    let mut excluded = Excluded::new();
    let pieces = pieces(&work, &mut excluded);
    let packets: usize = pieces.iter().map(|piece| piece.packets.len()).sum();
    assert!(pieces.len() > 30 && packets > 5_000, "{packets} packets");
    veth("fs0", "fs1", MTU);
    for group in [Group::Whole, Group::Cut, Group::Part] {
        let pieces: Vec<&Piece> = pieces.iter().filter(|piece| piece.group == group).collect();
        let store = path(&work, &format!("{group:?}"));
        let option = match mode {
            "packet-socket" => "--source",
            _ => "--mode",
        };
        send(&pieces, &["--store", &store, option, mode], |_| ());
        compare_packets(&pieces, Path::new(&store));
        if group != Group::Part {
            compare_tables(&pieces, Path::new(&store), group);
        }
    }
    say(&format!(
        "{mode}: {} captures, {packets} packets stored as sent; not sent: {excluded:?}",
        pieces.len()
    ));
}

/// One capture for all pieces: it begins before the first packet and ends after the last;
/// `meanwhile` is given the number of packets sent before it ends.
pub(crate) fn send(pieces: &[&Piece], arguments: &[&str], meanwhile: impl FnOnce(u64)) {
    let lost_before = lost_by_veth("fs1");
    let capture = Capture::start(arguments, &["fs0"]);
    let files: Vec<&Path> = pieces.iter().map(|piece| piece.file.as_path()).collect();
    let sent = tcpreplay("fs1", &["--topspeed"], &files);
    meanwhile(sent.packets);
    let statistics = capture.stop().statistics("fs0");
    let packets: usize = pieces.iter().map(|piece| piece.packets.len()).sum();
    assert_eq!((sent.packets, sent.failed), (packets as u64, 0));
    assert_eq!(lost_by_veth("fs1") - lost_before, 0);
    assert_eq!(statistics.seen, sent.packets);
    assert_eq!((statistics.stored, statistics.dropped), (sent.packets, 0));
}

fn compare_packets(pieces: &[&Piece], store: &Path) {
    let mut stored = pcap::stored(store).into_iter();
    for piece in pieces {
        for (n, sent) in piece.packets.iter().enumerate() {
            let stored = stored.next().unwrap();
            let place = || format!("packet {} of {}", n + 1, piece.expected.display());
            assert_eq!(stored.data, sent.data, "{}", place());
            assert_eq!(stored.wire_len as usize, sent.data.len(), "{}", place());
        }
    }
    assert_eq!(stored.count(), 0);
}

/// The sum of tshark's tables is the answer over the stored files.
fn compare_tables(pieces: &[&Piece], store: &Path, group: Group) {
    let mut expected = BTreeMap::new();
    for piece in pieces {
        queries::add_expected(&mut expected, &piece.expected);
    }
    let files = pcap::files(store, "pcap");
    let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    let reference = |from: From<'_>| queries::answer(from, REFERENCE).0;
    let by_files = reference(From::Files(&files));
    let sidecars = pcap::files(store, "parquet");
    assert!(!sidecars.is_empty());
    assert_eq!(reference(From::Store(store)), by_files, "{group:?}");
    let by_sidecars = FAMILIES.map(|family| queries::table(From::Store(store), family));
    for sidecar in sidecars {
        std::fs::remove_file(sidecar).unwrap();
    }
    assert_eq!(reference(From::Store(store)), by_files, "{group:?}");
    for (family, by_sidecars) in FAMILIES.into_iter().zip(by_sidecars) {
        let want = expected.remove(family).unwrap_or_default();
        let got = queries::table(From::Files(&files), family);
        assert_eq!(got, by_sidecars, "{group:?} {family}");
        assert_eq!(
            got,
            queries::table(From::Store(store), family),
            "{group:?} {family}"
        );
        let without_bytes = |table: &Table| -> Vec<_> {
            let rows = table.iter();
            rows.map(|(key, counts)| (key.clone(), counts.0)).collect()
        };
        match group {
            Group::Cut => assert_eq!(without_bytes(&got), without_bytes(&want), "{family}"),
            Group::Whole | Group::Part => assert_eq!(got, want, "{group:?} {family}"),
        }
    }
}

/// All captures that are Ethernet, as libpcap reads them.
pub(crate) fn pieces(work: &tempfile::TempDir, excluded: &mut Excluded) -> Vec<Piece> {
    let set = capture_set();
    let manifest = std::fs::read_to_string(set.join("MANIFEST.tsv")).unwrap();
    let names = manifest.lines().skip(1).map(|line| line.split('\t').next());
    let mut pieces = Vec::new();
    for (n, name) in names.map(Option::unwrap).enumerate() {
        let copy = work.path().join(format!("{n}.pcap"));
        match piece(&set, name, copy, excluded) {
            Ok(piece) => pieces.push(piece),
            Err(reason) => *excluded.entry(reason).or_default() += 1,
        }
    }
    pieces
}

/// The full set, named by the environment or beside the repository; else, after saying so, the
/// part of it that ships.
fn capture_set() -> PathBuf {
    let full = std::env::var_os("FLOWSIFT_CAPTURES")
        .map_or_else(|| root().join("../shared/captures"), PathBuf::from);
    if full.join("MANIFEST.tsv").is_file() {
        return full;
    }
    say("SKIPPED: the full capture set is not here (FLOWSIFT_CAPTURES names it)");
    root().join("tests/captures")
}

fn piece(
    set: &Path,
    name: &str,
    copy: PathBuf,
    excluded: &mut Excluded,
) -> Result<Piece, &'static str> {
    let file = set.join(name);
    let complete = copy_by_libpcap(&file, &copy);
    let bytes = std::fs::read(&copy).unwrap_or_default();
    if bytes.len() < 24 {
        return Err("captures that libpcap does not open");
    }
    if bytes[20..24] != [1, 0, 0, 0] {
        return Err("captures of another link type");
    }
    let all = pcap::read(&copy);
    let count = all.len();
    let cut = all
        .iter()
        .any(|packet| packet.data.len() != packet.wire_len as usize);
    let packets: Vec<Packet> = all
        .into_iter()
        .filter(|packet| {
            let reason = match packet.data.len() {
                length if SENDABLE.contains(&length) => return true,
                length if length < *SENDABLE.start() => "packets shorter than 14 bytes",
                _ => "packets longer than an interface takes",
            };
            *excluded.entry(reason).or_default() += 1;
            false
        })
        .collect();
    if packets.is_empty() {
        return Err("captures without a packet that can be sent");
    }
    let as_it_is = complete && packets.len() == count;
    if !as_it_is {
        pcap::write(&copy, &packets);
    }
    let base = Path::new(name).file_name().unwrap().to_str().unwrap();
    Ok(Piece {
        expected: set.join("expected").join(format!("{base}.tsv")),
        group: match (as_it_is, cut) {
            (false, _) => Group::Part,
            (true, true) => Group::Cut,
            (true, false) => Group::Whole,
        },
        file: if as_it_is { file } else { copy },
        packets,
    })
}

/// Copies what tcpdump reads of a capture, with nanoseconds; whether it read all of it.
fn copy_by_libpcap(file: &Path, copy: &Path) -> bool {
    let output = Command::new("tcpdump")
        .args(["-Z", "root", "--time-stamp-precision=nano", "-r"])
        .arg(file)
        .arg("-w")
        .arg(copy)
        .output()
        .unwrap();
    output.status.success()
}
