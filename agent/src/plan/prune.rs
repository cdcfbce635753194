//! Removes what nothing uses: columns, carried values, sorts whose order nobody sees.

use std::collections::HashSet;

use super::pipeline::{Aggregate, ColumnId, Expr, Op, Pipeline, Renderer, SortKey};

/// The same pipeline without columns and sorts that do not change the answer. Ids stay as they are,
/// and every operation that may drop entries stays ([`Pipeline::dropped_by`] counts them).
pub(crate) fn prune(mut pipeline: Pipeline) -> Pipeline {
    let mut live = Live::default();
    live.renderer(&pipeline);
    let mut order_matters = shows_order(&pipeline.renderer);
    let mut kept = Vec::with_capacity(pipeline.ops.len());
    for op in std::mem::take(&mut pipeline.ops).into_iter().rev() {
        match op {
            Op::Sort(_) if !order_matters => continue,
            Op::Assign(mut columns) => {
                live.assign(&mut columns);
                if columns.is_empty() {
                    continue;
                }
                kept.push(Op::Assign(columns));
                continue;
            }
            Op::Aggregate(mut aggregate) => {
                live.aggregate(&mut aggregate);
                order_matters = false;
                kept.push(Op::Aggregate(aggregate));
                continue;
            }
            _ => {}
        }
        match &op {
            Op::Filter(test) => live.expr(test),
            Op::Distinct { keys, order, .. } => {
                keys.iter().for_each(|key| live.expr(key));
                live.order(order);
                order_matters = false;
            }
            Op::Sort(keys) => {
                live.order(keys);
                order_matters = false;
            }
            Op::Limit { .. } => order_matters = true,
            Op::LimitBy { keys, order, .. } => {
                live.0.extend(keys);
                live.order(order);
                order_matters = false;
            }
            Op::Difference {
                output,
                value,
                keys,
                order,
            } => {
                if !live.0.contains(output) {
                    continue;
                }
                live.0.insert(*value);
                live.0.extend(keys);
                live.order(order);
                order_matters = false;
            }
            Op::Assign(_) | Op::Aggregate(_) => {}
        }
        kept.push(op);
    }
    kept.reverse();
    pipeline.ops = kept;
    pipeline
        .source
        .retain(|(column, _)| live.0.contains(column));
    pipeline
}

/// Whether the order of entries is part of the answer.
fn shows_order(renderer: &Renderer) -> bool {
    match renderer {
        Renderer::Text { .. }
        | Renderer::Raw { .. }
        | Renderer::Hex { .. }
        | Renderer::Pcap { .. }
        | Renderer::Numbercard { .. } => true,
        Renderer::Table { merge, .. } => merge.is_none(),
        Renderer::Chart { .. } | Renderer::Stackgraph { .. } | Renderer::Fdg { .. } => false,
    }
}

/// The columns that an expression reads.
pub(crate) fn columns_of(expr: &Expr) -> HashSet<ColumnId> {
    let mut live = Live::default();
    live.expr(expr);
    live.0
}

/// The columns that are used below the present operation.
#[derive(Default)]
struct Live(HashSet<ColumnId>);

impl Live {
    fn renderer(&mut self, pipeline: &Pipeline) {
        for column in pipeline.renderer.columns() {
            self.0.insert(column);
            // Merging needs the state of the aggregate that made the value.
            let info = pipeline.columns.get(column.0 as usize);
            if let Some(lineage) = info.and_then(|c| c.lineage.as_ref()) {
                self.0.insert(lineage.origin);
            }
        }
    }

    fn expr(&mut self, expr: &Expr) {
        self.0.extend(expr.columns());
    }

    fn order(&mut self, order: &[SortKey]) {
        order.iter().for_each(|key| self.expr(&key.expr));
    }

    fn assign(&mut self, columns: &mut Vec<(ColumnId, Expr)>) {
        let mut kept = Vec::with_capacity(columns.len());
        for (column, expr) in std::mem::take(columns).into_iter().rev() {
            if self.0.contains(&column) {
                self.expr(&expr);
                kept.push((column, expr));
            }
        }
        kept.reverse();
        *columns = kept;
    }

    fn aggregate(&mut self, aggregate: &mut Aggregate) {
        aggregate
            .carried
            .retain(|(output, _)| self.0.contains(output));
        if aggregate.carried.is_empty() {
            aggregate.input_sequence = None;
        }
        self.0.insert(aggregate.input_time);
        self.0.extend(aggregate.input_sequence);
        self.0
            .extend(aggregate.carried.iter().map(|(_, input)| *input));
        for branch in &mut aggregate.branches {
            // A branch without keys is one row, which needs one operation to exist.
            let keep_one = branch.keys.is_empty();
            let mut index = 0;
            branch.calls.retain(|call| {
                index += 1;
                self.0.contains(&call.output) || (keep_one && index == 1)
            });
            self.0.extend(branch.keys.iter().map(|(_, input)| *input));
            for call in &branch.calls {
                if let Some(value) = &call.value {
                    self.expr(value);
                }
            }
        }
    }
}
