//! Condensing: building an aggregate from the operations of one stage, and choosing its window.

use super::arguments::SECOND;
use super::pipeline::{
    Aggregate, AggregateCall, AggregateOp, Branch, Column, ColumnId, Expr, Lineage, Op,
};
use super::scope::{Condensed, Origin, Scope, Visible, ascending, descending};
use crate::lang::diagnostic::Span;
use crate::types::EvType;

/// Window where nothing says `over`.
pub(crate) const DEFAULT_WINDOW: i64 = SECOND;

/// One operation as asked for.
pub(crate) struct Request {
    /// Operation.
    pub(crate) op: AggregateOp,
    /// Its value; `None` for count.
    pub(crate) value: Option<Expr>,
    /// Name and type of the value made.
    pub(crate) name: String,
    /// Where it stands.
    pub(crate) span: Span,
    /// Its keys.
    pub(crate) keys: Vec<ColumnId>,
}

/// Adds the aggregate of a stage.
pub(crate) fn aggregate(
    scope: &mut Scope,
    stage: &str,
    requests: Vec<Request>,
    over: Option<(i64, Span)>,
) {
    let window_ns = window(scope, over);
    let input_time = scope.time();
    let input_sequence = scope.sequence();
    if scope.condensed.is_none() {
        scope.intrinsic("TAG");
        scope.intrinsic("SRC");
    }
    let before = scope.visible().to_vec();
    let output_time = scope.column("TIMESTAMP", EvType::Time, None);
    let mut building = Building::default();
    for request in requests {
        building.add(scope, request);
    }
    let Building {
        key_columns,
        branches,
        outputs,
    } = building;

    let mut condensed = Condensed::new(stage.to_owned(), window_ns);
    condensed.branch_column =
        (branches.len() > 1).then(|| scope.column("branch", EvType::UInt8, None));
    condensed.branch_keys = branches
        .iter()
        .map(|branch| branch.keys.iter().map(|(output, _)| *output).collect())
        .collect();
    condensed.outputs = outputs.iter().map(|(_, column)| *column).collect();

    let mut visible = vec![Visible {
        name: "TIMESTAMP".to_owned(),
        column: output_time,
        origin: Origin::Intrinsic,
    }];
    let mut carried = Vec::new();
    for value in before {
        if let Some((_, output)) = key_columns.iter().find(|(input, _)| *input == value.column) {
            visible.push(Visible {
                column: *output,
                origin: Origin::Key,
                ..value
            });
        } else if !matches!(value.name.as_str(), "TIMESTAMP" | "DATA" | "NOW")
            && value.origin != Origin::Unknown
        {
            let output = scope.column(value.name.clone(), scope.ty(value.column), None);
            carried.push((output, value.column));
            visible.push(Visible {
                name: value.name,
                column: output,
                origin: Origin::Carried,
            });
        }
    }
    scope.replace_visible(visible);
    for (name, column) in outputs {
        scope.bind(name, column, Origin::Made);
    }
    scope.emit(Op::Aggregate(Aggregate {
        window_ns,
        input_time,
        input_sequence,
        output_time,
        branches,
        carried,
        branch_column: condensed.branch_column,
    }));
    // Keys make the order complete, so that every answer is reproducible. The time of a group of
    // one window over everything says little, and is left out.
    scope.order = window_ns
        .map(|_| descending(output_time))
        .into_iter()
        .collect();
    scope.order.extend(
        condensed
            .branch_column
            .into_iter()
            .chain(condensed.keys())
            .map(ascending),
    );
    scope.sorted = false;
    scope.condensed = Some(condensed);
    scope.condensing_stages += 1;
}

/// Width of the window: as written, else that of the renderer, never finer than what comes in.
fn window(scope: &mut Scope, over: Option<(i64, Span)>) -> Option<i64> {
    if let Some((window, span)) = over {
        if scope.ignore_over {
            scope.warn_hint(
                span,
                "over has no effect here: the rows are merged over the whole range",
                "leave out -nt and sort by time to see one row per window",
            );
            return None;
        }
        return Some(window);
    }
    let previous = scope.condensed.as_ref().and_then(|c| c.window_ns);
    scope
        .default_window
        .map(|window| window.max(previous.unwrap_or(0)))
}

/// An aggregate under construction.
#[derive(Default)]
struct Building {
    /// (input, output) of every key.
    key_columns: Vec<(ColumnId, ColumnId)>,
    branches: Vec<Branch>,
    /// Name and column of what the operations make.
    outputs: Vec<(String, ColumnId)>,
}

impl Building {
    fn add(&mut self, scope: &mut Scope, request: Request) {
        let Request {
            op,
            value,
            name,
            span,
            mut keys,
        } = request;
        let mut seen = Vec::new();
        keys.retain(|key| {
            let new = !seen.contains(key);
            seen.push(*key);
            new
        });
        if self.outputs.iter().any(|(other, _)| *other == name) {
            scope.warn_hint(
                span,
                format!("two operations make '{name}': the last one is meant from here on"),
                "give each a name with 'as'",
            );
        }
        let branch = self.branch(scope, &keys);
        let output = scope.column(name.clone(), output_type(op, value.as_ref(), scope), None);
        if let Some(column) = scope.columns.get_mut(output.0 as usize) {
            set_lineage(column, op, output, branch);
        }
        self.outputs.push((name, output));
        if let Some(branch) = self.branches.get_mut(branch) {
            branch.calls.push(AggregateCall { output, op, value });
        }
    }

    /// The branch of a key list, whatever the order of the keys.
    fn branch(&mut self, scope: &mut Scope, keys: &[ColumnId]) -> usize {
        let same = |branch: &Branch| {
            branch.keys.len() == keys.len()
                && branch.keys.iter().all(|(_, input)| keys.contains(input))
        };
        if let Some(index) = self.branches.iter().position(same) {
            return index;
        }
        let keys = keys
            .iter()
            .map(|&input| (self.key_output(scope, input), input))
            .collect();
        self.branches.push(Branch {
            keys,
            calls: Vec::new(),
        });
        self.branches.len() - 1
    }

    /// The new column of a key: one, whichever branches it belongs to.
    fn key_output(&mut self, scope: &mut Scope, input: ColumnId) -> ColumnId {
        if let Some((_, output)) = self.key_columns.iter().find(|(known, _)| *known == input) {
            return *output;
        }
        let name = scope
            .info(input)
            .map(|c| c.name.clone())
            .unwrap_or_default();
        let output = scope.column(name, scope.ty(input), None);
        self.key_columns.push((input, output));
        output
    }
}

fn set_lineage(column: &mut Column, op: AggregateOp, origin: ColumnId, branch: usize) {
    column.lineage = Some(Lineage { op, origin, branch });
}

/// The type that an operation makes.
fn output_type(op: AggregateOp, value: Option<&Expr>, scope: &Scope) -> EvType {
    let value = value.map_or(EvType::Int64, |value| expr_type(value, scope));
    match op {
        AggregateOp::Count | AggregateOp::UniqueCount => EvType::Int64,
        AggregateOp::Mean | AggregateOp::Stddev | AggregateOp::Variance | AggregateOp::Entropy => {
            EvType::Float64
        }
        AggregateOp::Min | AggregateOp::Max => value,
        AggregateOp::Sum | AggregateOp::Total => match value {
            EvType::Float64 | EvType::Duration => value,
            _ => EvType::Int64,
        },
    }
}

/// The type of an expression.
pub(crate) fn expr_type(expr: &Expr, scope: &Scope) -> EvType {
    match expr {
        Expr::Column(column) => scope.ty(*column),
        Expr::Literal(literal) => literal.ty(),
        Expr::Null(ty) | Expr::Cast(_, ty) | Expr::Call(_, _, ty) => *ty,
        Expr::And(_)
        | Expr::Or(_)
        | Expr::Not(_)
        | Expr::IsPresent(_)
        | Expr::Compare(..)
        | Expr::InSubnet(..) => EvType::Bool,
        Expr::Arithmetic(_, left, right) => {
            let types = [expr_type(left, scope), expr_type(right, scope)];
            if types.contains(&EvType::Float64) {
                EvType::Float64
            } else {
                EvType::Int64
            }
        }
        Expr::Case(_, otherwise) => expr_type(otherwise, scope),
        Expr::Coalesce(values) => values
            .first()
            .map_or(EvType::String, |value| expr_type(value, scope)),
    }
}
