//! The syntax tree: constraints, stages with their tokens, and eval programs.

use super::diagnostic::Span;

/// A value with its place in the query text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub span: Span,
}

/// A whole query: inner queries (`@name{...};`) and the main one.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// Inner queries, in order.
    pub inner: Vec<InnerQuery>,
    /// The main query.
    pub body: Body,
}

/// `@name{ body };`
#[derive(Clone, Debug, PartialEq)]
pub struct InnerQuery {
    /// Name without the `@`.
    pub name: Spanned<String>,
    /// Its query.
    pub body: Body,
}

/// Constraints and stages.
#[derive(Clone, Debug, PartialEq)]
pub struct Body {
    /// `tag=`, `start=`, `end=` before the first stage.
    pub constraints: Vec<Constraint>,
    /// The stages between pipes.
    pub stages: Vec<Stage>,
}

/// `key=value,value`
#[derive(Clone, Debug, PartialEq)]
pub struct Constraint {
    /// Lower-cased: `tag`, `start` or `end`.
    pub key: Spanned<String>,
    /// The values as written, unquoted.
    pub values: Vec<Spanned<String>>,
}

/// One pipe stage.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    /// Constraints before the module (data fusion: `tag=dhcp json mac`).
    pub constraints: Vec<Constraint>,
    /// Module name as written; `eval` for `( ... )` and `eval ...`; `packet` where a stage starts
    /// with `proto.Field` (with a warning).
    pub name: Spanned<String>,
    /// What follows the name.
    pub args: StageArgs,
    /// The whole stage, without the pipes.
    pub span: Span,
}

/// What follows a module's name.
#[derive(Clone, Debug, PartialEq)]
pub enum StageArgs {
    /// Flags and arguments as tokens; the module reads them.
    Tokens(Vec<Token>),
    /// An eval program.
    Eval(Program),
}

/// A token of a stage's flags and arguments. A dotted name (`ipv4.SrcIP`), a number, a CIDR or an
/// r-value is one `Word`.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Where it stands.
    pub span: Span,
}

/// Kinds of token. Whitespace and comments separate and are gone; so are commas between list items,
/// which are equal to a space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// An unquoted word, flags (`-nt`) included.
    Word(String),
    /// A quoted string, escapes done; never a flag.
    Quoted(String),
    /// A quoted string whose `\xNN` escapes make bytes that are no UTF-8.
    Bytes(Vec<u8>),
    /// A comparison operator.
    Op(CompareOp),
    /// One of `( ) [ ] { } : /` and other single reserved characters.
    Punct(char),
}

/// Comparison operators of inline filters and eval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CompareOp {
    /// `==` (and `=`, with a warning)
    Eq,
    /// `!=`
    Ne,
    /// `~`
    Match,
    /// `!~`
    NotMatch,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
}

impl CompareOp {
    /// As a query writes it.
    pub fn text(self) -> &'static str {
        match self {
            Self::Eq => "==",
            Self::Ne => "!=",
            Self::Match => "~",
            Self::NotMatch => "!~",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
        }
    }
}

/// An eval program: one expression is a filter, statements pass every entry unless they return
/// false.
#[derive(Clone, Debug, PartialEq)]
pub enum Program {
    /// `eval a < 1`
    Filter(Spanned<Box<EvalExpr>>),
    /// `eval a = 1; b = 2;`
    Statements(Vec<Statement>),
}

/// An eval statement.
#[derive(Clone, Debug, PartialEq)]
pub enum Statement {
    /// `name = expr;` (compound assignments and `++` are expanded; `setEnum("n", e)` too).
    Assign {
        /// EV to make.
        name: Spanned<String>,
        /// Its value.
        value: Spanned<EvalExpr>,
    },
    /// `if (c) { .. } else { .. }`
    If {
        /// Condition.
        condition: Spanned<EvalExpr>,
        /// Taken when true.
        then: Vec<Statement>,
        /// Taken otherwise.
        otherwise: Vec<Statement>,
    },
    /// `return e;`
    Return(Spanned<EvalExpr>),
    /// Any other statement of the language (`var`, `map`, `for`, `switch`, ...): parsed, named, not
    /// executed by the pure subset.
    Other(Spanned<String>),
    /// An expression for its own sake.
    Expr(Spanned<EvalExpr>),
}

/// An eval expression.
#[derive(Clone, Debug, PartialEq)]
pub enum EvalExpr {
    /// A number without a fraction.
    Int(i64),
    /// A number with one.
    Float(f64),
    /// A quoted string.
    Str(String),
    /// `true` or `false`.
    Bool(bool),
    /// An EV by name, also `$(any name)`.
    Name(String),
    /// `-a`, `!a`, `^a`
    Unary(char, Box<Spanned<EvalExpr>>),
    /// Binary operators but comparisons: `+ - * / % & | ^ << >> && ||`, by their text.
    Binary(&'static str, Box<Spanned<EvalExpr>>, Box<Spanned<EvalExpr>>),
    /// Comparisons.
    Compare(CompareOp, Box<Spanned<EvalExpr>>, Box<Spanned<EvalExpr>>),
    /// `c ? a : b`
    Conditional(
        Box<Spanned<EvalExpr>>,
        Box<Spanned<EvalExpr>>,
        Box<Spanned<EvalExpr>>,
    ),
    /// `f(a, b)`; casts too.
    Call(Spanned<String>, Vec<Spanned<EvalExpr>>),
    /// `{1, 2}`
    Array(Vec<Spanned<EvalExpr>>),
    /// `a[i]`
    Index(Box<Spanned<EvalExpr>>, Box<Spanned<EvalExpr>>),
    /// `a[i:j]`
    Slice(
        Box<Spanned<EvalExpr>>,
        Option<Box<Spanned<EvalExpr>>>,
        Option<Box<Spanned<EvalExpr>>>,
    ),
}
