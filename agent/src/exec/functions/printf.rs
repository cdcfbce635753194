//! `printf`: Go's verbs with their flags, widths and precisions, as far as `plan::functions` lists
//! them.

use super::text::hex;
use super::value::Value;

/// Longest width or precision honoured, so that a format cannot ask for unbounded memory.
const MAX_WIDTH: usize = 1000;

/// A format and its values as text. An absent value is written as nothing.
pub(super) fn printf<'a>(values: &[Value<'a>]) -> Value<'a> {
    let Some((format, arguments)) = values.split_first() else {
        return Value::Null;
    };
    let format = format.text();
    let mut arguments = arguments.iter();
    let mut text = String::new();
    let mut rest = format.as_ref();
    while let Some((before, after)) = rest.split_once('%') {
        text.push_str(before);
        let (spec, verb_on) = Spec::read(after);
        let mut chars = verb_on.chars();
        match chars.next() {
            Some('%') => text.push('%'),
            Some(verb) => {
                if let Some(value) = arguments.next().filter(|v| !v.is_null()) {
                    text.push_str(&spec.text(verb, value));
                }
            }
            None => text.push('%'),
        }
        rest = chars.as_str();
    }
    text.push_str(rest);
    Value::string(text)
}

/// What stands between `%` and the verb.
#[derive(Default)]
struct Spec {
    /// `-`: spaces go to the right.
    left: bool,
    /// `+`: numbers always have a sign.
    plus: bool,
    /// `#`: hex digits have their `0x`.
    alternate: bool,
    /// A space where numbers have no sign, and between bytes in hex.
    space: bool,
    /// Numbers are filled up with zeros.
    zeros: bool,
    width: usize,
    precision: Option<usize>,
}

/// The sign of a number, what stands before its digits, and those.
struct Number {
    negative: bool,
    prefix: &'static str,
    digits: String,
}

impl Spec {
    fn read(text: &str) -> (Self, &str) {
        let mut spec = Self::default();
        let mut rest = text;
        while let Some(flag) = rest.chars().next() {
            match flag {
                '-' => spec.left = true,
                '+' => spec.plus = true,
                '#' => spec.alternate = true,
                ' ' => spec.space = true,
                '0' => spec.zeros = true,
                _ => break,
            }
            rest = rest.get(1..).unwrap_or_default();
        }
        let (width, after) = number(rest);
        spec.width = width;
        rest = after;
        if let Some(after) = rest.strip_prefix('.') {
            let (precision, after) = number(after);
            spec.precision = Some(precision);
            rest = after;
        }
        (spec, rest)
    }

    fn text(&self, verb: char, value: &Value<'_>) -> String {
        let text = match (verb, value) {
            ('f', value) => return self.number(self.float(value.as_float().unwrap_or(f64::NAN))),
            ('d', value) => match value.as_int() {
                Some(value) => return self.number(whole(value.unsigned_abs(), value < 0)),
                None => value.text().into_owned(),
            },
            ('x' | 'X', Value::Int(_) | Value::UInt(_) | Value::Mac(_)) => {
                return self.number(self.hex_number(value, verb == 'X'));
            }
            ('x' | 'X', value) => self.hex_bytes(&value.bytes(), verb == 'X'),
            ('q', value) => format!("{:?}", value.text()),
            ('s', value) => {
                let most = self.precision.unwrap_or(usize::MAX);
                value.text().chars().take(most).collect()
            }
            ('v', Value::Int(value)) => {
                return self.number(whole(value.unsigned_abs(), *value < 0));
            }
            ('v', Value::UInt(value)) => return self.number(whole(*value, false)),
            (_, value) => value.text().into_owned(),
        };
        self.padded(text)
    }

    fn float(&self, value: f64) -> Number {
        let precision = self.precision.unwrap_or(6).min(MAX_WIDTH);
        Number {
            negative: value.is_sign_negative() && !value.is_nan(),
            prefix: "",
            digits: format!("{:.precision$}", value.abs()),
        }
    }

    fn hex_number(&self, value: &Value<'_>, upper: bool) -> Number {
        let (magnitude, negative) = match value {
            Value::UInt(value) | Value::Mac(value) => (*value, false),
            other => {
                let value = other.as_int().unwrap_or_default();
                (value.unsigned_abs(), value < 0)
            }
        };
        let (prefix, digits) = if upper {
            ("0X", format!("{magnitude:X}"))
        } else {
            ("0x", format!("{magnitude:x}"))
        };
        Number {
            negative,
            prefix: if self.alternate { prefix } else { "" },
            digits,
        }
    }

    fn hex_bytes(&self, bytes: &[u8], upper: bool) -> String {
        let prefix = match (self.alternate && !bytes.is_empty(), upper) {
            (false, _) => "",
            (true, false) => "0x",
            (true, true) => "0X",
        };
        if !self.space {
            return format!("{prefix}{}", hex(bytes, upper));
        }
        let bytes = bytes.iter();
        let bytes = bytes.map(|byte| format!("{prefix}{}", hex(&[*byte], upper)));
        bytes.collect::<Vec<_>>().join(" ")
    }

    fn number(&self, number: Number) -> String {
        let sign = match number.negative {
            true => "-",
            false if self.plus => "+",
            false if self.space => " ",
            false => "",
        };
        let Number { prefix, digits, .. } = number;
        if self.zeros && !self.left {
            let width = self
                .width
                .min(MAX_WIDTH)
                .saturating_sub(sign.len() + prefix.len());
            return format!("{sign}{prefix}{digits:0>width$}");
        }
        self.padded(format!("{sign}{prefix}{digits}"))
    }

    fn padded(&self, text: String) -> String {
        let width = self.width.min(MAX_WIDTH);
        if self.left {
            format!("{text:<width$}")
        } else {
            format!("{text:>width$}")
        }
    }
}

fn whole(magnitude: u64, negative: bool) -> Number {
    Number {
        negative,
        prefix: "",
        digits: magnitude.to_string(),
    }
}

/// The digits that a text starts with as a number (0 without any), and what follows.
fn number(text: &str) -> (usize, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    let none = digits.is_empty();
    // So many digits are beyond every bound.
    let value = digits.parse().unwrap_or(if none { 0 } else { MAX_WIDTH });
    (value, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags() {
        let s = || Value::string("ab");
        let b = || Value::Bytes(b"\x01\xab".into());
        let cases = [
            ("%-5s|", s(), "ab   |"),
            ("%5s|", s(), "   ab|"),
            ("%05s|", s(), "   ab|"),
            ("%.1s|", s(), "a|"),
            ("%+d", Value::Int(7), "+7"),
            ("% d", Value::Int(7), " 7"),
            ("% d", Value::Int(-7), "-7"),
            ("%05d", Value::Int(-7), "-0007"),
            ("%-05d|", Value::Int(-7), "-7   |"),
            ("%+06.1f", Value::Float(2.25), "+002.2"),
            ("%f", Value::Float(-0.5), "-0.500000"),
            ("%5.f|", Value::Float(1.6), "    2|"),
            ("%#x", Value::Int(255), "0xff"),
            ("%#08X", Value::UInt(255), "0X0000FF"),
            ("%x", Value::UInt(u64::MAX), "ffffffffffffffff"),
            ("%x", Value::Int(-255), "-ff"),
            ("%x", b(), "01ab"),
            ("% x", b(), "01 ab"),
            ("%# X", b(), "0X01 0XAB"),
            ("%04v", Value::UInt(7), "0007"),
            ("%d", Value::Int(i64::MIN), "-9223372036854775808"),
            ("100%", Value::Int(1), "100%"),
            ("%5%", Value::Int(1), "%"),
        ];
        for (format, value, expected) in cases {
            let got = printf(&[Value::string(format), value]);
            assert_eq!(got, Value::string(expected), "{format}");
        }
    }

    #[test]
    fn a_width_is_bounded() {
        let got = printf(&[Value::string("%99999999999999999999s"), Value::string("a")]);
        assert_eq!(got.text().len(), MAX_WIDTH);
    }
}
