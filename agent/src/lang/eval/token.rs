//! Tokens of eval programs, and where a program ends.

use crate::lang::cursor::Cursor;
use crate::lang::diagnostic::{Diagnostic, Span};
use crate::lang::lexer::{closing, unclosed};
use crate::lang::quote::{is_quote, quoted};

/// Brackets within brackets that a program may have.
const MAX_BRACKETS: usize = 64;

/// Operators and punctuation, longest first.
const OPERATORS: [&str; 44] = [
    "<<=", ">>=", "&&", "||", "==", "!=", "!~", "<=", ">=", "<<", ">>", "+=", "-=", "*=", "/=",
    "%=", "&=", "|=", "^=", "++", "--", "+", "-", "*", "/", "%", "&", "|", "^", "!", "~", "<", ">",
    "=", "?", ":", ";", ",", "(", ")", "[", "]", "{", "}",
];

/// A token of an eval program.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct EvalToken {
    pub(super) kind: Kind,
    pub(super) span: Span,
    /// Index of the token that closes this bracket.
    pub(super) close: Option<usize>,
}

/// Kinds of eval token.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Int(i64),
    Float(f64),
    Str(String),
    /// An identifier.
    Ident(String),
    /// `$(any name)`
    Dollar(String),
    /// An operator or punctuation, by its text.
    Op(&'static str),
}

/// The tokens within `( ... )`; `None` if brackets do not balance (reported).
pub(super) fn parenthesised(cursor: &mut Cursor<'_>) -> Option<Vec<EvalToken>> {
    let mut lexer = Lexer::new(cursor, End::Parenthesis);
    let mut tokens = lexer.run()?;
    // The outermost pair is the stage's own; the others move down by one.
    tokens.pop();
    if !tokens.is_empty() {
        tokens.remove(0);
    }
    for token in &mut tokens {
        token.close = token.close.map(|index| index.saturating_sub(1));
    }
    Some(tokens)
}

/// The tokens up to the stage's pipe; `None` if brackets do not balance (reported).
pub(super) fn stage(cursor: &mut Cursor<'_>, inner: bool) -> Option<Vec<EvalToken>> {
    let end = if inner { End::PipeOrBrace } else { End::Pipe };
    Lexer::new(cursor, end).run()
}

/// What ends a program.
#[derive(Clone, Copy, PartialEq)]
enum End {
    /// The parenthesis that closes the first one.
    Parenthesis,
    /// A pipe outside brackets.
    Pipe,
    /// That, or the brace that closes the inner query.
    PipeOrBrace,
}

struct Lexer<'c, 'a> {
    cursor: &'c mut Cursor<'a>,
    end: End,
    /// Indexes of open brackets.
    open: Vec<usize>,
    tokens: Vec<EvalToken>,
    /// An error after which no tree is wanted.
    failed: bool,
    /// A `||` outside brackets was met.
    bare_or: bool,
}

impl<'c, 'a> Lexer<'c, 'a> {
    fn new(cursor: &'c mut Cursor<'a>, end: End) -> Self {
        Self {
            cursor,
            end,
            open: Vec::new(),
            tokens: Vec::new(),
            failed: false,
            bare_or: false,
        }
    }

    fn run(&mut self) -> Option<Vec<EvalToken>> {
        loop {
            self.cursor.skip_trivia();
            let Some(c) = self.cursor.peek() else {
                break;
            };
            let outside = self.open.is_empty();
            let pipe = self.cursor.rest().starts_with('|')
                && !self.cursor.rest().starts_with("||")
                && !self.cursor.rest().starts_with("|=");
            let ends = match self.end {
                End::Parenthesis => outside && !self.tokens.is_empty(),
                End::Pipe => outside && pipe,
                End::PipeOrBrace => outside && (pipe || c == '}'),
            };
            if ends {
                break;
            }
            self.token(c, outside);
        }
        self.report_unclosed();
        (!self.failed).then(|| std::mem::take(&mut self.tokens))
    }

    fn report_unclosed(&mut self) {
        // The innermost alone: the others are most often open because of it.
        let innermost = self.open.last().and_then(|index| self.tokens.get(*index));
        let Some(EvalToken {
            kind: Kind::Op(text),
            span,
            ..
        }) = innermost
        else {
            return;
        };
        if !self.failed {
            let bracket = text.chars().next().unwrap_or('(');
            self.cursor.report(unclosed(bracket, *span));
        }
        self.failed = true;
    }

    fn token(&mut self, c: char, outside: bool) {
        let start = self.cursor.pos();
        let kind = match c {
            _ if is_quote(c) => Some(self.string()),
            '\'' => self.single_quote(),
            '$' => self.dollar(),
            _ if c.is_ascii_digit() => self.number(),
            '.' if self
                .cursor
                .peek_second()
                .is_some_and(|c| c.is_ascii_digit()) =>
            {
                self.number()
            }
            _ if c == '_' || c.is_alphabetic() => self.ident(),
            _ => self.operator(c, outside),
        };
        match kind {
            Some(kind) => self.push(kind, start),
            None => self.failed = true,
        }
    }

    fn push(&mut self, kind: Kind, start: usize) {
        let span = self.cursor.span_from(start);
        let index = self.tokens.len();
        match kind {
            Kind::Op("(" | "[" | "{") => {
                if self.open.len() == MAX_BRACKETS {
                    self.fail(
                        Diagnostic::error(
                            span,
                            format!("brackets are nested more than {MAX_BRACKETS} deep"),
                        )
                        .with_hint("compute parts of the expression in statements before it"),
                    );
                }
                self.open.push(index);
            }
            Kind::Op(")" | "]" | "}") => self.close(index, &kind, span),
            _ => {}
        }
        self.tokens.push(EvalToken {
            kind,
            span,
            close: None,
        });
    }

    /// Reports an error, the first one alone: later ones are its consequences.
    fn fail(&mut self, diagnostic: Diagnostic) {
        if !self.failed {
            self.cursor.report(diagnostic);
        }
        self.failed = true;
    }

    fn close(&mut self, index: usize, kind: &Kind, span: Span) {
        let Kind::Op(text) = kind else {
            return;
        };
        let opening = self.open.pop().and_then(|open| self.tokens.get_mut(open));
        let Some(opening) = opening else {
            self.fail(
                Diagnostic::error(span, format!("this '{text}' closes nothing"))
                    .with_hint("remove it"),
            );
            return;
        };
        opening.close = Some(index);
        let Kind::Op(bracket) = opening.kind else {
            return;
        };
        let bracket = bracket.chars().next().unwrap_or('(');
        let opening_span = opening.span;
        if !text.starts_with(closing(bracket)) {
            self.fail(unclosed(bracket, opening_span));
        }
    }

    fn string(&mut self) -> Kind {
        let start = self.cursor.pos();
        let bytes = quoted(self.cursor);
        Kind::Str(String::from_utf8(bytes).unwrap_or_else(|error| {
            let span = self.cursor.span_from(start);
            self.cursor.report(
                Diagnostic::warning(span, "the string is not UTF-8; what is not becomes U+FFFD")
                    .with_hint("'grep' and 'fields' take any bytes"),
            );
            String::from_utf8_lossy(&error.into_bytes()).into_owned()
        }))
    }

    fn single_quote(&mut self) -> Option<Kind> {
        let span = self.cursor.span_here();
        self.cursor.bump();
        self.fail(Diagnostic::error(span, "single quotes do not quote").with_hint("write '\"'"));
        None
    }

    /// `$(any name)`
    fn dollar(&mut self) -> Option<Kind> {
        let start = self.cursor.pos();
        if self.cursor.eat("$(") {
            let name = self.cursor.eat_while(|c| c != ')' && c != '\n').trim();
            let head = self.cursor.span_from(start);
            if !name.is_empty() && self.cursor.eat(")") {
                return Some(Kind::Dollar(name.to_owned()));
            }
            self.fail(
                Diagnostic::error(head, "a name and ')' are expected after '$('")
                    .with_hint("any enumerated value is written $(its name)"),
            );
            return None;
        }
        let span = self.cursor.span_here();
        self.cursor.bump();
        self.fail(
            Diagnostic::error(span, "'(' is expected after '$'")
                .with_hint("any enumerated value is written $(its name)"),
        );
        None
    }

    fn number(&mut self) -> Option<Kind> {
        let start = self.cursor.pos();
        let mut text = self.cursor.eat_while(is_number_part);
        let exponent = text.ends_with(['e', 'E']) && !text.starts_with("0x");
        if exponent && matches!(self.cursor.peek(), Some('+' | '-')) {
            self.cursor.bump();
            self.cursor.eat_while(is_number_part);
            text = self.cursor.slice(self.cursor.span_from(start));
        }
        let span = self.cursor.span_from(start);
        let kind = number(text);
        match kind {
            None => self.fail(
                Diagnostic::error(span, format!("'{text}' is not a number")).with_hint(format!(
                    "addresses, durations and times are quoted: \"{text}\""
                )),
            ),
            Some(Kind::Float(_)) if text.bytes().all(|b| b.is_ascii_digit()) => {
                self.cursor.report(Diagnostic::warning(
                    span,
                    "the number is too large for an integer: read as a float",
                ))
            }
            Some(_) => {}
        }
        kind
    }

    fn ident(&mut self) -> Option<Kind> {
        let start = self.cursor.pos();
        let text = self.cursor.eat_while(|c| c == '_' || c.is_alphanumeric());
        let dotted = self.cursor.peek() == Some('.')
            && self.cursor.peek_second().is_some_and(char::is_alphabetic);
        if dotted {
            let rest = self
                .cursor
                .eat_while(|c| c == '.' || c == '_' || c.is_alphanumeric());
            let last = rest.rsplit('.').next().unwrap_or(rest);
            let span = self.cursor.span_from(start);
            self.fail(
                Diagnostic::error(
                    span,
                    format!("'{text}{rest}' is not the name of an enumerated value"),
                )
                .with_hint(format!("a field is named by its last part: '{last}'")),
            );
            return None;
        }
        Some(Kind::Ident(text.to_owned()))
    }

    fn operator(&mut self, c: char, outside: bool) -> Option<Kind> {
        let start = self.cursor.pos();
        let Some(text) = OPERATORS.into_iter().find(|text| self.cursor.eat(text)) else {
            self.cursor.bump();
            let span = self.cursor.span_from(start);
            self.fail(Diagnostic::error(span, format!("{c:?} is not an operator")));
            return None;
        };
        if text == "||" && outside && !std::mem::replace(&mut self.bare_or, true) {
            let span = self.cursor.span_from(start);
            self.cursor.report(
                Diagnostic::warning(
                    span,
                    "'||' outside parentheses is read as 'or', not as a pipe",
                )
                .with_hint("write the condition in parentheses"),
            );
        }
        Some(Kind::Op(text))
    }
}

fn is_number_part(c: char) -> bool {
    c == '.' || c == '_' || c.is_alphanumeric()
}

/// Decimal (a leading zero is not octal), `0x`, `0b`, or with a fraction or an exponent.
fn number(text: &str) -> Option<Kind> {
    let radix = |digits: &str, radix| {
        let signed = digits.bytes().all(|b| b.is_ascii_alphanumeric());
        signed
            .then(|| i64::from_str_radix(digits, radix).ok())
            .flatten()
            .map(Kind::Int)
    };
    let lower = text.to_ascii_lowercase();
    if let Some(digits) = lower.strip_prefix("0x") {
        return radix(digits, 16);
    }
    if let Some(digits) = lower.strip_prefix("0b") {
        return radix(digits, 2);
    }
    if lower.bytes().all(|b| b.is_ascii_digit()) {
        return radix(&lower, 10).or_else(|| lower.parse().ok().map(Kind::Float));
    }
    let numeric = lower
        .bytes()
        .all(|b| b.is_ascii_digit() || b".e+-".contains(&b));
    let value = numeric.then(|| lower.parse().ok()).flatten();
    value
        .filter(|value: &f64| value.is_finite())
        .map(Kind::Float)
}
