//! The test of a whole column against a constant.

use std::ops::RangeInclusive;

use datafusion::arrow::array::{Array, AsArray, PrimitiveArray};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::datatypes::{
    ArrowPrimitiveType, DataType, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};

use crate::exec::scan::test::Test;
use crate::exec::scan::view::Value;
use crate::exec::types::IP_BYTES;

/// A bit for each value.
#[inline]
pub(super) fn buffer<T: Copy>(values: &[T], test: impl Fn(T) -> bool) -> BooleanBuffer {
    let mut bits = values.iter();
    // As many calls as values, in order.
    BooleanBuffer::collect_bool(values.len(), |_| bits.next().is_some_and(|v| test(*v)))
}

/// The values for which the test holds; what it says of a row without a value means nothing.
pub(super) fn holds(test: &Test, array: &dyn Array) -> BooleanBuffer {
    match (test, array.data_type()) {
        (Test::Unsigned(range, inside), DataType::UInt8) => {
            unsigned::<UInt8Type>(array.as_primitive(), range, *inside)
        }
        (Test::Unsigned(range, inside), DataType::UInt16) => {
            unsigned::<UInt16Type>(array.as_primitive(), range, *inside)
        }
        (Test::Unsigned(range, inside), DataType::UInt32) => {
            unsigned::<UInt32Type>(array.as_primitive(), range, *inside)
        }
        (Test::Unsigned(range, inside), DataType::UInt64) => {
            unsigned::<UInt64Type>(array.as_primitive(), range, *inside)
        }
        (Test::Signed(range, inside), DataType::Int64) => {
            let values = array.as_primitive::<Int64Type>().values();
            buffer(values, |value| range.contains(&value) == *inside)
        }
        (Test::Subnet(set), DataType::UInt32) => {
            let values = array.as_primitive::<UInt32Type>().values();
            match set.single_v4() {
                Some((network, mask)) => buffer(values, |address| address & mask == network),
                None => buffer(values, |address| set.contains_v4(address)),
            }
        }
        (Test::Subnet(_) | Test::Bytes(..), DataType::FixedSizeBinary(IP_BYTES)) => {
            let (addresses, _) = array.as_fixed_size_binary().value_data().as_chunks();
            buffer(addresses, |address| test.holds(&Value::Ip(address)))
        }
        (Test::True, DataType::Boolean) => array.as_boolean().values().clone(),
        (Test::Bool(..), DataType::Boolean) => {
            let values = array.as_boolean().values();
            let of = |value| test.holds(&Value::Bool(value));
            let (if_true, if_false) = (of(true), of(false));
            BooleanBuffer::collect_bool(values.len(), |at| match values.value(at) {
                true => if_true,
                false => if_false,
            })
        }
        // No column yields a value of another type.
        _ => BooleanBuffer::new_unset(array.len()),
    }
}

fn unsigned<T: ArrowPrimitiveType>(
    array: &PrimitiveArray<T>,
    range: &RangeInclusive<u64>,
    inside: bool,
) -> BooleanBuffer
where
    T::Native: Into<u64>,
{
    let (low, high) = (*range.start(), *range.end());
    buffer(array.values(), |value| {
        let value: u64 = value.into();
        (low <= value && value <= high) == inside
    })
}
