//! A store of tuples alone: it answers as the packets that were sent do, and says what it cannot.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use crate::captures::{self, Excluded, Group, MTU, Piece, REFERENCE};
use crate::pcap;
use crate::program::{Capture, command};
use crate::queries::{self, FAMILIES, From, Table, answer};
use crate::room::{alone, folder, path, root, say, veth, wait_until};
use crate::sender::tcpreplay;

const COUNT: &str = "tag=pcap packet frame.Len | count | table -nt count";

#[test]
fn tuples_alone_answer_as_the_packets_do() {
    if !alone(&tuples_alone_answer_as_the_packets_do) {
        return;
    }
    let work = folder();
    let pieces = captures::pieces(&work, &mut Excluded::new());
    veth("fs0", "fs1", MTU);
    let mut rows = 0;
    for group in [Group::Whole, Group::Cut] {
        let pieces = pieces.iter().filter(|piece| piece.group == group);
        let pieces: Vec<&Piece> = pieces.filter(|piece| is_walked(piece)).collect();
        // The captures of the repository alone have two that are cut.
        assert!(pieces.len() > 1, "{group:?}: {}", pieces.len());
        let store = path(&work, &format!("{group:?}"));
        let store_path = Path::new(&store);
        let files: Vec<&Path> = pieces.iter().map(|piece| piece.file.as_path()).collect();
        let expected = answer(From::Files(&files), REFERENCE).0;
        let arguments = ["--no-pcap", "--store", &store];
        captures::send(&pieces, &arguments, |sent| {
            // All of it from the file that is being written.
            wait_until("all tuples are stored", || {
                answer(From::Store(store_path), COUNT).0 == [[sent.to_string()]]
            });
            assert_eq!(answer(From::Store(store_path), REFERENCE).0, expected);
        });
        assert!(pcap::files(store_path, "pcap").is_empty());
        assert!(pcap::files(store_path, "tuples").is_empty());
        assert_eq!(
            answer(From::Store(store_path), REFERENCE).0,
            expected,
            "{group:?}"
        );
        rows += expected.len();
        compare_tables(&pieces, store_path, group);
        cannot_answer(
            store_path,
            pieces.iter().map(|piece| piece.packets.len()).sum(),
        );
    }
    assert!(rows > 10, "{rows}");
    say(&format!("{rows} rows of the reference query are the same"));
}

/// Whether the kernel program finds the IP header of each packet where there is one: behind
/// Ethernet and at most four VLAN tags, and not cut.
fn is_walked(piece: &Piece) -> bool {
    piece.packets.iter().all(|packet| {
        let u16_at = |at: usize| {
            let bytes = packet.data.get(at..at + 2)?;
            Some(u16::from_be_bytes([bytes[0], bytes[1]]))
        };
        let mut at = 12;
        while at < 12 + 4 * 4 && matches!(u16_at(at), Some(0x8100 | 0x88a8)) {
            at += 4;
        }
        match u16_at(at) {
            Some(0x0800) => packet.data.len() >= at + 2 + 20,
            Some(0x86dd) => packet.data.len() >= at + 2 + 40,
            // ARP, LLDP.
            Some(0x0806 | 0x88cc) => true,
            // IEEE 802.3: not where SNAP follows, behind which the decoder finds IP.
            Some(0..0x600) => u16_at(at + 2) != Some(0xaaaa),
            _ => false,
        }
    })
}

/// The sum of tshark's tables is the answer over the tuples.
fn compare_tables(pieces: &[&Piece], store: &Path, group: Group) {
    let mut expected = BTreeMap::new();
    for piece in pieces {
        queries::add_expected(&mut expected, &piece.expected);
    }
    let counts = |table: &Table| -> Vec<_> {
        let rows = table.iter();
        rows.map(|(key, counts)| match group {
            Group::Cut => (key.clone(), counts.0, 0),
            Group::Whole | Group::Part => (key.clone(), counts.0, counts.1),
        })
        .collect()
    };
    for family in FAMILIES {
        let want = expected.remove(family).unwrap_or_default();
        let got = queries::table(From::Store(store), family);
        assert_eq!(counts(&got), counts(&want), "{group:?} {family}");
    }
}

/// What needs packets has no rows, a warning that says so, and an exit code where that is asked.
fn cannot_answer(store: &Path, packets: usize) {
    let mut command = command(&["query", "--format", "tsv", "--strict", "--store"]);
    command.arg(store);
    command.arg("tag=pcap packet ipv4.TTL frame.CapLen | table -nt TTL CapLen");
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 1);
    assert!(
        said.contains(&format!("warning: up to {packets} packets from ")),
        "{said}"
    );
    assert!(
        said.contains("the query needs frame.CapLen, ipv4.TTL"),
        "{said}"
    );
    assert!(said.contains(".parquet: "), "{said}");
}

#[test]
fn files_counts_and_losses_are_as_those_of_packets() {
    if !alone(&files_counts_and_losses_are_as_those_of_packets) {
        return;
    }
    let work = folder();
    let store = path(&work, "store");
    veth("fs0", "fs1", 9_000);
    let file = root().join("tests/captures/bittorrent/bittorrent.pcap");
    // 1 kB is 14 tuples and the header.
    let arguments = ["--no-pcap", "--store", &store, "-C", "1kB", "-c", "100"];
    let capture = Capture::start(&arguments, &["fs0"]);
    // Slow enough for some blocks, which are not divided.
    tcpreplay("fs1", &["--pps", "200"], &[file.as_path()]);
    let ended = capture.wait();
    assert!(
        ended.said.contains("100 stored as tuples, 0 dropped"),
        "{}",
        ended.said
    );
    let statistics = ended.statistics("fs0");
    assert_eq!(statistics.stored, 100);
    assert_eq!(answer(From::Store(Path::new(&store)), COUNT).0, [["100"]]);
    let listed = command(&["store", "ls", "--store", &store])
        .output()
        .unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let row: Vec<&str> = listed.lines().nth(1).unwrap().split('\t').collect();
    let files: usize = row[3].parse().unwrap();
    assert!(files > 1, "{listed}");
    assert_eq!(pcap::files(Path::new(&store), "parquet").len(), files);
    assert_eq!((row[5], row[6], row[7]), ("100", row[3], "0"), "{listed}");
    // The loss table adds up to the same.
    let (loss, _) = answer(
        From::Store(Path::new(&store)),
        "tag=loss stats sum(stored) as stored | table -nt stored",
    );
    assert_eq!(loss, [["100"]]);
    let exported = command(&[
        "store",
        "export",
        "--store",
        &store,
        "-w",
        &path(&work, "x.pcap"),
    ])
    .output()
    .unwrap();
    let said = String::from_utf8_lossy(&exported.stderr);
    assert!(said.contains("only their tuples were stored"), "{said}");
    assert!(said.contains("0 packets written"), "{said}");
}

#[test]
fn a_live_query_follows_tuples() {
    if !alone(&a_live_query_follows_tuples) {
        return;
    }
    let work = folder();
    let store = path(&work, "store");
    veth("fs0", "fs1", 9_000);
    let file = root().join("tests/captures/bittorrent/bittorrent.pcap");
    // Several files, so that it goes on from one to the next.
    let arguments = ["--no-pcap", "--store", &store, "-C", "20kB"];
    let capture = Capture::start(&arguments, &["fs0"]);
    // A query that is followed has a writer when it starts, and has begun when it says a window.
    wait_until("the source is there", || {
        Path::new(&store).join("pcap/fs0").is_dir()
    });
    let ask = |query: &str| {
        let arguments = ["query", "--live", "--every", "never", "--format", "tsv"];
        let mut command = command(&arguments);
        command.args(["--store", &store, query]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let count = ask(COUNT);
    let needs = ask("tag=pcap packet ipv4.TTL | count by TTL | table -nt TTL count");
    std::thread::sleep(Duration::from_secs(3));
    let sent = tcpreplay("fs1", &["--pps", "1000"], &[file.as_path()]);
    // Both end with the capture.
    let ended = capture.stop();
    assert_eq!(ended.statistics("fs0").stored, sent.packets);
    let count = count.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&count.stderr);
    assert!(count.status.success(), "{said}");
    let answer = String::from_utf8_lossy(&count.stdout);
    let last = answer.lines().last().unwrap();
    assert_eq!(last, sent.packets.to_string(), "{answer} {said}");
    let needs = needs.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&needs.stderr);
    assert!(said.contains("the query needs ipv4.TTL"), "{said}");
}

#[test]
fn without_a_store_packets_are_counted() {
    if !alone(&without_a_store_packets_are_counted) {
        return;
    }
    veth("fs0", "fs1", 9_000);
    let file = root().join("tests/captures/bittorrent/bittorrent.pcap");
    let capture = Capture::start(&["--no-pcap"], &["fs0"]);
    let sent = tcpreplay("fs1", &["--pps", "2000"], &[file.as_path()]);
    let ended = capture.stop();
    let expected = format!(
        "fs0: {0} packets seen, {0} counted, 0 dropped",
        sent.packets
    );
    assert!(ended.said.contains(&expected), "{}", ended.said);
}
