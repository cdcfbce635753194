//! What `flowsift status` takes.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Arguments of `flowsift status`.
#[derive(Args, Debug)]
pub(in crate::cli) struct StatusArgs {
    /// The store that is captured into
    #[arg(long, value_name = "DIR", default_value = "/var/lib/flowsift")]
    pub(in crate::cli) store: PathBuf,

    /// For people, or for programs
    #[arg(long, value_enum, default_value_t = StatusFormat::Text, value_name = "FORMAT")]
    pub(in crate::cli) format: StatusFormat,
}

/// How the status is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum StatusFormat {
    /// Lines of at most 80 columns
    Text,
    /// One JSON object
    Json,
}
