//! The scalar functions that the engine does not have.
//!
//! [`Function`] evaluates the functions of `plan::functions`, and a few that only the lowering
//! uses, row by row; the types of its arguments are part of it, since one Arrow type may hold
//! several types of value.

pub mod in_subnet;
mod network;
mod number;
mod packet;
mod pattern;
mod printf;
mod text;
mod time;
mod value;
pub(super) mod window;

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use self::pattern::Pattern;
use self::value::{Reader, Value, collect};
pub(super) use self::value::{mapped_v4, to_mapped};
use super::error::Error;
use super::types::arrow_type;
use crate::decode::{self, Layer};
use crate::types::EvType;
use crate::zone::Zone;

/// The work of a function on one row.
type Eval = for<'a> fn(&Context, &[Value<'a>]) -> Value<'a>;

/// A function by name: whether an absent argument makes the result absent, and its work.
#[derive(Clone, Copy, Debug)]
struct Entry {
    name: &'static str,
    strict: bool,
    eval: Eval,
}

/// Short form of an entry that is absent where an argument is.
const fn strict(name: &'static str, eval: Eval) -> Entry {
    Entry {
        name,
        strict: true,
        eval,
    }
}

/// Short form of an entry that sees absent arguments.
const fn lenient(name: &'static str, eval: Eval) -> Entry {
    Entry {
        name,
        strict: false,
        eval,
    }
}

/// Names of the functions that only the lowering uses.
pub(super) const CAST: &str = "convert";
/// Entropy of a byte histogram.
pub(super) const ENTROPY: &str = "histogram_entropy";
/// Number of values of a distinct set.
pub(super) const SET_LENGTH: &str = "set_length";

fn find(name: &str) -> Option<&'static Entry> {
    [
        text::FUNCTIONS,
        network::FUNCTIONS,
        packet::FUNCTIONS,
        number::FUNCTIONS,
        time::FUNCTIONS,
    ]
    .into_iter()
    .flatten()
    .find(|entry| entry.name == name)
}

/// What a call knows beside its arguments.
#[derive(Debug)]
struct Context {
    result: EvType,
    prepared: Prepared,
}

/// What a call makes of its constant arguments, once.
#[derive(Debug)]
enum Prepared {
    Nothing,
    Pattern(Pattern),
    /// A packet field of bytes that start with a layer.
    Field {
        start: Layer,
        extract: decode::Extract,
    },
    Zone(Zone),
}

impl Prepared {
    /// `constants` are the arguments that are constant texts, by position.
    fn new(function: &str, constants: &[Option<&str>]) -> Result<Self, Error> {
        let constant =
            |position: usize, what: &str| {
                constants.get(position).copied().flatten().ok_or_else(|| {
                    Error::Query(format!("the {what} of {function} must be a constant"))
                })
            };
        let pattern = |position| {
            Pattern::new(constant(position, "pattern")?)
                .map(Self::Pattern)
                .map_err(|error| Error::Query(format!("invalid pattern: {error}")))
        };
        match function {
            "match" => pattern(0),
            "regex_match" | "regex_capture" | "regex_capture_all" => pattern(1),
            "packet_field" | "inner_packet_field" => {
                packet::prepare(constant(1, "layer")?, constant(2, "field")?)
            }
            "parse_time" | "format_time" => match constants.get(2).copied().flatten() {
                Some(name) => Zone::find(name)
                    .map(Self::Zone)
                    .map_err(|error| Error::Query(error.to_string())),
                None => Ok(Self::Nothing),
            },
            _ => Ok(Self::Nothing),
        }
    }
}

/// A call of a row-wise function on arguments of known types.
#[derive(Debug)]
pub(super) struct Function {
    entry: &'static Entry,
    arguments: Vec<EvType>,
    constants: Vec<Option<String>>,
    context: Context,
    signature: Signature,
}

impl Function {
    /// The call of a function. `constants` are the arguments that are constant texts, by position;
    /// functions that need none may be called without.
    pub(super) fn call(
        name: &str,
        arguments: Vec<(Expr, EvType)>,
        result: EvType,
        constants: &[Option<&str>],
    ) -> Result<Expr, Error> {
        let Some(entry) = find(name) else {
            return Err(Error::Internal(format!(
                "function {name} is not implemented"
            )));
        };
        let prepared = Prepared::new(name, constants)?;
        let (exprs, arguments): (Vec<_>, Vec<_>) = arguments.into_iter().unzip();
        let types: Vec<_> = arguments.iter().map(|ty| arrow_type(*ty)).collect();
        let signature = if types.is_empty() {
            Signature::nullary(Volatility::Immutable)
        } else {
            Signature::exact(types, Volatility::Immutable)
        };
        let function = Self {
            entry,
            arguments,
            constants: constants.iter().map(|c| c.map(str::to_owned)).collect(),
            context: Context { result, prepared },
            signature,
        };
        Ok(ScalarUDF::new_from_impl(function).call(exprs))
    }

    fn key(&self) -> (&str, &[EvType], EvType, &[Option<String>]) {
        (
            self.entry.name,
            &self.arguments,
            self.context.result,
            &self.constants,
        )
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.entry.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(arrow_type(self.context.result))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args
            .args
            .iter()
            .all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let arrays = args
            .args
            .iter()
            .map(|arg| match arg {
                ColumnarValue::Array(array) => Ok((Arc::clone(array), false)),
                ColumnarValue::Scalar(scalar) => Ok((scalar.to_array_of_size(1)?, true)),
            })
            .collect::<Result<Vec<_>>>()?;
        let readers = arrays
            .iter()
            .zip(&self.arguments)
            .map(|((array, scalar), ty)| Ok((Reader::new(array.as_ref(), *ty)?, *scalar)))
            .collect::<Result<Vec<_>>>()?;
        let mut values = Vec::with_capacity(readers.len());
        let result = collect(
            self.context.result,
            (0..rows).map(|row| {
                values.clear();
                let row_values = readers
                    .iter()
                    .map(|(reader, scalar)| reader.get(if *scalar { 0 } else { row }));
                values.extend(row_values);
                if self.entry.strict && values.iter().any(Value::is_null) {
                    return Value::Null;
                }
                (self.entry.eval)(&self.context, &values)
            }),
        )?;
        Ok(if constant {
            ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?)
        } else {
            ColumnarValue::Array(result)
        })
    }
}

#[cfg(test)]
mod tests;
