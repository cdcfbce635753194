//! length, diff, slice and time: values made of values.

use super::super::arguments::Args;
use super::super::filter::{predicate, take_condition};
use super::super::functions::number_kind;
use super::super::pipeline::{ArithmeticOp, ColumnId, Expr, Literal, Op};
use super::super::registry::{ModuleSpec, valued};
use super::super::report::{Outcome, error, hinted, nearest};
use super::super::scope::{Origin, Scope, text};
use super::names;
use crate::lang::ast::Spanned;
use crate::types::EvType;
use crate::zone::{self, Zone, ZoneError};

pub(super) static LENGTH: ModuleSpec = ModuleSpec {
    summary: "bytes of DATA or of a value",
    syntax: &["length [-t NAME] [EV]"],
    flags: &[valued("-t", "a name", "name of the value (length)")],
    reads: "DATA or the value named",
    makes: "length",
    example: "tag=pcap packet ipv4.SrcIP | length | sum length by SrcIP | table SrcIP sum",
    ..ModuleSpec::stage("length", resolve_length)
};

pub(super) static DIFF: ModuleSpec = ModuleSpec {
    summary: "difference of two values, or since the previous entry",
    syntax: &["diff A B [as NAME]", "diff A [by EV...] [as NAME]"],
    reads: "numbers, times or durations",
    makes: "diff, or the name given",
    example: "tag=pcap sort by time asc | packet ipv4.SrcIP | diff TIMESTAMP by SrcIP | table",
    ..ModuleSpec::stage("diff", resolve_diff)
};

pub(super) static SLICE: ModuleSpec = ModuleSpec {
    summary: "part of a value, also as a number",
    syntax: &[
        "slice EV[A:B] [as NAME]...",
        "slice TYPE(EV[A:B]) [OP VALUE] as NAME...",
    ],
    reads: "bytes or text; positions may be negative",
    makes: "the names given, else the value anew",
    example: "tag=pcap packet udp.Payload | slice uint16be(Payload[0:2]) as id | table id",
    ..ModuleSpec::stage("slice", resolve_slice)
};

pub(super) static TIME: ModuleSpec = ModuleSpec {
    summary: "text to time and back",
    syntax: &["time [-iformat LAYOUT] [-oformat LAYOUT] [-tz ZONE] SOURCE NAME"],
    flags: &[
        valued(
            "-iformat",
            "a Go layout",
            "how the text is written; a time without a day is one of 1970-01-01",
        ),
        valued("-oformat", "a Go layout", "how to write the time"),
        valued(
            "-tz",
            "a zone",
            "IANA time zone, such as Europe/Berlin, in which texts without an offset are read and times written (default UTC)",
        ),
    ],
    reads: "a text or a time",
    makes: "the name given",
    example: "tag=pcap packet ipv4.SrcIP | time -oformat \"15:04\" TIMESTAMP t | table t SrcIP",
    ..ModuleSpec::stage("time", resolve_time)
};

fn resolve_length(args: &mut Args<'_>, scope: &mut Scope) -> Outcome {
    let column = match args.take_word() {
        Some(name) => scope.lookup(&name),
        None => scope.data(),
    };
    args.finish()?;
    let name = args
        .value("-t")
        .map_or_else(|| "length".to_owned(), |name| name.value.clone());
    let call = Expr::Call("length", vec![Expr::Column(column)], EvType::Int64);
    scope.define(name, EvType::Int64, call);
    Ok(())
}

fn resolve_diff(args: &mut Args<'_>, scope: &mut Scope) -> Outcome {
    let first = args.word("a value")?;
    let value = scope.lookup(&first);
    let two = !args.is_empty() && !args.is_keyword(0, "by") && !args.is_keyword(0, "as");
    if two {
        let second = args.word("a second value")?;
        let other = scope.lookup(&second);
        let name = args.take_as()?.map_or_else(diff_name, |name| name.value);
        args.finish()?;
        let ty = difference_type(scope, value, &first)?;
        let other_ty = difference_type(scope, other, &second)?;
        if (ty == EvType::Duration) != (other_ty == EvType::Duration) {
            return Err(error(
                second.span,
                format!("{} and {} cannot be subtracted", first.value, second.value),
            ));
        }
        let result = if ty == EvType::Float64 || other_ty == EvType::Float64 {
            EvType::Float64
        } else {
            ty
        };
        let difference = Expr::Arithmetic(
            ArithmeticOp::Subtract,
            Box::new(as_number(scope, value)),
            Box::new(as_number(scope, other)),
        );
        let difference = match result {
            EvType::Duration => Expr::Cast(Box::new(difference), EvType::Duration),
            _ => difference,
        };
        scope.define(name, result, difference);
        return Ok(());
    }
    let keys = if args.take_keyword("by") {
        names(args, &["as"])
    } else {
        Vec::new()
    };
    let name = args.take_as()?.map_or_else(diff_name, |name| name.value);
    args.finish()?;
    let ty = difference_type(scope, value, &first)?;
    let value = numeric_column(scope, value);
    let keys: Vec<ColumnId> = keys.iter().map(|key| scope.lookup(key)).collect();
    let order = scope.order();
    let output = scope.column(name.clone(), ty, None);
    scope.emit(Op::Difference {
        output,
        value,
        keys,
        order,
    });
    scope.bind(name, output, Origin::Made);
    scope.sorted = false;
    Ok(())
}

fn diff_name() -> String {
    "diff".to_owned()
}

fn difference_type(scope: &Scope, column: ColumnId, name: &Spanned<String>) -> Outcome<EvType> {
    match scope.ty(column) {
        EvType::Time | EvType::Duration => Ok(EvType::Duration),
        EvType::Float64 | EvType::String => Ok(EvType::Float64),
        ty if ty.is_integer() => Ok(EvType::Int64),
        ty => Err(error(
            name.span,
            format!("'{}' has type {ty}: it has no difference", name.value),
        )),
    }
}

fn as_number(scope: &Scope, column: ColumnId) -> Expr {
    let value = Expr::Column(column);
    match scope.ty(column) {
        EvType::Time | EvType::Duration => Expr::Cast(Box::new(value), EvType::Int64),
        EvType::String => Expr::Cast(Box::new(value), EvType::Float64),
        _ => value,
    }
}

/// A text is read as a number before it is subtracted.
fn numeric_column(scope: &mut Scope, column: ColumnId) -> ColumnId {
    if scope.ty(column) != EvType::String {
        return column;
    }
    let value = as_number(scope, column);
    let number = scope.column("", EvType::Float64, None);
    scope.emit(Op::Assign(vec![(number, value)]));
    number
}

fn resolve_slice(args: &mut Args<'_>, scope: &mut Scope) -> Outcome {
    if args.is_empty() {
        return Err(args.unexpected("expected a part such as Payload[0:4]"));
    }
    while !args.is_empty() {
        let mut name = args.word("a value or a type")?;
        let kind = if args.take_punct('(') {
            let kind = std::mem::replace(&mut name, args.word("a value")?);
            Some(kind)
        } else {
            None
        };
        let column = scope.lookup(&name);
        let (start, end) = range(args)?;
        if kind.is_some() {
            args.expect_punct(')')?;
        }
        let (value, ty) = part(scope, column, start, end, kind.as_ref())?;
        let condition = take_condition(args)?;
        let target = args.take_as()?.unwrap_or(name);
        let made = scope.define(target.value, ty, value);
        if let Some(condition) = condition {
            let test = predicate(scope, &Expr::Column(made), ty, &condition)?;
            scope.emit(Op::Filter(test));
        }
    }
    Ok(())
}

/// `[a:b]`, `[a:]`, `[:b]`, `[a]`.
fn range(args: &mut Args<'_>) -> Outcome<(i64, Option<i64>)> {
    args.expect_punct('[')?;
    let start = if args.is_punct(0, ':') {
        0
    } else {
        position(args)?
    };
    let end = if !args.take_punct(':') {
        // The last byte has no position after it that could be written.
        (start != -1).then_some(start.saturating_add(1))
    } else if args.is_punct(0, ']') {
        None
    } else {
        Some(position(args)?)
    };
    args.expect_punct(']')?;
    Ok((start, end))
}

fn position(args: &mut Args<'_>) -> Outcome<i64> {
    let word = args.word("a position")?;
    word.value
        .parse()
        .map_err(|_| error(word.span, format!("'{}' is no position", word.value)))
}

/// Part of a value as a type; the type of the value itself without one.
fn part(
    scope: &Scope,
    column: ColumnId,
    start: i64,
    end: Option<i64>,
    kind: Option<&Spanned<String>>,
) -> Outcome<(Expr, EvType)> {
    let ty = scope.ty(column);
    let value = super::grep::searchable(scope, column);
    let sliced_ty = if ty == EvType::Bytes {
        ty
    } else {
        EvType::String
    };
    let end = end.map_or(Expr::Null(EvType::Int64), |end| {
        Expr::Literal(Literal::Int(end))
    });
    let sliced = |value| {
        Expr::Call(
            "slice",
            vec![value, Expr::Literal(Literal::Int(start)), end],
            sliced_ty,
        )
    };
    let Some(kind) = kind else {
        return Ok((sliced(value), sliced_ty));
    };
    if kind.value.eq_ignore_ascii_case("string") {
        let text = Expr::Call("to_text", vec![sliced(value)], EvType::String);
        return Ok((text, EvType::String));
    }
    let Some((_, number)) = number_kind(&kind.value) else {
        return Err(hinted(
            error(kind.span, format!("slice has no type {}", kind.value)),
            "types: byte, (u)int16/32/64 with le or be, float32, float64, string, IPv4, IPv6",
        ));
    };
    if ty != EvType::Bytes && scope.origin_of(column) != Some(Origin::Unknown) {
        return Err(error(
            kind.span,
            format!("numbers are read from bytes, this has type {ty}"),
        ));
    }
    let call = Expr::Call(
        "read_number",
        vec![sliced(value), text(kind.value.to_ascii_lowercase())],
        number,
    );
    Ok((call, number))
}

fn resolve_time(args: &mut Args<'_>, scope: &mut Scope) -> Outcome {
    let source = args.word("a text or a time")?;
    let target = args.word("a name for the result")?;
    args.finish()?;
    let zone = args.value("-tz");
    if let Some(zone) = zone {
        check_zone(zone)?;
    }
    let call = |function, value, layout: &str, ty| {
        let layout = args
            .value(layout)
            .map_or("", |layout| layout.value.as_str());
        let mut arguments = vec![value, text(layout)];
        arguments.extend(zone.map(|zone| text(zone.value.as_str())));
        Expr::Call(function, arguments, ty)
    };
    let column = scope.lookup(&source);
    let time = match scope.ty(column) {
        EvType::Time => Expr::Column(column),
        EvType::String => call("parse_time", Expr::Column(column), "-iformat", EvType::Time),
        EvType::Bytes => {
            let text = Expr::Call("to_text", vec![Expr::Column(column)], EvType::String);
            call("parse_time", text, "-iformat", EvType::Time)
        }
        ty => {
            return Err(error(
                source.span,
                format!("'{}' has type {ty}, neither text nor time", source.value),
            ));
        }
    };
    let write = args.value("-oformat").is_some() || scope.ty(column) == EvType::Time;
    if write {
        let text = call("format_time", time, "-oformat", EvType::String);
        scope.define(target.value, EvType::String, text);
    } else {
        scope.define(target.value, EvType::Time, time);
    }
    Ok(())
}

/// Whether the system knows a time zone, and what may be meant if not.
fn check_zone(name: &Spanned<String>) -> Outcome {
    let Err(problem) = Zone::find(&name.value) else {
        return Ok(());
    };
    let unknown = matches!(problem, ZoneError::Unknown(_));
    let problem = error(name.span, problem.to_string());
    if !unknown {
        return Err(problem);
    }
    let names = zone::names();
    // People write the city.
    let city = names.iter().map(String::as_str).find(|zone| {
        zone.rsplit('/')
            .next()
            .is_some_and(|city| city.eq_ignore_ascii_case(&name.value))
    });
    let near = city.or_else(|| nearest(&name.value, names.iter().map(String::as_str)));
    Err(match near {
        Some(near) => hinted(problem, format!("did you mean {near}?")),
        None => hinted(
            problem,
            "zones have IANA names: Europe/Berlin, America/New_York",
        ),
    })
}
