//! The pure functions that an expression may call, by name.
//!
//! The planner checks calls against this table; the engine implements each entry.

use crate::types::EvType;

/// What is known of a function.
#[derive(Clone, Copy, Debug)]
pub struct FunctionSpec {
    /// Its name, in expressions and in `eval`.
    pub name: &'static str,
    /// Its arguments, for people.
    pub args: &'static str,
    /// Smallest and largest number of arguments.
    pub arity: (usize, usize),
    /// Type of the result.
    pub result: ResultType,
    /// What it does. Unless it says otherwise, an absent argument gives an absent result.
    pub doc: &'static str,
    /// Whether `eval` may name it (the others are made by modules only).
    pub in_eval: bool,
}

/// How the type of a result follows from the arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResultType {
    /// Always this one.
    Fixed(EvType),
    /// That of the first argument.
    First,
    /// That of the literal second argument, a kind such as `uint16be`
    /// (see [`number_kind`]).
    Kind,
    /// That of the packet field which the literal third argument names.
    Field,
}

use EvType as T;
use ResultType::{Field, First, Fixed, Kind};

/// Short form of an entry.
const fn f(
    name: &'static str,
    args: &'static str,
    arity: (usize, usize),
    result: ResultType,
    doc: &'static str,
) -> FunctionSpec {
    FunctionSpec {
        name,
        args,
        arity,
        result,
        doc,
        in_eval: true,
    }
}

/// Short form of an entry that only modules use.
const fn hidden(
    name: &'static str,
    args: &'static str,
    arity: (usize, usize),
    result: ResultType,
    doc: &'static str,
) -> FunctionSpec {
    FunctionSpec {
        name,
        args,
        arity,
        result,
        doc,
        in_eval: false,
    }
}

const FUNCTIONS: &[FunctionSpec] = &[
    // Text and bytes, made by modules.
    hidden(
        "regex_match",
        "value, pattern literal",
        (2, 2),
        Fixed(T::Bool),
        "whether the pattern (regex crate syntax, over bytes) matches anywhere in a String or Bytes value",
    ),
    hidden(
        "regex_capture",
        "value, pattern literal, group name literal",
        (3, 3),
        Fixed(T::String),
        "text of a named group of the first match in a String or Bytes value; absent without a match or where the group took no part",
    ),
    hidden(
        "regex_capture_all",
        "value, pattern literal, group name literal",
        (3, 3),
        Fixed(T::String),
        "texts of a named group in all matches, which do not overlap, joined by a comma and a space; absent where the group took no part in any",
    ),
    hidden(
        "contains",
        "value, needle literal",
        (2, 2),
        Fixed(T::Bool),
        "whether a String or Bytes value contains the needle (String or Bytes), byte by byte",
    ),
    hidden(
        "join_text",
        "value...",
        (0, usize::MAX),
        Fixed(T::String),
        "text forms of the present values, joined by one space; never absent",
    ),
    hidden(
        "ip_in_cidr_text",
        "ip, text",
        (2, 2),
        Fixed(T::Bool),
        "whether an address is in the network that a String value names",
    ),
    hidden(
        "read_number",
        "bytes, kind literal",
        (2, 2),
        Kind,
        "number at the start of a Bytes value: kind is byte, (u)int16/32/64 with an optional le or be (default little-endian), float32, float64 (le), IPv4, IPv6 (16 bytes); absent if too short",
    ),
    hidden(
        "packet_field",
        "bytes, protocol literal, field literal",
        (3, 3),
        Field,
        "a packet field, named protocol.Field, of a Bytes value that starts with the header of the protocol (eth or dot11); absent where that packet has none",
    ),
    hidden(
        "inner_packet_field",
        "bytes, protocol literal, field literal",
        (3, 3),
        Field,
        "as packet_field, of the packet that a tunnel in the value carries",
    ),
    hidden(
        "subnet",
        "ip, prefix length literal (Int)",
        (2, 2),
        First,
        "the network address: host bits zero; the prefix counts the bits of the value's own family, at most 32 for IPv4",
    ),
    hidden(
        "ip_category",
        "ip",
        (1, 1),
        Fixed(T::String),
        "MULTICAST, PRIVATE or PUBLIC, tested in this order",
    ),
    hidden("now", "", (0, 0), Fixed(T::Time), "when the query started"),
    hidden(
        "parse_time",
        "text, Go layout literal (empty: guess), zone literal",
        (2, 3),
        Fixed(T::Time),
        "time that a String value names, of the zone (default UTC) unless it says otherwise; of one that clocks show twice the first, one that they skip counted on from before",
    ),
    hidden(
        "format_time",
        "time, Go layout literal (empty: RFC 3339), zone literal",
        (2, 3),
        Fixed(T::String),
        "text of a time in the zone (default UTC)",
    ),
    // Also for eval.
    f(
        "to_text",
        "value",
        (1, 1),
        Fixed(T::String),
        "the text form of a value",
    ),
    f(
        "length",
        "value",
        (1, 1),
        Fixed(T::Int64),
        "bytes of a String or Bytes value, else of its text form",
    ),
    f("len", "value", (1, 1), Fixed(T::Int64), "same as length"),
    f(
        "slice",
        "value, start, end (Int; absent: to the end)",
        (3, 3),
        First,
        "bytes start..end of a String or Bytes value; negative positions count from the end; what lies outside is left out; a String keeps whole characters only",
    ),
    f(
        "to_ip",
        "text",
        (1, 1),
        Fixed(T::Ip),
        "address that a String value names",
    ),
    f(
        "to_mac",
        "text",
        (1, 1),
        Fixed(T::Mac),
        "MAC address that a String value names",
    ),
    f(
        "to_duration",
        "text",
        (1, 1),
        Fixed(T::Duration),
        "duration that a String value names, as Go writes it",
    ),
    f(
        "match",
        "pattern literal, value",
        (2, 2),
        Fixed(T::Bool),
        "whether the pattern matches anywhere in the text form of a value",
    ),
    f(
        "ip_in_cidr",
        "ip, network literal",
        (2, 2),
        Fixed(T::Bool),
        "whether an address is in a network",
    ),
    f(
        "printf",
        "format literal, value...",
        (1, usize::MAX),
        Fixed(T::String),
        "Go-like format: %v %s %d %x %X %f %.Nf %q %%, with the flags - + # 0 and space, and a width; an absent value is written as nothing",
    ),
    f(
        "unix",
        "time",
        (1, 1),
        Fixed(T::Int64),
        "whole seconds since the Unix epoch",
    ),
    f(
        "strings_contains",
        "text, part",
        (2, 2),
        Fixed(T::Bool),
        "whether the text contains the part",
    ),
    f(
        "strings_has_prefix",
        "text, part",
        (2, 2),
        Fixed(T::Bool),
        "whether the text starts with the part",
    ),
    f(
        "strings_has_suffix",
        "text, part",
        (2, 2),
        Fixed(T::Bool),
        "whether the text ends with the part",
    ),
    f(
        "strings_index",
        "text, part",
        (2, 2),
        Fixed(T::Int64),
        "byte position of the first occurrence, -1 without one",
    ),
    f(
        "strings_to_lower",
        "text",
        (1, 1),
        Fixed(T::String),
        "in lower case",
    ),
    f(
        "strings_to_upper",
        "text",
        (1, 1),
        Fixed(T::String),
        "in upper case",
    ),
    f(
        "strings_trim_space",
        "text",
        (1, 1),
        Fixed(T::String),
        "without white space at both ends",
    ),
    f(
        "strings_replace_all",
        "text, old, new",
        (3, 3),
        Fixed(T::String),
        "each old replaced by new",
    ),
    f(
        "math_abs",
        "number",
        (1, 1),
        Fixed(T::Float64),
        "absolute value",
    ),
    f(
        "math_ceil",
        "number",
        (1, 1),
        Fixed(T::Float64),
        "rounded up",
    ),
    f(
        "math_floor",
        "number",
        (1, 1),
        Fixed(T::Float64),
        "rounded down",
    ),
    f(
        "math_round",
        "number",
        (1, 1),
        Fixed(T::Float64),
        "rounded, half away from zero",
    ),
    f(
        "math_sqrt",
        "number",
        (1, 1),
        Fixed(T::Float64),
        "square root; absent for a negative number",
    ),
    f(
        "math_log",
        "number",
        (1, 1),
        Fixed(T::Float64),
        "natural logarithm; absent unless positive",
    ),
    f(
        "math_log2",
        "number",
        (1, 1),
        Fixed(T::Float64),
        "binary logarithm; absent unless positive",
    ),
    f(
        "math_log10",
        "number",
        (1, 1),
        Fixed(T::Float64),
        "decimal logarithm; absent unless positive",
    ),
    f(
        "math_pow",
        "number, exponent",
        (2, 2),
        Fixed(T::Float64),
        "power",
    ),
    f(
        "math_min",
        "number, number",
        (2, 2),
        Fixed(T::Float64),
        "the smaller one",
    ),
    f(
        "math_max",
        "number, number",
        (2, 2),
        Fixed(T::Float64),
        "the larger one",
    ),
    f(
        "hex_encode",
        "value",
        (1, 1),
        Fixed(T::String),
        "lower-case hex of the bytes",
    ),
    f(
        "hex_decode",
        "text",
        (1, 1),
        Fixed(T::Bytes),
        "bytes of hex digits; absent if it is none",
    ),
    f(
        "hash_fnv64",
        "value",
        (1, 1),
        Fixed(T::UInt64),
        "64-bit FNV-1a hash of the bytes or the text form",
    ),
    f(
        "hash_crc32",
        "value",
        (1, 1),
        Fixed(T::UInt32),
        "CRC-32 (IEEE) of the bytes or the text form",
    ),
];

/// Every function.
pub fn functions() -> &'static [FunctionSpec] {
    FUNCTIONS
}

/// A function by its name, in any case.
pub fn find(name: &str) -> Option<&'static FunctionSpec> {
    FUNCTIONS.iter().find(|f| f.name.eq_ignore_ascii_case(name))
}

/// Width in bytes and type of the number kinds of `read_number` and `slice`; `None` if there is no
/// such kind. Kinds without `be` or `le` are little-endian.
pub fn number_kind(kind: &str) -> Option<(usize, EvType)> {
    let kind = kind.to_ascii_lowercase();
    let base = match kind.as_str() {
        "byte" | "uint8" => return Some((1, T::UInt8)),
        "int8" => return Some((1, T::Int64)),
        "ipv4" => return Some((4, T::Ip)),
        "ipv6" => return Some((16, T::Ip)),
        other => other
            .strip_suffix("be")
            .or_else(|| other.strip_suffix("le"))
            .unwrap_or(other),
    };
    Some(match base {
        "uint16" => (2, T::UInt16),
        "uint32" => (4, T::UInt32),
        "uint64" => (8, T::UInt64),
        "int16" => (2, T::Int64),
        "int32" => (4, T::Int64),
        "int64" => (8, T::Int64),
        "float32" => (4, T::Float64),
        "float64" => (8, T::Float64),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_found_in_any_case() {
        for spec in functions() {
            let found = find(&spec.name.to_ascii_uppercase()).map(|f| f.name);
            assert_eq!(found, Some(spec.name));
        }
    }

    #[test]
    fn kinds() {
        assert_eq!(number_kind("uint16BE"), Some((2, T::UInt16)));
        assert_eq!(number_kind("float32"), Some((4, T::Float64)));
        assert_eq!(number_kind("uint24"), None);
    }
}
