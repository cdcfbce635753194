//! A store answers as the files that were imported into it, with sidecars, without, and with
//! damaged ones.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{run, shipped};

/// Queries that sidecars answer alone, that they narrow, and that they cannot help.
const QUERIES: &[&str] = &[
    "packet ipv4.SrcIP ipv4.DstIP tcp.DstPort frame.Len | require -s SrcIP DstIP DstPort | stats count sum(Len) as bytes by SrcIP DstIP DstPort | table -nt SrcIP DstIP DstPort count bytes",
    "packet ipv6.SrcIP ipv6.DstIP udp.DstPort frame.Len | require -s SrcIP DstIP DstPort | stats count sum(Len) as bytes by SrcIP DstIP DstPort | table -nt SrcIP DstIP DstPort count bytes",
    "packet ipv4.DstIP !~ PRIVATE ipv4.SrcIP tcp.DstPort | require DstPort | count by SrcIP,DstIP,DstPort | count by SrcIP | sort by count desc | limit 20 | table -nt SrcIP count",
    "packet ipv4.SrcIP == 192.168.0.102 tcp.DstPort ipv4.TTL | count by DstPort TTL | table -nt DstPort TTL count",
    "packet ipv4.IP ~ 10.0.0.0/8 eth.SrcMAC | count by SrcMAC | table -nt SrcMAC count",
    "packet ipv4.SrcIP == 203.0.113.254 tcp.DstPort | count by DstPort | table -nt DstPort count",
    "packet udp.DstPort == 53 udp.Payload ipv4.SrcIP | length Payload | stats count sum(length) as bytes by SrcIP | table -nt SrcIP count bytes",
    "packet tcp.Port == 80 ipv4.Protocol tcp.SYN tcp.ACK | count by Protocol SYN ACK | table -nt Protocol SYN ACK count",
    "packet dot1q.VLANID frame.Len >= 100 frame.CapLen | count by VLANID Len CapLen | table -nt VLANID Len CapLen count",
    "packet ipv6.SrcIP ~ fe80::/10 ipv6.NextHeader | count by NextHeader | table -nt NextHeader count",
    "packet ipv4.SrcIP !~ 192.168.0.0/16 ipv4.DstIP != 192.168.0.1 | count by SrcIP DstIP | table -nt SrcIP DstIP count",
    "packet sctp.DstPort sctp.SrcPort | require DstPort | count by SrcPort DstPort | table -nt SrcPort DstPort count",
    "packet tcp.DstPort != 443 tcp.SrcPort < 1024 | count by DstPort SrcPort | table -nt DstPort SrcPort count",
    "packet frame.LinkType | count by LinkType | table -nt LinkType count",
    "length | stats count sum(length) as bytes max(length) as most | table -nt count bytes most",
];

/// The rows of an answer in an order of their own, and what was said beside it.
fn answer(from: &[&str], query: &str) -> (Vec<String>, String) {
    let query = format!("tag=* {query}");
    let args = [&["query", "--format", "tsv"], from, &[query.as_str()]].concat();
    let output = run(&args);
    assert_eq!(output.code, Some(0), "{query}: {}", output.stderr);
    let mut rows: Vec<String> = output.text().lines().map(str::to_owned).collect();
    rows.sort();
    (rows, output.stderr)
}

/// All files below a folder with this extension.
fn files(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, extension, found);
        } else if path.extension().is_some_and(|it| it == extension) {
            found.push(path);
        }
    }
}

fn sidecars(store: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    files(store, "parquet", &mut found);
    found
}

fn import(store: &Path, from: &Path) {
    import_as(store, from, "none");
}

fn import_as(store: &Path, from: &Path, compress: &str) {
    let output = run(&[
        "import",
        "--compress",
        compress,
        "--store",
        store.to_str().unwrap(),
        from.to_str().unwrap(),
    ]);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
}

#[test]
fn a_store_answers_as_its_files_do_by_every_way() {
    let folder = tempfile::tempdir().unwrap();
    answers_by_every_way(&folder.path().join("store"), "none");
}

#[test]
fn a_compressed_store_answers_as_its_files_do_by_every_way() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    answers_by_every_way(&store, "zstd");
    let (mut raw, mut compressed) = (Vec::new(), Vec::new());
    files(&store, "pcap", &mut raw);
    files(&store, "zst", &mut compressed);
    assert_eq!(raw, Vec::<PathBuf>::new());
    assert!(!compressed.is_empty());
}

fn answers_by_every_way(store: &Path, compress: &str) {
    let captures = shipped().join("bittorrent");
    let more = shipped().join("protocols");
    import_as(store, &captures, compress);
    import_as(store, &more, compress);
    let (captures, more) = (captures.to_str().unwrap(), more.to_str().unwrap());
    let store_args = ["--store", store.to_str().unwrap(), "--from", "1970-01-01"];
    let expected: Vec<_> = QUERIES
        .iter()
        .map(|query| answer(&["-r", captures, "-r", more], query).0)
        .collect();
    assert!(expected.iter().filter(|rows| rows.len() > 1).count() > QUERIES.len() / 2);
    assert!(!sidecars(store).is_empty());
    let check = |way: &str, noted: &str| {
        for (query, expected) in QUERIES.iter().zip(&expected) {
            let (rows, notes) = answer(&store_args, query);
            assert_eq!(&rows, expected, "{way}: {query}");
            assert!(
                noted.is_empty() || notes.contains(noted) || rows.len() < 2,
                "{way}: {notes}"
            );
        }
    };
    check("with sidecars", "");
    let whole: Vec<_> = sidecars(store)
        .into_iter()
        .map(|path| (fs::read(&path).unwrap(), path))
        .collect();
    // Columns that only the answer needs are read after others were found whole.
    for (at, (bytes, path)) in whole.iter().enumerate() {
        let mut bytes = bytes.clone();
        let place = bytes.len() * (1 + at % 7) / 8;
        bytes[place] ^= 0x10;
        fs::write(path, bytes).unwrap();
    }
    check("with damage in a column", "");
    for (at, (bytes, path)) in whole.into_iter().enumerate() {
        let mut bytes = bytes;
        // In the data of one, in the metadata of the next, cut the third.
        match at % 3 {
            0 => bytes[4 + at % 64] ^= 0x10,
            1 => {
                let end = bytes.len();
                bytes[end - 40] ^= 0x10;
            }
            _ => bytes.truncate(bytes.len() / 2),
        }
        fs::write(&path, bytes).unwrap();
    }
    check("with damaged sidecars", "");
    sidecars(store)
        .iter()
        .for_each(|path| fs::remove_file(path).unwrap());
    check("without sidecars", "");
}

#[test]
fn one_address_opens_only_the_files_that_have_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    for name in [
        "bittorrent/small_torrent_mse.pcap",
        "bittorrent/gnutella.pcap",
    ] {
        import(&store, &shipped().join(name));
    }
    let store_args = ["--store", store.to_str().unwrap(), "--from", "1970-01-01"];
    // An address of the first file alone; the payload is in the packets only.
    let query = "packet ipv4.SrcIP == 192.168.0.102 tcp.Payload | length Payload | stats count sum(length) as bytes | table -nt count bytes";
    let (rows, _) = answer(&store_args, query);
    let from_file = shipped().join("bittorrent/small_torrent_mse.pcap");
    assert_eq!(rows, answer(&["-r", from_file.to_str().unwrap()], query).0);
    // An empty answer says what was not read at all.
    let nobody = "packet ipv4.SrcIP == 203.0.113.254 tcp.Payload | table SrcIP";
    let (rows, notes) = answer(&store_args, nobody);
    assert_eq!(rows.len(), 1);
    assert!(notes.contains("0 packets read, "), "{notes}");
    assert!(notes.contains("ruled out by their sidecars"), "{notes}");
}

#[test]
fn a_query_reads_the_last_hour_of_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    import(&store, &shipped().join("bittorrent/gnutella.pcap"));
    let store = store.to_str().unwrap();
    let count = |more: &[&str], query: &str| {
        let (rows, _) = answer(&[&["--store", store], more].concat(), query);
        rows
    };
    let all = "packet ipv4.SrcIP | count | table -nt count";
    assert_eq!(count(&[], all), ["count"]);
    assert_eq!(count(&["--last", "100000d"], all).len(), 2);
    assert_eq!(count(&["--from", "1970-01-01"], all).len(), 2);
    assert_eq!(
        count(
            &[],
            "start=\"1970-01-01\" packet ipv4.SrcIP | count | table -nt count"
        )
        .len(),
        2
    );
}

/// Two runs of the agent with an hour between them, as `docs/store.md` has the table.
const LOSS: &str = "time_ns\trun\tseen\tstored\tbytes\tcut\tring_full\tqueue_full\tdisk_full\tio_error\ttoo_long\tfilter\town\n\
1795600000000000000\t1795600000000000000\t0\t0\t0\t0\t0\t0\t0\t0\t0\t0\t0\n\
1795600001000000000\t1795600000000000000\t100\t90\t9000\t0\t10\t0\t0\t0\t0\t0\t0\n\
1795600002000000000\t1795600000000000000\t300\t260\t26000\t5\t30\t0\t10\t0\t0\t0\t0\n\
1795603600000000000\t1795603600000000000\t0\t0\t0\t0\t0\t0\t0\t0\t0\t0\t0\n\
1795603601000000000\t1795603600000000000\t50\t40\t4000\t0\t0\t0\t0\t0\t0\t10\t0\n";

#[test]
fn loss_is_told_beside_an_answer_and_can_be_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("pcap/lan0");
    fs::create_dir_all(&source).unwrap();
    fs::write(source.join("active-000001.counters"), LOSS).unwrap();
    let store = folder.path().to_str().unwrap();
    let query = |query: &str| run(&["query", "--store", store, "--from", "1970-01-01", query]);
    let output = query(
        "tag=loss stats sum(seen) as seen sum(stored) as stored sum(lost) as lost sum(disk_full) as full by interface packet_tag | table -nt interface packet_tag seen stored lost full",
    );
    assert_eq!(output.rows(), [["lan0", "pcap", "350", "300", "40", "10"]]);
    let output = query("tag=loss eval lost > 15 | table TIMESTAMP interface lost ring_full");
    assert_eq!(
        output.rows(),
        [["2026-11-25T09:46:42.000000000Z", "lan0", "30", "20"]]
    );
    // Beside any answer over that time.
    let output = query("tag=pcap packet ipv4.SrcIP | table SrcIP");
    for part in [
        "note: lan0: 40 of 350 packets in this time were lost (ring full 30, disk full 10)",
        "note: lan0: 5 packets were cut to the snap length",
        "note: lan0: 10 packets were left out by the capture filter",
        "note: lan0: nothing was captured from 2026-11-25T09:46:42.000000000Z to 2026-11-25T10:46:40.000000000Z",
    ] {
        assert!(output.stderr.contains(part), "{part}: {}", output.stderr);
    }
    let elsewhere = run(&["query", "-r", "-", "tag=loss table"]);
    assert_eq!(elsewhere.code, Some(2));
    assert!(
        elsewhere.stderr.contains("name a store"),
        "{}",
        elsewhere.stderr
    );
}
