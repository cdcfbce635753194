//! upper, lower, concat, hexlify, printf and abs: small helpers for text and numbers.

use super::super::arguments::Args;
use super::super::pipeline::Expr;
use super::super::registry::{ModuleSpec, flag, valued};
use super::super::report::{Outcome, error};
use super::super::scope::{Scope, text};
use super::math::as_text;
use super::names;
use crate::types::EvType;

pub(super) static UPPER: ModuleSpec = ModuleSpec {
    summary: "a text in upper case",
    syntax: &["upper EV [as NAME]..."],
    reads: "the values named",
    makes: "the values anew, or the names given",
    example: "tag=pcap packet dot11info.SSID | upper SSID | count by SSID | table",
    ..ModuleSpec::stage("upper", resolve_upper)
};

pub(super) static LOWER: ModuleSpec = ModuleSpec {
    summary: "a text in lower case",
    syntax: &["lower EV [as NAME]..."],
    reads: "the values named",
    makes: "the values anew, or the names given",
    example: "tag=pcap packet dot11info.SSID | lower SSID | count by SSID | table",
    ..ModuleSpec::stage("lower", resolve_lower)
};

pub(super) static HEXLIFY: ModuleSpec = ModuleSpec {
    summary: "bytes as hex digits and back",
    syntax: &["hexlify [-d] EV [as NAME]..."],
    flags: &[flag("-d", "decode")],
    reads: "the values named",
    makes: "the values anew, or the names given",
    example: "tag=pcap packet udp.Payload | hexlify Payload | table Payload",
    ..ModuleSpec::stage("hexlify", resolve_hexlify)
};

pub(super) static CONCAT: ModuleSpec = ModuleSpec {
    aliases: &["join"],
    summary: "several values as one text",
    syntax: &["concat [-s SEPARATOR] EV... as NAME"],
    flags: &[valued("-s", "a separator", "between the values")],
    reads: "the values named",
    makes: "the name given",
    example: "tag=pcap packet ipv4.SrcIP tcp.SrcPort | concat -s : SrcIP SrcPort as peer | table peer",
    ..ModuleSpec::stage("concat", resolve_concat)
};

pub(super) static PRINTF: ModuleSpec = ModuleSpec {
    summary: "a text by a format",
    syntax: &["printf [-e NAME] \"FORMAT\" EV..."],
    flags: &[valued("-e", "a name", "name of the text (printf)")],
    reads: "the values named",
    makes: "printf, or the name given",
    example: "tag=pcap packet ipv4.SrcIP tcp.SrcPort | printf \"%v:%v\" SrcIP SrcPort | table printf",
    ..ModuleSpec::stage("printf", resolve_printf)
};

pub(super) static ABS: ModuleSpec = ModuleSpec {
    summary: "absolute value of a number",
    syntax: &["abs EV [as NAME]..."],
    reads: "the values named",
    makes: "the values anew, or the names given",
    example: "tag=pcap packet ipv4.Length | diff Length | abs diff | table diff",
    ..ModuleSpec::stage("abs", resolve_abs)
};

fn resolve_upper(args: &mut Args<'_>, scope: &mut Scope) -> Outcome {
    each(args, scope, "strings_to_upper", EvType::String)
}

fn resolve_lower(args: &mut Args<'_>, scope: &mut Scope) -> Outcome {
    each(args, scope, "strings_to_lower", EvType::String)
}

fn resolve_hexlify(args: &mut Args<'_>, scope: &mut Scope) -> Outcome {
    if args.has("-d") {
        each(args, scope, "hex_decode", EvType::Bytes)
    } else {
        each(args, scope, "hex_encode", EvType::String)
    }
}

fn resolve_abs(args: &mut Args<'_>, scope: &mut Scope) -> Outcome {
    each(args, scope, "math_abs", EvType::Float64)
}

/// One function over each value: `EV [as NAME]...`.
fn each(args: &mut Args<'_>, scope: &mut Scope, function: &'static str, ty: EvType) -> Outcome {
    loop {
        let name = args.word("a value")?;
        let column = scope.lookup(&name);
        let value = Expr::Column(column);
        let from = scope.ty(column);
        let value = match function {
            "hex_encode" => value,
            "math_abs" if from.is_number() => value,
            "math_abs" if from == EvType::String => Expr::Cast(Box::new(value), EvType::Float64),
            "math_abs" => {
                return Err(error(
                    name.span,
                    format!("'{}' has type {from}, not a number", name.value),
                ));
            }
            _ => as_text(scope, column),
        };
        let target = args.take_as()?.unwrap_or(name);
        scope.define(target.value, ty, Expr::Call(function, vec![value], ty));
        if args.is_empty() {
            return Ok(());
        }
    }
}

fn resolve_concat(args: &mut Args<'_>, scope: &mut Scope) -> Outcome {
    let values = names(args, &["as"]);
    let Some(target) = args.take_as()? else {
        return Err(args.unexpected("expected 'as NAME'"));
    };
    args.finish()?;
    let separator = args.value("-s").map_or("", |s| s.value.as_str());
    let format = vec!["%v"; values.len()].join(&separator.replace('%', "%%"));
    let mut parts = vec![text(format)];
    for value in &values {
        let column = scope.lookup(value);
        parts.push(Expr::Column(column));
    }
    let call = Expr::Call("printf", parts, EvType::String);
    scope.define(target.value, EvType::String, call);
    Ok(())
}

fn resolve_printf(args: &mut Args<'_>, scope: &mut Scope) -> Outcome {
    let format = args.word("a format in quotes")?;
    let values = names(args, &[]);
    args.finish()?;
    let mut parts = vec![text(format.value)];
    for value in &values {
        parts.push(Expr::Column(scope.lookup(value)));
    }
    let name = args
        .value("-e")
        .map_or_else(|| "printf".to_owned(), |name| name.value.clone());
    let call = Expr::Call("printf", parts, EvType::String);
    scope.define(name, EvType::String, call);
    Ok(())
}
