//! Inline filters: `value op operand`, typed by the value.

use std::net::IpAddr;

use super::arguments::{Args, op_text};
use super::networks::parse_networks;
use super::pipeline::{Comparison, Expr, Literal};
use super::report::{Outcome, error, hinted};
use super::scope::Scope;
use crate::lang::ast::{CompareOp, Spanned, TokenKind};
use crate::lang::diagnostic::Span;
use crate::lang::time::{Instant, parse_duration_ns, parse_instant};
use crate::types::EvType;

/// An operator with its operand, as written.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    /// Operator.
    pub(crate) op: Spanned<CompareOp>,
    /// Operand.
    pub(crate) operand: Operand,
    /// Where the operand stands.
    pub(crate) span: Span,
}

/// The text or the bytes after an operator.
#[derive(Clone, Debug)]
pub(crate) enum Operand {
    /// A word, or a quoted string.
    Text {
        /// The text.
        text: String,
        /// Whether it was quoted.
        quoted: bool,
    },
    /// A quoted string that is no UTF-8.
    Bytes(Vec<u8>),
}

impl Condition {
    /// The operand as text.
    pub(crate) fn text(&self) -> &str {
        match &self.operand {
            Operand::Text { text, .. } => text,
            Operand::Bytes(_) => "",
        }
    }
}

/// Takes `op operand` if an operator stands here.
pub(crate) fn take_condition(args: &mut Args<'_>) -> Outcome<Option<Condition>> {
    let Some(op) = args.take_op() else {
        return Ok(None);
    };
    let Some(token) = args.next() else {
        return Err(error(
            op.span,
            format!("a value is missing after {}", op_text(op.value)),
        ));
    };
    let operand = match &token.kind {
        TokenKind::Word(text) => Operand::Text {
            text: text.clone(),
            quoted: false,
        },
        TokenKind::Quoted(text) => Operand::Text {
            text: text.clone(),
            quoted: true,
        },
        TokenKind::Bytes(bytes) => Operand::Bytes(bytes.clone()),
        _ => {
            return Err(error(
                token.span,
                format!("a value is expected after {}", op_text(op.value)),
            ));
        }
    };
    Ok(Some(Condition {
        op,
        operand,
        span: token.span,
    }))
}

/// The predicate of a filter over a value. A value that is absent makes it null, so that the entry
/// is dropped.
pub(crate) fn predicate(
    scope: &mut Scope,
    value: &Expr,
    ty: EvType,
    condition: &Condition,
) -> Outcome<Expr> {
    match ty {
        EvType::Ipv4 | EvType::Ip => address(scope, value, condition),
        EvType::String | EvType::Bytes => text_or_bytes(value, ty, condition),
        EvType::Bool => boolean(value, condition),
        EvType::Mac => mac(value, condition),
        EvType::Time => time(value, condition),
        EvType::Duration => duration(value, condition),
        _ => number(scope, value, ty, condition),
    }
}

/// Comparison of an operator, if it is one.
pub(crate) fn comparison(op: CompareOp) -> Option<Comparison> {
    Some(match op {
        CompareOp::Eq => Comparison::Eq,
        CompareOp::Ne => Comparison::Ne,
        CompareOp::Lt => Comparison::Lt,
        CompareOp::Le => Comparison::Le,
        CompareOp::Gt => Comparison::Gt,
        CompareOp::Ge => Comparison::Ge,
        CompareOp::Match | CompareOp::NotMatch => return None,
    })
}

fn compare(op: Comparison, value: &Expr, literal: Literal) -> Expr {
    Expr::Compare(
        op,
        Box::new(value.clone()),
        Box::new(Expr::Literal(literal)),
    )
}

fn not_allowed(condition: &Condition, ty: EvType, hint: &str) -> super::Diagnostic {
    hinted(
        error(
            condition.op.span,
            format!(
                "{} is not allowed for {ty} values",
                op_text(condition.op.value)
            ),
        ),
        hint,
    )
}

fn bad_value(condition: &Condition, ty: EvType, hint: &str) -> super::Diagnostic {
    let shown = match &condition.operand {
        Operand::Text { text, .. } => text.clone(),
        Operand::Bytes(bytes) => crate::text::bytes(bytes),
    };
    hinted(
        error(
            condition.span,
            format!("'{shown}' is no value of type {ty}"),
        ),
        hint,
    )
}

/// Equality only.
fn equality(condition: &Condition, ty: EvType) -> Outcome<Comparison> {
    match condition.op.value {
        CompareOp::Eq => Ok(Comparison::Eq),
        CompareOp::Ne => Ok(Comparison::Ne),
        _ => Err(not_allowed(condition, ty, "use == or !=")),
    }
}

fn boolean(value: &Expr, condition: &Condition) -> Outcome<Expr> {
    let op = equality(condition, EvType::Bool)?;
    let wanted = match condition.text().to_ascii_lowercase().as_str() {
        "true" | "1" => true,
        "false" | "0" => false,
        _ => return Err(bad_value(condition, EvType::Bool, "use true or false")),
    };
    Ok(compare(op, value, Literal::Bool(wanted)))
}

fn mac(value: &Expr, condition: &Condition) -> Outcome<Expr> {
    let op = equality(condition, EvType::Mac)?;
    match parse_mac(condition.text()) {
        Some(address) => Ok(compare(op, value, Literal::Mac(address))),
        None => Err(bad_value(
            condition,
            EvType::Mac,
            "an address is written as aa:bb:cc:dd:ee:ff",
        )),
    }
}

/// An address of six bytes in hex, between colons or hyphens.
pub(crate) fn parse_mac(text: &str) -> Option<u64> {
    let parts: Vec<&str> = text.split([':', '-']).collect();
    if parts.len() != 6 {
        return None;
    }
    parts.into_iter().try_fold(0u64, |address, part| {
        let valid = (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_hexdigit());
        let byte = u64::from_str_radix(part, 16).ok().filter(|_| valid)?;
        Some(address << 8 | byte)
    })
}

fn time(value: &Expr, condition: &Condition) -> Outcome<Expr> {
    let Some(op) = comparison(condition.op.value) else {
        return Err(not_allowed(condition, EvType::Time, "use == != < <= > >="));
    };
    match parse_instant(condition.text()) {
        Ok(Instant::Absolute(time)) => Ok(compare(op, value, Literal::Time(time))),
        _ => Err(bad_value(
            condition,
            EvType::Time,
            "a time is written as \"2026-01-31T12:00:00Z\"",
        )),
    }
}

fn duration(value: &Expr, condition: &Condition) -> Outcome<Expr> {
    let Some(op) = comparison(condition.op.value) else {
        return Err(not_allowed(
            condition,
            EvType::Duration,
            "use == != < <= > >=",
        ));
    };
    match parse_duration_ns(condition.text()) {
        Ok(duration) => Ok(compare(op, value, Literal::Duration(duration))),
        Err(_) => Err(bad_value(
            condition,
            EvType::Duration,
            "a duration is written as 250ms, 20m or 1h30m",
        )),
    }
}

fn text_or_bytes(value: &Expr, ty: EvType, condition: &Condition) -> Outcome<Expr> {
    let literal = match (&condition.operand, ty) {
        (Operand::Text { text, .. }, EvType::Bytes) => Literal::Bytes(text.clone().into_bytes()),
        (Operand::Text { text, .. }, _) => Literal::String(text.clone()),
        (Operand::Bytes(bytes), _) => Literal::Bytes(bytes.clone()),
    };
    let contains = |literal| {
        Expr::Call(
            "contains",
            vec![value.clone(), Expr::Literal(literal)],
            EvType::Bool,
        )
    };
    Ok(match (condition.op.value, literal) {
        (CompareOp::Match, literal) => contains(literal),
        (CompareOp::NotMatch, literal) => Expr::Not(Box::new(contains(literal))),
        // Text cannot equal what is no text.
        (CompareOp::Eq | CompareOp::Ne, Literal::Bytes(_)) if ty == EvType::String => {
            return Err(bad_value(condition, ty, "the value is text"));
        }
        (CompareOp::Eq, literal) => compare(Comparison::Eq, value, literal),
        (CompareOp::Ne, literal) => compare(Comparison::Ne, value, literal),
        _ => {
            return Err(not_allowed(
                condition,
                ty,
                "use == or != (exact), ~ or !~ (contains)",
            ));
        }
    })
}

fn number(scope: &mut Scope, value: &Expr, ty: EvType, condition: &Condition) -> Outcome<Expr> {
    let Some(op) = comparison(condition.op.value) else {
        return Err(not_allowed(condition, ty, "use == != < <= > >="));
    };
    let text = condition.text();
    if ty == EvType::Float64
        && let Ok(number) = text.parse::<f64>()
        && number.is_finite()
    {
        return Ok(compare(op, value, Literal::Float(number)));
    }
    let Some(number) = parse_integer(text) else {
        return Err(bad_value(
            condition,
            ty,
            "a number is written as 443, 0x1bb or 0b110111011",
        ));
    };
    let range = match ty {
        EvType::UInt8 => Some((0, i128::from(u8::MAX))),
        EvType::UInt16 => Some((0, i128::from(u16::MAX))),
        EvType::UInt32 => Some((0, i128::from(u32::MAX))),
        EvType::UInt64 => Some((0, i128::from(u64::MAX))),
        EvType::Int64 => Some((i128::from(i64::MIN), i128::from(i64::MAX))),
        _ => None,
    };
    if let Some((low, high)) = range
        && !(low..=high).contains(&number)
    {
        let always = match op {
            Comparison::Eq => false,
            Comparison::Ne => true,
            Comparison::Lt | Comparison::Le => number > high,
            Comparison::Gt | Comparison::Ge => number < low,
        };
        let what = if always {
            "always holds"
        } else {
            "cannot match"
        };
        scope.warn(
            condition.span,
            format!("{number} is outside of {low} to {high}, the range of {ty}: this {what}"),
        );
    }
    // Outside of 64 bits a float of the same order compares as it should.
    let literal = match i64::try_from(number) {
        _ if ty == EvType::Float64 => Literal::Float(number as f64),
        Ok(number) => Literal::Int(number),
        Err(_) => match u64::try_from(number) {
            Ok(number) => Literal::UInt(number),
            Err(_) => Literal::Float(number as f64),
        },
    };
    Ok(compare(op, value, literal))
}

/// A whole number: decimal (a leading zero is not octal), `0x` hex or `0b` binary.
pub(crate) fn parse_integer(text: &str) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (digits, radix) = if let Some(hex) = lower.strip_prefix("0x") {
        (hex, 16)
    } else if let Some(binary) = lower.strip_prefix("0b") {
        (binary, 2)
    } else {
        (lower.as_str(), 10)
    };
    if digits.starts_with(['-', '+']) {
        return None;
    }
    let number = i128::from_str_radix(digits, radix).ok()?;
    Some(if negative { -number } else { number })
}

fn address(scope: &mut Scope, value: &Expr, condition: &Condition) -> Outcome<Expr> {
    const HINT: &str = "an address is written as 10.0.0.1 or fe80::1, a network as 10.0.0.0/8, \
                        PRIVATE or MULTICAST";
    let op = condition.op.value;
    if comparison(op).is_some() && !matches!(op, CompareOp::Eq | CompareOp::Ne) {
        return Err(not_allowed(
            condition,
            EvType::Ip,
            "use == or != (address), ~ or !~ (network)",
        ));
    }
    let text = condition.text();
    let Some(networks) = parse_networks(text) else {
        return Err(bad_value(condition, EvType::Ip, HINT));
    };
    let single = text.parse::<IpAddr>().is_ok();
    let positive = matches!(op, CompareOp::Eq | CompareOp::Match);
    if single && let Some(network) = networks.first() {
        let op = if positive {
            Comparison::Eq
        } else {
            Comparison::Ne
        };
        return Ok(compare(op, value, Literal::Ip(network.network)));
    }
    if matches!(op, CompareOp::Eq | CompareOp::Ne) {
        let meant = if positive { "~" } else { "!~" };
        scope.warn_hint(
            condition.op.span,
            format!("{} with a network is read as {meant}", op_text(op)),
            format!("write {meant} {text}"),
        );
    }
    let inside = Expr::InSubnet(Box::new(value.clone()), networks);
    Ok(if positive {
        inside
    } else {
        Expr::Not(Box::new(inside))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers() {
        for (text, expected) in [
            ("443", Some(443)),
            ("08", Some(8)),
            ("0x2C4", Some(708)),
            ("0b101", Some(5)),
            ("-1", Some(-1)),
            ("--1", None),
            ("0x-1", None),
            ("1.5", None),
            ("", None),
            ("0x", None),
        ] {
            assert_eq!(parse_integer(text), expected, "{text}");
        }
    }

    #[test]
    fn mac_addresses() {
        assert_eq!(parse_mac("DE:AD:BE:EF:11:22"), Some(0xdead_beef_1122));
        assert_eq!(parse_mac("de-ad-be-ef-11-22"), Some(0xdead_beef_1122));
        assert_eq!(parse_mac("aa:bb"), None);
        assert_eq!(parse_mac("+a:bb:cc:dd:ee:ff"), None);
    }
}
