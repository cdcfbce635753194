//! ip and subnet: addresses.

use super::super::arguments::Args;
use super::super::filter::{predicate, take_condition};
use super::super::pipeline::{ColumnId, Expr, Literal, Op, Subnet};
use super::super::registry::{ModuleSpec, flag, valued};
use super::super::report::{Outcome, error, hinted};
use super::super::scope::Scope;
use crate::lang::ast::Spanned;
use crate::types::EvType;

pub(super) static IP: ModuleSpec = ModuleSpec {
    summary: "filter by addresses, and read texts as addresses",
    syntax: &["ip [-or] [-categorize] EV [OP VALUE] [as NAME]..."],
    flags: &[
        flag("-or", "one filter that passes is enough"),
        flag(
            "-categorize",
            "make EV_category: PRIVATE, PUBLIC or MULTICAST",
        ),
    ],
    reads: "the values named",
    makes: "the values as addresses",
    example: "tag=pcap packet ipv4.SrcIP | ip SrcIP ~ PRIVATE | count by SrcIP | table",
    ..ModuleSpec::stage("ip", resolve_ip)
};

pub(super) static SUBNET: ModuleSpec = ModuleSpec {
    summary: "the network of an address",
    syntax: &[
        "subnet [-4|-6] EV /LENGTH [as NAME]...",
        "subnet -t NAME EV /LENGTH",
    ],
    flags: &[
        flag("-4", "IPv4 addresses only"),
        flag("-6", "IPv6 addresses only"),
        valued("-t", "a name", "name of the value (older form of as)"),
    ],
    reads: "addresses",
    makes: "subnet, or the names given",
    example: "tag=pcap packet ipv4.SrcIP | subnet SrcIP /24 | count by subnet | table subnet count",
    ..ModuleSpec::stage("subnet", resolve_subnet)
};

pub(super) static SRC: ModuleSpec = ModuleSpec {
    summary: "filter by where an entry was captured",
    syntax: &["src OP ADDRESS"],
    reads: "SRC",
    makes: "nothing",
    example: "tag=pcap src ~ 192.168.1.0/24 | count by SRC | chart count by SRC",
    ..ModuleSpec::stage("src", resolve_src)
};

/// IPv4 addresses within the 16-byte form (RFC 4291, 2.5.5.2).
const IPV4_MAPPED: Subnet = Subnet {
    network: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0],
    prefix: 96,
};

fn resolve_ip(args: &mut Args<'_>, scope: &mut Scope) -> Outcome {
    let mut tests = Vec::new();
    let mut any_value = false;
    while !args.is_empty() {
        any_value = true;
        let name = args.word("an address value")?;
        let column = scope.lookup(&name);
        let condition = take_condition(args)?;
        let alias = args.take_as()?;
        let (value, ty) = address(scope, column, &name)?;
        if let Some(condition) = condition {
            tests.push(predicate(scope, &value, ty, &condition)?);
        }
        let target = alias.map(|alias| alias.value);
        if target.is_some() || value != Expr::Column(column) {
            scope.define(
                target.clone().unwrap_or_else(|| name.value.clone()),
                ty,
                value.clone(),
            );
        }
        if args.has("-categorize") {
            let category = format!("{}_category", target.unwrap_or(name.value));
            let call = Expr::Call("ip_category", vec![value], EvType::String);
            scope.define(category, EvType::String, call);
        }
    }
    if !any_value {
        return Err(args.unexpected("expected an address value"));
    }
    if args.has("-or") && tests.len() > 1 {
        scope.emit(Op::Filter(Expr::Or(tests)));
    } else {
        for test in tests {
            scope.emit(Op::Filter(test));
        }
    }
    Ok(())
}

/// A value as an address.
fn address(scope: &Scope, column: ColumnId, name: &Spanned<String>) -> Outcome<(Expr, EvType)> {
    let value = Expr::Column(column);
    match scope.ty(column) {
        ty @ (EvType::Ip | EvType::Ipv4) => Ok((value, ty)),
        EvType::String => Ok((Expr::Call("to_ip", vec![value], EvType::Ip), EvType::Ip)),
        EvType::Bytes => {
            let text = Expr::Call("to_text", vec![value], EvType::String);
            Ok((Expr::Call("to_ip", vec![text], EvType::Ip), EvType::Ip))
        }
        ty => Err(error(
            name.span,
            format!("'{}' has type {ty}, not an address", name.value),
        )),
    }
}

fn resolve_src(args: &mut Args<'_>, scope: &mut Scope) -> Outcome {
    let name = Spanned {
        value: "SRC".to_owned(),
        span: args.name.span,
    };
    let column = scope.lookup(&name);
    let Some(condition) = take_condition(args)? else {
        return Err(args.unexpected("expected an operator and an address"));
    };
    args.finish()?;
    let test = predicate(scope, &Expr::Column(column), EvType::Ip, &condition)?;
    scope.emit(Op::Filter(test));
    Ok(())
}

fn resolve_subnet(args: &mut Args<'_>, scope: &mut Scope) -> Outcome {
    let old_name = args.value("-t").cloned();
    if let Some(name) = &old_name {
        scope.warn_hint(
            name.span,
            "subnet -t is the older form",
            format!("write 'subnet EV /LENGTH as {}'", name.value),
        );
    }
    loop {
        let name = args.word("an address value")?;
        let column = scope.lookup(&name);
        let (value, ty) = address(scope, column, &name)?;
        let length = prefix_length(args, ty)?;
        let alias = args.take_as()?.or_else(|| old_name.clone());
        let target = alias.map_or_else(|| "subnet".to_owned(), |alias| alias.value);
        let network = Expr::Call(
            "subnet",
            vec![value.clone(), Expr::Literal(Literal::Int(length))],
            ty,
        );
        let is_v4 = Expr::InSubnet(Box::new(value), vec![IPV4_MAPPED]);
        let network = match (args.has("-4"), args.has("-6")) {
            (true, false) => only_if(is_v4, network, ty),
            (false, true) => only_if(Expr::Not(Box::new(is_v4)), network, ty),
            _ => network,
        };
        scope.define(target, ty, network);
        if args.is_empty() {
            return Ok(());
        }
    }
}

fn only_if(condition: Expr, value: Expr, ty: EvType) -> Expr {
    Expr::Case(vec![(condition, value)], Box::new(Expr::Null(ty)))
}

/// `/24`, also with a space after the slash or without it.
fn prefix_length(args: &mut Args<'_>, ty: EvType) -> Outcome<i64> {
    args.take_punct('/');
    let word = args.word("a prefix length such as /24")?;
    let digits = word.value.strip_prefix('/').unwrap_or(&word.value);
    let max = if ty == EvType::Ipv4 { 32 } else { 128 };
    match digits.parse::<i64>() {
        Ok(length) if (0..=max).contains(&length) => Ok(length),
        _ => Err(hinted(
            error(word.span, format!("'{}' is no prefix length", word.value)),
            format!("it is written as /24 and goes up to /{max}"),
        )),
    }
}
