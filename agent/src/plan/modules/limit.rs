//! limit: keep the first entries, of all or of each key.

use super::super::arguments::Args;
use super::super::pipeline::Op;
use super::super::registry::ModuleSpec;
use super::super::report::{Outcome, error, hinted};
use super::super::scope::Scope;
use super::columns;

pub(super) static LIMIT: ModuleSpec = ModuleSpec {
    summary: "keep the first entries (newest first unless sorted)",
    syntax: &["limit N", "limit FIRST END", "limit N by EV..."],
    reads: "the order of entries",
    makes: "nothing",
    example: "tag=pcap packet tcp.Payload | limit 10 | table Payload",
    ..ModuleSpec::stage("limit", resolve)
};

fn resolve(args: &mut Args<'_>, scope: &mut Scope) -> Outcome {
    let first = number(args)?;
    if args.take_keyword("by") {
        let keys = columns(args, scope, "a key after by")?;
        let order = scope.order();
        scope.emit(Op::LimitBy {
            fetch: first,
            keys,
            order,
        });
        scope.sorted = false;
        return Ok(());
    }
    let (skip, fetch) = if args.is_empty() {
        (0, first)
    } else {
        let span = args.here();
        let end = number(args)?;
        if end <= first {
            return Err(hinted(
                error(span, format!("limit {first} {end} keeps nothing")),
                "limit FIRST END counts from 0, FIRST included, END excluded",
            ));
        }
        (first, end - first)
    };
    args.finish()?;
    scope.sort_now();
    scope.emit(Op::Limit { skip, fetch });
    Ok(())
}

/// A whole number of entries.
pub(super) fn number(args: &mut Args<'_>) -> Outcome<u64> {
    let word = args.word("a number of entries")?;
    word.value.parse().map_err(|_| {
        error(
            word.span,
            format!("'{}' is no number of entries", word.value),
        )
    })
}
