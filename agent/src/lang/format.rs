//! The canonical text of a tree: one line, single spaces, plain quotes, no comments.

use std::fmt::Write as _;

use super::ast::{Body, Constraint, Program, Query, Stage, StageArgs, Token, TokenKind};

mod eval;

/// Writes a query so that parsing the text gives the same tree (spans aside).
///
/// The content of statements that the tree only names ([`super::ast::Statement::Other`]) is lost.
pub fn format(query: &Query) -> String {
    let mut out = String::new();
    for inner in &query.inner {
        let _ = write!(out, "@{}{{ ", inner.name.value);
        body(&mut out, &inner.body);
        out.push_str(" }; ");
    }
    body(&mut out, &query.body);
    out
}

fn body(out: &mut String, body: &Body) {
    constraints(out, &body.constraints);
    for (index, next) in body.stages.iter().enumerate() {
        match index {
            0 if body.constraints.is_empty() => {}
            0 if next.constraints.is_empty() => out.push(' '),
            _ => out.push_str(" | "),
        }
        stage(out, next);
    }
}

fn constraints(out: &mut String, constraints: &[Constraint]) {
    for (index, constraint) in constraints.iter().enumerate() {
        let space = if index > 0 { " " } else { "" };
        let values: Vec<String> = constraint
            .values
            .iter()
            .map(|value| constraint_value(&value.value))
            .collect();
        let _ = write!(out, "{space}{}={}", constraint.key.value, values.join(","));
    }
}

fn constraint_value(value: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_*+.".contains(c);
    if value.chars().all(plain) {
        value.to_owned()
    } else {
        quote(value.as_bytes())
    }
}

fn stage(out: &mut String, stage: &Stage) {
    constraints(out, &stage.constraints);
    if !stage.constraints.is_empty() {
        out.push(' ');
    }
    match &stage.args {
        StageArgs::Eval(program) => program_stage(out, program),
        StageArgs::Tokens(tokens) => {
            out.push_str(&stage.name.value);
            arguments(out, tokens);
        }
    }
}

/// A program with a bar stands in parentheses, since a bar outside them is a pipe.
fn program_stage(out: &mut String, program: &Program) {
    let text = match program {
        Program::Filter(filter) => eval::filter(&filter.value),
        Program::Statements(statements) if statements.is_empty() => ";".to_owned(),
        Program::Statements(statements) => {
            let text = eval::statements(statements);
            text.strip_suffix(';').unwrap_or(&text).to_owned()
        }
    };
    let _ = if text.contains('|') {
        write!(out, "({text})")
    } else {
        write!(out, "eval {text}")
    };
}

/// Tokens that touch each other in the text still do, which keeps `sum(length)`; operators have
/// spaces.
fn arguments(out: &mut String, tokens: &[Token]) {
    let mut previous: Option<&Token> = None;
    for token in tokens {
        let touches = previous.is_some_and(|previous| {
            let spaced = [previous, token]
                .iter()
                .any(|token| matches!(token.kind, TokenKind::Op(_)));
            !spaced && previous.span.end == token.span.start && token.span.start < token.span.end
        });
        if !touches {
            out.push(' ');
        }
        match &token.kind {
            TokenKind::Word(word) => out.push_str(word),
            TokenKind::Quoted(text) => out.push_str(&quote(text.as_bytes())),
            TokenKind::Bytes(bytes) => out.push_str(&quote(bytes)),
            TokenKind::Op(op) => out.push_str(op.text()),
            TokenKind::Punct(c) => out.push(*c),
        }
        previous = Some(token);
    }
}

/// A quoted string: in backticks where that saves escapes, else with as few as it needs.
fn quote(bytes: &[u8]) -> String {
    if let Ok(text) = std::str::from_utf8(bytes)
        && text.contains(['\\', '"'])
        && !text.contains(|c: char| c == '`' || c.is_control())
    {
        return format!("`{text}`");
    }
    let mut out = String::from("\"");
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                c if c.is_control() => {
                    let _ = write!(out, "\\u{:04x}", u32::from(c));
                }
                c => out.push(c),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out.push('"');
    out
}
