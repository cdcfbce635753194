//! grep and words: text anywhere in a value.

use std::collections::BTreeSet;

use super::super::arguments::Args;
use super::super::pipeline::{ColumnId, Expr, Literal, Op};
use super::super::registry::{ModuleSpec, flag, valued};
use super::super::report::{Outcome, error, hinted};
use super::super::scope::{Scope, text};
use crate::lang::ast::{Spanned, TokenKind};
use crate::lang::diagnostic::Span;
use crate::types::EvType;

pub(super) static GREP: ModuleSpec = ModuleSpec {
    summary: "keep entries in which one of the patterns occurs anywhere",
    syntax: &["grep [-v] [-i] [-s] [-w] [-simple] [-e EV] PATTERN..."],
    flags: &[
        flag("-v", "drop entries that match instead"),
        flag("-i", "upper and lower case are the same"),
        flag("-s", "all patterns must occur"),
        flag("-simple", "no wildcards"),
        flag("-w", "whole words"),
        valued("-e", "a value", "look in this value instead of DATA"),
    ],
    reads: "DATA or the value named, as text; wildcards * ? [set]",
    makes: "nothing",
    example: "tag=pcap packet tcp.Payload | grep -e Payload \"GET / HTTP/1.1\" | table Payload",
    ..ModuleSpec::stage("grep", resolve_grep)
};

pub(super) static WORDS: ModuleSpec = ModuleSpec {
    summary: "keep entries in which all words occur, as whole words",
    syntax: &["words [-or] [-v] [-e EV] WORD..."],
    flags: &[
        flag("-or", "any word is enough"),
        flag("-v", "drop entries that match instead"),
        valued("-e", "a value", "look in this value instead of DATA"),
    ],
    reads: "DATA or the value named, as text",
    makes: "nothing",
    example: "tag=pcap packet tcp.Payload | words -e Payload GET HTTP | table Payload",
    ..ModuleSpec::stage("words", resolve_words)
};

/// How patterns are read.
#[derive(Clone, Copy)]
struct Style {
    case_insensitive: bool,
    wildcards: bool,
    whole_words: bool,
}

fn resolve_grep(args: &mut Args<'_>, scope: &mut Scope) -> Outcome {
    let style = Style {
        case_insensitive: args.has("-i"),
        wildcards: !args.has("-simple") && !args.has("-w"),
        whole_words: args.has("-w"),
    };
    let invert = args.has("-v");
    let all = args.has("-s") && !invert;
    search(args, scope, style, all, invert)
}

fn resolve_words(args: &mut Args<'_>, scope: &mut Scope) -> Outcome {
    let style = Style {
        case_insensitive: false,
        wildcards: false,
        whole_words: true,
    };
    let (all, invert) = (!args.has("-or"), args.has("-v"));
    search(args, scope, style, all, invert)
}

fn search(
    args: &mut Args<'_>,
    scope: &mut Scope,
    style: Style,
    all: bool,
    invert: bool,
) -> Outcome {
    let column = source(args, scope);
    let number = scope.ty(column).is_number();
    let value = searchable(scope, column);
    let mut tests = Vec::new();
    while let Some(token) = args.peek_at(0) {
        let test = if let TokenKind::Bytes(bytes) = &token.kind {
            args.next();
            matches_bytes(&value, bytes, style, token.span)?
        } else {
            let Some(pattern) = args.take_glued() else {
                break;
            };
            if number && !style.whole_words {
                warn_number(scope, args, &pattern);
            }
            matches_text(&value, &pattern, style)?
        };
        tests.push(test);
    }
    let test = match (tests.len(), all) {
        (0, _) => return Err(args.unexpected("expected a pattern")),
        (1, _) => tests.swap_remove(0),
        (_, true) => Expr::And(tests),
        (_, false) => Expr::Or(tests),
    };
    filter(scope, column, test, invert);
    Ok(())
}

/// Keeps entries that match, or those that do not; an absent value is no match.
pub(super) fn filter(scope: &mut Scope, column: ColumnId, test: Expr, invert: bool) {
    let test = if invert {
        let present = Expr::IsPresent(Box::new(Expr::Column(column)));
        Expr::Or(vec![
            Expr::Not(Box::new(present)),
            Expr::Not(Box::new(test)),
        ])
    } else {
        test
    };
    scope.emit(Op::Filter(test));
}

/// The value that `-e` names, or DATA.
pub(super) fn source(args: &Args<'_>, scope: &mut Scope) -> ColumnId {
    match args.value("-e").cloned() {
        Some(name) => scope.lookup(&name),
        None => scope.data(),
    }
}

/// A value as text or bytes.
pub(super) fn searchable(scope: &Scope, column: ColumnId) -> Expr {
    match scope.ty(column) {
        EvType::String | EvType::Bytes => Expr::Column(column),
        _ => Expr::Call("to_text", vec![Expr::Column(column)], EvType::String),
    }
}

fn matches_text(value: &Expr, pattern: &Spanned<String>, style: Style) -> Outcome<Expr> {
    if style.whole_words {
        check_word(&pattern.value, pattern.span)?;
    }
    // A pattern may occur anywhere: stars at its ends say nothing.
    let (text, glob) = if style.wildcards {
        let text = pattern.value.trim_matches('*');
        (text, glob(text))
    } else {
        (pattern.value.as_str(), None)
    };
    if glob.is_none() && !style.case_insensitive && !style.whole_words {
        let needle = Expr::Literal(Literal::String(text.to_owned()));
        return Ok(Expr::Call(
            "contains",
            vec![value.clone(), needle],
            EvType::Bool,
        ));
    }
    let mut regex = String::from(if style.case_insensitive {
        "(?is)"
    } else {
        "(?s)"
    });
    let body = glob.unwrap_or_else(|| regex::escape(text));
    if style.whole_words {
        regex.push_str(&whole_word(&body));
    } else {
        regex.push_str(&body);
    }
    if regex::bytes::Regex::new(&regex).is_err() {
        return Err(hinted(
            error(pattern.span, format!("'{}' is no pattern", pattern.value)),
            "a [ starts a set of characters; -simple takes patterns as they are",
        ));
    }
    Ok(regex_match(value, regex))
}

fn matches_bytes(value: &Expr, bytes: &[u8], style: Style, span: Span) -> Outcome<Expr> {
    if style.whole_words {
        return Err(error(span, "a word is text, this is not"));
    }
    let wild = style.wildcards && bytes.iter().any(|b| b"*?[".contains(b));
    if !wild && !style.case_insensitive {
        let needle = Expr::Literal(Literal::Bytes(bytes.to_vec()));
        return Ok(Expr::Call(
            "contains",
            vec![value.clone(), needle],
            EvType::Bool,
        ));
    }
    let mut regex = String::from(if style.case_insensitive {
        "(?is-u)"
    } else {
        "(?s-u)"
    });
    for &byte in bytes {
        match byte {
            b'*' if style.wildcards => regex.push_str(".*"),
            b'?' if style.wildcards => regex.push('.'),
            _ => regex.push_str(&format!("\\x{byte:02x}")),
        }
    }
    Ok(regex_match(value, regex))
}

/// A match of a regular expression over bytes.
pub(super) fn regex_match(value: &Expr, regex: String) -> Expr {
    Expr::Call(
        "regex_match",
        vec![value.clone(), text(regex)],
        EvType::Bool,
    )
}

/// Characters of a word besides letters and digits.
const WORD: &str = ".:_@-";

fn whole_word(body: &str) -> String {
    let other = format!("[^[:alnum:]{}]", WORD.replace('-', "\\-"));
    format!("(?:^|{other}){body}(?:{other}|$)")
}

fn check_word(word: &str, span: Span) -> Outcome {
    let split = word
        .chars()
        .find(|c| !c.is_alphanumeric() && !WORD.contains(*c));
    match split {
        None if !word.is_empty() => Ok(()),
        None => Err(error(span, "a word is empty")),
        Some(c) => Err(hinted(
            error(
                span,
                format!("'{word}' is no single word: {c:?} separates words"),
            ),
            "use grep without -w, or give each word on its own",
        )),
    }
}

/// The regular expression of a pattern with wildcards; `None` if it has none.
fn glob(pattern: &str) -> Option<String> {
    let mut regex = String::new();
    let mut wild = false;
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        match c {
            '*' => regex.push_str(".*?"),
            '?' => regex.push('.'),
            '[' => {
                let Some((set, after)) = rest.as_str().split_once(']') else {
                    regex.push_str("\\[");
                    continue;
                };
                regex.push_str(&class(set));
                rest = after.chars();
            }
            _ => {
                regex.push_str(&regex::escape(c.encode_utf8(&mut [0; 4])));
                continue;
            }
        }
        wild = true;
    }
    wild.then_some(regex)
}

fn class(set: &str) -> String {
    let (negation, set) = match set.strip_prefix(['!', '^']) {
        Some(rest) => ("^", rest),
        None => ("", set),
    };
    let mut out = format!("[{negation}");
    for c in set.chars() {
        if c != '-' && !c.is_alphanumeric() {
            out.push('\\');
        }
        out.push(c);
    }
    out.push(']');
    out
}

/// A number searched as text matches where nobody expects it.
fn warn_number(scope: &mut Scope, args: &Args<'_>, pattern: &Spanned<String>) {
    let digits = pattern.value.as_str();
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return;
    }
    let name = args
        .value("-e")
        .map_or_else(|| "DATA".to_owned(), |name| name.value.clone());
    let others: Vec<String> = [
        format!("{digits}0"),
        format!("1{digits}"),
        format!("{digits}80"),
        format!("48{digits}"),
        format!("80{digits}"),
    ]
    .into_iter()
    .filter(|port| port.parse::<u16>().is_ok())
    .collect::<BTreeSet<_>>()
    .into_iter()
    .collect();
    let verb = if args.has("-v") { "drops" } else { "keeps" };
    scope.warn_hint(
        pattern.span,
        format!(
            "grep searches digits anywhere: this also {verb} {}",
            others.join(", ")
        ),
        format!(
            "write 'eval {name} {} {digits}' or 'grep -w'",
            if args.has("-v") { "!=" } else { "==" }
        ),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        for (pattern, expected) in [
            ("abc", None),
            ("a*c", Some("a.*?c")),
            ("a?.c", Some("a.\\.c")),
            ("[a-c]x", Some("[a-c]x")),
            ("[!0-9]", Some("[^0-9]")),
            ("a[b", None),
        ] {
            assert_eq!(glob(pattern).as_deref(), expected, "{pattern}");
        }
    }

    #[test]
    fn words_are_whole() {
        let regex = regex::bytes::Regex::new(&whole_word("80")).unwrap();
        for (text, expected) in [
            ("80", true),
            ("port 80,", true),
            ("8080", false),
            ("80.1", false),
            ("1:80", false),
        ] {
            assert_eq!(regex.is_match(text.as_bytes()), expected, "{text}");
        }
    }
}
