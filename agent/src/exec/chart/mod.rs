//! Charts: from their entries to the rows of their answer, step by step.
//!
//! First the entries are merged per window and key; what that gives is kept, in memory where it
//! fits a quarter of the limit, else in temporary files. The steps that follow read it: the range
//! of time, the ranking of the series, and the values per bin and series.

mod answer;
mod axis;
mod kept;
mod rank;
mod series;
mod windows;

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::concat_batches;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::physical_plan::memory::MemoryStream;
use futures::TryStreamExt as _;

use self::answer::{columns, schema, value_type};
use self::axis::axis;
use self::series::category_rows;
use self::windows::{Windows, alike, merge_windows};
use super::engine::Engine;
use super::error::Error;
use super::lower::{ChartInput, TimeRange};
use crate::shape::Shape;
use crate::types::OutputColumn;

/// Column of the window in the merged entries.
const WINDOW: &str = "window";

fn column(name: impl Into<String>) -> Expr {
    Expr::Column(datafusion::common::Column::new_unqualified(name))
}

/// Computes a chart.
pub(super) async fn run(
    engine: &Engine,
    input: ChartInput,
    range: TimeRange,
) -> Result<(Vec<OutputColumn>, Shape, SendableRecordBatchStream), Error> {
    let mut groups = Vec::new();
    for mut windows in merged(&input)? {
        let stream = engine.stream(&windows.plan).await?;
        windows.plan = kept::kept(engine, stream).await?;
        groups.push(windows);
    }
    finish(engine, &input, groups, range).await
}

/// The first step: the entries merged per window and key, for each kind of category.
pub(super) fn merged(input: &ChartInput) -> Result<Vec<Windows>, Error> {
    alike(&input.categories)
        .iter()
        .map(|members| merge_windows(input, members))
        .collect()
}

/// The other steps, of merged entries that came as streams, in the order of [`merged`].
pub(super) async fn resume(
    engine: &Engine,
    input: &ChartInput,
    streams: Vec<SendableRecordBatchStream>,
    range: TimeRange,
) -> Result<(Vec<OutputColumn>, Shape, SendableRecordBatchStream), Error> {
    let mut groups = merged(input)?;
    for (windows, stream) in groups.iter_mut().zip(streams) {
        windows.plan = kept::kept(engine, stream).await?;
    }
    finish(engine, input, groups, range).await
}

async fn finish(
    engine: &Engine,
    input: &ChartInput,
    groups: Vec<Windows>,
    range: TimeRange,
) -> Result<(Vec<OutputColumn>, Shape, SendableRecordBatchStream), Error> {
    let axis = axis(engine, input, &groups, range).await?;
    let value_type = value_type(input);
    let mut series: Vec<(usize, Vec<RecordBatch>)> = Vec::new();
    for windows in &groups {
        for (category, merge) in &windows.values {
            let batch = category_rows(engine, input, windows, *category, merge, &axis).await?;
            series.push((*category, vec![batch]));
        }
    }
    series.sort_by_key(|(category, _)| *category);
    let batches: Vec<_> = series
        .into_iter()
        .flat_map(|(_, batches)| batches)
        .collect();
    let stream = MemoryStream::try_new(batches, Arc::new(schema(input, value_type)), None)?;
    Ok((
        columns(input, value_type),
        Shape::Chart(axis),
        Box::pin(stream),
    ))
}

/// The plan of the merged entries, for explanation.
pub(super) fn windows(input: &ChartInput) -> Result<LogicalPlan, Error> {
    let first = merged(input)?.into_iter().next();
    first
        .map(|windows| windows.plan)
        .ok_or_else(|| Error::Internal("a chart without categories".to_owned()))
}

/// All rows of a plan in one batch.
async fn collect(engine: &Engine, plan: &LogicalPlan) -> Result<RecordBatch, Error> {
    let stream = engine.stream(plan).await?;
    let schema = stream.schema();
    let batches: Vec<_> = stream.try_collect().await?;
    Ok(concat_batches(&schema, &batches).map_err(datafusion::common::DataFusionError::from)?)
}
