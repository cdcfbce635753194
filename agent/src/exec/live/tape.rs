//! What the lower part of a cut plan gave so far, kept small: mergeable state is merged now and
//! then, of first rows the first are kept, and what passes a share of the memory goes to temporary
//! files.

use std::sync::Arc;

use datafusion::common::{DataFusionError, Result};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::{AggregateExec, AggregateMode};
use datafusion::physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion::physical_plan::sorts::sort::SortExec;
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
        let Some(plan) = merging(&self.below, self.rows.partitions())? else {
            return Ok(());
        };
        let mut rows = Rows::new(engine, self.below.schema(), self.budget_bytes);
        match rows.take(engine.execute(plan)?).await {
            // The files of the old rows go with them.
            Ok(()) => self.rows = rows,
            // What has no room to be merged is tried again when there is twice as much.
            Err(error) if matches!(error.find_root(), DataFusionError::ResourcesExhausted(_)) => {}
            Err(error) => return Err(error.into()),
        }
        self.merged = self.rows.len();
        Ok(())
    }
}

/// The plan that makes fewer rows of those that a lower part gave; `None` where each of them counts.
fn merging(
    below: &Arc<dyn ExecutionPlan>,
    rows: Vec<Arc<dyn PartitionStream>>,
) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let rows = || -> Result<_> { Ok(Arc::new(CoalescePartitionsExec::new(read(below, rows)?))) };
    if let Some(aggregate) = below.downcast_ref::<AggregateExec>() {
        let merge = AggregateExec::try_new(
            AggregateMode::PartialReduce,
            aggregate.group_expr().as_final(),
            aggregate.aggr_expr().to_vec(),
            vec![None; aggregate.aggr_expr().len()],
            rows()?,
            aggregate.input_schema(),
        )?;
        return Ok(Some(Arc::new(merge)));
    }
    if let Some(sort) = below.downcast_ref::<SortExec>() {
        let first = SortExec::new(sort.expr().clone(), rows()?).with_fetch(sort.fetch());
        return Ok(Some(Arc::new(first)));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::AsArray as _;
    use datafusion::arrow::datatypes::UInt32Type;
    use futures::TryStreamExt as _;

    use super::super::{Bit, Live};
    use super::*;
    use crate::exec::RunOptions;
    use crate::exec::scan::ScanReport;
    use crate::frame::{Frame, LinkType};
    use crate::frames::Frames;

    /// Senders, each once.
    const SENDERS: u32 = 1 << 13;

    fn bit() -> Bit {
        let mut frames = Frames::default();
        for sender in 0..SENDERS {
            let mut data = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
            data.extend([0x45, 0, 0, 20, 0, 0, 0, 0, 64, 255, 0, 0]);
            data.extend(sender.to_be_bytes());
            data.extend([8, 8, 8, 8]);
            frames.push(Frame {
                time_ns: Some(0),
                wire_len: 34,
                link_type: LinkType(1),
                interface: "",
                offset: u64::from(sender),
                data: &data,
            });
        }
        Bit::Frames {
            frames: Arc::new(frames),
            tag: "pcap".into(),
        }
    }

    async fn live(query: &str, memory_limit_bytes: usize) -> Live {
        let tree = crate::lang::parse(query).0.unwrap();
        let pipeline = crate::plan::resolve(&tree).unwrap();
        let options = RunOptions {
            memory_limit_bytes,
            partitions: 2,
            ..RunOptions::default()
        };
        let report = Arc::new(ScanReport::default());
        Live::new(&pipeline, &options, 1, report).await.unwrap()
    }

    /// Rows of what is closed, and whether some were ever in files, after so many times the same.
    async fn pushed(live: &mut Live, times: usize) -> (usize, bool) {
        let bit = bit();
        let mut was_spilled = false;
        for _ in 0..times {
            live.push(&bit).await.unwrap();
            live.close_until(1, false).await.unwrap();
            was_spilled |= live.closed.iter().any(|tape| tape.rows.are_spilled());
        }
        let rows = live.closed.iter().map(|tape| tape.rows.len()).sum();
        (rows, was_spilled)
    }

    /// Rows of the answer, and the sender of the first.
    async fn answered(live: &Live) -> (usize, u32) {
        let answer = live.answer().await.unwrap();
        let batches: Vec<_> = answer.stream.try_collect().await.unwrap();
        let rows = batches.iter().map(|batch| batch.num_rows()).sum();
        let senders = batches[0].column(0).as_primitive::<UInt32Type>();
        (rows, senders.value(0))
    }

    /// Files would else grow for as long as the query runs.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn state_in_files_is_merged_too() {
        let query = "tag=pcap packet ipv4.SrcIP | count by SrcIP | table -nt SrcIP count";
        let mut live = live(query, 2 << 20).await;
        let (rows, was_spilled) = pushed(&mut live, 40).await;
        assert!(was_spilled);
        assert!(rows < 2 * MERGE_AT_LEAST, "{rows}");
        assert_eq!(answered(&live).await.0, SENDERS as usize);
    }

    /// Each packet would else be kept.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn of_first_rows_the_first_are_kept() {
        let packets = "tag=pcap packet ipv4.SrcIP | sort by SrcIP desc";
        let query = format!("{packets} | limit 12 | table -nt SrcIP");
        let mut few = live(&query, 64 << 20).await;
        assert!(pushed(&mut few, 3).await.0 <= 12 * 3 * 2);
        assert_eq!(answered(&few).await, (12, SENDERS - 1));
        let query = format!("{packets} | limit 5000 | table -nt SrcIP");
        let mut many = live(&query, 64 << 20).await;
        let (rows, _) = pushed(&mut many, 30).await;
        assert!(rows < 2 * MERGE_AT_LEAST, "{rows}");
        assert_eq!(answered(&many).await, (5000, SENDERS - 1));
    }
}
