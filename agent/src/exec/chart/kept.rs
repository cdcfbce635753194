//! What the steps of a chart read: its windows, in memory, else in temporary files.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::common::utils::memory::RecordBatchMemoryCounter;
use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::execution::{SpillFile, TaskContext};
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, SpillMetrics};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion::physical_plan::{SendableRecordBatchStream, SpillManager};
use futures::{StreamExt as _, TryStreamExt as _};

use crate::exec::engine::Engine;
use crate::exec::error::Error;

/// A plan that gives the rows of this one, which runs once. They are kept in memory where they fit
/// a quarter of the limit: what is left is for the steps that read them.
pub(super) async fn kept(engine: &Engine, plan: &LogicalPlan) -> Result<LogicalPlan, Error> {
    let budget = engine.memory_limit_bytes / 4;
    let mut stream = engine.stream(plan).await?;
    let schema = stream.schema();
    // Aggregates give their rows as slices of few large buffers; each buffer counts once.
    let mut memory = RecordBatchMemoryCounter::new();
    let mut batches = Vec::new();
    while let Some(batch) = stream.try_next().await? {
        memory.count_batch(&batch);
        batches.push(batch);
        if memory.memory_usage() > budget {
            return read(spilled(engine, batches, stream).await?);
        }
    }
    read(MemTable::try_new(schema, vec![batches])?)
}

fn read(table: impl TableProvider + 'static) -> Result<LogicalPlan, Error> {
    Ok(LogicalPlanBuilder::scan("windows", provider_as_source(Arc::new(table)), None)?.build()?)
}

/// The batches and the rest of the stream, in one temporary file per core.
async fn spilled(
    engine: &Engine,
    batches: Vec<RecordBatch>,
    mut rest: SendableRecordBatchStream,
) -> Result<StreamingTable, Error> {
    let schema = rest.schema();
    let metrics = SpillMetrics::new(&ExecutionPlanMetricsSet::new(), 0);
    let environment = engine.context.runtime_env();
    let manager = SpillManager::new(environment, metrics, Arc::clone(&schema));
    let mut files = Vec::new();
    for _ in 0..engine.context.state().config().target_partitions().max(1) {
        files.push(manager.create_in_progress_file("the windows of a chart")?);
    }
    let mut turn = 0;
    let mut append = |batch: &RecordBatch| {
        let count = files.len();
        if let Some(file) = files.get_mut(turn % count) {
            file.append_batch(batch)?;
        }
        turn += 1;
        Ok::<_, datafusion::common::DataFusionError>(())
    };
    // Written batches are let go of one by one.
    for batch in batches {
        append(&batch)?;
    }
    while let Some(batch) = rest.try_next().await? {
        append(&batch)?;
    }
    let mut partitions: Vec<Arc<dyn PartitionStream>> = Vec::new();
    for mut file in files {
        partitions.push(Arc::new(Spilled {
            manager: manager.clone(),
            file: file.finish()?,
        }));
    }
    Ok(StreamingTable::try_new(schema, partitions)?)
}

/// A temporary file, removed when nothing reads it any more.
struct Spilled {
    manager: SpillManager,
    /// None without rows.
    file: Option<Arc<dyn SpillFile>>,
}

impl fmt::Debug for Spilled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.file.as_ref().and_then(|file| file.path());
        f.debug_struct("Spilled").field("path", &path).finish()
    }
}

impl PartitionStream for Spilled {
    fn schema(&self) -> &SchemaRef {
        self.manager.schema()
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        match &self.file {
            Some(file) => self
                .manager
                .read_spill_as_stream(Arc::clone(file), None)
                .unwrap_or_else(|error| {
                    let failed = futures::stream::once(async { Err(error) }).boxed();
                    Box::pin(RecordBatchStreamAdapter::new(
                        Arc::clone(self.schema()),
                        failed,
                    ))
                }),
            None => {
                let nothing = futures::stream::empty();
                Box::pin(RecordBatchStreamAdapter::new(
                    Arc::clone(self.schema()),
                    nothing,
                ))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{ArrayRef, AsArray as _, Int64Array};
    use datafusion::arrow::compute::sort;
    use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema};

    use super::super::collect;
    use super::*;
    use crate::exec::engine::RunOptions;

    /// Rows of the test's one column, 8 bytes each: 512 KiB.
    const ROWS: i64 = 1 << 16;

    /// What is kept of a column that comes in slices of one buffer, under a memory limit: whether
    /// it is in files. It is read twice, and gives all rows each time.
    async fn spills_under(memory_limit_bytes: usize) -> bool {
        let options = RunOptions {
            memory_limit_bytes,
            partitions: 2,
            ..RunOptions::default()
        };
        let engine = Engine::new(&options).unwrap();
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
        let array: ArrayRef = Arc::new(Int64Array::from_iter_values(0..ROWS));
        let whole = RecordBatch::try_new(Arc::clone(&schema), vec![array]).unwrap();
        let slices = (0..ROWS as usize)
            .step_by(1024)
            .map(|at| whole.slice(at, 1024));
        let table = MemTable::try_new(schema, vec![slices.collect()]).unwrap();
        let kept = kept(&engine, &read(table).unwrap()).await.unwrap();
        for _ in 0..2 {
            let rows = collect(&engine, &kept).await.unwrap();
            let sorted = sort(rows.column(0), None).unwrap();
            let values = sorted.as_primitive::<Int64Type>().values();
            assert!(values.iter().copied().eq(0..ROWS));
        }
        let plan = engine.context.state().create_physical_plan(&kept).await;
        let plan = datafusion::physical_plan::displayable(plan.unwrap().as_ref())
            .indent(false)
            .to_string();
        plan.contains("StreamingTable")
    }

    #[tokio::test]
    async fn slices_of_one_buffer_count_once() {
        // A quarter of the limit: 1 MiB, room for the buffer but not for 64 times that.
        assert!(!spills_under(4 << 20).await);
    }

    #[tokio::test]
    async fn what_does_not_fit_is_spilled_once() {
        assert!(spills_under(1 << 20).await);
    }
}
