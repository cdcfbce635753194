//! A stage for entries of some tags: those with other tags pass it as they are.

use super::modules::{as_type, common_type};
use super::pipeline::{ColumnId, Comparison, Expr, Literal, Op};
use super::registry::{Kind, ModuleSpec};
use super::report::{Outcome, error, hinted};
use super::scope::{Origin, Scope, Visible, text};
use crate::lang::ast::{Constraint, Spanned};
use crate::lang::diagnostic::{Diagnostic, Span};
use crate::types::EvType;

/// Resolves a stage that stands behind `tag=...`.
///
/// What the stage computes is a function of the entry, so it may be computed for all; its filters
/// and its values hold for the entries of the tags only. A stage that looks at several entries at
/// once is refused: the language does not say what those that pass it would be among its results.
pub(super) fn restricted(
    constraint: &Constraint,
    spec: &ModuleSpec,
    scope: &mut Scope,
    resolve: impl FnOnce(&mut Scope) -> Outcome,
) -> Outcome {
    let span = constraint.key.span;
    if spec.kind == Kind::Renderer {
        return Err(hinted(
            error(
                span,
                format!(
                    "{} shows all entries: it cannot be restricted to a tag",
                    spec.name
                ),
            ),
            "name the tags at the start of the query",
        ));
    }
    if constraint.values.iter().any(|tag| all_stars(&tag.value)) {
        return resolve(scope);
    }
    let tag = entry_tag(scope, span)?;
    warn_unread(scope, &constraint.values);
    let matches = has_tag(tag, &constraint.values);

    let (first_op, before) = (scope.ops.len(), scope.visible().to_vec());
    let (order, no_sort) = (scope.order.len(), scope.no_sort);
    // Filters for different tags do not exclude each other.
    let filtered_layers = std::mem::take(&mut scope.filtered_layers);
    resolve(scope)?;
    scope.filtered_layers = filtered_layers;
    let reorders = scope.no_sort != no_sort || scope.order.len() != order;
    let ops = scope.ops.get_mut(first_op..).unwrap_or_default();
    if reorders || !guard(ops, &matches) {
        return Err(several_entries(spec, span));
    }
    merge_visible(scope, &before, &matches);
    Ok(())
}

fn several_entries(spec: &ModuleSpec, span: Span) -> Diagnostic {
    hinted(
        error(
            span,
            format!(
                "{} looks at several entries at once: it cannot be restricted to a tag",
                spec.name
            ),
        ),
        "keep the entries of one tag first: eval TAG == \"name\"",
    )
}

/// The tag of each entry; a condensed one has a tag only if it is a key.
fn entry_tag(scope: &mut Scope, span: Span) -> Outcome<ColumnId> {
    if let Some(condensed) = &scope.condensed {
        let key = scope
            .visible()
            .iter()
            .find(|v| v.name == "TAG" && v.origin == Origin::Key);
        return key.map(|v| v.column).ok_or_else(|| {
            hinted(
                error(
                    span,
                    format!("after {} entries have no tag of their own", condensed.by),
                ),
                "make TAG a key of it",
            )
        });
    }
    Ok(scope.lookup(&Spanned {
        value: "TAG".to_owned(),
        span,
    }))
}

fn all_stars(pattern: &str) -> bool {
    !pattern.is_empty() && pattern.bytes().all(|b| b == b'*')
}

/// A tag pattern as a regular expression, if it has a `*`.
fn tag_regex(pattern: &str) -> Option<String> {
    let parts: Vec<String> = pattern.split('*').map(regex::escape).collect();
    (parts.len() > 1).then(|| format!("^{}$", parts.join(".*")))
}

/// Whether an entry has one of the tags.
fn has_tag(tag: ColumnId, patterns: &[Spanned<String>]) -> Expr {
    let tag = Expr::Column(tag);
    let mut tests: Vec<Expr> = patterns
        .iter()
        .map(|pattern| match tag_regex(&pattern.value) {
            Some(regex) => Expr::Call("regex_match", vec![tag.clone(), text(regex)], EvType::Bool),
            None => Expr::Compare(
                Comparison::Eq,
                Box::new(tag.clone()),
                Box::new(Expr::Literal(Literal::String(pattern.value.clone()))),
            ),
        })
        .collect();
    match tests.len() {
        1 => tests.swap_remove(0),
        _ => Expr::Or(tests),
    }
}

/// Says of a tag that the query does not read that the stage does nothing.
fn warn_unread(scope: &mut Scope, patterns: &[Spanned<String>]) {
    for pattern in patterns {
        let read = scope.tags.iter().any(|tag| may_meet(tag, &pattern.value));
        if !read {
            let tags = scope.tags.join(",");
            scope.warn(
                pattern.span,
                format!(
                    "the query reads tag {tags}: no entry has the tag {}",
                    pattern.value
                ),
            );
        }
    }
}

/// Whether a tag can match both patterns; of two that both have a `*` it is taken for granted.
fn may_meet(a: &str, b: &str) -> bool {
    let matches = |regex: String, tag: &str| {
        regex::bytes::Regex::new(&regex).is_ok_and(|regex| regex.is_match(tag.as_bytes()))
    };
    match (tag_regex(a), tag_regex(b)) {
        (None, None) => a == b,
        (Some(regex), None) => matches(regex, b),
        (None, Some(regex)) => matches(regex, a),
        (Some(_), Some(_)) => true,
    }
}

/// Makes filters let entries of other tags through; false if an operation is no function of the
/// entry.
fn guard(ops: &mut [Op], matches: &Expr) -> bool {
    ops.iter_mut().all(|op| match op {
        Op::Filter(test) => {
            let others = Expr::Not(Box::new(matches.clone()));
            let own = std::mem::replace(test, Expr::Null(EvType::Bool));
            *test = Expr::Or(vec![others, own]);
            true
        }
        Op::Assign(_) => true,
        Op::Aggregate(_)
        | Op::Distinct { .. }
        | Op::Sort(_)
        | Op::Limit { .. }
        | Op::LimitBy { .. }
        | Op::Difference { .. } => false,
    })
}

/// Gives each name that the stage made, changed or dropped the stage's value in entries of the
/// tags and the earlier value in others.
fn merge_visible(scope: &mut Scope, before: &[Visible], matches: &Expr) {
    let known = |v: &&Visible| !matches!(v.origin, Origin::Intrinsic | Origin::Unknown);
    let after = scope.visible().to_vec();
    let mut visible = Vec::with_capacity(after.len());
    for value in &after {
        let old = before.iter().find(|v| v.name == value.name);
        if !known(&value) || old.is_some_and(|old| old.column == value.column) {
            visible.push(value.clone());
            continue;
        }
        let old = old.filter(known).map(|old| old.column);
        let column = either(scope, &value.name, matches, Some(value.column), old);
        visible.push(Visible {
            column,
            ..value.clone()
        });
    }
    for old in before.iter().filter(known) {
        if !after.iter().any(|v| v.name == old.name) {
            let column = either(scope, &old.name, matches, None, Some(old.column));
            visible.push(Visible {
                column,
                ..old.clone()
            });
        }
    }
    scope.replace_visible(visible);
}

/// A column with the one value in entries of the tags and the other in others.
fn either(
    scope: &mut Scope,
    name: &str,
    matches: &Expr,
    tagged: Option<ColumnId>,
    other: Option<ColumnId>,
) -> ColumnId {
    let types: Vec<EvType> = tagged.iter().chain(&other).map(|c| scope.ty(*c)).collect();
    let ty = common_type(&types);
    let value = |column: Option<ColumnId>| match column {
        Some(column) => as_type(scope, column, ty),
        None => Expr::Null(ty),
    };
    let expr = Expr::Case(
        vec![(matches.clone(), value(tagged))],
        Box::new(value(other)),
    );
    let column = scope.column(name, ty, None);
    scope.emit(Op::Assign(vec![(column, expr)]));
    column
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_that_meet() {
        for (a, b, expected) in [
            ("pcap", "pcap", true),
            ("pcap", "dhcp", false),
            ("pc*", "pcap", true),
            ("pcap", "*ap", true),
            ("net.*", "netflow", false),
            ("a*", "*b", true),
        ] {
            assert_eq!(may_meet(a, b), expected, "{a} {b}");
        }
    }
}
