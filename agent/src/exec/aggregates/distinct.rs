//! `distinct_set`: the set of the values seen, as bytes: each value's row encoding behind its
//! length in 32 bits; the state of unique_count where it is merged again.

use std::collections::HashSet;
use std::mem::size_of_val;

use datafusion::arrow::array::{Array as _, ArrayRef};
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err};
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{Accumulator, Expr, Signature, Volatility};

use super::binary::{self, Kind};

/// Sets of values of any type; nulls are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct DistinctSet;

/// The set of the values.
pub(in crate::exec) fn set(values: Expr) -> Expr {
    binary::of_values::<DistinctSet>(values)
}

/// The union of sets.
pub(in crate::exec) fn merge(sets: Expr) -> Expr {
    binary::of_partial::<DistinctSet>(sets)
}

/// Number of values of a set.
pub(in crate::exec) fn length(set: &[u8]) -> i64 {
    values(set).count() as i64
}

/// The row encodings of a stored set.
fn values(mut set: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = set.split_first_chunk::<4>()?;
        let (value, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        set = rest;
        Some(value)
    })
}

impl Kind for DistinctSet {
    const NAME: &'static str = "distinct_set";
    const MERGE_NAME: &'static str = "merge_distinct_set";

    fn takes() -> Signature {
        Signature::any(1, Volatility::Immutable)
    }

    fn accumulator(merge: bool, args: &AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let converter = match args.expr_fields {
            [field] if !merge => Some(RowConverter::new(vec![SortField::new(
                field.data_type().clone(),
            )])?),
            _ => None,
        };
        Ok(Box::new(Set {
            values: HashSet::new(),
            bytes: 0,
            converter,
        }))
    }
}

#[derive(Debug)]
struct Set {
    values: HashSet<Box<[u8]>>,
    /// Bytes of all values.
    bytes: usize,
    converter: Option<RowConverter>,
}

impl Set {
    fn insert(&mut self, value: &[u8]) {
        if !self.values.contains(value) {
            self.bytes += value.len();
            self.values.insert(value.into());
        }
    }
}

impl Accumulator for Set {
    fn update_batch(&mut self, arrays: &[ArrayRef]) -> Result<()> {
        let Some(converter) = &mut self.converter else {
            return self.merge_batch(arrays);
        };
        let rows = converter.convert_columns(arrays)?;
        let nulls = arrays.first().and_then(|array| array.logical_nulls());
        for (at, row) in rows.iter().enumerate() {
            if nulls.as_ref().is_none_or(|nulls| nulls.is_valid(at)) {
                self.insert(row.as_ref());
            }
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let states = binary::argument::<DistinctSet>(states)?;
        for set in states.iter().flatten() {
            for value in values(set) {
                self.insert(value);
            }
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut sorted: Vec<&[u8]> = self.values.iter().map(AsRef::as_ref).collect();
        sorted.sort_unstable();
        let mut bytes = Vec::with_capacity(self.bytes + 4 * sorted.len());
        for value in sorted {
            let length = u32::try_from(value.len())
                .map_err(|_| exec_datafusion_err!("a value is too long for unique_count"))?;
            bytes.extend_from_slice(&length.to_le_bytes());
            bytes.extend_from_slice(value);
        }
        Ok(ScalarValue::Binary(Some(bytes)))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn size(&self) -> usize {
        // Beside its bytes a value takes a fat pointer in the table and an allocation.
        size_of_val(self) + self.bytes + self.values.capacity() * 17 + self.values.len() * 16
    }
}
