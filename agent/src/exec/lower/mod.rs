//! Lowering: a resolved pipeline to the engine's logical plan, operation by operation.

mod aggregate;
mod count;
mod expr;
mod order;
mod render;
mod state;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::common::Column;
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};

use super::error::Error;
use super::types::arrow_type;
use crate::plan::pipeline::{self, AggregateOp, ColumnId, Op, Pipeline, SortKey, SourceColumn};
use crate::shape::Shape;
use crate::types::{EvType, OutputColumn};

pub(super) use self::count::segments;
pub(super) use self::expr::convert;
pub(super) use self::render::{ChartCategory, ChartInput};
pub(super) use self::state::Merge;

/// Name of the scanned table in plans.
const TABLE: &str = "capture";
/// Name of the table of what the first operations gave, where a pipeline is lowered in two.
const BETWEEN: &str = "windows";

/// A lowered pipeline up to its answer, or up to what a chart is made of.
pub(super) enum Lowered {
    /// A plan whose columns are those of the answer.
    Plan {
        plan: LogicalPlan,
        columns: Vec<OutputColumn>,
        shape: Shape,
    },
    /// What a chart is computed from.
    Chart(ChartInput),
}

/// Bounds on the time of entries: [start, end) in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TimeRange {
    pub(super) start: Option<i64>,
    pub(super) end: Option<i64>,
}

/// Lowers a pipeline over a table that has the columns of `source`, which may be more than the
/// pipeline's own (its time, for a time range).
pub(super) fn lower(
    pipeline: &Pipeline,
    table: Arc<dyn TableProvider>,
    names: impl Fn(&SourceColumn) -> String,
    range: TimeRange,
    now_ns: i64,
) -> Result<Lowered, Error> {
    let mut lowerer = Lowerer::new(pipeline, table, names, range, now_ns)?;
    for op in &pipeline.ops {
        lowerer.op(op)?;
    }
    lowerer.render()
}

/// Lowers a pipeline in two: the plan of its first operations, and the rest over a table with the
/// rows that it gives.
pub(super) fn lower_apart(
    pipeline: &Pipeline,
    table: Arc<dyn TableProvider>,
    names: impl Fn(&SourceColumn) -> String,
    now_ns: i64,
    first_ops: usize,
    between: impl FnOnce(SchemaRef) -> Result<Arc<dyn TableProvider>, Error>,
) -> Result<(LogicalPlan, Lowered), Error> {
    let mut lowerer = Lowerer::new(pipeline, table, names, TimeRange::default(), now_ns)?;
    let (first, rest) = pipeline.ops.split_at_checked(first_ops).unwrap_or_default();
    for op in first {
        lowerer.op(op)?;
    }
    let schema = Arc::new(lowerer.plan.schema().as_arrow().clone());
    let columns = schema
        .fields()
        .iter()
        .map(|field| Expr::Column(Column::new_unqualified(field.name())).alias(field.name()));
    let columns: Vec<_> = columns.collect();
    let plan = LogicalPlanBuilder::scan(BETWEEN, provider_as_source(between(schema)?), None)?
        .project(columns)?
        .build()?;
    let first = std::mem::replace(&mut lowerer.plan, plan);
    for op in rest {
        lowerer.op(op)?;
    }
    Ok((first, lowerer.render()?))
}

/// The state of the lowering after some operations.
#[derive(Clone)]
struct Lowerer<'a> {
    pipeline: &'a Pipeline,
    now_ns: i64,
    /// The plan so far; its columns are named by [`Lowerer::name`].
    plan: LogicalPlan,
    /// Columns that an operation or the renderer mentions.
    used: HashSet<ColumnId>,
    /// Aggregates whose state the renderer merges again.
    merged: HashMap<ColumnId, AggregateOp>,
    /// The order that the last sort asked for, made real only where it matters.
    order: Vec<SortKey>,
    /// Columns that tell entries apart, to make orders total.
    ties: Vec<ColumnId>,
    /// The time of the newest aggregate, for what is carried through a merge.
    time: Option<ColumnId>,
    /// Times known to be the start of a window of so many nanoseconds.
    windows: HashMap<ColumnId, i64>,
}

impl<'a> Lowerer<'a> {
    fn new(
        pipeline: &'a Pipeline,
        table: Arc<dyn TableProvider>,
        names: impl Fn(&SourceColumn) -> String,
        range: TimeRange,
        now_ns: i64,
    ) -> Result<Self, Error> {
        let mut builder = LogicalPlanBuilder::scan(TABLE, provider_as_source(table), None)?;
        let time = Expr::Column(Column::new_unqualified(names(&SourceColumn::Time)));
        if let Some(start) = range.start {
            builder = builder.filter(time.clone().gt_eq(datafusion::prelude::lit(start)))?;
        }
        if let Some(end) = range.end {
            builder = builder.filter(time.lt(datafusion::prelude::lit(end)))?;
        }
        let columns = pipeline.source.iter().map(|(id, source)| {
            Expr::Column(Column::new_unqualified(names(source))).alias(name(pipeline, *id))
        });
        let plan = if pipeline.source.is_empty() {
            // Rows without columns cannot be counted behind a projection: one constant stands in.
            builder.project([datafusion::prelude::lit(true).alias("entry")])?
        } else {
            builder.project(columns.collect::<Vec<_>>())?
        };
        let find = |wanted| pipeline.source.iter().find(|(_, source)| *source == wanted);
        Ok(Self {
            pipeline,
            now_ns,
            plan: plan.build()?,
            used: state::used(pipeline),
            merged: state::merged(pipeline),
            order: Vec::new(),
            ties: find(SourceColumn::Sequence)
                .map(|(id, _)| *id)
                .into_iter()
                .collect(),
            time: find(SourceColumn::Time).map(|(id, _)| *id),
            windows: HashMap::new(),
        })
    }

    fn op(&mut self, op: &Op) -> Result<(), Error> {
        match op {
            Op::Filter(condition) => self.filter(condition),
            Op::Assign(assignments) => self.assign(assignments),
            Op::Aggregate(aggregate) => self.aggregate(aggregate),
            Op::Distinct {
                keys,
                window_ns,
                order,
            } => self.distinct(keys, *window_ns, order),
            Op::Sort(keys) => {
                self.sort(keys);
                Ok(())
            }
            Op::Limit { skip, fetch } => self.limit(*skip, *fetch),
            Op::LimitBy { fetch, keys, order } => self.limit_by(*fetch, keys, order),
            Op::Difference {
                output,
                value,
                keys,
                order,
            } => self.difference(*output, *value, keys, order),
        }
    }

    fn filter(&mut self, condition: &pipeline::Expr) -> Result<(), Error> {
        let mut builder = self.builder();
        let parts = match condition {
            pipeline::Expr::And(parts) => parts.as_slice(),
            other => std::slice::from_ref(other),
        };
        for part in parts {
            builder = builder.filter(self.expr(part)?)?;
        }
        self.plan = builder.build()?;
        Ok(())
    }

    fn assign(&mut self, assignments: &[(ColumnId, pipeline::Expr)]) -> Result<(), Error> {
        let mut pending: Vec<(ColumnId, Expr)> = Vec::new();
        for (id, value) in assignments {
            let mut mentioned = HashSet::new();
            state::mentions(value, &mut mentioned);
            if pending.iter().any(|(id, _)| mentioned.contains(id)) {
                self.add_columns(std::mem::take(&mut pending))?;
            }
            let ty = self.column(*id).ty;
            let value = self.converted(value, ty)?;
            pending.push((*id, value));
        }
        self.add_columns(pending)
    }

    /// Adds columns beside the present ones.
    fn add_columns(&mut self, columns: Vec<(ColumnId, Expr)>) -> Result<(), Error> {
        if columns.is_empty() {
            return Ok(());
        }
        let present = self.plan.schema().columns().into_iter().map(Expr::Column);
        let added = columns
            .into_iter()
            .map(|(id, expr)| expr.alias(self.name(id)));
        let columns: Vec<_> = present.chain(added).collect();
        self.plan = self.builder().project(columns)?.build()?;
        Ok(())
    }

    fn builder(&self) -> LogicalPlanBuilder {
        LogicalPlanBuilder::new(self.plan.clone())
    }

    fn column(&self, id: ColumnId) -> &'a pipeline::Column {
        column(self.pipeline, id)
    }

    fn name(&self, id: ColumnId) -> String {
        name(self.pipeline, id)
    }

    fn col(&self, id: ColumnId) -> Expr {
        named(self.name(id))
    }

    /// Whether the plan has a column of this name.
    fn has(&self, name: &str) -> bool {
        self.plan.schema().has_column_with_unqualified_name(name)
    }

    fn output(&self, id: ColumnId) -> OutputColumn {
        OutputColumn {
            name: self.column(id).name.clone(),
            ty: self.column(id).ty,
        }
    }
}

/// What a column that the pipeline does not list would be.
static UNKNOWN: pipeline::Column = pipeline::Column {
    name: String::new(),
    ty: EvType::Int64,
    lineage: None,
};

fn column(pipeline: &Pipeline, id: ColumnId) -> &pipeline::Column {
    pipeline.columns.get(id.0 as usize).unwrap_or(&UNKNOWN)
}

/// The name of a column in plans.
fn name(pipeline: &Pipeline, id: ColumnId) -> String {
    format!("{}#{}", column(pipeline, id).name, id.0)
}

fn named(name: impl Into<String>) -> Expr {
    Expr::Column(Column::new_unqualified(name))
}

fn cast(expr: Expr, ty: EvType) -> Expr {
    datafusion::logical_expr::cast(expr, arrow_type(ty))
}

fn try_cast(expr: Expr, ty: EvType) -> Expr {
    datafusion::logical_expr::try_cast(expr, arrow_type(ty))
}
