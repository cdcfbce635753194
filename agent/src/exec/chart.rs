//! Charts: which series are named, how time is cut into bins, and the values of both.
//!
//! First the entries are merged per window and key; what that gives is kept in memory where it
//! fits a quarter of the limit, else computed again for each of the steps that follow: the range
//! of time, the ranking of the series, and the values per bin and series.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray,
    UInt32Array, new_null_array,
};
use datafusion::arrow::compute::{concat_batches, take};
use datafusion::arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema};
use datafusion::arrow::row::{OwnedRow, RowConverter, SortField};
use datafusion::common::utils::memory::RecordBatchMemoryCounter;
use datafusion::common::{Result as EngineResult, exec_datafusion_err};
use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::functions_aggregate::expr_fn::{max, min};
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, LogicalPlanBuilder, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility, lit,
};
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::physical_plan::memory::MemoryStream;
use futures::TryStreamExt;

use super::engine::Engine;
use super::error::Error;
use super::functions::window::{WindowStart, window_start};
use super::lower::{ChartCategory, ChartInput, Merge, TimeRange};
use super::types::arrow_type;
use crate::plan::pipeline::AggregateOp;
use crate::shape::{ChartShape, Shape};
use crate::types::{EvType, OutputColumn};

/// Bins of a chart at most.
const MAX_BINS: i64 = 160;

/// Column of the window in the merged entries.
const WINDOW: &str = "window";

fn column(name: impl Into<String>) -> Expr {
    Expr::Column(datafusion::common::Column::new_unqualified(name))
}

/// A value of the merged entries: its category and its state columns.
struct Windows {
    plan: LogicalPlan,
    /// Places of the keys among the answer's.
    keys: Vec<usize>,
    /// Categories by place, and how their state is merged.
    values: Vec<(usize, Merge)>,
}

/// Computes a chart.
pub(super) async fn run(
    engine: &Engine,
    input: ChartInput,
    range: TimeRange,
) -> Result<(Vec<OutputColumn>, Shape, SendableRecordBatchStream), Error> {
    let mut groups = Vec::new();
    for members in alike(&input.categories) {
        let mut windows = merge_windows(&input, &members)?;
        windows.plan = kept(engine, windows.plan).await?;
        groups.push(windows);
    }
    let axis = axis(engine, &input, &groups, range).await?;
    let value_type = value_type(&input);
    let mut series: Vec<(usize, Vec<RecordBatch>)> = Vec::new();
    for windows in &groups {
        for (category, merge) in &windows.values {
            let batch = category_rows(engine, &input, windows, *category, merge, &axis).await?;
            series.push((*category, vec![batch]));
        }
    }
    series.sort_by_key(|(category, _)| *category);
    let batches: Vec<_> = series
        .into_iter()
        .flat_map(|(_, batches)| batches)
        .collect();
    let stream = MemoryStream::try_new(batches, Arc::new(schema(&input, value_type)), None)?;
    Ok((
        columns(&input, value_type),
        Shape::Chart(axis),
        Box::pin(stream),
    ))
}

/// The plan of the merged entries, for explanation.
pub(super) fn windows(input: &ChartInput) -> Result<LogicalPlan, Error> {
    let members: Vec<_> = alike(&input.categories)
        .into_iter()
        .next()
        .unwrap_or_default();
    Ok(merge_windows(input, &members)?.plan)
}

/// Categories that are merged in one pass: those with the same keys of the same entries.
fn alike(categories: &[ChartCategory]) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (place, category) in categories.iter().enumerate() {
        let same = groups.iter_mut().find(|group| {
            group
                .first()
                .and_then(|first| categories.get(*first))
                .is_some_and(|c| c.keys == category.keys && c.filter == category.filter)
        });
        match same {
            Some(group) => group.push(place),
            None => groups.push(vec![place]),
        }
    }
    groups
}

/// Entries merged per window and key.
fn merge_windows(input: &ChartInput, members: &[usize]) -> Result<Windows, Error> {
    let categories: Vec<_> = members
        .iter()
        .filter_map(|place| Some((*place, input.categories.get(*place)?)))
        .collect();
    let Some((_, first)) = categories.first() else {
        return Err(Error::Internal("a chart without categories".to_owned()));
    };
    let mut builder = LogicalPlanBuilder::new(input.plan.clone());
    if let Some(filter) = &first.filter {
        builder = builder.filter(filter.clone())?;
    }
    let window = WindowStart::call(input.time.clone(), input.window_ns, 0);
    let mut groups = vec![window];
    groups.extend(first.keys.iter().map(|(_, key)| key.clone()));
    let mut calls: Vec<Expr> = Vec::new();
    let mut places = Vec::new();
    for (_, category) in &categories {
        let mut own = Vec::new();
        for call in category.merge.calls()? {
            let place = calls
                .iter()
                .position(|known| *known == call)
                .unwrap_or_else(|| {
                    calls.push(call);
                    calls.len() - 1
                });
            own.push(place);
        }
        places.push(own);
    }
    let plan = builder.aggregate(groups, calls)?.build()?;
    let made = plan.schema().columns();
    let keys = first.keys.len();
    let names = std::iter::once(WINDOW.to_owned())
        .chain((0..keys).map(|key| format!("key{key}")))
        .chain((keys + 1..made.len()).map(|place| format!("state{}", place - keys - 1)));
    let projected: Vec<_> = made
        .into_iter()
        .zip(names)
        .map(|(made, name)| Expr::Column(made).alias(name))
        .collect();
    let plan = LogicalPlanBuilder::new(plan)
        .project(projected)?
        .filter(column(WINDOW).is_not_null())?
        .build()?;
    let values = categories
        .iter()
        .zip(places)
        .map(|((place, category), own)| {
            let state = own
                .into_iter()
                .map(|at| column(format!("state{at}")))
                .collect();
            (*place, category.merge.again(state))
        })
        .collect();
    Ok(Windows {
        plan,
        keys: first.keys.iter().map(|(place, _)| *place).collect(),
        values,
    })
}

/// The plan's rows in memory, where they fit; else the plan itself.
async fn kept(engine: &Engine, plan: LogicalPlan) -> Result<LogicalPlan, Error> {
    let budget = engine.memory_limit_bytes / 4;
    let mut stream = engine.stream(&plan).await?;
    let schema = stream.schema();
    // Aggregates give their rows as slices of few large buffers; each buffer counts once.
    let mut memory = RecordBatchMemoryCounter::new();
    let mut batches = Vec::new();
    while let Some(batch) = stream.try_next().await? {
        memory.count_batch(&batch);
        if memory.memory_usage() > budget {
            return Ok(plan);
        }
        batches.push(batch);
    }
    let table = MemTable::try_new(schema, vec![batches])?;
    Ok(LogicalPlanBuilder::scan("windows", provider_as_source(Arc::new(table)), None)?.build()?)
}

/// All rows of a plan in one batch.
async fn collect(engine: &Engine, plan: &LogicalPlan) -> Result<RecordBatch, Error> {
    let stream = engine.stream(plan).await?;
    let schema = stream.schema();
    let batches: Vec<_> = stream.try_collect().await?;
    Ok(concat_batches(&schema, &batches).map_err(datafusion::common::DataFusionError::from)?)
}

/// The time axis: from the range's start, else the first window, in whole windows.
async fn axis(
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
async fn category_rows(
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
    let value = super::lower::convert(merge.finish(&state)?, merge.ty, value_type)?;
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

fn integers(rows: &RecordBatch, place: usize) -> Result<&Int64Array, Error> {
    rows.columns()
        .get(place)
        .and_then(|array| array.as_primitive_opt::<Int64Type>())
        .ok_or_else(|| Error::Internal("a series or bin that is no integer".to_owned()))
}

/// The rows of a category in the columns of the answer.
fn assemble(
    input: &ChartInput,
    windows: &Windows,
    category: usize,
    names: Option<&RecordBatch>,
    rows: &RecordBatch,
    value_type: EvType,
) -> Result<RecordBatch, Error> {
    let series = integers(rows, 0)?;
    let named = names.map_or(1, |names| names.num_rows() as i64);
    let ranks: UInt32Array = series
        .iter()
        .map(|rank| {
            rank.filter(|rank| *rank < named)
                .and_then(|rank| u32::try_from(rank).ok())
        })
        .collect();
    let name = input.categories.get(category).map(|c| c.name.as_str());
    let mut columns: Vec<ArrayRef> = vec![
        Arc::clone(rows.column(1)),
        Arc::new(StringArray::from_iter_values(std::iter::repeat_n(
            name.unwrap_or_default(),
            rows.num_rows(),
        ))),
        Arc::new(
            series
                .iter()
                .map(|rank| Some(rank.is_none_or(|rank| rank >= named)))
                .collect::<BooleanArray>(),
        ),
    ];
    for (place, key) in input.keys.iter().enumerate() {
        let own = windows.keys.iter().position(|at| *at == place);
        let values = own.and_then(|own| names?.columns().get(own));
        let taken = match values {
            Some(values) => {
                take(values, &ranks, None).map_err(|error| Error::Internal(error.to_string()))?
            }
            None => new_null_array(&arrow_type(key.ty), rows.num_rows()),
        };
        columns.push(taken);
    }
    columns.push(Arc::clone(rows.column(2)));
    RecordBatch::try_new(Arc::new(schema(input, value_type)), columns)
        .map_err(|error| Error::Internal(error.to_string()))
}

/// Type of the value column: that of all categories, else Float64.
fn value_type(input: &ChartInput) -> EvType {
    let number = |ty: EvType| match ty {
        EvType::Float64 | EvType::Duration => ty,
        ty if ty.is_integer() => EvType::Int64,
        EvType::Time => EvType::Int64,
        _ => EvType::Float64,
    };
    let types = input
        .categories
        .iter()
        .map(|category| number(category.merge.ty));
    types
        .reduce(|a, b| if a == b { a } else { EvType::Float64 })
        .unwrap_or(EvType::Int64)
}

fn columns(input: &ChartInput, value_type: EvType) -> Vec<OutputColumn> {
    let column = |name: &str, ty| OutputColumn {
        name: name.to_owned(),
        ty,
    };
    let mut columns = vec![
        column("time", EvType::Time),
        column("category", EvType::String),
        column("other", EvType::Bool),
    ];
    columns.extend(input.keys.iter().cloned());
    columns.push(column("value", value_type));
    columns
}

fn schema(input: &ChartInput, value_type: EvType) -> Schema {
    let fields = columns(input, value_type)
        .into_iter()
        .map(|column| Field::new(column.name, arrow_type(column.ty), true));
    Schema::new(fields.collect::<Vec<_>>())
}

/// `series_of`: the rank of a key tuple among the named series, else their number.
#[derive(Debug)]
struct SeriesOf {
    converter: RowConverter,
    ranks: HashMap<OwnedRow, i64>,
    signature: Signature,
}

impl SeriesOf {
    /// The call on the key columns.
    fn call(names: &RecordBatch) -> Result<Expr, Error> {
        let internal =
            |error: datafusion::arrow::error::ArrowError| Error::Internal(error.to_string());
        let types: Vec<DataType> = names
            .columns()
            .iter()
            .map(|c| c.data_type().clone())
            .collect();
        let fields = types.iter().cloned().map(SortField::new).collect();
        let converter = RowConverter::new(fields).map_err(internal)?;
        let rows = converter
            .convert_columns(names.columns())
            .map_err(internal)?;
        let ranks = rows
            .iter()
            .zip(0..)
            .map(|(row, rank)| (row.owned(), rank))
            .collect();
        let keys = (0..types.len())
            .map(|key| column(format!("key{key}")))
            .collect();
        let function = Self {
            converter,
            ranks,
            signature: Signature::exact(types, Volatility::Immutable),
        };
        Ok(ScalarUDF::new_from_impl(function).call(keys))
    }
}

impl PartialEq for SeriesOf {
    fn eq(&self, other: &Self) -> bool {
        self.signature == other.signature && self.ranks == other.ranks
    }
}

impl Eq for SeriesOf {}

impl std::hash::Hash for SeriesOf {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.ranks.len().hash(state);
    }
}

impl ScalarUDFImpl for SeriesOf {
    fn name(&self) -> &str {
        "series_of"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> EngineResult<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> EngineResult<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let rows = self
            .converter
            .convert_columns(&arrays)
            .map_err(|error| exec_datafusion_err!("cannot rank series: {error}"))?;
        let others = self.ranks.len() as i64;
        let ranks = rows
            .iter()
            .map(|row| self.ranks.get(&row.owned()).copied().unwrap_or(others));
        Ok(ColumnarValue::Array(Arc::new(
            Int64Array::from_iter_values(ranks),
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::engine::RunOptions;

    /// Rows of the test's one column, 8 bytes each: 512 KiB.
    const ROWS: usize = 1 << 16;

    /// What is kept of a column that comes in slices of one buffer, under a memory limit.
    async fn kept_under(memory_limit_bytes: usize) -> String {
        let options = RunOptions {
            memory_limit_bytes,
            partitions: 1,
            ..RunOptions::default()
        };
        let engine = Engine::new(&options).unwrap();
        let schema = Arc::new(Schema::new(vec![Field::new(
            WINDOW,
            DataType::Int64,
            false,
        )]));
        let array: ArrayRef = Arc::new(Int64Array::from_iter_values(0..ROWS as i64));
        let whole = RecordBatch::try_new(Arc::clone(&schema), vec![array]).unwrap();
        let slices = (0..ROWS).step_by(1024).map(|at| whole.slice(at, 1024));
        let table = MemTable::try_new(schema, vec![slices.collect()]).unwrap();
        let source = provider_as_source(Arc::new(table));
        let plan = LogicalPlanBuilder::scan("source", source, None)
            .unwrap()
            .build()
            .unwrap();
        let kept = kept(&engine, plan).await.unwrap();
        assert_eq!(collect(&engine, &kept).await.unwrap().num_rows(), ROWS);
        kept.display().to_string()
    }

    #[tokio::test]
    async fn slices_of_one_buffer_count_once() {
        // A quarter of the limit: 1 MiB, room for the buffer but not for 64 times that.
        assert!(kept_under(4 << 20).await.contains("windows"));
    }

    #[tokio::test]
    async fn what_does_not_fit_is_computed_again() {
        assert!(kept_under(1 << 20).await.contains("source"));
    }
}
