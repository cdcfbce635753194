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

/// The physical plans that a query ran, in order; none where they are not kept.
#[derive(Clone, Debug, Default)]
pub struct Plans(Option<Arc<Mutex<Physical>>>);

type Physical = Vec<Arc<dyn ExecutionPlan>>;

impl Plans {
    fn kept() -> Self {
        Self(Some(Arc::default()))
    }

    fn add(&self, plan: &Arc<dyn ExecutionPlan>) {
        if let Some(plans) = &self.0 {
            plans
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(Arc::clone(plan));
        }
    }

    pub(super) fn list(&self) -> Physical {
        let plans = self.0.as_ref();
        let plans = plans.map(|plans| plans.lock().unwrap_or_else(PoisonError::into_inner));
        plans.map(|plans| plans.clone()).unwrap_or_default()
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
            plans: Plans::kept(),
            memory_limit_bytes: options.memory_limit_bytes,
        })
    }

    /// An engine that gives answer after answer. A plan holds the rows that it read, in memory or
    /// in files: it lets go of each with its answer.
    pub(super) fn for_many(options: &RunOptions) -> Result<Self, Error> {
        Ok(Self {
            plans: Plans::default(),
            ..Self::new(options)?
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
        self.plans.add(&plan);
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
