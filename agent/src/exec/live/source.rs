//! Bits of live input, their packets by window, and what stands for the leaves of plans.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::stream::EmptyRecordBatchStream;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use datafusion::physical_plan::{ExecutionPlan, SendableRecordBatchStream};

use super::NO_TIME;
use crate::exec::functions::window::window_start;
use crate::exec::rows::Rows;
use crate::exec::scan::{CaptureScanExec, Held, ScanFile, ScanOptions};
use crate::frames::Frames;

/// Packets below which one thread is enough.
const FRAMES_PER_THREAD: usize = 4096;

/// What came in one go.
#[derive(Clone, Debug)]
pub enum Bit {
    /// Frames of one tag; their offsets give their order among all of the query.
    Frames {
        /// The frames.
        frames: Arc<Frames>,
        /// Their tag.
        tag: Arc<str>,
    },
    /// Tuples of which the packets were not stored.
    Tuples {
        /// A file with their table.
        file: Box<ScanFile>,
        /// Gives their order among all of the query, as [`ScanOptions::first_file`].
        number: u64,
    },
    /// Files of a store, in a range of time: the past of a query that goes on live.
    Files {
        /// The files.
        files: Vec<ScanFile>,
        /// First instant, in nanoseconds since the Unix epoch.
        from_ns: i64,
        /// Windows that end before are complete; packets may still come to the others.
        seam_ns: i64,
        /// No packet of theirs is later.
        until_ns: i64,
    },
}

/// The windows between the complete past and the present, which are read in one go: they are held
/// as one, to which packets still come, and close together.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seam {
    start_ns: i64,
    end_ns: i64,
    /// Whether anything before was read.
    has_past: bool,
}

impl Seam {
    /// Whether what ends then is all of the past.
    pub(super) fn ends_past(self, end_ns: i64) -> bool {
        self.has_past && end_ns == self.start_ns
    }

    /// First instant and the one behind, of what the window that starts then is held in.
    pub(super) fn around(self, start_ns: i64, window_ns: i64) -> (i64, i64) {
        match (self.start_ns..self.end_ns).contains(&start_ns) {
            true => (self.start_ns, self.end_ns),
            false => (start_ns, start_ns.saturating_add(window_ns)),
        }
    }
}

/// The packets of one window.
pub(super) enum Part {
    Frames(Held),
    Files(Vec<ScanFile>, ScanOptions),
}

impl Part {
    /// Packets, where that is known before they are read.
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Frames(held) => held.places.len() as u64,
            Self::Files(files, options) => match options.time_range {
                Some((from, to)) => files.iter().map(|file| tuples_within(file, from, to)).sum(),
                None => 0,
            },
        }
    }
}

impl Bit {
    /// The windows between past and present, if it has both.
    pub(super) fn seam(&self, window_ns: i64) -> Option<Seam> {
        match self {
            Self::Frames { .. } | Self::Tuples { .. } => None,
            Self::Files {
                from_ns,
                seam_ns,
                until_ns,
                ..
            } => Some(Seam {
                start_ns: window_start((*seam_ns).max(*from_ns), window_ns, 0),
                end_ns: window_start(*until_ns, window_ns, 0).saturating_add(window_ns),
                has_past: *from_ns < window_start(*seam_ns, window_ns, 0),
            }),
        }
    }

    /// The packets by start of their window, oldest first; those without a time at [`NO_TIME`].
    ///
    /// Of files, all windows before the last are one part: nothing comes to them any more.
    pub(super) fn by_window(&self, window_ns: i64) -> Vec<(i64, Part)> {
        match self {
            Self::Frames { frames, tag } => {
                let mut windows: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
                for (place, time) in frames.times().enumerate() {
                    let start = time.map_or(NO_TIME, |time| window_start(time, window_ns, 0));
                    windows.entry(start).or_default().push(place);
                }
                let held = |places| {
                    Part::Frames(Held {
                        frames: Arc::clone(frames),
                        places,
                        tag: Arc::clone(tag),
                    })
                };
                windows
                    .into_iter()
                    .map(|(start, places)| (start, held(places)))
                    .collect()
            }
            Self::Tuples { file, number } => {
                let starts: BTreeSet<i64> = tuple_times(file)
                    .map(|time| window_start(time, window_ns, 0))
                    .collect();
                let part = |start: i64| {
                    let options = ScanOptions {
                        time_range: Some((start, start.saturating_add(window_ns))),
                        first_file: *number,
                        ..ScanOptions::default()
                    };
                    Part::Files(vec![ScanFile::clone(file)], options)
                };
                starts
                    .into_iter()
                    .map(|start| (start, part(start)))
                    .collect()
            }
            Self::Files {
                files,
                from_ns,
                seam_ns,
                ..
            } => {
                let (from, to) = (*from_ns, i64::MAX);
                let seam = window_start(*seam_ns, window_ns, 0).max(from);
                let part = |from, to| {
                    let options = ScanOptions {
                        time_range: Some((from, to)),
                        ..ScanOptions::default()
                    };
                    Part::Files(files.clone(), options)
                };
                let mut parts = Vec::new();
                if from < seam {
                    parts.push((seam.saturating_sub(window_ns), part(from, seam)));
                }
                parts.push((window_start(seam, window_ns, 0), part(seam, to)));
                parts
            }
        }
    }
}

/// Times of the tuples of a file that has nothing else. A group that cannot be read has none here;
/// tables that are made in memory have no such group.
fn tuple_times(file: &ScanFile) -> impl Iterator<Item = i64> {
    let table = file.tuples.iter();
    table
        .flat_map(|table| (0..table.groups()).filter_map(|group| table.times(group).ok()))
        .flat_map(|times| times.values)
}

fn tuples_within(file: &ScanFile, from: i64, to: i64) -> u64 {
    let within = |time: &i64| from <= *time && *time < to;
    tuple_times(file).filter(within).count() as u64
}

/// What reads frames in the place of a scan.
pub(super) fn frames_leaf(
    held: &Held,
    partitions: usize,
) -> impl Fn(&dyn ExecutionPlan) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let share = held.places.len().div_ceil(partitions.max(1));
    let share = share.max(FRAMES_PER_THREAD);
    let shares: Vec<Held> = held
        .places
        .chunks(share)
        .map(|places| Held {
            frames: Arc::clone(&held.frames),
            places: places.to_vec(),
            tag: Arc::clone(&held.tag),
        })
        .collect();
    move |plan| {
        let scan = plan.downcast_ref::<CaptureScanExec>();
        Ok(scan.map(|scan| Arc::new(scan.over_frames(shares.clone())) as _))
    }
}

/// What reads files in the place of a scan.
pub(super) fn files_leaf(
    files: &[ScanFile],
    options: &ScanOptions,
) -> impl Fn(&dyn ExecutionPlan) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    move |plan| {
        let Some(scan) = plan.downcast_ref::<CaptureScanExec>() else {
            return Ok(None);
        };
        Ok(Some(Arc::new(
            scan.over_files(files.to_vec(), options.clone())?,
        )))
    }
}

/// What reads the rows of the first operations in the place of the table between.
pub(super) fn rows_leaf(
    rows: &Rows,
) -> impl Fn(&dyn ExecutionPlan) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    move |plan| {
        let Some(gap) = plan.downcast_ref::<StreamingTableExec>() else {
            return Ok(None);
        };
        let projection = gap.projection().as_ref().map(|places| places.to_vec());
        let read = StreamingTableExec::try_new(
            Arc::clone(rows.schema()),
            rows.partitions(),
            projection.as_ref(),
            [],
            false,
            None,
        )?;
        Ok(Some(Arc::new(read)))
    }
}

/// Where rows will come from: none by itself.
#[derive(Debug)]
pub(super) struct Gap(SchemaRef);

impl Gap {
    pub(super) fn new(schema: SchemaRef) -> Self {
        Self(schema)
    }
}

impl PartitionStream for Gap {
    fn schema(&self) -> &SchemaRef {
        &self.0
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        Box::pin(EmptyRecordBatchStream::new(Arc::clone(&self.0)))
    }
}
