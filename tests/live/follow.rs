//! Live = store = file = replay: the answers over every capture as it is sent, asked for in four
//! ways.

use std::path::Path;

use crate::captures::{Excluded, MTU, Piece, pieces};
use crate::cut::OTHERS;
use crate::growing::{
    Growing, REFERENCE, asked, assert_same, of_files, of_store_as_of_files, stored_files,
    wait_for_packets,
};
use crate::program::Capture;
use crate::room::{alone, folder, path, say, veth};
use crate::sender::tcpreplay;

#[test]
fn live_store_file_and_replay_answer_alike() {
    if !alone(&live_store_file_and_replay_answer_alike) {
        return;
    }
    let work = folder();
    let pieces = pieces(&work, &mut Excluded::new());
    let packets: usize = pieces.iter().map(|piece| piece.packets.len()).sum();
    assert!(pieces.len() > 30 && packets > 5_000, "{packets} packets");
    veth("fs0", "fs1", MTU);
    let batches = pieces.chunks(pieces.len().div_ceil(3));
    let rows: usize = batches
        .enumerate()
        .map(|(n, batch)| compare(batch, &path(&work, &format!("store{n}"))))
        .sum();
    assert!(rows > 1_000, "{rows} rows");
    say(&format!(
        "{} captures, {packets} packets, {rows} rows: live = store = file = replay",
        pieces.len()
    ));
}

/// Sends captures to a store with live queries beside it; the rows that were compared.
fn compare(pieces: &[Piece], store: &str) -> usize {
    let capture = Capture::start(&["--store", store], &["fs0"]);
    let queries: Vec<&str> = REFERENCE.into_iter().chain(OTHERS).collect();
    let growing: Vec<Growing> = queries
        .iter()
        .enumerate()
        .map(|(n, query)| {
            // With and without the answers of windows, the whole is the same.
            let every = if n % 2 == 0 { "never" } else { "1s" };
            Growing::start(store, &["--every", every], query)
        })
        .collect();
    let files: Vec<&Path> = pieces.iter().map(|piece| piece.file.as_path()).collect();
    let sent = tcpreplay("fs1", &["--pps", "10000"], &files);
    assert_eq!(sent.failed, 0);
    wait_for_packets(store, sent.packets);
    growing.iter().for_each(Growing::interrupt);
    let live: Vec<Vec<String>> = growing
        .into_iter()
        .map(|growing| growing.wait().answer())
        .collect();
    let statistics = capture.stop().statistics("fs0");
    assert_eq!((statistics.stored, statistics.dropped), (sent.packets, 0));
    let files = stored_files(store);
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let mut rows = 0;
    for (query, live) in queries.iter().zip(live) {
        let end = ["--format", "tsv", query];
        let file = of_files(store, query);
        assert!(file.len() > 1, "{query}");
        assert_same(&live, &file, &format!("live: {query}"));
        let stored = of_store_as_of_files(store, query);
        assert_same(&stored, &file, &format!("store: {query}"));
        for speed in ["max", "10x"] {
            let how = ["--every", "never", "--speed", speed];
            let played = asked(&[&["replay"], &files[..], &how, &end].concat());
            assert_same(&played, &file, &format!("replay at {speed}: {query}"));
        }
        rows += file.len() - 1;
    }
    rows
}
