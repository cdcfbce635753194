//! `kill -9` at any moment: the next start puts the store in order, and what had time to be
//! written is there.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use flowsift::store::{Filter, Snapshot};

use crate::pcap;
use crate::program::{Capture, command};
use crate::queries::{From, answer};
use crate::room::{alone, folder, path, root, say, veth};

/// What may be missing: the time that a packet may stay in memory, and as much again for a machine
/// that is busy.
const MAY_BE_LOST_NS: u64 = 500_000_000;

/// The sender sends every 50 microseconds, but may have to wait for a processor.
const HOLE_NS: u64 = 200_000_000;

#[test]
fn a_killed_capture_leaves_a_store_in_order() {
    if !alone(&a_killed_capture_leaves_a_store_in_order) {
        return;
    }
    let work = folder();
    let store = path(&work, "store");
    let killed_at = kill_again_and_again(&store, &[], 200);
    let source = Path::new(&store).join("pcap/fs0");
    let packets = pcap::stored(&source);
    let (rows, _) = answer(
        From::Store(Path::new(&store)),
        "tag=pcap packet frame.Len | count | table -nt count",
    );
    assert_eq!(rows, [[packets.len().to_string()]]);
    // As another reader counts them.
    let counted: usize = pcap::files(&source, "pcap")
        .iter()
        .map(|file| {
            let output = Command::new("tcpdump")
                .args(["-n", "-r"])
                .arg(file)
                .output()
                .unwrap();
            assert!(output.status.success(), "{output:?}");
            output.stdout.iter().filter(|byte| **byte == b'\n').count()
        })
        .sum();
    assert_eq!(counted, packets.len());
    let times: BTreeSet<u64> = packets.iter().map(|packet| packet.time_ns).collect();
    say(&format!("{} packets stored", packets.len()));
    check_runs(&killed_at, &times);
}

#[test]
fn a_killed_capture_of_tuples_leaves_a_store_in_order() {
    if !alone(&a_killed_capture_of_tuples_leaves_a_store_in_order) {
        return;
    }
    let work = folder();
    let store = path(&work, "store");
    // Not more: a debug build takes long to make the tables that all of them left.
    let killed_at = kill_again_and_again(&store, &["--no-pcap"], 40);
    let source = Path::new(&store).join("pcap/fs0");
    assert!(pcap::files(&source, "pcap").is_empty());
    assert!(pcap::files(&source, "tuples").is_empty());
    let mut times = Vec::new();
    let snapshot = Snapshot::take(Path::new(&store), &Filter::default()).unwrap();
    for file in &snapshot.files {
        let table = file.open_tuples().unwrap();
        for group in 0..table.groups() {
            times.extend(table.times(group).unwrap().values);
        }
    }
    let (rows, _) = answer(
        From::Store(Path::new(&store)),
        "tag=pcap packet frame.Len | count | table -nt count",
    );
    assert_eq!(rows, [[times.len().to_string()]]);
    say(&format!(
        "{} tuples stored in {} files",
        times.len(),
        snapshot.files.len()
    ));
    let times: BTreeSet<u64> = times.into_iter().map(i64::cast_unsigned).collect();
    check_runs(&killed_at, &times);
}

/// Kills captures while packets come, and recovers; the start and the end of each.
fn kill_again_and_again(store: &str, arguments: &[&str], long: u32) -> Vec<(Duration, Duration)> {
    let rounds = match std::env::var_os("FLOWSIFT_LONG") {
        Some(value) if value == "1" => long,
        _ => 20,
    };
    veth("fs0", "fs1", 9_000);
    let file = root().join("tests/captures/bittorrent/bittorrent.pcap");
    let mut sender = Command::new("tcpreplay")
        .args(["-i", "fs1", "--pps", "20000", "--loop", "1000000", "-q"])
        .arg(&file)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut killed_at = Vec::new();
    for round in 0..rounds {
        let arguments = [&["--store", store, "-C", "2MB"], arguments].concat();
        let mut capture = Capture::start(&arguments, &["fs0"]);
        // From nothing to two seconds, in an order that looks like chance.
        let wait = Duration::from_millis(u64::from(round * 577_u32 % 2_000));
        std::thread::sleep(wait);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        // The worker, which writes, is the child of the one that was started.
        kill_tree(capture.child().id());
        capture.child().wait().unwrap();
        killed_at.push((now - wait, now));
    }
    sender.kill().unwrap();
    sender.wait().unwrap();
    // The last start recovers.
    let arguments = [&["--store", store], arguments].concat();
    Capture::start(&arguments, &["fs0"]).stop();
    let checked = command(&["store", "check", "--store", store])
        .output()
        .unwrap();
    assert!(checked.status.success(), "{checked:?}");
    killed_at
}

/// Of each run there are packets until shortly before its end, without a hole.
fn check_runs(killed_at: &[(Duration, Duration)], times: &BTreeSet<u64>) {
    let mut checked_runs = 0;
    for (from, to) in killed_at {
        let (from, to) = (from.as_nanos() as u64, to.as_nanos() as u64);
        let safe = to.saturating_sub(MAY_BE_LOST_NS);
        if safe < from + 100_000_000 {
            continue;
        }
        let run: Vec<u64> = times.range(from..to).copied().collect();
        let last = run.last();
        assert!(
            last.is_some_and(|last| *last >= safe),
            "{from} {to} {last:?}"
        );
        let hole = run.windows(2).map(|pair| pair[1] - pair[0]).max();
        assert!(
            hole.is_some_and(|hole| hole < HOLE_NS),
            "{from} {to} {hole:?}"
        );
        checked_runs += 1;
    }
    let rounds = killed_at.len();
    assert!(checked_runs > rounds / 3, "{checked_runs} of {rounds}");
    say(&format!("{rounds} kills, {checked_runs} runs checked"));
}

/// Kills a process and its children, the children first.
fn kill_tree(process: u32) {
    let children = format!("/proc/{process}/task/{process}/children");
    let children = std::fs::read_to_string(children).unwrap();
    // Between being attached and having a worker there is a moment.
    children
        .split_whitespace()
        .for_each(|child| kill(child.parse().unwrap()));
    kill(process);
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(20) {
        std::thread::yield_now();
    }
}

fn kill(process: u32) {
    // SAFETY: a number; a process that is gone already is no concern.
    unsafe { libc::kill(process.cast_signed(), libc::SIGKILL) };
}
