//! `distinct_set`: the set of the values seen, as bytes: each value's row encoding behind its
//! length in 32 bits; the state of unique_count where it is merged again.

use std::collections::HashSet;
use std::mem::size_of_val;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::common::{Result, ScalarValue, exec_datafusion_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, Expr, Signature, Volatility};

/// The function of values of any type (`merge`: of sets); nulls are left out.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(in crate::exec) struct DistinctSet {
    merge: bool,
    signature: Signature,
}

/// The set of the values.
pub(in crate::exec) fn set(values: Expr) -> Expr {
    super::call(DistinctSet::new(false), vec![values])
}

/// The union of sets.
pub(in crate::exec) fn merge(sets: Expr) -> Expr {
    super::call(DistinctSet::new(true), vec![sets])
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

impl DistinctSet {
    fn new(merge: bool) -> Self {
        let signature = if merge {
            Signature::exact(vec![DataType::Binary], Volatility::Immutable)
        } else {
            Signature::any(1, Volatility::Immutable)
        };
        Self { merge, signature }
    }
}

impl AggregateUDFImpl for DistinctSet {
    fn name(&self) -> &str {
        if self.merge {
            "merge_distinct_set"
        } else {
            "distinct_set"
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Binary)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new(
            args.name,
            DataType::Binary,
            true,
        ))])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let converter = match args.expr_fields {
            [field] if !self.merge => Some(RowConverter::new(vec![SortField::new(
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
        let states = states
            .first()
            .and_then(|array| array.as_binary_opt::<i32>());
        let states = states.ok_or_else(|| exec_datafusion_err!("a distinct set is bytes"))?;
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
