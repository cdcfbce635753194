//! A row group of a sidecar as chunks of tuples: the columns that decide first, the others of the
//! rows where something is left.

use datafusion::arrow::array::{ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{
    Int64Type, TimestampNanosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};

use super::Chunk;
use crate::store::sidecar::{Column, Error, Sidecar};

/// Rows of a chunk: its columns stay in the processor's cache.
const CHUNK_ROWS: usize = 8192;

/// How a sidecar's columns become arrays.
#[derive(Clone, Debug)]
pub(in crate::exec::scan) struct Layout(ArrowReaderMetadata);

impl Layout {
    /// The layout of a sidecar.
    pub(in crate::exec::scan) fn of(sidecar: &Sidecar) -> Result<Self, Error> {
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let metadata = ArrowReaderMetadata::try_new(sidecar.metadata().clone(), options);
        metadata.map(Self).map_err(|e| sidecar.damaged(&e))
    }
}

/// Reads a row group, chunk after chunk.
pub(in crate::exec::scan) struct GroupReader<'a> {
    sidecar: &'a Sidecar,
    layout: &'a Layout,
    group: usize,
    rows: usize,
    first: Option<ParquetRecordBatchReader>,
    others: Vec<Column>,
    rest: Option<Rest>,
    /// Rows of the chunks so far.
    row: usize,
    bytes: u64,
}

/// The other columns, which are read only from the first chunk on that needs them.
struct Rest {
    reader: ParquetRecordBatchReader,
    /// Rows read of them.
    row: usize,
}

impl<'a> GroupReader<'a> {
    /// Reads these columns of a row group, and later perhaps others.
    pub(in crate::exec::scan) fn open(
        sidecar: &'a Sidecar,
        layout: &'a Layout,
        group: usize,
        first: &[Column],
        others: Vec<Column>,
    ) -> Result<Self, Error> {
        let mut reader = Self {
            sidecar,
            layout,
            group,
            rows: sidecar.rows(group),
            first: None,
            others,
            rest: None,
            row: 0,
            bytes: 0,
        };
        if !first.is_empty() {
            reader.first = Some(reader.columns(first, 0)?);
        }
        Ok(reader)
    }

    /// Bytes read so far.
    pub(in crate::exec::scan) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next chunk, of the first columns; `None` after the last.
    pub(in crate::exec::scan) fn next(&mut self) -> Result<Option<Chunk>, Error> {
        let rows = CHUNK_ROWS.min(self.rows - self.row);
        if rows == 0 {
            return Ok(None);
        }
        let mut chunk = Chunk {
            rows,
            ..Chunk::default()
        };
        if let Some(first) = &mut self.first {
            add(self.sidecar, &mut chunk, first)?;
        }
        self.row += rows;
        Ok(Some(chunk))
    }

    /// Adds the other columns to the chunk that came last.
    pub(in crate::exec::scan) fn complete(&mut self, chunk: &mut Chunk) -> Result<(), Error> {
        if self.others.is_empty() {
            return Ok(());
        }
        let start = self.row - chunk.rows;
        let mut rest = match self.rest.take() {
            Some(rest) => rest,
            None => Rest {
                reader: self.columns(&self.others.clone(), start)?,
                row: start,
            },
        };
        while rest.row < start {
            rest.row += batch(self.sidecar, &mut rest.reader)?.num_rows();
        }
        add(self.sidecar, chunk, &mut rest.reader)?;
        rest.row += chunk.rows;
        self.rest = Some(rest);
        Ok(())
    }

    /// A reader of columns from a row on.
    fn columns(
        &mut self,
        columns: &[Column],
        from: usize,
    ) -> Result<ParquetRecordBatchReader, Error> {
        let chunks = self.sidecar.chunks(self.group, columns.iter().copied())?;
        self.bytes += chunks.bytes();
        let places = columns.iter().map(|column| column.index());
        let mask = ProjectionMask::leaves(self.layout.0.parquet_schema(), places);
        let mut builder =
            ParquetRecordBatchReaderBuilder::new_with_metadata(chunks, self.layout.0.clone())
                .with_row_groups(vec![self.group])
                .with_projection(mask)
                .with_batch_size(CHUNK_ROWS);
        if from > 0 {
            builder = builder.with_offset(from);
        }
        builder.build().map_err(|e| self.sidecar.damaged(&e))
    }
}

fn batch(sidecar: &Sidecar, reader: &mut ParquetRecordBatchReader) -> Result<RecordBatch, Error> {
    match reader.next() {
        Some(batch) => batch.map_err(|e| sidecar.damaged(&e)),
        None => Err(sidecar.damaged(&"its columns end early")),
    }
}

/// Adds the columns of the next rows to their chunk.
fn add(
    sidecar: &Sidecar,
    chunk: &mut Chunk,
    reader: &mut ParquetRecordBatchReader,
) -> Result<(), Error> {
    let batch = batch(sidecar, reader)?;
    if batch.num_rows() != chunk.rows {
        return Err(sidecar.damaged(&"its columns are not of one length"));
    }
    for column in Column::ALL {
        let Some(array) = batch.column_by_name(column.name()) else {
            continue;
        };
        if set(chunk, column, array).is_none() {
            let reason = format!("the column {} is of another type", column.name());
            return Err(sidecar.damaged(&reason));
        }
    }
    Ok(())
}

fn set(chunk: &mut Chunk, column: Column, array: &ArrayRef) -> Option<()> {
    let u8s = || array.as_primitive_opt::<UInt8Type>().cloned();
    let u16s = || array.as_primitive_opt::<UInt16Type>().cloned();
    let u32s = || array.as_primitive_opt::<UInt32Type>().cloned();
    match column {
        Column::Time => {
            let times = array.as_primitive_opt::<TimestampNanosecondType>()?;
            chunk.time = Some(times.reinterpret_cast::<Int64Type>());
        }
        Column::Source => chunk.source = Some(array.as_fixed_size_binary_opt()?.clone()),
        Column::Destination => chunk.destination = Some(array.as_fixed_size_binary_opt()?.clone()),
        Column::SourcePort => chunk.source_port = Some(u16s()?),
        Column::DestinationPort => chunk.destination_port = Some(u16s()?),
        Column::Protocol => chunk.protocol = Some(u8s()?),
        Column::TcpFlags => chunk.tcp_flags = Some(u8s()?),
        Column::Vlan => chunk.vlan = Some(u16s()?),
        Column::Marks => chunk.marks = Some(u16s()?),
        Column::WireLength => chunk.wire_length = Some(u32s()?),
        Column::CapturedLength => chunk.captured_length = Some(u32s()?),
        Column::Offset => {
            chunk.sequence = Some(array.as_primitive_opt::<UInt64Type>()?.clone());
        }
    }
    Some(())
}
