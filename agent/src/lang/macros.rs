//! Macros: `$NAME` and `$NAME("a", "b")` replaced in the text before it is parsed.

use std::collections::BTreeMap;

use super::cursor::Cursor;
use super::diagnostic::{Diagnostic, Span};
use super::quote::{is_quote, quoted};

/// Bytes of an expanded query.
const MAX_BYTES: usize = 1 << 20;
/// Replacements of one query: macros without text could otherwise double for ever.
const MAX_EXPANSIONS: usize = 10_000;
/// Macros within macros.
const MAX_DEPTH: usize = 32;
/// Arguments of one macro.
const MAX_ARGUMENTS: usize = 64;

/// Replaces the macros of a query, those in quoted strings too, but not in comments.
///
/// `$(name)` of eval is no macro, nor is a name that holds no upper-case letter. A macro's text may
/// hold macros; `%%1%%` in it stands for the first argument. Spans of diagnostics of the result
/// refer to the result.
///
/// # Errors
/// For an unknown macro, a loop, missing arguments, or a result that is too large, with the span
/// of the macro in `text`.
pub fn expand(text: &str, macros: &BTreeMap<String, String>) -> Result<String, Diagnostic> {
    let mut expander = Expander {
        macros,
        out: String::new(),
        expansions: 0,
        stack: Vec::new(),
    };
    expander.expand(text).map_err(|failure| Diagnostic {
        span: failure.span,
        ..failure.diagnostic
    })?;
    Ok(expander.out)
}

/// An error and its place in the text being expanded.
struct Failure {
    span: Span,
    diagnostic: Diagnostic,
}

struct Expander<'m> {
    macros: &'m BTreeMap<String, String>,
    out: String,
    expansions: usize,
    /// Names being expanded, outermost first.
    stack: Vec<&'m str>,
}

impl<'m> Expander<'m> {
    fn expand(&mut self, text: &str) -> Result<(), Failure> {
        let mut cursor = Cursor::new(text);
        let mut quote = None;
        while let Some(c) = cursor.peek() {
            let start = cursor.pos();
            if c == '$'
                && let Some((name, body)) = self.name(&mut cursor, quote.is_some())?
            {
                let arguments = if is_placeholder_inside(body) {
                    arguments(&mut cursor)
                } else {
                    Vec::new()
                };
                let span = cursor.span_from(start);
                self.replace(name, body, &arguments)
                    .map_err(|diagnostic| Failure { span, diagnostic })?;
                continue;
            }
            copy(&mut cursor, &mut quote);
            self.push(cursor.slice(cursor.span_from(start)))
                .map_err(|diagnostic| Failure {
                    span: cursor.span_from(start),
                    diagnostic,
                })?;
        }
        Ok(())
    }

    fn push(&mut self, text: &str) -> Result<(), Diagnostic> {
        if self.out.len() + text.len() > MAX_BYTES {
            let message = format!("the expanded query is larger than {MAX_BYTES} bytes");
            return Err(Diagnostic::error(Span::default(), message));
        }
        self.out.push_str(text);
        Ok(())
    }

    /// The macro that stands here, taken; `None` if the `$` is no macro's.
    fn name(
        &self,
        cursor: &mut Cursor<'_>,
        in_quotes: bool,
    ) -> Result<Option<(&'m str, &'m str)>, Failure> {
        let start = cursor.pos();
        cursor.bump();
        let written = cursor
            .eat_while(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_' || c == '-');
        // A hyphen may also follow the name, as in `start=$T-1h`.
        let mut name = written;
        loop {
            if let Some((name, body)) = self.macros.get_key_value(name) {
                cursor.rewind(start + 1 + name.len());
                return Ok(Some((name, body)));
            }
            match name.rfind('-') {
                Some(hyphen) => name = name.get(..hyphen).unwrap_or(""),
                None => break,
            }
        }
        let span = cursor.span_from(start);
        cursor.rewind(start);
        let lower_follows = cursor
            .text()
            .get(span.end..)
            .is_some_and(|rest| rest.starts_with(char::is_alphanumeric));
        if lower_follows || !written.contains(|c: char| c.is_ascii_uppercase()) {
            return Ok(None);
        }
        Err(Failure {
            span,
            diagnostic: self.unknown(written, in_quotes),
        })
    }

    fn unknown(&self, name: &str, in_quotes: bool) -> Diagnostic {
        let error = Diagnostic::error(Span::default(), format!("unknown macro '${name}'"));
        let known: Vec<&str> = self.macros.keys().map(String::as_str).take(10).collect();
        if in_quotes {
            error.with_hint(format!("for the text itself write \"\\x24{name}\""))
        } else if known.is_empty() {
            error.with_hint("no macros are defined")
        } else {
            error.with_hint(format!("known macros: {}", known.join(", ")))
        }
    }

    fn replace(
        &mut self,
        name: &'m str,
        body: &str,
        arguments: &[String],
    ) -> Result<(), Diagnostic> {
        let error = |message: String| Diagnostic::error(Span::default(), message);
        if let Some(first) = self.stack.iter().position(|open| *open == name) {
            let open = self.stack.get(first..).unwrap_or_default();
            let path: Vec<String> = open.iter().map(|name| format!("${name}")).collect();
            let message = format!(
                "the macro expands to itself: {} -> ${name}",
                path.join(" -> ")
            );
            return Err(error(message));
        }
        self.expansions += 1;
        if self.expansions > MAX_EXPANSIONS || self.stack.len() == MAX_DEPTH {
            return Err(error(format!("'${name}' expands to too many macros")));
        }
        let filled = fill(name, body, arguments)?;
        self.stack.push(name);
        let result = self.expand(&filled);
        self.stack.pop();
        result.map_err(|failure| failure.diagnostic)
    }
}

/// Takes what is copied at once: an escape, a comment, or one character; keeps track of the quote
/// that is open.
fn copy(cursor: &mut Cursor<'_>, quote: &mut Option<char>) {
    let after_word = cursor
        .text()
        .get(..cursor.pos())
        .and_then(|before| before.chars().next_back())
        .is_some_and(|c| !c.is_whitespace() && !matches!(c, '|' | ';' | '{' | '}' | '(' | ')'));
    match (*quote, cursor.peek()) {
        (Some('"'), Some('\\')) => {
            cursor.bump();
            cursor.bump();
        }
        (Some(open), Some(c)) => {
            cursor.bump();
            if c == open {
                *quote = None;
            }
        }
        (None, Some('/')) if cursor.rest().starts_with("/*") => {
            let length = cursor
                .rest()
                .find("*/")
                .map_or(cursor.rest().len(), |end| end + 2);
            cursor.rewind(cursor.pos() + length);
        }
        (None, Some('/')) if cursor.rest().starts_with("//") && !after_word => {
            cursor.eat_while(|c| c != '\n');
        }
        (None, Some(c @ ('"' | '`'))) => {
            cursor.bump();
            *quote = Some(c);
        }
        (None, _) => {
            cursor.bump();
        }
        (Some(_), None) => {}
    }
}

/// The quoted arguments in parentheses that stand here, taken; none if there are none.
fn arguments(cursor: &mut Cursor<'_>) -> Vec<String> {
    let start = cursor.pos();
    let mut arguments = Vec::new();
    if cursor.eat("(") {
        while arguments.len() < MAX_ARGUMENTS {
            cursor.eat_while(|c| c.is_whitespace() || c == ',');
            if cursor.eat(")") {
                return arguments;
            }
            if !cursor.peek().is_some_and(is_quote) {
                break;
            }
            arguments.push(String::from_utf8_lossy(&quoted(cursor)).into_owned());
        }
    }
    cursor.rewind(start);
    Vec::new()
}

/// Whether a macro's text takes arguments.
fn is_placeholder_inside(body: &str) -> bool {
    placeholder(body).is_some()
}

/// The first `%%N%%`: what is before it, N, and what is after it.
fn placeholder(body: &str) -> Option<(&str, usize, &str)> {
    let mut from = 0;
    loop {
        let start = from + body.get(from..)?.find("%%")?;
        let inside = body.get(start + 2..)?;
        let digits = inside.bytes().take_while(u8::is_ascii_digit).count();
        let number = inside.get(..digits)?.parse().ok();
        let after = inside.get(digits..)?.strip_prefix("%%");
        if let (Some(number), Some(after)) = (number, after) {
            return Some((body.get(..start)?, number, after));
        }
        from = start + 1;
    }
}

/// A macro's text with its arguments filled in.
fn fill(name: &str, body: &str, arguments: &[String]) -> Result<String, Diagnostic> {
    let mut filled = String::new();
    let mut rest = body;
    while let Some((before, number, after)) = placeholder(rest) {
        filled.push_str(before);
        let argument = number.checked_sub(1).and_then(|index| arguments.get(index));
        let Some(argument) = argument else {
            let message = format!(
                "'${name}' needs argument {number}, and {} are given",
                arguments.len()
            );
            return Err(Diagnostic::error(Span::default(), message)
                .with_hint(format!("arguments are quoted: ${name}(\"a\", \"b\")")));
        };
        filled.push_str(argument);
        if filled.len() > MAX_BYTES {
            let message = format!("'${name}' is larger than {MAX_BYTES} bytes");
            return Err(Diagnostic::error(Span::default(), message));
        }
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn macros(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = |(name, body): &(&str, &str)| ((*name).to_owned(), (*body).to_owned());
        entries.iter().map(owned).collect()
    }

    #[test]
    fn replaced() {
        let macros = macros(&[
            ("NET", "10.0.0.0/8"),
            ("T", "NOW"),
            ("A-B", "hyphen"),
            ("OUTER", "packet ipv4.SrcIP ~ $NET"),
            ("SUM", "sum"),
            ("FIND", "grep -e %%1%% \"%%2%%\""),
            ("404", "error"),
        ]);
        for (text, expected) in [
            ("", ""),
            (
                "tag=pcap $OUTER | table",
                "tag=pcap packet ipv4.SrcIP ~ 10.0.0.0/8 | table",
            ),
            ("grep \"x$NET\"", "grep \"x10.0.0.0/8\""),
            ("start=$T-1h", "start=NOW-1h"),
            ("$A-B", "hyphen"),
            ("stats $SUM(length)", "stats sum(length)"),
            (
                "$FIND(\"Payload\", \"a \\\" $T\")",
                "grep -e Payload \"a \" NOW\"",
            ),
            ("eval $(NET) == 1", "eval $(NET) == 1"),
            (
                "regex \"a$\" `$` $1 $x $404",
                "regex \"a$\" `$` $1 $x error",
            ),
            ("a // $GONE\n/* $GONE */ $T", "a // $GONE\n/* $GONE */ NOW"),
            ("x ~ http://$T", "x ~ http://NOW"),
            ("grep \"ü // \\\" $T\"", "grep \"ü // \\\" NOW\""),
        ] {
            assert_eq!(expand(text, &macros).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn refused() {
        let macros = macros(&[
            ("A", "x $B"),
            ("B", "$C"),
            ("C", "y $A"),
            ("SELF", "$SELF"),
            ("ONE", "%%1%%"),
            ("ZERO", "%%0%%"),
            ("DEEP", "$MISSING"),
        ]);
        for (text, start, end, message) in [
            ("ü $GONE", 3, 8, "unknown macro '$GONE'"),
            (
                "$A",
                0,
                2,
                "the macro expands to itself: $A -> $B -> $C -> $A",
            ),
            ("$SELF", 0, 5, "the macro expands to itself: $SELF -> $SELF"),
            ("$ONE", 0, 4, "'$ONE' needs argument 1, and 0 are given"),
            (
                "$ZERO(\"x\")",
                0,
                10,
                "'$ZERO' needs argument 0, and 1 are given",
            ),
            ("| $DEEP", 2, 7, "unknown macro '$MISSING'"),
        ] {
            let error = expand(text, &macros).unwrap_err();
            assert_eq!(error.message, message, "{text}");
            assert_eq!(error.span, Span { start, end }, "{text}");
        }
    }

    #[test]
    fn growth_is_bounded() {
        // Each macro is twice the next: 2^26 replacements of nothing, or of one letter.
        for leaf in ["", "x"] {
            let mut entries = macros(&[("M26", leaf)]);
            for n in 0..26 {
                entries.insert(format!("M{n}"), format!("$M{next}$M{next}", next = n + 1));
            }
            let error = expand("$M0", &entries).unwrap_err();
            assert!(
                error.message.ends_with("expands to too many macros"),
                "{error:?}"
            );
        }
        let large = macros(&[("L", &"x".repeat(MAX_BYTES / 2))]);
        assert!(
            expand("$L $L $L", &large)
                .unwrap_err()
                .message
                .contains("larger than")
        );
    }
}
