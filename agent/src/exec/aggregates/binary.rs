//! The frame of aggregates whose partial result is a Binary value: one function that makes it of
//! values, and one that merges it again.

use std::fmt::Debug;
use std::hash::Hash;
use std::marker::PhantomData;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray as _, BinaryArray};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, exec_datafusion_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, Expr, Signature, Volatility};

/// An aggregate with such a partial result.
pub(super) trait Kind: Debug + Copy + Eq + Hash + Send + Sync + 'static {
    /// Name of the function of values.
    const NAME: &'static str;
    /// Name of the function of partial results.
    const MERGE_NAME: &'static str;

    /// What the function of values takes.
    fn takes() -> Signature;

    /// The accumulator of values, or (`merge`) of partial results.
    fn accumulator(merge: bool, args: &AccumulatorArgs) -> Result<Box<dyn Accumulator>>;
}

/// The partial result of values.
pub(super) fn of_values<K: Kind>(values: Expr) -> Expr {
    super::call(Function::<K>::new(false, K::takes()), vec![values])
}

/// The partial result of partial results.
pub(super) fn of_partial<K: Kind>(partial: Expr) -> Expr {
    super::call(Function::<K>::new(true, bytes()), vec![partial])
}

/// One Binary argument.
pub(super) fn bytes() -> Signature {
    Signature::exact(vec![DataType::Binary], Volatility::Immutable)
}

/// The only argument as Binary values.
pub(super) fn argument<K: Kind>(arrays: &[ArrayRef]) -> Result<&BinaryArray> {
    arrays
        .first()
        .and_then(|array| array.as_binary_opt::<i32>())
        .ok_or_else(|| exec_datafusion_err!("{} takes bytes", K::NAME))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Function<K> {
    merge: bool,
    signature: Signature,
    kind: PhantomData<K>,
}

impl<K> Function<K> {
    fn new(merge: bool, signature: Signature) -> Self {
        Self {
            merge,
            signature,
            kind: PhantomData,
        }
    }
}

impl<K: Kind> AggregateUDFImpl for Function<K> {
    fn name(&self) -> &str {
        if self.merge { K::MERGE_NAME } else { K::NAME }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Binary)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new(
            args.name,
            DataType::Binary,
            true,
        ))])
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        K::accumulator(self.merge, &args)
    }
}
