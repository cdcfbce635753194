//! The mergeable state of the aggregate operations: what is kept of a group, how two are merged,
//! and what value they give.

use std::collections::{HashMap, HashSet};

use datafusion::functions_aggregate::expr_fn::{count, max, min, sum};
use datafusion::logical_expr::{Expr, lit};

use super::expr::{convert, null};
use super::{cast, named};
use crate::exec::aggregates::sum::saturating_sum;
use crate::exec::aggregates::{distinct, histogram, moments};
use crate::exec::error::Error;
use crate::exec::functions::{ENTROPY, Function, SET_LENGTH};
use crate::plan::pipeline::{
    AggregateOp, ColumnId, Expr as Source, Op, Pipeline, Renderer, SortKey,
};
use crate::types::EvType;

/// How many columns the state of an operation has; one that is alone is the value itself unless
/// [`is_own_state`] says otherwise.
fn parts(op: AggregateOp) -> usize {
    match op {
        AggregateOp::Mean => 2,
        AggregateOp::Variance | AggregateOp::Stddev => 3,
        _ => 1,
    }
}

/// Whether the value of an operation is its whole state.
pub(super) fn is_own_state(op: AggregateOp) -> bool {
    matches!(
        op,
        AggregateOp::Count
            | AggregateOp::Sum
            | AggregateOp::Total
            | AggregateOp::Min
            | AggregateOp::Max
    )
}

/// Names of the hidden state columns of an aggregate's value, given the value's name.
pub(super) fn state_names(op: AggregateOp, value: &str) -> Vec<String> {
    if is_own_state(op) {
        return Vec::new();
    }
    (0..parts(op))
        .map(|part| format!("{value}:{part}"))
        .collect()
}

/// The aggregate calls that make the state from single values of a type.
pub(super) fn make(
    op: AggregateOp,
    value: Option<(Expr, EvType)>,
    output: EvType,
) -> Result<Vec<Expr>, Error> {
    let Some((value, ty)) = value else {
        return Ok(vec![count(lit(1_i64))]);
    };
    let to = |ty_to| convert(value.clone(), ty, ty_to);
    Ok(match op {
        AggregateOp::Count => vec![count(lit(1_i64))],
        AggregateOp::Sum | AggregateOp::Total
            if ty == EvType::UInt64 && output == EvType::Int64 =>
        {
            vec![saturating_sum(value)]
        }
        // More values than there are would be needed for 64 bits to be too few.
        AggregateOp::Sum | AggregateOp::Total if is_narrow(ty) => vec![sum(to(output)?)],
        AggregateOp::Sum | AggregateOp::Total => vec![sum_of(to(output)?, output)],
        AggregateOp::Min => vec![min(to(output)?)],
        AggregateOp::Max => vec![max(to(output)?)],
        AggregateOp::Mean => {
            let value = to(EvType::Float64)?;
            vec![count(value.clone()), sum(value)]
        }
        AggregateOp::Variance | AggregateOp::Stddev => {
            let value = to(EvType::Float64)?;
            let moment = |moment| moments::moments(moment, lit(1_i64), value.clone(), lit(0.0));
            vec![
                count(value.clone()),
                moment(moments::Moment::Mean),
                moment(moments::Moment::SquaredDeviations),
            ]
        }
        AggregateOp::UniqueCount => vec![distinct::set(value)],
        AggregateOp::Entropy => vec![histogram::histogram(to(EvType::Bytes)?)],
    })
}

fn is_narrow(ty: EvType) -> bool {
    matches!(
        ty,
        EvType::Bool | EvType::UInt8 | EvType::UInt16 | EvType::UInt32
    )
}

/// The sum of values of the type of a sum.
fn sum_of(values: Expr, ty: EvType) -> Expr {
    match ty {
        EvType::Float64 => sum(values),
        _ => saturating_sum(values),
    }
}

/// The aggregate calls that merge state of an operation whose value has type `ty`.
pub(super) fn merge(op: AggregateOp, state: &[Expr], ty: EvType) -> Vec<Expr> {
    match (op, state) {
        (AggregateOp::Sum | AggregateOp::Total, [value]) => vec![sum_of(value.clone(), ty)],
        (AggregateOp::Min, [value]) => vec![min(value.clone())],
        (AggregateOp::Max, [value]) => vec![max(value.clone())],
        (AggregateOp::UniqueCount, [set]) => vec![distinct::merge(set.clone())],
        (AggregateOp::Entropy, [bytes]) => vec![histogram::merge(bytes.clone())],
        (AggregateOp::Variance | AggregateOp::Stddev, [n, mean, squared]) => {
            let moment =
                |moment| moments::moments(moment, n.clone(), mean.clone(), squared.clone());
            vec![
                sum(n.clone()),
                moment(moments::Moment::Mean),
                moment(moments::Moment::SquaredDeviations),
            ]
        }
        (_, state) => state.iter().cloned().map(sum).collect(),
    }
}

/// The value that state gives.
pub(super) fn finish(op: AggregateOp, state: &[Expr]) -> Result<Expr, Error> {
    let n = |n: &Expr| cast(n.clone(), EvType::Float64);
    Ok(match (op, state) {
        (AggregateOp::Mean, [count, sum]) => divide(sum.clone(), n(count))?,
        (AggregateOp::Variance, [count, _, squared]) => divide(squared.clone(), n(count))?,
        (AggregateOp::Stddev, [count, _, squared]) => {
            let variance = divide(squared.clone(), n(count))?;
            let variance = vec![(variance, EvType::Float64)];
            Function::call("math_sqrt", variance, EvType::Float64, &[])?
        }
        (AggregateOp::UniqueCount, [set]) => Function::call(
            SET_LENGTH,
            vec![(set.clone(), EvType::Bytes)],
            EvType::Int64,
            &[],
        )?,
        (AggregateOp::Entropy, [bytes]) => Function::call(
            ENTROPY,
            vec![(bytes.clone(), EvType::Bytes)],
            EvType::Float64,
            &[],
        )?,
        (_, [value, ..]) => value.clone(),
        (_, []) => null(EvType::Int64)?,
    })
}

fn divide(a: Expr, b: Expr) -> Result<Expr, Error> {
    let arguments = vec![(a, EvType::Float64), (b, EvType::Float64)];
    Function::call("/", arguments, EvType::Float64, &[])
}

/// How a value is merged over entries: by which operation, over which columns.
#[derive(Clone, Debug)]
pub(in crate::exec) struct Merge {
    pub(in crate::exec) op: AggregateOp,
    /// State, or the value where that is all there is.
    pub(in crate::exec) state: Vec<Expr>,
    /// Type of the merged value.
    pub(in crate::exec) ty: EvType,
    /// Whether `state` is single values rather than merged state.
    raw: Option<EvType>,
}

impl Merge {
    /// The aggregate calls.
    pub(in crate::exec) fn calls(&self) -> Result<Vec<Expr>, Error> {
        match (self.raw, self.state.first()) {
            (Some(ty), Some(value)) => make(self.op, Some((value.clone(), ty)), self.ty),
            _ => Ok(merge(self.op, &self.state, self.ty)),
        }
    }

    /// The value of the columns that the calls gave.
    pub(in crate::exec) fn finish(&self, columns: &[Expr]) -> Result<Expr, Error> {
        finish(self.op, columns)
    }

    /// The same merge over the columns that its calls gave.
    pub(in crate::exec) fn again(&self, columns: Vec<Expr>) -> Self {
        Self {
            op: self.op,
            state: columns,
            ty: self.ty,
            raw: None,
        }
    }
}

impl super::Lowerer<'_> {
    /// How a renderer merges a column; a value of unknown origin is summed.
    pub(super) fn merge_of(&self, id: ColumnId) -> Merge {
        let column = self.column(id);
        let Some(lineage) = &column.lineage else {
            let ty = match column.ty {
                EvType::Float64 => EvType::Float64,
                EvType::Duration => EvType::Duration,
                _ => EvType::Int64,
            };
            return Merge {
                op: AggregateOp::Sum,
                state: vec![self.col(id)],
                ty,
                raw: Some(column.ty),
            };
        };
        let op = lineage.op;
        let names = state_names(op, &self.name(lineage.origin));
        let (state, raw) = if is_own_state(op) {
            (vec![self.col(id)], None)
        } else if names.iter().all(|name| self.has(name)) {
            (names.into_iter().map(named).collect(), None)
        } else {
            // Without its state a value counts as a single one.
            (vec![self.col(id)], Some(column.ty))
        };
        Merge {
            op,
            state,
            ty: column.ty,
            raw,
        }
    }
}

/// Columns that any operation or the renderer mentions as its input.
pub(super) fn used(pipeline: &Pipeline) -> HashSet<ColumnId> {
    let mut used = HashSet::new();
    for op in &pipeline.ops {
        op_mentions(op, &mut used);
    }
    used.extend(pipeline.renderer.columns());
    used
}

fn op_mentions(op: &Op, used: &mut HashSet<ColumnId>) {
    let sort_keys = |keys: &[SortKey], used: &mut HashSet<ColumnId>| {
        for key in keys {
            mentions(&key.expr, used);
        }
    };
    match op {
        Op::Filter(expr) => mentions(expr, used),
        Op::Assign(assignments) => {
            for (_, value) in assignments {
                mentions(value, used);
            }
        }
        Op::Aggregate(aggregate) => {
            used.insert(aggregate.input_time);
            used.extend(aggregate.input_sequence);
            used.extend(aggregate.carried.iter().map(|(_, input)| *input));
            for branch in &aggregate.branches {
                used.extend(branch.keys.iter().map(|(_, input)| *input));
                for value in branch.calls.iter().filter_map(|call| call.value.as_ref()) {
                    mentions(value, used);
                }
            }
        }
        Op::Distinct { keys, order, .. } => {
            for key in keys {
                mentions(key, used);
            }
            sort_keys(order, used);
        }
        Op::Sort(keys) => sort_keys(keys, used),
        Op::Limit { .. } => {}
        Op::LimitBy { keys, order, .. } => {
            used.extend(keys);
            sort_keys(order, used);
        }
        Op::Difference {
            value, keys, order, ..
        } => {
            used.insert(*value);
            used.extend(keys);
            sort_keys(order, used);
        }
    }
}

/// Adds the columns that an expression mentions.
pub(super) fn mentions(expr: &Source, into: &mut HashSet<ColumnId>) {
    into.extend(expr.columns());
}

/// Aggregates whose state the renderer merges, by the column that each made.
pub(super) fn merged(pipeline: &Pipeline) -> HashMap<ColumnId, AggregateOp> {
    let merging = !matches!(
        pipeline.renderer,
        Renderer::Table { merge: None, .. }
            | Renderer::Text { .. }
            | Renderer::Raw { .. }
            | Renderer::Hex { .. }
            | Renderer::Pcap { .. }
    );
    let columns = pipeline.renderer.columns().into_iter().filter(|_| merging);
    columns
        .filter_map(|id| super::column(pipeline, id).lineage.as_ref())
        .map(|lineage| (lineage.origin, lineage.op))
        .collect()
}
