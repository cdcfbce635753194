//! The planner: a syntax tree to a resolved pipeline, in which every name is a typed column.
//!
//! Knows the language and the table of packet fields; knows no file, no thread and no engine.

pub mod explain;
pub mod functions;
pub mod pipeline;
pub mod registry;

mod arguments;
mod columns;
mod condense;
mod fields;
mod filter;
pub mod loss;
mod modules;
mod networks;
mod prune;
mod report;
mod resolve;
mod restrict;
mod scope;

pub use explain::explain;
pub use report::nearest;
pub use resolve::{check, resolve};

use crate::lang::diagnostic::Diagnostic;

#[cfg(test)]
mod tests;
