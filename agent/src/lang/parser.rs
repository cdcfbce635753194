//! Queries: inner queries, constraints and the stages between pipes.

use super::ast::{Body, InnerQuery, Program, Query, Spanned, Stage, StageArgs};
use super::cursor::Cursor;
use super::diagnostic::{Diagnostic, Span};
use super::lexer::{is_word, stage_tokens};
use super::quote::{is_quote, quoted};
use super::{constraint, eval};

/// Inner queries that one query may have.
const MAX_INNER: usize = 64;

/// Parses a query whose macros are expanded.
///
/// The tree is there whenever something could be read; it may run only if no diagnostic is an
/// error. Never panics, takes linear time, and no tree is deeper than a fixed bound.
pub fn parse(text: &str) -> (Option<Query>, Vec<Diagnostic>) {
    let mut parser = Parser {
        cursor: Cursor::new(text),
        inner: false,
    };
    let query = parser.query();
    let tree = query.filter(|q| {
        !(q.inner.is_empty() && q.body.constraints.is_empty() && q.body.stages.is_empty())
    });
    (tree, parser.cursor.diagnostics.into_sorted())
}

struct Parser<'a> {
    cursor: Cursor<'a>,
    /// Within `@name{ ... }`, where `}` ends the body.
    inner: bool,
}

impl Parser<'_> {
    fn query(&mut self) -> Option<Query> {
        self.cursor.skip_trivia();
        if self.cursor.peek().is_none() {
            if !self.cursor.diagnostics.has_errors() {
                self.cursor.report(
                    Diagnostic::error(self.cursor.span_here(), "the query is empty")
                        .with_hint("for example: tag=pcap packet ipv4.SrcIP | count by SrcIP"),
                );
            }
            return None;
        }
        let mut inner = Vec::new();
        while self.cursor.peek() == Some('@') {
            inner.push(self.inner_query()?);
            if inner.len() > MAX_INNER {
                let span = self.cursor.span_here();
                self.cursor.report(Diagnostic::error(
                    span,
                    format!("more than {MAX_INNER} inner queries"),
                ));
                return None;
            }
            self.cursor.skip_trivia();
        }
        if self.cursor.peek().is_none() && !self.cursor.diagnostics.has_errors() {
            let span = self.cursor.span_here();
            self.cursor.report(
                Diagnostic::error(span, "the main query is missing")
                    .with_hint("it stands after the inner queries"),
            );
        }
        let body = self.body();
        Some(Query { inner, body })
    }

    /// `@name{ body };` with the `@` next.
    fn inner_query(&mut self) -> Option<InnerQuery> {
        let start = self.cursor.pos();
        self.cursor.bump();
        let name_start = self.cursor.pos();
        let value = self.cursor.eat_while(is_word).to_owned();
        let name = Spanned {
            value,
            span: self.cursor.span_from(name_start),
        };
        let head = self.cursor.span_from(start);
        if name.value.is_empty() {
            self.cursor.report(
                Diagnostic::error(head, "a name is expected after '@'")
                    .with_hint("an inner query reads '@name{ ... };'"),
            );
            return None;
        }
        self.cursor.skip_trivia();
        let brace = self.cursor.span_here();
        if !self.cursor.eat("{") {
            self.cursor.report(
                Diagnostic::error(head, format!("'{{' is expected after '@{}'", name.value))
                    .with_hint("an inner query reads '@name{ ... };'"),
            );
            return None;
        }
        self.inner = true;
        let body = self.body();
        self.inner = false;
        self.finish_inner(brace, &body);
        Some(InnerQuery { name, body })
    }

    /// The `};` of an inner query.
    fn finish_inner(&mut self, brace: Span, body: &Body) {
        let close = self.cursor.span_here();
        if !self.cursor.eat("}") {
            if !self.cursor.diagnostics.has_errors() {
                self.cursor.report(
                    Diagnostic::error(brace, "this '{' is never closed")
                        .with_hint("close it by '};'"),
                );
            }
            return;
        }
        let empty = body.constraints.is_empty() && body.stages.is_empty();
        if empty && !self.cursor.diagnostics.has_errors() {
            self.cursor.report(Diagnostic::error(
                brace.to(close),
                "the inner query is empty",
            ));
        }
        self.cursor.skip_trivia();
        if !self.cursor.eat(";") {
            self.cursor.report(
                Diagnostic::warning(close, "';' is missing after the inner query")
                    .with_hint("write '};'"),
            );
        }
    }

    /// Constraints and stages up to the end of the text or of the inner query.
    fn body(&mut self) -> Body {
        self.cursor.skip_trivia();
        let mut pipe = None;
        if self.cursor.peek() == Some('|') {
            let span = self.pipe();
            pipe = Some(span);
            self.cursor.report(Diagnostic::warning(
                span,
                "the '|' before the first stage is ignored",
            ));
        }
        let constraints = constraint::constraints(&mut self.cursor, true);
        self.cursor.skip_trivia();
        if !constraints.is_empty() {
            let piped = self.cursor.peek() == Some('|');
            pipe = piped.then(|| self.pipe());
        }
        let mut stages = Vec::new();
        loop {
            self.cursor.skip_trivia();
            if self.at_end() {
                if let Some(span) = pipe {
                    self.missing_stage(span);
                }
                return Body {
                    constraints,
                    stages,
                };
            }
            if let Some(stage) = self.stage(pipe) {
                stages.push(stage);
            }
            pipe = self.stage_end();
            if pipe.is_none() {
                return Body {
                    constraints,
                    stages,
                };
            }
        }
    }

    fn at_end(&self) -> bool {
        match self.cursor.peek() {
            None => true,
            Some(c) => self.inner && c == '}',
        }
    }

    fn pipe(&mut self) -> Span {
        let start = self.cursor.pos();
        self.cursor.eat("|");
        self.cursor.span_from(start)
    }

    /// The pipe after a stage; anything else there is an error and is skipped.
    fn stage_end(&mut self) -> Option<Span> {
        self.cursor.skip_trivia();
        if !self.at_end() && self.cursor.peek() != Some('|') {
            let span = self.cursor.span_here();
            self.cursor.report(
                Diagnostic::error(
                    span,
                    "'|' or the end is expected after a filter in parentheses",
                )
                .with_hint("write the whole condition in one pair of parentheses"),
            );
            self.skip_stage();
        }
        (!self.at_end()).then(|| self.pipe())
    }

    /// Reads and forgets the rest of a stage that is already reported.
    fn skip_stage(&mut self) {
        let mut silent = Cursor::new(self.cursor.text());
        silent.rewind(self.cursor.pos());
        stage_tokens(&mut silent, self.inner);
        self.cursor.rewind(silent.pos());
    }

    fn missing_stage(&mut self, pipe: Span) {
        self.cursor.report(
            Diagnostic::error(pipe, "a module is expected after '|'")
                .with_hint("remove the '|', or name a module such as 'table'"),
        );
    }

    /// One stage; `pipe` is the pipe before it.
    fn stage(&mut self, pipe: Option<Span>) -> Option<Stage> {
        let start = self.cursor.pos();
        let constraints = match pipe {
            Some(_) => constraint::constraints(&mut self.cursor, false),
            None => Vec::new(),
        };
        self.cursor.skip_trivia();
        let (name, args) = match self.cursor.peek() {
            Some('(') => self.parenthesised(),
            Some(c) if is_word(c) && c != '-' => self.module(),
            _ => {
                self.no_module(pipe);
                return None;
            }
        };
        let end = self.cursor.trimmed_end(start);
        Some(Stage {
            constraints,
            name,
            args,
            span: Span { start, end },
        })
    }

    fn parenthesised(&mut self) -> (Spanned<String>, StageArgs) {
        let name = Spanned {
            value: "eval".to_owned(),
            span: self.cursor.span_here(),
        };
        let program = eval::parenthesised(&mut self.cursor);
        (name, StageArgs::Eval(program.unwrap_or(EMPTY_PROGRAM)))
    }

    fn module(&mut self) -> (Spanned<String>, StageArgs) {
        let start = self.cursor.pos();
        let word = self.cursor.eat_while(is_word);
        let span = self.cursor.span_from(start);
        if word.eq_ignore_ascii_case("eval") {
            let name = Spanned {
                value: "eval".to_owned(),
                span,
            };
            let program = eval::stage(&mut self.cursor, self.inner, span);
            return (name, StageArgs::Eval(program.unwrap_or(EMPTY_PROGRAM)));
        }
        if constraint::is_key(word) {
            self.cursor.report(
                Diagnostic::error(span, format!("'{word}' is a constraint, not a module"))
                    .with_hint(format!("write '{word}=' and its value")),
            );
        }
        let mut name = Spanned {
            value: word.to_owned(),
            span,
        };
        if word.contains('.') && word.starts_with(char::is_alphabetic) {
            self.cursor.report(
                Diagnostic::warning(
                    span,
                    "the module name is missing: the stage is read as 'packet'",
                )
                .with_hint(format!("write 'packet {word}'")),
            );
            name.value = "packet".to_owned();
            self.cursor.rewind(start);
        }
        let tokens = stage_tokens(&mut self.cursor, self.inner);
        (name, StageArgs::Tokens(tokens))
    }

    /// Reports what stands where a module name should.
    fn no_module(&mut self, pipe: Option<Span>) {
        let here = self.cursor.span_here();
        let diagnostic = match (self.cursor.peek(), pipe) {
            (None | Some('|' | '}'), Some(pipe)) if self.at_end() || pipe.end < here.start => {
                self.missing_stage(pipe);
                return;
            }
            (Some('|'), Some(pipe)) => {
                Diagnostic::error(pipe.to(here), "'||' stands only in an 'eval' expression")
                    .with_hint("write the condition in parentheses: '| ( a == 1 || b == 2 )'")
            }
            (None, _) => Diagnostic::error(here, "a module is expected"),
            (Some('-'), _) => Diagnostic::error(here, "a module name is expected before its flags"),
            (Some('@'), _) => Diagnostic::error(here, "a module name is expected, found '@'")
                .with_hint("inner queries stand at the beginning: '@name{ ... }; tag=pcap ...'"),
            (Some(c), _) if is_quote(c) => {
                Diagnostic::error(here, "a module name is expected, found a quoted string")
                    .with_hint("module names are not quoted")
            }
            (Some(c), _) => {
                Diagnostic::error(here, format!("a module name is expected, found '{c}'"))
            }
        };
        self.cursor.report(diagnostic);
        if self.cursor.peek().is_some_and(is_quote) {
            quoted(&mut self.cursor);
        }
        self.skip_stage();
    }
}

/// What stands for a program that could not be read.
const EMPTY_PROGRAM: Program = Program::Statements(Vec::new());
