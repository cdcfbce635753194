//! Capture comes first: queries without end over the store that is being written cost no packet.

use std::path::Path;
use std::process::Stdio;

use crate::growing::wait_for_agent;
use crate::program::{Capture, command};
use crate::room::{alone, folder, lost_by_veth, path, root, veth};
use crate::sender::tcpreplay;

/// Reads each packet itself, and keeps all processors busy.
const QUERY: &str = "tag=pcap packet ipv4.SrcIP ipv4.DstIP tcp.Payload \
    | count by SrcIP,DstIP,Payload | count by SrcIP | table -nt SrcIP count";

/// What a process adds to its nice value, while it runs.
fn nice(process: u32) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // State is the first after the name, which may have spaces; the nice value 16 further.
    let after = stat.rsplit(')').next()?;
    after.split_whitespace().nth(16)?.parse().ok()
}

#[test]
fn queries_without_end_cost_no_packet() {
    if !alone(&queries_without_end_cost_no_packet) {
        return;
    }
    let work = folder();
    let store = path(&work, "store");
    veth("fs0", "fs1", 9_000);
    let capture = Capture::start(&["--store", &store], &["fs0"]);
    let sender = std::thread::spawn(|| {
        let file = root().join("tests/captures/bittorrent/bittorrent.pcap");
        // A modest rate: what the machine does besides is not known.
        let options = ["--pps", "10000", "--loop", "1000", "--duration", "8"];
        tcpreplay("fs1", &options, &[&file])
    });
    wait_for_agent(&store);
    let (mut answered, mut politely) = (0, 0);
    while !sender.is_finished() {
        let mut query = command(&["query", "--store", &store, "--format", "tsv", QUERY])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let process = query.id();
        let mut lowest = None;
        while query.try_wait().unwrap().is_none() {
            lowest = lowest.max(nice(process));
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        let output = query.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        answered += 1;
        politely += u32::from(lowest == Some(19));
    }
    let sent = sender.join().unwrap();
    let statistics = capture.stop().statistics("fs0");
    assert!(answered >= 2, "only {answered} queries");
    assert_eq!(politely, answered, "with the lowest priority");
    assert_eq!(statistics.seen + lost_by_veth("fs1"), sent.packets);
    assert_eq!(
        (statistics.dropped, statistics.stored),
        (0, statistics.seen)
    );
    // The file by which queries know of the capture is part of the store.
    assert!(Path::new(&store).join("capture-0.fill").is_file());
    let check = command(&["store", "check", "--store", &store])
        .output()
        .unwrap();
    assert!(check.status.success(), "{check:?}");
    let said = String::from_utf8_lossy(&check.stderr) + String::from_utf8_lossy(&check.stdout);
    assert!(!said.contains("capture-0.fill"), "{said}");
}
