//! chart: values over time.

use super::super::arguments::Args;
use super::super::condense::DEFAULT_WINDOW;
use super::super::pipeline::{Category, ColumnId, Renderer};
use super::super::registry::ModuleSpec;
use super::super::report::{Outcome, error, hinted};
use super::super::scope::{Origin, Scope};
use super::names;
use crate::lang::ast::Spanned;
use crate::types::EvType;

pub(super) static CHART: ModuleSpec = ModuleSpec {
    summary: "values over time, one line per value and key",
    syntax: &["chart [EV...] [by EV...] [limit N]"],
    reads: "numbers, merged per bin by the operation that made them, and keys",
    makes: "nothing",
    example: "tag=pcap packet ipv4.SrcIP | count by SrcIP | chart count by SrcIP limit 20",
    ..ModuleSpec::renderer("chart", resolve)
};

/// Sets per category unless `limit` says otherwise, `other` included.
const DEFAULT_LIMIT: usize = 24;

fn resolve(args: &mut Args<'_>, scope: &mut Scope) -> Outcome {
    let span = args.name.span;
    let values = names(args, &["by", "limit"]);
    let keys = if args.take_keyword("by") {
        let keys = names(args, &["limit"]);
        if keys.is_empty() {
            return Err(args.unexpected("expected a key after by"));
        }
        keys
    } else {
        Vec::new()
    };
    let limit = read_limit(args)?;
    args.finish()?;

    let mut keys: Vec<ColumnId> = keys.iter().map(|key| scope.lookup(key)).collect();
    let values: Vec<(ColumnId, Option<Spanned<String>>)> = if values.is_empty() {
        let Some(value) = default_magnitude(scope) else {
            return Err(hinted(
                error(span, "chart has nothing to draw"),
                "condense first: 'count by SrcIP | chart count by SrcIP'",
            ));
        };
        if keys.is_empty() {
            keys = scope
                .condensed
                .as_ref()
                .map(|c| c.keys())
                .unwrap_or_default();
        }
        vec![(value, None)]
    } else {
        values
            .into_iter()
            .map(|name| (scope.lookup(&name), Some(name)))
            .collect()
    };
    let mut categories = Vec::new();
    for (value, name) in values {
        let value = match name {
            Some(name) => drawable(scope, value, &name)?,
            None => value,
        };
        categories.push(category(scope, value, &keys));
    }
    let window_ns = scope
        .condensed
        .as_ref()
        .and_then(|c| c.window_ns)
        .unwrap_or(DEFAULT_WINDOW);
    scope.renderer = Some(Renderer::Chart {
        time: scope.time(),
        window_ns,
        categories,
        limit,
    });
    Ok(())
}

fn read_limit(args: &mut Args<'_>) -> Outcome<usize> {
    if !args.take_keyword("limit") {
        return Ok(DEFAULT_LIMIT);
    }
    let word = args.word("a number of lines")?;
    match word.value.parse() {
        Ok(limit) if limit > 0 => Ok(limit),
        _ => Err(error(
            word.span,
            format!("'{}' is no number of lines", word.value),
        )),
    }
}

/// What `chart` without values draws: what the last condensing stage made first.
fn default_magnitude(scope: &Scope) -> Option<ColumnId> {
    scope.condensed.as_ref()?.outputs.first().copied()
}

/// A value that can be drawn: a number, or a text read as one.
fn drawable(scope: &mut Scope, value: ColumnId, name: &Spanned<String>) -> Outcome<ColumnId> {
    let value = magnitude(scope, value, name)?;
    if scope.lineage(value).is_none() && scope.origin_of(value) != Some(Origin::Unknown) {
        scope.warn_hint(
            name.span,
            format!(
                "'{}' was made by no aggregate: values of a bin are summed",
                name.value
            ),
            format!(
                "say what is meant: 'stats mean({}) | chart mean'",
                name.value
            ),
        );
    }
    Ok(value)
}

/// A value as a number.
pub(super) fn magnitude(
    scope: &mut Scope,
    value: ColumnId,
    name: &Spanned<String>,
) -> Outcome<ColumnId> {
    use super::super::pipeline::Expr;
    let ty = scope.ty(value);
    match ty {
        _ if ty.is_number() || ty == EvType::Duration => Ok(value),
        EvType::Bool => {
            let number = Expr::Cast(Box::new(Expr::Column(value)), EvType::Int64);
            Ok(scope.define(name.value.clone(), EvType::Int64, number))
        }
        EvType::String => {
            let number = Expr::Cast(Box::new(Expr::Column(value)), EvType::Float64);
            Ok(scope.define(name.value.clone(), EvType::Float64, number))
        }
        _ => Err(hinted(
            error(
                name.span,
                format!("'{}' has type {ty}, not a number", name.value),
            ),
            "draw a count of it: 'count by ...'",
        )),
    }
}

/// One category: values of an operation with keys of its own leave out those of other operations.
fn category(scope: &Scope, value: ColumnId, keys: &[ColumnId]) -> Category {
    let plain = Category {
        value,
        keys: keys.to_vec(),
        branch: None,
    };
    let Some(condensed) = &scope.condensed else {
        return plain;
    };
    let Some(lineage) = scope.lineage(value) else {
        return plain;
    };
    let (Some(column), true) = (
        condensed.branch_column,
        condensed.outputs.contains(&lineage.origin),
    ) else {
        return plain;
    };
    let own = condensed
        .branch_keys
        .get(lineage.branch)
        .map_or(&[][..], Vec::as_slice);
    let all = condensed.keys();
    Category {
        keys: keys
            .iter()
            .copied()
            .filter(|key| own.contains(key) || !all.contains(key))
            .collect(),
        branch: Some((column, lineage.branch)),
        ..plain
    }
}
