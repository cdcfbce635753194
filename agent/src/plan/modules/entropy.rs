//! entropy: how random bytes look.

use super::super::arguments::Args;
use super::super::pipeline::AggregateOp;
use super::super::registry::ModuleSpec;
use super::super::report::Outcome;
use super::super::scope::Scope;
use super::math::{MAXTRACKED, single};

pub(super) static ENTROPY: ModuleSpec = ModuleSpec {
    condenses: true,
    summary: "entropy of the bytes of a value, 0 to 1, per window and key",
    syntax: &["entropy [EV] [by EV...] [over DURATION]"],
    flags: &[MAXTRACKED],
    reads: "one value (none: DATA) and the keys",
    makes: "entropy",
    example: "tag=pcap packet tcp.Port tcp.Payload | entropy Payload by Port | chart entropy by Port",
    ..ModuleSpec::stage("entropy", resolve)
};

fn resolve(args: &mut Args<'_>, scope: &mut Scope) -> Outcome {
    let name = args.name.clone();
    single(args, scope, AggregateOp::Entropy, name)
}
