//! The thread of one partition: its frames, one after another, to batches.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::Ordering::Relaxed;

use datafusion::arrow::array::RecordBatch;
use datafusion::common::Result;
use datafusion::physical_plan::metrics::BaselineMetrics;
use tokio::sync::mpsc::Sender;

use super::batch::BatchBuilder;
use super::error::ScanError;
use super::plan::{Held, Scan};
use super::report::ScanReport;
use super::table::Piece;
use super::view::{Depth, FrameView};
use crate::capfile::{self, FrameReader};
use crate::decode::{self, Packet};
use crate::frame::{Frame, LinkType};

/// Frames between two looks at whether anybody still wants them.
pub(super) const FRAMES_PER_ROUND: u32 = 8192;

/// Bits of a sequence number that hold the record's offset in its file; the file's number is
/// above them. 16 TiB of one file and a million files stay apart and in order.
pub const OFFSET_BITS: u32 = 44;

/// Reads the pieces of one partition.
pub(super) struct Reader<'a> {
    pub(super) scan: &'a Scan,
    pub(super) depth: Depth,
    pub(super) output: &'a Sender<Result<RecordBatch>>,
    pub(super) metrics: &'a BaselineMetrics,
    pub(super) batch: BatchBuilder,
    /// Rows that may still be made.
    pub(super) left: usize,
    pub(super) counts: Counts,
}

/// What has not been added to the report yet.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) packets: u64,
    pub(super) rows: u64,
    portless_fragments: u64,
    cut: u64,
    unknown_links: BTreeMap<u16, u64>,
    /// The link type that was looked up last, and what was found.
    last_link: Option<LinkType>,
    is_decodable: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        scan: &'a Scan,
        output: &'a Sender<Result<RecordBatch>>,
        metrics: &'a BaselineMetrics,
    ) -> Self {
        let mut used = scan.projection.clone();
        if let Some(predicate) = &scan.predicate {
            predicate.columns(&mut used);
        }
        let schema = scan.schema.clone();
        Self {
            scan,
            depth: scan.columns.depth(used),
            output,
            metrics,
            batch: BatchBuilder::new(&scan.columns, &scan.projection, schema),
            left: scan.limit.unwrap_or(usize::MAX),
            counts: Counts::default(),
        }
    }

    /// Reads all pieces, until there is nobody to take the batches, or enough rows.
    pub(super) fn read(mut self, pieces: &[Piece]) -> Result<()> {
        for piece in pieces {
            if self.left == 0 {
                break;
            }
            // A batch has one tag.
            if !self.batch.has_tag(&piece.tag) {
                if self.send()?.is_break() {
                    return Ok(());
                }
                self.batch.set_tag(&piece.tag);
            }
            let flow = match &piece.groups {
                Some(groups) => self.read_groups(piece, groups)?,
                None => self.read_part(piece)?,
            };
            if flow.is_break() {
                return Ok(());
            }
        }
        // The last batch: whether anybody takes it makes no difference any more.
        self.send().map(|_| ())
    }

    /// All frames that are held in memory; their offsets are their sequence.
    pub(super) fn read_held(mut self, held: &Held) -> Result<()> {
        self.batch.set_tag(&held.tag);
        for round in held.places.chunks(FRAMES_PER_ROUND as usize) {
            let timer = self.metrics.elapsed_compute().timer();
            for frame in round.iter().filter_map(|place| held.frames.get(*place)) {
                if self.left == 0 {
                    break;
                }
                self.frame(0, frame)?;
                if self.batch.is_full() && self.send()?.is_break() {
                    return Ok(());
                }
            }
            timer.done();
            self.counts.add_to(&self.scan.report);
        }
        self.send().map(|_| ())
    }

    /// What was opened of a piece; `None` of a stored file that retention removed, which is noted.
    pub(super) fn unless_removed<T>(
        &self,
        piece: &Piece,
        opened: std::result::Result<T, capfile::Error>,
    ) -> Result<Option<T>> {
        match opened {
            Err(error) if piece.stored && error.is_missing() => {
                self.scan.report.add_removed(piece.part.input().name());
                Ok(None)
            }
            opened => Ok(Some(opened.map_err(ScanError::from)?)),
        }
    }

    /// All frames of a part of a file.
    fn read_part(&mut self, piece: &Piece) -> Result<ControlFlow<()>> {
        let Some(mut frames) = self.unless_removed(piece, piece.part.open())? else {
            return Ok(ControlFlow::Continue(()));
        };
        let flow = self.read_frames(piece, &mut frames)?;
        if frames.boundary_missed() {
            let file = piece.part.input().name().to_owned();
            return Err(ScanError::SplitMissed { file }.into());
        }
        self.scan.report.add_warnings(frames.warnings());
        Ok(flow)
    }

    /// All frames of a piece; breaks off when nobody takes the batches any more.
    fn read_frames(&mut self, piece: &Piece, frames: &mut FrameReader) -> Result<ControlFlow<()>> {
        let mut bytes_reported = 0;
        loop {
            self.scan.pause.wait();
            let timer = self.metrics.elapsed_compute().timer();
            let more = self.round(piece.file << OFFSET_BITS, frames)?;
            timer.done();
            let bytes = frames.bytes_read();
            self.scan
                .report
                .bytes_read
                .fetch_add(bytes - bytes_reported, Relaxed);
            bytes_reported = bytes;
            self.counts.add_to(&self.scan.report);
            if self.output.is_closed() || self.batch.is_full() && self.send()?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            if !more {
                return Ok(ControlFlow::Continue(()));
            }
        }
    }

    /// Frames until the batch is full or the round is over; whether there may be more.
    fn round(&mut self, file: u64, frames: &mut FrameReader) -> Result<bool> {
        for _ in 0..FRAMES_PER_ROUND {
            if self.left == 0 {
                return Ok(false);
            }
            let Some(frame) = frames.next_frame() else {
                return Ok(false);
            };
            self.frame(file, frame)?;
            if self.batch.is_full() {
                break;
            }
        }
        Ok(true)
    }

    /// Makes a row of a frame that is wanted.
    #[inline]
    pub(super) fn frame(&mut self, file: u64, frame: Frame<'_>) -> Result<()> {
        self.counts.packets += 1;
        if let Some((start, end)) = self.scan.time_range
            && !frame
                .time_ns
                .is_some_and(|time| (start..end).contains(&time))
        {
            return Ok(());
        }
        self.counts.cut += u64::from(frame.data.len() < frame.wire_len as usize);
        let sequence = file | frame.offset;
        let view = FrameView::new(&self.scan.columns, self.depth, frame, sequence);
        if let Some(packet) = view.outer() {
            self.counts.packet(packet, frame.link_type);
        }
        if let Some(predicate) = &self.scan.predicate
            && !predicate.is_true(&view)
        {
            return Ok(());
        }
        self.batch.push(&view)?;
        self.counts.rows += 1;
        self.left -= 1;
        Ok(())
    }

    /// Hands the rows so far over; breaks off when nobody takes them.
    pub(super) fn send(&mut self) -> Result<ControlFlow<()>> {
        if self.batch.rows() == 0 {
            return Ok(ControlFlow::Continue(()));
        }
        let batch = self.batch.finish()?;
        Ok(self.hand_over(batch))
    }

    /// Hands rows over that were made by column, after those before them.
    pub(super) fn send_batch(&mut self, batch: RecordBatch) -> Result<ControlFlow<()>> {
        match self.send()? {
            ControlFlow::Continue(()) => Ok(self.hand_over(batch)),
            broken => Ok(broken),
        }
    }

    fn hand_over(&self, batch: RecordBatch) -> ControlFlow<()> {
        self.metrics.record_output(batch.num_rows());
        match self.output.blocking_send(Ok(batch)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }
}

impl Counts {
    #[inline]
    fn packet(&mut self, packet: &Packet<'_>, link: LinkType) {
        self.several(1, u64::from(packet.is_later_fragment()), link);
    }

    /// Counts decoded packets, or tuples, of one link type.
    #[inline]
    pub(super) fn several(&mut self, packets: u64, later_fragments: u64, link: LinkType) {
        self.portless_fragments += later_fragments;
        // Packets of one file are of one link type, nearly always.
        if self.last_link != Some(link) {
            self.last_link = Some(link);
            self.is_decodable = decode::is_decodable(link);
        }
        if !self.is_decodable && packets > 0 {
            *self.unknown_links.entry(link.0).or_default() += packets;
        }
    }

    pub(super) fn add_to(&mut self, report: &ScanReport) {
        let counts = std::mem::take(self);
        report.packets.fetch_add(counts.packets, Relaxed);
        report.rows.fetch_add(counts.rows, Relaxed);
        let skipped = counts.packets - counts.rows;
        report.skipped.fetch_add(skipped, Relaxed);
        report.cut.fetch_add(counts.cut, Relaxed);
        let fragments = counts.portless_fragments;
        report.portless_fragments.fetch_add(fragments, Relaxed);
        if !counts.unknown_links.is_empty() {
            report.add_unknown_links(&counts.unknown_links);
        }
    }
}
