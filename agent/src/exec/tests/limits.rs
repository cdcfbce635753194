//! Queries that do not fit their memory, and what reaches the scan.

use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::util::pretty::pretty_format_batches;
use futures::TryStreamExt as _;

use super::{PACKET, Packet, options, pipeline, run_and_count};
use crate::capfile;
use crate::exec::scan::{ScanFile, ScanReport};
use crate::exec::{RunOptions, Source, explain, run};

#[test]
fn little_memory_spills_and_gives_the_same_answer() {
    let packets: Vec<Packet> = (0..300_000)
        .map(|n| (i64::from(n), n, n ^ 0xffff, Some((n % 7) as u16)))
        .collect();
    let query = format!("{PACKET} | count by SrcIP,DstIP | count | table -nt count");
    let expected = vec!["300000".to_owned()];
    let (_, rows, spilled) = run_and_count(&query, &packets, &options()).unwrap();
    assert_eq!((rows, spilled), (expected.clone(), 0));
    let small = RunOptions {
        memory_limit_bytes: 6 << 20,
        ..options()
    };
    let (_, rows, spilled) = run_and_count(&query, &packets, &small).unwrap();
    assert_eq!(rows, expected);
    assert!(spilled > 0);
}

#[test]
fn filters_of_the_reference_query_reach_the_scan() {
    let query = "tag=pcap packet ipv4.DstIP !~ PRIVATE ipv4.SrcIP tcp.DstPort \
                 | count by SrcIP,DstIP,DstPort | count by SrcIP,DstIP,DstPort \
                 | chart count by SrcIP limit 20";
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let text = runtime
        .block_on(explain(&pipeline(query), Source::default(), &options()))
        .unwrap();
    let (_, physical) = text.split_once("physical plan").unwrap();
    let scan = physical
        .lines()
        .find(|line| line.contains("CaptureScanExec"))
        .unwrap();
    assert!(
        scan.contains("pushed_filters=[NOT in_subnet(ipv4.DstIP)]"),
        "{scan}"
    );
    // Nothing above the scan tests addresses again.
    let mut above = physical.lines().filter(|line| line.contains("FilterExec"));
    assert!(!above.any(|line| line.contains("in_subnet")), "{physical}");
}

/// Packets of the capture of [`write_capture`].
const PACKETS: u32 = 150_000;

/// Ethernet and IPv4 headers, a source each, ten packets a millisecond.
fn write_capture(path: &Path) {
    let mut bytes = Vec::new();
    for field in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1] {
        bytes.extend(field.to_le_bytes());
    }
    for n in 0..PACKETS {
        let milliseconds = n / 10;
        for field in [milliseconds / 1000, milliseconds % 1000 * 1000, 34, 34] {
            bytes.extend(field.to_le_bytes());
        }
        bytes.extend([0; 12]);
        bytes.extend([8, 0, 0x45, 0, 0, 20, 0, 0, 0, 0, 64, 253, 0, 0]);
        // Some sources send more than the rest.
        let source = if n % 3 == 0 { n % 6 } else { n };
        bytes.extend((0x0800_0000 + source).to_be_bytes());
        bytes.extend([10, 0, 0, 1]);
    }
    std::fs::write(path, bytes).unwrap();
}

/// The answer as text, the plans that made it, and the packets that were read for it.
fn answer(query: &str, path: &Path, options: &RunOptions) -> (String, String, u64) {
    let inputs = capfile::discover(&[path.to_str().unwrap().to_owned()]).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    runtime.block_on(async {
        let report = Arc::new(ScanReport::default());
        let mut answer = run(
            &pipeline(query),
            ScanFile::tagged(inputs, "pcap").into(),
            options,
            report,
        )
        .await
        .unwrap();
        let batches: Vec<_> = (&mut answer.stream).try_collect().await.unwrap();
        let text = pretty_format_batches(&batches).unwrap().to_string();
        let plans = answer.explain_after_run();
        (text, plans, answer.report.packets_read())
    })
}

/// The sum of the last cells of the lines that have this cell.
fn total_of(table: &str, cell: &str) -> u64 {
    let cells = table.lines().map(|line| line.split('|').map(str::trim));
    let rows = cells.map(Iterator::collect::<Vec<_>>);
    rows.filter(|row| row.contains(&cell))
        .filter_map(|row| row.iter().rev().nth(1)?.parse::<u64>().ok())
        .sum()
}

#[test]
fn a_chart_beyond_memory_reads_its_input_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("many.pcap");
    write_capture(&path);
    let query = "tag=pcap packet ipv4.SrcIP | count by SrcIP | chart count by SrcIP limit 4";
    let (expected, plans, read) = answer(query, &path, &options());
    assert_eq!(read, u64::from(PACKETS));
    assert!(!plans.contains("StreamingTable"), "{plans}");
    // Two sources send 25,000 each; the third is the first of those that send one.
    for (name, total) in [
        ("134217728", 25_000),
        ("134217731", 25_000),
        ("134217729", 1),
    ] {
        assert_eq!(total_of(&expected, name), total, "{expected}");
    }
    assert_eq!(total_of(&expected, "count"), u64::from(PACKETS));
    let small = RunOptions {
        memory_limit_bytes: 8 << 20,
        ..options()
    };
    let (found, plans, read) = answer(query, &path, &small);
    assert!(plans.contains("StreamingTable"), "{plans}");
    assert_eq!(found, expected);
    assert_eq!(read, u64::from(PACKETS));
}
