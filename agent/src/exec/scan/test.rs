//! The test of one value against a constant.

use std::cmp::Ordering;
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;

use super::prune::Wanted;
use super::view::Value;
use crate::exec::functions::in_subnet::SubnetSet;
use crate::exec::types::IP_BYTES;
use crate::plan::pipeline::Comparison;

/// A test of a value that is present. Integers are tested as a range, so that one form does for
/// every comparison.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::exec) enum Test {
    /// The Boolean itself.
    True,
    /// In the range, if that is wanted.
    Unsigned(RangeInclusive<u64>, bool),
    /// In the range, if that is wanted.
    Signed(RangeInclusive<i64>, bool),
    Bool(Comparison, bool),
    /// Strings (by code point, which is by byte), bytes and addresses.
    Bytes(Comparison, Vec<u8>),
    Subnet(SubnetSet),
}

impl Test {
    /// The comparison of a column of an Arrow type with a constant; `None` where the engine
    /// would have to convert either (except integers among each other).
    pub(super) fn compare(op: Comparison, ty: &DataType, literal: &ScalarValue) -> Option<Self> {
        if ty.is_integer() {
            let (range, inside) = range(op, integer(literal)?);
            return Some(if ty.is_unsigned_integer() {
                Self::Unsigned(narrow(range, 0, u64::MAX), inside)
            } else {
                Self::Signed(narrow(range, i64::MIN, i64::MAX), inside)
            });
        }
        Some(match (ty, literal) {
            (DataType::Boolean, ScalarValue::Boolean(Some(value))) => Self::Bool(op, *value),
            (DataType::Utf8, ScalarValue::Utf8(Some(text))) => {
                Self::Bytes(op, text.clone().into_bytes())
            }
            (DataType::Binary, ScalarValue::Binary(Some(bytes)))
            | (
                DataType::FixedSizeBinary(IP_BYTES),
                ScalarValue::FixedSizeBinary(IP_BYTES, Some(bytes)),
            ) => Self::Bytes(op, bytes.clone()),
            _ => return None,
        })
    }

    /// Whether the value passes; `false` for a value of another type, which no column yields.
    #[inline]
    pub(super) fn holds(&self, value: &Value<'_>) -> bool {
        match (self, value) {
            (Self::True, Value::Bool(value)) => *value,
            (Self::Unsigned(range, inside), Value::UInt(value)) => range.contains(value) == *inside,
            (Self::Signed(range, inside), Value::Int(value)) => range.contains(value) == *inside,
            (Self::Subnet(set), Value::UInt(value)) => {
                u32::try_from(*value).is_ok_and(|address| set.contains_v4(address))
            }
            (Self::Subnet(set), Value::Ip(address)) => set.contains(*address),
            (Self::Bool(op, literal), Value::Bool(value)) => ordered(*op, value.cmp(literal)),
            (Self::Bytes(op, literal), Value::Ip(value)) => {
                ordered(*op, value.as_slice().cmp(literal))
            }
            (Self::Bytes(op, literal), Value::Bytes(value)) => ordered(*op, (*value).cmp(literal)),
            (Self::Bytes(op, literal), Value::Text(value)) => {
                ordered(*op, value.as_bytes().cmp(literal))
            }
            _ => false,
        }
    }

    /// Numbers of which one passes, as ranges; `None`: not to be said in few.
    pub(super) fn wanted_numbers(&self) -> Option<Wanted<u64>> {
        match self {
            Self::Unsigned(range, true) => Some(vec![(*range.start(), *range.end())]),
            _ => None,
        }
    }

    /// The same of addresses of either family, IPv4 as mapped.
    pub(super) fn wanted_addresses(&self) -> Option<Wanted<[u8; 16]>> {
        match self {
            Self::Bytes(Comparison::Eq, address) => {
                let address = <[u8; 16]>::try_from(address.as_slice()).ok()?;
                Some(vec![(address, address)])
            }
            Self::Subnet(set) => Some(set.ranges()),
            _ => None,
        }
    }

    /// The same of a column of IPv4 addresses as numbers.
    pub(super) fn wanted_addresses_v4(&self) -> Option<Wanted<[u8; 16]>> {
        match self {
            Self::Unsigned(range, true) => {
                let mapped = |address: u64| {
                    u32::try_from(address).map(|v4| Ipv4Addr::from(v4).to_ipv6_mapped().octets())
                };
                let low = mapped(*range.start()).ok()?;
                let high = mapped((*range.end()).min(u64::from(u32::MAX))).ok()?;
                Some(vec![(low, high)])
            }
            Self::Subnet(set) => Some(set.ranges()),
            _ => None,
        }
    }

    /// A rough order of dearness.
    pub(super) fn cost(&self) -> usize {
        match self {
            Self::True | Self::Unsigned(..) | Self::Signed(..) | Self::Bool(..) => 1,
            Self::Subnet(_) => 2,
            Self::Bytes(..) => 3,
        }
    }
}

/// The integers for which a comparison holds, as a range that they are in or are not in.
fn range(op: Comparison, literal: i128) -> (RangeInclusive<i128>, bool) {
    match op {
        Comparison::Eq => (literal..=literal, true),
        Comparison::Ne => (literal..=literal, false),
        Comparison::Ge => (literal..=i128::MAX, true),
        Comparison::Lt => (literal..=i128::MAX, false),
        Comparison::Gt => (literal + 1..=i128::MAX, true),
        Comparison::Le => (literal + 1..=i128::MAX, false),
    }
}

/// The part of a range that a type can hold; empty (`max..=min`) if there is none.
fn narrow<T>(range: RangeInclusive<i128>, min: T, max: T) -> RangeInclusive<T>
where
    T: Copy + TryFrom<i128> + Into<i128>,
{
    let (low, high) = (
        *range.start().max(&min.into()),
        *range.end().min(&max.into()),
    );
    match (T::try_from(low), T::try_from(high)) {
        (Ok(low), Ok(high)) if range.start() <= range.end() => low..=high,
        _ => max..=min,
    }
}

/// An integer constant; 64-bit values leave room in 128 bits for their neighbours.
fn integer(literal: &ScalarValue) -> Option<i128> {
    Some(match literal {
        ScalarValue::Int8(Some(value)) => i128::from(*value),
        ScalarValue::Int16(Some(value)) => i128::from(*value),
        ScalarValue::Int32(Some(value)) => i128::from(*value),
        ScalarValue::Int64(Some(value)) => i128::from(*value),
        ScalarValue::UInt8(Some(value)) => i128::from(*value),
        ScalarValue::UInt16(Some(value)) => i128::from(*value),
        ScalarValue::UInt32(Some(value)) => i128::from(*value),
        ScalarValue::UInt64(Some(value)) => i128::from(*value),
        _ => return None,
    })
}

fn ordered(op: Comparison, ordering: Ordering) -> bool {
    match op {
        Comparison::Eq => ordering.is_eq(),
        Comparison::Ne => ordering.is_ne(),
        Comparison::Lt => ordering.is_lt(),
        Comparison::Le => ordering.is_le(),
        Comparison::Gt => ordering.is_gt(),
        Comparison::Ge => ordering.is_ge(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integer_ranges_agree_with_comparison_at_every_edge() {
        use Comparison::{Eq, Ge, Gt, Le, Lt, Ne};
        let values = [0, 1, 79, 80, 81, u64::MAX - 1, u64::MAX];
        let literals = [
            (ScalarValue::Int64(Some(-1)), -1),
            (ScalarValue::Int64(Some(0)), 0),
            (ScalarValue::UInt16(Some(80)), 80),
            (ScalarValue::UInt64(Some(u64::MAX)), i128::from(u64::MAX)),
        ];
        for (literal, number) in &literals {
            for op in [Eq, Ne, Lt, Le, Gt, Ge] {
                let test = Test::compare(op, &DataType::UInt64, literal).unwrap();
                for value in values {
                    let expected = ordered(op, i128::from(value).cmp(number));
                    assert_eq!(
                        test.holds(&Value::UInt(value)),
                        expected,
                        "{value} {op:?} {number}"
                    );
                }
            }
        }
    }

    #[test]
    fn signed_edges() {
        let least = ScalarValue::Int64(Some(i64::MIN));
        let test = |op| Test::compare(op, &DataType::Int64, &least).unwrap();
        assert!(test(Comparison::Le).holds(&Value::Int(i64::MIN)));
        assert!(!test(Comparison::Lt).holds(&Value::Int(i64::MIN)));
        assert!(test(Comparison::Gt).holds(&Value::Int(i64::MAX)));
    }

    #[test]
    fn no_test_across_types() {
        let text = ScalarValue::Utf8(Some("80".to_owned()));
        assert_eq!(
            Test::compare(Comparison::Eq, &DataType::UInt16, &text),
            None
        );
        let null = ScalarValue::UInt16(None);
        assert_eq!(
            Test::compare(Comparison::Eq, &DataType::UInt16, &null),
            None
        );
    }
}
