//! Lowering of expressions.

use datafusion::common::ScalarValue;
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::logical_expr::expr_fn::when;
use datafusion::logical_expr::{Expr, Operator, binary_expr, lit, not};

use super::{Lowerer, try_cast};
use crate::exec::error::Error;
use crate::exec::functions::in_subnet::InSubnet;
use crate::exec::functions::{CAST, Function, mapped_v4};
use crate::exec::types::{IP_BYTES, arrow_type};
use crate::plan::pipeline::{ArithmeticOp, Comparison, Expr as Source, Literal};
use crate::types::EvType;

impl Lowerer<'_> {
    /// The type of an expression's values.
    pub(super) fn type_of(&self, expr: &Source) -> EvType {
        match expr {
            Source::Column(id) => self.column(*id).ty,
            Source::Literal(literal) => literal.ty(),
            Source::Null(ty) | Source::Cast(_, ty) | Source::Call(_, _, ty) => *ty,
            Source::And(_)
            | Source::Or(_)
            | Source::Not(_)
            | Source::IsPresent(_)
            | Source::Compare(..)
            | Source::InSubnet(..) => EvType::Bool,
            Source::Arithmetic(_, a, b) => {
                if [a, b].iter().any(|e| self.type_of(e) == EvType::Float64) {
                    EvType::Float64
                } else {
                    EvType::Int64
                }
            }
            Source::Case(branches, otherwise) => {
                let values = branches.iter().map(|(_, value)| value);
                self.common_type(values.chain([otherwise.as_ref()]))
            }
            Source::Coalesce(values) => self.common_type(values.iter()),
        }
    }

    /// The type that holds the values of all expressions.
    fn common_type<'e>(&self, exprs: impl Iterator<Item = &'e Source>) -> EvType {
        let types = exprs
            .filter(|expr| !matches!(expr, Source::Null(_)))
            .map(|expr| self.type_of(expr));
        let common = types.reduce(|a, b| match (a, b) {
            (a, b) if a == b => a,
            (a, b) if a.is_ip() && b.is_ip() => EvType::Ip,
            (a, b) if a.is_number() && b.is_number() => {
                if [a, b].contains(&EvType::Float64) {
                    EvType::Float64
                } else if a != EvType::Int64 && b != EvType::Int64 {
                    EvType::UInt64
                } else {
                    EvType::Int64
                }
            }
            _ => EvType::String,
        });
        common.unwrap_or(EvType::String)
    }

    /// Lowers an expression.
    pub(super) fn expr(&self, expr: &Source) -> Result<Expr, Error> {
        Ok(match expr {
            Source::Column(id) => self.col(*id),
            Source::Literal(literal) => lit(scalar(literal)),
            Source::Null(ty) => null(*ty)?,
            Source::And(parts) => self.all(parts, Operator::And, true)?,
            Source::Or(parts) => self.all(parts, Operator::Or, false)?,
            Source::Not(inner) => not(self.expr(inner)?),
            Source::IsPresent(inner) => self.expr(inner)?.is_not_null(),
            Source::Compare(op, a, b) => self.compare(*op, a, b)?,
            Source::InSubnet(address, networks) => {
                InSubnet::call(self.expr(address)?, networks.clone())
            }
            Source::Arithmetic(op, a, b) => self.arithmetic(*op, a, b)?,
            Source::Case(branches, otherwise) => {
                let ty = self.type_of(expr);
                let mut lowered = Vec::with_capacity(branches.len());
                for (condition, value) in branches {
                    let value = self.converted(value, ty)?;
                    lowered.push((Box::new(self.expr(condition)?), Box::new(value)));
                }
                let otherwise = Some(Box::new(self.converted(otherwise, ty)?));
                Expr::Case(datafusion::logical_expr::Case::new(
                    None, lowered, otherwise,
                ))
            }
            Source::Coalesce(values) => {
                let ty = self.type_of(expr);
                let values = values.iter().map(|value| self.converted(value, ty));
                coalesce(values.collect::<Result<Vec<_>, _>>()?)
            }
            Source::Cast(inner, ty) => self.converted(inner, *ty)?,
            Source::Call(name, arguments, ty) => self.call(name, arguments, *ty)?,
        })
    }

    fn all(&self, parts: &[Source], op: Operator, none: bool) -> Result<Expr, Error> {
        let mut all: Option<Expr> = None;
        for part in parts {
            let part = self.expr(part)?;
            all = Some(match all {
                Some(before) => binary_expr(before, op, part),
                None => part,
            });
        }
        Ok(all.unwrap_or_else(|| lit(none)))
    }

    /// An expression as values of a type; null where that cannot be done.
    pub(super) fn converted(&self, expr: &Source, to: EvType) -> Result<Expr, Error> {
        if let Source::Null(_) = expr {
            return null(to);
        }
        let from = self.type_of(expr);
        convert(self.expr(expr)?, from, to)
    }

    fn call(&self, name: &str, arguments: &[Source], ty: EvType) -> Result<Expr, Error> {
        if name == "now" {
            return Ok(lit(self.now_ns));
        }
        let constants: Vec<_> = arguments
            .iter()
            .map(|argument| match argument {
                Source::Literal(Literal::String(text)) => Some(text.as_str()),
                _ => None,
            })
            .collect();
        let arguments = arguments
            .iter()
            .map(|argument| Ok((self.expr(argument)?, self.type_of(argument))))
            .collect::<Result<Vec<_>, Error>>()?;
        Function::call(name, arguments, ty, &constants)
    }

    fn arithmetic(&self, op: ArithmeticOp, a: &Source, b: &Source) -> Result<Expr, Error> {
        let float = [a, b].iter().any(|e| self.type_of(e) == EvType::Float64);
        let ty = if float {
            EvType::Float64
        } else {
            EvType::Int64
        };
        let (a, b) = (self.converted(a, ty)?, self.converted(b, ty)?);
        let native = match op {
            ArithmeticOp::Add => Some(Operator::Plus),
            ArithmeticOp::Subtract => Some(Operator::Minus),
            ArithmeticOp::Multiply => Some(Operator::Multiply),
            _ => None,
        };
        if let Some(op) = native {
            return Ok(binary_expr(a, op, b));
        }
        let name = match op {
            ArithmeticOp::Divide => "/",
            ArithmeticOp::Remainder => "%",
            ArithmeticOp::BitAnd => "&",
            ArithmeticOp::BitOr => "|",
            ArithmeticOp::BitXor => "^",
            ArithmeticOp::ShiftLeft => "<<",
            _ => ">>",
        };
        Function::call(name, vec![(a, ty), (b, ty)], ty, &[])
    }

    /// A comparison. NaN differs from everything, itself included, and has no place in any order.
    fn compare(&self, op: Comparison, a: &Source, b: &Source) -> Result<Expr, Error> {
        let mut comparison = self.compare_ordered(op, a, b)?;
        for side in [a, b] {
            if matches!(side, Source::Literal(_)) || self.type_of(side) != EvType::Float64 {
                continue;
            }
            let number = is_number(self.expr(side)?);
            comparison = match op {
                Comparison::Ne => comparison.or(not(number)),
                _ => comparison.and(number),
            };
        }
        Ok(comparison)
    }

    /// A comparison in the engine's order, in which NaN equals NaN and is above all else.
    fn compare_ordered(&self, op: Comparison, a: &Source, b: &Source) -> Result<Expr, Error> {
        if let (Source::Literal(_), false) = (a, matches!(b, Source::Literal(_))) {
            return self.compare_ordered(flipped(op), b, a);
        }
        let (left, right) = (self.type_of(a), self.type_of(b));
        if let Source::Literal(literal) = b
            && !matches!(a, Source::Literal(_))
            && let Some(comparison) = compare_literal(op, self.expr(a)?, left, literal)
        {
            return Ok(comparison);
        }
        if left == right || arrow_type(left) == arrow_type(right) && !(left.is_ip() ^ right.is_ip())
        {
            return Ok(binary_expr(self.expr(a)?, operator(op), self.expr(b)?));
        }
        let (left_expr, right_expr) = (self.expr(a)?, self.expr(b)?);
        let common = match (left, right) {
            (a, b) if a.is_ip() && b.is_ip() => EvType::Ip,
            (a, b) if a.is_ip() || b.is_ip() => EvType::Ip,
            // The engine widens numbers of different widths itself.
            (a, b) if a.is_number() && b.is_number() => {
                return Ok(binary_expr(left_expr, operator(op), right_expr));
            }
            (EvType::Mac, _) | (_, EvType::Mac) => EvType::Mac,
            (EvType::Time, _) | (_, EvType::Time) => EvType::Time,
            (EvType::Duration, _) | (_, EvType::Duration) => EvType::Duration,
            (a, b) if a.is_number() || b.is_number() => EvType::Float64,
            (EvType::Bytes, _) | (_, EvType::Bytes) => EvType::Bytes,
            _ => EvType::String,
        };
        let (a, b) = (self.converted(a, common)?, self.converted(b, common)?);
        Ok(binary_expr(a, operator(op), b))
    }
}

/// Whether a float is a number: in the engine's order there is a NaN beyond each infinity.
fn is_number(value: Expr) -> Expr {
    value.between(lit(f64::NEG_INFINITY), lit(f64::INFINITY))
}

/// Converts values from one type to another; null where that cannot be done.
pub(in crate::exec) fn convert(expr: Expr, from: EvType, to: EvType) -> Result<Expr, Error> {
    let same_storage = matches!(
        (from, to),
        (EvType::Time | EvType::Duration, EvType::Int64)
            | (EvType::Int64 | EvType::Duration, EvType::Time)
            | (EvType::Int64 | EvType::Time, EvType::Duration)
    );
    if from == to || same_storage {
        return Ok(expr);
    }
    if from.is_number() && to.is_number() {
        return Ok(try_cast(expr, to));
    }
    Function::call(CAST, vec![(expr, from)], to, &[])
}

/// A null of a type.
pub(super) fn null(ty: EvType) -> Result<Expr, Error> {
    Ok(lit(ScalarValue::try_from(&arrow_type(ty))?))
}

fn operator(op: Comparison) -> Operator {
    match op {
        Comparison::Eq => Operator::Eq,
        Comparison::Ne => Operator::NotEq,
        Comparison::Lt => Operator::Lt,
        Comparison::Le => Operator::LtEq,
        Comparison::Gt => Operator::Gt,
        Comparison::Ge => Operator::GtEq,
    }
}

fn flipped(op: Comparison) -> Comparison {
    match op {
        Comparison::Lt => Comparison::Gt,
        Comparison::Le => Comparison::Ge,
        Comparison::Gt => Comparison::Lt,
        Comparison::Ge => Comparison::Le,
        same => same,
    }
}

fn scalar(literal: &Literal) -> ScalarValue {
    match literal {
        Literal::Bool(v) => ScalarValue::Boolean(Some(*v)),
        Literal::Int(v) | Literal::Time(v) | Literal::Duration(v) => ScalarValue::Int64(Some(*v)),
        Literal::UInt(v) | Literal::Mac(v) => ScalarValue::UInt64(Some(*v)),
        Literal::Float(v) => ScalarValue::Float64(Some(*v)),
        Literal::String(v) => ScalarValue::Utf8(Some(v.clone())),
        Literal::Bytes(v) => ScalarValue::Binary(Some(v.clone())),
        Literal::Ip(v) => ScalarValue::FixedSizeBinary(IP_BYTES, Some(v.to_vec())),
    }
}

/// A comparison with a constant in the column's own type, which is the form that can be pushed
/// into the scan; `None` where the types need more.
fn compare_literal(op: Comparison, column: Expr, ty: EvType, literal: &Literal) -> Option<Expr> {
    let value = match literal {
        Literal::Int(v) => Some(i128::from(*v)),
        Literal::UInt(v) => Some(i128::from(*v)),
        _ => None,
    };
    match (ty, literal, value) {
        (ty, _, Some(value)) if ty.is_integer() => {
            let (smallest, largest) = integer_range(ty);
            if value < smallest {
                return Some(constant(
                    column,
                    matches!(op, Comparison::Ne | Comparison::Gt | Comparison::Ge),
                ));
            }
            if value > largest {
                return Some(constant(
                    column,
                    matches!(op, Comparison::Ne | Comparison::Lt | Comparison::Le),
                ));
            }
            Some(binary_expr(column, operator(op), lit(integer(ty, value)?)))
        }
        (EvType::Ipv4, Literal::Ip(address), _) => match (mapped_v4(*address), op) {
            (Some(v4), _) => Some(binary_expr(column, operator(op), lit(v4))),
            (None, Comparison::Eq) => Some(constant(column, false)),
            (None, Comparison::Ne) => Some(constant(column, true)),
            _ => None,
        },
        (ty, literal, _) if ty == literal.ty() => {
            Some(binary_expr(column, operator(op), lit(scalar(literal))))
        }
        _ => None,
    }
}

/// A comparison that is decided for every value: null where the value is.
fn constant(column: Expr, value: bool) -> Expr {
    let null = lit(ScalarValue::Boolean(None));
    when(column.clone().is_not_null(), lit(value))
        .otherwise(null)
        .unwrap_or_else(|_| column.is_not_null().and(lit(value)))
}

fn integer_range(ty: EvType) -> (i128, i128) {
    match ty {
        EvType::UInt8 => (0, u8::MAX.into()),
        EvType::UInt16 => (0, u16::MAX.into()),
        EvType::UInt32 => (0, u32::MAX.into()),
        EvType::UInt64 => (0, u64::MAX.into()),
        _ => (i64::MIN.into(), i64::MAX.into()),
    }
}

fn integer(ty: EvType, value: i128) -> Option<ScalarValue> {
    Some(match ty {
        EvType::UInt8 => ScalarValue::UInt8(Some(value.try_into().ok()?)),
        EvType::UInt16 => ScalarValue::UInt16(Some(value.try_into().ok()?)),
        EvType::UInt32 => ScalarValue::UInt32(Some(value.try_into().ok()?)),
        EvType::UInt64 => ScalarValue::UInt64(Some(value.try_into().ok()?)),
        _ => ScalarValue::Int64(Some(value.try_into().ok()?)),
    })
}
