//! Lowering of condensing: one aggregation per branch, side by side.

use std::collections::HashSet;

use datafusion::functions_aggregate::expr_fn::{count, last_value, min};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, SortExpr, lit};

use super::expr::convert;
use super::state::{finish, is_own_state, make, merge, state_names};
use super::{Lowerer, named};
use crate::exec::error::Error;
use crate::exec::functions::window::WindowStart;
use crate::exec::types::arrow_type;
use crate::plan::pipeline::{
    Aggregate, AggregateCall, AggregateOp, Branch, ColumnId, Expr as Source,
};

/// An aggregation in the making. Equal expressions share a column: the engine wants each once.
pub(super) struct Grouping {
    groups: Vec<Expr>,
    calls: Vec<Expr>,
}

/// A column of an aggregation.
#[derive(Clone, Copy, Debug)]
pub(super) enum Slot {
    Group(usize),
    Call(usize),
}

impl Grouping {
    pub(super) fn new() -> Self {
        Self {
            groups: Vec::new(),
            calls: Vec::new(),
        }
    }

    pub(super) fn group(&mut self, expr: Expr) -> Slot {
        Slot::Group(place(&mut self.groups, expr))
    }

    pub(super) fn call(&mut self, expr: Expr) -> Slot {
        Slot::Call(place(&mut self.calls, expr))
    }

    /// The aggregation of a plan, and its column of each slot.
    pub(super) fn build(
        mut self,
        input: LogicalPlan,
    ) -> Result<(LogicalPlan, impl Fn(Slot) -> Expr), Error> {
        // Without a key there is one group even of no entries: it is told by its count.
        let total = self.groups.is_empty().then(|| self.call(count(lit(1_i64))));
        let groups = self.groups.len();
        let plan = LogicalPlanBuilder::new(input)
            .aggregate(self.groups, distinctly_named(self.calls))?
            .build()?;
        let columns = plan.schema().columns();
        let column = move |slot| {
            let place = match slot {
                Slot::Group(place) => place,
                Slot::Call(place) => groups + place,
            };
            match columns.get(place) {
                Some(column) => Expr::Column(column.clone()),
                None => lit(datafusion::common::ScalarValue::Null),
            }
        };
        let plan = match total {
            Some(total) => LogicalPlanBuilder::new(plan)
                .filter(column(total).gt(lit(0_i64)))?
                .build()?,
            None => plan,
        };
        Ok((plan, column))
    }
}

/// Gives calls names of their own where the engine's would repeat: it leaves casts out of a name,
/// so that `sum(x)` and the sum of `x` as a float are called the same.
fn distinctly_named(calls: Vec<Expr>) -> Vec<Expr> {
    let mut names = HashSet::new();
    calls
        .into_iter()
        .enumerate()
        .map(|(place, call)| {
            let name = call.schema_name().to_string();
            if names.insert(name.clone()) {
                call
            } else {
                call.alias(format!("{name}#{place}"))
            }
        })
        .collect()
}

fn place(exprs: &mut Vec<Expr>, expr: Expr) -> usize {
    if let Some(place) = exprs.iter().position(|e| *e == expr) {
        return place;
    }
    exprs.push(expr);
    exprs.len() - 1
}

/// A call of one branch: its place in the aggregation.
struct Made<'a> {
    call: &'a AggregateCall,
    state: Vec<Slot>,
}

impl Lowerer<'_> {
    pub(super) fn aggregate(&mut self, aggregate: &Aggregate) -> Result<(), Error> {
        let mut union: Option<LogicalPlanBuilder> = None;
        for (index, branch) in aggregate.branches.iter().enumerate() {
            let (plan, made) = self.branch(aggregate, branch)?;
            let columns = self.branch_columns(aggregate, index, made)?;
            let plan = LogicalPlanBuilder::new(plan).project(columns)?.build()?;
            union = Some(match union {
                Some(before) => before.union(plan)?,
                None => LogicalPlanBuilder::new(plan),
            });
        }
        if let Some(union) = union {
            self.plan = union.build()?;
        }
        self.order.clear();
        let mut ties: Vec<ColumnId> = aggregate
            .branches
            .iter()
            .flat_map(|branch| branch.keys.iter().map(|(key, _)| *key))
            .chain(aggregate.branch_column)
            .collect();
        if let Some(width) = aggregate.window_ns {
            self.windows.insert(aggregate.output_time, width);
            ties.insert(0, aggregate.output_time);
        }
        self.ties = ties;
        let timed = self.has(&self.name(aggregate.output_time));
        self.time = Some(aggregate.output_time).filter(|_| timed);
        Ok(())
    }

    /// The time of an entry's window.
    fn window(&self, time: ColumnId, width: i64) -> Expr {
        // The start of a window is where it is already: the same expression keeps the
        // partitioning of the aggregation below.
        if self
            .windows
            .get(&time)
            .is_some_and(|known| known % width.max(1) == 0)
        {
            return self.col(time);
        }
        WindowStart::call(self.col(time), width, 0)
    }

    /// The aggregation of one branch and the columns it makes, by name.
    fn branch(
        &self,
        aggregate: &Aggregate,
        branch: &Branch,
    ) -> Result<(LogicalPlan, Vec<(String, Expr)>), Error> {
        let carried: Vec<_> = aggregate
            .carried
            .iter()
            .filter(|(output, _)| self.used.contains(output))
            .collect();
        if carried.is_empty()
            && let Some(value) = self.single_unique(branch)
        {
            return self.two_level(aggregate, branch, value);
        }
        let mut grouping = Grouping::new();
        let window = aggregate
            .window_ns
            .map(|width| grouping.group(self.window(aggregate.input_time, width)));
        let keys: Vec<_> = branch
            .keys
            .iter()
            .map(|(output, input)| (*output, grouping.group(self.col(*input))))
            .collect();
        let time = match window {
            Some(slot) => Some(slot),
            None => self
                .condensed_time(aggregate)
                .map(|time| grouping.call(min(time))),
        };
        let mut made = Vec::new();
        for call in &branch.calls {
            let state = self
                .make_call(call)?
                .into_iter()
                .map(|e| grouping.call(e))
                .collect();
            made.push(Made { call, state });
        }
        let newest = self.newest(aggregate);
        let mut last = Vec::new();
        for (output, input) in carried {
            last.push((
                self.name(*output),
                grouping.call(last_value(self.col(*input), newest.clone())),
            ));
            for state in self.carried_state(*input) {
                let slot = grouping.call(last_value(named(&state), newest.clone()));
                last.push((state, slot));
            }
        }
        let (plan, column) = grouping.build(self.plan.clone())?;
        let mut columns: Vec<_> = keys
            .iter()
            .map(|(id, slot)| (self.name(*id), column(*slot)))
            .collect();
        columns.extend(time.map(|slot| (self.name(aggregate.output_time), column(slot))));
        columns.extend(last.into_iter().map(|(name, slot)| (name, column(slot))));
        for made in made {
            let state: Vec<_> = made.state.into_iter().map(&column).collect();
            self.push_value(made.call, &state, &mut columns)?;
        }
        Ok((plan, columns))
    }

    /// The input time of a condensed aggregate whose output time is used.
    fn condensed_time(&self, aggregate: &Aggregate) -> Option<Expr> {
        self.used
            .contains(&aggregate.output_time)
            .then(|| self.col(aggregate.input_time))
    }

    fn make_call(&self, call: &AggregateCall) -> Result<Vec<Expr>, Error> {
        let value = match &call.value {
            Some(value) => Some((self.expr(value)?, self.type_of(value))),
            None => None,
        };
        make(call.op, value, self.column(call.output).ty)
    }

    /// The order in which a group's newest entry is last.
    fn newest(&self, aggregate: &Aggregate) -> Vec<SortExpr> {
        [Some(aggregate.input_time), aggregate.input_sequence]
            .into_iter()
            .flatten()
            .filter(|id| self.has(&self.name(*id)))
            .map(|id| self.col(id).sort(true, true))
            .collect()
    }

    /// The state columns that go with a carried value.
    fn carried_state(&self, input: ColumnId) -> Vec<String> {
        let Some(lineage) = &self.column(input).lineage else {
            return Vec::new();
        };
        if !self.merged.contains_key(&lineage.origin) {
            return Vec::new();
        }
        let names = state_names(lineage.op, &self.name(lineage.origin));
        names.into_iter().filter(|name| self.has(name)).collect()
    }

    /// Adds the value of a call, and its state where the renderer merges it.
    fn push_value(
        &self,
        call: &AggregateCall,
        state: &[Expr],
        columns: &mut Vec<(String, Expr)>,
    ) -> Result<(), Error> {
        let name = self.name(call.output);
        if self.merged.contains_key(&call.output) {
            let names = state_names(call.op, &name);
            columns.extend(names.into_iter().zip(state.iter().cloned()));
        }
        columns.push((name, finish(call.op, state)?));
        Ok(())
    }

    /// The one value whose distinct ones a branch counts, where two group-bys can do it.
    fn single_unique<'b>(&self, branch: &'b Branch) -> Option<&'b Source> {
        let mut uniques = branch
            .calls
            .iter()
            .filter(|call| call.op == AggregateOp::UniqueCount);
        let first = uniques.next()?.value.as_ref()?;
        let same = uniques.all(|call| call.value.as_ref() == Some(first));
        let merged = branch.calls.iter().any(|call| {
            call.op == AggregateOp::UniqueCount && self.merged.contains_key(&call.output)
        });
        (same && !merged).then_some(first)
    }

    /// Grouping by keys and value, then by keys: the distinct values without any set.
    fn two_level(
        &self,
        aggregate: &Aggregate,
        branch: &Branch,
        value: &Source,
    ) -> Result<(LogicalPlan, Vec<(String, Expr)>), Error> {
        let mut inner = Grouping::new();
        let window = aggregate
            .window_ns
            .map(|width| inner.group(self.window(aggregate.input_time, width)));
        let keys: Vec<_> = branch
            .keys
            .iter()
            .map(|(output, input)| (*output, inner.group(self.col(*input))))
            .collect();
        let value = inner.group(self.expr(value)?);
        let time = self.condensed_time(aggregate).filter(|_| window.is_none());
        let time = time.map(|time| inner.call(min(time)));
        let mut partial = Vec::new();
        for call in &branch.calls {
            let state = if call.op == AggregateOp::UniqueCount {
                Vec::new()
            } else {
                self.make_call(call)?
                    .into_iter()
                    .map(|e| inner.call(e))
                    .collect()
            };
            partial.push(Made { call, state });
        }
        let (plan, column) = inner.build(self.plan.clone())?;
        let mut outer = Grouping::new();
        let window = window.map(|slot| outer.group(column(slot)));
        let keys: Vec<_> = keys
            .into_iter()
            .map(|(id, slot)| (id, outer.group(column(slot))))
            .collect();
        let time = window.or_else(|| time.map(|slot| outer.call(min(column(slot)))));
        let mut made = Vec::new();
        for Made { call, state } in partial {
            let calls = if call.op == AggregateOp::UniqueCount {
                vec![count(column(value))]
            } else {
                let state: Vec<_> = state.into_iter().map(&column).collect();
                merge(call.op, &state, self.column(call.output).ty)
            };
            let state = calls.into_iter().map(|e| outer.call(e)).collect();
            made.push(Made { call, state });
        }
        let (plan, column) = outer.build(plan)?;
        let mut columns: Vec<_> = keys
            .iter()
            .map(|(id, slot)| (self.name(*id), column(*slot)))
            .collect();
        columns.extend(time.map(|slot| (self.name(aggregate.output_time), column(slot))));
        for Made { call, state } in made {
            let state: Vec<_> = state.into_iter().map(&column).collect();
            if call.op == AggregateOp::UniqueCount {
                columns.extend(
                    state
                        .into_iter()
                        .map(|count| (self.name(call.output), count)),
                );
            } else {
                self.push_value(call, &state, &mut columns)?;
            }
        }
        Ok((plan, columns))
    }

    /// The columns of a branch in the order common to all branches, null where another's.
    fn branch_columns(
        &self,
        aggregate: &Aggregate,
        index: usize,
        mut made: Vec<(String, Expr)>,
    ) -> Result<Vec<Expr>, Error> {
        if let Some(column) = aggregate.branch_column {
            let index = u8::try_from(index)
                .map_err(|_| Error::Query("more than 256 key lists in one stats".to_owned()))?;
            made.push((self.name(column), lit(index)));
        }
        if aggregate.branches.len() < 2 {
            return Ok(made
                .into_iter()
                .map(|(name, expr)| expr.alias(name))
                .collect());
        }
        let mut columns = Vec::new();
        for (name, ty) in self.all_columns(aggregate) {
            let own = made.iter().find(|(own, _)| *own == name);
            let expr = match own {
                Some((_, expr)) => expr.clone(),
                None => lit(datafusion::common::ScalarValue::try_from(&ty)?),
            };
            columns.push(expr.alias(name));
        }
        Ok(columns)
    }

    /// Names and Arrow types of the columns of all branches.
    fn all_columns(
        &self,
        aggregate: &Aggregate,
    ) -> Vec<(String, datafusion::arrow::datatypes::DataType)> {
        use datafusion::arrow::datatypes::DataType::{Binary, Float64, Int64};
        let own = |id: ColumnId| (self.name(id), arrow_type(self.column(id).ty));
        let mut columns = Vec::new();
        if aggregate.window_ns.is_some() || self.used.contains(&aggregate.output_time) {
            columns.push(own(aggregate.output_time));
        }
        let carried = aggregate.carried.iter().map(|(output, _)| *output);
        columns.extend(carried.filter(|id| self.used.contains(id)).map(own));
        for branch in &aggregate.branches {
            columns.extend(branch.keys.iter().map(|(output, _)| own(*output)));
            for call in &branch.calls {
                columns.push(own(call.output));
                if self.merged.contains_key(&call.output) && !is_own_state(call.op) {
                    let types = match call.op {
                        AggregateOp::Mean => vec![Int64, Float64],
                        AggregateOp::Variance | AggregateOp::Stddev => {
                            vec![Int64, Float64, Float64]
                        }
                        _ => vec![Binary],
                    };
                    let names = state_names(call.op, &self.name(call.output));
                    columns.extend(names.into_iter().zip(types));
                }
            }
        }
        columns.extend(aggregate.branch_column.map(own));
        let mut seen = HashSet::new();
        columns.retain(|(name, _)| seen.insert(name.clone()));
        columns
    }

    /// A column as values of another type.
    pub(super) fn column_as(&self, id: ColumnId, ty: crate::types::EvType) -> Result<Expr, Error> {
        convert(self.col(id), self.column(id).ty, ty)
    }
}
