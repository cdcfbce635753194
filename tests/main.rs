//! End-to-end tests: the built program, real captures, what a user sees.

#![cfg(test)]
#![expect(clippy::unwrap_used, reason = "a panic is a test's failure")]

mod bad_input;
mod captures;
mod command_line;
mod golden;
mod readme;
mod support;
mod swarm;
