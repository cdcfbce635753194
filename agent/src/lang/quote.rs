//! Quoted strings: `"escaped"`, `` `raw` `` and typographic quotes.

use super::cursor::Cursor;
use super::diagnostic::{Diagnostic, Span};

/// Quotes that word processors make of `"`.
const TYPOGRAPHIC: [char; 4] = ['\u{201c}', '\u{201d}', '\u{201e}', '\u{201f}'];

/// Whether a character opens a quoted string.
pub(super) fn is_quote(c: char) -> bool {
    c == '"' || c == '`' || TYPOGRAPHIC.contains(&c)
}

/// Reads the quoted string that starts here. Escapes may make bytes that are no UTF-8. An
/// unterminated string is reported and takes the rest of the text.
pub(super) fn quoted(cursor: &mut Cursor<'_>) -> Vec<u8> {
    let start = cursor.pos();
    let opening = cursor.bump().unwrap_or('"');
    let quote = cursor.span_from(start);
    match opening {
        '`' => raw(cursor, quote),
        '"' => escaped(cursor, quote, &['"']),
        _ => {
            cursor.report(
                Diagnostic::warning(quote, "typographic quotes are read as plain ones")
                    .with_hint("write '\"'"),
            );
            escaped(cursor, quote, &['"', '\u{201c}', '\u{201d}', '\u{201f}'])
        }
    }
}

fn raw(cursor: &mut Cursor<'_>, quote: Span) -> Vec<u8> {
    let content = cursor.eat_while(|c| c != '`');
    if !cursor.eat("`") {
        unterminated(cursor, quote);
    }
    content.as_bytes().to_vec()
}

fn escaped(cursor: &mut Cursor<'_>, quote: Span, closing: &[char]) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let plain = cursor.eat_while(|c| c != '\\' && !closing.contains(&c));
        bytes.extend_from_slice(plain.as_bytes());
        match cursor.peek() {
            Some('\\') => escape(cursor, &mut bytes),
            Some(_) => {
                cursor.bump();
                return bytes;
            }
            None => {
                unterminated(cursor, quote);
                return bytes;
            }
        }
    }
}

fn unterminated(cursor: &mut Cursor<'_>, quote: Span) {
    let closing = match cursor.slice(quote) {
        "`" => "'`'",
        _ => "'\"'",
    };
    cursor.report(
        Diagnostic::error(quote, "this quote is never closed")
            .with_hint(format!("close it by {closing}")),
    );
}

/// One escape of Go's rune literals. Anything else, such as `\s` or `\/` of a regular expression,
/// stays as it is written.
fn escape(cursor: &mut Cursor<'_>, bytes: &mut Vec<u8>) {
    let start = cursor.pos();
    cursor.bump();
    let Some(letter) = cursor.bump() else {
        bytes.push(b'\\');
        return;
    };
    let simple = match letter {
        'a' => 0x07,
        'b' => {
            let span = cursor.span_from(start);
            cursor.report(
                Diagnostic::warning(span, "'\\b' in double quotes is a backspace")
                    .with_hint("write a regular expression in backticks"),
            );
            0x08
        }
        'f' => 0x0c,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 0x0b,
        '\\' | '\'' | '"' => letter as u8,
        'x' => return numeric(cursor, bytes, start, 2),
        'u' => return numeric(cursor, bytes, start, 4),
        'U' => return numeric(cursor, bytes, start, 8),
        '0'..='3' => return octal(cursor, bytes, start),
        _ => {
            let span = cursor.span_from(start);
            bytes.extend_from_slice(cursor.slice(span).as_bytes());
            return;
        }
    };
    bytes.push(simple);
}

/// `\xNN` is a byte, `\uNNNN` and `\UNNNNNNNN` are characters.
fn numeric(cursor: &mut Cursor<'_>, bytes: &mut Vec<u8>, start: usize, digits: usize) {
    let hex = cursor
        .rest()
        .get(..digits)
        .filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
    let value = hex.and_then(|hex| u32::from_str_radix(hex, 16).ok());
    match (value, value.and_then(char::from_u32)) {
        (Some(value), _) if digits == 2 => {
            cursor.eat_digits(digits);
            bytes.push(value.to_le_bytes()[0]);
        }
        (_, Some(c)) => {
            cursor.eat_digits(digits);
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
        _ => {
            let span = cursor.span_from(start);
            bytes.extend_from_slice(cursor.slice(span).as_bytes());
        }
    }
}

/// `\NNN` is a byte in octal, always of three digits.
fn octal(cursor: &mut Cursor<'_>, bytes: &mut Vec<u8>, start: usize) {
    let digits = cursor.text().get(start + 1..start + 4);
    match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
        Some(value) => {
            cursor.eat_digits(2);
            bytes.push(value);
        }
        None => {
            let span = cursor.span_from(start);
            bytes.extend_from_slice(cursor.slice(span).as_bytes());
        }
    }
}

impl Cursor<'_> {
    /// Takes so many ASCII characters.
    fn eat_digits(&mut self, count: usize) {
        for _ in 0..count {
            self.bump();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings() {
        for (text, expected, rest) in [
            (r#""plain" rest"#, "plain".as_bytes(), " rest"),
            (r#""a\n\t\\\"\'b""#, b"a\n\t\\\"'b", ""),
            (r#""\a\f\r\v""#, b"\x07\x0c\r\x0b", ""),
            (r#""\x41\xd8\xff""#, b"A\xd8\xff", ""),
            (r#""\u00e9\U0001F600""#, "\u{e9}\u{1f600}".as_bytes(), ""),
            (r#""\101\377\12x\0""#, b"A\xff\\12x\\0", ""),
            (r#""\s\/\d\x{1F}\xg\ud800""#, br"\s\/\d\x{1F}\xg\ud800", ""),
            ("`raw \\n \"`;", br#"raw \n ""#, ";"),
            ("\u{201c}a\u{201d}b\"", b"a", "b\""),
            ("\u{201c}a\"b", b"a", "b"),
            ("\"\u{201d}\"", "\u{201d}".as_bytes(), ""),
        ] {
            let mut cursor = Cursor::new(text);
            let found = quoted(&mut cursor);
            assert_eq!(found, expected, "{text}");
            assert_eq!(cursor.rest(), rest, "{text}");
            assert!(!cursor.diagnostics.has_errors(), "{text}");
        }
    }

    #[test]
    fn unterminated_strings_take_the_rest() {
        for text in ["\"abc", "`abc", "\u{201c}abc", "\"abc\\", "\"abc\\\"", "\""] {
            let mut cursor = Cursor::new(text);
            quoted(&mut cursor);
            assert_eq!(cursor.rest(), "", "{text}");
            assert!(cursor.diagnostics.has_errors(), "{text}");
        }
    }
}
