//! `series_of`: the rank of a key tuple among the named series of a chart.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::array::{Int64Array, RecordBatch};
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::row::{OwnedRow, RowConverter, SortField};
use datafusion::common::{Result as EngineResult, exec_datafusion_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::column;
use crate::exec::error::Error;

/// `series_of`: the rank of a key tuple among the named series, else their number.
#[derive(Debug)]
pub(super) struct SeriesOf {
    converter: RowConverter,
    ranks: HashMap<OwnedRow, i64>,
    signature: Signature,
}

impl SeriesOf {
    /// The call on the key columns.
    pub(super) fn call(names: &RecordBatch) -> Result<Expr, Error> {
        let internal =
            |error: datafusion::arrow::error::ArrowError| Error::Internal(error.to_string());
        let types: Vec<DataType> = names
            .columns()
            .iter()
            .map(|c| c.data_type().clone())
            .collect();
        let fields = types.iter().cloned().map(SortField::new).collect();
        let converter = RowConverter::new(fields).map_err(internal)?;
        let rows = converter
            .convert_columns(names.columns())
            .map_err(internal)?;
        let ranks = rows
            .iter()
            .zip(0..)
            .map(|(row, rank)| (row.owned(), rank))
            .collect();
        let keys = (0..types.len())
            .map(|key| column(format!("key{key}")))
            .collect();
        let function = Self {
            converter,
            ranks,
            signature: Signature::exact(types, Volatility::Immutable),
        };
        Ok(ScalarUDF::new_from_impl(function).call(keys))
    }
}

impl PartialEq for SeriesOf {
    fn eq(&self, other: &Self) -> bool {
        self.signature == other.signature && self.ranks == other.ranks
    }
}

impl Eq for SeriesOf {}

impl std::hash::Hash for SeriesOf {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.ranks.len().hash(state);
    }
}

impl ScalarUDFImpl for SeriesOf {
    fn name(&self) -> &str {
        "series_of"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> EngineResult<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> EngineResult<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let rows = self
            .converter
            .convert_columns(&arrays)
            .map_err(|error| exec_datafusion_err!("cannot rank series: {error}"))?;
        let others = self.ranks.len() as i64;
        let ranks = rows
            .iter()
            .map(|row| self.ranks.get(&row.owned()).copied().unwrap_or(others));
        Ok(ColumnarValue::Array(Arc::new(
            Int64Array::from_iter_values(ranks),
        )))
    }
}
