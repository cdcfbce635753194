//! The aggregate functions that the engine does not have: those whose partial results are kept
//! and merged again, and a sum that does not wrap.

mod binary;
pub(super) mod distinct;
pub(super) mod histogram;
pub(super) mod moments;
pub(super) mod sum;

use datafusion::arrow::array::{Array as _, BooleanArray};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::{AggregateUDF, AggregateUDFImpl, Expr};

/// The plain call of an aggregate function.
fn call(function: impl AggregateUDFImpl + 'static, arguments: Vec<Expr>) -> Expr {
    let function = AggregateUDF::new_from_impl(function).into();
    Expr::AggregateFunction(AggregateFunction::new_udf(
        function,
        arguments,
        false,
        None,
        vec![],
        None,
    ))
}

/// Whether a filter of an aggregate function lets a row through; null does not.
fn is_kept(filter: Option<&BooleanArray>, row: usize) -> bool {
    filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row))
}
