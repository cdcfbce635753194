//! table: rows and columns.

use super::super::arguments::Args;
use super::super::pipeline::{ColumnId, Renderer};
use super::super::registry::{ModuleSpec, flag, valued};
use super::super::report::Outcome;
use super::super::scope::{Origin, Scope};
use super::names;

pub(super) static TABLE: ModuleSpec = ModuleSpec {
    summary: "rows and columns",
    syntax: &["table [-nt] [EV...]"],
    flags: &[
        flag("-nt", "condense to one row per key over the whole range"),
        valued("-save", "a name", "save as a resource (not available yet)"),
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
            "saving a table as a resource is not available yet",
        )?;
    }
    let names = names(args, &[]);
    args.finish()?;
    let columns: Vec<ColumnId> = if names.is_empty() {
        everything(scope)
    } else {
        names.iter().map(|name| scope.lookup(name)).collect()
    };
    let merge = merge_keys(scope, &columns);
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
fn merge_keys(scope: &mut Scope, columns: &[ColumnId]) -> Option<Vec<ColumnId>> {
    scope.condensed.as_ref()?.window_ns?;
    let time = scope.time();
    if columns.contains(&time) {
        return None;
    }
    Some(
        columns
            .iter()
            .copied()
            .filter(|&c| scope.lineage(c).is_none() && scope.origin_of(c) != Some(Origin::Carried))
            .collect(),
    )
}
