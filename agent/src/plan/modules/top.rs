//! top and bottom: the entries with the largest or smallest values.

use super::super::arguments::Args;
use super::super::pipeline::{Expr, Op, SortKey};
use super::super::registry::{FlagSpec, ModuleSpec, valued};
use super::super::report::{Outcome, error};
use super::super::scope::Scope;
use super::names;
use super::sort::{apply, key};
use crate::types::EvType;

const FLAGS: &[FlagSpec] = &[valued("-n", "a number of entries", "entries to keep (10)")];

pub(super) static TOP: ModuleSpec = ModuleSpec {
    summary: "keep the entries with the largest values",
    syntax: &["top [-n 10] [EV...]"],
    flags: FLAGS,
    reads: "numbers; further ones break ties; none: what was condensed last",
    makes: "nothing",
    example: "tag=pcap packet ipv4.SrcIP | count by SrcIP | top -n 5 count | table SrcIP count",
    ..ModuleSpec::stage("top", resolve)
};

pub(super) static BOTTOM: ModuleSpec = ModuleSpec {
    summary: "keep the entries with the smallest values",
    syntax: &["bottom [-n 10] [EV...]"],
    flags: FLAGS,
    reads: "numbers; further ones break ties; none: what was condensed last",
    makes: "nothing",
    example: "tag=pcap packet ipv4.SrcIP | count by SrcIP | bottom -n 5 count | table SrcIP count",
    ..ModuleSpec::stage("bottom", resolve)
};

fn resolve(args: &mut Args<'_>, scope: &mut Scope) -> Outcome {
    let descending = args.name.value.eq_ignore_ascii_case("top");
    let fetch = match args.value("-n") {
        None => 10,
        Some(word) => word.value.parse().map_err(|_| {
            error(
                word.span,
                format!("'{}' is no number of entries", word.value),
            )
        })?,
    };
    let names = names(args, &[]);
    args.finish()?;
    let columns = if names.is_empty() {
        match scope.condensed.as_ref().and_then(|c| c.outputs.first()) {
            Some(column) => vec![*column],
            None => return Err(args.unexpected("expected a value")),
        }
    } else {
        names.iter().map(|name| scope.lookup(name)).collect()
    };
    let keys: Vec<SortKey> = columns
        .into_iter()
        .map(|column| {
            let as_number = (scope.ty(column) == EvType::String).then_some(EvType::Float64);
            key(scope, column, descending, as_number)
        })
        .collect();
    // What is no number has no rank.
    if let Some(first) = keys.first() {
        scope.emit(Op::Filter(Expr::IsPresent(Box::new(first.expr.clone()))));
    }
    apply(scope, keys);
    scope.emit(Op::Limit { skip: 0, fetch });
    Ok(())
}
