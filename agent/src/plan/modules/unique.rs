//! unique, first and last: one entry per key.

use super::super::arguments::Args;
use super::super::pipeline::{Expr, Op, SortKey};
use super::super::registry::{FlagSpec, ModuleSpec, valued};
use super::super::report::Outcome;
use super::super::scope::{Scope, descending};
use super::math::MAXTRACKED;
use super::names;

const FLAGS: &[FlagSpec] = &[
    MAXTRACKED,
    valued("-maxsize", "megabytes", "accepted for compatibility"),
];

pub(super) static UNIQUE: ModuleSpec = ModuleSpec {
    summary: "keep the first entry of each combination of values (newest first unless sorted)",
    syntax: &["unique [EV...] [over DURATION]"],
    flags: FLAGS,
    reads: "the values named; none: DATA",
    makes: "nothing",
    example: "tag=pcap packet tcp.DstPort | unique DstPort over 1h | table DstPort",
    ..ModuleSpec::stage("unique", resolve_unique)
};

pub(super) static FIRST: ModuleSpec = ModuleSpec {
    summary: "keep the oldest entry of each key, or the first one where entries are sorted",
    syntax: &["first [EV...]"],
    flags: FLAGS,
    reads: "the keys named; none: one entry is kept",
    makes: "nothing",
    example: "tag=pcap packet ipv4.SrcIP | first SrcIP | table TIMESTAMP SrcIP",
    ..ModuleSpec::stage("first", resolve_first)
};

pub(super) static LAST: ModuleSpec = ModuleSpec {
    summary: "keep the newest entry of each key, or the last one where entries are sorted",
    syntax: &["last [EV...]"],
    flags: FLAGS,
    reads: "the keys named; none: one entry is kept",
    makes: "nothing",
    example: "tag=pcap packet ipv4.SrcIP | last SrcIP | table TIMESTAMP SrcIP",
    ..ModuleSpec::stage("last", resolve_last)
};

fn resolve_unique(args: &mut Args<'_>, scope: &mut Scope) -> Outcome {
    let names = names(args, &["over"]);
    let window_ns = args.take_over()?;
    args.finish()?;
    let keys = if names.is_empty() {
        vec![Expr::Column(scope.data())]
    } else {
        names
            .iter()
            .map(|name| Expr::Column(scope.lookup(name)))
            .collect()
    };
    let mut order = scope.order();
    let time = descending(scope.time());
    if window_ns.is_some() && !order.iter().any(|key| key.expr == time.expr) {
        // The window is one of time, which must not be pruned away.
        order.push(time);
    }
    distinct(scope, keys, window_ns, order);
    Ok(())
}

fn distinct(scope: &mut Scope, keys: Vec<Expr>, window_ns: Option<i64>, order: Vec<SortKey>) {
    scope.emit(Op::Distinct {
        keys,
        window_ns,
        order,
    });
    scope.sorted = false;
}

fn resolve_first(args: &mut Args<'_>, scope: &mut Scope) -> Outcome {
    ends(args, scope, true)
}

fn resolve_last(args: &mut Args<'_>, scope: &mut Scope) -> Outcome {
    ends(args, scope, false)
}

/// By time the first entry is the oldest one, whichever way entries flow.
fn ends(args: &mut Args<'_>, scope: &mut Scope, first: bool) -> Outcome {
    let names = names(args, &[]);
    args.finish()?;
    let keys: Vec<Expr> = names
        .iter()
        .map(|name| Expr::Column(scope.lookup(name)))
        .collect();
    let mut order = scope.order();
    let time = Expr::Column(scope.time());
    let by_time = order.first().is_none_or(|key| key.expr == time);
    let reversed = if by_time {
        order.first().is_some_and(|key| key.descending) == first
    } else {
        !first
    };
    if reversed {
        for key in &mut order {
            key.descending = !key.descending;
        }
    }
    if keys.is_empty() {
        scope.emit(Op::Sort(order.clone()));
        scope.emit(Op::Limit { skip: 0, fetch: 1 });
    } else {
        distinct(scope, keys, None, order);
    }
    Ok(())
}
