//! Constraints: `tag=a,b`, `start=-1h`, `end="2026-01-31T12:00:00Z"`.

use super::ast::{Constraint, Spanned};
use super::cursor::Cursor;
use super::diagnostic::{Diagnostic, Span};
use super::quote::{is_quote, quoted};

/// The keys of the language.
const KEYS: [&str; 3] = ["tag", "start", "end"];

/// Reads the constraints that stand here. A stage within the pipeline takes only `tag`.
pub(super) fn constraints(cursor: &mut Cursor<'_>, body: bool) -> Vec<Constraint> {
    let mut found: Vec<Constraint> = Vec::new();
    while let Some(constraint) = constraint(cursor) {
        let key = &constraint.key;
        if !body && key.value != "tag" {
            cursor.report(
                Diagnostic::error(
                    key.span,
                    format!("'{}' stands only before the first stage", key.value),
                )
                .with_hint("a stage may be restricted by 'tag' alone"),
            );
        }
        if found.iter().any(|other| other.key.value == key.value) {
            cursor.report(
                Diagnostic::error(key.span, format!("'{}' is given twice", key.value))
                    .with_hint("several tags are separated by commas: tag=a,b"),
            );
        }
        found.push(constraint);
    }
    found
}

/// Reads one constraint, or nothing if none stands here.
fn constraint(cursor: &mut Cursor<'_>) -> Option<Constraint> {
    cursor.skip_trivia();
    let start = cursor.pos();
    let word = cursor.eat_while(char::is_alphanumeric).to_ascii_lowercase();
    let span = cursor.span_from(start);
    cursor.skip_trivia();
    let equals = cursor.span_here();
    let operator = cursor.eat("=");
    // A misspelt key needs the plain '='; otherwise a module of that name is compared.
    let plain = cursor.peek() != Some('=');
    let Some(key) = key(&word).filter(|key| operator && (plain || *key == word)) else {
        cursor.rewind(start);
        return None;
    };
    if key != word {
        cursor.report(
            Diagnostic::error(span, format!("unknown constraint '{word}'"))
                .with_hint(format!("the nearest is '{key}'")),
        );
    } else if cursor.eat("=") {
        cursor.report(
            Diagnostic::warning(equals, "'==' is read as '=' in a constraint")
                .with_hint("write '='"),
        );
    }
    let values = values(cursor, key, span.to(equals));
    Some(Constraint {
        key: Spanned {
            value: key.to_owned(),
            span,
        },
        values,
    })
}

/// Whether a word is a key of the language, which is no module's name.
pub(super) fn is_key(word: &str) -> bool {
    KEYS.iter().any(|key| key.eq_ignore_ascii_case(word))
}

/// The key that a word is or is meant to be.
fn key(word: &str) -> Option<&'static str> {
    let meant = match word {
        "tags" => "tag",
        "from" | "begin" | "starts" => "start",
        "to" | "until" | "ends" => "end",
        _ => word,
    };
    KEYS.into_iter().find(|key| *key == meant)
}

fn values(cursor: &mut Cursor<'_>, key: &str, head: Span) -> Vec<Spanned<String>> {
    let mut values: Vec<Spanned<String>> = Vec::new();
    loop {
        cursor.skip_trivia();
        let start = cursor.pos();
        let is_quoted = cursor.peek().is_some_and(is_quote);
        let value = if is_quoted {
            String::from_utf8_lossy(&quoted(cursor)).into_owned()
        } else if key == "tag" {
            tag(cursor)
        } else {
            time(cursor)
        };
        let span = cursor.span_from(start);
        if value.is_empty() {
            let comma = cursor.peek() == Some(',');
            let after = match (is_quoted, comma) {
                (true, _) => span,
                (false, true) => cursor.span_here(),
                (false, false) => head,
            };
            let what = if key == "tag" { "tag name" } else { "time" };
            cursor.report(
                Diagnostic::error(after, format!("a {what} is expected after '{key}='"))
                    .with_hint(example(key)),
            );
            if cursor.eat(",") {
                continue;
            }
            return values;
        }
        if key == "tag" {
            check_tag(cursor, &value, span, is_quoted);
        }
        values.push(Spanned { value, span });
        let before_comma = cursor.pos();
        cursor.skip_trivia();
        if !cursor.eat(",") {
            cursor.rewind(before_comma);
            break;
        }
    }
    if let (true, Some(second)) = (key != "tag", values.get(1)) {
        let message = format!("'{key}' takes one value");
        cursor.report(Diagnostic::error(second.span, message).with_hint(example(key)));
    }
    values
}

fn example(key: &str) -> String {
    match key {
        "tag" => "for example 'tag=pcap' or 'tag=*'".to_owned(),
        _ => format!("for example '{key}=-1h' or '{key}=\"2026-01-31T12:00:00Z\"'"),
    }
}

fn tag(cursor: &mut Cursor<'_>) -> String {
    let start = cursor.pos();
    loop {
        cursor.eat_while(|c| {
            !c.is_whitespace() && !is_quote(c) && !matches!(c, ',' | '|' | '{' | '}' | ';' | '/')
        });
        let comment = cursor.rest().starts_with("//") || cursor.rest().starts_with("/*");
        if comment || !cursor.eat("/") {
            break;
        }
    }
    cursor.slice(cursor.span_from(start)).to_owned()
}

/// Characters that no tag name has (those of the ingest library, without the glob's `*`).
fn check_tag(cursor: &mut Cursor<'_>, name: &str, span: Span, is_quoted: bool) {
    let wrong = name.char_indices().find(|(_, c)| {
        c.is_whitespace() || c.is_control() || "!@#$%^&()=+<>,.:;`\"'{[}]|\\/?~".contains(*c)
    });
    let Some((offset, c)) = wrong else {
        return;
    };
    let place = if is_quoted {
        span
    } else {
        Span {
            start: span.start + offset,
            end: span.start + offset + c.len_utf8(),
        }
    };
    let hint = match c {
        '!' => "tags cannot be excluded: list the wanted ones",
        '.' | ':' => "the module stands after the tag, with a space between",
        _ => "tag names consist of letters, digits, '-' and '_'; '*' stands for any part",
    };
    let message = format!("{c:?} cannot stand in a tag name");
    cursor.report(Diagnostic::error(place, message).with_hint(hint));
}

/// A time value. Arithmetic may have spaces around its sign: `END - 1h`.
fn time(cursor: &mut Cursor<'_>) -> String {
    let mut value = time_part(cursor);
    if value.is_empty() {
        return value;
    }
    let before = cursor.pos();
    cursor.eat_while(char::is_whitespace);
    let spaced = match cursor.peek() {
        Some(c @ ('-' | '+')) => Some(c),
        _ => None,
    };
    let ends_in_sign = value.ends_with(['-', '+']);
    if let Some(sign) = spaced {
        cursor.bump();
        cursor.eat_while(char::is_whitespace);
        if cursor.peek().is_some_and(|c| c.is_ascii_digit()) {
            value.push(sign);
            value.push_str(&time_part(cursor));
            return value;
        }
    } else if ends_in_sign && cursor.peek().is_some_and(|c| c.is_ascii_digit()) {
        value.push_str(&time_part(cursor));
        return value;
    }
    cursor.rewind(before);
    value
}

fn time_part(cursor: &mut Cursor<'_>) -> String {
    cursor
        .eat_while(|c| {
            !c.is_whitespace() && !is_quote(c) && !matches!(c, ',' | '|' | '{' | '}' | ';')
        })
        .to_owned()
}
