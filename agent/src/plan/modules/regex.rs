//! regex: named groups of a pattern become values.

use super::super::arguments::Args;
use super::super::filter::{predicate, take_condition};
use super::super::pipeline::{ColumnId, Expr, Op};
use super::super::registry::{ModuleSpec, flag, valued};
use super::super::report::{Outcome, error, hinted};
use super::super::scope::{Scope, text};
use super::grep::{filter, regex_match, searchable, source};
use crate::lang::ast::{CompareOp, Spanned, TokenKind};
use crate::types::EvType;

pub(super) static REGEX: ModuleSpec = ModuleSpec {
    summary: "keep entries that match, and make values of the named groups",
    syntax: &["regex [-e EV] [-v] [-p] [-a] \"PATTERN\" [GROUP [OP VALUE] [as NAME]]..."],
    flags: &[
        valued("-e", "a value", "look in this value instead of DATA"),
        flag("-v", "keep entries that do not match"),
        flag("-p", "let entries through that do not match"),
        flag(
            "-a",
            "all matches instead of the first: there are no arrays, so the texts of a group are joined by \", \"",
        ),
        valued(
            "-r",
            "a name",
            "pattern from a resource (there are no resources yet)",
        ),
    ],
    reads: "DATA or the value named",
    makes: "a value per named group (?P<name>...)",
    example: "tag=pcap packet tcp.Payload | regex -e Payload \"(?P<method>[A-Z]+) (?P<url>\\S+) HTTP\" | table method url",
    ..ModuleSpec::stage("regex", resolve)
};

fn resolve(args: &mut Args<'_>, scope: &mut Scope) -> Outcome {
    if let Some(resource) = args.value("-r") {
        scope.unavailable(
            resource.span,
            "a pattern cannot be read from a resource: there are no resources yet",
        )?;
    }
    let column = source(args, scope);
    let value = searchable(scope, column);
    if args.value("-r").is_some() {
        return Ok(());
    }
    let pattern = take_pattern(args)?;
    let regex = compile(&pattern)?;
    let groups: Vec<String> = regex.capture_names().flatten().map(str::to_owned).collect();
    let matched = regex_match(&value, pattern.value.clone());
    if args.has("-v") {
        args.finish()?;
        filter(scope, column, matched, true);
        return Ok(());
    }
    if !args.has("-p") {
        scope.emit(Op::Filter(matched));
    }
    let function = if args.has("-a") {
        warn_joined(scope, args);
        "regex_capture_all"
    } else {
        "regex_capture"
    };
    let capture = |group: &str| {
        Expr::Call(
            function,
            vec![value.clone(), text(pattern.value.clone()), text(group)],
            EvType::String,
        )
    };
    for group in &groups {
        scope.define(group.clone(), EvType::String, capture(group));
    }
    while !args.is_empty() {
        let name = args.word("a group of the pattern")?;
        let Some(group) = groups.iter().find(|g| **g == name.value) else {
            return Err(unknown_group(&name, &groups));
        };
        if let Some(condition) = take_condition(args)? {
            let column = scope.lookup(&name);
            let test = predicate(scope, &Expr::Column(column), EvType::String, &condition)?;
            scope.emit(Op::Filter(unless_absent(test, column, condition.op.value)));
        }
        if let Some(alias) = args.take_as()? {
            scope.define(alias.value, EvType::String, capture(group));
        }
    }
    Ok(())
}

/// The pattern. Where it is no text, all of it is matched with bytes.
fn take_pattern(args: &mut Args<'_>) -> Outcome<Spanned<String>> {
    if let Some(token) = args.peek_at(0)
        && let TokenKind::Bytes(bytes) = &token.kind
    {
        args.next();
        return Ok(Spanned {
            value: of_bytes(bytes),
            span: token.span,
        });
    }
    args.word("a pattern in quotes")
}

/// Bytes, given as a pattern, in the syntax of patterns.
fn of_bytes(bytes: &[u8]) -> String {
    let mut pattern = String::from("(?-u)");
    for chunk in bytes.utf8_chunks() {
        pattern.push_str(chunk.valid());
        for byte in chunk.invalid() {
            pattern.push_str(&format!("\\x{byte:02x}"));
        }
    }
    pattern
}

/// A test of a group; where it took no part in the match, `!=` and `!~` let the entry through.
fn unless_absent(test: Expr, group: ColumnId, op: CompareOp) -> Expr {
    match op {
        CompareOp::Ne | CompareOp::NotMatch => {
            let present = Expr::IsPresent(Box::new(Expr::Column(group)));
            Expr::Or(vec![Expr::Not(Box::new(present)), test])
        }
        _ => test,
    }
}

/// Says once what stands in for arrays.
fn warn_joined(scope: &mut Scope, args: &Args<'_>) {
    scope.hint_once(
        "regex -a",
        args.name.span,
        "regex -a makes one text of all matches of a group, joined by \", \"".to_owned(),
        "compare with ~ (contains), not with ==",
    );
}

fn compile(pattern: &Spanned<String>) -> Outcome<regex::bytes::Regex> {
    regex::bytes::Regex::new(&pattern.value).map_err(|problem| {
        // The last line says what is wrong; those before draw the pattern.
        let text = problem.to_string();
        let reason = text.lines().last().unwrap_or_default();
        let reason = reason.strip_prefix("error: ").unwrap_or(reason);
        hinted(
            error(
                pattern.span,
                format!("the pattern cannot be read: {reason}"),
            ),
            "patterns have the syntax of RE2: no look-around, no back-references",
        )
    })
}

fn unknown_group(name: &Spanned<String>, groups: &[String]) -> crate::lang::diagnostic::Diagnostic {
    let problem = error(
        name.span,
        format!("the pattern has no group named {}", name.value),
    );
    if groups.is_empty() {
        return hinted(problem, "a group is named by (?P<name>...)");
    }
    hinted(problem, format!("its groups are {}", groups.join(", ")))
}
