//! Regular expressions over values, text or not.
//!
//! A byte that is no part of UTF-8 is read as U+FFFD, so that `.`, `\S` and `[^a]` match it as they
//! do in RE2: the payloads of packets are seldom text from end to end. A pattern that itself says
//! bytes, as `(?-u:\xff)`, is matched with the bytes as they are.

use std::borrow::Cow;
use std::sync::OnceLock;

use regex::{Regex, bytes};
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, ClassBytes, ClassBytesRange, Hir, HirKind, Look, Repetition};

use super::value::Value;

/// A pattern, made once for a whole query.
#[derive(Debug)]
pub(super) enum Pattern {
    /// All that it matches is text.
    Text {
        regex: Regex,
        /// Matches, in the bytes as they are, at least wherever `regex` does; made when the first
        /// value comes that is no text.
        sieve: OnceLock<Option<bytes::Regex>>,
    },
    /// It can match single bytes.
    Bytes(bytes::Regex),
}

/// What a pattern is matched with.
enum Haystack<'v> {
    Text(Cow<'v, str>),
    Bytes(Cow<'v, [u8]>),
}

impl Pattern {
    pub(super) fn new(pattern: &str) -> Result<Self, regex::Error> {
        // The same syntax, but what can match a part of a character is refused.
        if let Ok(regex) = Regex::new(pattern) {
            let sieve = OnceLock::new();
            return Ok(Self::Text { regex, sieve });
        }
        bytes::Regex::new(pattern).map(Self::Bytes)
    }

    pub(super) fn is_match(&self, value: &Value<'_>) -> bool {
        match (self, self.haystack(value)) {
            (Self::Text { regex, .. }, Some(Haystack::Text(text))) => regex.is_match(&text),
            (Self::Bytes(regex), Some(Haystack::Bytes(bytes))) => regex.is_match(&bytes),
            _ => false,
        }
    }

    /// The text of a group in the first match.
    pub(super) fn first(&self, value: &Value<'_>, group: &str) -> Option<String> {
        match (self, self.haystack(value)?) {
            (Self::Text { regex, .. }, Haystack::Text(text)) => {
                Some(regex.captures(&text)?.name(group)?.as_str().to_owned())
            }
            (Self::Bytes(regex), Haystack::Bytes(bytes)) => {
                let captures = regex.captures(&bytes)?;
                Some(String::from_utf8_lossy(captures.name(group)?.as_bytes()).into_owned())
            }
            _ => None,
        }
    }

    /// The texts of a group in all matches.
    pub(super) fn all(&self, value: &Value<'_>, group: &str) -> Vec<String> {
        match (self, self.haystack(value)) {
            (Self::Text { regex, .. }, Some(Haystack::Text(text))) => regex
                .captures_iter(&text)
                .filter_map(|captures| captures.name(group))
                .map(|found| found.as_str().to_owned())
                .collect(),
            (Self::Bytes(regex), Some(Haystack::Bytes(bytes))) => regex
                .captures_iter(&bytes)
                .filter_map(|captures| captures.name(group))
                .map(|found| String::from_utf8_lossy(found.as_bytes()).into_owned())
                .collect(),
            _ => Vec::new(),
        }
    }

    /// What of a value the pattern is matched with; `None` where it cannot match.
    fn haystack<'v>(&self, value: &'v Value<'_>) -> Option<Haystack<'v>> {
        let Self::Text { sieve, regex } = self else {
            return Some(Haystack::Bytes(value.bytes()));
        };
        let Value::Bytes(bytes) = value else {
            return Some(Haystack::Text(value.text()));
        };
        if let Ok(text) = std::str::from_utf8(bytes) {
            return Some(Haystack::Text(Cow::Borrowed(text)));
        }
        // Most payloads are ruled out without a copy.
        let sieve = sieve.get_or_init(|| sieve_of(regex.as_str()));
        if sieve.as_ref().is_some_and(|sieve| !sieve.is_match(bytes)) {
            return None;
        }
        Some(Haystack::Text(Cow::Owned(readable(bytes))))
    }
}

/// Bytes as text, with U+FFFD for each one that is no part of UTF-8.
fn readable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    text
}

/// A pattern that matches bytes at least wherever `pattern` matches what [`readable`] makes of them.
fn sieve_of(pattern: &str) -> Option<bytes::Regex> {
    let parsed = ParserBuilder::new().utf8(false).build().parse(pattern);
    let widened = widened(&parsed.ok()?)?;
    bytes::Regex::new(&widened.to_string()).ok()
}

/// A pattern in which every class that U+FFFD is in matches a byte that may be no part of UTF-8,
/// too. `None` where that cannot be said.
fn widened(pattern: &Hir) -> Option<Hir> {
    let all = |parts: &[Hir]| parts.iter().map(widened).collect::<Option<Vec<_>>>();
    Some(match pattern.kind() {
        HirKind::Empty => Hir::empty(),
        HirKind::Literal(literal) => {
            let text = std::str::from_utf8(&literal.0).ok()?;
            if text.contains(char::REPLACEMENT_CHARACTER) {
                return None;
            }
            Hir::literal(literal.0.clone())
        }
        HirKind::Class(class) => {
            let own = Hir::class(class.clone());
            if matches_replacement(class) {
                let bytes = ClassBytes::new([ClassBytesRange::new(0x80, 0xff)]);
                Hir::alternation(vec![own, Hir::class(Class::Bytes(bytes))])
            } else {
                own
            }
        }
        // What these say next to such a byte differs, and they are slow; without them there are
        // only more matches.
        HirKind::Look(
            Look::WordUnicode
            | Look::WordUnicodeNegate
            | Look::WordStartUnicode
            | Look::WordEndUnicode
            | Look::WordStartHalfUnicode
            | Look::WordEndHalfUnicode,
        ) => Hir::empty(),
        HirKind::Look(look) => Hir::look(*look),
        HirKind::Repetition(repetition) => Hir::repetition(Repetition {
            sub: Box::new(widened(&repetition.sub)?),
            ..*repetition
        }),
        HirKind::Capture(capture) => widened(&capture.sub)?,
        HirKind::Concat(parts) => Hir::concat(all(parts)?),
        HirKind::Alternation(parts) => Hir::alternation(all(parts)?),
    })
}

fn matches_replacement(class: &Class) -> bool {
    match class {
        Class::Unicode(class) => class
            .iter()
            .any(|range| (range.start()..=range.end()).contains(&char::REPLACEMENT_CHARACTER)),
        Class::Bytes(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(bytes: &[u8]) -> Value<'_> {
        Value::Bytes(bytes.into())
    }

    #[test]
    fn a_byte_that_is_not_utf8_is_a_character() {
        let cases: &[(&str, &[u8], bool)] = &[
            ("(?s)GET.*?HTTP", b"GET \xff\xfe\x80 HTTP", true),
            ("a.b", b"a\xffb", true),
            ("a.b", b"a\xff\xfeb", false),
            ("a[^x]b", b"a\xffb", true),
            (r"a\Sb", b"a\xffb", true),
            (r"a\sb", b"a\xffb", false),
            (r"\bGET\b", b"\xffGET\xfe", true),
            (
                "(?:^|[^[:alnum:]])GET(?:[^[:alnum:]]|$)",
                b"\xffGET\xfe",
                true,
            ),
            ("\u{fffd}", b"\xff", true),
            // The first of these bytes is none of the last character's.
            ("^.é$", b"\xe2\xc3\xa9", true),
            ("(?i)^get$", b"gEt", true),
        ];
        for (pattern, value, expected) in cases {
            let made = Pattern::new(pattern).unwrap();
            assert_eq!(
                made.is_match(&bytes(value)),
                *expected,
                "{pattern} {value:?}"
            );
        }
    }

    #[test]
    fn characters_of_text_stay_whole() {
        let two = Pattern::new("^a..b$").unwrap();
        assert!(!two.is_match(&bytes("aéb".as_bytes())));
        assert!(two.is_match(&bytes("aéöb".as_bytes())));
        let with_binary = Pattern::new("a..b").unwrap();
        assert!(!with_binary.is_match(&bytes(b"a\xc3\xa9b\xff")));
    }

    #[test]
    fn groups_of_bytes() {
        let text = Pattern::new("GET(?P<x>.*)HTTP").unwrap();
        let value = bytes(b"GET\xff-\xfeHTTP");
        assert_eq!(text.first(&value, "x").unwrap(), "\u{fffd}-\u{fffd}");
        let raw = Pattern::new(r"(?-u)\xff(?P<x>.)").unwrap();
        assert_eq!(raw.first(&bytes(b"a\xffb"), "x").unwrap(), "b");
        assert_eq!(raw.all(&bytes(b"\xffb\xff\xfe"), "x"), ["b", "\u{fffd}"]);
    }

    proptest! {
        #[test]
        fn the_sieve_lets_every_match_through(
            value in prop::collection::vec(
                prop_oneof![Just(b'a'), Just(b'b'), Just(b' '), Just(0xc3), Just(0xa9), Just(0xff)],
                0..12,
            ),
            pattern in prop::sample::select(vec![
                "a.b", "a[^a]+b", r"\Sb\b", r"\Ba", r"\bb", "é", "^.*a$", r"(a|\W)b{2}", "(?i)A.?B",
            ]),
        ) {
            let text = readable(&value);
            let matches = Regex::new(pattern).unwrap().is_match(&text);
            prop_assert_eq!(Pattern::new(pattern).unwrap().is_match(&bytes(&value)), matches);
        }
    }
}
