//! table: rows and columns.

use std::collections::HashSet;

use super::super::arguments::Args;
use super::super::pipeline::{ColumnId, Op, Renderer};
use super::super::prune::columns_of;
use super::super::registry::{ModuleSpec, flag, valued};
use super::super::report::Outcome;
use super::super::scope::{Origin, Scope};
use super::names;
use crate::lang::diagnostic::Span;
use crate::types::EvType;

pub(super) static TABLE: ModuleSpec = ModuleSpec {
    summary: "rows and columns",
    syntax: &["table [-nt] [EV...]"],
    flags: &[
        flag("-nt", "condense to one row per key over the whole range"),
        valued(
            "-save",
            "a name",
            "save as a resource (there are no resources yet)",
        ),
        flag("-csv", "format of -save"),
        valued("-format", "a format", "format of -save"),
        valued("-update", "a key", "merge into the saved resource"),
        valued("-delete", "a key", "remove from the saved resource"),
    ],
    reads: "the columns named; none: every value extracted or made",
    makes: "nothing",
    example: "tag=pcap packet ipv4.SrcIP | count by SrcIP | table SrcIP count",
    ..ModuleSpec::renderer("table", resolve)
};

fn resolve(args: &mut Args<'_>, scope: &mut Scope) -> Outcome {
    if let Some(name) = args.value("-save") {
        scope.unavailable(
            name.span,
            "a table cannot be saved as a resource: there are no resources yet",
        )?;
    }
    let names = names(args, &[]);
    args.finish()?;
    let columns: Vec<ColumnId> = if names.is_empty() {
        everything(scope)
    } else {
        names.iter().map(|name| scope.lookup(name)).collect()
    };
    let merge = merge_keys(scope, &columns, args.name.span);
    if merge.is_none() && !scope.no_sort {
        scope.sort_now();
    }
    scope.renderer = Some(Renderer::Table {
        columns,
        merge,
        condensed: args.has("-nt"),
    });
    Ok(())
}

/// Every value that was extracted or made; the entry itself if there is none.
pub(super) fn everything(scope: &mut Scope) -> Vec<ColumnId> {
    let columns: Vec<ColumnId> = scope
        .visible()
        .iter()
        .filter(|v| matches!(v.origin, Origin::Extracted | Origin::Made | Origin::Key))
        .map(|v| v.column)
        .collect();
    if columns.is_empty() {
        return ["TIMESTAMP", "TAG", "DATA"]
            .iter()
            .filter_map(|name| scope.find_exact(name).or_else(|| scope.intrinsic(name)))
            .collect();
    }
    columns
}

/// Windowed rows are merged over the whole range, unless the table shows when they were.
fn merge_keys(scope: &mut Scope, columns: &[ColumnId], span: Span) -> Option<Vec<ColumnId>> {
    scope.condensed.as_ref()?.window_ns?;
    let time = scope.time();
    if columns.contains(&time) {
        return None;
    }
    let tainted = made_of_aggregates(scope);
    let keys: Vec<ColumnId> = columns
        .iter()
        .copied()
        .filter(|column| !tainted.contains(column))
        .collect();
    let summed: Vec<String> = columns
        .iter()
        .filter(|c| tainted.contains(c) && scope.lineage(**c).is_none())
        .filter_map(|c| scope.info(*c))
        .filter(|c| c.ty.is_number() || c.ty == EvType::Duration)
        .map(|c| c.name.clone())
        .collect();
    for name in summed {
        scope.warn_hint(
            span,
            format!("'{name}' was made by no aggregate: its windows are summed"),
            "aggregate it again, or show TIMESTAMP to see the windows",
        );
    }
    Some(keys)
}

/// Columns that an aggregate made or carried, but its keys, and what was computed from such.
fn made_of_aggregates(scope: &Scope) -> HashSet<ColumnId> {
    let mut tainted: HashSet<ColumnId> = HashSet::new();
    for op in &scope.ops {
        match op {
            Op::Aggregate(aggregate) => {
                let calls = aggregate.branches.iter().flat_map(|branch| &branch.calls);
                tainted.extend(calls.map(|call| call.output));
                tainted.extend(aggregate.carried.iter().map(|(output, _)| *output));
            }
            Op::Assign(columns) => {
                for (column, expr) in columns {
                    if columns_of(expr).iter().any(|used| tainted.contains(used)) {
                        tainted.insert(*column);
                    }
                }
            }
            Op::Difference { output, value, .. } if tainted.contains(value) => {
                tainted.insert(*output);
            }
            _ => {}
        }
    }
    tainted
}
