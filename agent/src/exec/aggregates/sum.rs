//! `saturating_sum`: the sum of whole numbers, exact within 128 bits, that stays at the largest or
//! the smallest number of 64 bits instead of beginning again at the other end.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Int64Array,
};
use datafusion::arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, Field, FieldRef, Int64Type, UInt64Type,
};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, EmitTo, Expr, GroupsAccumulator, Signature, Volatility,
};

use super::is_kept;

/// The type of partial sums: 38 digits hold 2^63 values of 64 bits.
const STATE: DataType = DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0);

/// The function of values of type Int64 or UInt64; nulls are left out.
#[derive(Debug, PartialEq, Eq, Hash)]
struct SaturatingSum {
    signature: Signature,
}

/// The sum as an Int64.
pub(in crate::exec) fn saturating_sum(values: Expr) -> Expr {
    let types = vec![DataType::Int64, DataType::UInt64];
    let function = SaturatingSum {
        signature: Signature::uniform(1, types, Volatility::Immutable),
    };
    super::call(function, vec![values])
}

impl AggregateUDFImpl for SaturatingSum {
    fn name(&self) -> &str {
        "saturating_sum"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let name = format!("{}[sum]", args.name);
        Ok(vec![Arc::new(Field::new(name, STATE, true))])
    }

    fn accumulator(&self, _args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Single(Groups { sums: vec![None] })))
    }

    fn groups_accumulator_supported(&self, _args: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(
        &self,
        _args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::<Groups>::default())
    }
}

/// The sum of each group; `None` before its first value.
#[derive(Debug, Default)]
struct Groups {
    sums: Vec<Option<i128>>,
}

/// Values or partial sums.
fn numbers(values: &[ArrayRef]) -> Result<Box<dyn Iterator<Item = Option<i128>> + '_>> {
    let Some(array) = values.first() else {
        return exec_err!("saturating_sum takes one argument");
    };
    Ok(match array.data_type() {
        DataType::Int64 => {
            let array = array.as_primitive::<Int64Type>();
            Box::new(array.iter().map(|value| value.map(i128::from)))
        }
        DataType::UInt64 => {
            let array = array.as_primitive::<UInt64Type>();
            Box::new(array.iter().map(|value| value.map(i128::from)))
        }
        DataType::Decimal128(_, 0) => Box::new(array.as_primitive::<Decimal128Type>().iter()),
        other => return exec_err!("saturating_sum takes whole numbers, not {other}"),
    })
}

fn saturated(sum: i128) -> i64 {
    i64::try_from(sum).unwrap_or(if sum < 0 { i64::MIN } else { i64::MAX })
}

fn sums_array(sums: impl Iterator<Item = Option<i128>>) -> Result<ArrayRef> {
    let sums = sums.collect::<Decimal128Array>();
    Ok(Arc::new(
        sums.with_precision_and_scale(DECIMAL128_MAX_PRECISION, 0)?,
    ))
}

fn values_array(sums: &[Option<i128>]) -> ArrayRef {
    let values = sums.iter().map(|sum| sum.map(saturated));
    Arc::new(values.collect::<Int64Array>())
}

impl Groups {
    fn add(&mut self, group: usize, value: Option<i128>) {
        if let (Some(sum), Some(value)) = (self.sums.get_mut(group), value) {
            *sum = Some(sum.unwrap_or_default().saturating_add(value));
        }
    }
}

impl GroupsAccumulator for Groups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        filter: Option<&BooleanArray>,
        groups: usize,
    ) -> Result<()> {
        self.sums.resize(groups, None);
        for (row, (value, group)) in numbers(values)?.zip(group_indices).enumerate() {
            if is_kept(filter, row) {
                self.add(*group, value);
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        Ok(values_array(&emit_to.take_needed(&mut self.sums)))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let sums = emit_to.take_needed(&mut self.sums);
        Ok(vec![sums_array(sums.into_iter())?])
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        groups: usize,
    ) -> Result<()> {
        self.update_batch(values, group_indices, None, groups)
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let kept = numbers(values)?
            .enumerate()
            .map(|(row, value)| value.filter(|_| is_kept(filter, row)));
        Ok(vec![sums_array(kept)?])
    }

    fn size(&self) -> usize {
        self.sums.capacity() * size_of::<Option<i128>>()
    }
}

/// The sum of one group.
#[derive(Debug)]
struct Single(Groups);

impl Accumulator for Single {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for value in numbers(values)? {
            self.0.add(0, value);
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        ScalarValue::try_from_array(&values_array(&self.0.sums), 0)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let sums = sums_array(self.0.sums.iter().copied())?;
        Ok(vec![ScalarValue::try_from_array(&sums, 0)?])
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.0.size()
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::UInt64Array;

    use super::*;

    #[test]
    fn sums_of_parts_are_the_sum_of_all() {
        let values: ArrayRef = Arc::new(Int64Array::from(vec![
            Some(i64::MAX),
            Some(i64::MAX),
            None,
            Some(-1),
            Some(i64::MIN),
            Some(i64::MIN),
        ]));
        let mut part = Groups::default();
        let groups = [0, 0, 1, 1, 2, 2];
        part.update_batch(&[values], &groups, None, 4).unwrap();
        let state = part.state(EmitTo::All).unwrap();
        assert_eq!(state[0].data_type(), &STATE);
        let mut whole = Groups::default();
        whole.merge_batch(&state, &[0, 1, 2, 3], 4).unwrap();
        let sums = whole.evaluate(EmitTo::All).unwrap();
        let expected = [Some(i64::MAX), Some(-1), Some(i64::MIN), None];
        assert_eq!(
            sums.as_primitive::<Int64Type>(),
            &Int64Array::from(expected.to_vec())
        );
        // In one group what passes the end on its way is not lost.
        whole.merge_batch(&state, &[0, 0, 0, 0], 1).unwrap();
        let sums = whole.evaluate(EmitTo::All).unwrap();
        assert_eq!(sums.as_primitive::<Int64Type>().value(0), -3);
    }

    #[test]
    fn one_group_of_unsigned_numbers() {
        let mut sum = Single(Groups { sums: vec![None] });
        assert_eq!(sum.evaluate().unwrap(), ScalarValue::Int64(None));
        let values: ArrayRef = Arc::new(UInt64Array::from(vec![1, u64::MAX]));
        sum.update_batch(&[values]).unwrap();
        assert_eq!(sum.evaluate().unwrap(), ScalarValue::Int64(Some(i64::MAX)));
    }
}
