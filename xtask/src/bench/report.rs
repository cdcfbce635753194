//! The figures of `bench query` as text and as a Markdown table.

use std::time::Duration;

/// What one contestant took.
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) runs: usize,
    /// Median wall time.
    pub(crate) wall: Duration,
    /// The greatest of all runs.
    pub(crate) peak_bytes: u64,
    /// How its answer differs from the true one.
    pub(crate) wrong: Option<String>,
}

/// All of one measurement. The first line is flowsift, the second the limit.
pub(crate) struct Report {
    /// Size of the capture.
    pub(crate) bytes: u64,
    pub(crate) runs: usize,
    pub(crate) lines: Vec<Line>,
    /// Start to answer on 100 packets.
    pub(crate) small: Duration,
    /// `flowsift parse`, where the command exists.
    pub(crate) parse: Option<Duration>,
}

const HEADINGS: [&str; 7] = [
    "program",
    "seconds",
    "runs",
    "x limit",
    "x flowsift",
    "peak MB",
    "answer",
];

impl Report {
    pub(crate) fn wrong_answers(&self) -> usize {
        self.lines
            .iter()
            .filter(|line| line.wrong.is_some())
            .count()
    }

    /// Columns for a terminal.
    pub(crate) fn text(&self) -> String {
        let mut rows = vec![HEADINGS.map(str::to_owned)];
        rows.extend(self.cells());
        let mut text = String::new();
        for [name, seconds, runs, limit, flowsift, peak, answer] in rows {
            text.push_str(&format!(
                "{name:<18} {seconds:>8} {runs:>5} {limit:>8} {flowsift:>10} {peak:>8}  {answer}\n"
            ));
        }
        text + "\n" + &self.remarks()
    }

    /// A table for `docs/benchmarks.md`.
    pub(crate) fn markdown(&self) -> String {
        let mut text = format!(
            "| {} |\n|---|---:|---:|---:|---:|---:|---|\n",
            HEADINGS.join(" | ")
        );
        for cells in self.cells() {
            text.push_str(&format!("| {} |\n", cells.join(" | ")));
        }
        text + "\n" + &self.remarks()
    }

    fn cells(&self) -> impl Iterator<Item = [String; 7]> {
        let seconds = |at: usize| {
            self.lines
                .get(at)
                .map_or(f64::NAN, |l| l.wall.as_secs_f64())
        };
        let (flowsift, limit) = (seconds(0), seconds(1));
        self.lines.iter().map(move |line| {
            let wall = line.wall.as_secs_f64();
            [
                line.name.clone(),
                format!("{wall:.3}"),
                line.runs.to_string(),
                format!("{:.2}", wall / limit),
                format!("{:.2}", wall / flowsift),
                format!("{:.0}", line.peak_bytes as f64 / 1e6),
                line.wrong.clone().unwrap_or_else(|| "true".to_owned()),
            ]
        })
    }

    fn remarks(&self) -> String {
        let mut text = format!(
            "Capture of {} bytes in the page cache; medians of up to {} interleaved runs; \
             peak memory of the largest process (a mapped file counts, as in the limit loop).\n\
             flowsift, start to answer on 100 packets: {:.1} ms\n",
            self.bytes,
            self.runs,
            millis(self.small)
        );
        match self.parse {
            Some(parse) => {
                text += &format!("flowsift parse, whole process: {:.1} ms\n", millis(parse))
            }
            None => text += "flowsift parse: not there\n",
        }
        text
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_to_the_first_two_lines() {
        let line = |name: &str, millis, wrong: Option<&str>| Line {
            name: name.to_owned(),
            runs: 1,
            wall: Duration::from_millis(millis),
            peak_bytes: 2_000_000,
            wrong: wrong.map(str::to_owned),
        };
        let report = Report {
            bytes: 1,
            runs: 1,
            lines: vec![
                line("flowsift", 300, None),
                line("limit", 200, None),
                line("x", 600, Some("no")),
            ],
            small: Duration::from_millis(20),
            parse: None,
        };
        let markdown = report.markdown();
        assert!(
            markdown.contains("| flowsift | 0.300 | 1 | 1.50 | 1.00 | 2 | true |"),
            "{markdown}"
        );
        assert!(
            markdown.contains("| x | 0.600 | 1 | 3.00 | 2.00 | 2 | no |"),
            "{markdown}"
        );
        assert_eq!(report.wrong_answers(), 1);
    }
}
