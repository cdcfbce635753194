//! The series of a chart: which are named, and their values per bin.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array as _, ArrayRef, AsArray as _, Float64Array, Int64Array, RecordBatch,
};
use datafusion::arrow::datatypes::{Float64Type, Int64Type};
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, lit};

use super::answer::{assemble, integers, value_type};
use super::rank::SeriesOf;
use super::windows::Windows;
use super::{WINDOW, collect, column};
use crate::exec::engine::Engine;
use crate::exec::error::Error;
use crate::exec::functions::window::WindowStart;
use crate::exec::lower::{ChartInput, Merge, convert};
use crate::plan::pipeline::AggregateOp;
use crate::shape::ChartShape;

/// The named series of a category: their keys in the order of their rank, and whether there are
/// others.
async fn ranking(
    engine: &Engine,
    input: &ChartInput,
    windows: &Windows,
    merge: &Merge,
) -> Result<(RecordBatch, bool), Error> {
    let keys: Vec<_> = (0..windows.keys.len())
        .map(|key| column(format!("key{key}")))
        .collect();
    let plan = LogicalPlanBuilder::new(windows.plan.clone())
        .aggregate(keys.clone(), merge.calls()?)?
        .build()?;
    let state: Vec<_> = plan
        .schema()
        .columns()
        .into_iter()
        .skip(keys.len())
        .map(Expr::Column)
        .collect();
    let magnitude = merge.finish(&state)?.alias("magnitude");
    let projected = keys.iter().cloned().chain([magnitude]).collect::<Vec<_>>();
    let order = std::iter::once(column("magnitude").sort(false, false))
        .chain(keys.iter().map(|key| key.clone().sort(true, false)));
    let limit = input.limit.max(1);
    let plan = LogicalPlanBuilder::new(plan)
        .project(projected)?
        .sort(order.collect::<Vec<_>>())?
        .limit(0, Some(limit.saturating_add(1)))?
        .project(keys)?
        .build()?;
    let batch = collect(engine, &plan).await?;
    let others = batch.num_rows() > limit;
    let named = if others { limit - 1 } else { batch.num_rows() };
    Ok((batch.slice(0, named), others))
}

/// The rows of a category, by series and time.
pub(super) async fn category_rows(
    engine: &Engine,
    input: &ChartInput,
    windows: &Windows,
    category: usize,
    merge: &Merge,
    axis: &ChartShape,
) -> Result<RecordBatch, Error> {
    let value_type = value_type(input);
    let names = if windows.keys.is_empty() {
        None
    } else {
        Some(ranking(engine, input, windows, merge).await?.0)
    };
    let series = match &names {
        Some(names) => SeriesOf::call(names)?,
        None => lit(0_i64),
    };
    let bin = WindowStart::call(column(WINDOW), axis.bin_ns, axis.start_ns);
    let plan = LogicalPlanBuilder::new(windows.plan.clone())
        .project(
            [series.alias("series"), bin.alias("bin")]
                .into_iter()
                .chain(merge.state.iter().cloned())
                .collect::<Vec<_>>(),
        )?
        .aggregate(vec![column("series"), column("bin")], merge.calls()?)?
        .build()?;
    let state: Vec<_> = plan
        .schema()
        .columns()
        .into_iter()
        .skip(2)
        .map(Expr::Column)
        .collect();
    let value = convert(merge.finish(&state)?, merge.ty, value_type)?;
    let plan = LogicalPlanBuilder::new(plan)
        .project([column("series"), column("bin"), value.alias("value")])?
        .sort([
            column("series").sort(true, false),
            column("bin").sort(true, false),
        ])?
        .build()?;
    let mut rows = collect(engine, &plan).await?;
    if merge.op == AggregateOp::Total {
        rows = running(&rows)?;
    }
    assemble(input, windows, category, names.as_ref(), &rows, value_type)
}

/// Running totals of each series.
fn running(rows: &RecordBatch) -> Result<RecordBatch, Error> {
    let series = integers(rows, 0)?;
    let same = |row: usize| row > 0 && series.value(row) == series.value(row - 1);
    let value = rows.column(2);
    let values: ArrayRef = if let Some(values) = value.as_primitive_opt::<Int64Type>() {
        let mut total = 0_i64;
        Arc::new(Int64Array::from_iter_values((0..values.len()).map(|row| {
            let own = if values.is_valid(row) {
                values.value(row)
            } else {
                0
            };
            total = if same(row) {
                total.wrapping_add(own)
            } else {
                own
            };
            total
        })))
    } else if let Some(values) = value.as_primitive_opt::<Float64Type>() {
        let mut total = 0.0;
        Arc::new(Float64Array::from_iter_values((0..values.len()).map(
            |row| {
                let own = if values.is_valid(row) {
                    values.value(row)
                } else {
                    0.0
                };
                total = if same(row) { total + own } else { own };
                total
            },
        )))
    } else {
        return Err(Error::Internal("a total that is no number".to_owned()));
    };
    let columns = vec![
        Arc::clone(rows.column(0)),
        Arc::clone(rows.column(1)),
        values,
    ];
    RecordBatch::try_new(rows.schema(), columns).map_err(|error| Error::Internal(error.to_string()))
}
