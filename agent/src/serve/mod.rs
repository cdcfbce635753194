//! The daemon: what it is told, and how it is asked while it runs.

pub mod config;
