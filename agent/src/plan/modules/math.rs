//! count, sum, mean, min, max, stddev and variance: the short form of one operation.

use super::super::arguments::Args;
use super::super::condense::{Request, aggregate, expr_type};
use super::super::pipeline::{AggregateOp, ColumnId, Expr};
use super::super::registry::{FlagSpec, ModuleSpec, valued};
use super::super::report::Outcome;
use super::super::scope::Scope;
use super::names;
use crate::lang::ast::Spanned;
use crate::lang::diagnostic::Span;
use crate::types::EvType;

/// The memory limit of the whole query bounds the keys; the flag is read and not needed.
pub(super) const MAXTRACKED: FlagSpec = valued(
    "-maxtracked",
    "a number of keys",
    "accepted for compatibility; the memory limit of the query bounds the keys",
);

const fn spec(
    name: &'static str,
    summary: &'static str,
    syntax: &'static [&'static str],
    example: &'static str,
) -> ModuleSpec {
    ModuleSpec {
        condenses: true,
        summary,
        syntax,
        flags: &[MAXTRACKED],
        reads: "one value (none: DATA) and the keys",
        makes: "a value named after the operation",
        example,
        ..ModuleSpec::stage(name, resolve)
    }
}

pub(super) static COUNT: ModuleSpec = spec(
    "count",
    "count entries, per window and key",
    &["count [by EV...] [over DURATION]"],
    "tag=pcap packet ipv4.SrcIP | count by SrcIP | table SrcIP count",
);
pub(super) static SUM: ModuleSpec = spec(
    "sum",
    "add up a value, per window and key",
    &["sum [EV] [by EV...] [over DURATION]"],
    "tag=pcap packet ipv4.SrcIP ipv4.Length | sum Length by SrcIP | table SrcIP sum",
);
pub(super) static MEAN: ModuleSpec = spec(
    "mean",
    "mean of a value, per window and key",
    &["mean [EV] [by EV...] [over DURATION]"],
    "tag=pcap packet ipv4.SrcIP ipv4.Length | mean Length by SrcIP | table SrcIP mean",
);
pub(super) static MIN: ModuleSpec = spec(
    "min",
    "smallest value, per window and key",
    &["min [EV] [by EV...] [over DURATION]"],
    "tag=pcap packet ipv4.SrcIP ipv4.TTL | min TTL by SrcIP | table SrcIP min",
);
pub(super) static MAX: ModuleSpec = spec(
    "max",
    "largest value, per window and key",
    &["max [EV] [by EV...] [over DURATION]"],
    "tag=pcap packet tcp.Port | max Port | table max",
);
pub(super) static STDDEV: ModuleSpec = spec(
    "stddev",
    "population standard deviation of a value, per window and key",
    &["stddev [EV] [by EV...] [over DURATION]"],
    "tag=pcap packet ipv4.SrcIP ipv4.Length | stddev Length by SrcIP | table SrcIP stddev",
);
pub(super) static VARIANCE: ModuleSpec = spec(
    "variance",
    "population variance of a value, per window and key",
    &["variance [EV] [by EV...] [over DURATION]"],
    "tag=pcap packet ipv4.SrcIP ipv4.DstIP | count by SrcIP,DstIP | variance count by SrcIP | chart variance by SrcIP",
);

/// The operations by name, with whether the short form has them.
pub(super) fn operation(name: &str) -> Option<AggregateOp> {
    Some(match name.to_ascii_lowercase().as_str() {
        "count" => AggregateOp::Count,
        "sum" => AggregateOp::Sum,
        "total" => AggregateOp::Total,
        "mean" => AggregateOp::Mean,
        "stddev" => AggregateOp::Stddev,
        "variance" => AggregateOp::Variance,
        "min" => AggregateOp::Min,
        "max" => AggregateOp::Max,
        "unique_count" => AggregateOp::UniqueCount,
        _ => return None,
    })
}

fn resolve(args: &mut Args<'_>, scope: &mut Scope) -> Outcome {
    let name = args.name.clone();
    let Some(op) = operation(&name.value) else {
        return Err(args.unexpected("no such operation"));
    };
    single(args, scope, op, name)
}

/// `[EV] [by EV...] [over D]`, for this operation.
pub(super) fn single(
    args: &mut Args<'_>,
    scope: &mut Scope,
    op: AggregateOp,
    name: Spanned<String>,
) -> Outcome {
    let mut source = None;
    if !args.is_keyword(0, "by") && !args.is_keyword(0, "over") {
        source = args.take_word();
    }
    let keys = if args.take_keyword("by") {
        let first = args.word("a key after by")?;
        let mut keys = vec![first];
        keys.extend(names(args, &["over"]));
        keys
    } else {
        Vec::new()
    };
    let over_span = args.here();
    let over = args.take_over()?.map(|window| (window, over_span));
    args.finish()?;
    let value = value(scope, op, source.as_ref(), name.span);
    let keys = look_up_keys(scope, op, &keys);
    let request = Request {
        op,
        value,
        name: name.value.to_ascii_lowercase(),
        span: name.span,
        keys,
    };
    let stage = name.value.to_ascii_lowercase();
    aggregate(scope, &stage, vec![request], over);
    Ok(())
}

/// The keys of an operation; hints once at `require` where a key may be absent.
pub(super) fn look_up_keys(
    scope: &mut Scope,
    op: AggregateOp,
    keys: &[Spanned<String>],
) -> Vec<ColumnId> {
    keys.iter()
        .map(|key| {
            if op == AggregateOp::Count
                && scope.condensed.is_none()
                && scope.optional_fields.contains(&key.value)
            {
                scope.hint_once(
                    "require",
                    key.span,
                    format!(
                        "packets without {} are counted too, under an absent key",
                        key.value
                    ),
                    &format!("add 'require {}' before to leave them out", key.value),
                );
            }
            scope.lookup(key)
        })
        .collect()
}

/// The value of an operation as an expression that it can take; `None` for count.
pub(super) fn value(
    scope: &mut Scope,
    op: AggregateOp,
    source: Option<&Spanned<String>>,
    span: Span,
) -> Option<Expr> {
    if op == AggregateOp::Count {
        // Count never reads the value, but a misspelt one is worth a word.
        if let Some(source) = source {
            scope.lookup(source);
        }
        return None;
    }
    let (column, span) = match source {
        Some(source) => (scope.lookup(source), source.span),
        None => (scope.data(), span),
    };
    let ty = scope.ty(column);
    let expr = Expr::Column(column);
    let as_number = |expr, scope: &mut Scope| number(scope, expr, ty, span);
    Some(match op {
        AggregateOp::UniqueCount => expr,
        AggregateOp::Entropy => match ty {
            EvType::Bytes | EvType::String => expr,
            _ => Expr::Call("to_text", vec![expr], EvType::String),
        },
        AggregateOp::Min | AggregateOp::Max if !matches!(ty, EvType::String | EvType::Bytes) => {
            expr
        }
        AggregateOp::Mean if ty == EvType::Time => Expr::Cast(Box::new(expr), EvType::Int64),
        _ => as_number(expr, scope),
    })
}

/// A value as a number; what cannot be read as one is skipped.
fn number(scope: &mut Scope, expr: Expr, ty: EvType, span: Span) -> Expr {
    match ty {
        EvType::Bool => Expr::Cast(Box::new(expr), EvType::Int64),
        EvType::String => Expr::Cast(Box::new(expr), EvType::Float64),
        EvType::Bytes => {
            let as_text = Expr::Call("to_text", vec![expr], EvType::String);
            Expr::Cast(Box::new(as_text), EvType::Float64)
        }
        EvType::Ipv4 | EvType::Ip | EvType::Mac | EvType::Time => {
            scope.warn(span, format!("{ty} values are no numbers: all are skipped"));
            Expr::Null(EvType::Int64)
        }
        _ => {
            debug_assert!(expr_type(&expr, scope).is_number() || ty == EvType::Duration);
            expr
        }
    }
}

/// The text form of a column.
pub(super) fn as_text(scope: &Scope, column: ColumnId) -> Expr {
    let expr = Expr::Column(column);
    match scope.ty(column) {
        EvType::String => expr,
        _ => Expr::Call("to_text", vec![expr], EvType::String),
    }
}
