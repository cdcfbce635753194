//! Counting what passes each operation: plans that make one row of counts.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::{Expr, LogicalPlan, when};
use datafusion::prelude::lit;

use super::{Lowerer, TimeRange, named};
use crate::exec::error::Error;
use crate::plan::pipeline::{self, Op, Pipeline, SourceColumn};

/// A stretch of the pipeline between two operations that need all their input.
pub(in crate::exec) struct Segment {
    /// One row of counts: entries at the start of the stretch, then after each of its filters.
    pub(in crate::exec) plan: LogicalPlan,
    /// Whether the operation before the stretch is one that drops entries.
    pub(in crate::exec) after_drop: bool,
}

/// The plans that count, in the order of the pipeline.
///
/// A filter decides on one entry, so all filters of a stretch are counted in one pass in which they
/// only mark: expressions are pure, and may be computed for entries that an earlier one dropped.
pub(in crate::exec) fn segments(
    pipeline: &Pipeline,
    table: Arc<dyn TableProvider>,
    names: impl Fn(&SourceColumn) -> String,
    now_ns: i64,
) -> Result<Vec<Segment>, Error> {
    let mut real = Lowerer::new(pipeline, table, names, TimeRange::default(), now_ns)?;
    let mut marking = Marking::new(&real);
    let mut segments = Vec::new();
    let mut after_drop = false;
    for op in &pipeline.ops {
        real.op(op)?;
        match op {
            Op::Filter(condition) => marking.filter(condition)?,
            Op::Assign(_) | Op::Sort(_) => marking.lowerer.op(op)?,
            _ => {
                let plan = std::mem::replace(&mut marking, Marking::new(&real)).counts()?;
                segments.push(Segment { plan, after_drop });
                after_drop = op.drops();
            }
        }
    }
    let plan = marking.counts()?;
    segments.push(Segment { plan, after_drop });
    Ok(segments)
}

/// A lowering in which filters make a column instead of dropping entries.
struct Marking<'a> {
    lowerer: Lowerer<'a>,
    /// Whether an entry passes all filters up to each; null is no.
    passed: Vec<Expr>,
}

impl<'a> Marking<'a> {
    fn new(lowerer: &Lowerer<'a>) -> Self {
        Self {
            lowerer: lowerer.clone(),
            passed: Vec::new(),
        }
    }

    fn filter(&mut self, condition: &pipeline::Expr) -> Result<(), Error> {
        let name = format!("passed{}", self.passed.len());
        let own = self.lowerer.expr(condition)?;
        let passed = match self.passed.last() {
            Some(before) => before.clone().and(own),
            None => own,
        };
        let present = self.lowerer.plan.schema().columns().into_iter();
        let columns = present
            .map(Expr::Column)
            .chain([passed.alias(&name)])
            .collect::<Vec<_>>();
        self.lowerer.plan = self.lowerer.builder().project(columns)?.build()?;
        self.passed.push(named(name));
        Ok(())
    }

    fn counts(self) -> Result<LogicalPlan, Error> {
        let mut counts = vec![count(lit(1))];
        for passed in self.passed {
            counts.push(count(when(passed, lit(1)).end()?));
        }
        let builder = self.lowerer.builder();
        Ok(builder.aggregate(Vec::<Expr>::new(), counts)?.build()?)
    }
}
