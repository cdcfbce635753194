//! The command line as an interface: exit codes, streams, formats, times.

use std::io::Read as _;
use std::process::Stdio;

use crate::support::{self, capture, run, run_with_input};

const SMALL: &str = "bittorrent/small_torrent_mse.pcap";
const ALL: &str =
    "tag=pcap packet ipv4.SrcIP | count by SrcIP | sort by count desc | table -nt SrcIP count";

#[test]
fn usage_errors_exit_with_2() {
    for args in [
        &["query"][..],
        &["query", "tag=pcap | table"],
        &["query", "-r", "x", "--format", "nonsense", "tag=pcap"],
        &["query", "-r", "x", "--from", "yesterdayish", "tag=pcap"],
        &["no-such-command"],
    ] {
        let output = run(args);
        assert_eq!(output.code, Some(2), "{args:?}: {}", output.stderr);
        assert!(output.stdout.is_empty(), "{args:?}");
        assert!(
            output.stderr.starts_with("error:"),
            "{args:?}: {}",
            output.stderr
        );
    }
}

#[test]
fn standard_input_equals_the_file() {
    let file = capture(SMALL);
    let direct = run(&["query", "-r", &file, ALL]);
    let piped = run_with_input(&["query", "-r", "-", ALL], &std::fs::read(&file).unwrap());
    assert_eq!(direct.code, Some(0), "{}", direct.stderr);
    assert_eq!(direct.stdout, piped.stdout);
}

#[test]
fn several_files_are_one_stream() {
    let count = "tag=pcap packet frame.Len | stats count | table -nt count";
    let (one, two) = (capture(SMALL), capture("bittorrent/bittorrent.pcap"));
    let output = run(&["query", "-r", &one, "-r", &two, count]);
    assert_eq!(output.rows(), [["1238"]]);
    // The newest packet of both files.
    let newest = "tag=pcap packet frame.Len | limit 1 | table TIMESTAMP Len";
    let output = run(&["query", "-r", &two, "-r", &one, newest]);
    assert_eq!(output.rows()[0][0], "2016-10-29T07:49:08.134455000Z");
}

#[test]
fn time_bounds_select_packets() {
    let count = "tag=pcap packet frame.Len | stats count | table -nt count";
    let file = capture(SMALL);
    let bounded = |args: &[&str]| {
        let mut all = vec!["query", "-r", &file];
        all.extend(args);
        all.push(count);
        run(&all).rows()[0][0].parse::<u64>().unwrap()
    };
    let before = bounded(&["--to", "2016-10-29T07:48:50Z"]);
    let after = bounded(&["--from", "2016-10-29T07:48:50Z"]);
    assert!(before > 0 && after > 0, "{before} {after}");
    assert_eq!(before + after, 939);
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let file = capture("bittorrent/gnutella.pcap");
    let mut command = support::command(&[
        "query",
        "-r",
        &file,
        "tag=pcap packet ipv4.SrcIP ipv4.DstIP | table",
    ]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut stderr = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut stderr)
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
    assert!(!stderr.to_lowercase().contains("broken pipe"), "{stderr}");
}

#[test]
fn strict_turns_damage_into_exit_3() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.pcap");
    let bytes = std::fs::read(capture(SMALL)).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 7]).unwrap();
    let path = path.to_str().unwrap();
    let count = "tag=pcap packet frame.Len | stats count | table -nt count";
    let tolerant = run(&["query", "-r", path, count]);
    assert_eq!(
        (tolerant.code, tolerant.rows()),
        (Some(0), vec![vec!["938"]])
    );
    assert!(tolerant.stderr.contains("cut.pcap"), "{}", tolerant.stderr);
    let strict = run(&["query", "-r", path, "--strict", count]);
    assert_eq!(strict.code, Some(3));
    assert_eq!(strict.stdout, tolerant.stdout);
}

#[test]
fn matching_packets_are_written_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.pcap");
    let out = out.to_str().unwrap();
    let file = capture(SMALL);
    let output = run(&[
        "query",
        "-r",
        &file,
        "-w",
        out,
        "tag=pcap packet udp.Port == 6881 | sort by time asc | pcap",
    ]);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let text = "tag=pcap packet udp.Port == 6881 frame.Len | sort by time asc | hex";
    let from_source = run(&["query", "-r", &file, text]);
    let from_copy = run(&["query", "-r", out, text]);
    assert!(
        from_source.text().lines().count() > 10,
        "{}",
        from_source.text()
    );
    assert_eq!(from_source.stdout, from_copy.stdout);
}

#[test]
fn the_reference_is_there() {
    let fields = run(&["fields", "DstPort"]);
    assert!(fields.text().contains("tcp.DstPort"), "{}", fields.text());
    let modules = run(&["modules"]);
    assert!(
        modules
            .text()
            .lines()
            .any(|line| line.starts_with("stats ")),
        "{}",
        modules.text()
    );
    assert_eq!(run(&["modules", "stats"]).code, Some(0));
    let unknown = run(&["modules", "statz"]);
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.stderr.contains("'stats'"), "{}", unknown.stderr);
    assert!(run(&["completions", "bash"]).text().contains("flowsift"));
}

#[test]
fn parse_prints_the_pipeline() {
    let text = run(&[
        "parse",
        "tag=pcap packet tcp.DstPort | count by DstPort | table DstPort count",
    ]);
    assert_eq!(text.code, Some(0), "{}", text.stderr);
    let json = run(&[
        "parse",
        "--format",
        "json",
        "tag=pcap packet tcp.Foo | table",
    ]);
    assert_eq!(json.code, Some(2));
    let report: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(report["valid"], false);
    assert_eq!(report["diagnostics"][0]["severity"], "error");
}

#[test]
fn an_empty_answer_says_what_each_stage_left() {
    let get = "protocols/get.pcap";
    // The cheapest filter runs first, and is counted where it stands.
    let pushed = "tag=pcap packet ipv4.SrcIP ~ 141.142.0.0/16 | packet tcp.DstPort == 80 \
                  tcp.Payload | packet frame.Len > 100 | grep -e Payload NOPE | table Payload";
    let condensed = "tag=pcap packet tcp.DstPort == 80 | count by DstPort | eval count > 100 \
                     | table DstPort count";
    let limited = "tag=pcap packet frame.Len > 0 | limit 20 30 | require Len | table Len";
    let range = "tag=pcap start=2001-01-01 end=2001-01-02 packet frame.Len > 0 | table Len";
    let cases: [(&str, &[&str]); 4] = [
        (pushed, PUSHED),
        (condensed, CONDENSED),
        (limited, LIMITED),
        (range, RANGE),
    ];
    for (query, expected) in cases {
        let output = support::query(&capture(get), query);
        assert_eq!(output.rows().len(), 0, "{query}");
        let notes = |output: &support::Output| -> Vec<String> {
            let lines = output.stderr.lines();
            lines
                .filter_map(|line| line.strip_prefix("note: "))
                .map(str::to_owned)
                .collect()
        };
        assert_eq!(notes(&output), expected, "{query}");
        // Standard input can be read twice, too.
        let bytes = std::fs::read(capture(get)).unwrap();
        let piped = run_with_input(&["query", "-r", "-", query], &bytes);
        assert_eq!(notes(&piped), expected, "{query}");
    }
}

/// What the notes of the four empty answers say.
const PUSHED: &[&str] = &[
    "no rows: 14 packets read",
    "stage 1: packet ipv4.SrcIP ~ 141.142.0.0/16: 7 of 14 entries left",
    "stage 2: packet tcp.DstPort == 80 tcp.Payload: 7 of 7 entries left",
    "stage 3: packet frame.Len > 100: 1 of 7 entries left",
    "stage 4: grep -e Payload NOPE: 0 of 1 entries left; nothing is left here",
];
const CONDENSED: &[&str] = &[
    "no rows: 14 packets read",
    "stage 1: packet tcp.DstPort == 80: 7 of 14 entries left",
    "stage 3: eval count > 100: 0 of 1 entries left; nothing is left here",
];
const LIMITED: &[&str] = &[
    "no rows: 14 packets read",
    "stage 1: packet frame.Len > 0: 14 of 14 entries left",
    "stage 2: limit 20 30: 0 of 14 entries left; nothing is left here",
];
const RANGE: &[&str] = &[
    "no rows: 14 packets read",
    "time range: 0 of 14 packets in it; nothing is left here",
];

#[test]
fn a_query_reads_the_tags_that_it_names() {
    let file = capture(SMALL);
    let count = |flags: &[&str], tag: &str| {
        let query = format!("{tag} packet ipv4.SrcIP | count | table -nt count");
        let output = run(&[&["query", "-r", &file], flags, &[query.as_str()]].concat());
        let rows = output.rows().concat().join(",");
        (rows, output.stderr.contains("but the files carry tag"))
    };
    let all = ("939".to_owned(), false);
    assert_eq!(count(&[], "tag=pcap"), all);
    assert_eq!(count(&[], "tag=default"), all);
    assert_eq!(count(&["--tag", "lan"], "tag=wan,l*"), all);
    assert_eq!(count(&[], "tag=lan"), (String::new(), true));
    assert_eq!(count(&["--tag", "lan"], "tag=pcap"), (String::new(), true));
}
