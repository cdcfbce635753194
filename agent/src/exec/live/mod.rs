//! A query over packets that come bit by bit: the same plan as over a file, in two.
//!
//! ```text
//! bit of input -> below the cut -> open windows -> (closed) first operations -> rest, below its
//! cut -> all so far -> rest, above its cut -> answer
//! ```
//!
//! Windows are cut from the time of the packets. Where the first operations treat every window by
//! itself (`over`, charts), they run when it closes, and only what they give is kept. Where they
//! do not, the mergeable state of the first aggregation is kept. So memory holds what the answer
//! needs, and the answer is that of the same query over the same packets in a file.

mod cut;
mod limit;
mod prefix;
mod rest;
mod source;
mod tape;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use datafusion::catalog::streaming::StreamingTable;
use datafusion::physical_plan::streaming::PartitionStream;

use self::cut::{CutPlan, over};
use self::prefix::{Prefix, oldest_first, windowed_prefix};
use self::rest::Rest;
pub use self::source::Bit;
use self::source::{Gap, Seam, files_leaf, frames_leaf, rows_leaf};
use self::tape::Tape;
use super::engine::{Engine, RunOptions};
use super::error::Error;
use super::functions::window::window_start;
use super::lower::{TimeRange, lower, lower_apart};
use super::run::{Answer, Source, table, time_range};
use super::scan::{ScanOptions, ScanReport, column_name};
use crate::plan::pipeline::{Pipeline, Renderer};
use crate::wall;

/// The share of the memory limit that the state of the query may take before it goes to files.
const STATE_SHARE: usize = 4;

/// What stands for the start of the window of packets without a time. It closes with the last: to
/// no time before are they all there. Rows of packets wait for nothing.
const NO_TIME: i64 = i64::MIN;

/// A clock that falls behind what was complete by more than this was set back: less is what packets
/// are late by themselves.
const SET_BACK_NS: i64 = 5_000_000_000;

/// A live query.
pub struct Live {
    engine: Engine,
    report: Arc<ScanReport>,
    range: TimeRange,
    /// When it began, where it has no other start.
    since_ns: Option<i64>,
    /// Operations that run window by window.
    first: Option<CutPlan>,
    rest: Rest,
    window_ns: i64,
    keeps: bool,
    budget_bytes: usize,
    /// By start of the window: the rows of each cut of `first`, else of `rest`.
    open: BTreeMap<i64, Vec<Tape>>,
    /// Rows of each cut of `rest`, of windows that have closed.
    closed: Vec<Tape>,
    /// Windows that start before have closed.
    closed_until_ns: i64,
    set_back: bool,
    late: u64,
    after_window: u64,
    seam: Seam,
    max_rows: Option<u64>,
    /// Whether an answer had more rows than it may have.
    cut: Arc<AtomicBool>,
}

/// A window that has closed.
#[derive(Debug)]
pub struct Closed {
    /// When its packets are of.
    pub span: Span,
    rows: Vec<Tape>,
}

/// A range of time, in nanoseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// Packets without a time.
    NoTime,
    /// Everything before: the past of a query, whose windows close together.
    Before(i64),
    /// A first instant, and the one behind the last: of one window, or of several together.
    From(i64, i64),
}

impl Live {
    /// A live query. `window_ns` is the width of the windows in which answers are shown where the
    /// query has none of its own.
    ///
    /// # Errors
    /// As [`super::run()`]; and queries that read what no packet is (`tag=loss`).
    pub async fn new(
        pipeline: &Pipeline,
        options: &RunOptions,
        window_ns: i64,
        report: Arc<ScanReport>,
    ) -> Result<Self, Error> {
        if pipeline.tags == [crate::plan::loss::TAG] {
            return Err(Error::Query(
                "tag=loss is a table of the store, and has no live packets".to_owned(),
            ));
        }
        let shown_at_once = oldest_first(pipeline);
        let pipeline = shown_at_once.as_ref().unwrap_or(pipeline);
        // With one partition the engine does not aggregate in two halves.
        let options = RunOptions {
            partitions: options.partitions.max(2),
            ..options.clone()
        };
        let engine = Engine::for_many(&options)?;
        let now_ns = wall::now_ns();
        let range = time_range(pipeline, &options, now_ns);
        let source = Source::default();
        let table = table(pipeline, source, &options, range, Arc::clone(&report))?;
        let prefix = windowed_prefix(pipeline);
        let (first, lowered) = match prefix {
            Some(prefix) => {
                let between = |schema| {
                    let gap: Arc<dyn PartitionStream> = Arc::new(Gap::new(Arc::clone(&schema)));
                    let table = StreamingTable::try_new(schema, vec![gap])?;
                    Ok(Arc::new(table) as _)
                };
                let (first, rest) =
                    lower_apart(pipeline, table, column_name, now_ns, prefix.ops, between)?;
                let first = engine.physical(&first).await?;
                (Some(CutPlan::new(first)?), rest)
            }
            None => {
                let whole = lower(pipeline, table, column_name, TimeRange::default(), now_ns)?;
                (None, whole)
            }
        };
        let rest = Rest::new(&engine, lowered).await?;
        let window_ns = match (prefix, &pipeline.renderer) {
            (
                Some(Prefix { window_ns, .. }),
                Renderer::Chart {
                    window_ns: bin_ns, ..
                },
            ) => window_ns.max(*bin_ns),
            (Some(prefix), _) => prefix.window_ns,
            (None, Renderer::Chart { window_ns, .. }) => *window_ns,
            (None, _) => window_ns.max(1),
        };
        let mut live = Self {
            budget_bytes: engine.memory_limit_bytes / STATE_SHARE,
            engine,
            report,
            range,
            since_ns: None,
            first,
            rest,
            window_ns,
            keeps: shown_at_once.is_none(),
            open: BTreeMap::new(),
            closed: Vec::new(),
            closed_until_ns: i64::MIN,
            set_back: false,
            late: 0,
            after_window: 0,
            seam: Seam::default(),
            max_rows: None,
            cut: Arc::default(),
        };
        live.closed = live.tapes(live.rest.cuts());
        Ok(live)
    }

    /// Answers have at most so many rows; what is beyond is left out, and [`Self::is_cut`] says so.
    pub fn limit_rows(&mut self, rows: u64) {
        self.max_rows = Some(rows);
    }

    /// Whether an answer had more rows than it may have.
    pub fn is_cut(&self) -> bool {
        self.cut.load(Relaxed)
    }

    /// Says when it began: what was missed before is not the answer's.
    pub fn begin(&mut self, since_ns: i64) {
        self.since_ns = Some(since_ns);
    }

    /// Width of the windows, in nanoseconds.
    pub fn window_ns(&self) -> i64 {
        self.window_ns
    }

    /// Whether there is an answer over all windows: not where every packet is shown by itself.
    pub fn has_final_answer(&self) -> bool {
        self.keeps
    }

    /// Packets that came after their window had closed, and that the answer does not have: where
    /// windows are counted one by one.
    pub fn late_packets(&self) -> u64 {
        self.late
    }

    /// Packets that came after their window had closed, and that the answer over all has.
    pub fn packets_after_window(&self) -> u64 {
        self.after_window
    }

    /// Whether the clock of the packets was set back. What was open then was closed, so that no
    /// window waits for the clock to come there again; the same windows open again.
    pub fn is_set_back(&self) -> bool {
        self.set_back
    }

    /// What the scans met so far.
    pub fn report(&self) -> &Arc<ScanReport> {
        &self.report
    }

    fn tapes<'a>(&self, cuts: impl Iterator<Item = &'a CutPlan>) -> Vec<Tape> {
        cuts.flat_map(CutPlan::below)
            .map(|below| Tape::new(&self.engine, below, self.budget_bytes))
            .collect()
    }

    fn entrance(&self) -> Vec<&CutPlan> {
        match &self.first {
            Some(first) => vec![first],
            None => self.rest.cuts().collect(),
        }
    }

    /// Takes packets in.
    pub async fn push(&mut self, bit: &Bit) -> Result<(), Error> {
        let partitions = self.engine.partitions();
        self.seam = bit.seam(self.window_ns).unwrap_or(self.seam);
        for (start, part) in bit.by_window(self.window_ns) {
            let (start, end) = self.seam.around(start, self.window_ns);
            // Rows stand for themselves: late ones are shown with the next window that closes.
            let is_late = self.keeps && start != NO_TIME && end <= self.closed_until_ns;
            if is_late && self.first.is_some() {
                self.late += part.len();
                continue;
            }
            let mut tapes = match self.open.remove(&start) {
                Some(tapes) => tapes,
                None => self.tapes(self.entrance().into_iter()),
            };
            let cuts = self.entrance();
            let below = cuts.iter().flat_map(|cut| cut.below());
            for (below, tape) in below.zip(&mut tapes) {
                let plan = match &part {
                    source::Part::Frames(held) => over(below, frames_leaf(held, partitions))?,
                    source::Part::Files(files, options) => {
                        let options = ScanOptions {
                            partitions,
                            ..options.clone()
                        };
                        over(below, files_leaf(files, &options))?
                    }
                };
                tape.add(&self.engine, plan).await?;
            }
            if is_late {
                self.after_window += part.len();
                self.keep(&tapes).await?;
            } else {
                self.open.insert(start, tapes);
            }
        }
        Ok(())
    }

    /// Closes the windows that end at or before a time, together; `i64::MAX` closes all. `each`
    /// is for callers that show every window: it gives one entry per window, else one in all.
    ///
    /// A time that is well before an earlier one closes all, and windows open again from it on.
    pub async fn close_until(&mut self, time_ns: i64, each: bool) -> Result<Vec<Closed>, Error> {
        let start_ns = window_start(time_ns, self.window_ns, 0);
        if time_ns.saturating_add(SET_BACK_NS) < self.closed_until_ns {
            self.set_back = true;
            let closed = self.close(i64::MAX, each).await?;
            self.closed_until_ns = start_ns;
            return Ok(closed);
        }
        let until_ns = match time_ns {
            i64::MAX => i64::MAX,
            _ => start_ns,
        };
        self.closed_until_ns = self.closed_until_ns.max(until_ns);
        self.close(time_ns, each).await
    }

    async fn close(&mut self, time_ns: i64, each: bool) -> Result<Vec<Closed>, Error> {
        let mut closed: Vec<Closed> = Vec::new();
        let first = match self.keeps && time_ns < i64::MAX {
            true => NO_TIME + 1,
            false => NO_TIME,
        };
        while let Some((&key, _)) = self.open.range(first..).next() {
            let (start_ns, end_ns) = self.seam.around(key, self.window_ns);
            if end_ns > time_ns {
                break;
            }
            let Some(rows) = self.open.remove(&key) else {
                break;
            };
            let span = match key {
                NO_TIME => Span::NoTime,
                _ if self.seam.ends_past(end_ns) => Span::Before(end_ns),
                _ => Span::From(start_ns, end_ns),
            };
            match closed.last_mut() {
                Some(last) if !each => {
                    for (tape, more) in last.rows.iter_mut().zip(&rows) {
                        tape.append(&self.engine, more).await?;
                    }
                }
                _ => closed.push(Closed { span, rows }),
            }
        }
        for window in &mut closed {
            if let Some(first) = &self.first {
                let rows = self.through(first, &window.rows).await?;
                window.rows = rows;
            }
            self.keep(&window.rows).await?;
        }
        Ok(closed)
    }

    async fn keep(&mut self, rows: &[Tape]) -> Result<(), Error> {
        if self.keeps {
            for (tape, rows) in self.closed.iter_mut().zip(rows) {
                tape.append(&self.engine, rows).await?;
            }
        }
        Ok(())
    }

    /// The rows of the rest's cuts that these rows of the first operations' cuts give.
    async fn through(&self, first: &CutPlan, rows: &[Tape]) -> Result<Vec<Tape>, Error> {
        let rows = rows.iter().map(Tape::partitions).collect();
        let plan = first.above(rows)?;
        let mut given = super::rows::Rows::new(&self.engine, plan.schema(), self.budget_bytes);
        given.take(self.engine.execute(plan)?).await?;
        let mut tapes = self.tapes(self.rest.cuts());
        let below = self.rest.cuts().flat_map(CutPlan::below);
        for (below, tape) in below.zip(&mut tapes) {
            let plan = over(below, rows_leaf(&given))?;
            tape.add(&self.engine, plan).await?;
        }
        Ok(tapes)
    }

    /// The answer of one window.
    pub async fn window_answer(&self, window: &Closed) -> Result<Answer, Error> {
        let rows = window.rows.iter().map(Tape::partitions).collect();
        self.finish(rows).await
    }

    /// The answer of all packets so far, those of open windows too.
    pub async fn answer(&self) -> Result<Answer, Error> {
        let mut rows: Vec<Vec<_>> = self.closed.iter().map(Tape::partitions).collect();
        let mut opened = Vec::new();
        let mut open = self.open.values();
        if let (Some(first), Some(all)) = (&self.first, open.next()) {
            let mut together = self.tapes(std::iter::once(first));
            for tapes in std::iter::once(all).chain(open) {
                for (tape, more) in together.iter_mut().zip(tapes) {
                    tape.append(&self.engine, more).await?;
                }
            }
            opened.push(self.through(first, &together).await?);
        }
        let open = match &self.first {
            Some(_) => opened.iter().collect::<Vec<_>>(),
            None => self.open.values().collect(),
        };
        for tapes in open {
            for (rows, tape) in rows.iter_mut().zip(tapes) {
                rows.extend(tape.partitions());
            }
        }
        self.finish(rows).await
    }

    async fn finish(&self, rows: Vec<Vec<Arc<dyn PartitionStream>>>) -> Result<Answer, Error> {
        let (columns, shape, stream) = self.rest.run(&self.engine, rows, self.range).await?;
        let stream = match self.max_rows {
            Some(rows) => limit::rows(stream, rows, Arc::clone(&self.cut)),
            None => stream,
        };
        Ok(Answer {
            columns,
            shape,
            span_ns: (self.range.start.or(self.since_ns), self.range.end),
            asked_ns: wall::now_ns(),
            stream,
            report: Arc::clone(&self.report),
            plans: self.engine.plans.clone(),
        })
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live")
            .field("window_ns", &self.window_ns)
            .field("open", &self.open.len())
            .finish_non_exhaustive()
    }
}
