//! Parquet and Arrow files with the types that other programs expect.

use std::io::Write;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::arrow::ipc::writer::FileWriter;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use super::Sink;
use super::error::Error;
use super::json::unique_names;
use super::value::{self, Values};
use crate::types::{EvType, OutputColumn};

/// Rows of a Parquet row group, which is held in memory while it is written.
const ROW_GROUP_ROWS: usize = 128 * 1024;
/// Bytes of a Parquet row group, for wide rows such as payloads.
const ROW_GROUP_BYTES: usize = 64 * 1024 * 1024;

/// The type under which a value is written: times are times, addresses their text.
fn exported(ty: EvType) -> DataType {
    match ty {
        EvType::Time => DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
        EvType::Duration => DataType::Duration(TimeUnit::Nanosecond),
        EvType::Ipv4 | EvType::Ip | EvType::Mac => DataType::Utf8,
        other => value::physical(other),
    }
}

fn schema(columns: &[OutputColumn]) -> SchemaRef {
    let fields: Vec<Field> = unique_names(columns)
        .into_iter()
        .zip(columns)
        .map(|(name, column)| Field::new(name, exported(column.ty), true))
        .collect();
    Arc::new(Schema::new(fields))
}

fn export(
    batch: &RecordBatch,
    columns: &[OutputColumn],
    schema: &SchemaRef,
) -> Result<RecordBatch, Error> {
    let arrays = value::columns(batch, columns, "rows")?
        .iter()
        .map(export_column)
        .collect::<Result<Vec<_>, _>>()?;
    Ok(RecordBatch::try_new(schema.clone(), arrays)?)
}

fn export_column(values: &Values) -> Result<ArrayRef, Error> {
    let rows = values.array().len();
    Ok(match values.ty() {
        EvType::Ipv4 | EvType::Ip | EvType::Mac => Arc::new(StringArray::from_iter(
            (0..rows).map(|row| (!values.is_null(row)).then(|| values.text(row))),
        )),
        ty @ (EvType::Time | EvType::Duration) => cast(values.array(), &exported(ty))?,
        _ => values.array().clone(),
    })
}

/// Writes an Arrow IPC file.
pub(super) struct ArrowFile<W: Write> {
    columns: Vec<OutputColumn>,
    schema: SchemaRef,
    writer: FileWriter<W>,
}

impl<W: Write> ArrowFile<W> {
    pub(super) fn new(out: W, columns: Vec<OutputColumn>) -> Result<Self, Error> {
        let schema = schema(&columns);
        let writer = FileWriter::try_new(out, &schema)?;
        Ok(Self {
            columns,
            schema,
            writer,
        })
    }
}

impl<W: Write> Sink for ArrowFile<W> {
    fn batch(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let batch = export(batch, &self.columns, &self.schema)?;
        Ok(self.writer.write(&batch)?)
    }

    fn finish(&mut self) -> Result<(), Error> {
        self.writer.finish()?;
        Ok(self.writer.get_mut().flush()?)
    }
}

/// Writes a Parquet file.
///
/// The Parquet writer wants an output that may move between threads, which ours need not be: it
/// writes to memory, which is emptied into the output after each batch.
pub(super) struct ParquetFile<W> {
    out: W,
    columns: Vec<OutputColumn>,
    schema: SchemaRef,
    writer: ArrowWriter<Vec<u8>>,
}

impl<W: Write> ParquetFile<W> {
    pub(super) fn new(out: W, columns: Vec<OutputColumn>) -> Result<Self, Error> {
        let schema = schema(&columns);
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
            .set_created_by(concat!("flowsift ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let writer = ArrowWriter::try_new(Vec::new(), schema.clone(), Some(properties))?;
        Ok(Self {
            out,
            columns,
            schema,
            writer,
        })
    }

    fn drain(&mut self) -> Result<(), Error> {
        let bytes = self.writer.inner_mut();
        self.out.write_all(bytes)?;
        bytes.clear();
        Ok(())
    }
}

impl<W: Write> Sink for ParquetFile<W> {
    fn batch(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let batch = export(batch, &self.columns, &self.schema)?;
        self.writer.write(&batch)?;
        self.drain()
    }

    fn finish(&mut self) -> Result<(), Error> {
        self.writer.finish()?;
        self.drain()?;
        Ok(self.out.flush()?)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use datafusion::arrow::array::AsArray;
    use datafusion::arrow::datatypes::TimestampNanosecondType;
    use datafusion::arrow::ipc::reader::FileReader;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;
    use crate::render::testing::SAMPLE_ROWS;
    use crate::render::{Format, RenderOptions};

    fn check(batches: &[RecordBatch]) {
        let answer = SAMPLE_ROWS();
        let expected: Vec<RecordBatch> = answer
            .batches
            .iter()
            .map(|batch| export(batch, &answer.columns, &schema(&answer.columns)).unwrap())
            .collect();
        assert_eq!(batches.len(), 1);
        // NaN does not equal itself: compare the text.
        assert_eq!(format!("{batches:?}"), format!("{expected:?}"));
        let batch = &batches[0];
        let time = batch.column(0).as_primitive::<TimestampNanosecondType>();
        assert_eq!(time.value(0), 1_455_469_967_246_718_000);
        assert_eq!(batch.column(1).as_string::<i32>().value(0), "10.0.0.1");
        assert_eq!(batch.column(2).as_string::<i32>().value(0), "fe80::1");
        assert_eq!(batch.column(8).as_binary::<i32>().value(0), b"GET \xff\n");
        assert_eq!(batch.column(4).null_count(), 1);
    }

    #[test]
    fn parquet_is_read_back() {
        let (bytes, _) = SAMPLE_ROWS().bytes(Format::Parquet, RenderOptions::default());
        let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes))
            .unwrap()
            .build()
            .unwrap();
        check(&reader.map(Result::unwrap).collect::<Vec<_>>());
    }

    #[test]
    fn arrow_is_read_back() {
        let (bytes, _) = SAMPLE_ROWS().bytes(Format::Arrow, RenderOptions::default());
        let reader = FileReader::try_new(std::io::Cursor::new(bytes), None).unwrap();
        check(&reader.map(Result::unwrap).collect::<Vec<_>>());
    }
}
