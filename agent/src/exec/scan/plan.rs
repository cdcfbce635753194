//! The physical scan: its partitions, and what `--explain` shows of it.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, internal_datafusion_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, SchedulingType};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
    ReplaceChildrenOptions,
};

use super::file::ScanFile;
use super::pause::Pause;
use super::predicate::Predicate;
use super::read::Reader;
use super::report::ScanReport;
use super::table::{CaptureTable, Piece, ScanOptions};
use super::view::Columns;
use crate::frames::Frames;

/// Batches that a partition may be ahead of whoever takes them.
const BATCHES_AHEAD: usize = 2;

/// What every partition does with its frames.
#[derive(Clone, Debug)]
pub(super) struct Scan {
    pub(super) columns: Arc<Columns>,
    /// The columns of a row, in order.
    pub(super) projection: Vec<usize>,
    pub(super) schema: SchemaRef,
    /// Decides which frames become rows.
    pub(super) predicate: Option<Predicate>,
    /// The predicate as text.
    pub(super) filters: Vec<String>,
    /// Inclusive and exclusive, in nanoseconds since the Unix epoch.
    pub(super) time_range: Option<(i64, i64)>,
    /// Rows after which a partition may stop.
    pub(super) limit: Option<usize>,
    /// Called between two rounds.
    pub(super) pause: Pause,
    pub(super) report: Arc<ScanReport>,
}

/// What one partition reads.
#[derive(Clone, Debug)]
pub(super) enum Share {
    /// Parts of capture files.
    Pieces(Vec<Piece>),
    /// Frames in memory.
    Held(Held),
}

/// Some of the frames that came in one go.
#[derive(Clone, Debug)]
pub(in crate::exec) struct Held {
    pub(in crate::exec) frames: Arc<Frames>,
    /// Their places, in order.
    pub(in crate::exec) places: Vec<usize>,
    /// The tag of them all.
    pub(in crate::exec) tag: Arc<str>,
}

/// Reads capture files or frames in memory, a thread per partition.
#[derive(Clone, Debug)]
pub struct CaptureScanExec {
    scan: Arc<Scan>,
    partitions: Arc<Vec<Share>>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl CaptureScanExec {
    pub(super) fn new(scan: Scan, partitions: Vec<Vec<Piece>>) -> Self {
        let shares = partitions.into_iter().map(Share::Pieces).collect();
        Self::reading(Arc::new(scan), shares)
    }

    fn reading(scan: Arc<Scan>, partitions: Vec<Share>) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&scan.schema)),
            Partitioning::UnknownPartitioning(partitions.len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        )
        // The receiving end of a tokio channel takes part in cooperative scheduling.
        .with_scheduling_type(SchedulingType::Cooperative);
        Self {
            scan,
            partitions: Arc::new(partitions),
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }

    /// The same scan of frames in memory.
    pub(in crate::exec) fn over_frames(&self, shares: Vec<Held>) -> Self {
        let shares = shares.into_iter().map(Share::Held).collect();
        Self::reading(Arc::clone(&self.scan), shares)
    }

    /// The same scan of other files, in another range of time: what both ranges have.
    pub(in crate::exec) fn over_files(
        &self,
        files: Vec<ScanFile>,
        options: ScanOptions,
    ) -> Result<Self> {
        let time_range = match (options.time_range, self.scan.time_range) {
            (Some((from, to)), Some((start, end))) => Some((from.max(start), to.min(end))),
            (asked, own) => asked.or(own),
        };
        let scan = Scan {
            time_range,
            ..Scan::clone(&self.scan)
        };
        let split = options.split && scan.limit.is_none();
        let table = CaptureTable::over(files, &scan, options);
        let partitions = table.partitions(&scan, split)?;
        Ok(Self::new(scan, partitions))
    }
}

impl DisplayAs for CaptureScanExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self
            .scan
            .schema
            .fields()
            .iter()
            .map(|f| f.name().as_str())
            .collect();
        write!(
            f,
            "CaptureScanExec: partitions={}, columns=[{}]",
            self.partitions.len(),
            names.join(", ")
        )?;
        if !self.scan.filters.is_empty() {
            write!(f, ", pushed_filters=[{}]", self.scan.filters.join(", "))?;
        }
        if let Some((start, end)) = self.scan.time_range {
            write!(f, ", time=[{start}, {end})")?;
        }
        match self.scan.limit {
            Some(limit) => write!(f, ", limit={limit}"),
            None => Ok(()),
        }
    }
}

impl ExecutionPlan for CaptureScanExec {
    fn name(&self) -> &'static str {
        "CaptureScanExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    /// None: the predicate is not one of the engine's expressions any more.
    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(
        &self,
        partition: usize,
        _context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        if partition >= self.partitions.len() {
            return Err(internal_datafusion_err!(
                "the scan has no partition {partition}"
            ));
        }
        let schema = Arc::clone(&self.scan.schema);
        let mut stream = RecordBatchReceiverStreamBuilder::new(schema, BATCHES_AHEAD);
        let (scan, partitions) = (Arc::clone(&self.scan), Arc::clone(&self.partitions));
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let output = stream.tx();
        stream.spawn_blocking(move || {
            let reader = Reader::new(&scan, &output, &metrics);
            match partitions.get(partition) {
                Some(Share::Pieces(pieces)) => reader.read(pieces),
                Some(Share::Held(held)) => reader.read_held(held),
                None => Ok(()),
            }
        });
        Ok(stream.build())
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn fetch(&self) -> Option<usize> {
        self.scan.limit
    }

    /// Not for divided files: see [`super::ScanOptions::split`].
    fn with_fetch(&self, limit: Option<usize>) -> Option<Arc<dyn ExecutionPlan>> {
        let divided = |share: &Share| match share {
            Share::Pieces(pieces) => pieces.iter().any(|piece| piece.divided),
            Share::Held(_) => false,
        };
        if self.partitions.iter().any(divided) {
            return None;
        }
        let scan = Scan {
            limit,
            ..Scan::clone(&self.scan)
        };
        Some(Arc::new(Self {
            scan: Arc::new(scan),
            metrics: ExecutionPlanMetricsSet::new(),
            ..self.clone()
        }))
    }
}
