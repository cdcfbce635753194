//! Bad input, one by one: the documented exit code, a message worth reading, no panic.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::{capture, run, run_with_input};

const COUNT: &str = "tag=pcap packet frame.Len | stats count | table -nt count";

/// The run fails with this exit code and a message that contains each of `words`.
fn fails(args: &[&str], code: i32, words: &[&str]) {
    let output = run(args);
    assert_eq!(output.code, Some(code), "{args:?}: {}", output.stderr);
    for word in words {
        assert!(
            output.stderr.contains(word),
            "{args:?}: no '{word}' in: {}",
            output.stderr
        );
    }
}

#[test]
fn missing_files_and_empty_folders() {
    fails(
        &["query", "-r", "/no/such/file.pcap", COUNT],
        1,
        &["/no/such/file.pcap"],
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    fails(&["query", "-r", path, COUNT], 1, &[path]);
    fs::write(folder.path().join("notes.txt"), "not a capture").unwrap();
    fails(&["query", "-r", path, COUNT], 1, &[path]);
    fails(
        &["query", "-r", &format!("{path}/*.pcap"), COUNT],
        1,
        &["*.pcap"],
    );
}

#[test]
fn files_that_are_no_captures() {
    let folder = tempfile::tempdir().unwrap();
    // Nothing to read is damage: an answer over no packets, a warning, exit 3 if asked for.
    let empty = folder.path().join("empty.pcap");
    fs::write(&empty, b"").unwrap();
    fails(
        &["query", "-r", empty.to_str().unwrap(), "--strict", COUNT],
        3,
        &["empty.pcap"],
    );
    let text = folder.path().join("text.pcap");
    fs::write(&text, b"hello, this is no capture\n").unwrap();
    fails(
        &["query", "-r", text.to_str().unwrap(), COUNT],
        1,
        &["text.pcap"],
    );
    let output = run_with_input(&["query", "-r", "-", "--strict", COUNT], b"");
    assert_eq!(output.code, Some(3), "{}", output.stderr);
}

/// Random bytes behind each magic number: some answer or some error, but an end.
#[test]
fn random_bytes_behind_each_magic_number() {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let magics: [&[u8]; 6] = [
        &[0xd4, 0xc3, 0xb2, 0xa1],
        &[0xa1, 0xb2, 0x3c, 0x4d],
        &[0x0a, 0x0d, 0x0d, 0x0a],
        &[0x1f, 0x8b, 0x08],
        &[0x28, 0xb5, 0x2f, 0xfd],
        &[0xfd, b'7', b'z', b'X', b'Z', 0],
    ];
    for magic in magics {
        let mut bytes = magic.to_vec();
        for _ in 0..4096 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes.push(state as u8);
        }
        let output = run_with_input(&["query", "-r", "-", COUNT], &bytes);
        assert!(matches!(output.code, Some(0 | 1)), "{magic:x?}: {output:?}");
        assert!(
            !output.stderr.is_empty(),
            "{magic:x?}: damage was not reported"
        );
    }
}

#[test]
fn an_unknown_link_type_is_counted_not_refused() {
    let output = run(&[
        "query",
        "-r",
        &capture("linktypes/unsupported-link-type-dbus.pcap"),
        COUNT,
    ]);
    assert_eq!(output.rows(), [["2"]]);
}

#[test]
fn output_that_cannot_be_written() {
    let file = capture("bittorrent/bittorrent.pcap");
    fails(
        &["query", "-r", &file, "-o", "/no/such/folder/x.tsv", COUNT],
        1,
        &["/no/such/folder/x.tsv"],
    );
    if fs::metadata("/dev/full").is_ok() {
        fails(
            &[
                "query",
                "-r",
                &file,
                "-o",
                "/dev/full",
                "--format",
                "tsv",
                COUNT,
            ],
            1,
            &["error"],
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ro");
    fs::create_dir(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o555)).unwrap();
    let target = path.join("out.tsv");
    if fs::write(&target, "").is_ok() {
        eprintln!("SKIPPED: root may write into a read-only folder");
    } else {
        fails(
            &["query", "-r", &file, "-o", target.to_str().unwrap(), COUNT],
            1,
            &["out.tsv"],
        );
    }
}

#[test]
fn pictures_do_not_fit_rows() {
    let file = capture("bittorrent/bittorrent.pcap");
    fails(
        &["query", "-r", &file, "--format", "svg", COUNT],
        2,
        &["svg"],
    );
}

#[test]
fn a_wrong_query_fails_at_its_stage() {
    let file = capture("bittorrent/bittorrent.pcap");
    for (query, words) in [
        ("tag=pcap packet tcp.Foo | table", &["tcp.Foo"][..]),
        ("tag=pcap paket tcp.DstPort | table", &["paket", "packet"]),
        ("tag=pcap packet ipv4.SrcIP < 10.0.0.1 | table", &["<"]),
        ("tag=pcap packet eth.SrcMAC ~ aa:bb | table", &["~"]),
        (
            "tag=pcap packet tcp.DstPort | cuont by DstPort | table",
            &["cuont", "count"],
        ),
        (
            "tag=pcap packet tcp.DstPort | stats count over 1m by DstPort | table",
            &["over"],
        ),
        (
            "tag=pcap packet tcp.DstPort | regex -e DstPort \"(\" | table",
            &["regex"],
        ),
        (
            "tag=pcap packet tcp.DstPort | eval DstPort == | table",
            &["eval"],
        ),
        ("tag=pcap packet tcp.DstPort | table | chart", &["renderer"]),
        (
            "tag=pcap packet tcp.Payload | grep -e Payload \"GET",
            &["quote"],
        ),
    ] {
        let output = run(&["query", "-r", &file, query]);
        assert_eq!(output.code, Some(2), "{query}: {}", output.stderr);
        assert!(
            output.stderr.contains("error:"),
            "{query}: {}",
            output.stderr
        );
        assert!(
            output.stderr.contains('^'),
            "{query}: no place is shown: {}",
            output.stderr
        );
        for word in words {
            assert!(
                output.stderr.contains(word),
                "{query}: no '{word}' in: {}",
                output.stderr
            );
        }
    }
}

#[test]
fn a_filter_out_of_range_warns_and_matches_nothing() {
    let file = capture("bittorrent/bittorrent.pcap");
    let output = run(&[
        "query",
        "-r",
        &file,
        "--format",
        "tsv",
        "tag=pcap packet ipv4.TTL == 4711 | table TTL",
    ]);
    assert_eq!(output.rows().len(), 0);
    assert!(output.stderr.contains("warning:"), "{}", output.stderr);
}
