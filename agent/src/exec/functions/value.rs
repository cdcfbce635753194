//! Single values of any type, read from and collected into columns: what the row-wise functions
//! work on.

use std::borrow::Cow;
use std::net::Ipv6Addr;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, FixedSizeBinaryArray, PrimitiveArray,
    StringArray,
};
use datafusion::arrow::datatypes::{
    Float64Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use datafusion::common::{Result, exec_datafusion_err};

use crate::exec::types::IP_BYTES;
use crate::text;
use crate::types::EvType;

/// A value; numbers widened, addresses in 16 bytes.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Float(f64),
    Str(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
    Ip([u8; 16]),
    Mac(u64),
    Time(i64),
    Duration(i64),
}

impl<'a> Value<'a> {
    pub(super) fn string(text: impl Into<String>) -> Self {
        Self::Str(Cow::Owned(text.into()))
    }

    pub(super) fn float(value: Option<f64>) -> Self {
        value.map_or(Self::Null, Self::Float)
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The value as an integer, where it is one.
    pub(super) fn as_int(&self) -> Option<i64> {
        match self {
            Self::Bool(v) => Some(i64::from(*v)),
            Self::Int(v) | Self::Time(v) | Self::Duration(v) => Some(*v),
            // Above the range of Int64 the bits are kept.
            Self::UInt(v) | Self::Mac(v) => Some(v.cast_signed()),
            Self::Float(v) => float_to_int(*v),
            Self::Str(text) => parse_int(text.trim()),
            _ => None,
        }
    }

    /// The value as a number.
    pub(super) fn as_float(&self) -> Option<f64> {
        match self {
            Self::Bool(v) => Some(f64::from(u8::from(*v))),
            Self::Int(v) | Self::Time(v) | Self::Duration(v) => Some(*v as f64),
            Self::UInt(v) | Self::Mac(v) => Some(*v as f64),
            Self::Float(v) => Some(*v),
            Self::Str(text) => {
                let text = text.trim();
                text.parse()
                    .ok()
                    .or_else(|| parse_int(text).map(|v| v as f64))
            }
            _ => None,
        }
    }

    /// The bytes of text and bytes, else of the text form.
    pub(super) fn bytes(&self) -> Cow<'_, [u8]> {
        match self {
            Self::Bytes(bytes) => Cow::Borrowed(bytes),
            Self::Str(text) => Cow::Borrowed(text.as_bytes()),
            other => Cow::Owned(other.text().into_owned().into_bytes()),
        }
    }

    /// The text form; empty for an absent value.
    pub(super) fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Null => Cow::Borrowed(""),
            Self::Bool(v) => Cow::Borrowed(if *v { "true" } else { "false" }),
            Self::Int(v) => v.to_string().into(),
            Self::UInt(v) => v.to_string().into(),
            Self::Float(v) => text::float(*v).into(),
            Self::Str(text) => Cow::Borrowed(text),
            Self::Bytes(bytes) => String::from_utf8_lossy(bytes),
            Self::Ip(address) => text::ip(*address).into(),
            Self::Mac(address) => text::mac(*address).into(),
            Self::Time(time) => text::time(*time).into(),
            Self::Duration(duration) => text::duration(*duration).into(),
        }
    }
}

fn float_to_int(value: f64) -> Option<i64> {
    // 2^63 is the first float above the range.
    (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0)
        .contains(&value)
        .then_some(value as i64)
}

/// Decimal, `0x` hex or `0b` binary, with a sign.
pub(super) fn parse_int(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let value = if let Some(hex) = digits.strip_prefix("0x") {
        i128::from_str_radix(hex, 16)
    } else if let Some(binary) = digits.strip_prefix("0b") {
        i128::from_str_radix(binary, 2)
    } else {
        digits.parse()
    };
    let value = value.ok()?;
    i64::try_from(if negative { -value } else { value }).ok()
}

/// The IPv4 address, in host byte order, of an IPv4-mapped one (RFC 4291, 2.5.5.2).
pub(in crate::exec) fn mapped_v4(address: [u8; 16]) -> Option<u32> {
    Ipv6Addr::from(address).to_ipv4_mapped().map(u32::from)
}

/// The IPv4-mapped form of an IPv4 address in host byte order.
pub(in crate::exec) fn to_mapped(address: u32) -> [u8; 16] {
    std::net::Ipv4Addr::from(address).to_ipv6_mapped().octets()
}

/// A column, read value by value.
pub(super) enum Reader<'a> {
    Bool(&'a BooleanArray),
    UInt8(&'a PrimitiveArray<UInt8Type>),
    UInt16(&'a PrimitiveArray<UInt16Type>),
    UInt32(&'a PrimitiveArray<UInt32Type>),
    Ipv4(&'a PrimitiveArray<UInt32Type>),
    UInt64(&'a PrimitiveArray<UInt64Type>),
    Mac(&'a PrimitiveArray<UInt64Type>),
    Int64(&'a PrimitiveArray<Int64Type>),
    Time(&'a PrimitiveArray<Int64Type>),
    Duration(&'a PrimitiveArray<Int64Type>),
    Float64(&'a PrimitiveArray<Float64Type>),
    String(&'a StringArray),
    Bytes(&'a BinaryArray),
    Ip(&'a FixedSizeBinaryArray),
}

impl<'a> Reader<'a> {
    pub(super) fn new(array: &'a dyn Array, ty: EvType) -> Result<Self> {
        let reader = match ty {
            EvType::Bool => array.as_boolean_opt().map(Self::Bool),
            EvType::UInt8 => array.as_primitive_opt().map(Self::UInt8),
            EvType::UInt16 => array.as_primitive_opt().map(Self::UInt16),
            EvType::UInt32 => array.as_primitive_opt().map(Self::UInt32),
            EvType::Ipv4 => array.as_primitive_opt().map(Self::Ipv4),
            EvType::UInt64 => array.as_primitive_opt().map(Self::UInt64),
            EvType::Mac => array.as_primitive_opt().map(Self::Mac),
            EvType::Int64 => array.as_primitive_opt().map(Self::Int64),
            EvType::Time => array.as_primitive_opt().map(Self::Time),
            EvType::Duration => array.as_primitive_opt().map(Self::Duration),
            EvType::Float64 => array.as_primitive_opt().map(Self::Float64),
            EvType::String => array.as_string_opt().map(Self::String),
            EvType::Bytes => array.as_binary_opt().map(Self::Bytes),
            EvType::Ip => array.as_fixed_size_binary_opt().map(Self::Ip),
        };
        reader.ok_or_else(|| {
            exec_datafusion_err!(
                "a column of type {} was to hold {ty} values",
                array.data_type()
            )
        })
    }

    pub(super) fn get(&self, row: usize) -> Value<'a> {
        macro_rules! get {
            ($array:expr, $make:expr) => {
                if $array.is_null(row) {
                    Value::Null
                } else {
                    $make($array.value(row))
                }
            };
        }
        match self {
            Self::Bool(a) => get!(a, Value::Bool),
            Self::UInt8(a) => get!(a, |v: u8| Value::UInt(v.into())),
            Self::UInt16(a) => get!(a, |v: u16| Value::UInt(v.into())),
            Self::UInt32(a) => get!(a, |v: u32| Value::UInt(v.into())),
            Self::Ipv4(a) => get!(a, |v| Value::Ip(to_mapped(v))),
            Self::UInt64(a) => get!(a, Value::UInt),
            Self::Mac(a) => get!(a, Value::Mac),
            Self::Int64(a) => get!(a, Value::Int),
            Self::Time(a) => get!(a, Value::Time),
            Self::Duration(a) => get!(a, Value::Duration),
            Self::Float64(a) => get!(a, Value::Float),
            Self::String(a) => get!(a, |v| Value::Str(Cow::Borrowed(v))),
            Self::Bytes(a) => get!(a, |v| Value::Bytes(Cow::Borrowed(v))),
            Self::Ip(a) => get!(a, |v: &[u8]| v.try_into().map_or(Value::Null, Value::Ip)),
        }
    }
}

/// Values as a column of a type; a value that does not fit is null.
pub(super) fn collect<'a>(ty: EvType, values: impl Iterator<Item = Value<'a>>) -> Result<ArrayRef> {
    let unsigned = |v: Value<'a>| match v {
        Value::UInt(v) | Value::Mac(v) => Some(v),
        Value::Null => None,
        other => other.as_int().and_then(|v| u64::try_from(v).ok()),
    };
    Ok(match ty {
        EvType::Bool => Arc::new(
            values
                .map(|v| match v {
                    Value::Bool(v) => Some(v),
                    _ => None,
                })
                .collect::<BooleanArray>(),
        ),
        EvType::UInt8 => Arc::new(
            values
                .map(|v| unsigned(v).and_then(|v| u8::try_from(v).ok()))
                .collect::<PrimitiveArray<UInt8Type>>(),
        ),
        EvType::UInt16 => Arc::new(
            values
                .map(|v| unsigned(v).and_then(|v| u16::try_from(v).ok()))
                .collect::<PrimitiveArray<UInt16Type>>(),
        ),
        EvType::UInt32 => Arc::new(
            values
                .map(|v| unsigned(v).and_then(|v| u32::try_from(v).ok()))
                .collect::<PrimitiveArray<UInt32Type>>(),
        ),
        EvType::UInt64 | EvType::Mac => {
            Arc::new(values.map(unsigned).collect::<PrimitiveArray<UInt64Type>>())
        }
        EvType::Int64 | EvType::Time | EvType::Duration => Arc::new(
            values
                .map(|v| v.as_int())
                .collect::<PrimitiveArray<Int64Type>>(),
        ),
        EvType::Float64 => Arc::new(
            values
                .map(|v| v.as_float())
                .collect::<PrimitiveArray<Float64Type>>(),
        ),
        EvType::Ipv4 => Arc::new(
            values
                .map(|v| match v {
                    Value::Ip(address) => mapped_v4(address),
                    _ => None,
                })
                .collect::<PrimitiveArray<UInt32Type>>(),
        ),
        EvType::Ip => Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(
            values.map(|v| match v {
                Value::Ip(address) => Some(address),
                _ => None,
            }),
            IP_BYTES,
        )?),
        EvType::String => Arc::new(
            values
                .map(|v| (!v.is_null()).then(|| v.text().into_owned()))
                .collect::<StringArray>(),
        ),
        EvType::Bytes => Arc::new(
            values
                .map(|v| (!v.is_null()).then(|| v.bytes().into_owned()))
                .collect::<BinaryArray>(),
        ),
    })
}
