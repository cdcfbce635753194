//! Every capture with an expected table: the same rows as tshark.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::support::{self, capture_sets};

type Rows = BTreeMap<(String, String, String), (u64, u64)>;

/// tshark's rows by family; first fragments are added, rows without a port left out.
fn expected(set: &Path, name: &str) -> BTreeMap<String, Rows> {
    let base = Path::new(name).file_name().unwrap().to_str().unwrap();
    let text = fs::read_to_string(set.join("expected").join(format!("{base}.tsv"))).unwrap();
    let mut families: BTreeMap<String, Rows> = BTreeMap::new();
    for line in text.lines().skip(1) {
        let columns: Vec<&str> = line.split('\t').collect();
        let [proto, src, dst, port, packets, bytes] = columns[..] else {
            panic!("{base}: {line}")
        };
        if port != "-" {
            let family = proto.split('_').next().unwrap().to_owned();
            let key = (src.to_owned(), dst.to_owned(), port.to_owned());
            let sum = families.entry(family).or_default().entry(key).or_default();
            sum.0 += packets.parse::<u64>().unwrap();
            sum.1 += bytes.parse::<u64>().unwrap();
        }
    }
    families
}

fn actual(file: &Path, family: &str) -> Rows {
    let (l4, ip) = family.split_at(3);
    let query = format!(
        "tag=* packet ipv{ip}.SrcIP ipv{ip}.DstIP {l4}.DstPort frame.Len \
         | require -s SrcIP DstIP DstPort | stats count sum(Len) as bytes by SrcIP DstIP DstPort \
         | table -nt SrcIP DstIP DstPort count bytes"
    );
    let output = support::query(file.to_str().unwrap(), &query);
    output
        .rows()
        .into_iter()
        .map(|row| {
            let key = (row[0].to_owned(), row[1].to_owned(), row[2].to_owned());
            (key, (row[3].parse().unwrap(), row[4].parse().unwrap()))
        })
        .collect()
}

#[test]
fn tables_equal_tsharks() {
    let mut tables = 0;
    let mut differences = Vec::new();
    for set in capture_sets() {
        let manifest = fs::read_to_string(set.join("MANIFEST.tsv")).unwrap();
        for name in manifest
            .lines()
            .skip(1)
            .map(|line| line.split('\t').next().unwrap())
        {
            let mut expected = expected(&set, name);
            for family in ["tcp4", "udp4", "tcp6", "udp6"] {
                let want = expected.remove(family).unwrap_or_default();
                let got = actual(&set.join(name), family);
                tables += 1;
                if got != want {
                    let odd: Vec<_> = got
                        .iter()
                        .filter(|row| want.get(row.0) != Some(row.1))
                        .chain(want.iter().filter(|row| got.get(row.0) != Some(row.1)))
                        .take(2)
                        .collect();
                    differences.push(format!("{name} {family}: {odd:?}"));
                }
            }
        }
    }
    assert!(tables >= 4 * 30, "only {tables} tables were compared");
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// Packet totals of `SUMMARY.tsv`.
#[test]
fn totals_equal_tsharks() {
    for set in capture_sets() {
        let summary = fs::read_to_string(set.join("expected/SUMMARY.tsv")).unwrap();
        for line in summary.lines().skip(1) {
            let columns: Vec<&str> = line.split('\t').collect();
            let file = set.join(columns[0]);
            let output = support::query(
                file.to_str().unwrap(),
                "tag=* packet frame.Len frame.CapLen | stats count sum(Len) as bytes sum(CapLen) as captured | table -nt count bytes captured",
            );
            let want = &columns[3..6];
            if columns[3] == "0" {
                assert_eq!(output.code, Some(0), "{}: {}", columns[0], output.stderr);
                assert!(
                    output.rows().iter().all(|row| row[0] == "0"),
                    "{}",
                    columns[0]
                );
            } else {
                assert_eq!(output.rows(), [want.to_vec()], "{}", columns[0]);
            }
        }
    }
}
