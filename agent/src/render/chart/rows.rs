//! A chart as rows: time, series, value.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray};

use super::{check, series_name};
use crate::missed::Missed;
use crate::render::error::Error;
use crate::render::{Sink, value};
use crate::shape::ChartShape;
use crate::types::{EvType, OutputColumn};

/// Turns the rows of a chart into (time, series, value) for a sink of rows.
pub(in crate::render) struct ChartRows<S> {
    inner: S,
    shape: ChartShape,
    columns: Vec<OutputColumn>,
}

impl<S> ChartRows<S> {
    /// The columns that `inner` gets for the columns of the chart.
    pub(in crate::render) fn columns(
        shape: &ChartShape,
        columns: &[OutputColumn],
    ) -> Result<Vec<OutputColumn>, Error> {
        check(shape, columns)?;
        let named = |name: &str, ty| OutputColumn {
            name: name.to_owned(),
            ty,
        };
        let value = columns.last().map_or(EvType::Float64, |column| column.ty);
        Ok(vec![
            named("time", EvType::Time),
            named("series", EvType::String),
            named("value", value),
        ])
    }

    pub(in crate::render) fn new(inner: S, shape: ChartShape, columns: Vec<OutputColumn>) -> Self {
        Self {
            inner,
            shape,
            columns,
        }
    }
}

impl<S: Sink> Sink for ChartRows<S> {
    fn batch(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        let values = value::columns(batch, &self.columns, "a chart")?;
        let [time, category, other, keys @ .., value] = values.as_slice() else {
            return Ok(());
        };
        let several = self.shape.categories.len() > 1;
        let names = (0..batch.num_rows())
            .map(|row| series_name(several, category, other.is_true(row), keys, row));
        let series: ArrayRef = Arc::new(StringArray::from_iter_values(names));
        self.inner.batch(&RecordBatch::try_from_iter([
            ("time", time.array().clone()),
            ("series", series),
            ("value", value.array().clone()),
        ])?)
    }

    fn missed(&mut self, missed: &Missed) {
        self.inner.missed(missed);
    }

    fn finish(&mut self) -> Result<(), Error> {
        self.inner.finish()
    }

    fn notes(&self) -> Vec<String> {
        self.inner.notes()
    }
}
