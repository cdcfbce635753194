//! sort, nosort: the order of entries.

use super::super::arguments::Args;
use super::super::pipeline::{ColumnId, Expr, Op, SortKey};
use super::super::registry::{ModuleSpec, flag};
use super::super::report::{Outcome, error};
use super::super::scope::{Scope, ascending};
use crate::lang::ast::Spanned;
use crate::types::EvType;

pub(super) static SORT: ModuleSpec = ModuleSpec {
    summary: "sort entries, stably",
    syntax: &[
        "sort [by time|tag|src|EV] [asc|desc]",
        "sort EV... [asc|desc]",
        "sort (EV [asc|desc] [time|number|ip|string])...",
    ],
    reads: "what it sorts by (default: time, newest first)",
    makes: "nothing",
    example: "tag=pcap packet ipv4.SrcIP | count by SrcIP | sort by count desc | table SrcIP count",
    ..ModuleSpec::stage("sort", resolve)
};

pub(super) static NOSORT: ModuleSpec = ModuleSpec {
    summary: "leave entries in the order in which they are read",
    syntax: &["nosort [-asc]"],
    flags: &[flag("-asc", "oldest first")],
    reads: "nothing",
    makes: "nothing",
    example: "tag=pcap nosort | text",
    ..ModuleSpec::stage("nosort", resolve_nosort)
};

fn resolve(args: &mut Args<'_>, scope: &mut Scope) -> Outcome {
    let mut keys = Vec::new();
    if args.take_keyword("by") {
        let name = args.word("what to sort by")?;
        let column = parameter(scope, &name);
        let descending = direction(args).unwrap_or_else(|| is_time(scope, column));
        keys.push(key(scope, column, descending, None));
        // Further keys are of the newer syntax; `by a, b desc` is what people try first.
        while let Some(name) = args.take_word() {
            let column = parameter(scope, &name);
            let descending = direction(args).unwrap_or_else(|| is_time(scope, column));
            keys.push(key(scope, column, descending, None));
        }
    } else {
        read_new_form(args, scope, &mut keys)?;
    }
    args.finish()?;
    if keys.is_empty() {
        let time = scope.time();
        let descending = direction(args).unwrap_or(true);
        keys.push(key(scope, time, descending, None));
    }
    apply(scope, keys);
    Ok(())
}

/// `sort a b desc`, `sort (a asc number) (b desc)`, `sort asc`.
fn read_new_form(args: &mut Args<'_>, scope: &mut Scope, keys: &mut Vec<SortKey>) -> Outcome {
    if let Some(descending) = direction(args) {
        let time = scope.time();
        keys.push(key(scope, time, descending, None));
        return Ok(());
    }
    loop {
        if args.take_punct('(') {
            let name = args.word("what to sort by")?;
            let column = parameter(scope, &name);
            let descending = direction(args).unwrap_or(true);
            let as_type = args.take_word();
            args.expect_punct(')')?;
            keys.push(key_as(scope, column, descending, as_type)?);
        } else if let Some(name) = args.take_word() {
            let column = parameter(scope, &name);
            let descending = direction(args).unwrap_or(true);
            keys.push(key(scope, column, descending, None));
        } else {
            return Ok(());
        }
    }
}

fn key_as(
    scope: &mut Scope,
    column: ColumnId,
    descending: bool,
    as_type: Option<Spanned<String>>,
) -> Outcome<SortKey> {
    let Some(as_type) = as_type else {
        return Ok(key(scope, column, descending, None));
    };
    let ty = match as_type.value.to_ascii_lowercase().as_str() {
        "time" => EvType::Time,
        "number" => EvType::Float64,
        "ip" => EvType::Ip,
        "string" => EvType::String,
        other => {
            return Err(error(
                as_type.span,
                format!("cannot sort as {other}: time, number, ip or string"),
            ));
        }
    };
    Ok(key(scope, column, descending, Some(ty)))
}

fn direction(args: &mut Args<'_>) -> Option<bool> {
    if args.take_keyword("desc") {
        Some(true)
    } else if args.take_keyword("asc") {
        Some(false)
    } else {
        None
    }
}

/// `time`, `tag` and `src` name the intrinsic values unless a value has that very name.
fn parameter(scope: &mut Scope, name: &Spanned<String>) -> ColumnId {
    let intrinsic = match name.value.to_ascii_lowercase().as_str() {
        "time" => "TIMESTAMP",
        "tag" => "TAG",
        "src" => "SRC",
        _ => "",
    };
    if intrinsic.is_empty() || scope.find_exact(&name.value).is_some() {
        return scope.lookup(name);
    }
    scope.lookup(&Spanned {
        value: intrinsic.to_owned(),
        span: name.span,
    })
}

fn is_time(scope: &mut Scope, column: ColumnId) -> bool {
    column == scope.time()
}

/// A sort key; values of their own type sort as that type, whatever `as_type` says about numbers.
pub(super) fn key(
    scope: &Scope,
    column: ColumnId,
    descending: bool,
    as_type: Option<EvType>,
) -> SortKey {
    let ty = scope.ty(column);
    let same = |wanted: EvType| {
        wanted == ty
            || (wanted == EvType::Float64 && ty.is_number())
            || (wanted == EvType::Ip && ty.is_ip())
    };
    let expr = match as_type {
        Some(wanted) if !same(wanted) => match wanted {
            EvType::String => super::math::as_text(scope, column),
            _ => Expr::Cast(Box::new(Expr::Column(column)), wanted),
        },
        _ => Expr::Column(column),
    };
    SortKey { expr, descending }
}

/// Sorts by keys, ties in the order so far.
pub(super) fn apply(scope: &mut Scope, mut keys: Vec<SortKey>) {
    for before in scope.order() {
        if !keys.iter().any(|key| key.expr == before.expr) {
            keys.push(before);
        }
    }
    // Sequence follows time: the newest frame first, or the oldest first.
    if let Some(sequence) = scope.sequence() {
        let time = Expr::Column(scope.time());
        let follow = keys.iter().find(|k| k.expr == time).map(|k| k.descending);
        for key in &mut keys {
            if key.expr == Expr::Column(sequence)
                && let Some(descending) = follow
            {
                key.descending = descending;
            }
        }
    }
    scope.order.clone_from(&keys);
    scope.sorted = true;
    scope.emit(Op::Sort(keys));
}

fn resolve_nosort(args: &mut Args<'_>, scope: &mut Scope) -> Outcome {
    args.finish()?;
    scope.no_sort = true;
    if args.has("-asc") {
        let time = scope.time();
        scope.order = vec![ascending(time)];
        let sequence = scope.sequence();
        scope.order.extend(sequence.map(ascending));
    }
    Ok(())
}
