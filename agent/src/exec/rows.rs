//! Rows kept between two plans: in memory, past a budget in temporary files.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::common::utils::memory::RecordBatchMemoryCounter;
use datafusion::execution::{SpillFile, TaskContext};
use datafusion::physical_plan::memory::MemoryStream;
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, SpillMetrics};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion::physical_plan::{SendableRecordBatchStream, SpillManager};
use futures::{StreamExt as _, TryStreamExt as _};

use super::engine::Engine;

/// Rows that are added batch by batch, and read as often as wanted.
pub(super) struct Rows {
    manager: SpillManager,
    budget_bytes: usize,
    /// Partitions that those in memory are read as.
    partitions: usize,
    memory: Vec<RecordBatch>,
    counter: RecordBatchMemoryCounter,
    files: Vec<Arc<dyn SpillFile>>,
    rows: usize,
}

impl Rows {
    /// None yet. What passes the budget goes to temporary files.
    pub(super) fn new(engine: &Engine, schema: SchemaRef, budget_bytes: usize) -> Self {
        let metrics = SpillMetrics::new(&ExecutionPlanMetricsSet::new(), 0);
        let environment = engine.context.runtime_env();
        Self {
            manager: SpillManager::new(environment, metrics, schema),
            budget_bytes,
            partitions: engine.partitions(),
            memory: Vec::new(),
            counter: RecordBatchMemoryCounter::new(),
            files: Vec::new(),
            rows: 0,
        }
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        self.manager.schema()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.rows
    }

    /// Whether some are in files.
    pub(super) fn are_spilled(&self) -> bool {
        !self.files.is_empty()
    }

    /// All of them, where none are in files.
    pub(super) fn in_memory(&self) -> Option<&[RecordBatch]> {
        (!self.are_spilled()).then_some(&self.memory)
    }

    /// Adds a batch; it has the schema but for what may be null.
    pub(super) fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let columns = batch.columns().to_vec();
        let batch = RecordBatch::try_new(Arc::clone(self.schema()), columns)?;
        self.rows += batch.num_rows();
        // Aggregates give their rows as slices of few large buffers; each buffer counts once.
        self.counter.count_batch(&batch);
        self.memory.push(batch);
        if self.counter.memory_usage() > self.budget_bytes {
            self.spill()?;
        }
        Ok(())
    }

    /// Adds all batches of a stream.
    pub(super) async fn take(&mut self, mut stream: SendableRecordBatchStream) -> Result<()> {
        while let Some(batch) = stream.try_next().await? {
            self.push(&batch)?;
        }
        Ok(())
    }

    fn spill(&mut self) -> Result<()> {
        let mut file = self.manager.create_in_progress_file("rows between plans")?;
        // Written batches are let go of one by one.
        for batch in self.memory.drain(..) {
            file.append_batch(&batch)?;
        }
        self.files.extend(file.finish()?);
        self.counter = RecordBatchMemoryCounter::new();
        Ok(())
    }

    /// What reads them now; at least one partition.
    pub(super) fn partitions(&self) -> Vec<Arc<dyn PartitionStream>> {
        let mut partitions: Vec<Arc<dyn PartitionStream>> = Vec::new();
        for file in &self.files {
            partitions.push(Arc::new(Spilled {
                manager: self.manager.clone(),
                file: Arc::clone(file),
            }));
        }
        let share = self.memory.len().div_ceil(self.partitions.max(1)).max(1);
        for batches in self.memory.chunks(share) {
            partitions.push(Arc::new(Held {
                schema: Arc::clone(self.schema()),
                batches: batches.to_vec(),
            }));
        }
        if partitions.is_empty() {
            partitions.push(Arc::new(Held {
                schema: Arc::clone(self.schema()),
                batches: Vec::new(),
            }));
        }
        partitions
    }
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows")
            .field("rows", &self.rows)
            .field("files", &self.files.len())
            .finish_non_exhaustive()
    }
}

/// Batches in memory.
#[derive(Debug)]
struct Held {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
}

impl PartitionStream for Held {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let schema = Arc::clone(&self.schema);
        match MemoryStream::try_new(self.batches.clone(), Arc::clone(&schema), None) {
            Ok(stream) => Box::pin(stream),
            Err(error) => failed(schema, error),
        }
    }
}

/// A temporary file, removed when nothing reads it any more.
struct Spilled {
    manager: SpillManager,
    file: Arc<dyn SpillFile>,
}

impl fmt::Debug for Spilled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spilled")
            .field("path", &self.file.path())
            .finish()
    }
}

impl PartitionStream for Spilled {
    fn schema(&self) -> &SchemaRef {
        self.manager.schema()
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        self.manager
            .read_spill_as_stream(Arc::clone(&self.file), None)
            .unwrap_or_else(|error| failed(Arc::clone(self.schema()), error))
    }
}

/// A stream that is one error.
fn failed(
    schema: SchemaRef,
    error: datafusion::common::DataFusionError,
) -> SendableRecordBatchStream {
    let error = futures::stream::once(async { Err(error) }).boxed();
    Box::pin(RecordBatchStreamAdapter::new(schema, error))
}
