//! Several interfaces, and one that comes and goes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::pcap;
use crate::program::Capture;
use crate::queries::{From, answer};
use crate::room::{alone, folder, has_xdp, ip, path, root, veth, wait_until};
use crate::sender::tcpreplay;

fn sample(name: &str) -> PathBuf {
    root().join("tests/captures/bittorrent").join(name)
}

/// Packets and bytes that a store has of a tag.
fn of_tag(store: &str, tag: &str) -> Vec<Vec<String>> {
    let query = format!(
        "tag={tag} packet frame.Len | stats count sum(Len) as bytes | table -nt count bytes"
    );
    answer(From::Store(Path::new(store)), &query).0
}

#[test]
fn two_interfaces_in_one_store_are_asked_by_tag() {
    if !alone(&two_interfaces_in_one_store_are_asked_by_tag) {
        return;
    }
    let work = folder();
    let store = path(&work, "store");
    veth("fs0", "fs1", 9_000);
    veth("gs0", "gs1", 9_000);
    let capture = Capture::start(&["--store", &store], &["fs0=inside", "gs0=outside"]);
    let files = [sample("bittorrent.pcap"), sample("small_torrent_mse.pcap")];
    let senders = [("fs1", files[0].clone()), ("gs1", files[1].clone())].map(|(far, file)| {
        std::thread::spawn(move || tcpreplay(far, &["--pps", "5000"], &[&file]).packets)
    });
    let sent = senders.map(|sender| sender.join().unwrap());
    let ended = capture.stop();
    let mut both = (0, 0);
    for (n, (interface, tag)) in [("fs0", "inside"), ("gs0", "outside")]
        .into_iter()
        .enumerate()
    {
        let packets = pcap::read(&files[n]);
        let bytes: usize = packets.iter().map(|packet| packet.data.len()).sum();
        assert_eq!(sent[n], packets.len() as u64);
        assert_eq!(ended.statistics(interface).stored, sent[n]);
        let expected = [[packets.len().to_string(), bytes.to_string()]];
        assert_eq!(of_tag(&store, tag), expected, "{tag}");
        both = (both.0 + packets.len(), both.1 + bytes);
    }
    let expected = [[both.0.to_string(), both.1.to_string()]];
    assert_eq!(of_tag(&store, "*"), expected);
}

#[test]
fn an_interface_that_vanishes_and_returns_loses_nothing_of_its_time() {
    if !alone(&an_interface_that_vanishes_and_returns_loses_nothing_of_its_time) {
        return;
    }
    let work = folder();
    let store = path(&work, "store");
    let file = sample("small_torrent_mse.pcap");
    veth("fs0", "fs1", 9_000);
    let capture = Capture::start(&["--store", &store], &["fs0"]);
    let mut sent = 0;
    for time in 0..3 {
        if time > 0 {
            veth("fs0", "fs1", 9_000);
            wait_until("attached again", || has_xdp("fs0"));
        }
        sent += tcpreplay("fs1", &["--pps", "5000"], &[&file]).packets;
        // What the pair itself still holds would go with it.
        std::thread::sleep(Duration::from_millis(200));
        if time < 2 {
            ip("link del fs0");
            wait_until("it is said to be gone", || {
                capture.said().matches("fs0: gone").count() == time + 1
            });
        }
    }
    let ended = capture.stop();
    assert_eq!(ended.said.matches("fs0: back").count(), 2, "{}", ended.said);
    let statistics = ended.statistics("fs0");
    assert_eq!((statistics.seen, statistics.stored), (sent, sent));
    let one = pcap::read(&file);
    let stored = pcap::stored(&Path::new(&store).join("pcap/fs0"));
    assert_eq!(stored.len(), 3 * one.len());
    for (n, packet) in stored.iter().enumerate() {
        assert_eq!(packet.data, one[n % one.len()].data, "packet {n}");
    }
}
