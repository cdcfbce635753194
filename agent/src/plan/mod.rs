//! The planner: a syntax tree to a resolved pipeline, in which every name is a typed column.
//!
//! Knows the language and the table of packet fields; knows no file, no thread and no engine.

pub mod functions;
pub mod pipeline;
