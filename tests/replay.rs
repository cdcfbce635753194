//! Stored packets played again answer as the files do, at every speed; and what is no replay.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::cut::OTHERS;
use crate::support::{self, capture, capture_sets, run, run_with_input};

/// As a table and as a chart; both have an order of their own.
const REFERENCE: [&str; 2] = [
    "tag=pcap packet ipv4.DstIP !~ PRIVATE ipv4.SrcIP tcp.DstPort | require DstPort \
     | count by SrcIP,DstIP,DstPort | count by SrcIP | sort by count desc SrcIP asc \
     | table -nt SrcIP count",
    "tag=pcap packet ipv4.DstIP !~ PRIVATE ipv4.SrcIP tcp.DstPort | require DstPort \
     | count by SrcIP,DstIP,DstPort | count by SrcIP,DstIP,DstPort | chart count by SrcIP limit 20",
];

/// The lines of an answer. Rows of one window have no order among each other.
fn lines<'a>(query: &str, text: &'a str) -> Vec<&'a str> {
    let mut lines: Vec<&str> = text.lines().collect();
    if query.contains(" over ") && lines.len() > 1 {
        lines[1..].sort_unstable();
    }
    lines
}

/// What a replay prints of all packets, and a query of the same file.
fn compare(file: &str, query: &str, speed: &str) -> usize {
    let asked = run(&["query", "-r", file, "--format", "tsv", query]);
    let played = run(&[
        "replay", "-r", file, "--speed", speed, "--every", "never", "--format", "tsv", query,
    ]);
    assert_eq!(played.code, asked.code, "{file} {query}: {}", played.stderr);
    assert_ne!(asked.code, Some(2), "{query}: {}", asked.stderr);
    let (got, expected) = (lines(query, played.text()), lines(query, asked.text()));
    assert_eq!(got, expected, "{file} {query} {speed}");
    // The same damage is told of.
    let warnings = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| line.starts_with("warning: "));
        lines.map(str::to_owned).collect()
    };
    assert_eq!(warnings(&played.stderr), warnings(&asked.stderr), "{file}");
    asked.text().lines().count().saturating_sub(1)
}

/// The captures of a set by its manifest.
fn captures(set: &Path) -> Vec<PathBuf> {
    let manifest = std::fs::read_to_string(set.join("MANIFEST.tsv")).unwrap();
    let names = manifest.lines().skip(1).map(|line| line.split('\t').next());
    names.map(|name| set.join(name.unwrap())).collect()
}

#[test]
fn every_capture_is_answered_alike_when_it_is_played_again() {
    let mut files: Vec<PathBuf> = capture_sets()
        .iter()
        .flat_map(|set| captures(set))
        .collect();
    files.sort_by(|one, other| one.file_name().cmp(&other.file_name()));
    files.dedup_by(|one, other| one.file_name() == other.file_name());
    assert!(files.len() > 60, "{}", files.len());
    let half = files.len().div_ceil(2);
    let rows = thread::scope(|scope| {
        let threads: Vec<_> = files
            .chunks(half)
            .map(|files| scope.spawn(|| compare_each(files)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum::<usize>()
    });
    assert!(rows > 1_000, "{rows} rows");
}

/// The reference query as table and chart, and one of the other queries in turn.
fn compare_each(files: &[PathBuf]) -> usize {
    let mut rows = 0;
    for (n, file) in files.iter().enumerate() {
        let file = file.to_str().unwrap();
        let other = OTHERS[n % OTHERS.len()];
        for query in REFERENCE.into_iter().chain([other]) {
            rows += compare(file, query, "max");
        }
    }
    rows
}

#[test]
fn folders_are_answered_alike_by_every_query_when_they_are_played_again() {
    for folder in [
        "bittorrent",
        "protocols",
        "pcapng",
        "malformed",
        "linktypes",
    ] {
        let folder = capture(folder);
        let rows: usize = REFERENCE
            .into_iter()
            .chain(OTHERS)
            .map(|query| compare(&folder, query, "max"))
            .sum();
        assert!(rows > 0, "{folder}");
    }
}

/// A pcap of Ethernet packets whose source addresses are numbers, by time in milliseconds.
fn pcap(packets: &[(u64, u8)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 1] {
        bytes.extend(word.to_le_bytes());
    }
    for (time_ms, source) in packets {
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
        frame.extend([0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, *source]);
        frame.extend([8, 8, 8, 8, 0x30, 0x39, 1, 187, 0, 0, 0, 0, 0, 0, 0, 0]);
        frame.extend([0x50, 2, 0, 0, 0, 0, 0, 0]);
        let words = [
            1_700_000_000 + time_ms / 1_000,
            time_ms % 1_000 * 1_000,
            frame.len() as u64,
            frame.len() as u64,
        ];
        for word in words {
            bytes.extend((word as u32).to_le_bytes());
        }
        bytes.extend(frame);
    }
    bytes
}

/// At the speed at which they came, too: they are due at once.
#[test]
fn packets_without_a_time_are_answered_alike() {
    let file = capture("pcapng/test011-le.pcapng");
    let windows = "tag=pcap packet frame.Len | count by Len over 1s | table Len count";
    for query in REFERENCE.into_iter().chain([windows]) {
        for speed in ["max", "1x"] {
            compare(&file, query, speed);
        }
    }
}

#[test]
fn packets_of_another_tag_are_not_played() {
    let file = capture("bittorrent/small_torrent_mse.pcap");
    let query = "tag=lan packet frame.Len | count | table -nt count";
    let played = run(&[
        "replay", "-r", &file, "--tag", "wan", "--speed", "max", query,
    ]);
    assert_eq!(played.code, Some(0), "{}", played.stderr);
    assert!(
        played
            .stderr
            .contains("asks for tag lan, but the files carry tag wan"),
        "{}",
        played.stderr
    );
    let asked = run(&["query", "-r", &file, "--tag", "wan", query]);
    assert!(!played.text().contains("window"), "{}", played.text());
    assert!(played.text().ends_with(asked.text()), "{}", played.text());
}

#[test]
fn packets_out_of_order_are_answered_alike() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("disorder.pcap");
    // Backwards in part, seconds late, and the same time twice.
    let packets: Vec<(u64, u8)> = (0..3_000u64)
        .map(|n| ((n * 7_919) % 3_000 * 20, (n % 23) as u8))
        .chain([(0, 1), (59_999, 2), (0, 1)])
        .collect();
    std::fs::write(&file, pcap(&packets)).unwrap();
    let file = file.to_str().unwrap();
    for query in REFERENCE.into_iter().chain(OTHERS) {
        assert!(compare(file, query, "max") > 0, "{query}");
        // With windows that close meanwhile the whole is the same.
        let last = |args: &[&str]| {
            let output = run(&[args, &["--format", "tsv", query]].concat());
            assert_eq!(output.code, Some(0), "{}", output.stderr);
            let text = output.text().to_owned();
            let place = text.find("# answer\n").unwrap();
            (
                text[place + 9..].to_owned(),
                text.matches("# window ").count(),
            )
        };
        let (answer, windows) = last(&["replay", "-r", file, "--speed", "max", "--every", "1s"]);
        let asked = run(&["query", "-r", file, "--format", "tsv", query]);
        assert_eq!(lines(query, &answer), lines(query, asked.text()), "{query}");
        assert!(windows >= 10, "{windows}: {query}");
    }
}

#[test]
fn a_replay_at_a_speed_shows_windows_in_order_and_not_early() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("twenty.pcap");
    // A packet each 50 ms for 20 s: two seconds at ten times the speed.
    let packets: Vec<(u64, u8)> = (0..400).map(|n| (n * 50, (n % 5) as u8)).collect();
    std::fs::write(&file, pcap(&packets)).unwrap();
    let file = file.to_str().unwrap();
    let query =
        "tag=pcap packet ipv4.SrcIP | count by SrcIP | sort by SrcIP asc | table -nt SrcIP count";
    let mut command = support::command(&[
        "replay", "-r", file, "--speed", "10x", "--every", "2s", "--format", "tsv", query,
    ]);
    let start = Instant::now();
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let lines: Vec<(Duration, String)> = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(|line| (start.elapsed(), line.unwrap()))
        .collect();
    assert!(child.wait().unwrap().success());
    let windows: Vec<&(Duration, String)> = lines
        .iter()
        .filter(|(_, line)| line.starts_with("# window "))
        .collect();
    let times: Vec<String> = (0..10)
        .map(|n| format!("# window 2023-11-14T22:13:{:02}.000000000Z 2s", 20 + 2 * n))
        .collect();
    let shown: Vec<&str> = windows.iter().map(|(_, line)| line.as_str()).collect();
    assert_eq!(shown, times);
    for (n, (at, line)) in windows.iter().enumerate().take(9) {
        // The first packet behind the window is due 200 ms later for each.
        let due = Duration::from_millis(200 * (n as u64 + 1));
        assert!(*at >= due, "{line} after {at:?}");
    }
    assert!(
        windows[1].0 < windows[8].0 - Duration::from_secs(1),
        "{windows:?}"
    );
    // Each window has its own packets: 40 of five sources.
    let place = lines
        .iter()
        .position(|(_, line)| line == "# answer")
        .unwrap();
    let rows = |lines: &[(Duration, String)], count: &str| {
        let rows = lines.iter().filter(|(_, line)| line.starts_with("10.0.0."));
        rows.filter(|(_, line)| line.ends_with(&format!("\t{count}")))
            .count()
    };
    assert_eq!(rows(&lines[..place], "8"), 50);
    assert_eq!(rows(&lines[place..], "80"), 5);
}

#[test]
fn captures_are_answered_alike_at_a_speed() {
    // A second of packets, at their own pace, and ten times as fast.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("second.pcap");
    let packets: Vec<(u64, u8)> = (0..1_000).map(|n| (n, (n % 7) as u8)).collect();
    std::fs::write(&file, pcap(&packets)).unwrap();
    for speed in ["1x", "10x"] {
        let start = Instant::now();
        compare(file.to_str().unwrap(), OTHERS[0], speed);
        let least = if speed == "1x" { 999 } else { 99 };
        assert!(start.elapsed() >= Duration::from_millis(least), "{speed}");
    }
    for query in REFERENCE.into_iter().chain(OTHERS) {
        compare(&capture("protocols/get.pcap"), query, "10x");
    }
}

#[test]
fn a_replay_reads_standard_input() {
    let file = capture("bittorrent/small_torrent_mse.pcap");
    let bytes = std::fs::read(&file).unwrap();
    for query in REFERENCE {
        let args = ["--speed", "max", "--every", "never", query];
        let piped = run_with_input(&[&["replay", "-r", "-"], &args[..]].concat(), &bytes);
        let direct = run(&["query", "-r", &file, query]);
        assert_eq!(piped.code, Some(0), "{}", piped.stderr);
        assert_eq!(piped.text(), direct.text());
        assert!(piped.text().contains("192.168.0.102"), "{}", piped.text());
    }
}

#[test]
fn what_is_no_live_query_is_told_with_its_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().to_str().unwrap();
    let file = capture("protocols/get.pcap");
    let all = "tag=pcap packet ipv4.SrcIP | count by SrcIP | table -nt SrcIP count";
    let missing = folder.path().join("missing.pcap");
    let missing = missing.to_str().unwrap();
    let cases: &[(&[&str], i32, &str)] = &[
        (
            &["query", "--live", all],
            2,
            "--live needs something that packets come from",
        ),
        (
            &["query", "--live", "-r", &file, all],
            2,
            "cannot be used with",
        ),
        (
            &["query", "--live", "--store", store, "--to", "now", all],
            2,
            "cannot be used with",
        ),
        (
            &["query", "--duration", "1s", "-r", &file, all],
            2,
            "--live",
        ),
        (
            &["query", "--live", "--store", store, "--every", "often", all],
            2,
            "'often'",
        ),
        (
            &["query", "--live", "--store", store, "--every", "0s", all],
            2,
            "'0s'",
        ),
        (
            &[
                "query",
                "--live",
                "--store",
                store,
                "--duration",
                "soon",
                all,
            ],
            2,
            "'soon'",
        ),
        (&["replay", all], 2, "--read"),
        (
            &["replay", "-r", &file, "--speed", "fast", all],
            2,
            "write 1x, 10x, 0.5x or max",
        ),
        (
            &["replay", "-r", &file, "--speed", "0x", all],
            2,
            "'0x' is no speed",
        ),
        (
            &["replay", "-r", &file, "tag=pcap packet tcp.Foo | table"],
            2,
            "error",
        ),
        (&["replay", "-r", missing, all], 1, "missing.pcap"),
        (&["replay", "-r", "Cargo.toml", all], 1, "Cargo.toml"),
        (
            &["query", "--live", "--store", store, all],
            1,
            "no agent writes to",
        ),
        (
            &["query", "--live", "--store", missing, all],
            1,
            "missing.pcap",
        ),
        (
            &["query", "--live", "--store", store, "tag=loss table"],
            2,
            "tag=loss",
        ),
    ];
    for (args, code, told) in cases {
        let output = run(args);
        assert_eq!(output.code, Some(*code), "{args:?}: {}", output.stderr);
        assert!(output.stdout.is_empty(), "{args:?}");
        assert!(output.stderr.contains(told), "{args:?}: {}", output.stderr);
        assert!(
            output.stderr.contains("error:"),
            "{args:?}: {}",
            output.stderr
        );
    }
}

#[test]
fn strict_turns_damage_into_exit_3() {
    let file = capture("protocols/get.pcap");
    let bytes = std::fs::read(&file).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.pcap");
    std::fs::write(&path, &bytes[..bytes.len() - 7]).unwrap();
    let path = path.to_str().unwrap();
    let count = "tag=pcap packet frame.Len | stats count | table -nt count";
    let replay = |more: &[&str]| {
        let args = ["replay", "-r", path, "--speed", "max", "--every", "never"];
        run(&[&args, more, &["--format", "tsv", count]].concat())
    };
    let tolerant = replay(&[]);
    assert_eq!(tolerant.rows(), [["13"]]);
    assert!(tolerant.stderr.contains("cut.pcap"), "{}", tolerant.stderr);
    let strict = replay(&["--strict"]);
    assert_eq!(strict.code, Some(3), "{}", strict.stderr);
    assert_eq!(strict.stdout, tolerant.stdout);
}
