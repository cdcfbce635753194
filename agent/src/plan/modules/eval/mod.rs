//! eval: filters and assignments over the values of an entry.
//!
//! The pure part of the language: expressions, assignment, if, return. A program becomes columns
//! that are computed for every entry, and conditional values that choose among them.

mod call;
mod compare;
mod expression;

use super::super::arguments::Args;
use super::super::pipeline::{ColumnId, Expr, Literal, Op};
use super::super::registry::ModuleSpec;
use super::super::report::{Outcome, error, hinted};
use super::super::scope::Scope;
use super::packet::common_type;
use crate::lang::ast::{Program, Spanned, Statement};
use crate::types::EvType;

pub(super) static EVAL: ModuleSpec = ModuleSpec {
    summary: "keep entries for which an expression holds, and make values",
    syntax: &[
        "eval EXPRESSION",
        "( EXPRESSION )",
        "eval NAME = EXPRESSION; ...",
        "eval if ( CONDITION ) { ... } else { ... }",
    ],
    reads: "the values named",
    makes: "the names assigned",
    example: "tag=pcap packet tcp.DstPort | eval DstPort < 1024 | count by DstPort | table",
    ..ModuleSpec::stage("eval", resolve)
};

/// Statements that a program may unfold to: each `if` that returns in one branch repeats what
/// follows it in the other.
const MAX_STATEMENTS: usize = 10_000;

fn resolve(args: &mut Args<'_>, scope: &mut Scope) -> Outcome {
    let Some(program) = args.program() else {
        return Err(args.unexpected("expected an expression"));
    };
    let mut eval = Eval {
        scope,
        names: Vec::new(),
        statements: 0,
    };
    match program {
        Program::Filter(expr) => {
            let test = eval.test(&expr.value, expr.span)?;
            eval.scope.emit(Op::Filter(test));
        }
        Program::Statements(statements) => {
            let block: Vec<&Statement> = statements.iter().collect();
            let result = eval.block(&block)?;
            let names = std::mem::take(&mut eval.names);
            for (name, column) in names {
                eval.publish(name, column);
            }
            if let Some(test) = result {
                eval.scope.emit(Op::Filter(test));
            }
        }
    }
    Ok(())
}

/// An expression with its type.
#[derive(Clone)]
pub(super) struct Typed {
    expr: Expr,
    ty: EvType,
}

impl Typed {
    fn new(expr: Expr, ty: EvType) -> Self {
        Self { expr, ty }
    }

    fn literal(literal: Literal, ty: EvType) -> Self {
        Self::new(Expr::Literal(literal), ty)
    }
}

/// A program being compiled: the names assigned so far on this path hide those of the scope.
struct Eval<'a> {
    scope: &'a mut Scope,
    names: Vec<(String, ColumnId)>,
    statements: usize,
}

impl Eval<'_> {
    /// Makes an assigned column visible under its name.
    fn publish(&mut self, name: String, column: ColumnId) {
        self.scope
            .bind(name, column, super::super::scope::Origin::Made);
    }

    /// Compiles statements in order; what the program returns on this path, if it does.
    fn block(&mut self, statements: &[&Statement]) -> Outcome<Option<Expr>> {
        for (index, statement) in statements.iter().enumerate() {
            self.statements += 1;
            let rest = statements.get(index + 1..).unwrap_or_default();
            match statement {
                Statement::Assign { name, value } => {
                    let value = self.expression(&value.value, value.span)?;
                    self.assign(&name.value, known(value));
                }
                Statement::Return(value) => {
                    return self.test(&value.value, value.span).map(Some);
                }
                Statement::If {
                    condition,
                    then,
                    otherwise,
                } => {
                    if self.statements > MAX_STATEMENTS {
                        return Err(error(condition.span, "the program has too many paths"));
                    }
                    let test = self.test(&condition.value, condition.span)?;
                    let mut then: Vec<&Statement> = then.iter().collect();
                    let mut otherwise: Vec<&Statement> = otherwise.iter().collect();
                    let returns = then.iter().chain(&otherwise).any(|s| may_return(s));
                    if returns {
                        then.extend(rest);
                        otherwise.extend(rest);
                    }
                    let result = self.branch(test, &then, &otherwise)?;
                    if returns {
                        return Ok(result);
                    }
                }
                Statement::Other(what) => return Err(unsupported(what)),
                Statement::Expr(value) => {
                    return Err(hinted(
                        error(value.span, "a statement that changes nothing"),
                        "assign it: 'name = ...;', or leave out the semicolon to filter",
                    ));
                }
            }
        }
        Ok(None)
    }

    fn assign(&mut self, name: &str, value: Typed) {
        let column = self.scope.column(name, value.ty, None);
        self.scope.emit(Op::Assign(vec![(column, value.expr)]));
        self.names.retain(|(known, _)| known != name);
        self.names.push((name.to_owned(), column));
    }

    /// Compiles both branches, then chooses each value that one of them assigned.
    fn branch(
        &mut self,
        test: Expr,
        then: &[&Statement],
        otherwise: &[&Statement],
    ) -> Outcome<Option<Expr>> {
        let condition = self.scope.column("", EvType::Bool, None);
        self.scope.emit(Op::Assign(vec![(condition, test)]));
        let condition = Expr::Column(condition);
        let before = self.names.clone();
        let then_result = self.block(then)?;
        let after_then = std::mem::replace(&mut self.names, before.clone());
        let else_result = self.block(otherwise)?;
        let after_else = std::mem::replace(&mut self.names, before);

        let mut changed: Vec<&String> = Vec::new();
        for (name, column) in after_then.iter().chain(&after_else) {
            if !self.names.contains(&(name.clone(), *column)) && !changed.contains(&name) {
                changed.push(name);
            }
        }
        for name in changed {
            let value = |names: &[(String, ColumnId)], scope: &Scope| {
                let found = names.iter().find(|(known, _)| known == name);
                found
                    .map(|(_, column)| *column)
                    .or_else(|| scope.find_exact(name))
            };
            let sides = [
                value(&after_then, self.scope),
                value(&after_else, self.scope),
            ];
            let chosen = self.choose(&condition, sides);
            self.assign(name, chosen);
        }
        Ok(match (then_result, else_result) {
            (None, None) => None,
            (then, otherwise) => {
                let pass = || Expr::Literal(Literal::Bool(true));
                let then = then.unwrap_or_else(pass);
                let otherwise = otherwise.unwrap_or_else(pass);
                Some(Expr::Case(vec![(condition, then)], Box::new(otherwise)))
            }
        })
    }

    /// One of two columns by a condition; absent where a branch has none.
    fn choose(&self, condition: &Expr, sides: [Option<ColumnId>; 2]) -> Typed {
        let types: Vec<EvType> = sides
            .iter()
            .flatten()
            .map(|column| self.scope.ty(*column))
            .collect();
        let ty = common_type(&types);
        let [then, otherwise] = sides.map(|side| match side {
            None => Expr::Null(ty),
            Some(column) => convert(Typed::new(Expr::Column(column), self.scope.ty(column)), ty),
        });
        Typed::new(
            Expr::Case(vec![(condition.clone(), then)], Box::new(otherwise)),
            ty,
        )
    }
}

/// A comparison with an absent value is false, also where it is kept as a value.
fn known(value: Typed) -> Typed {
    if value.ty == EvType::Bool && !matches!(value.expr, Expr::Column(_) | Expr::Literal(_)) {
        return Typed::new(or_false(value.expr), EvType::Bool);
    }
    value
}

fn or_false(test: Expr) -> Expr {
    if matches!(test, Expr::IsPresent(_) | Expr::Literal(_)) {
        return test;
    }
    Expr::Coalesce(vec![test, Expr::Literal(Literal::Bool(false))])
}

/// A value as another type of the common kind.
fn convert(value: Typed, ty: EvType) -> Expr {
    if value.ty == ty {
        value.expr
    } else if ty == EvType::String {
        Expr::Call("to_text", vec![value.expr], EvType::String)
    } else {
        Expr::Cast(Box::new(value.expr), ty)
    }
}

fn may_return(statement: &Statement) -> bool {
    match statement {
        Statement::Return(_) => true,
        Statement::If {
            then, otherwise, ..
        } => then.iter().chain(otherwise).any(may_return),
        _ => false,
    }
}

fn unsupported(what: &Spanned<String>) -> crate::lang::diagnostic::Diagnostic {
    hinted(
        error(
            what.span,
            format!("'{}' is not supported in eval yet", what.value),
        ),
        "supported are expressions, assignments, if, else and return",
    )
}
