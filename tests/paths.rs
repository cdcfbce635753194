//! The same answer by every path: threads, divided files, compression, standard input, memory.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use crate::support::{capture, run, run_with_input};

const QUERIES: [&str; 4] = [
    "tag=pcap packet ipv4.SrcIP ipv4.DstIP tcp.DstPort frame.Len | stats count sum(Len) as bytes by SrcIP DstIP DstPort | sort by SrcIP asc DstIP asc DstPort asc | table -nt SrcIP DstIP DstPort count bytes",
    "tag=pcap packet tcp.DstPort != 80 ipv4.IP !~ 10.0.0.0/8 | count by IP | sort by count desc IP asc | table -nt IP count",
    "tag=pcap packet udp.Port frame.Len > 100 | unique Port | sort by Port asc | table Port",
    "tag=pcap packet ipv4.SrcIP tcp.DstPort | count by SrcIP,DstPort | count by SrcIP | chart count by SrcIP limit 5",
];

/// A capture large enough to be divided: the packets of another one, again and again, each time
/// with another first byte of the source address, so that the answers differ by place.
fn large(path: &Path) {
    let small = fs::read(capture("bittorrent/gnutella.pcap")).unwrap();
    let (header, records) = small.split_at(24);
    let mut file = fs::File::create(path).unwrap();
    file.write_all(header).unwrap();
    for round in 0..24_u8 {
        let mut records = records.to_vec();
        let mut at = 0;
        while at + 16 <= records.len() {
            let length = u32::from_le_bytes(records[at + 8..at + 12].try_into().unwrap()) as usize;
            if length > 26 {
                records[at + 16 + 26] = round;
            }
            at += 16 + length;
        }
        file.write_all(&records).unwrap();
    }
}

#[test]
fn threads_memory_and_standard_input_change_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.pcap");
    large(&path);
    let bytes = fs::read(&path).unwrap();
    assert!(
        bytes.len() > 8 << 20,
        "{} bytes are not divided",
        bytes.len()
    );
    let file = path.to_str().unwrap();
    for query in QUERIES {
        let one = run(&["query", "-r", file, "--threads", "1", query]);
        assert!(one.rows().len() > 4, "{query}");
        for args in [
            &["--threads", "2"][..],
            &["--threads", "5"],
            &["--memory", "8MiB"],
        ] {
            let mut all = vec!["query", "-r", file];
            all.extend(args);
            all.push(query);
            assert_eq!(run(&all), one, "{args:?} {query}");
        }
        let piped = run_with_input(&["query", "-r", "-", query], &bytes);
        assert_eq!(piped.stdout, one.stdout, "{query}");
    }
}

/// A filter that the scan decides on packets keeps what the engine's own filter keeps on rows:
/// behind a limit it cannot be pushed down.
#[test]
fn pushed_filters_keep_what_filters_on_rows_keep() {
    let filters = [
        ("tcp.DstPort", "< 1000", "eval v < 1000"),
        ("tcp.DstPort", "!= 80", "require v | eval v != 80"),
        ("udp.DstPort", ">= 6881", "eval v >= 6881"),
        ("ipv4.TTL", "== 64", "eval v == 64"),
        ("ipv4.SrcIP", "~ 10.0.0.0/8", "ip v ~ 10.0.0.0/8"),
        ("ipv4.SrcIP", "!~ PRIVATE", "require v | ip v !~ PRIVATE"),
        ("ipv6.DstIP", "~ ff00::/8", "ip v ~ ff00::/8"),
        ("tcp.SYN", "== true", "eval v == true"),
        ("frame.Len", "> 100", "eval v > 100"),
    ];
    let mut kept = 0;
    for file in [
        "bittorrent/gnutella.pcap",
        "bittorrent/small_torrent_mse.pcap",
    ] {
        for (field, test, stages) in filters {
            let pushed = format!("tag=pcap packet {field} {test} | stats count | table -nt count");
            let rows = format!(
                "tag=pcap packet {field} as v | limit 1000000000 | {stages} | stats count | table -nt count"
            );
            let path = capture(file);
            let (pushed, rows) = (
                run(&["query", "-r", &path, &pushed]),
                run(&["query", "-r", &path, &rows]),
            );
            assert_eq!(pushed.rows(), rows.rows(), "{file} {field} {test}");
            kept += pushed
                .rows()
                .iter()
                .map(|row| row[0].parse::<u64>().unwrap())
                .sum::<u64>();
        }
    }
    assert!(kept > 10_000, "the filters kept {kept} packets");
}

/// More keys than the memory limit holds: the engine spills, and is right. (Twenty million keys
/// under 64 MiB were tried by hand: right, in 100 MB; here a million under 16 MiB.)
#[test]
fn a_million_keys_under_a_small_limit() {
    const PORTS: u32 = 65_536;
    const SOURCES: u8 = 16;
    // pcap header; then per record its header, Ethernet, IPv4 and TCP without options.
    let mut frame = vec![0_u8; 16 + 54];
    frame[8] = 54;
    frame[12] = 54;
    frame[16 + 12] = 8;
    frame[16 + 14..16 + 18].copy_from_slice(&[0x45, 0, 0, 40]);
    frame[16 + 23] = 6;
    frame[16 + 46] = 0x50;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.pcap");
    let mut file = std::io::BufWriter::new(fs::File::create(&path).unwrap());
    let header = [
        0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0,
    ];
    file.write_all(&header).unwrap();
    for source in 0..SOURCES {
        frame[16 + 29] = source;
        for port in 0..PORTS {
            frame[16 + 36] = (port >> 8) as u8;
            frame[16 + 37] = port as u8;
            file.write_all(&frame).unwrap();
        }
    }
    file.into_inner().unwrap();
    let output = run(&[
        "query",
        "-r",
        path.to_str().unwrap(),
        "--memory",
        "16MiB",
        "tag=pcap packet ipv4.SrcIP tcp.DstPort | count by SrcIP,DstPort | stats count sum(count) as packets by SrcIP | sort by SrcIP asc | table -nt SrcIP count packets",
    ]);
    let expected: Vec<_> = (0..SOURCES)
        .map(|source| {
            vec![
                format!("0.0.0.{source}"),
                PORTS.to_string(),
                PORTS.to_string(),
            ]
        })
        .collect();
    assert_eq!(output.rows(), expected);
}
