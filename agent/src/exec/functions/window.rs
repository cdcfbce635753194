//! `window_start`: the start of the time window that an instant lies in.

use std::sync::Arc;

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// The function of a time in nanoseconds: windows of `width` nanoseconds, one of which starts at
/// `origin`. Rounds down before the origin too; null stays null.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(in crate::exec) struct WindowStart {
    width: i64,
    origin: i64,
    signature: Signature,
}

impl WindowStart {
    /// The call of the function on a time.
    pub(in crate::exec) fn call(time: Expr, width: i64, origin: i64) -> Expr {
        let signature = Signature::exact(vec![DataType::Int64], Volatility::Immutable);
        let function = Self {
            width: width.max(1),
            origin,
            signature,
        };
        ScalarUDF::new_from_impl(function).call(vec![time])
    }
}

/// The start of the window that `time` lies in.
pub(in crate::exec) fn window_start(time: i64, width: i64, origin: i64) -> i64 {
    let width = width.max(1);
    time.wrapping_sub(time.wrapping_sub(origin).rem_euclid(width))
}

impl ScalarUDFImpl for WindowStart {
    fn name(&self) -> &str {
        "window_start"
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let time = args.first().map(|arg| arg.schema_name().to_string());
        let time = time.unwrap_or_default();
        Ok(format!(
            "window_start({time}, {}, {})",
            self.width, self.origin
        ))
    }

    fn display_name(&self, args: &[Expr]) -> Result<String> {
        self.schema_name(args)
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [time] = args.args.as_slice() else {
            return exec_err!("window_start takes one time, not {}", args.args.len());
        };
        let time = time.to_array(args.number_rows)?;
        let starts = time
            .as_primitive::<Int64Type>()
            .unary::<_, Int64Type>(|time| window_start(time, self.width, self.origin));
        Ok(ColumnarValue::Array(Arc::new(starts)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_down_on_both_sides_of_the_origin() {
        let cases = [(0, 0), (999, 0), (1000, 1000), (-1, -1000), (-1000, -1000)];
        for (time, start) in cases {
            assert_eq!(window_start(time, 1000, 0), start, "{time}");
        }
        assert_eq!(window_start(1499, 1000, 500), 500);
        assert_eq!(window_start(499, 1000, 500), -500);
    }
}
