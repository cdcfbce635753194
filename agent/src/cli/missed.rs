//! What an answer missed: gathered from the store and the scan, and told on standard error.

use std::path::Path;

use super::error::Error;
use crate::exec::Answer;
use crate::exec::scan::matches_tag;
use crate::missed::{Damage, LossSpan, Missed, SourceMissed};
use crate::plan::pipeline::Pipeline;
use crate::store::Skipped;
use crate::store::loss::Reason;
use crate::store::missed::{self, Missed as Stored};
use crate::text;

/// Gaps between two runs of the agent that are listed one by one.
const GAPS_LISTED: usize = 5;

/// A capture that runs has counted until so long ago: its samples are a second apart.
const SINCE_SAMPLE_NS: i64 = 5_000_000_000;

/// What the answer missed; complete when its last batch was taken.
pub(super) fn of(
    store: Option<&Path>,
    pipeline: &Pipeline,
    answer: &Answer,
) -> Result<Missed, Error> {
    let (from_ns, mut to_ns) = answer.span_ns;
    if store.is_some() {
        // A store has packets of the past.
        to_ns = Some(to_ns.unwrap_or(answer.asked_ns).min(answer.asked_ns));
    }
    let (from, to) = (from_ns.unwrap_or(i64::MIN), to_ns.unwrap_or(i64::MAX));
    let sources = match store {
        None => Vec::new(),
        Some(store) => {
            let has_tag = |tag: &str| pipeline.tags.iter().any(|wanted| matches_tag(wanted, tag));
            let stored = missed::missed(store, has_tag, from, to)?;
            stored
                .iter()
                .map(|stored| source(stored, from, to))
                .collect()
        }
    };
    let report = &answer.report;
    let damage = |warning: crate::capfile::Warning| Damage {
        file: warning.file.to_string(),
        offset: warning.offset,
        reason: warning.problem.to_string(),
        places: warning.further.saturating_add(1),
    };
    let skipped = |file: Skipped| Damage {
        file: file.path.display().to_string(),
        offset: 0,
        reason: file.reason,
        places: 1,
    };
    let damaged = report.warnings().into_iter().map(damage);
    let skipped = report.skipped_files().into_iter().map(skipped);
    let undecoded = report.unknown_links().into_iter();
    Ok(Missed {
        from_ns,
        to_ns,
        sources,
        // A store has counted its own.
        cut: store.map_or_else(|| report.cut(), |_| 0),
        damaged: damaged.chain(skipped).collect(),
        removed: report.removed(),
        unanswered: report.unanswered(),
        undecoded: undecoded.map(|(link, packets)| (link.0, packets)).collect(),
        portless_fragments: report.portless_fragments(),
    })
}

fn source(stored: &Stored, from: i64, to: i64) -> SourceMissed {
    let counts = &stored.loss.counts;
    let losses = stored.loss.losses.list().iter().map(|span| LossSpan {
        from_ns: span.from_ns,
        to_ns: span.to_ns,
        packets: span.packets,
    });
    SourceMissed {
        interface: stored.source.interface.clone(),
        tag: stored.source.tag.clone(),
        known_ns: stored.known_ns,
        seen: counts.seen,
        stored: counts.stored,
        lost: counts.lost(),
        cut: counts.cut,
        dropped: Reason::ALL
            .into_iter()
            .map(|reason| (reason.name(), counts.dropped(reason)))
            .collect(),
        losses: losses.collect(),
        gaps_ns: gaps(stored, from, to),
        damaged_lines: stored.damaged_lines,
    }
}

/// When nothing was captured: between runs, and before the first and after the last.
fn gaps(stored: &Stored, from: i64, to: i64) -> Vec<(i64, i64)> {
    let mut gaps = stored.loss.gaps_ns.clone();
    if let Some((first, last)) = stored.known_ns {
        if from != i64::MIN {
            gaps.push((from, first));
        }
        if to.saturating_sub(last) > SINCE_SAMPLE_NS && to != i64::MAX {
            gaps.push((last, to));
        }
    }
    // A clock that was set back between two runs makes one that ends before it starts.
    let gaps = gaps.into_iter().map(|(a, b)| (a.max(from), b.min(to)));
    let mut gaps: Vec<(i64, i64)> = gaps.filter(|(a, b)| a < b).collect();
    gaps.sort_unstable();
    gaps
}

/// Prints it for people.
pub(super) fn print(missed: &Missed) {
    if missed.cut > 0 {
        eprintln!(
            "note: {} packets were cut when they were captured",
            missed.cut
        );
    }
    for source in &missed.sources {
        for line in lines(source, missed.to_ns) {
            eprintln!("note: {}: {line}", source.interface);
        }
    }
}

fn lines(source: &SourceMissed, to_ns: Option<i64>) -> Vec<String> {
    let mut lines = Vec::new();
    let dropped = |reason: Reason| {
        let mut counts = source.dropped.iter();
        let found = counts.find(|(name, _)| *name == reason.name());
        found.map_or(0, |(_, packets)| *packets)
    };
    if source.lost > 0 {
        let reasons = Reason::ALL.into_iter().filter(|reason| reason.is_loss());
        let reasons: Vec<String> = reasons
            .filter(|reason| dropped(*reason) > 0)
            .map(|reason| format!("{} {}", reason.name().replace('_', " "), dropped(reason)))
            .collect();
        lines.push(format!(
            "{} of {} packets in this time were lost ({})",
            source.lost,
            source.seen,
            reasons.join(", ")
        ));
    }
    for (count, what) in [
        (source.cut, "packets were cut to the snap length"),
        (
            dropped(Reason::Filter),
            "packets were left out by the capture filter",
        ),
        (
            dropped(Reason::Own),
            "packets were the agent's own, and left out",
        ),
        (
            source.damaged_lines,
            "lines of the loss tables are damaged, so some loss may be unknown",
        ),
    ] {
        if count > 0 {
            lines.push(format!("{count} {what}"));
        }
    }
    for (from, to) in source.gaps_ns.iter().take(GAPS_LISTED) {
        let (first, last) = source.known_ns.unwrap_or_default();
        lines.push(if *to <= first {
            format!("nothing is stored of the time before {}", text::time(first))
        } else if *from >= last && Some(*to) == to_ns {
            format!("nothing was captured since {}", text::time(last))
        } else {
            let (from, to) = (text::time(*from), text::time(*to));
            format!("nothing was captured from {from} to {to}")
        });
    }
    if source.gaps_ns.len() > GAPS_LISTED {
        lines.push(format!(
            "and in {} more gaps",
            source.gaps_ns.len() - GAPS_LISTED
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Source;

    const SECOND: i64 = 1_000_000_000;

    fn stored(known: (i64, i64), gaps: &[(i64, i64)]) -> Stored {
        let loss = crate::store::loss::Loss {
            gaps_ns: gaps.to_vec(),
            ..Default::default()
        };
        Stored {
            source: Source {
                well: "default".to_owned(),
                interface: "lan0".to_owned(),
                tag: "pcap".to_owned(),
            },
            loss,
            known_ns: Some(known),
            damaged_lines: 0,
        }
    }

    #[test]
    fn gaps_are_those_of_the_span_its_ends_included() {
        let stored = stored(
            (100 * SECOND, 200 * SECOND),
            &[(130, 150), (160, 155)].map(|(a, b)| (a * SECOND, b * SECOND)),
        );
        let seconds = |from: i64, to: i64| -> Vec<(i64, i64)> {
            let gaps = gaps(
                &stored,
                from.saturating_mul(SECOND),
                to.saturating_mul(SECOND),
            );
            gaps.iter().map(|(a, b)| (a / SECOND, b / SECOND)).collect()
        };
        assert_eq!(seconds(90, 300), [(90, 100), (130, 150), (200, 300)]);
        // The last sample is from a moment ago.
        assert_eq!(seconds(140, 204), [(140, 150)]);
        // Without bounds it is what there is.
        assert_eq!(seconds(i64::MIN, i64::MAX), [(130, 150)]);
        assert_eq!(seconds(250, 300), [(250, 300)]);
        let source = source(&stored, 90 * SECOND, 300 * SECOND);
        assert_eq!(
            lines(&source, Some(300 * SECOND)),
            [
                "nothing is stored of the time before 1970-01-01T00:01:40.000000000Z",
                "nothing was captured from 1970-01-01T00:02:10.000000000Z to 1970-01-01T00:02:30.000000000Z",
                "nothing was captured since 1970-01-01T00:03:20.000000000Z",
            ]
        );
    }
}
