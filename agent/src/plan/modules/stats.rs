//! stats: several operations, each with its own keys.

use super::super::arguments::Args;
use super::super::condense::{Request, aggregate};
use super::super::pipeline::AggregateOp;
use super::super::registry::{ModuleSpec, flag};
use super::super::report::{Outcome, error, hinted, nearest};
use super::super::scope::Scope;
use super::math::{MAXTRACKED, look_up_keys, operation, value};
use crate::lang::ast::{Spanned, TokenKind};

pub(super) static STATS: ModuleSpec = ModuleSpec {
    condenses: true,
    summary: "several operations at once, each with its own name and keys",
    syntax: &[
        "stats OP[(EV)] [as NAME] [by EV...] ... [over DURATION]",
        "OP: count sum total mean stddev variance min max unique_count",
    ],
    flags: &[
        MAXTRACKED,
        flag(
            "-b",
            "accepted for compatibility: DATA is never overwritten",
        ),
    ],
    reads: "the values and keys named",
    makes: "a value per operation, named after it or as given",
    example: "tag=pcap packet tcp.Port | length | stats sum(length) count by Port | table Port count sum",
    ..ModuleSpec::stage("stats", resolve)
};

const OPERATIONS: [&str; 9] = [
    "count",
    "sum",
    "total",
    "mean",
    "stddev",
    "variance",
    "min",
    "max",
    "unique_count",
];

/// One operation as written.
struct Written {
    op: AggregateOp,
    name: Spanned<String>,
    source: Option<Spanned<String>>,
    alias: Option<Spanned<String>>,
    keys: Vec<Spanned<String>>,
}

fn resolve(args: &mut Args<'_>, scope: &mut Scope) -> Outcome {
    let mut written = Vec::new();
    let mut over = None;
    while !args.is_empty() {
        let span = args.here();
        if let Some(window) = args.take_over()? {
            over = Some((window, span));
            if !args.is_empty() {
                return Err(hinted(
                    error(span, "over must be last: it holds for all operations"),
                    "move 'over DURATION' to the end of the stage",
                ));
            }
            break;
        }
        written.push(read_operation(args, scope)?);
    }
    let Some((last, others)) = written.split_last_mut() else {
        return Err(args.unexpected("expected an operation such as count or sum(Length)"));
    };
    // Keys behind the last operation only are meant for all of them.
    if others.iter().all(|w| w.keys.is_empty()) {
        for other in others {
            other.keys.clone_from(&last.keys);
        }
    }
    let mut requests = Vec::new();
    for w in written {
        let value = value(scope, w.op, w.source.as_ref(), w.name.span);
        let keys = look_up_keys(scope, w.op, &w.keys);
        let name = match w.alias {
            Some(alias) => alias.value,
            None => w.name.value.to_ascii_lowercase(),
        };
        requests.push(Request {
            op: w.op,
            value,
            name,
            span: w.name.span,
            keys,
        });
    }
    aggregate(scope, "stats", requests, over);
    Ok(())
}

fn read_operation(args: &mut Args<'_>, scope: &Scope) -> Outcome<Written> {
    let name = args.word("an operation such as count or sum(Length)")?;
    let Some(op) = operation(&name.value) else {
        let problem = error(name.span, format!("stats has no operation {}", name.value));
        return Err(match nearest(&name.value, OPERATIONS) {
            Some(near) => hinted(problem, format!("did you mean {near}?")),
            None => hinted(problem, format!("operations: {}", OPERATIONS.join(" "))),
        });
    };
    let mut source = None;
    if args.take_punct('(') {
        source = args.take_word();
        args.expect_punct(')')?;
    }
    let alias = args.take_as()?;
    let mut keys = Vec::new();
    if args.take_keyword("by") {
        keys.push(args.word("a key after by")?);
        while !args.is_keyword(0, "over") && !starts_operation(args, scope) {
            match args.take_word() {
                Some(key) => keys.push(key),
                None => break,
            }
        }
    }
    Ok(Written {
        op,
        name,
        source,
        alias,
        keys,
    })
}

/// Whether a by-list ends here. A bare operation name is a key if such a value exists.
fn starts_operation(args: &Args<'_>, scope: &Scope) -> bool {
    let Some(TokenKind::Word(word)) = args.peek_at(0).map(|t| &t.kind) else {
        return false;
    };
    operation(word).is_some()
        && (args.is_punct(1, '(')
            || args.is_keyword(1, "as")
            || args.is_keyword(1, "by")
            || !scope.is_value(word))
}
