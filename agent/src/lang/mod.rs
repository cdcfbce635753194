//! The query language: text to syntax tree and diagnostics with spans.
//!
//! Knows no field, no module and no engine: a stage is a name and its tokens. Parsing never fails
//! and never panics: it yields a tree and diagnostics.
//!
//! [`macros::expand`], then [`parse`], then [`render()`] for what was found.

pub mod ast;
pub mod diagnostic;
pub mod format;
pub mod macros;
pub mod render;
pub mod time;

mod constraint;
mod cursor;
mod eval;
mod lexer;
mod parser;
mod quote;

pub use format::format;
pub use parser::parse;
pub use render::render;

#[cfg(test)]
mod tests;
