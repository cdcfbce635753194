//! Frames to record batches: one typed builder per column, chosen once.

use std::iter::repeat_n;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, FixedSizeBinaryBuilder, Int64Builder, RecordBatch,
    RecordBatchOptions, StringArray, StringBuilder, UInt8Builder, UInt16Builder, UInt32Builder,
    UInt64Builder, new_null_array,
};
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::{DataFusionError, Result};

use super::view::{Columns, Row, Value};
use crate::exec::types::IP_BYTES;
use crate::plan::pipeline::SourceColumn;

/// Rows of a full batch.
pub(super) const BATCH_ROWS: usize = 8192;

/// A batch is also full at so many bytes of variable length: far below what 32-bit offsets can
/// hold, as a frame adds a few hundred kilobytes at most.
const BATCH_BYTES: usize = 8 << 20;

/// Collects the rows of one batch after the other.
pub(super) struct BatchBuilder {
    schema: SchemaRef,
    columns: Vec<(usize, ColumnBuilder)>,
    tag: Arc<str>,
    rows: usize,
    bytes: usize,
}

enum ColumnBuilder {
    UInt8(UInt8Builder),
    UInt16(UInt16Builder),
    UInt32(UInt32Builder),
    UInt64(UInt64Builder),
    Int64(Int64Builder),
    Bool(BooleanBuilder),
    Text(StringBuilder),
    Bytes(BinaryBuilder),
    Ip(FixedSizeBinaryBuilder),
    /// The tag, the same in all rows of a batch.
    Tag,
    /// Null in all rows.
    Null(DataType),
}

impl BatchBuilder {
    /// A builder of batches of these columns of the table.
    pub(super) fn new(columns: &Columns, projection: &[usize], schema: SchemaRef) -> Self {
        let builder = |column: &usize| (*column, ColumnBuilder::new(columns, *column));
        Self {
            schema,
            columns: projection.iter().map(builder).collect(),
            tag: Arc::default(),
            rows: 0,
            bytes: 0,
        }
    }

    /// Adds a row.
    #[inline]
    pub(super) fn push(&mut self, view: &impl Row) -> Result<()> {
        for (column, builder) in &mut self.columns {
            self.bytes += builder.push(view.value(*column))?;
        }
        self.rows += 1;
        Ok(())
    }

    pub(super) fn has_tag(&self, tag: &str) -> bool {
        *self.tag == *tag
    }

    /// The tag of the rows to come; there are none of another one in the batch.
    pub(super) fn set_tag(&mut self, tag: &Arc<str>) {
        self.tag = Arc::clone(tag);
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn is_full(&self) -> bool {
        self.rows >= BATCH_ROWS || self.bytes >= BATCH_BYTES
    }

    /// The rows since the last call.
    pub(super) fn finish(&mut self) -> Result<RecordBatch> {
        let rows = std::mem::take(&mut self.rows);
        self.bytes = 0;
        let tag = &self.tag;
        let arrays = self
            .columns
            .iter_mut()
            .map(|(_, b)| b.finish(rows, tag))
            .collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)
            .map_err(DataFusionError::from)
    }
}

impl ColumnBuilder {
    fn new(columns: &Columns, column: usize) -> Self {
        let ty = columns.data_type(column);
        match (columns.source(column), ty) {
            (Some(SourceColumn::Tag), _) => Self::Tag,
            (None | Some(SourceColumn::Source), ty) => Self::Null(ty),
            (_, DataType::UInt8) => Self::UInt8(UInt8Builder::with_capacity(BATCH_ROWS)),
            (_, DataType::UInt16) => Self::UInt16(UInt16Builder::with_capacity(BATCH_ROWS)),
            (_, DataType::UInt32) => Self::UInt32(UInt32Builder::with_capacity(BATCH_ROWS)),
            (_, DataType::UInt64) => Self::UInt64(UInt64Builder::with_capacity(BATCH_ROWS)),
            (_, DataType::Int64) => Self::Int64(Int64Builder::with_capacity(BATCH_ROWS)),
            (_, DataType::Boolean) => Self::Bool(BooleanBuilder::with_capacity(BATCH_ROWS)),
            (_, DataType::Utf8) => Self::Text(StringBuilder::new()),
            (_, DataType::Binary) => Self::Bytes(BinaryBuilder::new()),
            (_, DataType::FixedSizeBinary(IP_BYTES)) => {
                Self::Ip(FixedSizeBinaryBuilder::with_capacity(BATCH_ROWS, IP_BYTES))
            }
            (_, ty) => Self::Null(ty),
        }
    }

    /// Adds a value and says how many bytes of variable length it has. A value that its column
    /// cannot hold, which the field table rules out, becomes null.
    #[inline]
    fn push(&mut self, value: Option<Value<'_>>) -> Result<usize> {
        match self {
            Self::UInt8(b) => b.append_option(unsigned(value).and_then(|v| v.try_into().ok())),
            Self::UInt16(b) => b.append_option(unsigned(value).and_then(|v| v.try_into().ok())),
            Self::UInt32(b) => b.append_option(unsigned(value).and_then(|v| v.try_into().ok())),
            Self::UInt64(b) => b.append_option(unsigned(value)),
            Self::Int64(b) => b.append_option(match value {
                Some(Value::Int(v)) => Some(v),
                _ => None,
            }),
            Self::Bool(b) => b.append_option(match value {
                Some(Value::Bool(v)) => Some(v),
                _ => None,
            }),
            Self::Text(b) => match value {
                Some(Value::Text(text)) => {
                    b.append_value(&text);
                    return Ok(text.len());
                }
                _ => b.append_null(),
            },
            Self::Bytes(b) => match value {
                Some(Value::Bytes(bytes)) => {
                    b.append_value(bytes);
                    return Ok(bytes.len());
                }
                _ => b.append_null(),
            },
            Self::Ip(b) => match value {
                Some(Value::Ip(address)) => b.append_value(address)?,
                _ => b.append_null(),
            },
            Self::Tag | Self::Null(_) => {}
        }
        Ok(0)
    }

    fn finish(&mut self, rows: usize, tag: &str) -> ArrayRef {
        match self {
            Self::UInt8(b) => Arc::new(b.finish()),
            Self::UInt16(b) => Arc::new(b.finish()),
            Self::UInt32(b) => Arc::new(b.finish()),
            Self::UInt64(b) => Arc::new(b.finish()),
            Self::Int64(b) => Arc::new(b.finish()),
            Self::Bool(b) => Arc::new(b.finish()),
            Self::Text(b) => Arc::new(b.finish()),
            Self::Bytes(b) => Arc::new(b.finish()),
            Self::Ip(b) => Arc::new(b.finish()),
            Self::Tag => Arc::new(StringArray::from_iter_values(repeat_n(tag, rows))),
            Self::Null(ty) => new_null_array(ty, rows),
        }
    }
}

#[inline]
fn unsigned(value: Option<Value<'_>>) -> Option<u64> {
    match value {
        Some(Value::UInt(value)) => Some(value),
        _ => None,
    }
}
