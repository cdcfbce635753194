//! What an answer over a store missed, for people: on standard error.

use std::path::Path;

use super::error::Error;
use crate::exec::scan::matches_tag;
use crate::plan::pipeline::Pipeline;
use crate::store::loss::Reason;
use crate::store::missed::{Missed, missed};
use crate::text;

/// Gaps between two runs of the agent that are listed one by one.
const GAPS_LISTED: usize = 5;

/// Prints what the sources of the query lost in its span, in nanoseconds since 1970.
pub(super) fn print(store: &Path, pipeline: &Pipeline, span: (i64, i64)) -> Result<(), Error> {
    let has_tag = |tag: &str| pipeline.tags.iter().any(|wanted| matches_tag(wanted, tag));
    for missed in missed(store, has_tag, span.0, span.1)? {
        for line in lines(&missed, span) {
            eprintln!("note: {}: {line}", missed.source.interface);
        }
    }
    Ok(())
}

fn lines(missed: &Missed, span: (i64, i64)) -> Vec<String> {
    let counts = &missed.loss.counts;
    let mut lines = Vec::new();
    if counts.lost() > 0 {
        let reasons = Reason::ALL.into_iter().filter(|reason| reason.is_loss());
        let reasons: Vec<String> = reasons
            .filter(|reason| counts.dropped(*reason) > 0)
            .map(|reason| {
                format!(
                    "{} {}",
                    reason.name().replace('_', " "),
                    counts.dropped(reason)
                )
            })
            .collect();
        lines.push(format!(
            "{} of {} packets in this time were lost ({})",
            counts.lost(),
            counts.seen,
            reasons.join(", ")
        ));
    }
    for (count, what) in [
        (counts.cut, "packets were cut to the snap length"),
        (
            counts.dropped(Reason::Filter),
            "packets were left out by the capture filter",
        ),
        (
            counts.dropped(Reason::Own),
            "packets were the agent's own, and left out",
        ),
        (
            missed.damaged_lines,
            "lines of the loss tables are damaged, so some loss may be unknown",
        ),
    ] {
        if count > 0 {
            lines.push(format!("{count} {what}"));
        }
    }
    let gaps = &missed.loss.gaps_ns;
    for (from, to) in gaps.iter().take(GAPS_LISTED) {
        let (from, to) = ((*from).max(span.0), (*to).min(span.1));
        lines.push(format!(
            "nothing was captured from {} to {}",
            text::time(from),
            text::time(to)
        ));
    }
    if gaps.len() > GAPS_LISTED {
        lines.push(format!("and in {} more gaps", gaps.len() - GAPS_LISTED));
    }
    lines
}
