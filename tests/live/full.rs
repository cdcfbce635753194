//! A full disk: capture goes on, what cannot be stored is counted, and storing goes on when there
//! is room again.

use std::path::Path;

use crate::pcap;
use crate::program::{Capture, command};
use crate::room::{alone, folder, path, root, run, veth};
use crate::sender::tcpreplay;

/// Of a store that holds some ten times the capture that is sent.
const DISK: &str = "size=3m";

#[test]
fn a_full_disk_stops_storing_and_nothing_else() {
    if !alone(&a_full_disk_stops_storing_and_nothing_else) {
        return;
    }
    let work = folder();
    let store = path(&work, "store");
    std::fs::create_dir(&store).unwrap();
    run("mount", &["-t", "tmpfs", "-o", DISK, "none", &store]);
    veth("fs0", "fs1", 9_000);
    let capture = Capture::start(&["--store", &store, "-C", "500kB"], &["fs0"]);
    let file = root().join("tests/captures/bittorrent/bittorrent.pcap");
    let send = || {
        tcpreplay(
            "fs1",
            &["--pps", "20000", "--loop", "20"],
            &[file.as_path()],
        )
        .packets
    };
    let mut sent = send();
    let source = Path::new(&store).join("pcap/fs0");
    let closed = || {
        let files = pcap::files(&source, "pcap").into_iter();
        files.filter(|path| {
            !path
                .file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with("active")
        })
    };
    let mut removed = 0;
    for path in closed() {
        removed += pcap::read(&path).len() as u64;
        for extension in ["pcap", "parquet", "counters"] {
            let _ = std::fs::remove_file(path.with_extension(extension));
        }
    }
    assert!(removed > 0);
    let freed_ns = now_ns();
    sent += send();
    let statistics = capture.stop().statistics("fs0");
    assert_eq!(statistics.seen, sent);
    assert!(statistics.dropped > 0, "{statistics:?}");
    assert_eq!(statistics.part("disk was full"), statistics.dropped);
    let kept = pcap::stored(&source);
    assert_eq!(kept.len() as u64 + removed, statistics.stored);
    assert!(kept.iter().any(|packet| packet.time_ns > freed_ns));
    let checked = command(&["store", "check", "--store", &store])
        .output()
        .unwrap();
    assert!(checked.status.success(), "{checked:?}");
}

fn now_ns() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    u64::try_from(now.unwrap().as_nanos()).unwrap()
}
