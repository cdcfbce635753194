//! The query language: text to syntax tree and diagnostics with spans.
//!
//! Knows no field, no module and no engine: a stage is a name and its tokens. Parsing never fails
//! and never panics: it yields a tree and diagnostics.

pub mod ast;
pub mod diagnostic;
