//! From the past into the present: a live query that starts in the middle of a capture has every
//! packet once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use crate::cut::OTHERS;
use crate::growing::{Growing, REFERENCE, assert_same, of_store, wait_for_packets};
use crate::program::Capture;
use crate::room::{alone, folder, lost_by_veth, path, root, say, veth, wait_until};
use crate::sender::tcpreplay;

/// Everything, and what shows a packet that is there twice or not at all.
const COUNT: &str =
    "tag=pcap packet frame.Len | stats count sum(Len) as bytes | table -nt count bytes";

/// Live queries that start at different moments.
const STARTS: usize = 10;

#[test]
fn a_query_from_the_past_on_has_every_packet_once() {
    if !alone(&a_query_from_the_past_on_has_every_packet_once) {
        return;
    }
    let work = folder();
    let store = path(&work, "store");
    veth("fs0", "fs1", 9_000);
    let capture = Capture::start(&["--store", &store], &["fs0"]);
    let enough = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&enough);
    let sender = std::thread::spawn(move || {
        let file = root().join("tests/captures/bittorrent/small_torrent_mse.pcap");
        let options = ["--pps", "1500"];
        let mut packets = 0;
        while !told.load(Relaxed) {
            packets += tcpreplay("fs1", &options, &[file.as_path()]).packets;
        }
        packets
    });
    std::thread::sleep(Duration::from_millis(700));
    // One ends under traffic, too: it does not wait until there is none.
    let early = Growing::start(&store, &["--last", "1h", "--every", "1s"], COUNT);
    wait_until("a window", || early.printed().contains("# window "));
    early.interrupt();
    let early = early.wait().answer();
    let queries = [COUNT, REFERENCE[0], OTHERS[0], OTHERS[3], COUNT];
    let mut growing = Vec::new();
    for n in 0..STARTS {
        let query = queries[n % queries.len()];
        let every = if n % 2 == 0 { "1s" } else { "never" };
        let arguments = ["--last", "1h", "--every", every];
        growing.push((query, Growing::start(&store, &arguments, query)));
        std::thread::sleep(Duration::from_millis(130));
    }
    enough.store(true, Relaxed);
    let sent = sender.join().unwrap();
    let arrived = sent - lost_by_veth("fs1");
    wait_for_packets(&store, arrived);
    growing.iter().for_each(|(_, growing)| growing.interrupt());
    let live: Vec<(&str, Vec<String>)> = growing
        .into_iter()
        .map(|(query, growing)| (query, growing.wait().answer()))
        .collect();
    let statistics = capture.stop().statistics("fs0");
    assert_eq!((statistics.stored, statistics.dropped), (arrived, 0));
    for (query, live) in &live {
        assert_same(live, &of_store(&store, query), query);
    }
    let count = |answer: &[String]| -> u64 {
        let (count, _) = answer[1].split_once('\t').unwrap();
        count.parse().unwrap()
    };
    assert_eq!(count(&live[0].1), arrived);
    assert!((1..arrived).contains(&count(&early)), "{early:?}");
    say(&format!(
        "{STARTS} queries that started during {arrived} packets have each once"
    ));
}
