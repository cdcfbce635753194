//! Eval statements.

use super::expression::{Parser, compound};
use super::token::Kind;
use crate::lang::ast::{EvalExpr, Spanned, Statement};
use crate::lang::diagnostic::{Diagnostic, Span};

/// `else if` branches of one statement: the tree nests by each.
const MAX_BRANCHES: usize = 256;

impl<'t> Parser<'t> {
    /// A whole program. `None`: an error is reported.
    pub(super) fn program(&mut self) -> Option<Vec<Statement>> {
        let mut statements = Vec::new();
        while self.peek().is_some() {
            self.statement(&mut statements)?;
        }
        Some(statements)
    }

    /// One statement; a block adds each of its own.
    fn statement(&mut self, into: &mut Vec<Statement>) -> Option<()> {
        match self.peek()? {
            Kind::Op(";") => {
                self.index += 1;
                return Some(());
            }
            Kind::Op("{") if !self.is_array() => return self.block(into),
            Kind::Op(step @ ("++" | "--")) => {
                let span = self.here();
                self.index += 1;
                let name = self.target()?;
                into.push(increment(name, step, span));
            }
            Kind::Ident(word) if self.is_keyword(word) => return self.keyword(word, into),
            Kind::Ident(_) | Kind::Dollar(_) => into.push(self.assignment_or_expression()?),
            _ => into.push(set_enum(self.expression()?.expr)),
        }
        self.end_of_statement()
    }

    /// Whether the brace here opens an array: `{1, 2}[0] == x`, never a block.
    fn is_array(&self) -> bool {
        let close = self.tokens.get(self.index).and_then(|token| token.close);
        let after = close.and_then(|close| self.tokens.get(close + 1));
        let follows = after.is_some_and(|token| {
            matches!(token.kind, Kind::Op(op) if !matches!(op, "{" | "}" | ";" | "(" | "++" | "--"))
        });
        let first = self.tokens.get(self.index + 1).map(|token| &token.kind);
        let comma = matches!(
            self.tokens.get(self.index + 2).map(|token| &token.kind),
            Some(Kind::Op("," | "}"))
        );
        follows
            && comma
            && matches!(
                first,
                Some(Kind::Int(_) | Kind::Float(_) | Kind::Str(_) | Kind::Ident(_))
            )
    }

    /// Keywords are also legal names of values where the grammar leaves no doubt.
    fn is_keyword(&self, word: &str) -> bool {
        let next = self.tokens.get(self.index + 1).map(|token| &token.kind);
        match word {
            "if" | "else" | "return" | "for" | "while" | "do" | "switch" => {
                !matches!(next, Some(Kind::Op("=" | "==" | "!=" | "++" | "--")))
            }
            "break" | "continue" => matches!(next, None | Some(Kind::Op(";" | "}"))),
            "var" | "map" => matches!(next, Some(Kind::Ident(_) | Kind::Dollar(_))),
            _ => false,
        }
    }

    fn keyword(&mut self, word: &str, into: &mut Vec<Statement>) -> Option<()> {
        let span = self.here();
        match word {
            "if" => {
                let statement = self.nested(Self::conditional)?;
                into.push(statement);
                Some(())
            }
            "else" => self.fail(
                Diagnostic::error(span, "'else' without an 'if' before it")
                    .with_hint("a ';' or a second statement ends the 'if'"),
            ),
            "return" => {
                self.index += 1;
                if matches!(self.peek(), None | Some(Kind::Op(";" | "}"))) {
                    return self.expected("a value after 'return'");
                }
                into.push(Statement::Return(self.expression()?.expr));
                self.end_of_statement()
            }
            _ => {
                self.skip_statement(word);
                into.push(Statement::Other(Spanned {
                    value: word.to_owned(),
                    span,
                }));
                Some(())
            }
        }
    }

    /// The `;` after a statement; the last one needs none.
    fn end_of_statement(&mut self) -> Option<()> {
        if self.eat(";") || matches!(self.peek(), None | Some(Kind::Op("}"))) {
            return Some(());
        }
        self.expected("an operator or ';'")
    }

    fn block(&mut self, into: &mut Vec<Statement>) -> Option<()> {
        self.nested(|parser| {
            parser.expect("{")?;
            while !parser.eat("}") {
                if parser.peek().is_none() {
                    return parser.expected("'}'");
                }
                parser.statement(into)?;
            }
            Some(())
        })
    }

    /// `if`, with `else if` branches in a loop so that a long chain needs no recursion.
    fn conditional(&mut self) -> Option<Statement> {
        let mut branches = Vec::new();
        let mut otherwise = Vec::new();
        loop {
            if branches.len() == MAX_BRANCHES {
                let message = format!("more than {MAX_BRANCHES} branches of one 'if'");
                let span = self.here();
                return self.fail(Diagnostic::error(span, message));
            }
            self.index += 1;
            let condition = self.condition()?;
            let mut then = Vec::new();
            self.branch(&mut then)?;
            branches.push((condition, then));
            if !self.at_word("else") {
                break;
            }
            self.index += 1;
            if !self.at_word("if") {
                self.branch(&mut otherwise)?;
                break;
            }
        }
        for (condition, then) in branches.into_iter().rev() {
            otherwise = vec![Statement::If {
                condition,
                then,
                otherwise,
            }];
        }
        otherwise.pop()
    }

    fn branch(&mut self, into: &mut Vec<Statement>) -> Option<()> {
        if self.peek().is_none() {
            return self.expected("a statement");
        }
        if self.at("{") {
            return self.block(into);
        }
        self.nested(|parser| parser.statement(into))
    }

    fn at_word(&self, word: &str) -> bool {
        matches!(self.peek(), Some(Kind::Ident(name)) if name == word)
    }

    /// The condition of an `if`; without parentheses (the old form) with a warning.
    fn condition(&mut self) -> Option<Spanned<EvalExpr>> {
        let first = self.tokens.get(self.index);
        let close = first.filter(|_| self.at("(")).and_then(|token| token.close);
        let outer = std::mem::replace(&mut self.brace_is_block, true);
        let tree = self.expression();
        self.brace_is_block = outer;
        let expr = tree?.expr;
        if close.map(|close| close + 1) != Some(self.index) {
            self.diagnostics.report(
                Diagnostic::warning(
                    expr.span,
                    "the condition of 'if' stands without parentheses",
                )
                .with_hint("write 'if ( ... ) { ... }'"),
            );
        }
        Some(expr)
    }

    /// The name on the left of an assignment.
    fn target(&mut self) -> Option<Spanned<String>> {
        let span = self.here();
        let (Some(Kind::Ident(name)) | Some(Kind::Dollar(name))) = self.peek() else {
            return self.expected("a name");
        };
        self.index += 1;
        Some(Spanned {
            value: name.clone(),
            span,
        })
    }

    fn assignment_or_expression(&mut self) -> Option<Statement> {
        let start = self.index;
        let name = self.target()?;
        if let Some(Kind::Op(op)) = self.peek() {
            let place = self.here();
            let binary = compound(op);
            if *op == "=" || (binary.is_some() && op.ends_with('=')) {
                self.index += 1;
                let value = self.expression()?.expr;
                return Some(assign(name, binary, value));
            }
            if let "++" | "--" = *op {
                self.index += 1;
                return Some(increment(name, op, place));
            }
        }
        self.index = start;
        let expr = self.expression()?.expr;
        if matches!(expr.value, EvalExpr::Index(..)) && self.is_assignment() {
            self.skip_to_semicolon();
            return Some(Statement::Other(Spanned {
                value: "assignment to an element".to_owned(),
                span: expr.span,
            }));
        }
        Some(set_enum(expr))
    }

    fn is_assignment(&self) -> bool {
        matches!(self.peek(), Some(Kind::Op(op))
            if matches!(*op, "=" | "++" | "--") || (op.ends_with('=') && compound(op).is_some()))
    }

    /// Skips a statement that is only named: its head, and its block or all up to `;`.
    fn skip_statement(&mut self, word: &str) {
        self.index += 1;
        if matches!(word, "for" | "while" | "switch") {
            self.skip_bracketed("(");
        }
        if word == "do" {
            self.skip_bracketed("{");
        } else if self.skip_bracketed("{") {
            return;
        }
        self.skip_to_semicolon();
        self.eat(";");
    }

    fn skip_bracketed(&mut self, bracket: &str) -> bool {
        let close = self.tokens.get(self.index).and_then(|token| token.close);
        match close {
            Some(close) if self.at(bracket) => {
                self.index = close + 1;
                true
            }
            _ => false,
        }
    }

    /// Goes to the `;` or `}` that ends this statement; brackets are skipped whole.
    fn skip_to_semicolon(&mut self) {
        while let Some(token) = self.tokens.get(self.index) {
            match (token.close, &token.kind) {
                (Some(close), _) => self.index = close + 1,
                (None, Kind::Op(";" | "}")) => return,
                (None, _) => self.index += 1,
            }
        }
    }
}

/// `name = value`, or `name op= value` written out.
fn assign(name: Spanned<String>, op: Option<&'static str>, value: Spanned<EvalExpr>) -> Statement {
    let Some(op) = op else {
        return Statement::Assign { name, value };
    };
    let span = name.span.to(value.span);
    let left = Spanned {
        value: EvalExpr::Name(name.value.clone()),
        span: name.span,
    };
    let value = EvalExpr::Binary(op, Box::new(left), Box::new(value));
    Statement::Assign {
        name,
        value: Spanned { value, span },
    }
}

/// `name = name + 1` of `name++`.
fn increment(name: Spanned<String>, step: &str, span: Span) -> Statement {
    let op = if step == "++" { "+" } else { "-" };
    let one = Spanned {
        value: EvalExpr::Int(1),
        span,
    };
    assign(name, Some(op), one)
}

/// `setEnum("n", value)` of older queries is `n = value`.
fn set_enum(expr: Spanned<EvalExpr>) -> Statement {
    if let EvalExpr::Call(function, arguments) = &expr.value
        && function.value.eq_ignore_ascii_case("setEnum")
        && let [target, value] = arguments.as_slice()
        && let EvalExpr::Str(name) = &target.value
    {
        return Statement::Assign {
            name: Spanned {
                value: name.clone(),
                span: target.span,
            },
            value: value.clone(),
        };
    }
    Statement::Expr(expr)
}
