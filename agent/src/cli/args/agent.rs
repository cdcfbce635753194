//! What `flowsift agent` takes.

use std::path::PathBuf;

use clap::Args;

/// Arguments of `flowsift agent`.
#[derive(Args, Debug)]
pub(in crate::cli) struct AgentArgs {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = crate::serve::config::PATH)]
    pub(in crate::cli) config: PathBuf,

    /// Say whether the configuration is right, and end: exit code 0, or 2 with all that is wrong
    #[arg(long)]
    pub(in crate::cli) check_config: bool,

    /// Print a configuration with every key, what it means and its default, and end
    #[arg(long, conflicts_with = "check_config")]
    pub(in crate::cli) default_config: bool,
}
