//! The reference query, and the table that is its answer: as text, and compared.

use std::net::Ipv4Addr;

use crate::Result;

/// The reference query as a table; the most connected sources first.
pub(crate) const QUERY: &str = "tag=pcap packet ipv4.DstIP !~ 10.0.0.0/8 ipv4.SrcIP tcp.DstPort \
     | require DstPort | count by SrcIP,DstIP,DstPort | count by SrcIP \
     | sort by count desc | limit 20 | table -nt SrcIP count";

/// Rows that the query keeps.
pub(crate) const LIMIT: usize = 20;

/// One row: a source and how many (destination, port) pairs it talked to.
pub(crate) type Row = (Ipv4Addr, u64);

/// Sorts the counts, the greatest first (then by address, so that ties have one order), and cuts.
pub(crate) fn top(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort_by_key(|&(source, count)| (std::cmp::Reverse(count), source));
    rows.truncate(LIMIT);
    rows
}

/// The table as `flowsift --format tsv` prints it.
pub(crate) fn render_tsv(rows: &[Row]) -> String {
    let mut text = String::from("SrcIP\tcount\n");
    for (source, count) in rows {
        text.push_str(&format!("{source}\t{count}\n"));
    }
    text
}

/// Reads a table of two columns, address and count, with or without a header line.
pub(crate) fn parse_tsv(text: &str) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let row = line.split_once('\t').and_then(|(source, count)| {
            Some((source.trim().parse().ok()?, count.trim().parse().ok()?))
        });
        match row {
            Some(row) => rows.push(row),
            None if at == 0 => {}
            None => {
                return Err(format!("line {} is not `address<TAB>count`: {line}", at + 1).into());
            }
        }
    }
    Ok(rows)
}

/// What is wrong with `got`, if anything.
///
/// Rows of equal count may come in any order, and where the last count is shared
/// by sources beyond the limit, any of them is right.
pub(crate) fn difference(expected: &[Row], got: &[Row]) -> Option<String> {
    let (expected, got) = (top(expected.to_vec()), top(got.to_vec()));
    if expected.len() != got.len() {
        return Some(format!("{} rows instead of {}", got.len(), expected.len()));
    }
    let last = expected.last().map_or(0, |row| row.1);
    expected.iter().zip(&got).find_map(|(want, have)| {
        let same = want.1 == have.1 && (want.0 == have.0 || want.1 == last);
        (!same).then(|| format!("{} {} instead of {} {}", have.0, have.1, want.0, want.1))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(host: u8, count: u64) -> Row {
        (Ipv4Addr::new(10, 0, 0, host), count)
    }

    #[test]
    fn text_round_trips() {
        let rows = vec![row(1, 9), row(2, 3)];
        assert_eq!(
            render_tsv(&rows),
            "SrcIP\tcount\n10.0.0.1\t9\n10.0.0.2\t3\n"
        );
        assert_eq!(parse_tsv(&render_tsv(&rows)).unwrap(), rows);
        assert_eq!(parse_tsv("10.0.0.1\t9\n10.0.0.2\t3\n").unwrap(), rows);
        assert!(parse_tsv("10.0.0.1\t9\nnonsense\n").is_err());
    }

    #[test]
    fn only_ties_may_differ() {
        let want = [row(1, 9), row(2, 5), row(3, 5), row(4, 2)];
        assert_eq!(
            difference(&want, &[row(1, 9), row(3, 5), row(2, 5), row(4, 2)]),
            None
        );
        assert_eq!(
            difference(&want, &[row(1, 9), row(2, 5), row(3, 5), row(7, 2)]),
            None
        );
        for wrong in [
            vec![row(1, 9), row(2, 5), row(3, 5)],
            vec![row(1, 8), row(2, 5), row(3, 5), row(4, 2)],
            vec![row(1, 9), row(2, 5), row(7, 5), row(4, 2)],
        ] {
            assert!(difference(&want, &wrong).is_some(), "{wrong:?}");
        }
    }
}
