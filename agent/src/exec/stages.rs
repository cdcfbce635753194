//! What each stage of a query left of its entries, counted after an answer turned out empty.

use std::sync::Arc;

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::Int64Type;
use datafusion::logical_expr::LogicalPlan;
use futures::TryStreamExt as _;

use super::engine::{Engine, RunOptions};
use super::error::Error;
use super::lower::segments;
use super::run::{Source, table, time_range};
use super::scan::{ScanFile, ScanReport, column_name};
use crate::plan::pipeline::{Pipeline, StageRef};
use crate::wall;

/// What the stages left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StageCounts {
    /// Packets of the input.
    pub packets: u64,
    /// Those in the time range.
    pub in_range: u64,
    /// The stages that may drop entries, in order, up to the first that left none.
    pub stages: Vec<StageCount>,
}

/// What one stage left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StageCount {
    /// The stage.
    pub stage: StageRef,
    /// Entries that it met.
    pub entries_in: u64,
    /// Entries that it left.
    pub entries_out: u64,
}

/// Counts what each stage left, by reading the input again.
///
/// A run does not count: its filters are merged, put in order of cost and pushed into the scan, and
/// an empty answer is rare. One pass counts all filters up to the first operation that needs its
/// whole input (condensing, a limit, ...); each such operation costs one pass more, and the passes
/// end with the first stage that left nothing.
pub async fn count_stages(
    pipeline: &Pipeline,
    source: Source,
    options: &RunOptions,
) -> Result<StageCounts, Error> {
    // What sidecars rule out is not counted by stage.
    let files = source
        .files
        .into_iter()
        .map(ScanFile::without_sidecar)
        .collect();
    let source = Source { files, ..source };
    match counted(pipeline, source.clone(), options).await {
        Err(Error::SplitMissed(_)) => {
            let whole = RunOptions {
                split: false,
                ..options.clone()
            };
            counted(pipeline, source, &whole).await
        }
        result => result,
    }
}

async fn counted(
    pipeline: &Pipeline,
    source: Source,
    options: &RunOptions,
) -> Result<StageCounts, Error> {
    let now_ns = wall::now_ns();
    let range = time_range(pipeline, options, now_ns);
    let report = Arc::new(ScanReport::default());
    let table = table(pipeline, source, options, range, Arc::clone(&report))?;
    let engine = Engine::new(options)?;
    let mut found = StageCounts::default();
    let mut droppers = pipeline.dropped_by.iter();
    let mut last = None;
    for segment in segments(pipeline, table, column_name, now_ns)? {
        let counts = counts(&engine, &segment.plan).await?;
        let Some((&start, after)) = counts.split_first() else {
            break;
        };
        match last {
            None => {
                found.packets = report.packets_read();
                found.in_range = start;
            }
            Some(before) if segment.after_drop => {
                found.add(droppers.next(), before, start);
            }
            Some(_) => {}
        }
        let mut before = start;
        for &left in after {
            found.add(droppers.next(), before, left);
            before = left;
        }
        last = Some(before);
        if before == 0 {
            break;
        }
    }
    if let Some(emptied) = found.stages.iter().position(|s| s.entries_out == 0) {
        found.stages.truncate(emptied + 1);
    }
    Ok(found)
}

impl StageCounts {
    /// Adds what one operation left to what is known of its stage.
    fn add(&mut self, stage: Option<&StageRef>, entries_in: u64, entries_out: u64) {
        let Some(&stage) = stage else { return };
        match self.stages.last_mut() {
            Some(last) if last.stage == stage => last.entries_out = entries_out,
            _ => self.stages.push(StageCount {
                stage,
                entries_in,
                entries_out,
            }),
        }
    }
}

/// The one row of a plan that counts.
async fn counts(engine: &Engine, plan: &LogicalPlan) -> Result<Vec<u64>, Error> {
    let batches: Vec<_> = engine.stream(plan).await?.try_collect().await?;
    let row = batches.iter().find(|batch| batch.num_rows() > 0);
    let columns = row.map(|batch| batch.columns()).unwrap_or_default();
    Ok(columns
        .iter()
        .filter_map(|column| column.as_primitive_opt::<Int64Type>())
        .map(|column| u64::try_from(column.value(0)).unwrap_or(0))
        .collect())
}
