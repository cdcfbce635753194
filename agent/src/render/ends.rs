//! Notes the columns in which a number stands at an end of its 64 bits, where sums stop.

use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::compute::{max, min};
use datafusion::arrow::datatypes::Int64Type;

use super::Sink;
use super::error::Error;
use crate::missed::Missed;
use crate::types::{EvType, OutputColumn};

/// Passes everything on to another sink.
pub(super) struct Ends<S> {
    inner: S,
    /// The columns, and whether an end was met in each.
    columns: Vec<(OutputColumn, bool)>,
}

impl<S: Sink> Ends<S> {
    pub(super) fn new(inner: S, columns: Vec<OutputColumn>) -> Self {
        let columns = columns.into_iter().map(|column| (column, false)).collect();
        Self { inner, columns }
    }
}

impl<S: Sink> Sink for Ends<S> {
    fn batch(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        for ((column, met), array) in self.columns.iter_mut().zip(batch.columns()) {
            if *met || !matches!(column.ty, EvType::Int64 | EvType::Duration) {
                continue;
            }
            if let Some(array) = array.as_primitive_opt::<Int64Type>() {
                *met = max(array) == Some(i64::MAX) || min(array) == Some(i64::MIN);
            }
        }
        self.inner.batch(batch)
    }

    fn missed(&mut self, missed: &Missed) {
        self.inner.missed(missed);
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.inner.flush()
    }

    fn finish(&mut self) -> Result<(), Error> {
        self.inner.finish()
    }

    fn notes(&self) -> Vec<String> {
        let met = self.columns.iter().filter(|(_, met)| *met);
        let met = met.map(|(column, _)| {
            format!(
                "{} has a number at an end of what 64 bits hold: a sum beyond it is shown as that",
                column.name
            )
        });
        self.inner.notes().into_iter().chain(met).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{ArrayRef, Int64Array};

    use super::*;

    struct Nothing;

    impl Sink for Nothing {
        fn batch(&mut self, _batch: &RecordBatch) -> Result<(), Error> {
            Ok(())
        }

        fn finish(&mut self) -> Result<(), Error> {
            Ok(())
        }
    }

    #[test]
    fn ends_are_noted_by_column() {
        let column = |name: &str, ty| OutputColumn {
            name: name.to_owned(),
            ty,
        };
        let columns = vec![
            column("a", EvType::Int64),
            column("b", EvType::Int64),
            column("t", EvType::Time),
        ];
        let array = |value| Arc::new(Int64Array::from(vec![None, Some(value)])) as ArrayRef;
        let batch = |a, b, t| {
            let arrays = [("a", array(a)), ("b", array(b)), ("t", array(t))];
            RecordBatch::try_from_iter(arrays).unwrap()
        };
        let mut sink = Ends::new(Nothing, columns);
        sink.batch(&batch(1, 2, i64::MAX)).unwrap();
        assert!(sink.notes().is_empty());
        sink.batch(&batch(i64::MIN, i64::MAX - 1, 0)).unwrap();
        assert_eq!(sink.notes().len(), 1);
        assert!(sink.notes()[0].starts_with("a has"), "{:?}", sink.notes());
    }
}
