//! alias and keep: which values there are.

use super::super::arguments::Args;
use super::super::pipeline::{Expr, Op};
use super::super::registry::ModuleSpec;
use super::super::report::Outcome;
use super::super::scope::{Origin, Scope};
use super::names;

pub(super) static ALIAS: ModuleSpec = ModuleSpec {
    summary: "give a value a second name",
    syntax: &["alias EV NAME [EV NAME]..."],
    reads: "the values named",
    makes: "the names given",
    example: "tag=pcap packet ipv4.SrcIP | alias SrcIP host | table host",
    ..ModuleSpec::stage("alias", resolve_alias)
};

pub(super) static KEEP: ModuleSpec = ModuleSpec {
    summary: "forget all values but these",
    syntax: &["keep EV..."],
    reads: "the values named",
    makes: "nothing",
    example: "tag=pcap packet ipv4.SrcIP ipv4.DstIP | keep DstIP | table",
    ..ModuleSpec::stage("keep", resolve_keep)
};

fn resolve_alias(args: &mut Args<'_>, scope: &mut Scope) -> Outcome {
    loop {
        let from = args.word("a value")?;
        let to = args.word("its new name")?;
        let source = scope.lookup(&from);
        // The way in which the value was made goes with it: a chart still knows how to merge it.
        let column = scope.column(to.value.clone(), scope.ty(source), scope.lineage(source));
        scope.emit(Op::Assign(vec![(column, Expr::Column(source))]));
        let origin = match scope.origin_of(source) {
            Some(Origin::Key) => Origin::Key,
            _ => Origin::Made,
        };
        scope.bind(to.value, column, origin);
        if args.is_empty() {
            return Ok(());
        }
    }
}

fn resolve_keep(args: &mut Args<'_>, scope: &mut Scope) -> Outcome {
    let names = names(args, &[]);
    if names.is_empty() {
        return Err(args.unexpected("expected a value to keep"));
    }
    args.finish()?;
    let kept: Vec<_> = names.iter().map(|name| scope.lookup(name)).collect();
    let visible = scope
        .visible()
        .iter()
        .filter(|v| v.origin == Origin::Intrinsic || kept.contains(&v.column))
        .cloned()
        .map(|mut value| {
            if value.origin == Origin::Carried {
                value.origin = Origin::Made;
            }
            value
        })
        .collect();
    scope.replace_visible(visible);
    Ok(())
}
