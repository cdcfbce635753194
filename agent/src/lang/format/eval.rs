//! Text of eval programs, with as few parentheses as the tree needs.

use super::quote;
use crate::lang::ast::{CompareOp, EvalExpr, Spanned, Statement};

/// Words that a name must not look like.
const RESERVED: [&str; 14] = [
    "if", "else", "return", "for", "while", "do", "switch", "break", "continue", "var", "map",
    "true", "false", "setEnum",
];

/// Strength of what needs no parentheses anywhere.
const PRIMARY: u8 = 12;
const PREFIX: u8 = 11;

/// A filter; one that begins with an array would read as a block.
pub(super) fn filter(expr: &EvalExpr) -> String {
    let text = expression(expr);
    if text.starts_with('{') {
        format!("({text})")
    } else {
        text
    }
}

/// Statements, each with its end.
pub(super) fn statements(statements: &[Statement]) -> String {
    let texts: Vec<String> = statements.iter().map(statement).collect();
    texts.join(" ")
}

fn statement(statement: &Statement) -> String {
    match statement {
        Statement::Assign { name, value } => assignment(&name.value, &expression(&value.value)),
        Statement::Expr(expr) => format!("{};", filter(&expr.value)),
        Statement::Return(expr) => format!("return {};", expression(&expr.value)),
        Statement::Other(what) => match what.value.as_str() {
            word @ ("break" | "continue") => format!("{word};"),
            word @ ("var" | "map") => format!("{word} x;"),
            word @ ("for" | "while" | "switch") => format!("{word} () {{}}"),
            "do" => "do {} while ();".to_owned(),
            _ => "x[0] = 0;".to_owned(),
        },
        Statement::If {
            condition,
            then,
            otherwise,
        } => conditional(&condition.value, then, otherwise),
    }
}

fn assignment(name: &str, value: &str) -> String {
    let writable = !name.is_empty() && name.trim() == name && !name.contains([')', '\n']);
    if writable {
        format!("{} = {value};", variable(name))
    } else {
        format!("setEnum({}, {value});", quote(name.as_bytes()))
    }
}

fn conditional(condition: &EvalExpr, then: &[Statement], otherwise: &[Statement]) -> String {
    let mut text = format!("if ({}) {}", expression(condition), block(then));
    let mut rest = otherwise;
    // A chain of `else if` is as deep as it is long.
    while let [
        Statement::If {
            condition,
            then,
            otherwise,
        },
    ] = rest
    {
        text += &format!(
            " else if ({}) {}",
            expression(&condition.value),
            block(then)
        );
        rest = otherwise;
    }
    if !rest.is_empty() {
        text += &format!(" else {}", block(rest));
    }
    text
}

fn block(body: &[Statement]) -> String {
    if body.is_empty() {
        "{}".to_owned()
    } else {
        format!("{{ {} }}", statements(body))
    }
}

fn variable(name: &str) -> String {
    let starts = name.starts_with(|c: char| c == '_' || c.is_alphabetic());
    let plain = starts && name.chars().all(|c| c == '_' || c.is_alphanumeric());
    let reserved = RESERVED.iter().any(|word| word.eq_ignore_ascii_case(name));
    if plain && !reserved {
        name.to_owned()
    } else {
        format!("$({name})")
    }
}

/// How strongly an expression's outermost operator binds.
fn power(expr: &EvalExpr) -> u8 {
    match expr {
        EvalExpr::Conditional(..) => 0,
        EvalExpr::Binary(op, ..) => match *op {
            "||" => 1,
            "&&" => 2,
            "|" => 3,
            "^" => 4,
            "&" => 5,
            "<<" | ">>" => 8,
            "+" | "-" => 9,
            _ => 10,
        },
        EvalExpr::Compare(op, ..) => match op {
            CompareOp::Eq | CompareOp::Ne | CompareOp::Match | CompareOp::NotMatch => 6,
            CompareOp::Lt | CompareOp::Le | CompareOp::Gt | CompareOp::Ge => 7,
        },
        EvalExpr::Unary(..) => PREFIX,
        EvalExpr::Int(value) if *value < 0 => PREFIX,
        EvalExpr::Float(value) if value.is_sign_negative() => PREFIX,
        _ => PRIMARY,
    }
}

/// An expression where only something at least so strong needs no parentheses.
fn operand(expr: &EvalExpr, least: u8) -> String {
    let text = expression(expr);
    if power(expr) < least {
        format!("({text})")
    } else {
        text
    }
}

fn expression(expr: &EvalExpr) -> String {
    match expr {
        EvalExpr::Int(value) => value.to_string(),
        EvalExpr::Float(value) => format!("{value:?}"),
        EvalExpr::Str(text) => quote(text.as_bytes()),
        EvalExpr::Bool(value) => value.to_string(),
        EvalExpr::Name(name) => variable(name),
        EvalExpr::Unary(op, inner) => prefix(*op, &inner.value),
        EvalExpr::Binary(op, left, right) => {
            let own = power(expr);
            let bits = matches!(*op, "&" | "|" | "^");
            let left = bit_operand(&left.value, own, bits);
            format!("{left} {op} {}", bit_operand(&right.value, own + 1, bits))
        }
        EvalExpr::Compare(op, left, right) => {
            let own = power(expr);
            let left = operand(&left.value, own);
            format!("{left} {} {}", op.text(), operand(&right.value, own + 1))
        }
        EvalExpr::Conditional(condition, then, otherwise) => {
            let condition = operand(&condition.value, 1);
            let then = expression(&then.value);
            format!("{condition} ? {then} : {}", expression(&otherwise.value))
        }
        EvalExpr::Call(name, arguments) => format!("{}({})", name.value, list(arguments)),
        EvalExpr::Array(items) => format!("{{{}}}", list(items)),
        EvalExpr::Index(base, index) => {
            let base = operand(&base.value, PRIMARY);
            format!("{base}[{}]", expression(&index.value))
        }
        EvalExpr::Slice(base, from, to) => {
            let bound = |bound: &Option<Box<Spanned<EvalExpr>>>| {
                bound
                    .as_ref()
                    .map_or_else(String::new, |bound| expression(&bound.value))
            };
            let base = operand(&base.value, PRIMARY);
            format!("{base}[{}:{}]", bound(from), bound(to))
        }
    }
}

/// Comparisons under a bit operator keep their parentheses, as C compilers advise.
fn bit_operand(expr: &EvalExpr, least: u8, bits: bool) -> String {
    let comparison = bits && matches!(expr, EvalExpr::Compare(..));
    operand(expr, if comparison { PRIMARY } else { least })
}

fn prefix(op: char, inner: &EvalExpr) -> String {
    let number = matches!(inner, EvalExpr::Int(_) | EvalExpr::Float(_));
    let text = operand(inner, PREFIX);
    // `--x` is a decrement and `-5` one number.
    if op == '-' && (number || text.starts_with('-')) {
        format!("-({text})")
    } else {
        format!("{op}{text}")
    }
}

fn list(items: &[Spanned<EvalExpr>]) -> String {
    let texts: Vec<String> = items.iter().map(|item| expression(&item.value)).collect();
    texts.join(", ")
}
