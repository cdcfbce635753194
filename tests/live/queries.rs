//! The queries by which answers are compared.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use crate::program::command;

/// Families of tshark's tables.
pub(crate) const FAMILIES: [&str; 4] = ["tcp4", "udp4", "tcp6", "udp6"];

/// Packets and bytes by source, destination and destination port.
pub(crate) type Table = BTreeMap<[String; 3], (u64, u64)>;

/// The query whose answer is tshark's table of a family.
pub(crate) fn table_query(family: &str) -> String {
    let (transport, version) = family.split_at(3);
    format!(
        "tag=* packet ipv{version}.SrcIP ipv{version}.DstIP {transport}.DstPort frame.Len \
         | require -s SrcIP DstIP DstPort | stats count sum(Len) as bytes by SrcIP DstIP DstPort \
         | table -nt SrcIP DstIP DstPort count bytes"
    )
}

/// What a query reads.
#[derive(Clone, Copy)]
pub(crate) enum From<'a> {
    Files(&'a [&'a Path]),
    /// The last hour of a store.
    Store(&'a Path),
}

/// The rows of an answer, which must be had without a warning, and what was noted beside it.
pub(crate) fn answer(from: From<'_>, query: &str) -> (Vec<Vec<String>>, String) {
    let mut command = command(&["query", "--format", "tsv"]);
    match from {
        From::Files(files) => {
            for file in files {
                command.arg("-r").arg(file);
            }
        }
        From::Store(store) => {
            command.arg("--store").arg(store);
        }
    }
    command.arg(query);
    rows(command)
}

fn rows(mut command: Command) -> (Vec<Vec<String>>, String) {
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {said}");
    // Of the query's text they are; of its packets there are none.
    assert!(!said.contains("warning: /"), "{command:?}: {said}");
    let text = String::from_utf8(output.stdout).unwrap();
    let cells = |line: &str| line.split('\t').map(str::to_owned).collect();
    (text.lines().skip(1).map(cells).collect(), said)
}

/// The table of a family.
pub(crate) fn table(from: From<'_>, family: &str) -> Table {
    let (rows, _) = answer(from, &table_query(family));
    rows.into_iter()
        .map(|row| {
            let [source, destination, port, packets, bytes] = row.try_into().unwrap();
            let counts = (packets.parse().unwrap(), bytes.parse().unwrap());
            ([source, destination, port], counts)
        })
        .collect()
}

/// tshark's tables of a capture by family, added to `tables`: first fragments belong to their
/// family, rows without a port to none.
pub(crate) fn add_expected(tables: &mut BTreeMap<String, Table>, file: &Path) {
    let text = std::fs::read_to_string(file).unwrap();
    for line in text.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [family, source, destination, port, packets, bytes] = columns[..] else {
            panic!("{}: {line}", file.display())
        };
        if port == "-" {
            continue;
        }
        let family = family.split('_').next().unwrap().to_owned();
        let key = [source, destination, port].map(str::to_owned);
        let sum = tables.entry(family).or_default().entry(key).or_default();
        sum.0 += packets.parse::<u64>().unwrap();
        sum.1 += bytes.parse::<u64>().unwrap();
    }
}
