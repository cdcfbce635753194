//! Functions of text and bytes.

use std::borrow::Cow;
use std::fmt::Write as _;

use memchr::memmem;

use super::printf::printf;
use super::value::Value;
use super::{Context, Entry, Prepared, lenient, strict};

pub(super) const FUNCTIONS: &[Entry] = &[
    strict("regex_match", regex_match),
    strict("regex_capture", regex_capture),
    strict("regex_capture_all", regex_capture_all),
    strict("match", |c, v| regex_match_value(c, v.get(1))),
    strict("contains", |_, v| two(v, contains)),
    lenient("join_text", |_, v| {
        let present: Vec<_> = v.iter().filter(|v| !v.is_null()).map(Value::text).collect();
        Value::string(present.join(" "))
    }),
    strict("to_text", |_, v| one(v, |v| Value::string(v.text()))),
    strict("length", |_, v| {
        one(v, |v| Value::Int(v.bytes().len() as i64))
    }),
    strict("len", |_, v| one(v, |v| Value::Int(v.bytes().len() as i64))),
    lenient("slice", |_, v| slice(v)),
    lenient("printf", |_, v| printf(v)),
    strict("strings_contains", |_, v| two(v, contains)),
    strict("strings_has_prefix", |_, v| {
        two(v, |a, b| Value::Bool(a.bytes().starts_with(&b.bytes())))
    }),
    strict("strings_has_suffix", |_, v| {
        two(v, |a, b| Value::Bool(a.bytes().ends_with(&b.bytes())))
    }),
    strict("strings_index", |_, v| {
        two(v, |a, b| {
            let position = memmem::find(&a.bytes(), &b.bytes());
            Value::Int(position.map_or(-1, |at| at as i64))
        })
    }),
    strict("strings_to_lower", |_, v| {
        one(v, |v| Value::string(v.text().to_lowercase()))
    }),
    strict("strings_to_upper", |_, v| {
        one(v, |v| Value::string(v.text().to_uppercase()))
    }),
    strict("strings_trim_space", |_, v| {
        one(v, |v| Value::string(v.text().trim()))
    }),
    strict("strings_replace_all", |_, v| match v {
        [text, old, new] => Value::string(text.text().replace(old.text().as_ref(), &new.text())),
        _ => Value::Null,
    }),
    strict("hex_encode", |_, v| {
        one(v, |v| Value::string(hex(&v.bytes(), false)))
    }),
    strict("hex_decode", |_, v| {
        one(v, |v| {
            hex_decode(&v.text()).map_or(Value::Null, |bytes| Value::Bytes(bytes.into()))
        })
    }),
];

/// Applies a function of one argument.
pub(super) fn one<'a>(values: &[Value<'a>], f: impl Fn(&Value<'a>) -> Value<'a>) -> Value<'a> {
    values.first().map_or(Value::Null, f)
}

/// Applies a function of two arguments.
pub(super) fn two<'a>(
    values: &[Value<'a>],
    f: impl Fn(&Value<'a>, &Value<'a>) -> Value<'a>,
) -> Value<'a> {
    match values {
        [a, b, ..] => f(a, b),
        _ => Value::Null,
    }
}

fn contains<'a>(text: &Value<'a>, part: &Value<'a>) -> Value<'a> {
    Value::Bool(memmem::find(&text.bytes(), &part.bytes()).is_some())
}

fn regex_match<'a>(context: &Context, values: &[Value<'a>]) -> Value<'a> {
    regex_match_value(context, values.first())
}

fn regex_match_value<'a>(context: &Context, value: Option<&Value<'a>>) -> Value<'a> {
    match (&context.prepared, value) {
        (Prepared::Pattern(pattern), Some(value)) => Value::Bool(pattern.is_match(value)),
        _ => Value::Null,
    }
}

fn regex_capture<'a>(context: &Context, values: &[Value<'a>]) -> Value<'a> {
    let (Prepared::Pattern(pattern), [value, _, group]) = (&context.prepared, values) else {
        return Value::Null;
    };
    pattern
        .first(value, &group.text())
        .map_or(Value::Null, Value::string)
}

/// The texts of a group in all matches, which stand in for an array.
fn regex_capture_all<'a>(context: &Context, values: &[Value<'a>]) -> Value<'a> {
    let (Prepared::Pattern(pattern), [value, _, group]) = (&context.prepared, values) else {
        return Value::Null;
    };
    let found = pattern.all(value, &group.text());
    if found.is_empty() {
        return Value::Null;
    }
    Value::string(found.join(", "))
}

/// The bounds of a slice within `length` bytes; negative positions count from the end.
fn bounds(length: usize, start: Option<i64>, end: Option<i64>) -> (usize, usize) {
    let place = |position: i64| {
        let length = length as i64;
        let from_start = if position < 0 {
            position.saturating_add(length)
        } else {
            position
        };
        from_start.clamp(0, length) as usize
    };
    let start = start.map_or(0, place);
    (start, end.map_or(length, place).max(start))
}

fn slice<'a>(values: &[Value<'a>]) -> Value<'a> {
    let [value, start, end] = values else {
        return Value::Null;
    };
    let (start, end) = (start.as_int(), end.as_int());
    match value {
        Value::Bytes(bytes) => {
            let (start, end) = bounds(bytes.len(), start, end);
            Value::Bytes(match bytes {
                Cow::Borrowed(bytes) => Cow::Borrowed(bytes.get(start..end).unwrap_or_default()),
                Cow::Owned(bytes) => Cow::Owned(bytes.get(start..end).unwrap_or_default().to_vec()),
            })
        }
        Value::Str(text) => {
            let (mut start, mut end) = bounds(text.len(), start, end);
            while !text.is_char_boundary(start) {
                start += 1;
            }
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            Value::string(text.get(start..end).unwrap_or_default())
        }
        _ => Value::Null,
    }
}

/// Bytes as hex digits.
pub(super) fn hex(bytes: &[u8], upper: bool) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = if upper {
            write!(text, "{byte:02X}")
        } else {
            write!(text, "{byte:02x}")
        };
    }
    text
}

fn hex_decode(text: &str) -> Option<Vec<u8>> {
    let digits = text
        .chars()
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<Vec<u8>>>()?;
    let pairs = digits.chunks(2).map(|pair| match pair {
        [high, low] => Some(high << 4 | low),
        _ => None,
    });
    pairs.collect()
}
