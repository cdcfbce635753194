//! `moments`: count, mean and sum of squared deviations, merged by the method of Chan, Golub and
//! LeVeque ("Updating formulae and a pairwise algorithm for computing sample variances", 1979).

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, Float64Array, Int64Array,
};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Int64Type};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, EmitTo, Expr, GroupsAccumulator, Signature, Volatility,
};

use super::is_kept;

/// Which of the moments a call gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::exec) enum Moment {
    /// The mean.
    Mean,
    /// The sum of squared deviations from the mean.
    SquaredDeviations,
}

/// The function of (count, mean, squared deviations): rows with a null are skipped. A single value
/// x is (1, x, 0).
#[derive(Debug, PartialEq, Eq, Hash)]
pub(in crate::exec) struct Moments {
    output: Moment,
    signature: Signature,
}

/// The call of `moments`.
pub(in crate::exec) fn moments(output: Moment, count: Expr, mean: Expr, squared: Expr) -> Expr {
    let types = vec![DataType::Int64, DataType::Float64, DataType::Float64];
    let function = Moments {
        output,
        signature: Signature::exact(types, Volatility::Immutable),
    };
    super::call(function, vec![count, mean, squared])
}

impl AggregateUDFImpl for Moments {
    fn name(&self) -> &str {
        match self.output {
            Moment::Mean => "moments_mean",
            Moment::SquaredDeviations => "moments_squared",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let field =
            |part: &str, ty| Arc::new(Field::new(format!("{}[{part}]", args.name), ty, true));
        Ok(vec![
            field("count", DataType::Int64),
            field("mean", DataType::Float64),
            field("squared", DataType::Float64),
        ])
    }

    fn accumulator(&self, _args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Single(Groups::new(self.output, 1))))
    }

    fn groups_accumulator_supported(&self, _args: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(
        &self,
        _args: AccumulatorArgs,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Groups::new(self.output, 0)))
    }
}

/// The moments of some values.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    count: i64,
    mean: f64,
    squared: f64,
}

impl State {
    fn merge(&mut self, other: Self) {
        if other.count <= 0 {
            return;
        }
        if self.count == 0 {
            *self = other;
            return;
        }
        let count = self.count + other.count;
        let delta = other.mean - self.mean;
        let share = other.count as f64 / count as f64;
        self.mean += delta * share;
        self.squared += other.squared + delta * delta * self.count as f64 * share;
        self.count = count;
    }
}

/// The moments of each group.
#[derive(Debug)]
struct Groups {
    output: Moment,
    states: Vec<State>,
}

impl Groups {
    fn new(output: Moment, groups: usize) -> Self {
        let states = vec![State::default(); groups];
        Self { output, states }
    }

    fn merge_row(&mut self, group: usize, state: State) {
        if let Some(into) = self.states.get_mut(group) {
            into.merge(state);
        }
    }

    fn emit(&mut self, states: &[State]) -> ArrayRef {
        let value = |state: &State| match self.output {
            Moment::Mean => state.mean,
            Moment::SquaredDeviations => state.squared,
        };
        Arc::new(
            states
                .iter()
                .map(|state| (state.count > 0).then(|| value(state)))
                .collect::<Float64Array>(),
        )
    }
}

fn primitive<T: ArrowPrimitiveType>(
    values: &[ArrayRef],
    index: usize,
) -> Result<&datafusion::arrow::array::PrimitiveArray<T>> {
    match values.get(index).and_then(|array| array.as_primitive_opt()) {
        Some(array) => Ok(array),
        None => exec_err!("moments takes a count, a mean and squared deviations"),
    }
}

fn states_of(values: &[ArrayRef]) -> Result<impl Iterator<Item = Option<State>>> {
    let counts = primitive::<Int64Type>(values, 0)?;
    let means = primitive::<Float64Type>(values, 1)?;
    let squares = primitive::<Float64Type>(values, 2)?;
    let nulls = [counts.nulls(), means.nulls(), squares.nulls()];
    let nulls = NullBuffer::union(NullBuffer::union(nulls[0], nulls[1]).as_ref(), nulls[2]);
    Ok((0..counts.len()).map(move |row| {
        let valid = nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
        valid.then(|| State {
            count: counts.value(row),
            mean: means.value(row),
            squared: squares.value(row),
        })
    }))
}

fn state_arrays(states: &[State]) -> Vec<ArrayRef> {
    vec![
        Arc::new(states.iter().map(|s| s.count).collect::<Int64Array>()),
        Arc::new(states.iter().map(|s| s.mean).collect::<Float64Array>()),
        Arc::new(states.iter().map(|s| s.squared).collect::<Float64Array>()),
    ]
}

impl GroupsAccumulator for Groups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        filter: Option<&BooleanArray>,
        groups: usize,
    ) -> Result<()> {
        self.states.resize(groups, State::default());
        for (row, (state, group)) in states_of(values)?.zip(group_indices).enumerate() {
            if let Some(state) = state.filter(|_| is_kept(filter, row)) {
                self.merge_row(*group, state);
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let states = emit_to.take_needed(&mut self.states);
        Ok(self.emit(&states))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(state_arrays(&emit_to.take_needed(&mut self.states)))
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
        let states: Vec<_> = states_of(values)?
            .enumerate()
            .map(|(row, state)| state.filter(|_| is_kept(filter, row)).unwrap_or_default())
            .collect();
        Ok(state_arrays(&states))
    }

    fn size(&self) -> usize {
        self.states.capacity() * size_of::<State>()
    }
}

/// The moments of one group.
#[derive(Debug)]
struct Single(Groups);

impl Accumulator for Single {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for state in states_of(values)?.flatten() {
            self.0.merge_row(0, state);
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let states = self.0.states.clone();
        ScalarValue::try_from_array(&self.0.emit(&states), 0)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        state_arrays(&self.0.states)
            .iter()
            .map(|array| ScalarValue::try_from_array(array, 0))
            .collect()
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.0.size()
    }
}
