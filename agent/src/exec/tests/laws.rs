//! Values that follow from how windows are merged again.

use super::{A, B, EXAMPLE, PACKET, Packet, X, Y, Z, options, sorted, try_run};
use crate::shape::Shape;

/// As many seconds of silence behind the example as make its first two seconds one bin.
const LATE: Packet = (319_500, 7, X, Some(443));

fn rows(query: &str, packets: &[Packet]) -> (Shape, Vec<String>) {
    let query = format!("{PACKET} | {query}");
    try_run(&query, packets, &options()).unwrap_or_else(|error| panic!("{query}: {error}"))
}

#[test]
fn the_worked_example_in_one_bin_of_two_windows() {
    let packets: Vec<Packet> = EXAMPLE.into_iter().chain([LATE]).collect();
    let keys = "SrcIP,DstIP,DstPort";
    let cases = [
        (
            format!("count by {keys} | chart count by SrcIP"),
            "count",
            ["6", "1", "1"],
        ),
        (
            format!("count by {keys} | count by {keys} | chart count by SrcIP"),
            "count",
            ["4", "1", "1"],
        ),
        (
            format!("count by {keys} | variance count by SrcIP | chart variance by SrcIP"),
            "variance",
            ["0.25", "0.0", "0.0"],
        ),
    ];
    for (query, name, [a, b, late]) in cases {
        let (shape, mut found) = rows(&query, &packets);
        let Shape::Chart(axis) = shape else {
            panic!("{query}: no chart");
        };
        assert_eq!(
            (axis.window_ns, axis.bin_ns),
            (1_000_000_000, 2_000_000_000)
        );
        found.sort();
        let mut expected = vec![
            format!("0 {name} false {A} {a}"),
            format!("0 {name} false {B} {b}"),
            format!("318000000000 {name} false 7 {late}"),
        ];
        expected.sort();
        assert_eq!(found, expected, "{query}");
    }
}

/// Entries of five seconds, four sources, some without a port (xorshift64).
fn random_packets() -> Vec<Packet> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    (0..2000)
        .map(|n| {
            let port = (next(10) > 0).then(|| next(60_000) as u16);
            let (source, target) = (next(4) as u32, next(50) as u32);
            (n * 5 / 2, A + source, X + target, port)
        })
        .collect()
}

fn nearly_equal(a: &str, b: &str) -> bool {
    let (a, b): (Vec<f64>, Vec<f64>) = (numbers(a), numbers(b));
    a.len() == b.len()
        && a.iter()
            .zip(&b)
            .all(|(a, b)| (a - b).abs() <= 1e-9 * a.abs().max(b.abs()))
}

fn numbers(row: &str) -> Vec<f64> {
    row.split(' ')
        .map(|cell| cell.parse().unwrap_or_else(|_| panic!("{row}")))
        .collect()
}

#[test]
fn windows_merged_again_are_the_condensed_answer() {
    let packets = random_packets();
    let calls = [
        ("stats count", "count"),
        ("stats sum(DstPort)", "sum"),
        ("stats total(DstPort)", "total"),
        ("stats mean(DstPort)", "mean"),
        ("stats stddev(DstPort)", "stddev"),
        ("stats variance(DstPort)", "variance"),
        ("stats min(DstPort)", "min"),
        ("stats max(DstPort)", "max"),
        ("stats unique_count(DstIP)", "unique_count"),
        ("stats unique_count(DstPort)", "unique_count"),
        ("entropy DstIP", "entropy"),
    ];
    for (call, name) in calls {
        let windowed = format!("{call} by SrcIP over 1s | table SrcIP {name}");
        let condensed = format!("{call} by SrcIP | table -nt SrcIP {name}");
        let mut windowed = rows(&windowed, &packets).1;
        let mut condensed = rows(&condensed, &packets).1;
        windowed.sort();
        condensed.sort();
        assert_eq!(condensed.len(), 4, "{call}");
        assert_eq!(windowed.len(), 4, "{call}");
        for (windowed, condensed) in windowed.iter().zip(&condensed) {
            assert!(
                nearly_equal(windowed, condensed),
                "{call}: {windowed} and {condensed}"
            );
        }
    }
}

#[test]
fn a_chart_names_all_but_one_series_of_its_limit() {
    let packets: Vec<Packet> = [(1, 50), (2, 30), (3, 7), (4, 5)]
        .into_iter()
        .flat_map(|(source, times)| (0..times).map(move |n| (n, source, X + n as u32, Some(80))))
        .collect();
    let cases = [
        (
            "count by SrcIP | chart count by SrcIP limit 3",
            "0 count false 1 50|0 count false 2 30|0 count true - 12",
        ),
        (
            "count by SrcIP | chart count by SrcIP limit 4",
            "0 count false 1 50|0 count false 2 30|0 count false 3 7|0 count false 4 5",
        ),
        // The others together reach the same targets: their sets are united, not added.
        (
            "stats unique_count(DstIP) as u by SrcIP | chart u by SrcIP limit 3",
            "0 u false 1 50|0 u false 2 30|0 u true - 7",
        ),
    ];
    for (query, expected) in cases {
        let expected: Vec<_> = expected.split('|').collect();
        assert_eq!(rows(query, &packets).1, expected, "{query}");
    }
}

#[test]
fn totals_accumulate_over_the_bins() {
    let query = "stats total(DstPort) as t by SrcIP | chart t by SrcIP";
    let (_, mut found) = rows(query, &EXAMPLE);
    found.sort();
    let first = 443 + 443 + 6881;
    let mut expected = [
        format!("0 t false {A} {first}"),
        format!("1000000000 t false {A} {}", first + 443 + 6881 + 6881),
        format!("1000000000 t false {B} 443"),
    ];
    expected.sort();
    assert_eq!(found, expected);
}

#[test]
fn first_entries_and_differences() {
    // Entries come newest first, so the first of a key is its newest.
    let cases = [
        (
            "unique SrcIP | table SrcIP DstIP",
            vec![format!("{A} {Z}"), format!("{B} {X}")],
        ),
        (
            "unique DstIP | table SrcIP DstIP",
            vec![format!("{B} {X}"), format!("{A} {Y}"), format!("{A} {Z}")],
        ),
        (
            "limit 1 by DstIP | table SrcIP DstIP",
            vec![format!("{B} {X}"), format!("{A} {Y}"), format!("{A} {Z}")],
        ),
        (
            "limit 2 by DstPort | table SrcIP DstIP",
            vec![
                format!("{A} {X}"),
                format!("{B} {X}"),
                format!("{A} {Z}"),
                format!("{A} {Z}"),
            ],
        ),
        (
            "diff DstPort by SrcIP | table SrcIP diff",
            vec![
                format!("{A} -"),
                format!("{A} 0"),
                format!("{A} -6438"),
                format!("{A} 6438"),
                format!("{A} -6438"),
                format!("{A} 0"),
                format!("{B} -"),
            ],
        ),
        (
            "sort by time asc | diff DstPort by SrcIP | table SrcIP diff",
            vec![
                format!("{A} -"),
                format!("{A} 0"),
                format!("{A} 6438"),
                format!("{A} -6438"),
                format!("{A} 6438"),
                format!("{A} 0"),
                format!("{B} -"),
            ],
        ),
    ];
    for (query, mut expected) in cases {
        expected.sort();
        assert_eq!(sorted(&format!("{PACKET} | {query}")), expected, "{query}");
    }
}

#[test]
fn several_key_lists_in_one_stage() {
    let query =
        "stats count as a by SrcIP count as b by DstIP count as c | table -nt SrcIP DstIP a b c";
    let mut expected = [
        format!("{A} - 6 - -"),
        format!("{B} - 1 - -"),
        format!("- {X} - 4 -"),
        format!("- {Y} - 1 -"),
        format!("- {Z} - 2 -"),
        "- - - - 7".to_owned(),
    ];
    expected.sort();
    assert_eq!(sorted(&format!("{PACKET} | {query}")), expected);
}

#[test]
fn answers_are_the_same_every_time() {
    let packets = random_packets();
    for query in [
        "diff DstPort by SrcIP | table SrcIP diff",
        "limit 3 by SrcIP | table SrcIP DstIP DstPort",
        "count by SrcIP,DstPort | sort by count desc | limit 20 | table -nt SrcIP DstPort count",
    ] {
        let first = rows(query, &packets).1;
        assert!(first.len() > 4, "{query}");
        for _ in 0..3 {
            assert_eq!(rows(query, &packets).1, first, "{query}");
        }
    }
}
