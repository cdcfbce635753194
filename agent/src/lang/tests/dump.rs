//! A tree as text, for golden files.

use crate::lang::ast::{
    Body, Constraint, EvalExpr, Program, Query, Spanned, StageArgs, Statement, Token, TokenKind,
};

/// One line per constraint and stage; eval programs as nested lists.
pub(super) fn dump(query: &Query) -> String {
    let mut out = String::new();
    for inner in &query.inner {
        out += &format!("@{}\n", inner.name.value);
        out += &body(&inner.body, "  ");
    }
    out + &body(&query.body, "")
}

fn body(body: &Body, indent: &str) -> String {
    let mut out = String::new();
    for constraint in &body.constraints {
        out += &format!("{indent}{}\n", constraint_text(constraint));
    }
    for stage in &body.stages {
        let constraints: Vec<String> = stage.constraints.iter().map(constraint_text).collect();
        let prefix = constraints.concat();
        let space = if prefix.is_empty() { "" } else { " " };
        let args = match &stage.args {
            StageArgs::Tokens(tokens) => tokens.iter().map(token).collect::<Vec<_>>().join(" "),
            StageArgs::Eval(Program::Filter(expr)) => {
                format!("filter {}", expression(&expr.value))
            }
            StageArgs::Eval(Program::Statements(list)) => statements(list),
        };
        let line = format!("{indent}| {prefix}{space}{}: {args}", stage.name.value);
        out += line.trim_end();
        out.push('\n');
    }
    out
}

fn constraint_text(constraint: &Constraint) -> String {
    let values: Vec<&str> = constraint.values.iter().map(|v| v.value.as_str()).collect();
    format!("{} = {values:?}", constraint.key.value)
}

fn token(token: &Token) -> String {
    match &token.kind {
        TokenKind::Word(word) => word.clone(),
        TokenKind::Quoted(text) => format!("{text:?}"),
        TokenKind::Bytes(bytes) => format!("b\"{}\"", bytes.escape_ascii()),
        TokenKind::Op(op) => format!("<{}>", op.text()),
        TokenKind::Punct(c) => format!("'{c}'"),
    }
}

fn statements(list: &[Statement]) -> String {
    let texts: Vec<String> = list.iter().map(statement).collect();
    format!("{{{}}}", texts.join("; "))
}

fn statement(statement: &Statement) -> String {
    match statement {
        Statement::Assign { name, value } => {
            format!("(set {} {})", name.value, expression(&value.value))
        }
        Statement::If {
            condition,
            then,
            otherwise,
        } => format!(
            "(if {} {} {})",
            expression(&condition.value),
            statements(then),
            statements(otherwise)
        ),
        Statement::Return(value) => format!("(return {})", expression(&value.value)),
        Statement::Other(what) => format!("(other {:?})", what.value),
        Statement::Expr(value) => expression(&value.value),
    }
}

fn expression(expr: &EvalExpr) -> String {
    let sub = |expr: &Spanned<EvalExpr>| expression(&expr.value);
    let all = |list: &[Spanned<EvalExpr>]| {
        list.iter()
            .map(|item| format!(" {}", expression(&item.value)))
            .collect::<String>()
    };
    match expr {
        EvalExpr::Int(value) => value.to_string(),
        EvalExpr::Float(value) => format!("{value:?}"),
        EvalExpr::Str(text) => format!("{text:?}"),
        EvalExpr::Bool(value) => value.to_string(),
        EvalExpr::Name(name) if name.contains(' ') => format!("$({name})"),
        EvalExpr::Name(name) => name.clone(),
        EvalExpr::Unary(op, inner) => format!("({op} {})", sub(inner)),
        EvalExpr::Binary(op, left, right) => format!("({op} {} {})", sub(left), sub(right)),
        EvalExpr::Compare(op, left, right) => {
            format!("({} {} {})", op.text(), sub(left), sub(right))
        }
        EvalExpr::Conditional(c, a, b) => format!("(? {} {} {})", sub(c), sub(a), sub(b)),
        EvalExpr::Call(name, arguments) => format!("(call {}{})", name.value, all(arguments)),
        EvalExpr::Array(items) => format!("(array{})", all(items)),
        EvalExpr::Index(base, index) => format!("(index {} {})", sub(base), sub(index)),
        EvalExpr::Slice(base, from, to) => {
            let bound = |bound: &Option<Box<Spanned<EvalExpr>>>| {
                bound
                    .as_ref()
                    .map_or_else(|| "_".to_owned(), |b| expression(&b.value))
            };
            format!("(slice {} {} {})", sub(base), bound(from), bound(to))
        }
    }
}
