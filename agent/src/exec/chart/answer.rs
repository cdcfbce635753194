//! The answer of a chart: its columns, and the rows of a category in them.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, AsArray as _, BooleanArray, Int64Array, RecordBatch, StringArray, UInt32Array,
    new_null_array,
};
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::{Field, Int64Type, Schema};

use super::windows::Windows;
use crate::exec::error::Error;
use crate::exec::lower::ChartInput;
use crate::exec::types::arrow_type;
use crate::types::{EvType, OutputColumn};

/// The rows of a category in the columns of the answer.
pub(super) fn assemble(
    input: &ChartInput,
    windows: &Windows,
    category: usize,
    names: Option<&RecordBatch>,
    rows: &RecordBatch,
    value_type: EvType,
) -> Result<RecordBatch, Error> {
    let series = integers(rows, 0)?;
    let named = names.map_or(1, |names| names.num_rows() as i64);
    let ranks: UInt32Array = series
        .iter()
        .map(|rank| {
            rank.filter(|rank| *rank < named)
                .and_then(|rank| u32::try_from(rank).ok())
        })
        .collect();
    let name = input.categories.get(category).map(|c| c.name.as_str());
    let mut columns: Vec<ArrayRef> = vec![
        Arc::clone(rows.column(1)),
        Arc::new(StringArray::from_iter_values(std::iter::repeat_n(
            name.unwrap_or_default(),
            rows.num_rows(),
        ))),
        Arc::new(
            series
                .iter()
                .map(|rank| Some(rank.is_none_or(|rank| rank >= named)))
                .collect::<BooleanArray>(),
        ),
    ];
    for (place, key) in input.keys.iter().enumerate() {
        let own = windows.keys.iter().position(|at| *at == place);
        let values = own.and_then(|own| names?.columns().get(own));
        let taken = match values {
            Some(values) => {
                take(values, &ranks, None).map_err(|error| Error::Internal(error.to_string()))?
            }
            None => new_null_array(&arrow_type(key.ty), rows.num_rows()),
        };
        columns.push(taken);
    }
    columns.push(Arc::clone(rows.column(2)));
    RecordBatch::try_new(Arc::new(schema(input, value_type)), columns)
        .map_err(|error| Error::Internal(error.to_string()))
}

/// Type of the value column: that of all categories, else Float64.
pub(super) fn value_type(input: &ChartInput) -> EvType {
    let number = |ty: EvType| match ty {
        EvType::Float64 | EvType::Duration => ty,
        ty if ty.is_integer() => EvType::Int64,
        EvType::Time => EvType::Int64,
        _ => EvType::Float64,
    };
    let types = input
        .categories
        .iter()
        .map(|category| number(category.merge.ty));
    types
        .reduce(|a, b| if a == b { a } else { EvType::Float64 })
        .unwrap_or(EvType::Int64)
}

pub(super) fn columns(input: &ChartInput, value_type: EvType) -> Vec<OutputColumn> {
    let column = |name: &str, ty| OutputColumn {
        name: name.to_owned(),
        ty,
    };
    let mut columns = vec![
        column("time", EvType::Time),
        column("category", EvType::String),
        column("other", EvType::Bool),
    ];
    columns.extend(input.keys.iter().cloned());
    columns.push(column("value", value_type));
    columns
}

pub(super) fn schema(input: &ChartInput, value_type: EvType) -> Schema {
    let fields = columns(input, value_type)
        .into_iter()
        .map(|column| Field::new(column.name, arrow_type(column.ty), true));
    Schema::new(fields.collect::<Vec<_>>())
}

/// The integers of a column: series and bins.
pub(super) fn integers(rows: &RecordBatch, place: usize) -> Result<&Int64Array, Error> {
    rows.columns()
        .get(place)
        .and_then(|array| array.as_primitive_opt::<Int64Type>())
        .ok_or_else(|| Error::Internal("a series or bin that is no integer".to_owned()))
}
