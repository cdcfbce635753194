//! The scalar functions that the engine does not have.

pub mod in_subnet;
