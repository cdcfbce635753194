//! End-to-end tests: the built program, real captures, what a user sees.

#![cfg(test)]
mod bad_input;
mod captures;
mod command_line;
mod golden;
mod paths;
mod readme;
mod replay;
mod store;
mod support;
mod swarm;
mod tshark;
mod tunnels;
mod ways;
