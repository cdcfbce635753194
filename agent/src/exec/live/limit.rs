//! The most rows that an answer may have.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt as _, future};

/// The first rows of a stream; `cut` is set where there were more.
pub(super) fn rows(
    stream: SendableRecordBatchStream,
    rows: u64,
    cut: Arc<AtomicBool>,
) -> SendableRecordBatchStream {
    let schema = stream.schema();
    let mut left = usize::try_from(rows).unwrap_or(usize::MAX);
    let limited = stream.map(move |batch| {
        let batch = batch?;
        let kept = batch.num_rows().min(left);
        left -= kept;
        if kept < batch.num_rows() {
            cut.store(true, Relaxed);
        }
        Ok(batch.slice(0, kept))
    });
    // An empty batch says nothing to anybody.
    let limited = limited.filter(|batch| {
        let is_empty = batch.as_ref().is_ok_and(|batch| batch.num_rows() == 0);
        future::ready(!is_empty)
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, limited))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Int64Array, RecordBatch};
    use datafusion::arrow::datatypes::{DataType, Field, Schema};
    use datafusion::physical_plan::memory::MemoryStream;
    use futures::TryStreamExt as _;

    use super::*;

    #[tokio::test]
    async fn rows_beyond_the_limit_are_left_out_and_told() {
        for (limit, expected, is_cut) in [(2, 2, true), (3, 3, true), (6, 6, false), (9, 6, false)]
        {
            let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
            let three = Arc::new(Int64Array::from(vec![1, 2, 3]));
            let batch = RecordBatch::try_new(Arc::clone(&schema), vec![three]).unwrap();
            let stream = MemoryStream::try_new(vec![batch.clone(), batch], schema, None).unwrap();
            let cut = Arc::new(AtomicBool::new(false));
            let stream = rows(Box::pin(stream), limit, Arc::clone(&cut));
            let batches: Vec<RecordBatch> = stream.try_collect().await.unwrap();
            let count: usize = batches.iter().map(RecordBatch::num_rows).sum();
            assert_eq!((count, cut.load(Relaxed)), (expected, is_cut), "{limit}");
        }
    }
}
