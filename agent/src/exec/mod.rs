//! Execution: a resolved pipeline and its input to record batches, on Apache DataFusion.
//!
//! The only module that knows the engine. Knows no query text and no output format.

mod aggregates;
mod chart;
mod engine;
mod error;
mod explain;
pub mod functions;
pub mod live;
mod loss;
mod lower;
mod rows;
mod run;
pub mod scan;
mod session;
mod stages;
pub mod types;

pub use engine::{Plans, RunOptions};
pub use error::Error;
pub use explain::{after_run, explain};
pub use loss::LossEntry;
pub use run::{Answer, Source, run, span_ns};
pub use stages::{StageCount, StageCounts, count_stages};

#[cfg(test)]
mod tests;
