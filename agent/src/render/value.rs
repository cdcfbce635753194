//! Values of a column: typed access, and their text, JSON and numeric forms.

use std::fmt::Write as _;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, FixedSizeBinaryArray, Float64Array,
    Int64Array, RecordBatch, StringArray, UInt8Array, UInt16Array, UInt32Array, UInt64Array,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Float64Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use datafusion::arrow::error::ArrowError;

use super::error::Error;
use super::escape;
use crate::text;
use crate::types::{EvType, OutputColumn};

/// The Arrow type in which values of a type travel.
pub(super) fn physical(ty: EvType) -> DataType {
    match ty {
        EvType::Bool => DataType::Boolean,
        EvType::UInt8 => DataType::UInt8,
        EvType::UInt16 => DataType::UInt16,
        EvType::UInt32 | EvType::Ipv4 => DataType::UInt32,
        EvType::UInt64 | EvType::Mac => DataType::UInt64,
        EvType::Int64 | EvType::Time | EvType::Duration => DataType::Int64,
        EvType::Float64 => DataType::Float64,
        EvType::String => DataType::Utf8,
        EvType::Bytes => DataType::Binary,
        EvType::Ip => DataType::FixedSizeBinary(16),
    }
}

/// A column of a batch, typed.
pub(super) struct Values {
    ty: EvType,
    array: ArrayRef,
    cells: Cells,
}

enum Cells {
    Bool(BooleanArray),
    UInt8(UInt8Array),
    UInt16(UInt16Array),
    UInt32(UInt32Array),
    UInt64(UInt64Array),
    Int64(Int64Array),
    Float64(Float64Array),
    String(StringArray),
    Bytes(BinaryArray),
    Ip(FixedSizeBinaryArray),
}

/// The columns of a batch; `answer` names it in the error of a batch that does not fit.
pub(super) fn columns(
    batch: &RecordBatch,
    columns: &[OutputColumn],
    answer: &'static str,
) -> Result<Vec<Values>, Error> {
    if batch.num_columns() != columns.len() {
        return Err(Error::Columns {
            answer,
            found: batch.num_columns(),
            needed: "as many as it was announced with",
        });
    }
    columns
        .iter()
        .zip(batch.columns())
        .map(|(column, array)| Values::new(column, array))
        .collect()
}

impl Values {
    /// Reads an array as a column's type; an array of another physical type (a view, a
    /// dictionary) is converted.
    pub(super) fn new(column: &OutputColumn, array: &ArrayRef) -> Result<Self, Error> {
        let fail = |source| Error::Column {
            column: column.name.clone(),
            ty: column.ty,
            source,
        };
        let wanted = physical(column.ty);
        let array = if *array.data_type() == wanted {
            array.clone()
        } else {
            cast(array, &wanted).map_err(fail)?
        };
        let cells = Cells::of(&array).ok_or_else(|| {
            fail(ArrowError::CastError(format!(
                "unexpected {}",
                array.data_type()
            )))
        })?;
        Ok(Self {
            ty: column.ty,
            array,
            cells,
        })
    }

    /// The column's type.
    pub(super) fn ty(&self) -> EvType {
        self.ty
    }

    /// The array, of the type's physical type.
    pub(super) fn array(&self) -> &ArrayRef {
        &self.array
    }

    /// Whether the value is absent.
    pub(super) fn is_null(&self, row: usize) -> bool {
        row >= self.array.len() || self.array.is_null(row)
    }

    /// Appends the text form; nothing where the value is absent.
    pub(super) fn write_text(&self, row: usize, out: &mut String) {
        if self.is_null(row) {
            return;
        }
        match &self.cells {
            Cells::Bool(a) => push(out, a.value(row)),
            Cells::UInt8(a) => push(out, a.value(row)),
            Cells::UInt16(a) => push(out, a.value(row)),
            Cells::UInt32(a) if self.ty == EvType::Ipv4 => out.push_str(&text::ipv4(a.value(row))),
            Cells::UInt32(a) => push(out, a.value(row)),
            Cells::UInt64(a) if self.ty == EvType::Mac => out.push_str(&text::mac(a.value(row))),
            Cells::UInt64(a) => push(out, a.value(row)),
            Cells::Int64(a) => match self.ty {
                EvType::Time => out.push_str(&text::time(a.value(row))),
                EvType::Duration => out.push_str(&text::duration(a.value(row))),
                _ => push(out, a.value(row)),
            },
            Cells::Float64(a) => out.push_str(&text::float(a.value(row))),
            Cells::String(a) => out.push_str(a.value(row)),
            Cells::Bytes(a) => out.push_str(&String::from_utf8_lossy(a.value(row))),
            Cells::Ip(a) => match a.value(row).try_into() {
                Ok(address) => out.push_str(&text::ip(address)),
                Err(_) => out.push_str(&text::bytes(a.value(row))),
            },
        }
    }

    /// The text form; empty where the value is absent.
    pub(super) fn text(&self, row: usize) -> String {
        let mut out = String::new();
        self.write_text(row, &mut out);
        out
    }

    /// Appends the JSON form: numbers and truth values as such, all else as its text; `null` for
    /// what is absent and for NaN and infinities, which JSON does not have.
    pub(super) fn write_json(&self, row: usize, out: &mut String) {
        if self.is_null(row) {
            return out.push_str("null");
        }
        match &self.cells {
            Cells::Float64(a) => match serde_json::Number::from_f64(a.value(row)) {
                Some(number) => push(out, number),
                None => out.push_str("null"),
            },
            _ if self.ty.is_number() || self.ty == EvType::Bool => self.write_text(row, out),
            _ => escape::json(&self.text(row), out),
        }
    }

    /// The value as a number to draw or to add up; absent for what is no number. Durations count
    /// in seconds.
    pub(super) fn number(&self, row: usize) -> Option<f64> {
        if self.is_null(row) {
            return None;
        }
        match &self.cells {
            Cells::UInt8(a) => Some(f64::from(a.value(row))),
            Cells::UInt16(a) => Some(f64::from(a.value(row))),
            Cells::UInt32(a) => Some(f64::from(a.value(row))),
            Cells::UInt64(a) => Some(a.value(row) as f64),
            Cells::Int64(a) if self.ty == EvType::Duration => Some(a.value(row) as f64 / 1e9),
            Cells::Int64(a) => Some(a.value(row) as f64),
            Cells::Float64(a) => Some(a.value(row)).filter(|value| value.is_finite()),
            _ => None,
        }
    }

    /// The value as a whole number, where it is stored as one.
    pub(super) fn integer(&self, row: usize) -> Option<i64> {
        if self.is_null(row) {
            return None;
        }
        match &self.cells {
            Cells::UInt8(a) => Some(i64::from(a.value(row))),
            Cells::UInt16(a) => Some(i64::from(a.value(row))),
            Cells::UInt32(a) => Some(i64::from(a.value(row))),
            Cells::UInt64(a) => i64::try_from(a.value(row)).ok(),
            Cells::Int64(a) => Some(a.value(row)),
            _ => None,
        }
    }

    /// The value as a truth value; absent counts as false.
    pub(super) fn is_true(&self, row: usize) -> bool {
        match &self.cells {
            Cells::Bool(a) => !self.is_null(row) && a.value(row),
            _ => false,
        }
    }

    /// The bytes of a value of text or bytes as they are, of another its text form.
    pub(super) fn bytes(&self, row: usize) -> std::borrow::Cow<'_, [u8]> {
        match &self.cells {
            _ if self.is_null(row) => [].as_slice().into(),
            Cells::Bytes(a) => a.value(row).into(),
            Cells::String(a) => a.value(row).as_bytes().into(),
            _ => self.text(row).into_bytes().into(),
        }
    }
}

impl Cells {
    fn of(array: &ArrayRef) -> Option<Self> {
        Some(match array.data_type() {
            DataType::Boolean => Self::Bool(array.as_boolean_opt()?.clone()),
            DataType::UInt8 => Self::UInt8(array.as_primitive_opt::<UInt8Type>()?.clone()),
            DataType::UInt16 => Self::UInt16(array.as_primitive_opt::<UInt16Type>()?.clone()),
            DataType::UInt32 => Self::UInt32(array.as_primitive_opt::<UInt32Type>()?.clone()),
            DataType::UInt64 => Self::UInt64(array.as_primitive_opt::<UInt64Type>()?.clone()),
            DataType::Int64 => Self::Int64(array.as_primitive_opt::<Int64Type>()?.clone()),
            DataType::Float64 => Self::Float64(array.as_primitive_opt::<Float64Type>()?.clone()),
            DataType::Utf8 => Self::String(array.as_string_opt::<i32>()?.clone()),
            DataType::Binary => Self::Bytes(array.as_binary_opt::<i32>()?.clone()),
            DataType::FixedSizeBinary(_) => Self::Ip(array.as_fixed_size_binary_opt()?.clone()),
            _ => return None,
        })
    }
}

fn push(out: &mut String, value: impl std::fmt::Display) {
    // Writing to a String cannot fail.
    let _ = write!(out, "{value}");
}
