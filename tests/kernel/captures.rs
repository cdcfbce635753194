//! Every frame of the Ethernet captures through the kernel program, against tshark's tables.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv6Addr};
use std::path::Path;

use crate::frames::{captures, each_ethernet_frame, manifest};
use crate::support::{ALL, Kernel, ROOMY, say};
use agent_common::TupleEvent;
use agent_common::event::marks;

/// Packets per (family, source, destination, destination port).
type Table = BTreeMap<(String, IpAddr, IpAddr, u16), u64>;

#[test]
fn the_program_reads_what_tshark_reads() {
    let folder = captures();
    let Some(mut kernel) = Kernel::configured(ROOMY, ALL) else {
        return;
    };
    let mut report = Report::default();
    for file in manifest(&folder) {
        if malformed(&file) {
            continue;
        }
        check_file(&mut kernel, &folder, &file, &mut report);
    }
    let counters = kernel.counters(ALL.slot);
    assert_eq!(counters.seen, report.frames);
    assert_eq!(counters.tuple_emitted, report.frames);
    assert_eq!(counters.packet_emitted, report.frames);
    assert_eq!((counters.tuple_dropped, counters.packet_dropped), (0, 0));
    say(&format!(
        "{} files, {} frames through the program; the kernel took {} frames as too short or too long",
        report.files, report.frames, report.refused
    ));
    assert!(
        report.differences.is_empty(),
        "{}",
        report.differences.join("\n")
    );
    assert!(report.files > 5, "only {} files", report.files);
}

/// What was done and what was found.
#[derive(Default)]
struct Report {
    files: u64,
    frames: u64,
    /// `BPF_PROG_TEST_RUN` takes 14 bytes up to what its buffers hold.
    refused: u64,
    differences: Vec<String>,
}

/// What the kernel program made of one file.
#[derive(Default)]
struct FileResult {
    table: Table,
    /// Frames with a header before the network header that the program does not walk.
    unwalked: u64,
    refused: u64,
}

fn check_file(kernel: &mut Kernel, folder: &Path, file: &str, report: &mut Report) {
    let Some(result) = run_file(kernel, &folder.join(file), report) else {
        return;
    };
    report.files += 1;
    let name = Path::new(file)
        .file_name()
        .unwrap()
        .to_string_lossy()
        .into_owned();
    let expected = expected_table(&folder.join("expected").join(format!("{name}.tsv")));
    // Where all frames could be walked the tables are equal; else each row may fall short.
    let whole = result.unwalked + result.refused == 0;
    for (key, want) in &expected {
        let got = result.table.get(key).copied().unwrap_or(0);
        if got > *want || whole && got != *want {
            report
                .differences
                .push(format!("{file}: {key:?}: {got} packets, tshark has {want}"));
        }
    }
    for key in result
        .table
        .keys()
        .filter(|key| !expected.contains_key(key))
    {
        report
            .differences
            .push(format!("{file}: {key:?}: tshark has none"));
    }
}

/// Runs the program over the frames of a file, if they are all Ethernet frames.
fn run_file(kernel: &mut Kernel, path: &Path, report: &mut Report) -> Option<FileResult> {
    let mut result = FileResult::default();
    let ethernet = each_ethernet_frame(path, |frame| {
        if kernel.run(frame.data, 1).is_err() {
            result.refused += 1;
            report.refused += 1;
            return;
        }
        report.frames += 1;
        let [event] = kernel.drain().try_into().expect("one record");
        kernel.drain_packets();
        result.unwalked += u64::from(is_unwalked(frame.data));
        if let Some(key) = row(&event) {
            *result.table.entry(key).or_default() += 1;
        }
    });
    ethernet.then_some(result)
}

/// The row of tshark's table that the record belongs to.
fn row(event: &TupleEvent) -> Option<(String, IpAddr, IpAddr, u16)> {
    let (_, port) = event.ports()?;
    assert!(event.is_marked(marks::IP) && !event.is_marked(marks::FRAGMENT));
    let transport = match event.protocol {
        6 => "tcp",
        17 => "udp",
        _ => return None,
    };
    let (source, destination) = (address(event.source), address(event.destination));
    let family = if source.is_ipv4() { 4 } else { 6 };
    Some((format!("{transport}{family}"), source, destination, port))
}

fn address(bytes: [u8; 16]) -> IpAddr {
    Ipv6Addr::from(bytes).to_canonical()
}

/// Whether something else than VLAN tags stands between Ethernet and a network header:
/// a length and LLC, MPLS, PPPoE, VN-Tag, MACsec, a provider's tag.
fn is_unwalked(frame: &[u8]) -> bool {
    let ethertype = |at: usize| {
        frame
            .get(at..at + 2)
            .map(|b| u16::from_be_bytes([b[0], b[1]]))
    };
    let mut at = 12;
    while matches!(ethertype(at), Some(0x8100 | 0x88a8)) {
        at += 4;
    }
    let unwalked = matches!(
        ethertype(at),
        Some(0..0x0600 | 0x8847 | 0x8848 | 0x8864 | 0x8926 | 0x88e5 | 0x88e7 | 0x9100 | 0x9200)
    );
    unwalked || at > 12 + 4 * 4
}

/// tshark's table of a file, first fragments added to their family, rows without a port left out.
fn expected_table(path: &Path) -> Table {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut table = Table::new();
    for line in text.lines().skip(1) {
        let columns: Vec<_> = line.split('\t').collect();
        let [family, source, destination, port, packets, _] = columns[..] else {
            panic!("{}: {line}", path.display())
        };
        if let Ok(port) = port.parse() {
            let family = family.trim_end_matches("_frag0").to_owned();
            let key = (
                family,
                source.parse().unwrap(),
                destination.parse().unwrap(),
                port,
            );
            *table.entry(key).or_default() += packets.parse::<u64>().unwrap();
        }
    }
    table
}

/// Where a header's lengths lie, what a packet "is" is a matter of taste.
pub(crate) fn malformed(file: &str) -> bool {
    file.starts_with("malformed/")
}
