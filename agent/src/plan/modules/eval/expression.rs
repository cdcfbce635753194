//! Expressions of eval, typed.

use super::super::super::pipeline::{ArithmeticOp, Expr, Literal};
use super::super::super::report::{Outcome, error, hinted};
use super::super::packet::common_type;
use super::{Eval, Typed, convert, or_false};
use crate::lang::ast::{EvalExpr, Spanned};
use crate::lang::diagnostic::Span;
use crate::types::EvType;

impl Eval<'_> {
    /// An expression as a condition: true, non-zero, not empty, present.
    pub(super) fn test(&mut self, expr: &EvalExpr, span: Span) -> Outcome<Expr> {
        let value = self.expression(expr, span)?;
        Ok(truth(value))
    }

    /// An expression with its type.
    pub(super) fn expression(&mut self, expr: &EvalExpr, span: Span) -> Outcome<Typed> {
        Ok(match expr {
            EvalExpr::Int(value) => Typed::literal(Literal::Int(*value), EvType::Int64),
            EvalExpr::Float(value) => Typed::literal(Literal::Float(*value), EvType::Float64),
            EvalExpr::Str(value) => Typed::literal(Literal::String(value.clone()), EvType::String),
            EvalExpr::Bool(value) => Typed::literal(Literal::Bool(*value), EvType::Bool),
            EvalExpr::Name(name) => self.name(name, span),
            EvalExpr::Unary(op, operand) => self.unary(*op, operand)?,
            EvalExpr::Binary(op @ ("&&" | "||"), left, right) => {
                let parts = vec![
                    self.test(&left.value, left.span)?,
                    self.test(&right.value, right.span)?,
                ];
                let both = *op == "&&";
                Typed::new(
                    if both {
                        Expr::And(parts)
                    } else {
                        Expr::Or(parts)
                    },
                    EvType::Bool,
                )
            }
            EvalExpr::Binary(op, left, right) => self.binary(op, left, right, span)?,
            EvalExpr::Compare(op, left, right) => self.compare(*op, left, right, span)?,
            EvalExpr::Conditional(condition, then, otherwise) => {
                let condition = self.test(&condition.value, condition.span)?;
                let then = self.expression(&then.value, then.span)?;
                let otherwise = self.expression(&otherwise.value, otherwise.span)?;
                let ty = common_type(&[then.ty, otherwise.ty]);
                Typed::new(
                    Expr::Case(
                        vec![(condition, convert(then, ty))],
                        Box::new(convert(otherwise, ty)),
                    ),
                    ty,
                )
            }
            EvalExpr::Call(function, args) => self.call(function, args, span)?,
            EvalExpr::Array(_) => {
                return Err(hinted(
                    error(span, "arrays are not supported in eval yet"),
                    "in(x, {1, 2}) tests for one of several values",
                ));
            }
            EvalExpr::Index(value, index) => {
                let start = self.whole_number(index)?;
                let end = after(&start);
                self.slice(value, start, end)?
            }
            EvalExpr::Slice(value, start, end) => {
                let start = match start {
                    Some(start) => self.whole_number(start)?,
                    None => Expr::Literal(Literal::Int(0)),
                };
                let end = match end {
                    Some(end) => self.whole_number(end)?,
                    None => Expr::Null(EvType::Int64),
                };
                self.slice(value, start, end)?
            }
        })
    }

    fn name(&mut self, name: &str, span: Span) -> Typed {
        let assigned = self.names.iter().find(|(known, _)| known == name);
        let column = match assigned {
            Some((_, column)) => *column,
            None => self.scope.lookup(&Spanned {
                value: name.to_owned(),
                span,
            }),
        };
        Typed::new(Expr::Column(column), self.scope.ty(column))
    }

    fn unary(&mut self, op: char, operand: &Spanned<EvalExpr>) -> Outcome<Typed> {
        // A literal keeps its sign, so that it stays a literal.
        match (op, &operand.value) {
            ('-', EvalExpr::Int(value)) => {
                return Ok(Typed::literal(
                    Literal::Int(value.wrapping_neg()),
                    EvType::Int64,
                ));
            }
            ('-', EvalExpr::Float(value)) => {
                return Ok(Typed::literal(Literal::Float(-value), EvType::Float64));
            }
            ('!', operand_value) => {
                let test = self.test(operand_value, operand.span)?;
                // A comparison with an absent value is false, so its negation is true.
                return Ok(Typed::new(
                    Expr::Not(Box::new(or_false(test))),
                    EvType::Bool,
                ));
            }
            _ => {}
        }
        let value = self.expression(&operand.value, operand.span)?;
        let number = number(value, operand.span)?;
        let (op, left) = match op {
            '-' => (ArithmeticOp::Subtract, 0),
            _ => (ArithmeticOp::BitXor, -1),
        };
        Ok(Typed::new(
            Expr::Arithmetic(
                op,
                Box::new(Expr::Literal(Literal::Int(left))),
                Box::new(number.expr),
            ),
            widened(number.ty),
        ))
    }

    fn binary(
        &mut self,
        op: &str,
        left: &Spanned<EvalExpr>,
        right: &Spanned<EvalExpr>,
        span: Span,
    ) -> Outcome<Typed> {
        let Some(operation) = arithmetic(op) else {
            return Err(error(span, format!("{op} is not supported in eval yet")));
        };
        let a = self.expression(&left.value, left.span)?;
        let b = self.expression(&right.value, right.span)?;
        if operation == ArithmeticOp::Add && a.ty == EvType::String && b.ty == EvType::String {
            let format = Expr::Literal(Literal::String("%v%v".to_owned()));
            return Ok(Typed::new(
                Expr::Call("printf", vec![format, a.expr, b.expr], EvType::String),
                EvType::String,
            ));
        }
        let result = time_result(operation, a.ty, b.ty);
        let (a, b) = (number(a, left.span)?, number(b, right.span)?);
        let bits = matches!(
            operation,
            ArithmeticOp::BitAnd
                | ArithmeticOp::BitOr
                | ArithmeticOp::BitXor
                | ArithmeticOp::ShiftLeft
                | ArithmeticOp::ShiftRight
        );
        let float = a.ty == EvType::Float64 || b.ty == EvType::Float64;
        if bits && float {
            return Err(error(span, format!("{op} takes whole numbers")));
        }
        let value = Expr::Arithmetic(operation, Box::new(a.expr), Box::new(b.expr));
        Ok(match result {
            Some(ty) => Typed::new(Expr::Cast(Box::new(value), ty), ty),
            None if float => Typed::new(value, EvType::Float64),
            None => Typed::new(value, EvType::Int64),
        })
    }

    /// A position.
    fn whole_number(&mut self, value: &Spanned<EvalExpr>) -> Outcome<Expr> {
        let typed = self.expression(&value.value, value.span)?;
        if typed.ty.is_integer() {
            Ok(typed.expr)
        } else {
            Err(error(value.span, "a position is a whole number"))
        }
    }

    fn slice(&mut self, value: &Spanned<EvalExpr>, start: Expr, end: Expr) -> Outcome<Typed> {
        let value = self.expression(&value.value, value.span)?;
        let value = match value.ty {
            EvType::Bytes | EvType::String => value,
            _ => text_of(value),
        };
        Ok(Typed::new(
            Expr::Call("slice", vec![value.expr, start, end], value.ty),
            value.ty,
        ))
    }
}

/// The position after one; absent after the last, which has none that could be written.
fn after(position: &Expr) -> Expr {
    use super::super::super::pipeline::Comparison;
    let literal = |value| Box::new(Expr::Literal(Literal::Int(value)));
    let next = || {
        let position = Box::new(position.clone());
        Expr::Arithmetic(ArithmeticOp::Add, position, literal(1))
    };
    match position {
        Expr::Literal(Literal::Int(-1)) => Expr::Null(EvType::Int64),
        Expr::Literal(_) => next(),
        _ => {
            let is_last = Expr::Compare(Comparison::Eq, Box::new(position.clone()), literal(-1));
            let none = Expr::Null(EvType::Int64);
            Expr::Case(vec![(is_last, none)], Box::new(next()))
        }
    }
}

/// A value as a condition.
pub(super) fn truth(value: Typed) -> Expr {
    use super::super::super::pipeline::Comparison;
    let differs = |literal| {
        Expr::Compare(
            Comparison::Ne,
            Box::new(value.expr.clone()),
            Box::new(Expr::Literal(literal)),
        )
    };
    match value.ty {
        EvType::Bool => value.expr,
        EvType::String => differs(Literal::String(String::new())),
        EvType::Float64 => differs(Literal::Float(0.0)),
        ty if ty.is_integer() => differs(Literal::Int(0)),
        _ => Expr::IsPresent(Box::new(value.expr)),
    }
}

/// The text form of a value.
pub(super) fn text_of(value: Typed) -> Typed {
    match value.ty {
        EvType::String => value,
        _ => Typed::new(
            Expr::Call("to_text", vec![value.expr], EvType::String),
            EvType::String,
        ),
    }
}

/// A value as a number: times and durations count nanoseconds, texts are read.
pub(super) fn number(value: Typed, span: Span) -> Outcome<Typed> {
    let to = match value.ty {
        ty if ty.is_number() => return Ok(value),
        EvType::Bool | EvType::Time | EvType::Duration => EvType::Int64,
        EvType::String => EvType::Float64,
        ty => return Err(error(span, format!("a value of type {ty} is no number"))),
    };
    Ok(Typed::new(Expr::Cast(Box::new(value.expr), to), to))
}

fn widened(ty: EvType) -> EvType {
    match ty {
        EvType::Float64 => ty,
        _ => EvType::Int64,
    }
}

/// Arithmetic on times gives times and durations.
fn time_result(op: ArithmeticOp, a: EvType, b: EvType) -> Option<EvType> {
    use ArithmeticOp::{Add, Divide, Multiply, Subtract};
    use EvType::{Duration, Time};
    match (op, a, b) {
        (Subtract, Time, Time) | (Add | Subtract, Duration, Duration) => Some(Duration),
        (Add | Subtract, Time, _) | (Add, _, Time) => Some(Time),
        (Multiply | Divide, Duration, other) if other.is_number() => Some(Duration),
        (Multiply, other, Duration) if other.is_number() => Some(Duration),
        (Add | Subtract, Duration, _) | (Add, _, Duration) => Some(Duration),
        _ => None,
    }
}

fn arithmetic(op: &str) -> Option<ArithmeticOp> {
    Some(match op {
        "+" => ArithmeticOp::Add,
        "-" => ArithmeticOp::Subtract,
        "*" => ArithmeticOp::Multiply,
        "/" => ArithmeticOp::Divide,
        "%" => ArithmeticOp::Remainder,
        "&" => ArithmeticOp::BitAnd,
        "|" => ArithmeticOp::BitOr,
        "^" => ArithmeticOp::BitXor,
        "<<" => ArithmeticOp::ShiftLeft,
        ">>" => ArithmeticOp::ShiftRight,
        _ => return None,
    })
}
