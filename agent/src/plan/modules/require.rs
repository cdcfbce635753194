//! require: keep entries that have values.

use super::super::arguments::Args;
use super::super::pipeline::{Expr, Op};
use super::super::registry::{ModuleSpec, flag};
use super::super::report::Outcome;
use super::super::scope::Scope;
use super::columns;

pub(super) static REQUIRE: ModuleSpec = ModuleSpec {
    summary: "keep entries that have at least one of the values",
    syntax: &["require [-s] [-v] EV..."],
    flags: &[
        flag("-s", "keep only entries that have all of them"),
        flag("-v", "drop entries that have any of them"),
    ],
    reads: "the values named",
    makes: "nothing",
    example: "tag=pcap packet tcp.SrcPort | require SrcPort | count by SrcPort | table SrcPort count",
    ..ModuleSpec::stage("require", resolve)
};

fn resolve(args: &mut Args<'_>, scope: &mut Scope) -> Outcome {
    let (all, invert) = (args.has("-s"), args.has("-v"));
    let columns = columns(args, scope, "a value to require")?;
    scope.optional_fields.retain(|name| {
        // Required alone or strictly, a value is never absent from here on.
        let required = |column| scope.columns.get(column as usize).map(|c| c.name == *name);
        invert
            || !(all || columns.len() == 1)
            || !columns.iter().any(|c| required(c.0) == Some(true))
    });
    let mut present: Vec<Expr> = columns
        .into_iter()
        .map(|column| Expr::IsPresent(Box::new(Expr::Column(column))))
        .collect();
    let any = match (present.len(), all && !invert) {
        (1, _) => present.swap_remove(0),
        (_, true) => Expr::And(present),
        (_, false) => Expr::Or(present),
    };
    scope.emit(Op::Filter(if invert {
        Expr::Not(Box::new(any))
    } else {
        any
    }));
    Ok(())
}
