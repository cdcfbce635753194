//! What is lost is counted: the sender's packets are stored or dropped, and answers say so.

use std::path::{Path, PathBuf};

use crate::pcap;
use crate::program::{Capture, command};
use crate::queries::{From, answer};
use crate::room::{alone, folder, path, root, veth};
use crate::sender::tcpreplay;

/// Enough packets that a page of ring does not hold them, sent as fast as they go.
fn captures() -> Vec<PathBuf> {
    let folder = root().join("tests/captures/bittorrent");
    let mut found = pcap::files_by_name(&folder, "pcap");
    found.retain(|path| std::fs::metadata(path).unwrap().len() > 100_000);
    assert!(found.len() > 2);
    found
}

#[test]
fn a_tiny_ring_loses_packets_and_counts_each() {
    if !alone(&a_tiny_ring_loses_packets_and_counts_each) {
        return;
    }
    let work = folder();
    let store = path(&work, "store");
    veth("fs0", "fs1", 9_000);
    let rings = [
        "--store",
        &store,
        "--packet-ring",
        "8192",
        "--tuple-ring",
        "64MiB",
    ];
    let capture = Capture::start(&rings, &["fs0"]);
    let captures = captures();
    let files: Vec<&Path> = captures.iter().map(PathBuf::as_path).collect();
    let sent = tcpreplay("fs1", &["--topspeed", "--loop", "5"], &files);
    let ended = capture.stop();
    let statistics = ended.statistics("fs0");
    assert_eq!(statistics.seen, sent.packets);
    assert!(
        statistics.dropped > 0 && statistics.stored > 0,
        "{statistics:?}"
    );
    // Tuples survive where packets are dropped.
    assert_eq!(statistics.part("without a tuple"), 0, "{statistics:?}");
    assert_eq!(statistics.part("packet ring was full"), statistics.dropped);
    let stored = pcap::stored(&Path::new(&store).join("pcap/fs0")).len() as u64;
    assert_eq!(stored, statistics.stored);
    // The loss that an answer reports is that between the sender and the disk.
    let store = Path::new(&store);
    let (rows, said) = answer(
        From::Store(store),
        "tag=pcap packet frame.Len | count | table -nt count",
    );
    assert_eq!(rows, [[stored.to_string()]]);
    let lost = sent.packets - stored;
    let told = format!(
        "note: fs0: {lost} of {} packets in this time were lost",
        sent.packets
    );
    assert!(said.contains(&told), "{told}: {said}");
    // In JSON it is a block beside the rows, with when it happened.
    let output = command(&["query", "--format", "json", "--store"])
        .arg(store)
        .arg("tag=pcap packet frame.Len | count | table -nt count")
        .output()
        .unwrap();
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["rows"], serde_json::json!([{"count": stored}]));
    let source = &json["missed"]["sources"][0];
    assert_eq!(source["interface"], "fs0");
    assert_eq!(source["seen"], sent.packets);
    assert_eq!(
        (&source["lost"], &source["dropped"]["ring_full"]),
        (&lost.into(), &lost.into())
    );
    let spans = source["losses"].as_array().unwrap().iter();
    let in_spans: u64 = spans.map(|span| span["packets"].as_u64().unwrap()).sum();
    assert_eq!(in_spans, lost);
    // Rows of lines are rows alone; a chart marks the seconds of the loss.
    let output = |format: &str| {
        let query = "tag=pcap packet frame.Len | count over 1s | chart count";
        let output = command(&["query", "--last", "1m", "--format", format, "--store"])
            .arg(store)
            .arg(query)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let rows = output("ndjson");
    assert!(
        rows.starts_with("{\"time\"") && !rows.contains("missed"),
        "{rows}"
    );
    let chart = output("table");
    assert!(chart.contains(&format!("packets lost ({lost})")), "{chart}");
    assert!(chart.contains("nothing captured"), "{chart}");
    assert!(output("svg").contains("packets lost"));
    let (rows, _) = answer(
        From::Store(store),
        "tag=loss stats sum(seen) as seen sum(stored) as stored sum(ring_full) as lost by interface | table -nt interface seen stored lost",
    );
    let numbers = [sent.packets, stored, lost].map(|number| number.to_string());
    assert_eq!(
        rows,
        [["fs0".to_owned()]
            .into_iter()
            .chain(numbers)
            .collect::<Vec<_>>()]
    );
}

#[test]
fn exactly_as_many_packets_as_were_asked_for() {
    if !alone(&exactly_as_many_packets_as_were_asked_for) {
        return;
    }
    let work = folder();
    let store = path(&work, "store");
    veth("fs0", "fs1", 9_000);
    let capture = Capture::start(&["--store", &store, "-c", "100", "-s", "60"], &["fs0=lan"]);
    let file = root().join("tests/captures/bittorrent/bittorrent.pcap");
    tcpreplay("fs1", &["--topspeed"], &[file.as_path()]);
    let statistics = capture.wait().statistics("fs0");
    assert_eq!(statistics.stored, 100);
    // A tag of its own has a well of its own.
    let stored = pcap::stored(&Path::new(&store).join("lan/fs0"));
    assert_eq!(stored.len(), 100);
    assert!(stored.iter().all(|packet| packet.data.len() <= 60));
    assert!(stored.iter().any(|packet| packet.wire_len > 60));
}
