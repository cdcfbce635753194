//! Where a physical plan is cut for input that comes bit by bit: what is below the cut treats every
//! bit by itself, what is above needs all that the lower parts gave.
//!
//! Below are filters and projections, and the partial half of an aggregation, whose rows are its
//! mergeable state: the engine merges them above the cut as it merges those of its threads. A sort
//! of which only the first rows count stands on both sides: the first of all are among the first of
//! each bit.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode as _};
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::execution_plan::{replace_children_if_necessary, reset_plan_states};
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::physical_plan::{ExecutionPlan, Partitioning};

use crate::exec::scan::CaptureScanExec;

/// A plan that was cut.
#[derive(Debug)]
pub(super) struct CutPlan {
    whole: Arc<dyn ExecutionPlan>,
    /// What is below each cut, in the order in which the plan is walked.
    below: Vec<Arc<dyn ExecutionPlan>>,
}

impl CutPlan {
    pub(super) fn new(whole: Arc<dyn ExecutionPlan>) -> Result<Self> {
        let mut below = Vec::new();
        walk(&whole, &mut |cut| {
            below.push(Arc::clone(cut));
            Ok(Arc::clone(cut))
        })?;
        Ok(Self { whole, below })
    }

    /// What is below each cut.
    pub(super) fn below(&self) -> &[Arc<dyn ExecutionPlan>] {
        &self.below
    }

    /// The plan over rows that the lower parts gave: of each cut, in order.
    pub(super) fn above(
        &self,
        rows: Vec<Vec<Arc<dyn PartitionStream>>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut rows = rows.into_iter();
        let plan = walk(&self.whole, &mut |cut| {
            let rows = rows.next().unwrap_or_default();
            read(cut, rows)
        })?;
        reset_plan_states(plan)
    }
}

/// A lower part over a bit of input: `leaf` gives what stands for each of its leaves.
pub(super) fn over(
    below: &Arc<dyn ExecutionPlan>,
    leaf: impl Fn(&dyn ExecutionPlan) -> Result<Option<Arc<dyn ExecutionPlan>>>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let plan = Arc::clone(below).transform_up(|plan| {
        Ok(match leaf(plan.as_ref())? {
            Some(replaced) => Transformed::yes(replaced),
            None => Transformed::no(plan),
        })
    })?;
    reset_plan_states(plan.data)
}

/// A plan that reads rows of the columns of another one, and stands where that stood: where there
/// was one partition, what is above relies on it.
pub(super) fn read(
    like: &Arc<dyn ExecutionPlan>,
    rows: Vec<Arc<dyn PartitionStream>>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let read = StreamingTableExec::try_new(like.schema(), rows, None, [], false, None)?;
    Ok(
        match like.properties().output_partitioning().partition_count() {
            1 => Arc::new(CoalescePartitionsExec::new(Arc::new(read))),
            _ => Arc::new(read),
        },
    )
}

type Replace<'a> = dyn FnMut(&Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> + 'a;

/// The plan with another part in the place of each lower one.
fn walk(
    plan: &Arc<dyn ExecutionPlan>,
    replace: &mut Replace<'_>,
) -> Result<Arc<dyn ExecutionPlan>> {
    if is_rowwise(plan) || is_partial(plan) {
        return replace(plan);
    }
    if let Some(first) = first_rows(plan) {
        return replace_children_if_necessary(Arc::clone(plan), vec![replace(&first)?]);
    }
    let children = plan.children();
    let children = children
        .into_iter()
        .map(|child| walk(child, replace))
        .collect::<Result<Vec<_>>>()?;
    replace_children_if_necessary(Arc::clone(plan), children)
}

/// Whether it is the partial half of an aggregation of rows that come bit by bit.
fn is_partial(plan: &Arc<dyn ExecutionPlan>) -> bool {
    plan.downcast_ref::<AggregateExec>()
        .is_some_and(|aggregate| {
            *aggregate.mode() == AggregateMode::Partial && is_rowwise(aggregate.input())
        })
}

/// If it gives the first rows, in an order, of those that come bit by bit: what gives those of each
/// partition of a bit, of which there may be more than of the plan's own input.
fn first_rows(plan: &Arc<dyn ExecutionPlan>) -> Option<Arc<dyn ExecutionPlan>> {
    let sort = plan.downcast_ref::<SortExec>()?;
    let is_cut = sort.fetch().is_some() && is_rowwise(sort.input());
    let each = || {
        SortExec::new(sort.expr().clone(), Arc::clone(sort.input()))
            .with_fetch(sort.fetch())
            .with_preserve_partitioning(true)
    };
    is_cut.then(|| Arc::new(each()) as _)
}

/// Whether every row of its answer comes of one row of the live input.
fn is_rowwise(plan: &Arc<dyn ExecutionPlan>) -> bool {
    if plan.is::<CaptureScanExec>() || plan.is::<StreamingTableExec>() {
        return true;
    }
    let passes = plan.is::<FilterExec>()
        || plan.is::<ProjectionExec>()
        || plan.is::<CooperativeExec>()
        || plan
            .downcast_ref::<RepartitionExec>()
            .is_some_and(|plan| matches!(plan.partitioning(), Partitioning::RoundRobinBatch(_)));
    passes && plan.children().into_iter().all(is_rowwise)
}
