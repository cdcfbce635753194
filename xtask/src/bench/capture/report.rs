//! The figures of `bench capture` as Markdown.

use super::overload::Overload;
use super::rates::{Cell, Line};

/// Loss by recorder and rate.
pub(super) fn rates(lines: &[Line], rates: &[Option<f64>], runs: usize, bytes: u16) -> String {
    let heads = rates.iter().map(|rate| match rate {
        Some(rate) => format!("{rate} M/s"),
        None => "full".to_owned(),
    });
    let heads: Vec<_> = heads.collect();
    let mut text = format!(
        "| recorder | {} | lossless to | own MB |\n|---|{}---:|---:|\n",
        heads.join(" | "),
        "---:|".repeat(heads.len())
    );
    for line in lines {
        let loss = |cell: &Cell| {
            cell.loss()
                .map_or_else(|| "did not end".to_owned(), percent)
        };
        let losses: Vec<_> = line.cells.iter().map(loss).collect();
        let memory = line.cells.iter().map(|cell| cell.memory).max().unwrap_or(0);
        let lossless = line.lossless().map_or_else(|| "none".to_owned(), millions);
        text += &format!(
            "| {} | {} | {lossless} | {:.0} |\n",
            line.name,
            losses.join(" | "),
            memory as f64 / 1e6
        );
    }
    let sent = |at: usize| lines.iter().filter_map(move |line| line.cells.get(at));
    let fastest = sent(rates.len().saturating_sub(1));
    let fastest = fastest
        .filter(|cell| cell.loss().is_some())
        .map(|cell| cell.rate);
    let (low, high) = fastest.fold((f64::MAX, 0f64), |(low, high), rate| {
        (low.min(rate), high.max(rate))
    });
    let wire = lines
        .iter()
        .flat_map(|line| &line.cells)
        .map(|cell| cell.wire)
        .fold(0.0, f64::max);
    text + &format!(
        "\nFrames of {bytes} bytes; share of what arrived that was not recorded, median of {runs} \
         interleaved runs. Full: {} to {} a second. The wire's own queue lost at most {} \
         before anything could record it.\n",
        millions(low),
        millions(high),
        percent(wire)
    )
}

/// The overload in a few lines.
pub(super) fn overload(result: &Overload) -> String {
    let share = result.dropped as f64 / result.seen.max(1) as f64;
    format!(
        "\nOverload: {} frames sent at {} a second, {} arrived, {} seen = {} stored + {} dropped ({}); \
         {} tuples. Own memory: at most {:.1} MB in the first half, {:.1} MB in the second.\n",
        result.sent,
        millions(result.rate),
        result.arrived,
        result.seen,
        result.stored,
        result.dropped,
        percent(share),
        result.tuples,
        result.memory.0 as f64 / 1e6,
        result.memory.1 as f64 / 1e6,
    )
}

fn millions(rate: f64) -> String {
    format!("{:.2} M", rate / 1e6)
}

fn percent(share: f64) -> String {
    match share {
        0.0 => "0".to_owned(),
        share if share < 0.001 => "< 0.1 %".to_owned(),
        share => format!("{:.1} %", share * 100.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_ends_with_the_rate_before_the_first_loss() {
        let cell = |rate, losses: &[f64]| Cell {
            rate,
            losses: losses.to_vec(),
            wire: 0.0,
            memory: 5_000_000,
        };
        let line = Line {
            name: "x",
            cells: vec![
                cell(1e6, &[0.0, 0.0, 0.5]),
                cell(2e6, &[0.25, 0.0, 0.5]),
                cell(3e6, &[]),
            ],
        };
        let text = rates(&[line], &[Some(1.0), Some(2.0), None], 3, 64);
        let row = "| x | 0 | 25.0 % | did not end | 1.00 M | 5 |";
        assert!(text.contains(row), "{text}");
    }
}
