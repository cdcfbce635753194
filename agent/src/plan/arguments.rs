//! The flags and arguments of one stage, read in order.

use super::registry::{FlagSpec, ModuleSpec};
use super::report::{Outcome, error, hinted, nearest};
use crate::lang::ast::{CompareOp, Program, Spanned, Stage, StageArgs, Token, TokenKind};
use crate::lang::diagnostic::Span;
use crate::lang::time::parse_duration_ns;

/// Nanoseconds of a second.
pub(crate) const SECOND: i64 = 1_000_000_000;

/// A cursor over the tokens of a stage, its flags already taken off the front.
pub(crate) struct Args<'a> {
    /// The module's name as written.
    pub(crate) name: Spanned<String>,
    /// The whole stage.
    pub(crate) span: Span,
    flags: Vec<(&'static str, Option<Spanned<String>>)>,
    tokens: &'a [Token],
    program: Option<&'a Program>,
}

impl<'a> Args<'a> {
    /// Reads the flags that the module declares.
    pub(crate) fn read(stage: &'a Stage, spec: &'static ModuleSpec) -> Outcome<Self> {
        let (tokens, program) = match &stage.args {
            StageArgs::Tokens(tokens) => (tokens.as_slice(), None),
            StageArgs::Eval(program) => (&[][..], Some(program)),
        };
        let mut args = Self {
            name: stage.name.clone(),
            span: stage.span,
            flags: Vec::new(),
            tokens,
            program,
        };
        while let Some(flag) = args.peek_flag(spec) {
            args.tokens = args.tokens.get(1..).unwrap_or_default();
            let known = find_flag(spec, &flag)?;
            let value = match known.value {
                None => None,
                Some(what) => match args.take_glued() {
                    Some(value) => Some(value),
                    None => {
                        let expected = format!("expected {what} after {}", known.name);
                        return Err(args.unexpected(&expected));
                    }
                },
            };
            args.flags.push((known.name, value));
        }
        Ok(args)
    }

    /// The next word if it looks like a flag. `-4` is one only where the module says so, or
    /// negative numbers would be.
    fn peek_flag(&self, spec: &ModuleSpec) -> Option<Spanned<String>> {
        let token = self.tokens.first()?;
        let TokenKind::Word(word) = &token.kind else {
            return None;
        };
        let letter = |rest: &str| rest.starts_with(|c: char| c.is_ascii_alphabetic());
        let flag = word.strip_prefix('-').is_some_and(letter)
            || spec.flags.iter().any(|flag| flag.name == word);
        flag.then(|| Spanned {
            value: word.clone(),
            span: token.span,
        })
    }

    /// Whether a flag was given.
    pub(crate) fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|(name, _)| *name == flag)
    }

    /// The value of a flag (the last one).
    pub(crate) fn value(&self, flag: &str) -> Option<&Spanned<String>> {
        self.flags
            .iter()
            .rev()
            .find(|(name, _)| *name == flag)
            .and_then(|(_, value)| value.as_ref())
    }

    /// The eval program, if this stage has one.
    pub(crate) fn program(&self) -> Option<&'a Program> {
        self.program
    }

    /// Whether nothing is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// The token `ahead` places on.
    pub(crate) fn peek_at(&self, ahead: usize) -> Option<&'a Token> {
        self.tokens.get(ahead)
    }

    /// Where the next token stands, or the end of the stage.
    pub(crate) fn here(&self) -> Span {
        self.tokens.first().map_or(
            Span {
                start: self.span.end,
                end: self.span.end,
            },
            |token| token.span,
        )
    }

    /// The next token.
    pub(crate) fn next(&mut self) -> Option<&'a Token> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first)
    }

    /// The next word if it is one, quoted or not.
    pub(crate) fn take_word(&mut self) -> Option<Spanned<String>> {
        let token = self.tokens.first()?;
        let (TokenKind::Word(word) | TokenKind::Quoted(word)) = &token.kind else {
            return None;
        };
        self.next();
        Some(Spanned {
            value: word.clone(),
            span: token.span,
        })
    }

    /// The next word, or an error that says what was expected.
    pub(crate) fn word(&mut self, expected: &str) -> Outcome<Spanned<String>> {
        match self.take_word() {
            Some(word) => Ok(word),
            None => Err(self.unexpected(&format!("expected {expected}"))),
        }
    }

    /// Takes the next word if it is this keyword, unquoted.
    pub(crate) fn take_keyword(&mut self, keyword: &str) -> bool {
        let found = self.is_keyword(0, keyword);
        if found {
            self.next();
        }
        found
    }

    /// Whether the token `ahead` places on is this keyword, unquoted.
    pub(crate) fn is_keyword(&self, ahead: usize, keyword: &str) -> bool {
        matches!(self.tokens.get(ahead).map(|t| &t.kind),
            Some(TokenKind::Word(word)) if word.eq_ignore_ascii_case(keyword))
    }

    /// Whether the token `ahead` places on is this character.
    pub(crate) fn is_punct(&self, ahead: usize, punct: char) -> bool {
        matches!(self.tokens.get(ahead).map(|t| &t.kind), Some(TokenKind::Punct(c)) if *c == punct)
    }

    /// Takes this character.
    pub(crate) fn take_punct(&mut self, punct: char) -> bool {
        let found = self.is_punct(0, punct);
        if found {
            self.next();
        }
        found
    }

    /// Takes this character or says that it is missing.
    pub(crate) fn expect_punct(&mut self, punct: char) -> Outcome {
        if self.take_punct(punct) {
            Ok(())
        } else {
            Err(self.unexpected(&format!("expected '{punct}'")))
        }
    }

    /// Takes a comparison operator.
    pub(crate) fn take_op(&mut self) -> Option<Spanned<CompareOp>> {
        let token = self.tokens.first()?;
        let TokenKind::Op(op) = token.kind else {
            return None;
        };
        self.next();
        Some(Spanned {
            value: op,
            span: token.span,
        })
    }

    /// Takes `as NAME`.
    pub(crate) fn take_as(&mut self) -> Outcome<Option<Spanned<String>>> {
        if self.take_keyword("as") {
            self.word("a name after as").map(Some)
        } else {
            Ok(None)
        }
    }

    /// Takes `over DURATION`, in nanoseconds.
    pub(crate) fn take_over(&mut self) -> Outcome<Option<i64>> {
        if !self.take_keyword("over") {
            return Ok(None);
        }
        let word = self.word("a duration after over")?;
        match parse_duration_ns(&word.value) {
            Ok(window) if window > 0 => Ok(Some(window)),
            _ => Err(hinted(
                error(word.span, format!("'{}' is no duration", word.value)),
                "a window is written as 30s, 5m, 1h or 1h30m",
            )),
        }
    }

    /// Takes a run of tokens without space between them as one word: patterns such as `*.exe` hold
    /// characters that are tokens of their own.
    pub(crate) fn take_glued(&mut self) -> Option<Spanned<String>> {
        let first = self.next()?;
        let mut text = Spanned {
            value: token_text(first),
            span: first.span,
        };
        if matches!(first.kind, TokenKind::Quoted(_)) {
            return Some(text);
        }
        while let Some(token) = self.tokens.first() {
            if token.span.start != text.span.end || matches!(token.kind, TokenKind::Quoted(_)) {
                break;
            }
            text.value.push_str(&token_text(token));
            text.span.end = token.span.end;
            self.next();
        }
        Some(text)
    }

    /// An error about the next token.
    pub(crate) fn unexpected(&self, message: &str) -> crate::lang::diagnostic::Diagnostic {
        match self.tokens.first() {
            Some(token) => error(
                token.span,
                format!("{message}, found '{}'", token_text(token)),
            ),
            None => error(
                self.here(),
                format!("{message} at the end of the {} stage", self.name.value),
            ),
        }
    }

    /// Refuses what is left.
    pub(crate) fn finish(&self) -> Outcome {
        if self.tokens.is_empty() {
            return Ok(());
        }
        Err(self.unexpected(&format!("{} takes nothing more", self.name.value)))
    }
}

fn find_flag(spec: &'static ModuleSpec, flag: &Spanned<String>) -> Outcome<&'static FlagSpec> {
    let found = spec
        .flags
        .iter()
        .find(|known| known.name.eq_ignore_ascii_case(&flag.value));
    found.ok_or_else(|| {
        let problem = error(
            flag.span,
            format!("{} has no flag {}", spec.name, flag.value),
        );
        let names: Vec<&str> = spec.flags.iter().map(|flag| flag.name).collect();
        match nearest(&flag.value, names.iter().copied()) {
            Some(near) => hinted(problem, format!("did you mean {near}?")),
            None if names.is_empty() => hinted(problem, "it takes no flags"),
            None => hinted(problem, format!("its flags are {}", names.join(", "))),
        }
    })
}

/// A token as text.
pub(crate) fn token_text(token: &Token) -> String {
    match &token.kind {
        TokenKind::Word(text) | TokenKind::Quoted(text) => text.clone(),
        TokenKind::Bytes(bytes) => crate::text::bytes(bytes),
        TokenKind::Punct(c) => c.to_string(),
        TokenKind::Op(op) => op_text(*op).to_owned(),
    }
}

/// An operator as text.
pub(crate) fn op_text(op: CompareOp) -> &'static str {
    match op {
        CompareOp::Eq => "==",
        CompareOp::Ne => "!=",
        CompareOp::Match => "~",
        CompareOp::NotMatch => "!~",
        CompareOp::Lt => "<",
        CompareOp::Le => "<=",
        CompareOp::Gt => ">",
        CompareOp::Ge => ">=",
    }
}
