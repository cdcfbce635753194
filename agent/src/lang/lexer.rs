//! The tokens of a stage's flags and arguments.
//!
//! Rules, in the order in which they are tried. Whitespace and comments (`/* */`, `//` to the end of
//! the line) separate tokens and are gone.
//!
//! | Text | Token |
//! |---|---|
//! | `\|`, and `}` of an inner query | ends the stage |
//! | `,` | nothing: a comma is a space |
//! | `"x"`, `` `x` ``, typographic quotes (warning) | `Quoted`; `Bytes` where `\xNN` makes no UTF-8 |
//! | `== != ~ !~ < <= > >=`, `=` and `=~` (warning) | `Op`, and what follows is an r-value |
//! | r-value: up to whitespace or `\| [ ] ( ) { }` | `Word`, whatever it holds: `10.0.0.0/8`, `aa:bb:cc:dd:ee:ff`, `http://x`, `FE80::1/64` |
//! | `@name` | `Word` with the `@` |
//! | `/24` | `Word` with the `/`: a slash before a digit |
//! | `;` | an error; at the very end a warning |
//! | another reserved character: `( ) [ ] { } : / ! # $ % ^ & * ? + @` | `Punct` |
//! | anything else up to whitespace, a quote or a reserved character | `Word`: `ipv4.SrcIP`, `a.b.c`, `-nt`, `-5`, `1h30m`, `foo-bar` |
//!
//! A word that starts with a digit keeps a prefix length: `10.0.0.0/8` is one word everywhere.
//! So `sum(length)` is `sum` `(` `length` `)`, `Payload[0:4]` is `Payload` `[` `0` `:` `4` `]`,
//! `[1]~"JFIF"` is `[` `1` `]` `~` `"JFIF"`, and `SrcIP.ASNOrg` is one word. Round, square and curly
//! brackets always balance within a stage; an error is reported where they do not.

use super::ast::{CompareOp, Token, TokenKind};
use super::cursor::Cursor;
use super::diagnostic::{Diagnostic, Span};
use super::quote::{is_quote, quoted};

/// Operators, longest first.
const OPERATORS: [(&str, CompareOp); 10] = [
    ("==", CompareOp::Eq),
    ("!=", CompareOp::Ne),
    ("!~", CompareOp::NotMatch),
    ("<=", CompareOp::Le),
    (">=", CompareOp::Ge),
    ("=~", CompareOp::Match),
    ("=", CompareOp::Eq),
    ("~", CompareOp::Match),
    ("<", CompareOp::Lt),
    (">", CompareOp::Gt),
];

/// Whether a character ends a word. The dot and the hyphen are part of names.
fn is_reserved(c: char) -> bool {
    matches!(
        c,
        '|' | '@'
            | '{'
            | '}'
            | ';'
            | '='
            | '<'
            | '>'
            | '~'
            | '!'
            | '#'
            | '$'
            | '%'
            | '^'
            | '&'
            | '*'
            | '('
            | ')'
            | '['
            | ']'
            | '?'
            | ','
            | '+'
            | ':'
            | '/'
    )
}

/// Whether a character belongs to a word.
pub(super) fn is_word(c: char) -> bool {
    !c.is_whitespace() && !is_reserved(c) && !is_quote(c)
}

/// Reads the tokens up to the end of the stage, which stays unread.
pub(super) fn stage_tokens(cursor: &mut Cursor<'_>, inner: bool) -> Vec<Token> {
    let mut lexer = Lexer {
        cursor,
        inner,
        open: Vec::new(),
        tokens: Vec::new(),
    };
    while lexer.step() {}
    let Lexer { open, tokens, .. } = lexer;
    for (bracket, span) in open {
        cursor.report(unclosed(bracket, span));
    }
    tokens
}

/// The error for a bracket that nothing closes.
pub(super) fn unclosed(bracket: char, span: Span) -> Diagnostic {
    Diagnostic::error(span, format!("this '{bracket}' is never closed"))
        .with_hint(format!("close it by '{}'", closing(bracket)))
}

/// The bracket that closes one.
pub(super) fn closing(bracket: char) -> char {
    match bracket {
        '(' => ')',
        '[' => ']',
        '{' => '}',
        other => other,
    }
}

struct Lexer<'c, 'a> {
    cursor: &'c mut Cursor<'a>,
    inner: bool,
    open: Vec<(char, Span)>,
    tokens: Vec<Token>,
}

impl Lexer<'_, '_> {
    /// Reads one token; false at the end of the stage.
    fn step(&mut self) -> bool {
        self.cursor.skip_trivia();
        let Some(c) = self.cursor.peek() else {
            return false;
        };
        let start = self.cursor.pos();
        match c {
            '|' => return false,
            '}' if self.inner && !self.open.iter().any(|(bracket, _)| *bracket == '{') => {
                return false;
            }
            ',' => {
                self.cursor.bump();
            }
            ';' => self.semicolon(),
            '(' | '[' | '{' => {
                self.open.push((c, self.cursor.span_here()));
                self.punct(c);
            }
            ')' | ']' | '}' => self.close(c),
            '@' if self.cursor.peek_second().is_some_and(is_word) => {
                self.cursor.bump();
                self.word(start);
            }
            '/' if self
                .cursor
                .peek_second()
                .is_some_and(|c| c.is_ascii_digit()) =>
            {
                self.cursor.bump();
                self.word(start);
            }
            _ if is_quote(c) => self.quoted(),
            _ if is_word(c) => self.word(start),
            _ if self.operator() => {}
            _ => self.punct(c),
        }
        true
    }

    fn push(&mut self, kind: TokenKind, start: usize) {
        let span = self.cursor.span_from(start);
        self.tokens.push(Token { kind, span });
    }

    fn punct(&mut self, c: char) {
        let start = self.cursor.pos();
        self.cursor.bump();
        self.push(TokenKind::Punct(c), start);
    }

    fn quoted(&mut self) {
        let start = self.cursor.pos();
        let kind = match String::from_utf8(quoted(self.cursor)) {
            Ok(text) => TokenKind::Quoted(text),
            Err(error) => TokenKind::Bytes(error.into_bytes()),
        };
        self.push(kind, start);
    }

    fn word(&mut self, start: usize) {
        let first = self.cursor.peek();
        self.cursor.eat_while(is_word);
        let prefix_length = self.cursor.peek() == Some('/')
            && first.is_some_and(|c| c.is_ascii_digit())
            && self
                .cursor
                .peek_second()
                .is_some_and(|c| c.is_ascii_digit());
        if prefix_length {
            self.cursor.bump();
            self.cursor.eat_while(is_word);
        }
        let text = self.cursor.slice(self.cursor.span_from(start));
        if text.starts_with('\'') {
            let span = self.cursor.span_from(start);
            self.cursor.report(
                Diagnostic::warning(span, "single quotes do not quote").with_hint("write '\"'"),
            );
        }
        self.push(TokenKind::Word(text.to_owned()), start);
    }

    /// A comparison operator and the value after it; false if there is none here.
    fn operator(&mut self) -> bool {
        let start = self.cursor.pos();
        let Some((text, op)) = OPERATORS
            .into_iter()
            .find(|(text, _)| self.cursor.eat(text))
        else {
            return false;
        };
        let span = self.cursor.span_from(start);
        if let "=" | "=~" = text {
            let plain = if op == CompareOp::Eq { "==" } else { "~" };
            self.cursor.report(
                Diagnostic::warning(span, format!("'{text}' is read as '{plain}'"))
                    .with_hint(format!("write '{plain}'")),
            );
        }
        self.push(TokenKind::Op(op), start);
        self.value(text, span);
        true
    }

    /// The r-value after an operator.
    fn value(&mut self, operator: &str, operator_span: Span) {
        self.cursor.skip_trivia();
        let start = self.cursor.pos();
        match self.cursor.peek() {
            None | Some('|' | '}' | ']' | ')') => self.cursor.report(
                Diagnostic::error(
                    operator_span,
                    format!("a value is expected after '{operator}'"),
                )
                .with_hint("a value with spaces or brackets is written in quotes"),
            ),
            Some('[' | '(' | '{') => {}
            Some(c) if is_quote(c) => self.quoted(),
            Some(_) => {
                let text = self.cursor.eat_while(|c| {
                    !c.is_whitespace() && !matches!(c, '|' | '[' | ']' | '(' | ')' | '{' | '}')
                });
                self.bare_value(start, text);
            }
        }
    }

    /// An unquoted value. A comma is legal inside one, but at its end it is meant for a list.
    fn bare_value(&mut self, start: usize, text: &str) {
        let value = text.trim_end_matches([',', ';']);
        let end = start + value.len();
        if value.is_empty() || end == start + text.len() {
            self.push(TokenKind::Word(text.to_owned()), start);
            return;
        }
        self.cursor.rewind(end);
        self.push(TokenKind::Word(value.to_owned()), start);
    }

    fn close(&mut self, c: char) {
        match self.open.pop() {
            Some((bracket, _)) if closing(bracket) == c => {}
            Some((bracket, span)) => {
                self.cursor.report(unclosed(bracket, span));
            }
            None => {
                let span = self.cursor.span_here();
                self.cursor.report(
                    Diagnostic::error(span, format!("this '{c}' closes nothing"))
                        .with_hint("remove it, or write it in quotes"),
                );
            }
        }
        self.punct(c);
    }

    fn semicolon(&mut self) {
        let start = self.cursor.pos();
        self.cursor.bump();
        let span = self.cursor.span_from(start);
        self.cursor.skip_trivia();
        let last = self.cursor.peek().is_none() || (self.inner && self.cursor.peek() == Some('}'));
        let diagnostic = if last {
            Diagnostic::warning(span, "the ';' at the end is ignored")
        } else {
            Diagnostic::error(
                span,
                "a ';' stands only between statements of 'eval' and after an inner query",
            )
            .with_hint("stages are separated by '|'")
        };
        self.cursor.report(diagnostic);
    }
}
