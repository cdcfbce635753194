//! Pushed filters: an expression of the engine to a small tree that is decided on a packet.
//!
//! The tree is decided for "true" and for "false" apart: what is neither is null. So Kleene's
//! logic needs no third value, and every node stops at the first operand that settles it.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::{Between, InList, ScalarFunction};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};

use super::test::Test;
use super::view::{Columns, Row};
use crate::exec::functions::in_subnet::{InSubnet, SubnetSet};
use crate::plan::pipeline::Comparison;

/// A filter that the scan decides itself, exactly as the engine would.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::exec) enum Predicate {
    /// True, false or null.
    Constant(Option<bool>),
    /// The column has a value.
    Present(usize),
    /// A test of a column's value; null where it has none.
    Value(usize, Test),
    And(Vec<Self>),
    Or(Vec<Self>),
    Not(Box<Self>),
    /// The operand is exactly this (`IS TRUE`, `IS UNKNOWN`, ...): never null.
    Is(Box<Self>, Option<bool>),
}

impl Predicate {
    /// The predicate of an expression over these columns; `None` if it has to stay a filter of
    /// the engine.
    pub(super) fn compile(expr: &Expr, columns: &Columns) -> Option<Self> {
        Compiler { columns }.predicate(expr)
    }

    /// All of these, the cheapest first.
    pub(super) fn all(mut parts: Vec<Self>) -> Self {
        parts.sort_by_key(Self::cost);
        match parts.len() {
            1 => parts.remove(0),
            _ => Self::And(parts),
        }
    }

    fn any(mut parts: Vec<Self>) -> Self {
        parts.sort_by_key(Self::cost);
        Self::Or(parts)
    }

    /// Whether the packet is to be kept.
    pub(super) fn is_true(&self, view: &impl Row) -> bool {
        match self {
            Self::Constant(value) => *value == Some(true),
            Self::Present(column) => view.value(*column).is_some(),
            Self::Value(column, test) => view.value(*column).is_some_and(|v| test.holds(&v)),
            Self::And(parts) => parts.iter().all(|part| part.is_true(view)),
            Self::Or(parts) => parts.iter().any(|part| part.is_true(view)),
            Self::Not(part) => part.is_false(view),
            Self::Is(part, wanted) => part.is(*wanted, view),
        }
    }

    fn is_false(&self, view: &impl Row) -> bool {
        match self {
            Self::Constant(value) => *value == Some(false),
            Self::Present(column) => view.value(*column).is_none(),
            Self::Value(column, test) => view.value(*column).is_some_and(|v| !test.holds(&v)),
            Self::And(parts) => parts.iter().any(|part| part.is_false(view)),
            Self::Or(parts) => parts.iter().all(|part| part.is_false(view)),
            Self::Not(part) => part.is_true(view),
            Self::Is(part, wanted) => !part.is(*wanted, view),
        }
    }

    fn is(&self, wanted: Option<bool>, view: &impl Row) -> bool {
        match wanted {
            Some(true) => self.is_true(view),
            Some(false) => self.is_false(view),
            None => !self.is_true(view) && !self.is_false(view),
        }
    }

    /// Whether a packet may pass of which is known what `bounds` says of its columns: `false` is
    /// certain, `true` is not.
    pub(super) fn may_hold(
        &self,
        bounds: &dyn Fn(usize, &Test) -> bool,
        present: &dyn Fn(usize) -> bool,
    ) -> bool {
        match self {
            Self::Constant(value) => *value == Some(true),
            Self::Present(column) => present(*column),
            Self::Value(column, test) => bounds(*column, test),
            Self::And(parts) => parts.iter().all(|part| part.may_hold(bounds, present)),
            Self::Or(parts) => parts.iter().any(|part| part.may_hold(bounds, present)),
            Self::Not(_) | Self::Is(..) => true,
        }
    }

    /// The part of it that reads only such columns: what does not pass it does not pass the whole.
    pub(super) fn restricted(&self, has: &dyn Fn(usize) -> bool) -> Option<Self> {
        let mut columns = Vec::new();
        self.columns(&mut columns);
        match self {
            _ if columns.iter().all(|column| has(*column)) => Some(self.clone()),
            Self::And(parts) => {
                let parts: Vec<Self> = parts
                    .iter()
                    .filter_map(|part| part.restricted(has))
                    .collect();
                (!parts.is_empty()).then(|| Self::all(parts))
            }
            _ => None,
        }
    }

    /// The columns it reads.
    pub(super) fn columns(&self, into: &mut Vec<usize>) {
        match self {
            Self::Constant(_) => {}
            Self::Present(column) | Self::Value(column, _) => into.push(*column),
            Self::And(parts) | Self::Or(parts) => {
                parts.iter().for_each(|part| part.columns(into));
            }
            Self::Not(part) | Self::Is(part, _) => part.columns(into),
        }
    }

    /// A rough order of dearness; operands may be taken in any order, as none has an effect.
    fn cost(&self) -> usize {
        match self {
            Self::Constant(_) => 0,
            Self::Present(_) => 1,
            Self::Value(_, test) => 1 + test.cost(),
            Self::And(parts) | Self::Or(parts) => parts.iter().map(Self::cost).sum(),
            Self::Not(part) | Self::Is(part, _) => part.cost(),
        }
    }
}

struct Compiler<'a> {
    columns: &'a Columns,
}

impl Compiler<'_> {
    fn predicate(&self, expr: &Expr) -> Option<Predicate> {
        let is = |part: &Expr, wanted| Some(Predicate::Is(Box::new(self.predicate(part)?), wanted));
        match expr {
            Expr::Alias(alias) => self.predicate(&alias.expr),
            Expr::Literal(ScalarValue::Boolean(value), _) => Some(Predicate::Constant(*value)),
            Expr::Literal(ScalarValue::Null, _) => Some(Predicate::Constant(None)),
            Expr::Column(_) => {
                let (column, ty) = self.column(expr)?;
                (ty == DataType::Boolean).then_some(Predicate::Value(column, Test::True))
            }
            Expr::Not(part) => Some(negate(self.predicate(part)?)),
            Expr::IsNotNull(part) => self.presence(part),
            Expr::IsNull(part) => Some(negate(self.presence(part)?)),
            Expr::IsTrue(part) => is(part, Some(true)),
            Expr::IsFalse(part) => is(part, Some(false)),
            Expr::IsUnknown(part) => is(part, None),
            Expr::IsNotTrue(part) => Some(negate(is(part, Some(true))?)),
            Expr::IsNotFalse(part) => Some(negate(is(part, Some(false))?)),
            Expr::IsNotUnknown(part) => Some(negate(is(part, None)?)),
            Expr::BinaryExpr(binary) => self.binary(binary),
            Expr::Between(between) => self.between(between),
            Expr::InList(list) => self.in_list(list),
            Expr::ScalarFunction(call) => self.in_subnet(call),
            _ => None,
        }
    }

    fn binary(&self, binary: &BinaryExpr) -> Option<Predicate> {
        let (left, right) = (binary.left.as_ref(), binary.right.as_ref());
        match binary.op {
            Operator::And => {
                let parts = vec![self.predicate(left)?, self.predicate(right)?];
                Some(Predicate::all(parts))
            }
            Operator::Or => {
                let parts = vec![self.predicate(left)?, self.predicate(right)?];
                Some(Predicate::any(parts))
            }
            op => {
                let (column, literal, op) = match (left, right) {
                    (column, Expr::Literal(literal, _)) => (column, literal, op),
                    (Expr::Literal(literal, _), column) => (column, literal, op.swap()?),
                    _ => return None,
                };
                self.compare(comparison(op)?, column, literal)
            }
        }
    }

    fn compare(&self, op: Comparison, column: &Expr, literal: &ScalarValue) -> Option<Predicate> {
        let (column, ty) = self.column(column)?;
        Some(Predicate::Value(column, Test::compare(op, &ty, literal)?))
    }

    fn between(&self, between: &Between) -> Option<Predicate> {
        let (Expr::Literal(low, _), Expr::Literal(high, _)) =
            (between.low.as_ref(), between.high.as_ref())
        else {
            return None;
        };
        let inside = Predicate::And(vec![
            self.compare(Comparison::Ge, &between.expr, low)?,
            self.compare(Comparison::Le, &between.expr, high)?,
        ]);
        Some(negate_if(between.negated, inside))
    }

    fn in_list(&self, list: &InList) -> Option<Predicate> {
        let equal = |item: &Expr| match item {
            Expr::Literal(literal, _) => self.compare(Comparison::Eq, &list.expr, literal),
            _ => None,
        };
        let any: Option<Vec<_>> = list.list.iter().map(equal).collect();
        Some(negate_if(list.negated, Predicate::Or(any?)))
    }

    fn in_subnet(&self, call: &ScalarFunction) -> Option<Predicate> {
        let function = call.func.inner().downcast_ref::<InSubnet>()?;
        let [address] = call.args.as_slice() else {
            return None;
        };
        let (column, _) = self.column(address)?;
        let networks = SubnetSet::new(function.networks());
        Some(Predicate::Value(column, Test::Subnet(networks)))
    }

    /// `IS NOT NULL` of a column, or of a condition.
    fn presence(&self, expr: &Expr) -> Option<Predicate> {
        match self.column(expr) {
            Some((column, _)) => Some(Predicate::Present(column)),
            None => {
                let condition = Box::new(self.predicate(expr)?);
                Some(negate(Predicate::Is(condition, None)))
            }
        }
    }

    /// A column, perhaps cast to a wider integer type, which changes no value; with its own type.
    fn column(&self, expr: &Expr) -> Option<(usize, DataType)> {
        match expr {
            Expr::Alias(alias) => self.column(&alias.expr),
            Expr::Column(column) => self.columns.find(&column.name),
            Expr::Cast(cast) => {
                let (column, from) = self.column(&cast.expr)?;
                widens(&from, cast.field.data_type()).then_some((column, from))
            }
            Expr::TryCast(cast) => {
                let (column, from) = self.column(&cast.expr)?;
                widens(&from, cast.field.data_type()).then_some((column, from))
            }
            _ => None,
        }
    }
}

fn negate(part: Predicate) -> Predicate {
    Predicate::Not(Box::new(part))
}

fn negate_if(negated: bool, part: Predicate) -> Predicate {
    if negated { negate(part) } else { part }
}

fn comparison(op: Operator) -> Option<Comparison> {
    Some(match op {
        Operator::Eq => Comparison::Eq,
        Operator::NotEq => Comparison::Ne,
        Operator::Lt => Comparison::Lt,
        Operator::LtEq => Comparison::Le,
        Operator::Gt => Comparison::Gt,
        Operator::GtEq => Comparison::Ge,
        _ => return None,
    })
}

/// Whether every value of one integer type is a value of another.
fn widens(from: &DataType, to: &DataType) -> bool {
    let (Some(from_bits), Some(to_bits)) = (from.primitive_width(), to.primitive_width()) else {
        return false;
    };
    if from == to {
        return true;
    }
    match (from.is_unsigned_integer(), to) {
        (true, to) if to.is_integer() => to_bits > from_bits,
        (false, to) if from.is_signed_integer() && to.is_signed_integer() => to_bits > from_bits,
        _ => false,
    }
}
