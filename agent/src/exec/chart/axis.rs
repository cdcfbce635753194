//! The time axis of a chart: how its range is cut into bins.

use datafusion::arrow::array::{Array as _, AsArray as _};
use datafusion::arrow::datatypes::Int64Type;
use datafusion::functions_aggregate::expr_fn::{max, min};
use datafusion::logical_expr::{Expr, LogicalPlanBuilder};

use super::windows::Windows;
use super::{WINDOW, collect, column};
use crate::exec::engine::Engine;
use crate::exec::error::Error;
use crate::exec::functions::window::window_start;
use crate::exec::lower::{ChartInput, TimeRange};
use crate::shape::ChartShape;

/// Bins of a chart at most.
const MAX_BINS: i64 = 160;

/// The time axis: from the range's start, else the first window, in whole windows.
pub(super) async fn axis(
    engine: &Engine,
    input: &ChartInput,
    groups: &[Windows],
    range: TimeRange,
) -> Result<ChartShape, Error> {
    let mut span: Option<(i64, i64)> = None;
    for windows in groups {
        let window = || column(WINDOW);
        let plan = LogicalPlanBuilder::new(windows.plan.clone())
            .aggregate(Vec::<Expr>::new(), vec![min(window()), max(window())])?
            .build()?;
        let batch = collect(engine, &plan).await?;
        let value = |place: usize| {
            let array = batch
                .columns()
                .get(place)?
                .as_primitive_opt::<Int64Type>()?;
            (array.len() == 1 && array.is_valid(0)).then(|| array.value(0))
        };
        if let (Some(first), Some(last)) = (value(0), value(1)) {
            span = Some(span.map_or((first, last), |(a, b)| (a.min(first), b.max(last))));
        }
    }
    let width = input.window_ns.max(1);
    let names = input
        .categories
        .iter()
        .map(|category| category.name.clone())
        .collect();
    let mut shape = ChartShape {
        start_ns: 0,
        bin_ns: width,
        bins: 0,
        window_ns: width,
        keys: input.keys.len(),
        categories: names,
    };
    let Some((first, last)) = span else {
        return Ok(shape);
    };
    let start = range
        .start
        .map_or(first, |start| window_start(start, width, 0).min(first));
    let end = last
        .saturating_add(width)
        .max(range.end.unwrap_or(i64::MIN));
    let windows = ceil_div(end.saturating_sub(start), width).max(1);
    let per_bin = ceil_div(windows, MAX_BINS);
    shape.start_ns = start;
    shape.bin_ns = width.saturating_mul(per_bin);
    shape.bins = usize::try_from(ceil_div(windows, per_bin)).unwrap_or(0);
    Ok(shape)
}

fn ceil_div(a: i64, b: i64) -> i64 {
    a / b + i64::from(a % b != 0)
}
