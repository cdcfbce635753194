//! The table over capture files: what is pushed into the scan, and who reads which part.

use std::cmp::Reverse;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;

use super::alone;
use super::error::ScanError;
use super::file::ScanFile;
use super::pause::Pause;
use super::plan::{CaptureScanExec, Scan};
use super::predicate::Predicate;
use super::prune;
use super::report::ScanReport;
use super::stored::{Groups, Way};
use super::tuples::Layout;
use super::view::Columns;
use crate::capfile::Part;
use crate::plan::pipeline::SourceColumn;
use crate::store::Sidecar;

/// What is to be known of the files beside their bytes, and how they are read.
#[derive(Clone, Debug)]
pub struct ScanOptions {
    /// Partitions aimed at: the number of cores.
    pub partitions: usize,
    /// First instant (inclusive) and last instant (exclusive) in nanoseconds since the Unix
    /// epoch; frames outside, or without a time, are left out.
    pub time_range: Option<(i64, i64)>,
    /// Whether large files may be divided among partitions. To be off where the query may stop
    /// before the end: only a part that is read to its end proves where the next one starts.
    pub split: bool,
    /// Called by each thread between two rounds of packets.
    pub pause: Pause,
    /// The number of the first file, which orders its packets among others of the query.
    pub first_file: u64,
}

impl Default for ScanOptions {
    fn default() -> Self {
        Self {
            partitions: std::thread::available_parallelism().map_or(1, usize::from),
            time_range: None,
            split: true,
            pause: Pause::default(),
            first_file: 0,
        }
    }
}

/// Capture files as a table.
#[derive(Debug)]
pub struct CaptureTable {
    files: Vec<ScanFile>,
    columns: Arc<Columns>,
    options: ScanOptions,
    report: Arc<ScanReport>,
}

/// A part of an input, and the input's place among all, which orders its frames.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) file: u64,
    /// The tag of its frames.
    pub(super) tag: Arc<str>,
    pub(super) part: Part,
    /// Whether there are more parts of the file.
    pub(super) divided: bool,
    /// Whether the file may be removed meanwhile.
    pub(super) stored: bool,
    /// The row groups of its sidecar to read instead of the part.
    pub(super) groups: Option<Groups>,
}

impl Piece {
    /// What reading it costs, in bytes, roughly.
    fn cost(&self) -> u64 {
        match &self.groups {
            Some(groups) => groups.rows() * TUPLE_BYTES,
            None => {
                let range = self.part.range();
                range.end.saturating_sub(range.start)
            }
        }
    }

    /// Its place among the pieces of its file.
    fn place(&self) -> u64 {
        let first = self
            .groups
            .as_ref()
            .and_then(|groups| groups.groups.first());
        first.map_or(self.part.range().start, |group| *group as u64)
    }
}

/// Bytes of a frame that is read as fast as a tuple.
const TUPLE_BYTES: u64 = 100;

impl CaptureTable {
    /// A table of these columns, named as [`super::column_name`] says, over these files. What the
    /// scan meets is added to the report.
    pub fn new(
        files: Vec<ScanFile>,
        columns: Vec<SourceColumn>,
        options: ScanOptions,
        report: Arc<ScanReport>,
    ) -> Self {
        Self {
            files,
            columns: Arc::new(Columns::new(columns)),
            options,
            report,
        }
    }

    /// A table of the columns of a scan.
    pub(super) fn over(files: Vec<ScanFile>, scan: &Scan, options: ScanOptions) -> Self {
        Self {
            files,
            columns: Arc::clone(&scan.columns),
            options,
            report: Arc::clone(&scan.report),
        }
    }

    /// The pieces of each partition, of about the same size each, in the order of the input.
    pub(super) fn partitions(
        &self,
        scan: &Scan,
        split: bool,
    ) -> Result<Vec<Vec<Piece>>, ScanError> {
        let target = self.options.partitions.max(1);
        let total: u64 = self.files.iter().map(|file| file.input.size_bytes()).sum();
        let share = total.div_ceil(target as u64).max(1);
        let way = Way::of(scan).map(Arc::new);
        let way = way.as_ref();
        let mut pieces = Vec::new();
        for (number, file) in (self.options.first_file..).zip(&self.files) {
            let input = &file.input;
            let stored = match &file.tuples {
                Some(tuples) => match alone::groups(tuples, way, scan) {
                    Some(groups) => Some(self.counted(groups)),
                    None => continue,
                },
                None => way.and_then(|way| self.stored(file, way, scan)),
            };
            if let Some(stored) = stored {
                let chunk = stored.groups.len().div_ceil(target).max(1);
                for groups in stored.groups.chunks(chunk) {
                    pieces.push(Piece {
                        file: number,
                        tag: Arc::clone(&file.tag),
                        part: input.whole(),
                        divided: false,
                        stored: true,
                        groups: Some(Groups {
                            groups: groups.to_vec(),
                            ..stored.clone()
                        }),
                    });
                }
                continue;
            }
            let wanted = if split {
                usize::try_from(input.size_bytes().div_ceil(share)).unwrap_or(target)
            } else {
                1
            };
            let parts = input.split(wanted.clamp(1, target))?;
            let divided = parts.len() > 1;
            let piece = |part| Piece {
                file: number,
                tag: Arc::clone(&file.tag),
                part,
                divided,
                stored: file.stored,
                groups: None,
            };
            pieces.extend(parts.into_iter().map(piece));
        }
        Ok(distribute(pieces, target))
    }
}

impl CaptureTable {
    /// The row groups to read of a file's sidecar; `None` if the file is to be read itself.
    fn stored(&self, file: &ScanFile, way: &Arc<Way>, scan: &Scan) -> Option<Groups> {
        let path = file.sidecar.as_ref()?;
        let opened = Sidecar::open(path, file.input.length())
            .and_then(|sidecar| Ok((Layout::of(&sidecar)?, Arc::new(sidecar))));
        let (layout, sidecar) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                self.report.add_sidecar_problem(error.to_string());
                return None;
            }
        };
        let groups = prune::groups(&sidecar, way.predicate(), scan.time_range, &scan.columns);
        let groups = Groups {
            sidecar,
            layout,
            groups,
            way: Arc::clone(way),
        };
        Some(self.counted(groups))
    }

    /// Notes in the report what of a table is read.
    fn counted(&self, groups: Groups) -> Groups {
        let ruled_out = groups.sidecar.packets.saturating_sub(groups.rows());
        self.report.ruled_out.fetch_add(ruled_out, Relaxed);
        self.report.sidecars.fetch_add(1, Relaxed);
        groups
    }
}

/// Largest piece first, each to the partition that has least so far.
fn distribute(mut pieces: Vec<Piece>, target: usize) -> Vec<Vec<Piece>> {
    pieces.sort_by_key(|piece| Reverse(piece.cost()));
    let count = target.min(pieces.len()).max(1);
    let mut partitions: Vec<(u64, Vec<Piece>)> = vec![(0, Vec::new()); count];
    for piece in pieces {
        if let Some((bytes, partition)) = partitions.iter_mut().min_by_key(|(bytes, _)| *bytes) {
            // An empty file counts too, so that many of them do not meet in one partition.
            *bytes += piece.cost().max(1);
            partition.push(piece);
        }
    }
    let mut partitions: Vec<_> = partitions.into_iter().map(|(_, pieces)| pieces).collect();
    for partition in &mut partitions {
        partition.sort_by_key(|piece| (piece.file, piece.place()));
    }
    partitions
}

#[async_trait]
impl TableProvider for CaptureTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.columns.schema())
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        let answer = |filter: &&Expr| match Predicate::compile(filter, &self.columns) {
            Some(_) => TableProviderFilterPushDown::Exact,
            None => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(answer).collect())
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut predicates = Vec::with_capacity(filters.len());
        for filter in filters {
            predicates.push(Predicate::compile(filter, &self.columns).ok_or_else(|| {
                datafusion::common::internal_datafusion_err!("the scan cannot decide {filter}")
            })?);
        }
        let all = || (0..self.columns.schema().fields().len()).collect();
        let projection = projection.cloned().unwrap_or_else(all);
        let schema = Arc::new(self.columns.schema().project(&projection)?);
        let scan = Scan {
            columns: Arc::clone(&self.columns),
            projection,
            schema,
            predicate: (!predicates.is_empty()).then(|| Predicate::all(predicates)),
            filters: filters.iter().map(ToString::to_string).collect(),
            time_range: self.options.time_range,
            limit,
            pause: self.options.pause.clone(),
            report: Arc::clone(&self.report),
        };
        let partitions = self.partitions(&scan, self.options.split && limit.is_none())?;
        self.report
            .files
            .fetch_add(self.files.len() as u64, Relaxed);
        let bytes: u64 = self.files.iter().map(|file| file.input.size_bytes()).sum();
        self.report.bytes_total.fetch_add(bytes, Relaxed);
        Ok(Arc::new(CaptureScanExec::new(scan, partitions)))
    }
}
