//! Reading a stored file by its sidecar: rows from tuples alone, or only the packets that tuples
//! do not rule out.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use datafusion::arrow::array::UInt32Array;
use datafusion::common::Result;

use super::plan::Scan;
use super::predicate::Predicate;
use super::read::{OFFSET_BITS, Reader};
use super::table::Piece;
use super::tuples::{Chunk, GroupReader, Kept, Layout, Origin, Selection};
use super::view::FrameView;
use crate::capfile::RecordReader;
use crate::decode::tuple::Part;
use crate::frame::{Frame, LinkType};
use crate::store::sidecar::{Bounds, Column, Error as SidecarError, Sidecar};

/// How a sidecar serves a scan; the same for all files.
#[derive(Clone, Debug)]
pub(super) struct Way {
    /// What of the predicate a tuple decides, and the rows of tuples.
    selection: Selection,
    /// Whether rows are made of tuples alone.
    alone: bool,
    /// The columns that decide, time apart.
    first: Vec<Column>,
    /// The columns that are read only where a row is left.
    others: Vec<Column>,
    time_range: Option<(i64, i64)>,
}

impl Way {
    /// The way of a scan; `None` if its files are to be read themselves.
    pub(super) fn of(scan: &Scan) -> Option<Self> {
        let mut used = scan.projection.clone();
        if let Some(predicate) = &scan.predicate {
            predicate.columns(&mut used);
        }
        let covered = |column: usize| scan.columns.is_covered(column);
        let alone = used.iter().all(|column| covered(*column));
        let predicate = scan.predicate.as_ref();
        let predicate = predicate.and_then(|predicate| predicate.restricted(&covered));
        if !alone && predicate.is_none() {
            return None;
        }
        let offsets = !alone || used.iter().any(|column| scan.columns.is_sequence(*column));
        let selection = Selection::new(
            Arc::clone(&scan.columns),
            predicate,
            scan.time_range,
            scan.projection.clone(),
            Arc::clone(&scan.schema),
        );
        let mut first = selection.filter_parts();
        let mut others = match alone {
            true => selection.projected_parts(),
            false => [Part::Time, Part::WireLength, Part::CapturedLength].into(),
        };
        if !first.is_empty() || !others.is_empty() || scan.time_range.is_some() {
            // Fragments without ports are counted, as where packets are decoded.
            first.insert(Part::Marks);
        }
        others.retain(|part| !first.contains(part));
        let mut first: Vec<Column> = first.into_iter().map(Column::from).collect();
        let mut others: Vec<Column> = others.into_iter().map(Column::from).collect();
        if selection.filters_sequence() {
            first.push(Column::Offset);
        } else if offsets {
            others.push(Column::Offset);
        }
        Some(Self {
            selection,
            alone,
            first,
            others,
            time_range: scan.time_range,
        })
    }

    /// Whether rows can be made of tuples without packets, whose captured lengths are none.
    pub(super) fn does_without_packets(&self) -> bool {
        let captured = Column::CapturedLength;
        self.alone && !self.first.contains(&captured) && !self.others.contains(&captured)
    }

    /// What of the predicate a tuple decides.
    pub(super) fn predicate(&self) -> Option<&Predicate> {
        self.selection.predicate()
    }

    /// A reader of a row group, and whether all of its packets are in the time range.
    fn open<'a>(
        &self,
        stored: &'a Groups,
        group: usize,
    ) -> std::result::Result<(GroupReader<'a>, bool), SidecarError> {
        let sidecar = &stored.sidecar;
        let timed = self.time_range.is_none_or(|(start, end)| {
            let bounds = sidecar.time_bounds(group);
            matches!(bounds, Bounds::Within(low, high) if start <= low && high < end)
        });
        let (mut first, mut others) = (self.first.clone(), self.others.clone());
        if !timed && !first.contains(&Column::Time) {
            first.push(Column::Time);
            others.retain(|column| *column != Column::Time);
        }
        let reader = GroupReader::open(sidecar, &stored.layout, group, &first, others)?;
        Ok((reader, timed))
    }
}

/// The row groups of a file that a piece reads.
#[derive(Clone, Debug)]
pub(super) struct Groups {
    pub(super) sidecar: Arc<Sidecar>,
    pub(super) layout: Layout,
    pub(super) groups: Vec<usize>,
    pub(super) way: Arc<Way>,
}

impl Groups {
    /// Rows in them: what reading them costs, roughly.
    pub(super) fn rows(&self) -> u64 {
        self.groups
            .iter()
            .map(|group| self.sidecar.rows(*group) as u64)
            .sum()
    }
}

impl Reader<'_> {
    /// All rows of a piece; breaks off when nobody takes the batches any more.
    pub(super) fn read_groups(
        &mut self,
        piece: &Piece,
        stored: &Groups,
    ) -> Result<ControlFlow<()>> {
        let way = &stored.way;
        let mut packets = match way.alone {
            true => None,
            false => match self.unless_removed(piece, piece.part.input().open_records())? {
                None => return Ok(ControlFlow::Continue(())),
                opened => opened,
            },
        };
        let origin = Origin {
            tag: &piece.tag,
            interface: piece.part.input().interface(),
            link_type: stored.sidecar.link_type.unwrap_or(LinkType(0)),
            sequence: piece.file << OFFSET_BITS,
        };
        for group in &stored.groups {
            if self.left == 0 {
                break;
            }
            let flow = self.read_group(piece, stored, *group, &origin, packets.as_mut())?;
            self.counts.add_to(&self.scan.report);
            if flow.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        if let Some(packets) = &packets {
            let report = &self.scan.report;
            report.bytes_read.fetch_add(packets.bytes_read(), Relaxed);
            report.add_warnings(packets.warnings());
        }
        Ok(ControlFlow::Continue(()))
    }

    /// The rows of a row group.
    fn read_group(
        &mut self,
        piece: &Piece,
        stored: &Groups,
        group: usize,
        origin: &Origin<'_>,
        mut packets: Option<&mut RecordReader>,
    ) -> Result<ControlFlow<()>> {
        let mut row = 0;
        let mut bytes = 0;
        let mut read = || -> std::result::Result<Result<ControlFlow<()>>, SidecarError> {
            let (mut reader, timed) = stored.way.open(stored, group)?;
            bytes = reader.bytes();
            while let Some(chunk) = reader.next()? {
                self.scan.pause.wait();
                let rows = chunk.rows;
                let flow = self.chunk(
                    &mut reader,
                    chunk,
                    timed,
                    stored,
                    origin,
                    packets.as_deref_mut(),
                )?;
                bytes = reader.bytes();
                match flow {
                    Ok(ControlFlow::Continue(())) if self.left > 0 => row += rows,
                    other => return Ok(other),
                }
            }
            Ok(Ok(ControlFlow::Continue(())))
        };
        let read = read();
        self.scan.report.bytes_read.fetch_add(bytes, Relaxed);
        match read {
            Ok(flow) => flow,
            // There are no packets to be read instead.
            Err(error) if stored.sidecar.alone => {
                let rows = stored.sidecar.rows(group).saturating_sub(row) as u64;
                self.scan.report.add_tuples_lost(&error, rows);
                Ok(ControlFlow::Continue(()))
            }
            Err(error) => {
                self.scan.report.add_sidecar_problem(error.to_string());
                self.read_instead(piece, &stored.sidecar, group, row)
            }
        }
    }

    /// The rows of a chunk. Fails for the sidecar before anything is made or counted of it.
    fn chunk(
        &mut self,
        reader: &mut GroupReader<'_>,
        mut chunk: Chunk,
        timed: bool,
        stored: &Groups,
        origin: &Origin<'_>,
        packets: Option<&mut RecordReader>,
    ) -> std::result::Result<Result<ControlFlow<()>>, SidecarError> {
        let timer = self.metrics.elapsed_compute().timer();
        let selection = &stored.way.selection;
        let kept = match selection.kept(&chunk, origin, timed) {
            Ok(kept) => kept,
            Err(error) => return Ok(Err(error)),
        };
        let count = kept.count(&chunk);
        if count > 0 {
            reader.complete(&mut chunk)?;
        }
        timer.done();
        Ok(match packets {
            Some(packets) => self.fetch(&chunk, &kept, origin, packets),
            None => self.rows_of(selection, chunk, kept, origin),
        })
    }

    /// Rows of tuples alone.
    fn rows_of(
        &mut self,
        selection: &Selection,
        mut chunk: Chunk,
        mut kept: Kept,
        origin: &Origin<'_>,
    ) -> Result<ControlFlow<()>> {
        let timer = self.metrics.elapsed_compute().timer();
        if kept.count(&chunk) >= self.left {
            // Packets behind the last row wanted are not read.
            let last = kept
                .places(&chunk)
                .get(self.left.saturating_sub(1))
                .copied();
            let rows = last.map_or(chunk.rows, |last| last + 1);
            kept = kept.first(rows);
            chunk = chunk.first(rows);
        }
        self.count(&chunk, &kept, origin.link_type);
        let rows = kept.count(&chunk);
        self.counts.rows += rows as u64;
        self.left -= rows;
        if rows == 0 {
            return self.go_on();
        }
        let batch = selection.batch(&chunk, origin, &kept)?;
        timer.done();
        self.send_batch(batch)
    }

    /// Rows of the packets that tuples do not rule out.
    fn fetch(
        &mut self,
        chunk: &Chunk,
        kept: &Kept,
        origin: &Origin<'_>,
        packets: &mut RecordReader,
    ) -> Result<ControlFlow<()>> {
        let mut rows = chunk.rows;
        let mut lost = 0;
        for place in kept.places(chunk) {
            lost += u64::from(!self.packet(chunk, place, origin, packets)?);
            if self.left == 0 {
                rows = place + 1;
                break;
            }
            if self.batch.is_full() && self.send()?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        self.count(&chunk.first(rows), &kept.first(rows), origin.link_type);
        self.counts.packets -= lost;
        self.go_on()
    }

    /// The row of a packet, if it is one; whether the packet can be read.
    fn packet(
        &mut self,
        chunk: &Chunk,
        place: usize,
        origin: &Origin<'_>,
        packets: &mut RecordReader,
    ) -> Result<bool> {
        let number = |lengths: &Option<UInt32Array>| {
            let lengths = lengths.as_ref();
            lengths
                .and_then(|l| l.values().get(place).copied())
                .unwrap_or(0)
        };
        let offsets = chunk.sequence.as_ref().map(|offsets| offsets.values());
        let offset = offsets.and_then(|o| o.get(place).copied()).unwrap_or(0);
        let times = chunk.time.as_ref().map(|times| times.values());
        let Some(data) = packets.read(offset, number(&chunk.captured_length)) else {
            return Ok(false);
        };
        let frame = Frame {
            time_ns: times.and_then(|times| times.get(place).copied()),
            wire_len: number(&chunk.wire_length),
            link_type: origin.link_type,
            interface: origin.interface,
            offset,
            data,
        };
        let sequence = origin.sequence | offset;
        let view = FrameView::new(&self.scan.columns, self.depth, frame, sequence);
        let predicate = self.scan.predicate.as_ref();
        if predicate.is_none_or(|predicate| predicate.is_true(&view)) {
            self.batch.push(&view)?;
            self.counts.rows += 1;
            self.left -= 1;
        }
        Ok(true)
    }

    fn count(&mut self, chunk: &Chunk, kept: &Kept, link: LinkType) {
        self.counts.packets += chunk.rows as u64;
        let fragments = chunk.later_fragments(kept);
        self.counts.several(chunk.timed(kept), fragments, link);
    }

    /// Whether anybody still wants rows.
    fn go_on(&self) -> Result<ControlFlow<()>> {
        Ok(match self.output.is_closed() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        })
    }

    /// The packets of a row group whose sidecar is damaged, from one of its rows on, from the capture
    /// file: as many from the same one on.
    fn read_instead(
        &mut self,
        piece: &Piece,
        sidecar: &Sidecar,
        group: usize,
        row: usize,
    ) -> Result<ControlFlow<()>> {
        let Some(mut frames) = self.unless_removed(piece, piece.part.open())? else {
            return Ok(ControlFlow::Continue(()));
        };
        let mut skip = sidecar.first_row(group) + row as u64;
        let mut rows = sidecar.rows(group).saturating_sub(row);
        while rows > 0 && self.left > 0 {
            let Some(frame) = frames.next_frame() else {
                break;
            };
            if skip > 0 {
                skip -= 1;
                continue;
            }
            rows -= 1;
            self.frame(piece.file << OFFSET_BITS, frame)?;
            if self.batch.is_full() && self.send()?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        let report = &self.scan.report;
        report.add_warnings(frames.warnings());
        report.bytes_read.fetch_add(frames.bytes_read(), Relaxed);
        Ok(ControlFlow::Continue(()))
    }
}
