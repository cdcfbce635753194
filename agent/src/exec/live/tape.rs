//! What the lower part of a cut plan gave so far, kept small: mergeable state is merged now and
//! then, and what passes a share of the memory goes to temporary files.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::streaming::PartitionStream;

use super::cut::read;
use crate::exec::engine::Engine;
use crate::exec::error::Error;
use crate::exec::rows::Rows;

/// Rows of state below which merging is not worth its while.
const MERGE_AT_LEAST: usize = 1 << 16;

/// Rows of one cut.
#[derive(Debug)]
pub(super) struct Tape {
    below: Arc<dyn ExecutionPlan>,
    rows: Rows,
    /// Rows that were left when state was merged last.
    merged: usize,
    budget_bytes: usize,
}

impl Tape {
    /// An empty one for the rows of this lower part.
    pub(super) fn new(
        engine: &Engine,
        below: &Arc<dyn ExecutionPlan>,
        budget_bytes: usize,
    ) -> Self {
        Self {
            below: Arc::clone(below),
            rows: Rows::new(engine, below.schema(), budget_bytes),
            merged: 0,
            budget_bytes,
        }
    }

    /// What reads its rows now.
    pub(super) fn partitions(&self) -> Vec<Arc<dyn PartitionStream>> {
        self.rows.partitions()
    }

    /// Adds the rows of another one for the same lower part.
    pub(super) async fn append(&mut self, engine: &Engine, other: &Tape) -> Result<(), Error> {
        for partition in other.partitions() {
            let stream = partition.execute(engine.context.task_ctx());
            self.rows.take(stream).await?;
        }
        self.merge(engine).await
    }

    /// Adds what a plan of the lower part gives.
    pub(super) async fn add(
        &mut self,
        engine: &Engine,
        plan: Arc<dyn ExecutionPlan>,
    ) -> Result<(), Error> {
        self.rows.take(engine.execute(plan)?).await?;
        self.merge(engine).await
    }

    /// Merges state when there is twice as much as after the last time.
    async fn merge(&mut self, engine: &Engine) -> Result<(), Error> {
        if self.rows.len() < MERGE_AT_LEAST.max(self.merged.saturating_mul(2)) {
            return Ok(());
        }
        let Some(aggregate) = self.below.downcast_ref::<AggregateExec>() else {
            return Ok(());
        };
        // Files are left as they are: what is merged has room in memory.
        if self.rows.are_spilled() {
            return Ok(());
        }
        let plan = merging(aggregate, read(&self.below, self.rows.partitions())?)?;
        let mut rows = Rows::new(engine, self.below.schema(), self.budget_bytes);
        rows.take(engine.execute(plan)?).await?;
        self.merged = rows.len();
        self.rows = rows;
        Ok(())
    }
}

/// The plan that merges rows of state to fewer.
fn merging(
    aggregate: &AggregateExec,
    state: Arc<dyn ExecutionPlan>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let calls = aggregate.aggr_expr().to_vec();
    let merge = AggregateExec::try_new(
        AggregateMode::PartialReduce,
        aggregate.group_expr().as_final(),
        calls,
        vec![None; aggregate.aggr_expr().len()],
        Arc::new(CoalescePartitionsExec::new(state)),
        aggregate.input_schema(),
    )?;
    Ok(Arc::new(merge))
}
