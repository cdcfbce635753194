//! The engine of one query: its limits, and the running of plans and of what was lowered.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{ExecutionPlan, SendableRecordBatchStream, execute_stream};
use datafusion::prelude::SessionContext;

use super::chart;
use super::error::Error;
use super::lower::{Lowered, TimeRange};
use super::scan::Pause;
use super::session::session;
use crate::shape::Shape;
use crate::types::OutputColumn;

/// Limits and surroundings of a query.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Memory for the whole query, in bytes; past it, it spills.
    pub memory_limit_bytes: usize,
    /// Threads that work at the same time.
    pub partitions: usize,
    /// Where to spill; `None`: the system's temporary folder.
    pub temp_dir: Option<PathBuf>,
    /// First instant (inclusive), in nanoseconds since the Unix epoch.
    pub from_ns: Option<i64>,
    /// Last instant (exclusive), in nanoseconds since the Unix epoch.
    pub to_ns: Option<i64>,
    /// Whether large files are divided among threads; off after [`super::Error::SplitMissed`].
    pub split: bool,
    /// Called by the scan's threads between two rounds of packets.
    pub pause: Pause,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            memory_limit_bytes: 512 << 20,
            partitions: std::thread::available_parallelism().map_or(1, usize::from),
            temp_dir: None,
            from_ns: None,
            to_ns: None,
            split: true,
            pause: Pause::default(),
        }
    }
}

/// The physical plans that a query ran, in order.
#[derive(Clone, Debug, Default)]
pub struct Plans(Arc<Mutex<Vec<Arc<dyn ExecutionPlan>>>>);

impl Plans {
    fn add(&self, plan: Arc<dyn ExecutionPlan>) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(plan);
    }

    pub(super) fn list(&self) -> Vec<Arc<dyn ExecutionPlan>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// What runs plans.
pub(super) struct Engine {
    pub(super) context: SessionContext,
    pub(super) plans: Plans,
    pub(super) memory_limit_bytes: usize,
}

impl Engine {
    pub(super) fn new(options: &RunOptions) -> Result<Self, Error> {
        Ok(Self {
            context: session(options)?,
            plans: Plans::default(),
            memory_limit_bytes: options.memory_limit_bytes,
        })
    }

    /// Partitions that plans aim at.
    pub(super) fn partitions(&self) -> usize {
        self.context.state().config().target_partitions()
    }

    /// The physical plan.
    pub(super) async fn physical(
        &self,
        plan: &LogicalPlan,
    ) -> Result<Arc<dyn ExecutionPlan>, Error> {
        Ok(self.context.state().create_physical_plan(plan).await?)
    }

    /// Starts a plan.
    pub(super) async fn stream(
        &self,
        plan: &LogicalPlan,
    ) -> Result<SendableRecordBatchStream, Error> {
        let plan = self.physical(plan).await?;
        self.plans.add(Arc::clone(&plan));
        self.execute(plan)
    }

    /// Starts a physical plan, once.
    pub(super) fn execute(
        &self,
        plan: Arc<dyn ExecutionPlan>,
    ) -> Result<SendableRecordBatchStream, Error> {
        Ok(execute_stream(plan, self.context.task_ctx())?)
    }

    /// Runs what was lowered.
    pub(super) async fn run(
        &self,
        lowered: Lowered,
        range: TimeRange,
    ) -> Result<(Vec<OutputColumn>, Shape, SendableRecordBatchStream), Error> {
        match lowered {
            Lowered::Plan {
                plan,
                columns,
                shape,
            } => Ok((columns, shape, self.stream(&plan).await?)),
            Lowered::Chart(input) => chart::run(self, input, range).await,
        }
    }
}
