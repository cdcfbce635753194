//! Running a query: pipeline and input to a stream of record batches.

use std::fmt;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::physical_plan::SendableRecordBatchStream;

use super::engine::{Engine, Plans, RunOptions};
use super::error::Error;
use super::loss::{self, LossEntry};
use super::lower::{TimeRange, lower};
use super::scan::{CaptureTable, ScanFile, ScanOptions, ScanReport, column_name};
use crate::plan::loss::TAG;
use crate::plan::pipeline::{Op, Pipeline, SourceColumn, TimeBound, whole_seconds};
use crate::shape::Shape;
use crate::store::Skipped;
use crate::types::OutputColumn;
use crate::wall;

/// An answer under way.
pub struct Answer {
    /// The columns of the batches.
    pub columns: Vec<OutputColumn>,
    /// What they mean.
    pub shape: Shape,
    /// The time that was asked for: first instant and the one after the last, in nanoseconds since
    /// 1970; `None` where it has no bound.
    pub span_ns: (Option<i64>, Option<i64>),
    /// When it was asked, in nanoseconds since 1970.
    pub asked_ns: i64,
    /// The batches. Dropping it ends the query.
    pub stream: SendableRecordBatchStream,
    /// What the scan met; complete when the stream has ended.
    pub report: Arc<ScanReport>,
    /// The plans that were run, for their metrics.
    pub plans: Plans,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("columns", &self.columns)
            .field("shape", &self.shape)
            .finish_non_exhaustive()
    }
}

/// What a query reads.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// Capture files.
    pub files: Vec<ScanFile>,
    /// Entries of loss tables, which are what a query of `tag=loss` reads.
    pub loss: Arc<Vec<LossEntry>>,
    /// Stored files that cannot be read.
    pub skipped: Vec<Skipped>,
}

impl From<Vec<ScanFile>> for Source {
    fn from(files: Vec<ScanFile>) -> Self {
        Self {
            files,
            ..Self::default()
        }
    }
}

/// Runs a query over capture files; what the scan meets is added to the report, at once.
pub async fn run(
    pipeline: &Pipeline,
    source: Source,
    options: &RunOptions,
    report: Arc<ScanReport>,
) -> Result<Answer, Error> {
    let now_ns = wall::now_ns();
    let range = time_range(pipeline, options, now_ns);
    report.add_skipped(&source.skipped);
    let table = table(pipeline, source, options, range, Arc::clone(&report))?;
    let engine = Engine::new(options)?;
    let lowered = lower(pipeline, table, column_name, TimeRange::default(), now_ns)?;
    let (columns, shape, stream) = engine.run(lowered, range).await?;
    Ok(Answer {
        columns,
        shape,
        span_ns: (range.start, range.end),
        asked_ns: now_ns,
        stream,
        report,
        plans: engine.plans,
    })
}

/// The capture files as a table with the pipeline's columns.
pub(super) fn table(
    pipeline: &Pipeline,
    source: Source,
    options: &RunOptions,
    range: TimeRange,
    report: Arc<ScanReport>,
) -> Result<Arc<dyn TableProvider>, Error> {
    let mut columns: Vec<SourceColumn> =
        pipeline.source.iter().map(|(_, column)| *column).collect();
    if columns.is_empty() {
        columns.push(SourceColumn::Sequence);
    }
    let bounded = range.start.is_some() || range.end.is_some();
    let time_range = bounded.then(|| {
        (
            range.start.unwrap_or(i64::MIN),
            range.end.unwrap_or(i64::MAX),
        )
    });
    if pipeline.tags == [TAG] {
        return loss::table(&source.loss, &columns, time_range);
    }
    let stops_early = pipeline.ops.iter().any(|op| matches!(op, Op::Limit { .. }));
    let options = ScanOptions {
        pause: options.pause.clone(),
        partitions: options.partitions,
        time_range,
        split: options.split && (!stops_early || ends_sorted(pipeline)),
        ..ScanOptions::default()
    };
    Ok(Arc::new(CaptureTable::new(
        source.files,
        columns,
        options,
        report,
    )))
}

/// Whether every limit stands behind something that reads its whole input.
fn ends_sorted(pipeline: &Pipeline) -> bool {
    let breaks = |op: &Op| {
        matches!(
            op,
            Op::Aggregate(_) | Op::Sort(_) | Op::Distinct { .. } | Op::LimitBy { .. }
        )
    };
    let limit = pipeline
        .ops
        .iter()
        .position(|op| matches!(op, Op::Limit { .. }));
    limit.is_none_or(|limit| pipeline.ops.iter().take(limit).any(breaks))
}

/// The time that a query asks for when it is asked at `now_ns`: its first instant and the one after
/// the last, in nanoseconds since 1970, `None` where it has no bound.
pub fn span_ns(
    pipeline: &Pipeline,
    options: &RunOptions,
    now_ns: i64,
) -> (Option<i64>, Option<i64>) {
    let range = time_range(pipeline, options, now_ns);
    (range.start, range.end)
}

/// The time range of the query's constraints, else of the options.
pub(super) fn time_range(pipeline: &Pipeline, options: &RunOptions, now_ns: i64) -> TimeRange {
    let own = |bound: Option<TimeBound>, other: Option<TimeBound>| match bound? {
        TimeBound::Absolute(time) => Some(time),
        TimeBound::RelativeToNow(by) => Some(now_ns.saturating_add(by)),
        TimeBound::RelativeToOther(by) => Some(match other {
            Some(TimeBound::Absolute(time)) => time.saturating_add(by),
            Some(TimeBound::RelativeToNow(other)) => {
                now_ns.saturating_add(other).saturating_add(by)
            }
            _ => now_ns.saturating_add(by),
        }),
    };
    let own = |bound, other| own(bound, other).map(whole_seconds);
    TimeRange {
        start: own(pipeline.start, pipeline.end).or(options.from_ns),
        end: own(pipeline.end, pipeline.start).or(options.to_ns),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{lang, plan};

    #[test]
    fn a_query_asks_for_whole_seconds_and_options_for_what_they_say() {
        let now_ns = 1_000_000_000_500;
        let asked = |text: &str| {
            let tree = lang::parse(text).0.unwrap();
            let options = RunOptions {
                from_ns: Some(7),
                to_ns: Some(9),
                ..RunOptions::default()
            };
            span_ns(&plan::resolve(&tree).unwrap(), &options, now_ns)
        };
        let query = "packet frame.Len | table Len";
        assert_eq!(asked(query), (Some(7), Some(9)));
        let range = format!("tag=pcap start=-90s end=-1500ms {query}");
        let second = 1_000_000_000;
        assert_eq!(asked(&range), (Some(910 * second), Some(998 * second)));
    }
}
