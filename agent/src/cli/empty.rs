//! Why an answer is empty: what each stage of the query, as it was typed, left of its entries.

use crate::exec::scan::ScanReport;
use crate::exec::{self, RunOptions, Source, StageCounts};
use crate::plan::pipeline::Pipeline;

/// Characters of a stage's text that are shown.
const STAGE_CHARS: usize = 80;

/// Prints it to standard error. Reads the input again where anything can have dropped entries.
pub(super) async fn explain(
    text: &str,
    pipeline: &Pipeline,
    source: Source,
    options: &RunOptions,
    report: &ScanReport,
) {
    let read = grouped(report.packets_read());
    let ruled_out = match report.packets_ruled_out() {
        0 => String::new(),
        packets => format!(", {} ruled out by their sidecars", grouped(packets)),
    };
    eprintln!("note: no rows: {read} packets read{ruled_out}");
    if pipeline.dropped_by.is_empty() && report.packets_skipped() + report.packets_ruled_out() == 0
    {
        return;
    }
    match exec::count_stages(pipeline, source, options).await {
        Ok(counts) => {
            for line in lines(text, &counts) {
                eprintln!("note: {line}");
            }
        }
        Err(error) => eprintln!("note: what each stage left could not be counted: {error}"),
    }
}

/// One line for the time range where it left packets out, and one per stage.
fn lines(text: &str, counts: &StageCounts) -> Vec<String> {
    let mut lines = Vec::new();
    if counts.in_range < counts.packets {
        lines.push(format!(
            "time range: {}",
            left(counts.in_range, counts.packets, "packets in it")
        ));
    }
    if counts.in_range == 0 {
        return lines;
    }
    for count in &counts.stages {
        let typed = text.get(count.stage.span.start..count.stage.span.end);
        lines.push(format!(
            "stage {}: {}: {}",
            count.stage.number,
            shortened(typed.unwrap_or_default()),
            left(count.entries_out, count.entries_in, "entries left"),
        ));
    }
    lines
}

/// `5 of 1,234 entries left`; the place where nothing is left is pointed out.
fn left(out: u64, of: u64, what: &str) -> String {
    let end = if out == 0 {
        "; nothing is left here"
    } else {
        ""
    };
    format!("{} of {} {what}{end}", grouped(out), grouped(of))
}

/// On one line, cut where it is long.
fn shortened(stage: &str) -> String {
    let line = stage.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(STAGE_CHARS) {
        Some((at, _)) => format!("{}...", line.get(..at).unwrap_or_default()),
        None => line,
    }
}

/// A number with its thousands apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        let texts = [0, 999, 1000, 1_234_567].map(grouped);
        assert_eq!(texts, ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn long_stages_are_cut_between_characters() {
        assert_eq!(shortened("grep\n  -v x"), "grep -v x");
        let long = "é".repeat(STAGE_CHARS + 1);
        assert_eq!(shortened(&long), format!("{}...", "é".repeat(STAGE_CHARS)));
    }
}
