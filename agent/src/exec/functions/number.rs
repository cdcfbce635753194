//! Functions of numbers, conversions, and those of aggregate state.

use super::network::{parse_ip, parse_mac};
use super::text::{one, two};
use super::value::Value;
use super::{CAST, Context, ENTROPY, Entry, SET_LENGTH, lenient, strict};
use crate::exec::aggregates::{distinct, histogram};
use crate::types::EvType;

pub(super) const FUNCTIONS: &[Entry] = &[
    strict("math_abs", |_, v| math(v, |x| Some(x.abs()))),
    strict("math_ceil", |_, v| math(v, |x| Some(x.ceil()))),
    strict("math_floor", |_, v| math(v, |x| Some(x.floor()))),
    strict("math_round", |_, v| math(v, |x| Some(x.round()))),
    strict("math_sqrt", |_, v| {
        math(v, |x| (x >= 0.0).then(|| x.sqrt()))
    }),
    strict("math_log", |_, v| math(v, |x| (x > 0.0).then(|| x.ln()))),
    strict("math_log2", |_, v| math(v, |x| (x > 0.0).then(|| x.log2()))),
    strict("math_log10", |_, v| {
        math(v, |x| (x > 0.0).then(|| x.log10()))
    }),
    strict("math_pow", |_, v| math2(v, f64::powf)),
    strict("math_min", |_, v| math2(v, f64::min)),
    strict("math_max", |_, v| math2(v, f64::max)),
    strict("hash_fnv64", |_, v| {
        one(v, |v| Value::UInt(fnv64(&v.bytes())))
    }),
    strict("hash_crc32", |_, v| {
        one(v, |v| Value::UInt(crc32(&v.bytes()).into()))
    }),
    strict("read_number", |_, v| two(v, read_number)),
    strict("/", |c, v| divide(c, v, i64::wrapping_div, |a, b| a / b)),
    strict("%", |c, v| divide(c, v, i64::wrapping_rem, |a, b| a % b)),
    strict("&", |_, v| bits(v, |a, b| a & b)),
    strict("|", |_, v| bits(v, |a, b| a | b)),
    strict("^", |_, v| bits(v, |a, b| a ^ b)),
    strict("<<", |_, v| {
        bits(v, |a, b| {
            shift(b).map_or(0, |n| a.checked_shl(n).unwrap_or(0))
        })
    }),
    strict(">>", |_, v| {
        bits(v, |a, b| shift(b).map_or(0, |n| a >> n.min(63)))
    }),
    lenient(CAST, |c, v| one(v, |v| convert(c.result, v))),
    strict(ENTROPY, |_, v| {
        one(v, |v| Value::float(histogram::entropy(&v.bytes())))
    }),
    strict(SET_LENGTH, |_, v| {
        one(v, |v| Value::Int(distinct::length(&v.bytes())))
    }),
];

fn math<'a>(values: &[Value<'a>], f: impl Fn(f64) -> Option<f64>) -> Value<'a> {
    one(values, |v| Value::float(v.as_float().and_then(&f)))
}

fn math2<'a>(values: &[Value<'a>], f: impl Fn(f64, f64) -> f64) -> Value<'a> {
    two(values, |a, b| {
        Value::float(a.as_float().zip(b.as_float()).map(|(a, b)| f(a, b)))
    })
}

fn divide<'a>(
    context: &Context,
    values: &[Value<'a>],
    ints: fn(i64, i64) -> i64,
    floats: fn(f64, f64) -> f64,
) -> Value<'a> {
    two(values, |a, b| {
        if context.result == EvType::Float64 {
            let pair = a.as_float().zip(b.as_float()).filter(|(_, b)| *b != 0.0);
            Value::float(pair.map(|(a, b)| floats(a, b)))
        } else {
            let pair = a.as_int().zip(b.as_int()).filter(|(_, b)| *b != 0);
            pair.map_or(Value::Null, |(a, b)| Value::Int(ints(a, b)))
        }
    })
}

fn bits<'a>(values: &[Value<'a>], f: impl Fn(i64, i64) -> i64) -> Value<'a> {
    two(values, |a, b| {
        let pair = a.as_int().zip(b.as_int());
        pair.map_or(Value::Null, |(a, b)| Value::Int(f(a, b)))
    })
}

/// A shift distance; negative ones shift everything out.
fn shift(distance: i64) -> Option<u32> {
    u32::try_from(distance).ok()
}

/// Conversion to a type, null where it cannot be done.
fn convert<'a>(to: EvType, value: &Value<'a>) -> Value<'a> {
    match (to, value) {
        (_, Value::Null) => Value::Null,
        (EvType::Bool, Value::Bool(v)) => Value::Bool(*v),
        (EvType::Bool, Value::Str(text)) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" => Value::Bool(true),
            "false" | "0" => Value::Bool(false),
            _ => Value::Null,
        },
        (EvType::Bool, value) => value
            .as_float()
            .map_or(Value::Null, |v| Value::Bool(v != 0.0)),
        (EvType::Ip | EvType::Ipv4, Value::Str(text)) => {
            parse_ip(text).map_or(Value::Null, Value::Ip)
        }
        (EvType::Ip | EvType::Ipv4, Value::Bytes(bytes)) => read_ip(bytes),
        (EvType::Ip | EvType::Ipv4, Value::Int(_) | Value::UInt(_)) => value
            .as_int()
            .and_then(|v| u32::try_from(v).ok())
            .map_or(Value::Null, |v| Value::Ip(super::to_mapped(v))),
        (EvType::Mac, Value::Str(text)) => parse_mac(text).map_or(Value::Null, Value::Mac),
        (EvType::Duration, Value::Str(text)) => {
            crate::lang::time::parse_duration_ns(text.trim()).map_or(Value::Null, Value::Duration)
        }
        (EvType::Time, Value::Str(text)) => {
            super::time::guess(text).map_or(Value::Null, Value::Time)
        }
        // An IPv4 address as a number, the way back of the above.
        (ty, Value::Ip(address)) if ty.is_integer() => {
            super::mapped_v4(*address).map_or(Value::Null, |v| Value::UInt(v.into()))
        }
        (_, value) => value.clone(),
    }
}

fn read_ip<'a>(bytes: &[u8]) -> Value<'a> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        Value::Ip(super::to_mapped(u32::from_be_bytes(v4)))
    } else {
        bytes.try_into().map_or(Value::Null, Value::Ip)
    }
}

fn read_number<'a>(bytes: &Value<'a>, kind: &Value<'a>) -> Value<'a> {
    let kind = kind.text().to_ascii_lowercase();
    let Some((width, _)) = crate::plan::functions::number_kind(&kind) else {
        return Value::Null;
    };
    let bytes = bytes.bytes();
    let Some(bytes) = bytes.get(..width) else {
        return Value::Null;
    };
    if kind.starts_with("ip") {
        return read_ip(bytes);
    }
    let big_endian = kind.ends_with("be");
    let mut wide = [0; 8];
    for (to, from) in wide.iter_mut().enumerate().map(|(place, to)| {
        let from = if big_endian {
            width.checked_sub(place + 1)
        } else {
            Some(place)
        };
        (to, from.and_then(|at| bytes.get(at)))
    }) {
        *to = from.copied().unwrap_or(0);
    }
    let value = u64::from_le_bytes(wide);
    let unused = 64 - 8 * width as u32;
    match kind.as_str() {
        "float32" => Value::Float(f32::from_bits(value as u32).into()),
        "float64" => Value::Float(f64::from_bits(value)),
        signed if signed.starts_with("int") => {
            Value::Int((value << unused).cast_signed() >> unused)
        }
        _ => Value::UInt(value),
    }
}

/// FNV-1a (draft-eastlake-fnv).
fn fnv64(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// CRC-32 of IEEE 802.3, reflected.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}
