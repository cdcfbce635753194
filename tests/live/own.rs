//! A live query that captures by itself: what it leaves behind, however it ends.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, SystemTime};

use crate::growing::{REFERENCE, asked};
use crate::program::command;
use crate::room::{alone, folder, has_xdp, path, root, veth, wait_until};
use crate::sender::tcpreplay;

const SAMPLE: &str = "tests/captures/bittorrent/small_torrent_mse.pcap";

/// A query of what fs0 gets, attached, in a process group as a shell gives it.
fn start(work: &Path, query: &str) -> Child {
    let file = |name: &str| Stdio::from(File::create(work.join(name)).unwrap());
    let temporary = work.join("temporary");
    let child = command(&["query", "--live", "-i", "fs0", "--every", "never"])
        .arg("--temp-dir")
        .arg(temporary)
        .args(["--format", "tsv", query])
        .process_group(0)
        .stdout(file("printed"))
        .stderr(file("said"))
        .spawn()
        .unwrap();
    wait_until("attached to fs0", || has_xdp("fs0"));
    child
}

/// To all of a process group, as a terminal sends it.
fn signal(child: &Child, signal: libc::c_int) {
    let group = i32::try_from(child.id()).unwrap();
    // SAFETY: signals the group of a child that has not been waited for.
    assert_eq!(unsafe { libc::kill(-group, signal) }, 0);
}

/// Whether a capture runs in these namespaces.
fn is_capturing() -> bool {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let mut lines = processes.filter_map(|it| std::fs::read(it.path().join("cmdline")).ok());
    lines.any(|line| line.split(|byte| *byte == 0).nth(1) == Some(b"capture"))
}

#[test]
fn ctrl_c_ends_the_query_and_its_capture_in_order() {
    if !alone(&ctrl_c_ends_the_query_and_its_capture_in_order) {
        return;
    }
    let work = folder();
    std::fs::create_dir(work.path().join("temporary")).unwrap();
    veth("fs0", "fs1", 9_000);
    for query in REFERENCE {
        let mut child = start(work.path(), query);
        let sent = tcpreplay("fs1", &["--pps", "5000"], &[&root().join(SAMPLE)]).packets;
        signal(&child, libc::SIGINT);
        let status = child.wait().unwrap();
        let read = |name| std::fs::read_to_string(work.path().join(name)).unwrap();
        let (printed, said) = (read("printed"), read("said"));
        assert_eq!(status.code(), Some(0), "{said}");
        assert!(!said.contains("error"), "{said}");
        let counted = format!("fs0: {sent} packets seen, {sent} stored, 0 dropped");
        assert!(said.contains(&counted), "{said}");
        if query == REFERENCE[0] {
            let mut lines: Vec<&str> = printed.lines().collect();
            lines[1..].sort_unstable();
            assert_eq!(
                lines,
                asked(&["query", "-r", SAMPLE, "--format", "tsv", query])
            );
        }
        let left = std::fs::read_dir(work.path().join("temporary")).unwrap();
        assert_eq!(left.count(), 0);
        assert!(!is_capturing() && !has_xdp("fs0"));
    }
}

#[test]
fn a_killed_query_takes_its_capture_with_it() {
    if !alone(&a_killed_query_takes_its_capture_with_it) {
        return;
    }
    let work = folder();
    let temporary = path(&work, "temporary");
    std::fs::create_dir(&temporary).unwrap();
    veth("fs0", "fs1", 9_000);
    let mut child = start(work.path(), REFERENCE[0]);
    assert!(is_capturing());
    signal(&child, libc::SIGKILL);
    child.wait().unwrap();
    wait_until("its capture has ended", || !is_capturing());
    assert!(!has_xdp("fs0"));
    // What it left goes with the next query, if nobody can be using it any more.
    let left = || -> Vec<_> {
        let entries = std::fs::read_dir(&temporary).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    };
    let [killed] = &left()[..] else {
        panic!("{:?}", left());
    };
    let next = |expected: &[&Path]| {
        let mut child = start(work.path(), REFERENCE[0]);
        signal(&child, libc::SIGTERM);
        child.wait().unwrap();
        assert_eq!(left(), expected);
    };
    next(&[killed]);
    let old = SystemTime::now() - Duration::from_secs(120);
    File::open(killed).unwrap().set_modified(old).unwrap();
    next(&[]);
}
