//! What the steps of a chart read: its windows, in memory, else in temporary files.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::physical_plan::SendableRecordBatchStream;

use crate::exec::engine::Engine;
use crate::exec::error::Error;
use crate::exec::rows::Rows;

/// A plan that gives the rows of this stream, as often as wanted. They are kept in memory where
/// they fit a quarter of the limit: what is left is for the steps that read them.
pub(super) async fn kept(
    engine: &Engine,
    stream: SendableRecordBatchStream,
) -> Result<LogicalPlan, Error> {
    read(&collected(engine, stream).await?)
}

async fn collected(engine: &Engine, stream: SendableRecordBatchStream) -> Result<Rows, Error> {
    let mut rows = Rows::new(engine, stream.schema(), engine.memory_limit_bytes / 4);
    rows.take(stream).await?;
    Ok(rows)
}

fn read(rows: &Rows) -> Result<LogicalPlan, Error> {
    let schema = Arc::clone(rows.schema());
    let table: Arc<dyn TableProvider> = match rows.in_memory() {
        Some(batches) => Arc::new(MemTable::try_new(schema, vec![batches.to_vec()])?),
        None => Arc::new(StreamingTable::try_new(schema, rows.partitions())?),
    };
    Ok(LogicalPlanBuilder::scan("windows", provider_as_source(table), None)?.build()?)
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{ArrayRef, AsArray as _, Int64Array, RecordBatch};
    use datafusion::arrow::compute::sort;
    use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema};
    use datafusion::physical_plan::memory::MemoryStream;

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
        let stream = MemoryStream::try_new(slices.collect(), schema, None).unwrap();
        let rows = collected(&engine, Box::pin(stream)).await.unwrap();
        let plan = read(&rows).unwrap();
        for _ in 0..2 {
            let read = collect(&engine, &plan).await.unwrap();
            let sorted = sort(read.column(0), None).unwrap();
            let values = sorted.as_primitive::<Int64Type>().values();
            assert!(values.iter().copied().eq(0..ROWS));
        }
        rows.are_spilled()
    }

    #[tokio::test]
    async fn slices_of_one_buffer_count_once() {
        // A quarter of the limit: 1 MiB, room for the buffer but not for 64 times that.
        assert!(!spills_under(4 << 20).await);
    }

    #[tokio::test]
    async fn what_does_not_fit_is_spilled() {
        assert!(spills_under(1 << 20).await);
    }
}
