//! Comparisons of eval: operands are brought to one type first.

use super::super::super::arguments::op_text;
use super::super::super::filter::{comparison, parse_mac};
use super::super::super::networks::parse_networks;
use super::super::super::pipeline::{Comparison, Expr, Literal};
use super::super::super::report::{Outcome, error, hinted};
use super::expression::{number, text_of};
use super::{Eval, Typed};
use crate::lang::ast::{CompareOp, EvalExpr, Spanned};
use crate::lang::diagnostic::Span;
use crate::lang::time::{Instant, parse_duration_ns, parse_instant};
use crate::types::EvType;

impl Eval<'_> {
    /// `a op b`.
    pub(super) fn compare(
        &mut self,
        op: CompareOp,
        left: &Spanned<EvalExpr>,
        right: &Spanned<EvalExpr>,
        span: Span,
    ) -> Outcome<Typed> {
        let a = self.expression(&left.value, left.span)?;
        let b = self.expression(&right.value, right.span)?;
        let Some(comparison) = comparison(op) else {
            let test = contains(a, b, right.span)?;
            return Ok(boolean(if op == CompareOp::NotMatch {
                Expr::Not(Box::new(test))
            } else {
                test
            }));
        };
        self.compare_typed(comparison, op, (a, left.span), (b, right.span), span)
    }

    /// Comparison of typed operands.
    fn compare_typed(
        &mut self,
        comparison: Comparison,
        op: CompareOp,
        (a, a_span): (Typed, Span),
        (b, b_span): (Typed, Span),
        span: Span,
    ) -> Outcome<Typed> {
        let Some(target) = target(a.ty, b.ty) else {
            return Err(error(
                span,
                format!("{} and {} values cannot be compared", a.ty, b.ty),
            ));
        };
        let equality = matches!(comparison, Comparison::Eq | Comparison::Ne);
        if !equality && matches!(target, EvType::Ip | EvType::Mac | EvType::Bool) {
            return Err(hinted(
                error(
                    span,
                    format!("{} is not allowed for {target} values", op_text(op)),
                ),
                "use == or !=, or ip_in_cidr(address, \"10.0.0.0/8\")",
            ));
        }
        let (Some(a), Some(b)) = (promote(a, target, a_span)?, promote(b, target, b_span)?) else {
            self.scope.warn(
                span,
                format!("one side is no value of type {target}: this never holds"),
            );
            return Ok(boolean(Expr::Literal(Literal::Bool(false))));
        };
        Ok(boolean(Expr::Compare(comparison, Box::new(a), Box::new(b))))
    }

    /// Equality of two values, for `in`.
    pub(super) fn equal(
        &mut self,
        a: (Typed, Span),
        b: (Typed, Span),
        span: Span,
    ) -> Outcome<Expr> {
        self.compare_typed(Comparison::Eq, CompareOp::Eq, a, b, span)
            .map(|typed| typed.expr)
    }
}

fn boolean(expr: Expr) -> Typed {
    Typed::new(expr, EvType::Bool)
}

/// The type in which two values are compared: addresses first, then times, numbers, text.
fn target(a: EvType, b: EvType) -> Option<EvType> {
    let either = |ty: EvType| a == ty || b == ty;
    let textual = |ty: EvType| matches!(ty, EvType::String | EvType::Bytes);
    let other = |ty: EvType| if a == ty { b } else { a };
    if a.is_ip() || b.is_ip() {
        let other = if a.is_ip() { b } else { a };
        return (other.is_ip() || textual(other)).then_some(EvType::Ip);
    }
    for ty in [EvType::Mac, EvType::Time, EvType::Duration] {
        if either(ty) {
            let other = other(ty);
            return if other == ty || textual(other) {
                Some(ty)
            } else if other.is_number() && ty != EvType::Mac {
                Some(EvType::Float64)
            } else {
                None
            };
        }
    }
    if a == EvType::Bool && b == EvType::Bool {
        Some(EvType::Bool)
    } else if either(EvType::Float64) || a.is_integer() || b.is_integer() {
        Some(EvType::Float64)
    } else if either(EvType::Bool) {
        None
    } else if either(EvType::Bytes) {
        Some(EvType::Bytes)
    } else {
        Some(EvType::String)
    }
}

/// A value in the type of the comparison; `None` for a constant that is none.
fn promote(value: Typed, target: EvType, span: Span) -> Outcome<Option<Expr>> {
    let constant = match &value.expr {
        Expr::Literal(Literal::String(text)) => Some(text.clone()),
        _ => None,
    };
    let call = |name: &'static str, mut args: Vec<Expr>, value: Typed| {
        args.insert(0, text_of(value).expr);
        Some(Expr::Call(name, args, target))
    };
    Ok(match (target, constant) {
        (EvType::Ip, _) if value.ty.is_ip() => Some(value.expr),
        (EvType::Ip, Some(text)) => match parse_networks(&text) {
            Some(networks) if text.parse::<std::net::IpAddr>().is_ok() => networks
                .first()
                .map(|network| Expr::Literal(Literal::Ip(network.network))),
            _ => None,
        },
        (EvType::Ip, None) => call("to_ip", Vec::new(), value),
        (ty, _) if ty == value.ty => Some(value.expr),
        (EvType::Mac, Some(text)) => {
            parse_mac(&text).map(|address| Expr::Literal(Literal::Mac(address)))
        }
        (EvType::Mac, None) => call("to_mac", Vec::new(), value),
        (EvType::Time, Some(text)) => match parse_instant(&text) {
            Ok(Instant::Absolute(time)) => Some(Expr::Literal(Literal::Time(time))),
            _ => None,
        },
        (EvType::Time, None) => {
            let layout = Expr::Literal(Literal::String(String::new()));
            call("parse_time", vec![layout], value)
        }
        (EvType::Duration, Some(text)) => parse_duration_ns(&text)
            .ok()
            .map(|duration| Expr::Literal(Literal::Duration(duration))),
        (EvType::Duration, None) => call("to_duration", Vec::new(), value),
        (EvType::Float64, Some(text)) => text
            .trim()
            .parse::<f64>()
            .ok()
            .map(|number| Expr::Literal(Literal::Float(number))),
        // Integers stay integers: the engine compares numbers of either kind.
        (EvType::Float64, None) => Some(number(value, span)?.expr),
        (EvType::Bytes, Some(text)) => Some(Expr::Literal(Literal::Bytes(text.into_bytes()))),
        (EvType::Bytes, None) => Some(Expr::Cast(Box::new(value.expr), EvType::Bytes)),
        _ => Some(text_of(value).expr),
    })
}

/// `a ~ b`: containment of text, membership for an address.
fn contains(a: Typed, b: Typed, span: Span) -> Outcome<Expr> {
    let constant = match &b.expr {
        Expr::Literal(Literal::String(text)) => Some(text.clone()),
        _ => None,
    };
    if a.ty.is_ip() {
        return match constant.as_deref().map(parse_networks) {
            Some(Some(networks)) => Ok(Expr::InSubnet(Box::new(a.expr), networks)),
            Some(None) => Err(hinted(
                error(span, "this is no network"),
                "a network is written as \"10.0.0.0/8\"",
            )),
            None => Ok(Expr::Call(
                "ip_in_cidr_text",
                vec![a.expr, text_of(b).expr],
                EvType::Bool,
            )),
        };
    }
    let a = match a.ty {
        EvType::Bytes => a,
        _ => text_of(a),
    };
    let name = if constant.is_some() {
        "contains"
    } else {
        "strings_contains"
    };
    let a = if name == "contains" { a } else { text_of(a) };
    Ok(Expr::Call(
        name,
        vec![a.expr, text_of(b).expr],
        EvType::Bool,
    ))
}
