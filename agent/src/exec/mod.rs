//! Execution: a resolved pipeline and its input to record batches, on Apache DataFusion.
//!
//! The only module that knows the engine. Knows no query text and no output format.

mod aggregates;
mod chart;
mod engine;
mod error;
pub mod functions;
mod lower;
mod session;
pub mod types;

pub use engine::{Plans, RunOptions};
pub use error::Error;

#[cfg(test)]
mod tests;
