//! Tuples a column at a time: a chunk of them, filtered and projected, to a record batch.
//!
//! ```text
//! Chunk (one array per part of a tuple) -> decide (which rows) -> filter -> field (the columns
//! of the table) -> RecordBatch
//! ```
//!
//! Invariant: a row is kept, and its values are, those of the packet that it is of.

mod decide;
mod field;
mod hold;
mod stored;

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, BooleanArray, FixedSizeBinaryArray, Int64Array, RecordBatch,
    RecordBatchOptions, UInt8Array, UInt16Array, UInt32Array, UInt64Array,
};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::compute::filter;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::{DataFusionError, Result};

use self::decide::Decision;
use self::field::Fields;
pub(super) use self::stored::{GroupReader, Layout};
use super::predicate::Predicate;
use super::view::Columns;
use crate::decode::tuple::{Part, marks};
use crate::frame::LinkType;

/// Some tuples, as an array for each part that was asked for; of other parts there are no values.
/// All arrays have as many rows as the chunk.
#[derive(Clone, Debug, Default)]
pub(in crate::exec) struct Chunk {
    pub(in crate::exec) rows: usize,
    /// Nanoseconds since 1970.
    pub(in crate::exec) time: Option<Int64Array>,
    /// 16 bytes each, IPv4 as mapped.
    pub(in crate::exec) source: Option<FixedSizeBinaryArray>,
    pub(in crate::exec) destination: Option<FixedSizeBinaryArray>,
    /// A row has both ports or none.
    pub(in crate::exec) source_port: Option<UInt16Array>,
    pub(in crate::exec) destination_port: Option<UInt16Array>,
    pub(in crate::exec) protocol: Option<UInt8Array>,
    pub(in crate::exec) tcp_flags: Option<UInt8Array>,
    pub(in crate::exec) vlan: Option<UInt16Array>,
    /// As [`crate::decode::tuple::marks`] has them.
    pub(in crate::exec) marks: Option<UInt16Array>,
    pub(in crate::exec) wire_length: Option<UInt32Array>,
    pub(in crate::exec) captured_length: Option<UInt32Array>,
    /// The order of packets: added to [`Origin::sequence`].
    pub(in crate::exec) sequence: Option<UInt64Array>,
}

/// What all tuples of a chunk have in common.
#[derive(Clone, Copy, Debug)]
pub(in crate::exec) struct Origin<'a> {
    pub(in crate::exec) tag: &'a str,
    /// Empty: not known.
    pub(in crate::exec) interface: &'a str,
    pub(in crate::exec) link_type: LinkType,
    /// What the chunk's sequence numbers start from.
    pub(in crate::exec) sequence: u64,
}

/// A filter and a projection of chunks of tuples.
#[derive(Clone, Debug)]
pub(in crate::exec) struct Selection {
    columns: Arc<Columns>,
    /// Decided by columns that tuples have.
    predicate: Option<Predicate>,
    /// First instant (inclusive) and last instant (exclusive) in nanoseconds since 1970.
    time_range: Option<(i64, i64)>,
    /// The columns of a row, which tuples have, and their schema.
    projection: Vec<usize>,
    schema: SchemaRef,
}

/// Which rows of a chunk are kept; `None`: all of them.
#[derive(Clone, Debug, Default)]
pub(in crate::exec) struct Kept {
    in_time: Option<BooleanBuffer>,
    rows: Option<BooleanBuffer>,
}

impl Selection {
    /// All of these columns have to be ones that tuples have.
    pub(in crate::exec) fn new(
        columns: Arc<Columns>,
        predicate: Option<Predicate>,
        time_range: Option<(i64, i64)>,
        projection: Vec<usize>,
        schema: SchemaRef,
    ) -> Self {
        Self {
            columns,
            predicate,
            time_range,
            projection,
            schema,
        }
    }

    /// What of the filter tuples decide.
    pub(in crate::exec) fn predicate(&self) -> Option<&Predicate> {
        self.predicate.as_ref()
    }

    /// The parts of a tuple that [`Self::kept`] looks at, time apart.
    pub(in crate::exec) fn filter_parts(&self) -> BTreeSet<Part> {
        let mut columns = Vec::new();
        if let Some(predicate) = &self.predicate {
            predicate.columns(&mut columns);
        }
        self.parts(&columns)
    }

    /// Whether [`Self::kept`] looks at the order of packets.
    pub(in crate::exec) fn filters_sequence(&self) -> bool {
        let mut columns = Vec::new();
        if let Some(predicate) = &self.predicate {
            predicate.columns(&mut columns);
        }
        columns
            .iter()
            .any(|column| self.columns.is_sequence(*column))
    }

    /// The parts of a tuple that [`Self::batch`] needs.
    pub(in crate::exec) fn projected_parts(&self) -> BTreeSet<Part> {
        self.parts(&self.projection)
    }

    fn parts(&self, columns: &[usize]) -> BTreeSet<Part> {
        let mut parts = BTreeSet::new();
        for column in columns {
            self.columns.add_parts(*column, &mut parts);
        }
        parts
    }

    /// The rows that pass. `timed` says that all are known to be in the time range.
    pub(in crate::exec) fn kept(
        &self,
        chunk: &Chunk,
        origin: &Origin<'_>,
        timed: bool,
    ) -> Result<Kept> {
        let in_time = match self.time_range {
            Some(range) if !timed => Some(chunk.in_time(range)),
            _ => None,
        };
        let passes = match &self.predicate {
            Some(predicate) => {
                let mut decision = Decision::new(Fields::new(&self.columns, chunk, origin));
                Some(decision.is_true(predicate)?)
            }
            None => None,
        };
        let rows = match (&in_time, passes) {
            (Some(in_time), Some(passes)) => Some(in_time & &passes),
            (Some(in_time), None) => Some(in_time.clone()),
            (None, passes) => passes,
        };
        Ok(Kept { in_time, rows })
    }

    /// The columns of the rows kept.
    pub(in crate::exec) fn batch(
        &self,
        chunk: &Chunk,
        origin: &Origin<'_>,
        kept: &Kept,
    ) -> Result<RecordBatch> {
        let filtered;
        let chunk = match &kept.rows {
            Some(rows) if rows.count_set_bits() < chunk.rows => {
                filtered = chunk.filtered(rows, &self.projected_parts())?;
                &filtered
            }
            _ => chunk,
        };
        let fields = Fields::new(&self.columns, chunk, origin);
        let arrays: Result<Vec<ArrayRef>> = self
            .projection
            .iter()
            .map(|column| fields.array(*column))
            .collect();
        let options = RecordBatchOptions::new().with_row_count(Some(chunk.rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays?, &options)
            .map_err(DataFusionError::from)
    }
}

impl Kept {
    /// How many rows of a chunk.
    pub(in crate::exec) fn count(&self, chunk: &Chunk) -> usize {
        self.rows
            .as_ref()
            .map_or(chunk.rows, BooleanBuffer::count_set_bits)
    }

    /// Places of the rows, in order.
    pub(in crate::exec) fn places(&self, chunk: &Chunk) -> Vec<usize> {
        match &self.rows {
            Some(rows) => rows.set_indices().collect(),
            None => (0..chunk.rows).collect(),
        }
    }

    /// The same of the first rows of a chunk.
    pub(in crate::exec) fn first(&self, rows: usize) -> Self {
        let first = |of: &BooleanBuffer| of.slice(0, rows.min(of.len()));
        Self {
            in_time: self.in_time.as_ref().map(first),
            rows: self.rows.as_ref().map(first),
        }
    }
}

impl Chunk {
    /// The first rows.
    pub(in crate::exec) fn first(&self, rows: usize) -> Self {
        let rows = rows.min(self.rows);
        Self {
            rows,
            time: self.time.as_ref().map(|a| a.slice(0, rows)),
            source: self.source.as_ref().map(|a| a.slice(0, rows)),
            destination: self.destination.as_ref().map(|a| a.slice(0, rows)),
            source_port: self.source_port.as_ref().map(|a| a.slice(0, rows)),
            destination_port: self.destination_port.as_ref().map(|a| a.slice(0, rows)),
            protocol: self.protocol.as_ref().map(|a| a.slice(0, rows)),
            tcp_flags: self.tcp_flags.as_ref().map(|a| a.slice(0, rows)),
            vlan: self.vlan.as_ref().map(|a| a.slice(0, rows)),
            marks: self.marks.as_ref().map(|a| a.slice(0, rows)),
            wire_length: self.wire_length.as_ref().map(|a| a.slice(0, rows)),
            captured_length: self.captured_length.as_ref().map(|a| a.slice(0, rows)),
            sequence: self.sequence.as_ref().map(|a| a.slice(0, rows)),
        }
    }

    /// Fragments other than the first among the rows in the time range.
    pub(in crate::exec) fn later_fragments(&self, kept: &Kept) -> u64 {
        let Some(marks) = &self.marks else {
            return 0;
        };
        let is = |mark: &u16| mark & marks::LATER_FRAGMENT != 0;
        match &kept.in_time {
            None => marks.values().iter().filter(|mark| is(mark)).count() as u64,
            Some(in_time) => {
                let marks = marks.values().iter().zip(in_time);
                marks.filter(|(mark, timed)| *timed && is(mark)).count() as u64
            }
        }
    }

    /// Rows in the time range.
    pub(in crate::exec) fn timed(&self, kept: &Kept) -> u64 {
        let timed = kept.in_time.as_ref();
        timed.map_or(self.rows, BooleanBuffer::count_set_bits) as u64
    }

    fn in_time(&self, (start, end): (i64, i64)) -> BooleanBuffer {
        let Some(times) = &self.time else {
            return BooleanBuffer::new_unset(self.rows);
        };
        let values = times.values();
        let inside = hold::buffer(values, |time| start <= time && time < end);
        match times.nulls() {
            Some(nulls) => &inside & nulls.inner(),
            None => inside,
        }
    }

    /// The rows of a mask, of these parts.
    fn filtered(&self, rows: &BooleanBuffer, parts: &BTreeSet<Part>) -> Result<Self> {
        let mask = BooleanArray::new(rows.clone(), None);
        let has = |part| parts.contains(&part);
        Ok(Self {
            rows: rows.count_set_bits(),
            time: some(has(Part::Time), &self.time, &mask)?,
            source: some(has(Part::Source), &self.source, &mask)?,
            destination: some(has(Part::Destination), &self.destination, &mask)?,
            source_port: some(has(Part::SourcePort), &self.source_port, &mask)?,
            destination_port: some(has(Part::DestinationPort), &self.destination_port, &mask)?,
            protocol: some(has(Part::Protocol), &self.protocol, &mask)?,
            tcp_flags: some(has(Part::TcpFlags), &self.tcp_flags, &mask)?,
            vlan: some(has(Part::Vlan), &self.vlan, &mask)?,
            marks: some(has(Part::Marks), &self.marks, &mask)?,
            wire_length: some(has(Part::WireLength), &self.wire_length, &mask)?,
            captured_length: some(has(Part::CapturedLength), &self.captured_length, &mask)?,
            sequence: some(true, &self.sequence, &mask)?,
        })
    }
}

/// The rows of a mask, if the array is wanted.
fn some<A>(wanted: bool, array: &Option<A>, mask: &BooleanArray) -> Result<Option<A>>
where
    A: Array + Clone + 'static,
{
    let Some(array) = array.as_ref().filter(|_| wanted) else {
        return Ok(None);
    };
    let filtered = filter(array, mask)?;
    Ok(filtered.as_any().downcast_ref::<A>().cloned())
}
