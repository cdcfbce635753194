//! Eval programs: `eval ...` up to the stage's pipe, and `( ... )`.

mod expression;
mod statement;
mod token;

use self::expression::Parser;
use super::ast::{Program, Statement};
use super::cursor::Cursor;
use super::diagnostic::{Diagnostic, Span};

/// Reads `( ... )`, whose parenthesis is next. `None`: an error is reported.
pub(super) fn parenthesised(cursor: &mut Cursor<'_>) -> Option<Program> {
    let start = cursor.pos();
    let tokens = token::parenthesised(cursor)?;
    let whole = cursor.span_from(start);
    program(cursor, &tokens, whole)
}

/// Reads what follows the word `eval`. `None`: an error is reported.
pub(super) fn stage(cursor: &mut Cursor<'_>, inner: bool, name: Span) -> Option<Program> {
    let tokens = token::stage(cursor, inner)?;
    program(cursor, &tokens, name)
}

/// Parses tokens that are a whole program; `whole` is blamed where there is none.
fn program(cursor: &mut Cursor<'_>, tokens: &[token::EvalToken], whole: Span) -> Option<Program> {
    if tokens.is_empty() {
        cursor.report(
            Diagnostic::error(whole, "an expression is expected")
                .with_hint("for example 'eval DstPort < 1024'"),
        );
        return None;
    }
    let mut statements = Parser::new(tokens, &mut cursor.diagnostics).program()?;
    Some(match statements.pop() {
        Some(Statement::Expr(filter)) if statements.is_empty() => {
            Program::Filter(super::ast::Spanned {
                value: Box::new(filter.value),
                span: filter.span,
            })
        }
        Some(last) => {
            statements.push(last);
            Program::Statements(statements)
        }
        None => Program::Statements(statements),
    })
}
