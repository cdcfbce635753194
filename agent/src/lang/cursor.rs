//! Reading position in a query text: characters, whitespace and comments, and the diagnostics found
//! on the way.

use super::diagnostic::{Diagnostic, Severity, Span};

/// Diagnostics kept per severity: a query with more has one cause, and showing them is not linear.
const MAX_DIAGNOSTICS: usize = 50;

/// Diagnostics of one text, bounded.
#[derive(Debug, Default)]
pub(super) struct Diagnostics {
    found: Vec<Diagnostic>,
    errors: usize,
    warnings: usize,
}

impl Diagnostics {
    /// Adds a diagnostic unless there are enough of its severity.
    pub(super) fn report(&mut self, diagnostic: Diagnostic) {
        let count = match diagnostic.severity {
            Severity::Error => &mut self.errors,
            Severity::Warning => &mut self.warnings,
        };
        *count += 1;
        if *count <= MAX_DIAGNOSTICS {
            self.found.push(diagnostic);
        }
    }

    /// Whether an error was reported.
    pub(super) fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// The diagnostics, in the order of their places. What was read twice is reported once.
    pub(super) fn into_sorted(mut self) -> Vec<Diagnostic> {
        self.found.sort_by_key(|d| (d.span.start, d.span.end));
        self.found.dedup();
        self.found
    }
}

/// A position in a text. Never leaves a character boundary.
pub(super) struct Cursor<'a> {
    text: &'a str,
    pos: usize,
    /// What was found on the way.
    pub(super) diagnostics: Diagnostics,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text,
            pos: 0,
            diagnostics: Diagnostics::default(),
        }
    }

    /// Byte offset of the next character.
    pub(super) fn pos(&self) -> usize {
        self.pos
    }

    /// Goes back to an offset that `pos()` gave.
    pub(super) fn rewind(&mut self, pos: usize) {
        self.pos = pos;
    }

    /// The whole text.
    pub(super) fn text(&self) -> &'a str {
        self.text
    }

    /// Where the text from `start` to here ends without the whitespace after it.
    pub(super) fn trimmed_end(&self, start: usize) -> usize {
        start + self.slice(self.span_from(start)).trim_end().len()
    }

    /// What is left.
    pub(super) fn rest(&self) -> &'a str {
        self.text.get(self.pos..).unwrap_or("")
    }

    /// The text between two offsets.
    pub(super) fn slice(&self, span: Span) -> &'a str {
        self.text.get(span.start..span.end).unwrap_or("")
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// The character after the next one.
    pub(super) fn peek_second(&self) -> Option<char> {
        self.rest().chars().nth(1)
    }

    pub(super) fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.pos += c.len_utf8();
        Some(c)
    }

    /// Takes `prefix` if it comes next.
    pub(super) fn eat(&mut self, prefix: &str) -> bool {
        let found = self.rest().starts_with(prefix);
        if found {
            self.pos += prefix.len();
        }
        found
    }

    /// Takes characters as long as they fit.
    pub(super) fn eat_while(&mut self, fits: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !fits(c)).unwrap_or(rest.len());
        self.pos += end;
        rest.get(..end).unwrap_or("")
    }

    /// From an earlier offset to here.
    pub(super) fn span_from(&self, start: usize) -> Span {
        Span {
            start,
            end: self.pos.max(start),
        }
    }

    /// The next character, or nothing at the end.
    pub(super) fn span_here(&self) -> Span {
        let width = self.peek().map_or(0, char::len_utf8);
        Span {
            start: self.pos,
            end: self.pos + width,
        }
    }

    pub(super) fn report(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.report(diagnostic);
    }

    /// Skips whitespace and comments. `//` starts a comment only where this is called, that is
    /// between tokens, so a value such as `http://host` stays whole.
    pub(super) fn skip_trivia(&mut self) {
        loop {
            self.eat_while(char::is_whitespace);
            let start = self.pos;
            if self.eat("//") {
                self.eat_while(|c| c != '\n');
            } else if self.eat("/*") {
                self.finish_block_comment(start);
            } else {
                return;
            }
        }
    }

    fn finish_block_comment(&mut self, start: usize) {
        if let Some(length) = self.rest().find("*/") {
            self.pos += length + 2;
            return;
        }
        let opening = self.span_from(start);
        self.report(
            Diagnostic::error(opening, "this comment is never closed")
                .with_hint("close it by '*/'"),
        );
        self.pos = self.text.len();
    }
}
