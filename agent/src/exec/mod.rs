//! Execution: a resolved pipeline and its input to record batches, on Apache DataFusion.
//!
//! The only module that knows the engine. Knows no query text and no output format.

pub mod functions;
pub mod types;
