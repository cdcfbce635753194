//! What the user typed: the command line as clap reads it; doc comments are the manual.

#[cfg(feature = "capture")]
mod agent;
#[cfg(feature = "capture")]
mod capture;
#[cfg(feature = "engine")]
mod query;
mod status;
mod store;
#[cfg(any(feature = "engine", feature = "capture"))]
mod units;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

#[cfg(feature = "capture")]
pub(super) use agent::*;
#[cfg(feature = "capture")]
pub(super) use capture::*;
#[cfg(feature = "engine")]
pub(super) use query::*;
pub(super) use status::*;
pub(super) use store::*;

/// Finds in stored packets what nobody knew to look for: capture files in, answers out.
///
/// Results go to standard output, everything else to standard error. Exit codes: 0 answered,
/// 1 could not run, 2 the command line or the query is wrong, 3 answered but some input was damaged
/// and --strict was given.
#[derive(Debug, Parser)]
#[command(name = "flowsift", version, max_term_width = 100)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    #[cfg(feature = "engine")]
    /// Run a query over capture files, a store, or what arrives now
    Query(Box<QueryArgs>),
    #[cfg(feature = "engine")]
    /// Play stored packets again, and run a query over them as if they arrived now
    Replay(Box<ReplayArgs>),
    #[cfg(feature = "engine")]
    /// Show the resolved pipeline of a query, its columns and warnings, without running it
    Parse(ParseArgs),
    #[cfg(feature = "engine")]
    /// List the packet fields that a query can name
    Fields(FieldsArgs),
    #[cfg(feature = "engine")]
    /// List the modules of the language, or explain one
    Modules(ModulesArgs),
    /// Capture packets from interfaces into a store, or as one pcap stream
    #[cfg(feature = "capture")]
    Capture(Box<CaptureArgs>),
    /// Run the daemon: capture into a store as a configuration file says
    #[cfg(feature = "capture")]
    Agent(AgentArgs),
    /// Show how the capture into a store is: interfaces, rates, losses, disk
    ///
    /// Exit code 0 where one runs, 3 where none does (what its files say is shown then), 1 where it
    /// does not answer or may not be asked.
    Status(StatusArgs),
    /// Look after a store: list, check, prune, reindex, export
    Store(StoreArgs),
    /// Import capture files into a store
    Import(ImportArgs),
    /// Print a completion script for a shell
    Completions {
        /// The shell to complete for
        shell: Shell,
    },
    /// Print the manual page, or write those of every command into a folder
    Man(ManArgs),
}

/// Arguments of `flowsift man`.
#[derive(Args, Debug)]
pub(super) struct ManArgs {
    /// Write one file for each command into this folder
    #[arg(long, value_name = "DIR")]
    pub(super) dir: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
