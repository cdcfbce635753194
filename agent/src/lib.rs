//! flowsift: from the bytes of a capture to the answer of a query, in one direction.
//!
//! ```text
//! capfile -> decode -> exec (scan) -> exec (run) -> render
//!                        ^
//!            lang -> plan
//! ```
//!
//! Modules are listed in the order in which data meets them; a module knows only
//! those that its row in ARCHITECTURE.md names.

pub mod frame;
pub mod shape;
pub mod text;
pub mod types;

pub mod capfile;
pub mod decode;
pub mod lang;
pub mod plan;

#[cfg(feature = "engine")]
pub mod cli;
#[cfg(feature = "engine")]
pub mod exec;
#[cfg(feature = "engine")]
pub mod render;
