//! Reading a stored file by its sidecar: rows from tuples alone, or only the packets that tuples
//! do not rule out.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use datafusion::common::Result;

use super::error::ScanError;
use super::plan::Scan;
use super::predicate::Predicate;
use super::read::{FRAMES_PER_ROUND, OFFSET_BITS, Reader};
use super::table::Piece;
use super::view::{FrameView, TupleView};
use crate::capfile::RecordReader;
use crate::decode::tuple::{Part, Tuple, marks};
use crate::frame::{Frame, LinkType};
use crate::store::sidecar::{Column, Error as SidecarError, Sidecar, Values};

/// How a sidecar serves a scan; the same for all files.
#[derive(Clone, Debug)]
pub(super) struct Way {
    /// What of the predicate a tuple decides.
    predicate: Option<Predicate>,
    /// Whether rows are made of tuples alone.
    alone: bool,
    parts: BTreeSet<Part>,
    /// Whether the offsets of packets are needed.
    offsets: bool,
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
        let mut parts = BTreeSet::new();
        let mut read = Vec::new();
        if let Some(predicate) = &predicate {
            predicate.columns(&mut read);
        }
        if alone {
            read.extend(&used);
        } else {
            parts.extend([Part::Time, Part::WireLength, Part::CapturedLength]);
        }
        read.iter()
            .for_each(|column| scan.columns.add_parts(*column, &mut parts));
        if scan.time_range.is_some() {
            parts.insert(Part::Time);
        }
        if !parts.is_empty() {
            // Fragments without ports are counted, as where packets are decoded.
            parts.insert(Part::Marks);
        }
        let offsets = !alone || used.iter().any(|column| scan.columns.is_sequence(*column));
        Some(Self {
            predicate,
            alone,
            parts,
            offsets,
        })
    }

    /// What of the predicate a tuple decides.
    pub(super) fn predicate(&self) -> Option<&Predicate> {
        self.predicate.as_ref()
    }

    fn columns(&self) -> impl Iterator<Item = Column> {
        let parts = self.parts.iter().map(|part| Column::from(*part));
        parts.chain(self.offsets.then_some(Column::Offset))
    }
}

/// The row groups of a file that a piece reads.
#[derive(Clone, Debug)]
pub(super) struct Groups {
    pub(super) sidecar: Arc<Sidecar>,
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
            false => match piece.part.input().open_records() {
                Err(error) if error.is_missing() => {
                    self.scan.report.add_removed(piece.part.input().name());
                    return Ok(ControlFlow::Continue(()));
                }
                result => Some(result.map_err(ScanError::from)?),
            },
        };
        for group in &stored.groups {
            let flow = match Tuples::read(&stored.sidecar, *group, way) {
                Ok(tuples) => {
                    let bytes = way
                        .columns()
                        .map(|c| stored.sidecar.column_bytes(*group, c))
                        .sum();
                    self.scan.report.bytes_read.fetch_add(bytes, Relaxed);
                    self.read_tuples(piece, &tuples, way, packets.as_mut())?
                }
                Err(error) => {
                    self.scan.report.add_sidecar_problem(error.to_string());
                    self.read_instead(piece, &stored.sidecar, *group)?
                }
            };
            if flow.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        if let Some(packets) = &packets {
            self.scan
                .report
                .bytes_read
                .fetch_add(packets.bytes_read(), Relaxed);
        }
        Ok(ControlFlow::Continue(()))
    }

    /// The packets of a row group whose sidecar is damaged, from the capture file: as many from the
    /// same one on.
    fn read_instead(
        &mut self,
        piece: &Piece,
        sidecar: &Sidecar,
        group: usize,
    ) -> Result<ControlFlow<()>> {
        let mut frames = piece.part.open().map_err(ScanError::from)?;
        let mut skip = sidecar.first_row(group);
        let mut rows = sidecar.rows(group);
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
        self.counts.add_to(&self.scan.report);
        self.scan
            .report
            .bytes_read
            .fetch_add(frames.bytes_read(), Relaxed);
        Ok(ControlFlow::Continue(()))
    }

    fn read_tuples(
        &mut self,
        piece: &Piece,
        tuples: &Tuples,
        way: &Way,
        mut packets: Option<&mut RecordReader>,
    ) -> Result<ControlFlow<()>> {
        let mut row = 0;
        while row < tuples.rows && self.left > 0 {
            self.scan.pause.wait();
            let end = (row + FRAMES_PER_ROUND as usize).min(tuples.rows);
            let timer = self.metrics.elapsed_compute().timer();
            while row < end && self.left > 0 && !self.batch.is_full() {
                self.tuple(piece, tuples, row, way, packets.as_deref_mut())?;
                row += 1;
            }
            timer.done();
            self.counts.add_to(&self.scan.report);
            if self.output.is_closed() || self.batch.is_full() && self.send()?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// One row: what the tuple does not rule out becomes one, of the tuple or of the packet.
    #[inline]
    fn tuple(
        &mut self,
        piece: &Piece,
        tuples: &Tuples,
        row: usize,
        way: &Way,
        packets: Option<&mut RecordReader>,
    ) -> Result<()> {
        let tuple = tuples.get(row);
        self.counts.packets += 1;
        if let Some((start, end)) = self.scan.time_range
            && !tuple
                .time_ns
                .is_some_and(|time| (start..end).contains(&time))
        {
            return Ok(());
        }
        let offset = tuples.offset(row);
        let interface = piece.part.input().interface();
        let sequence = piece.file << OFFSET_BITS | offset;
        let view = TupleView::new(&self.scan.columns, &tuple, interface, sequence);
        self.counts
            .tuple(tuple.marks & marks::LATER_FRAGMENT != 0, tuple.link_type);
        if let Some(predicate) = &way.predicate
            && !predicate.is_true(&view)
        {
            return Ok(());
        }
        let Some(packets) = packets else {
            self.batch.push(&view)?;
            self.counts.rows += 1;
            self.left -= 1;
            return Ok(());
        };
        let data = packets
            .read(offset, tuple.captured_len)
            .map_err(ScanError::from)?;
        let frame = Frame {
            time_ns: tuple.time_ns,
            wire_len: tuple.wire_len,
            link_type: tuple.link_type,
            interface,
            offset,
            data,
        };
        let view = FrameView::new(&self.scan.columns, self.depth, frame, sequence);
        if self
            .scan
            .predicate
            .as_ref()
            .is_none_or(|predicate| predicate.is_true(&view))
        {
            self.batch.push(&view)?;
            self.counts.rows += 1;
            self.left -= 1;
        }
        Ok(())
    }
}

/// The columns of a row group that are needed.
#[derive(Default)]
struct Tuples {
    rows: usize,
    link_type: Option<LinkType>,
    time: Option<Values<i64>>,
    source: Option<Values<[u8; 16]>>,
    destination: Option<Values<[u8; 16]>>,
    source_port: Option<Values<u32>>,
    destination_port: Option<Values<u32>>,
    protocol: Option<Values<u32>>,
    tcp_flags: Option<Values<u32>>,
    vlan: Option<Values<u32>>,
    marks: Option<Values<u32>>,
    wire_length: Option<Values<u32>>,
    captured_length: Option<Values<u32>>,
    offsets: Option<Values<u64>>,
}

impl Tuples {
    fn read(sidecar: &Sidecar, group: usize, way: &Way) -> std::result::Result<Self, SidecarError> {
        let mut tuples = Self {
            rows: sidecar.rows(group),
            link_type: sidecar.link_type,
            ..Self::default()
        };
        for part in &way.parts {
            let column = Column::from(*part);
            let numbers = || sidecar.numbers(group, column).map(Some);
            match part {
                Part::Time => tuples.time = Some(sidecar.times(group)?),
                Part::Source => tuples.source = Some(sidecar.addresses(group, column)?),
                Part::Destination => tuples.destination = Some(sidecar.addresses(group, column)?),
                Part::SourcePort => tuples.source_port = numbers()?,
                Part::DestinationPort => tuples.destination_port = numbers()?,
                Part::Protocol => tuples.protocol = numbers()?,
                Part::TcpFlags => tuples.tcp_flags = numbers()?,
                Part::Vlan => tuples.vlan = numbers()?,
                Part::Marks => tuples.marks = numbers()?,
                Part::WireLength => tuples.wire_length = numbers()?,
                Part::CapturedLength => tuples.captured_length = numbers()?,
            }
        }
        if way.offsets {
            tuples.offsets = Some(sidecar.offsets(group)?);
        }
        Ok(tuples)
    }

    /// The tuple of a row; parts that were not read are as if there were none.
    #[inline]
    fn get(&self, row: usize) -> Tuple {
        Tuple {
            time_ns: self.time.as_ref().and_then(|values| values.get(row)),
            source: self.source.as_ref().and_then(|values| values.get(row)),
            destination: self.destination.as_ref().and_then(|values| values.get(row)),
            source_port: narrow(self.source_port.as_ref(), row),
            destination_port: narrow(self.destination_port.as_ref(), row),
            protocol: narrow(self.protocol.as_ref(), row),
            tcp_flags: narrow(self.tcp_flags.as_ref(), row),
            vlan: narrow(self.vlan.as_ref(), row),
            marks: narrow(self.marks.as_ref(), row).unwrap_or(0),
            wire_len: narrow(self.wire_length.as_ref(), row).unwrap_or(0),
            captured_len: narrow(self.captured_length.as_ref(), row).unwrap_or(0),
            link_type: self.link_type.unwrap_or(LinkType(0)),
        }
    }

    fn offset(&self, row: usize) -> u64 {
        self.offsets
            .as_ref()
            .and_then(|values| values.get(row))
            .unwrap_or(0)
    }
}

#[inline]
fn narrow<T: TryFrom<u32>>(values: Option<&Values<u32>>, row: usize) -> Option<T> {
    T::try_from(values?.get(row)?).ok()
}
