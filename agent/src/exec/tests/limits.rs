//! Queries that do not fit their memory, and what reaches the scan.

use super::{PACKET, Packet, options, pipeline, run_and_count};
use crate::exec::{RunOptions, explain};

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
        .block_on(explain(&pipeline(query), Vec::new(), &options()))
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
