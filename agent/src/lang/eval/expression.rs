//! Eval expressions, with the precedence of C.

use super::token::{EvalToken, Kind};
use crate::lang::ast::{CompareOp, EvalExpr, Spanned};
use crate::lang::cursor::Diagnostics;
use crate::lang::diagnostic::{Diagnostic, Span};

/// Expressions and statements within one another.
const MAX_NESTING: usize = 64;
/// Height of an expression's tree: a chain `a + b + c ...` grows it by one per operator, and
/// whoever walks the tree does so recursively.
const MAX_HEIGHT: usize = 512;

/// Statements that look like calls.
const STATEMENTS: [&str; 7] = ["if", "else", "for", "while", "switch", "return", "do"];

/// What an operator makes.
#[derive(Clone, Copy)]
enum Infix {
    Binary(&'static str),
    Compare(CompareOp),
}

/// Infix operators and their power, weakest first.
fn infix(op: &str) -> Option<(Infix, u8)> {
    use CompareOp::{Eq, Ge, Gt, Le, Lt, Match, Ne, NotMatch};
    use Infix::{Binary, Compare};
    Some(match op {
        "||" => (Binary("||"), 1),
        "&&" => (Binary("&&"), 2),
        "|" => (Binary("|"), 3),
        "^" => (Binary("^"), 4),
        "&" => (Binary("&"), 5),
        "==" => (Compare(Eq), 6),
        "!=" => (Compare(Ne), 6),
        "~" => (Compare(Match), 6),
        "!~" => (Compare(NotMatch), 6),
        "<" => (Compare(Lt), 7),
        "<=" => (Compare(Le), 7),
        ">" => (Compare(Gt), 7),
        ">=" => (Compare(Ge), 7),
        "<<" => (Binary("<<"), 8),
        ">>" => (Binary(">>"), 8),
        "+" => (Binary("+"), 9),
        "-" => (Binary("-"), 9),
        "*" => (Binary("*"), 10),
        "/" => (Binary("/"), 10),
        "%" => (Binary("%"), 10),
        _ => return None,
    })
}

/// The operator of a compound assignment: `+` of `+=`.
pub(super) fn compound(op: &str) -> Option<&'static str> {
    let Infix::Binary(text) = infix(op.strip_suffix('=')?)?.0 else {
        return None;
    };
    Some(text)
}

/// An expression, and what is known of its form.
pub(super) struct Tree {
    pub(super) expr: Spanned<EvalExpr>,
    height: usize,
    /// It stands in parentheses of its own.
    enclosed: bool,
}

impl Tree {
    fn leaf(value: EvalExpr, span: Span) -> Self {
        Self {
            expr: Spanned { value, span },
            height: 1,
            enclosed: false,
        }
    }

    fn boxed(self) -> Box<Spanned<EvalExpr>> {
        Box::new(self.expr)
    }

    fn is_bare_comparison(&self) -> bool {
        !self.enclosed && matches!(self.expr.value, EvalExpr::Compare(..))
    }
}

/// Reads the tokens of a program. A function that returns `None` has reported why.
pub(super) struct Parser<'t> {
    pub(super) tokens: &'t [EvalToken],
    pub(super) index: usize,
    pub(super) diagnostics: &'t mut Diagnostics,
    depth: usize,
    /// A `{` begins a block, not an array: in a condition without parentheses.
    pub(super) brace_is_block: bool,
}

impl<'t> Parser<'t> {
    pub(super) fn new(tokens: &'t [EvalToken], diagnostics: &'t mut Diagnostics) -> Self {
        Self {
            tokens,
            index: 0,
            diagnostics,
            depth: 0,
            brace_is_block: false,
        }
    }

    pub(super) fn peek(&self) -> Option<&'t Kind> {
        self.tokens.get(self.index).map(|token| &token.kind)
    }

    pub(super) fn at(&self, op: &str) -> bool {
        matches!(self.peek(), Some(Kind::Op(text)) if *text == op)
    }

    pub(super) fn eat(&mut self, op: &str) -> bool {
        let found = self.at(op);
        self.index += usize::from(found);
        found
    }

    /// The next token's place; at the end the place right after the last one.
    pub(super) fn here(&self) -> Span {
        match (self.tokens.get(self.index), self.tokens.last()) {
            (Some(token), _) => token.span,
            (None, Some(last)) => Span {
                start: last.span.end,
                end: last.span.end,
            },
            (None, None) => Span::default(),
        }
    }

    /// The place of the token just read.
    pub(super) fn previous(&self) -> Span {
        let previous = self.index.checked_sub(1).and_then(|i| self.tokens.get(i));
        previous.map_or_else(Span::default, |token| token.span)
    }

    pub(super) fn fail<T>(&mut self, diagnostic: Diagnostic) -> Option<T> {
        self.diagnostics.report(diagnostic);
        None
    }

    /// The error for something other than the next token.
    pub(super) fn expected<T>(&mut self, what: &str) -> Option<T> {
        let span = self.here();
        let found = match self.peek() {
            None => "the end of the stage".to_owned(),
            Some(Kind::Op(text)) => format!("'{text}'"),
            Some(Kind::Ident(name)) => format!("'{name}'"),
            Some(Kind::Dollar(name)) => format!("'$({name})'"),
            Some(Kind::Str(_)) => "a string".to_owned(),
            Some(Kind::Int(_) | Kind::Float(_)) => "a number".to_owned(),
        };
        let mut diagnostic = Diagnostic::error(span, format!("{what} is expected, found {found}"));
        if self.at("=") {
            diagnostic = diagnostic.with_hint("'=' assigns; a comparison is written '=='");
        }
        self.fail(diagnostic)
    }

    pub(super) fn expect(&mut self, op: &str) -> Option<()> {
        if self.eat(op) {
            return Some(());
        }
        self.expected(&format!("'{op}'"))
    }

    /// Runs one step of recursion, unless there were too many.
    pub(super) fn nested<T>(&mut self, step: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        if self.depth == MAX_NESTING {
            return self.fail(too_deep(self.here()));
        }
        self.depth += 1;
        let result = step(self);
        self.depth -= 1;
        result
    }

    /// An expression.
    pub(super) fn expression(&mut self) -> Option<Tree> {
        self.nested(|parser| {
            let condition = parser.infix_chain(1)?;
            if !parser.eat("?") {
                return Some(condition);
            }
            let then = parser.expression()?;
            parser.expect(":")?;
            let otherwise = parser.expression()?;
            let span = condition.expr.span.to(otherwise.expr.span);
            let height = condition.height.max(then.height).max(otherwise.height);
            let value = EvalExpr::Conditional(condition.boxed(), then.boxed(), otherwise.boxed());
            parser.grown(value, span, height)
        })
    }

    /// A tree over others of that height.
    fn grown(&mut self, value: EvalExpr, span: Span, below: usize) -> Option<Tree> {
        if below >= MAX_HEIGHT {
            return self.fail(too_deep(self.here()));
        }
        Some(Tree {
            height: below + 1,
            ..Tree::leaf(value, span)
        })
    }

    /// Operators at least as strong as `power`.
    fn infix_chain(&mut self, power: u8) -> Option<Tree> {
        let mut left = self.prefix()?;
        while let Some(Kind::Op(text)) = self.peek()
            && let Some((operator, own)) = infix(text)
            && own >= power
        {
            let place = self.here();
            self.index += 1;
            let right = self.infix_chain(own + 1)?;
            self.warn_of_precedence(text, place, &left, &right);
            let span = left.expr.span.to(right.expr.span);
            let height = left.height.max(right.height);
            let value = match operator {
                Infix::Binary(op) => EvalExpr::Binary(op, left.boxed(), right.boxed()),
                Infix::Compare(op) => EvalExpr::Compare(op, left.boxed(), right.boxed()),
            };
            left = self.grown(value, span, height)?;
        }
        Some(left)
    }

    /// `Flags & 2 == 2` is `Flags & (2 == 2)` in C, and hardly what is meant.
    fn warn_of_precedence(&mut self, op: &str, place: Span, left: &Tree, right: &Tree) {
        if matches!(op, "&" | "|" | "^")
            && (left.is_bare_comparison() || right.is_bare_comparison())
        {
            self.diagnostics.report(
                Diagnostic::warning(place, format!("comparisons bind tighter than '{op}'"))
                    .with_hint(format!("write parentheses, such as '(a {op} b) == c'")),
            );
        }
    }

    fn prefix(&mut self) -> Option<Tree> {
        let start = self.here();
        let Some(Kind::Op(op @ ("-" | "!" | "^" | "~" | "+"))) = self.peek() else {
            return self.postfix();
        };
        self.index += 1;
        if *op == "-"
            && let Some(literal) = self.negative_literal(start)
        {
            return Some(literal);
        }
        let operand = self.nested(Self::prefix)?;
        let operator = match *op {
            "+" => return Some(operand),
            // The complement of C; the language writes it '^'.
            "~" => '^',
            other => other.chars().next().unwrap_or('-'),
        };
        let span = start.to(operand.expr.span);
        let height = operand.height;
        self.grown(EvalExpr::Unary(operator, operand.boxed()), span, height)
    }

    /// `-5` is one number.
    fn negative_literal(&mut self, start: Span) -> Option<Tree> {
        let value = match self.peek()? {
            Kind::Int(value) => EvalExpr::Int(value.checked_neg()?),
            Kind::Float(value) => EvalExpr::Float(-value),
            _ => return None,
        };
        let span = start.to(self.here());
        self.index += 1;
        Some(Tree::leaf(value, span))
    }

    /// A value and the `[i]` and `[i:j]` after it.
    fn postfix(&mut self) -> Option<Tree> {
        let mut base = self.primary()?;
        while self.eat("[") {
            let from = if self.at(":") {
                None
            } else {
                Some(self.expression()?)
            };
            let is_slice = self.eat(":");
            let to = if is_slice && !self.at("]") {
                Some(self.expression()?)
            } else {
                None
            };
            self.expect("]")?;
            let span = base.expr.span.to(self.previous());
            let of = |tree: &Option<Tree>| tree.as_ref().map_or(0, |tree| tree.height);
            let height = base.height.max(of(&from)).max(of(&to));
            let value = match from {
                Some(index) if !is_slice => EvalExpr::Index(base.boxed(), index.boxed()),
                from => EvalExpr::Slice(base.boxed(), from.map(Tree::boxed), to.map(Tree::boxed)),
            };
            base = self.grown(value, span, height)?;
        }
        Some(base)
    }

    fn primary(&mut self) -> Option<Tree> {
        let span = self.here();
        let value = match self.peek() {
            Some(Kind::Int(value)) => EvalExpr::Int(*value),
            Some(Kind::Float(value)) => EvalExpr::Float(*value),
            Some(Kind::Str(value)) => EvalExpr::Str(value.clone()),
            Some(Kind::Dollar(name)) => EvalExpr::Name(name.clone()),
            Some(Kind::Ident(name)) => return self.named(name, span),
            Some(Kind::Op("(")) => return self.enclosed(),
            Some(Kind::Op("{")) if !self.brace_is_block => {
                self.index += 1;
                let (items, height) = self.list("}")?;
                let span = span.to(self.previous());
                return self.grown(EvalExpr::Array(items), span, height);
            }
            _ => return self.expected("an expression"),
        };
        self.index += 1;
        Some(Tree::leaf(value, span))
    }

    /// A name, `true`, `false`, or a call.
    fn named(&mut self, name: &str, span: Span) -> Option<Tree> {
        self.index += 1;
        if self.eat("(") {
            if STATEMENTS.contains(&name) {
                let message = format!("'{name}' is a statement and stands in no expression");
                return self.fail(
                    Diagnostic::error(span, message).with_hint("a choice of values is 'c ? a : b'"),
                );
            }
            let (arguments, height) = self.list(")")?;
            let whole = span.to(self.previous());
            let name = Spanned {
                value: name.to_owned(),
                span,
            };
            return self.grown(EvalExpr::Call(name, arguments), whole, height);
        }
        let value = if name.eq_ignore_ascii_case("true") {
            EvalExpr::Bool(true)
        } else if name.eq_ignore_ascii_case("false") {
            EvalExpr::Bool(false)
        } else {
            EvalExpr::Name(name.to_owned())
        };
        Some(Tree::leaf(value, span))
    }

    fn enclosed(&mut self) -> Option<Tree> {
        let start = self.here();
        self.index += 1;
        let outer = std::mem::replace(&mut self.brace_is_block, false);
        let tree = self.expression();
        self.brace_is_block = outer;
        let mut tree = tree?;
        self.expect(")")?;
        tree.expr.span = start.to(self.previous());
        tree.enclosed = true;
        Some(tree)
    }

    /// Expressions separated by commas up to a closing bracket, and the tallest one's height.
    fn list(&mut self, close: &str) -> Option<(Vec<Spanned<EvalExpr>>, usize)> {
        let outer = std::mem::replace(&mut self.brace_is_block, false);
        let mut items = Vec::new();
        let mut height = 0;
        while !self.eat(close) {
            if !items.is_empty() {
                self.expect(",")?;
            }
            let item = self.expression()?;
            height = height.max(item.height);
            items.push(item.expr);
        }
        self.brace_is_block = outer;
        Some((items, height))
    }
}

fn too_deep(span: Span) -> Diagnostic {
    Diagnostic::error(span, "the expression is nested too deeply")
        .with_hint("compute parts of it in statements before it")
}
