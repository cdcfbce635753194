use super::*;
use crate::plan::functions::functions;

#[test]
fn every_function_is_implemented() {
    let missing: Vec<_> = functions()
        .iter()
        .map(|spec| spec.name)
        .filter(|name| *name != "now" && find(name).is_none())
        .collect();
    assert_eq!(missing, Vec::<&str>::new());
}

fn eval(name: &str, result: EvType, values: &[Value<'static>]) -> Value<'static> {
    let context = Context {
        result,
        prepared: Prepared::Pattern(Pattern::new("b(?<n>.)").unwrap()),
    };
    (find(name).unwrap().eval)(&context, values)
}

#[test]
fn values_of_functions() {
    let s = |text: &str| Value::string(text);
    let ip = |text: &str| eval("to_ip", EvType::Ip, &[Value::string(text)]);
    let bytes = |b: &'static [u8]| Value::Bytes(b.into());
    let (t, f) = (Value::Bool(true), Value::Bool(false));
    let cases: Vec<(&str, Vec<Value<'static>>, Value<'static>)> = vec![
        ("regex_match", vec![s("abc"), s("")], t.clone()),
        ("regex_capture", vec![s("abc"), s(""), s("n")], s("c")),
        (
            "regex_capture_all",
            vec![s("abcbdaab,b"), s(""), s("n")],
            s("c, d, ,"),
        ),
        (
            "regex_capture_all",
            vec![s("b"), s(""), s("n")],
            Value::Null,
        ),
        ("match", vec![s(""), s("xyz")], f.clone()),
        ("contains", vec![s("abc"), s("bc")], t.clone()),
        (
            "join_text",
            vec![s("a"), Value::Null, Value::Int(3)],
            s("a 3"),
        ),
        (
            "slice",
            vec![s("abcdef"), Value::Int(1), Value::Int(-1)],
            s("bcde"),
        ),
        (
            "slice",
            vec![bytes(b"abc"), Value::Int(1), Value::Null],
            bytes(b"bc"),
        ),
        (
            "printf",
            vec![
                s("%v-%03d-%x-%.2f%%"),
                s("a"),
                Value::Int(7),
                Value::Int(255),
                Value::Float(1.5),
            ],
            s("a-007-ff-1.50%"),
        ),
        ("length", vec![s("abc")], Value::Int(3)),
        ("strings_index", vec![s("abc"), s("z")], Value::Int(-1)),
        ("strings_has_prefix", vec![s("abc"), s("ab")], t.clone()),
        ("strings_has_suffix", vec![s("abc"), s("ab")], f.clone()),
        ("strings_to_upper", vec![s("abc")], s("ABC")),
        ("strings_trim_space", vec![s(" a ")], s("a")),
        (
            "strings_replace_all",
            vec![s("aa"), s("a"), s("b")],
            s("bb"),
        ),
        ("hex_encode", vec![bytes(b"\x01\xff")], s("01ff")),
        ("hex_decode", vec![s("01fF")], bytes(b"\x01\xff")),
        ("hex_decode", vec![s("01f")], Value::Null),
        ("ip_in_cidr", vec![ip("10.1.2.3"), s("10.0.0.0/8")], t),
        ("ip_in_cidr", vec![ip("2001:db8::1"), s("10.0.0.0/8")], f),
        (
            "subnet",
            vec![ip("10.1.2.3"), Value::Int(16)],
            ip("10.1.0.0"),
        ),
        ("ip_category", vec![ip("192.168.1.1")], s("PRIVATE")),
        ("ip_category", vec![ip("224.0.0.1")], s("MULTICAST")),
        ("ip_category", vec![ip("8.8.8.8")], s("PUBLIC")),
        (
            "to_mac",
            vec![s("00:11:22:33:44:55")],
            Value::Mac(0x0011_2233_4455),
        ),
        (
            "read_number",
            vec![bytes(b"\x01\x02\x03"), s("uint16be")],
            Value::UInt(0x0102),
        ),
        (
            "read_number",
            vec![bytes(b"\x01\x02"), s("uint16")],
            Value::UInt(0x0201),
        ),
        (
            "read_number",
            vec![bytes(b"\xfe\xff"), s("int16")],
            Value::Int(-2),
        ),
        (
            "read_number",
            vec![bytes(b"\x01"), s("uint16")],
            Value::Null,
        ),
        ("math_sqrt", vec![Value::Int(9)], Value::Float(3.0)),
        ("math_log2", vec![Value::Int(0)], Value::Null),
        (
            "math_pow",
            vec![Value::Int(2), Value::Int(3)],
            Value::Float(8.0),
        ),
        ("/", vec![Value::Int(7), Value::Int(2)], Value::Int(3)),
        ("/", vec![Value::Int(7), Value::Int(0)], Value::Null),
        ("<<", vec![Value::Int(1), Value::Int(64)], Value::Int(0)),
        (
            "hash_fnv64",
            vec![s("a")],
            Value::UInt(0xaf63_dc4c_8601_ec8c),
        ),
        ("hash_crc32", vec![s("123456789")], Value::UInt(0xcbf4_3926)),
        ("unix", vec![Value::Time(-1)], Value::Int(-1)),
        (
            "to_duration",
            vec![s("1m30s")],
            Value::Duration(90_000_000_000),
        ),
        (
            "parse_time",
            vec![s("2016-02-14 17:12:47"), s("")],
            Value::Time(1_455_469_967_000_000_000),
        ),
        (
            "parse_time",
            vec![s("14/Feb/2016"), s("02/Jan/2006")],
            Value::Time(1_455_408_000_000_000_000),
        ),
        (
            "format_time",
            vec![Value::Time(0), s("2006-01-02 15:04")],
            s("1970-01-01 00:00"),
        ),
    ];
    for (name, arguments, expected) in cases {
        assert_eq!(
            eval(name, EvType::Int64, &arguments),
            expected,
            "{name} {arguments:?}"
        );
    }
}
